# shellcheck shell=bash
# Sourced by every entrypoint: the mini-cluster's shared secret, and the daemon that authenticates with it.

# The first container makes the key, in the volume that all share; a later key does not replace it (and mv is atomic).
# The key is complete, and only munge can read it, before it gets its name.
make_munge_key() {
  local key=/etc/munge/munge.key new
  [ ! -e $key ] || return 0
  new=$(mktemp /etc/munge/new.XXXXXX)
  head --bytes=128 /dev/urandom >"$new"
  chmod 0400 "$new"
  chown munge:munge "$new"
  mv --no-clobber "$new" $key || true
  rm -f "$new"
}

# munged goes to the background only when its socket exists.
start_munged() {
  make_munge_key
  as munge munged
}

# Runs a command as a user, without the capabilities that the change to that user needed.
as() {
  local user=$1
  shift
  setpriv --reuid="$user" --regid="$user" --clear-groups --inh-caps=-all "$@"
}
