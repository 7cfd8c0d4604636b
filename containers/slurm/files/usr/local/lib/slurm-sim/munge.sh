# shellcheck shell=bash
# Sourced by every entrypoint: the mini-cluster's shared secret, and the daemon that vouches with it.

# The first container makes the key, in the volume that all share; a later one's is not taken (and mv is atomic).
# It is complete, and readable by munge alone, before it has its name.
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

# munged goes to the background when its socket is there, not before.
start_munged() {
  make_munge_key
  as munge munged
}

# Runs a command as a user, with none of the capabilities that changing to that user took.
as() {
  local user=$1
  shift
  setpriv --reuid="$user" --regid="$user" --clear-groups --inh-caps=-all "$@"
}
