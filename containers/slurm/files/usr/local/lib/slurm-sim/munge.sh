# shellcheck shell=bash
# Sourced by every entrypoint: the mini-cluster's shared secret, and the daemon that authenticates with it.

# The first container makes a key, in a volume that others share; a later key does not replace it (and mv is atomic).
# The key is complete, and only its owner can read it, before it gets its name.
# usage: make_key FILE OWNER
make_key() {
  local key=$1 owner=$2 new
  [ ! -e "$key" ] || return 0
  new=$(mktemp "${key%/*}/new.XXXXXX")
  head --bytes=128 /dev/urandom >"$new"
  chmod 0400 "$new"
  chown "$owner:$owner" "$new"
  mv --no-clobber "$new" "$key" || true
  rm -f "$new"
}

# With --rest, a volume for the key that signs tokens is mounted on the daemons that check them.
make_jwt_key() {
  [ ! -d /etc/slurm-jwt ] || make_key /etc/slurm-jwt/jwt_hs256.key slurm
}

# munged goes to the background only when its socket exists.
start_munged() {
  make_key /etc/munge/munge.key munge
  as munge munged
}

# Runs a command as a user, without the capabilities that the change to that user needed.
as() {
  local user=$1
  shift
  setpriv --reuid="$user" --regid="$user" --clear-groups --inh-caps=-all "$@"
}
