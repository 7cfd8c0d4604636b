#!/usr/bin/env bash
# Finds the clients of some tests: Chromium with its driver, ssh and rsync. On Debian, as root, it installs them.
#
# usage: tests/install-clients.sh        prints nothing if all is installed; safe to repeat and to run concurrently
set -euo pipefail

main() {
  ready && return
  # shellcheck source=/dev/null
  if [ "$(id -u)" != 0 ] || [ "$(. /etc/os-release && echo "${ID:-}")" != debian ]; then
    fail "Chromium, its driver, ssh or rsync not found" "seen:  $(seen)" \
      "to do: install chromium and chromedriver, in the same version, ssh and rsync on PATH (on Debian, run this as root)"
  fi
  printf 'clients: installing chromium, chromium-driver, openssh-client and rsync\n' >&2
  apt_install chromium chromium-driver fonts-dejavu-core openssh-client rsync
  ready || fail "chromium, chromium-driver, openssh-client and rsync were installed, but do not start" "seen:  $(seen)" \
    "to do: run 'chromium --version', 'chromedriver --version', 'ssh -V' and 'rsync --version'"
}

ready() {
  chromium --version && chromedriver --version && ssh -V && rsync --version
} >/dev/null 2>&1

seen() {
  local program
  for program in chromium chromedriver ssh rsync; do printf '%s %s  ' "$program" "$(command -v $program || echo missing)"; done
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
