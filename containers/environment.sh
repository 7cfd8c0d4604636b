# Sourced: which environment an image and a SIF are made of. Ours, or with ENV=my-environment.yml a user's own, whose
# locks lie beside that file (`make lock` makes them), and whose `name:` the image and the SIF have.
# shellcheck shell=bash
export ENV_NAME=dask-hpc
if [ -n "${ENV-}" ]; then
  case $ENV in /*) ;; *) ENV=$PWD/$ENV ;; esac
  export ENV ENV_LOCKS=${ENV%.*}.locks
  if [ -e "$ENV_LOCKS/environment.yml" ]; then ENV_NAME=$(sed -n 's/^name: //p' "$ENV_LOCKS/environment.yml"); fi
fi
