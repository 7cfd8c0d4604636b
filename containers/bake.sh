#!/usr/bin/env bash
# Builds images: finds the base image, reads versions.env, and runs the bake file.
#
# usage: containers/bake.sh [TARGET…] [BAKE OPTION…]       containers/bake.sh slurm --set '*.no-cache=true'
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../versions.env
set -a && . "$here/../versions.env" && set +a
# shellcheck source=environment.sh
. "$here/environment.sh"

# The bake file reads its variables from the environment.
export BASE_FOLDER REVISION CA_BUNDLE BASE_CONTEXT
BASE_FOLDER=${DASK_HPC_CACHE:-$here/../.cache}/base
REVISION=$(git -C "$here" describe --always --dirty --abbrev=12 2>/dev/null || echo unknown)
BASE_CONTEXT=$("$here/base.sh")
for bundle in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt; do
  if [ -e "$bundle" ]; then CA_BUNDLE=${CA_BUNDLE-$bundle}; fi
done
export BUILDX_NO_DEFAULT_ATTESTATIONS=1 # they differ from build to build
export BUILDX_NO_DEFAULT_LOAD=1         # intermediate targets stay in the build cache
cd "$here/.."
set -- docker buildx bake --file containers/docker-bake.hcl "$@"

# Every build leaves a temporary Dockerfile and an empty folder. They go into this folder, which is removed at the end;
# the next build removes the folder of a killed one.
for left in "${TMPDIR:-/tmp}/bake-$UID"-*; do
  kill -0 "${left##*-}" 2>/dev/null || rm -rf "$left"
done
export TMPDIR=${TMPDIR:-/tmp}/bake-$UID-$$
mkdir -m 700 "$TMPDIR"
trap 'rm -rf "$TMPDIR"' EXIT
trap 'exit 130' INT TERM HUP
if [ -t 2 ]; then
  "$@"
  exit
fi

# Without a terminal, print nothing unless the build fails.
log=$TMPDIR/log
"$@" >"$log" 2>&1 || {
  printf 'bake: the build failed; its last lines:\n' >&2
  tail -n 40 "$log" >&2
  exit 1
}
