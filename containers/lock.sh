#!/usr/bin/env bash
# Renews the environment's locks from environment.yml, and shows what changed. Wheels keep their versions unless UPGRADE=1.
#
# usage: containers/lock.sh          CHANNEL=conda-forge containers/lock.sh      CHANNEL=https://… …
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly channel=${CHANNEL:-local} folder=.cache/channel
PATH=$PWD/.venv/bin:$PATH
unset CHANNEL # what is built here is the local channel, whichever one is locked

if [ "$channel" = local ]; then
  python -m containers.channel pin-wheels ${UPGRADE:+--upgrade}
  rm -rf "$folder"
  containers/bake.sh --set debs-lock.output=type=local,dest=containers/channel debs-lock
  containers/bake.sh --set "channel.output=type=local,dest=$folder" channel
fi
python -m containers.channel lock "$([ "$channel" = local ] && echo "$folder" || echo "$channel")"
