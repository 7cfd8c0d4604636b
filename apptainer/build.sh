#!/usr/bin/env bash
# Builds the SIF from the image dask-hpc, by this machine's Apptainer or, where it has none, by the image `apptainer`.
#
# usage: apptainer/build.sh [FILE]          FILE is dist/dask-hpc.sif without it; its sha256 lies beside it
#        ENV=my-environment.yml …           of the image, and by the name, of one's own environment
#        COMPRESSION='gzip' …               for clusters whose squashfs knows no zstd (kernels before 4.14)
#        APPTAINER=container|host …         forces who builds
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../versions.env
set -a && . "$here/../versions.env" && set +a
# shellcheck source=../containers/environment.sh
. "$here/../containers/environment.sh"

# To read little for a small file: a block for each, of 64 K at most. Imports are 5 % faster than with mksquashfs's usual
# blocks of 128 K that small files share (level 6: 99 MB); blocks of 32 K are as fast. Level 15: 5 MB less, 25 s more.
readonly compression=${COMPRESSION:-zstd -Xcompression-level 9 -b 64K -no-fragments}
readonly image=${DASK_HPC_IMAGE:-$ENV_NAME:$VERSION} builder=slurm-sim/apptainer:$VERSION
readonly sif=${1:-${here%/*}/dist/$ENV_NAME.sif} container=dask-hpc-sif-$$
folder=$(dirname "$sif") name=$(basename "$sif")
readonly folder name stamp=$folder/.$name.stamp

main() {
  local id made_of work
  id=$(docker image inspect --format '{{.Id}}' "$image" 2>/dev/null) ||
    fail "there is no image $image to make $sif of" "$(docker image inspect "$image" 2>&1 | tail -n 1)" "make images"
  made_of="$id $compression $(sha256sum <"$here/dask-hpc.def")"
  mkdir -p "$folder"
  exec 9<"$folder"
  flock 9 # two builds at once: the second finds the work done
  if fresh "$made_of"; then return; fi

  work=$(mktemp -d "$folder/.$name.XXXXXX")
  # shellcheck disable=SC2064  # work is local: expand it now
  trap "cleanup '$work'" EXIT
  trap 'exit 130' INT TERM
  say "making $sif of $image, in about half a minute"
  build "$work" 2>"$work/log" || fail "could not make $sif" "$(seen "$work/log")" "make room if a disk is full; else see 'apptainer build' on user namespaces"
  publish "$work" "$made_of"
}

# Whether the file is there, whole, and of this image.
fresh() {
  [ "$(cat "$stamp" 2>/dev/null)" = "$1" ] && (cd "$folder" && sha256sum --check --status "$name.sha256" 2>/dev/null)
}

build() {
  local how=${APPTAINER:-$(if command -v apptainer >/dev/null; then echo host; else echo container; fi)}
  case $how in
    host) on_host "$1" ;;
    container) in_container "$1" ;;
    *) echo "APPTAINER=$how is neither 'host' nor 'container'" >&2 && return 1 ;;
  esac
}

# One word with "=": Apptainer, starting itself anew in a user namespace, takes an "f" out of a word that begins with "-".
on_host() (
  cp "$here/dask-hpc.def" "$1" && cd "$1"
  docker save --output image.tar "$image"
  APPTAINER_TMPDIR=$1 apptainer build "--mksquashfs-args=-comp $compression" out.sif dask-hpc.def >&2 9>&-
)

# As an ordinary user without any capability. Image and SIF pass through pipes: no folder is shared, and the engine may
# be elsewhere. Docker's seccomp profile and AppArmor's forbid user namespaces and mounts in them, and %test runs in one.
in_container() {
  "$here/../containers/bake.sh" apptainer 9>&-
  docker save "$image" 9>&- | docker run --rm --interactive --name "$container" --init --network none --cap-drop ALL \
    --security-opt no-new-privileges --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
    --env SOURCE_DATE_EPOCH --env COMPRESSION="$compression" --env DEFINITION="$(cat "$here/dask-hpc.def")" "$builder" \
    sh -euc 'cd /tmp; cat >image.tar; echo "$DEFINITION" >dask-hpc.def
      apptainer build "--mksquashfs-args=-comp $COMPRESSION" out.sif dask-hpc.def >&2; cat out.sif' >"$1/out.sif" 9>&-
}

# The SIF appears whole, and its checksum with it.
publish() {
  chmod 0755 "$1/out.sif"
  printf '%s  %s\n' "$(sha256sum "$1/out.sif" | cut -d ' ' -f 1)" "$name" >"$1/sha256"
  chmod 0644 "$1/sha256"
  rm -f "$stamp"
  mv "$1/out.sif" "$sif" && mv "$1/sha256" "$sif.sha256" && echo "$2" >"$stamp"
}

# What Apptainer says went wrong; its last lines, if it does not: mksquashfs's help may follow.
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
