#!/usr/bin/env bash
# Renews the environment's locks from environment.yml and shows the changes. Wheels keep their versions unless UPGRADE=1.
#
# usage: containers/lock.sh [--if-needed]     CHANNEL=conda-forge containers/lock.sh      CHANNEL=https://… …
#        ENV=my-environment.yml …             locks your own environment, in my-environment.locks beside it
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=environment.sh
. "$here/environment.sh"
readonly channel=${CHANNEL:-local}
unset CHANNEL # the build below makes the local channel
own=()
if [ -n "${ENV-}" ]; then own=(--environment "$(realpath "$ENV")" --locks "$ENV_LOCKS"); fi
cd "$here/.."
readonly folder=$PWD/.cache/channel-$ENV_NAME
PATH=$PWD/.venv/bin:$PATH

if [ "${1-}" = --if-needed ]; then
  status=0
  python -m containers.channel is-locked "${own[@]}" "$channel" || status=$?
  if [ $status = 0 ]; then exit; fi
  if [ $status != 3 ]; then exit $status; fi
  echo "lock: $ENV has no locks, or has changed since they were made: locking it takes about a minute" >&2
fi
if [ "$channel" = local ]; then
  python -m containers.channel pin-wheels "${own[@]}" ${UPGRADE:+--upgrade}
  rm -rf "$folder"
  if [ -z "${ENV-}" ]; then
    containers/bake.sh --set debs-lock.output=type=local,dest=containers/channel debs-lock
  fi
  containers/bake.sh --set "channel.output=type=local,dest=$folder" channel
fi
python -m containers.channel lock "${own[@]}" "$([ "$channel" = local ] && echo "$folder" || echo "$channel")"
rm -rf "$folder"
