#!/usr/bin/env bash
# The base image: Debian's slim image, pulled by digest where a registry answers, else bootstrapped from Debian's packages.
#
# usage: containers/base.sh                 prints the build context that the bake file takes as `base`
#        BASE=pull|bootstrap containers/base.sh     forces the choice; without it, it is made once and kept in the cache
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=../versions.env
. "$here/../versions.env"

readonly image=docker.io/library/debian:$DEBIAN_SUITE-slim@$DEBIAN_DIGEST
readonly cache=${DASK_HPC_CACHE:-$here/../.cache}/base

main() {
  mkdir -p "$cache"
  exec 9>"$cache/lock"
  flock 9 # two builds at once share one base
  local choice=${BASE:-$(cat "$cache/choice" 2>/dev/null || choose)}
  if [ "$choice" = bootstrap ] && [ ! -e "$cache/$DEBIAN_SUITE.tar" ]; then bootstrap; fi
  case $choice in
    pull) echo "docker-image://$image" ;;
    bootstrap) echo target:bootstrap ;;
    *) fail "BASE=$choice" "it is neither 'pull' nor 'bootstrap'" "unset BASE, or say one of the two" ;;
  esac
  echo "$choice" >"$cache/choice"
}

choose() {
  if timeout 30 docker buildx imagetools inspect "$image" >/dev/null 2>&1; then
    say "a registry answers: $image is pulled (BASE=bootstrap makes it from packages instead)"
    echo pull
  else
    say "no registry answers: Debian $DEBIAN_SUITE is made from packages (BASE=pull forces the registry)"
    echo bootstrap
  fi
}

# Deterministic for one state of Debian's mirror: mmdebstrap takes every time stamp from SOURCE_DATE_EPOCH.
# What is left out is what Debian's slim images leave out, for packages that later stages install, too.
bootstrap() {
  command -v mmdebstrap >/dev/null || install_mmdebstrap
  local partial=$cache/$DEBIAN_SUITE.tar.partial said=$cache/said.partial pid
  trap 'rm -f "$cache"/*.partial' EXIT
  # A session of its own: where it fails it hangs up on its whole process group, and that would be its caller's.
  setsid mmdebstrap --variant=minbase --format=tar \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    "$DEBIAN_SUITE" - ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} >"$partial" 2>"$said" 9>&- &
  pid=$!
  trap 'kill -TERM -- -$pid; exit 130' INT TERM
  wait "$pid" ||
    fail "could not bootstrap Debian $DEBIAN_SUITE" "$(tail -n 3 "$said" | paste -sd ' ')" "see that Debian's mirror can be reached and that the disk has 500 MB"
  mv "$partial" "$cache/$DEBIAN_SUITE.tar"
}

install_mmdebstrap() {
  { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; } ||
    fail "Debian $DEBIAN_SUITE cannot be made here" "no mmdebstrap, and no way to install it" "install mmdebstrap, or BASE=pull with a registry"
  say "installing mmdebstrap"
  { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends mmdebstrap; } >/dev/null 2>&1 9>&- ||
    fail "could not install mmdebstrap" "apt-get failed" "see what 'apt-get install mmdebstrap' says"
}

say() { printf 'base: %s\n' "$1" >&2; }

fail() {
  printf 'base: %s\n      seen:  %s\n      to do: %s\n' "$@" >&2
  exit 1
}

main "$@"
