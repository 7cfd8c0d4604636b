#!/usr/bin/env bash
# Chooses the base image: Debian's slim image, pulled by digest if a registry answers, else bootstrapped from packages.
#
# usage: containers/base.sh                         prints the build context that the bake file uses as `base`
#        BASE=pull|bootstrap containers/base.sh     forces the choice, which is otherwise made once and cached
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=../versions.env
. "$here/../versions.env"

readonly image=docker.io/library/debian:$DEBIAN_SUITE-slim@$DEBIAN_DIGEST
readonly cache=${DASK_HPC_CACHE:-$here/../.cache}/base

main() {
  mkdir -p "$cache"
  exec 9>"$cache/lock"
  flock 9 # concurrent builds share one base
  local choice=${BASE:-$(cat "$cache/choice" 2>/dev/null || choose)}
  if [ "$choice" = bootstrap ] && [ ! -e "$cache/$DEBIAN_SUITE.tar" ]; then bootstrap; fi
  case $choice in
    pull) echo "docker-image://$image" ;;
    bootstrap) echo target:bootstrap ;;
    *) fail "invalid value BASE=$choice" "neither 'pull' nor 'bootstrap'" "unset BASE, or set it to one of the two" ;;
  esac
  echo "$choice" >"$cache/choice"
}

choose() {
  if timeout 30 docker buildx imagetools inspect "$image" >/dev/null 2>&1; then
    say "a registry answers: pulling $image (BASE=bootstrap builds it from packages instead)"
    echo pull
  else
    say "no registry answers: building Debian $DEBIAN_SUITE from packages (BASE=pull insists on a registry)"
    echo bootstrap
  fi
}

# Deterministic for one state of Debian's mirror: mmdebstrap takes every time stamp from SOURCE_DATE_EPOCH.
# Excludes what Debian's slim images exclude, also from packages that later stages install.
bootstrap() {
  command -v mmdebstrap >/dev/null || install_mmdebstrap
  local partial=$cache/$DEBIAN_SUITE.tar.partial said=$cache/said.partial pid
  trap 'rm -f "$cache"/*.partial' EXIT
  # In its own session: if mmdebstrap fails, it sends SIGHUP to its process group, which would include our caller.
  setsid mmdebstrap --variant=minbase --format=tar \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    "$DEBIAN_SUITE" - ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} >"$partial" 2>"$said" 9>&- &
  pid=$!
  trap 'kill -TERM -- -$pid; exit 130' INT TERM
  wait "$pid" ||
    fail "could not bootstrap Debian $DEBIAN_SUITE" "$(tail -n 3 "$said" | paste -sd ' ')" "check that Debian's mirror is reachable and that 500 MB of disk are free"
  mv "$partial" "$cache/$DEBIAN_SUITE.tar"
}

install_mmdebstrap() {
  { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; } ||
    fail "cannot build Debian $DEBIAN_SUITE here" "mmdebstrap not found, and cannot be installed" "install mmdebstrap, or set BASE=pull and use a registry"
  say "installing mmdebstrap"
  { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends mmdebstrap; } >/dev/null 2>&1 9>&- ||
    fail "could not install mmdebstrap" "apt-get failed" "run 'apt-get install mmdebstrap' to see why"
}

say() { printf 'base: %s\n' "$1" >&2; }

fail() {
  printf 'base: %s\n      seen:  %s\n      to do: %s\n' "$@" >&2
  exit 1
}

main "$@"
