#!/usr/bin/env bash
# Renews the locks of the programs that tests/clients runs. They keep their versions unless UPGRADE=1.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/requirements"
PATH=$(cd ../../.. && pwd)/.venv/bin:$PATH
for program in *.in; do
  uv pip compile --quiet --python-version 3.13 --python-platform x86_64-manylinux_2_28 --generate-hashes --no-emit-index-url \
    --custom-compile-command "make lock" ${UPGRADE:+--upgrade} "$program" --output-file "${program%.in}.txt"
done
