#!/usr/bin/env bash
# Builds the SIF from the image dask-hpc, with the host's Apptainer or, if it has none, with the image `apptainer`.
#
# usage: apptainer/build.sh [FILE]          writes FILE (default: dist/dask-hpc.sif), and its sha256 beside it
#        ENV=my-environment.yml …           uses the image and the name of your own environment
#        COMPRESSION='gzip' …               for clusters whose squashfs has no zstd (kernels before 4.14)
#        APPTAINER=container|host …         forces one of the two Apptainers
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../versions.env
set -a && . "$here/../versions.env" && set +a
# shellcheck source=../containers/environment.sh
. "$here/../containers/environment.sh"

# Each small file has its own block of at most 64 K, so that reading it reads little else. Imports are 5 % faster than
# with mksquashfs's default, blocks of 128 K that small files share (level 6: 99 MB); blocks of 32 K are as fast.
# Level 15: 5 MB less, 25 s more.
readonly compression=${COMPRESSION:-zstd -Xcompression-level 9 -b 64K -no-fragments}
readonly image=${DASK_HPC_IMAGE:-$ENV_NAME:$VERSION} builder=slurm-sim/apptainer:$VERSION
readonly sif=${1:-${here%/*}/dist/$ENV_NAME.sif} container=dask-hpc-sif-$$
folder=$(dirname "$sif") name=$(basename "$sif")
readonly folder name stamp=$folder/.$name.stamp

main() {
  local id made_of work
  id=$(docker image inspect --format '{{.Id}}' "$image" 2>/dev/null) ||
    fail "cannot build $sif: image $image not found" "$(docker image inspect "$image" 2>&1 | tail -n 1)" "make images"
  made_of="$id $compression $(sha256sum <"$here/dask-hpc.def")"
  mkdir -p "$folder"
  exec 9<"$folder"
  flock 9 # a concurrent build finds the work done
  if fresh "$made_of"; then return; fi

  work=$(mktemp -d "$folder/.$name.XXXXXX")
  # shellcheck disable=SC2064  # work is local: expand it now
  trap "cleanup '$work'" EXIT
  trap 'exit 130' INT TERM
  say "building $sif from $image, which takes about half a minute"
  build "$work" 2>"$work/log" || fail "could not build $sif" "$(seen "$work/log")" "make room if a disk is full; else check that this user may use user namespaces"
  publish "$work" "$made_of"
}

# Succeeds if the SIF exists, matches its checksum, and was built from this image.
fresh() {
  [ "$(cat "$stamp" 2>/dev/null)" = "$1" ] && (cd "$folder" && sha256sum --check --status "$name.sha256" 2>/dev/null)
}

build() {
  local how=${APPTAINER:-$(if command -v apptainer >/dev/null; then echo host; else echo container; fi)}
  case $how in
    host) on_host "$1" ;;
    container) in_container "$1" ;;
    *) echo "invalid value APPTAINER=$how: use 'host' or 'container'" >&2 && return 1 ;;
  esac
}

# One word with "=": as Apptainer restarts itself in a user namespace, it drops an "f" from words that begin with "-".
on_host() (
  cp "$here/dask-hpc.def" "$1" && cd "$1"
  docker save --output image.tar "$image"
  APPTAINER_TMPDIR=$1 apptainer build "--mksquashfs-args=-comp $compression" out.sif dask-hpc.def >&2 9>&-
)

# As an ordinary user without capabilities. Image and SIF pass through pipes, because the engine may be on another host.
# Docker's seccomp and AppArmor profiles forbid user namespaces and mounts in them, which %test needs.
in_container() {
  "$here/../containers/bake.sh" apptainer 9>&-
  docker save "$image" 9>&- | docker run --rm --interactive --name "$container" --init --network none --cap-drop ALL \
    --security-opt no-new-privileges --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
    --env SOURCE_DATE_EPOCH --env COMPRESSION="$compression" --env DEFINITION="$(cat "$here/dask-hpc.def")" "$builder" \
    sh -euc 'cd /tmp; cat >image.tar; echo "$DEFINITION" >dask-hpc.def
      apptainer build "--mksquashfs-args=-comp $COMPRESSION" out.sif dask-hpc.def >&2; cat out.sif' >"$1/out.sif" 9>&-
}

# Replaces the SIF atomically, and then its checksum.
publish() {
  chmod 0755 "$1/out.sif"
  printf '%s  %s\n' "$(sha256sum "$1/out.sif" | cut -d ' ' -f 1)" "$name" >"$1/sha256"
  chmod 0644 "$1/sha256"
  rm -f "$stamp"
  mv "$1/out.sif" "$sif" && mv "$1/sha256" "$sif.sha256" && echo "$2" >"$stamp"
}

# Apptainer's FATAL message, which mksquashfs's help may follow; without one, the last lines.
seen() { grep --text FATAL "$1" || tail -n 8 "$1"; }

cleanup() {
  docker rm --force "$container" >/dev/null 2>&1 || true
  rm -rf "$1"
}

say() { printf 'sif: %s\n' "$1" >&2; }

fail() {
  printf 'sif: %s\n     seen:  %s\n     to do: %s\n' "$1" "${2//$'\n'/$'\n'            }" "$3" >&2
  exit 1
}

main "$@"
