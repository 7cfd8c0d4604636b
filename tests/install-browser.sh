#!/usr/bin/env bash
# Finds Chromium and its driver for the browser tests. On Debian, as root, it installs them.
#
# usage: tests/install-browser.sh        prints nothing if all is installed; safe to repeat and to run concurrently
set -euo pipefail

main() {
  ready && return
  # shellcheck source=/dev/null
  if [ "$(id -u)" != 0 ] || [ "$(. /etc/os-release && echo "${ID:-}")" != debian ]; then
    fail "Chromium or its driver not found" "seen:  $(seen)" \
      "to do: install both, in the same version, as chromium and chromedriver on PATH (on Debian, run this as root)"
  fi
  printf 'browser: installing chromium and chromium-driver\n' >&2
  apt_install chromium chromium-driver fonts-dejavu-core
  ready || fail "chromium and chromium-driver were installed, but do not start" "seen:  $(seen)" \
    "to do: run 'chromium --version' and 'chromedriver --version'"
}

ready() { chromium --version >/dev/null 2>&1 && chromedriver --version >/dev/null 2>&1; }

seen() { printf 'chromium %s, chromedriver %s' "$(command -v chromium || echo missing)" "$(command -v chromedriver || echo missing)"; }

# Waits for another apt, and prints nothing unless it fails.
apt_install() {
  local log
  log=$(mktemp)
  # shellcheck disable=SC2064  # log is local: expand it now
  trap "rm -f '$log'" EXIT
  {
    apt-get --quiet -o DPkg::Lock::Timeout=300 -o APT::Update::Error-Mode=any update &&
      DEBIAN_FRONTEND=noninteractive apt-get --quiet -o DPkg::Lock::Timeout=300 install --yes --no-install-recommends "$@"
  } >"$log" 2>&1 || fail "apt-get could not install $*" "seen:  $(tail -n 5 "$log")" "to do: check that this machine can reach Debian's mirror"
}

fail() {
  printf 'browser: %s\n' "$1" >&2
  shift
  printf '         %s\n' "$@" >&2
  exit 1
}

main "$@"
