#!/usr/bin/env bash
# Finds a Docker engine with Compose and Buildx. On a bare Debian host, as root, it installs and starts one.
#
# usage: containers/engine.sh        prints nothing if all is installed; safe to repeat and to run concurrently
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=../versions.env
. "$here/../versions.env"

readonly log=/var/log/dockerd.log pidfile=/var/run/docker.pid
# The first version with `!reset`, heredocs in Dockerfiles and OCI output.
readonly compose_min=2.24

main() {
  ready && return
  is_debian_root || explain
  exec 9>/run/dask-hpc-engine.lock
  flock 9 # a concurrent run finds the work done
  ready && return
  install_missing
  answers || start
  ready || fail "the engine answers, but 'docker compose' (>= $compose_min) or 'docker buildx' does not" \
    "seen:  $(docker compose version 2>&1 | head -n 1)" "to do: install the Compose and Buildx plugins of your Docker"
}

ready() { answers && has_compose && has_buildx; }
answers() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }
has_buildx() { docker buildx version >/dev/null 2>&1; }
has_compose() {
  local seen
  seen=$(docker compose version --short 2>/dev/null) &&
    printf '%s\n' "$compose_min" "${seen#v}" | sort --version-sort --check=quiet
}

is_debian_root() {
  [ "$(id -u)" = 0 ] && [ "$(os_release ID)" = debian ] && [ "$(os_release VERSION_ID)" -ge 12 ] && [ -z "${DOCKER_HOST:-}" ]
}

# In a subshell: os-release has its own VERSION.
os_release() (
  # shellcheck source=/dev/null
  . /etc/os-release && echo "${!1:-0}"
)

explain() {
  local seen
  seen=$(docker version --format '{{.Server.Version}}' 2>&1 | tail -n 1) || true
  if answers; then seen="engine $seen, without Compose >= $compose_min or Buildx"; fi
  fail "no Docker engine with Compose and Buildx answers${DOCKER_HOST:+ at $DOCKER_HOST}" \
    "seen:  ${seen:-no docker command}" \
    "to do: install Docker with the Compose and Buildx plugins, start it, and join the group 'docker' (on Debian, run this as root)"
}

fail() {
  printf 'engine: %s\n' "$1" >&2
  shift
  printf '        %s\n' "$@" >&2
  exit 1
}

say() { printf 'engine: %s\n' "$1" >&2; }

install_missing() {
  local want=()
  answers || command -v dockerd >/dev/null || want+=(docker.io)
  command -v docker >/dev/null || want+=(docker-cli)
  has_compose || want+=(docker-compose)
  has_buildx || want+=(docker-buildx)
  [ ${#want[@]} = 0 ] || apt_install "${want[@]}"
}

# Installs packages of $DEBIAN_SUITE without leaving that suite in the machine's own apt settings.
apt_install() {
  local tmp out
  say "installing $* from Debian $DEBIAN_SUITE"
  tmp=$(mktemp -d)
  # shellcheck disable=SC2064  # tmp is local: expand it now
  trap "rm -rf '$tmp'" EXIT
  suite_beside_own "$tmp"
  prefer_containerd_store
  local apt=(apt-get -q -o "Dir::Etc::sourcelist=$tmp/none" -o "Dir::Etc::sourceparts=$tmp/sources" -o "Dir::Etc::preferencesparts=$tmp/preferences"
    -o "Dir::State::lists=$tmp/lists" -o APT::Sandbox::User=root -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300)
  out=$("${apt[@]}" update 2>&1 && DEBIAN_FRONTEND=noninteractive "${apt[@]}" install -y --no-install-recommends "$@" iptables 2>&1 9>&-) ||
    fail "could not install $*" "seen:  $(tail -n 3 <<<"$out" | paste -sd ' ')" "to do: check that Debian's mirror is reachable, then run this again"
}

# The machine's own apt entries, and copies for $DEBIAN_SUITE: they keep the machine's mirror.
suite_beside_own() {
  local tmp=$1 own file
  own=$(os_release VERSION_CODENAME)
  mkdir -p "$tmp"/{sources,preferences,lists/partial}
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
    grep -qs "\b$own\b" "$file" || continue
    cp "$file" "$tmp/sources/own-${file##*/}"
    [ "$own" = "$DEBIAN_SUITE" ] || sed "s/\b$own\b/$DEBIAN_SUITE/g" "$file" >"$tmp/sources/$DEBIAN_SUITE-${file##*/}"
  done
  if [ "$own" = "$DEBIAN_SUITE" ]; then return; fi
  printf 'Package: *\nPin: release n=%s*\nPin-Priority: 100\n\n' "$DEBIAN_SUITE" >"$tmp/preferences/suite"
  printf 'Package: docker.io docker-cli docker-compose docker-buildx\nPin: release n=%s*\nPin-Priority: 990\n' "$DEBIAN_SUITE" >>"$tmp/preferences/suite"
}

# OCI output and images by digest need the containerd image store. An administrator's daemon.json is kept.
prefer_containerd_store() {
  [ ! -e /etc/docker/daemon.json ] || return 0
  mkdir -p /etc/docker
  echo '{"features": {"containerd-snapshotter": true}}' >/etc/docker/daemon.json
}

start() {
  say "starting the Docker engine"
  raise_kernel_limits
  if [ -d /run/systemd/system ]; then
    systemctl start docker
  else
    drop_stale_pidfile
    # In its own session and without our streams, or a reader of our output waits forever. The engine starts half a dozen
    # short Go programs per container, which inherit GOGC: with less garbage collection, 64 nodes start in 9 % less time.
    GOGC=400 setsid --fork dockerd >"$log" 2>&1 </dev/null 9>&-
  fi
  timeout 60 bash -c 'until docker version >/dev/null 2>&1; do sleep 0.2; done' || # the engine sends no event when it is ready
    fail "the engine did not answer within 60 s" "seen:  $(tail -n 1 "$log" 2>/dev/null)" "to do: read $log, or start Docker yourself"
}

# All containers of a host share these limits, and the kernel's defaults are too low for mini-clusters of over 100 nodes.
raise_kernel_limits() {
  raise_sysctl kernel.pid_max 131072
  local ip
  for ip in ipv4 ipv6; do # the neighbour table: thresholds of garbage collection, and the maximum
    raise_sysctl net.$ip.neigh.default.gc_thresh3 32768
    raise_sysctl net.$ip.neigh.default.gc_thresh2 16384
    raise_sysctl net.$ip.neigh.default.gc_thresh1 8192
  done
}

# A value that root in a container cannot write stays as it is: slurm-sim rejects mini-clusters that do not fit.
raise_sysctl() {
  local file=/proc/sys/${1//.//}
  [ -w "$file" ] && [ "$(<"$file")" -lt "$2" ] || return 0
  { echo "$2" >"$file"; } 2>/dev/null || true
}

# After a crash of the machine, the pid file may name another process, and dockerd would refuse to start.
# An engine that runs but does not answer has lost its socket: stop it, too.
drop_stale_pidfile() {
  local pid
  pid=$(cat "$pidfile" 2>/dev/null) || return 0
  if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ]; then
    timeout 5 bash -c 'until docker version >/dev/null 2>&1; do sleep 0.2; done' && return
    say "the engine (process $pid) does not answer: stopping it"
    kill "$pid"
    timeout 30 tail --pid="$pid" -f /dev/null || kill -9 "$pid"
  fi
  rm -f "$pidfile"
}

main "$@"
