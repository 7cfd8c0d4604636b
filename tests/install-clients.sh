#!/usr/bin/env bash
# Finds the clients of some tests: Chromium with its driver, and ssh. On Debian, as root, it installs them.
#
# usage: tests/install-clients.sh        prints nothing if all is installed; safe to repeat and to run concurrently
set -euo pipefail

main() {
  ready && return
  # shellcheck source=/dev/null
  if [ "$(id -u)" != 0 ] || [ "$(. /etc/os-release && echo "${ID:-}")" != debian ]; then
    fail "Chromium, its driver or ssh not found" "seen:  $(seen)" \
      "to do: install chromium and chromedriver, in the same version, and ssh on PATH (on Debian, run this as root)"
  fi
  printf 'clients: installing chromium, chromium-driver and openssh-client\n' >&2
  apt_install chromium chromium-driver fonts-dejavu-core openssh-client
  ready || fail "chromium, chromium-driver and openssh-client were installed, but do not start" "seen:  $(seen)" \
    "to do: run 'chromium --version', 'chromedriver --version' and 'ssh -V'"
}

ready() { chromium --version >/dev/null 2>&1 && chromedriver --version >/dev/null 2>&1 && ssh -V 2>/dev/null; }

seen() {
  local program
  for program in chromium chromedriver ssh; do printf '%s %s  ' "$program" "$(command -v $program || echo missing)"; done
}

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
  printf 'clients: %s\n' "$1" >&2
  shift
  printf '         %s\n' "$@" >&2
  exit 1
}

main "$@"
