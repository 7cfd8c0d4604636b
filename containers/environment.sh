# Sourced: the environment to build. It is ours or, with ENV=my-environment.yml, the user's own: its locks are beside
# that file (`make lock` writes them), and the image and the SIF take its `name:`.
# shellcheck shell=bash
export ENV_NAME=dask-hpc
if [ -n "${ENV-}" ]; then
  case $ENV in /*) ;; *) ENV=$PWD/$ENV ;; esac
  export ENV ENV_LOCKS=${ENV%.*}.locks
  if [ -e "$ENV_LOCKS/environment.yml" ]; then ENV_NAME=$(sed -n 's/^name: //p' "$ENV_LOCKS/environment.yml"); fi
fi
