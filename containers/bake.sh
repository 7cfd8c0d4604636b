#!/usr/bin/env bash
# Builds images: finds the base, fills in the values of versions.env, and runs the bake file.
#
# usage: containers/bake.sh [TARGET…] [BAKE OPTION…]       containers/bake.sh slurm --set '*.no-cache=true'
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
set -a # the bake file reads its variables from the environment
# shellcheck source=../versions.env
. "$here/../versions.env"

BUILDX_NO_DEFAULT_ATTESTATIONS=1 # they differ from build to build
BASE_FOLDER=${DASK_HPC_CACHE:-$here/../.cache}/base
REVISION=$(git -C "$here" describe --always --dirty --abbrev=12 2>/dev/null || echo unknown)
: "${CA_BUNDLE=$(ls /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt 2>/dev/null | head -n 1)}"
BASE_CONTEXT=$("$here/base.sh")
cd "$here/.."
exec docker buildx bake --file containers/docker-bake.hcl --load "$@"
