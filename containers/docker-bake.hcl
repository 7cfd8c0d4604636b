# Every image: its tag, arguments and labels. `containers/bake.sh TARGET…` builds; values come from versions.env.

variable "VERSION" {}
variable "REVISION" { default = "unknown" }
variable "DEBIAN_SUITE" {}
variable "APPTAINER_SUITE" {}
variable "PYTHON_VERSION" {}
variable "SLURM_VERSION" {}
variable "SOURCE_DATE_EPOCH" {}
variable "SOURCE" { default = "https://github.com/dask-hpc/dask-hpc" }

# The base image's build context (containers/base.sh), and the folder of a bootstrapped base.
variable "BASE_CONTEXT" {}
variable "BASE_FOLDER" {}

# The environment's conda channel. LOCKED=1 rejects Debian packages that are newer than the lock.
variable "CHANNEL" { default = "local" }
variable "LOCKED" { default = "" }

# The environment's name and the folder of its locks; ENV=FILE sets both (containers/environment.sh).
variable "ENV_NAME" { default = "dask-hpc" }
variable "ENV_LOCKS" { default = "containers/dask-hpc/locks" }

# The host's certificate bundle, for a proxy that inspects TLS. It is a secret, so that no layer contains it.
variable "CA_BUNDLE" { default = "" }

group "default" { targets = ["dask-hpc", "slurm", "node", "apptainer", "bare", "jupyter"] }
group "slurm" { targets = ["slurmctld", "login", "slurmd", "slurmdbd", "database", "slurmrestd"] }

target "bootstrap" {
  context           = BASE_FOLDER
  dockerfile-inline = "FROM scratch\nADD ${DEBIAN_SUITE}.tar /\nCMD [\"bash\"]\n"
}

# Final images go into the engine. Intermediate targets have no output and stay in the build cache.
target "_output" {
  output = ["type=image,compression=uncompressed,unpack=true"]
}

target "_image" {
  args = {
    SOURCE_DATE_EPOCH = SOURCE_DATE_EPOCH
  }
  contexts = {
    base = BASE_CONTEXT
  }
  labels = {
    "org.opencontainers.image.source"   = SOURCE
    "org.opencontainers.image.version"  = VERSION
    "org.opencontainers.image.revision" = REVISION
  }
}

target "_slurm" {
  inherits = ["_image"]
  context  = "containers/slurm"
  labels = {
    "org.opencontainers.image.licenses" = "BSD-3-Clause AND GPL-2.0-or-later"
  }
}

target "slurmctld" {
  inherits = ["_slurm", "_output"]
  target   = "slurmctld"
  tags     = ["slurm-sim/slurmctld:${SLURM_VERSION}"]
  labels   = { "org.opencontainers.image.title" = "slurm-sim controller" }
}

target "login" {
  inherits = ["_slurm", "_output"]
  target   = "login"
  tags     = ["slurm-sim/login:${SLURM_VERSION}"]
  labels   = { "org.opencontainers.image.title" = "slurm-sim login node" }
}

target "slurmd" {
  inherits = ["_slurm", "_output"]
  target   = "slurmd"
  tags     = ["slurm-sim/slurmd:${SLURM_VERSION}"]
  labels   = { "org.opencontainers.image.title" = "slurm-sim compute node" }
}

# With --accounting only.
target "slurmdbd" {
  inherits = ["_slurm", "_output"]
  target   = "slurmdbd"
  tags     = ["slurm-sim/slurmdbd:${SLURM_VERSION}"]
  labels   = { "org.opencontainers.image.title" = "slurm-sim accounting daemon" }
}

target "database" {
  inherits = ["_slurm", "_output"]
  target   = "database"
  tags     = ["slurm-sim/database:${SLURM_VERSION}"]
  labels = {
    "org.opencontainers.image.title"    = "slurm-sim accounting database"
    "org.opencontainers.image.licenses" = "BSD-3-Clause AND GPL-2.0-only"
  }
}

# With --rest only: Slurm's REST API.
target "slurmrestd" {
  inherits = ["_slurm", "_output"]
  target   = "slurmrestd"
  tags     = ["slurm-sim/slurmrestd:${SLURM_VERSION}"]
  labels   = { "org.opencontainers.image.title" = "slurm-sim REST API" }
}

# Apptainer for an ordinary user: `make sif` uses it if the host has none, and it is the base of bare nodes.
target "apptainer" {
  inherits = ["_image", "_output"]
  context  = "containers/apptainer"
  args     = { APPTAINER_SUITE = APPTAINER_SUITE }
  tags     = ["slurm-sim/apptainer:${VERSION}"]
  labels   = { "org.opencontainers.image.title" = "Apptainer" }
}

# Login and compute nodes as on a real cluster: Slurm, PMIx and Apptainer, without the environment.
target "bare" {
  inherits = ["_slurm", "_output"]
  target   = "bare"
  contexts = { base = "target:apptainer" }
  tags     = ["slurm-sim/bare:${SLURM_VERSION}"]
  labels   = { "org.opencontainers.image.title" = "slurm-sim bare node" }
}

target "_dask-hpc" {
  inherits   = ["_image"]
  context    = "."
  dockerfile = "containers/dask-hpc/Dockerfile"
  contexts   = { locks = ENV_LOCKS }
  secret     = CA_BUNDLE == "" ? [] : ["id=ca-bundle,src=${CA_BUNDLE}"]
  args = {
    CHANNEL        = CHANNEL
    LOCKED         = LOCKED
    PYTHON_VERSION = PYTHON_VERSION
    REVISION       = REVISION
    VERSION        = VERSION
  }
}

target "dask-hpc" {
  inherits = ["_dask-hpc", "_output"]
  target   = "dask-hpc"
  tags     = ["${ENV_NAME}:${VERSION}", "${ENV_NAME}:latest"]
  labels = {
    "org.opencontainers.image.title"    = ENV_NAME
    "org.opencontainers.image.licenses" = "BSD-3-Clause"
  }
}

# Login and compute nodes: the environment's runtime libraries, Slurm over them, and the environment on top.
target "node" {
  inherits = ["_slurm", "_output"]
  target   = "node"
  contexts = {
    base        = "target:runtime"
    environment = "target:env"
    application = "target:application"
  }
  tags   = ["slurm-sim/node:${VERSION}"]
  labels = { "org.opencontainers.image.title" = "slurm-sim node with dask-hpc" }
}

# The login node with JupyterLab. `slurm-sim` shows the pages in the label, which are addresses below Jupyter's.
target "jupyter" {
  inherits   = ["_image", "_output"]
  context    = "."
  dockerfile = "containers/jupyter/Dockerfile"
  secret     = CA_BUNDLE == "" ? [] : ["id=ca-bundle,src=${CA_BUNDLE}"]
  contexts = {
    base        = "target:node"
    builder     = "target:builder"
    environment = "target:env"
  }
  tags = ["slurm-sim/jupyter:${VERSION}"]
  labels = {
    "org.opencontainers.image.title"    = "slurm-sim login node with JupyterLab"
    "org.opencontainers.image.licenses" = "BSD-3-Clause AND GPL-2.0-or-later"
    "io.slurm-sim.pages"                = "{\"Dask's dashboard\": \"proxy/8787/status\"}"
  }
}

target "builder" {
  inherits = ["_dask-hpc"]
  target   = "builder"
}

target "runtime" {
  inherits = ["_dask-hpc"]
  target   = "runtime"
}

target "env" {
  inherits = ["_dask-hpc"]
  target   = "env"
}

target "application" {
  inherits = ["_dask-hpc"]
  target   = "application"
}

# For `make lock`: the local channel as a folder, and a debs.lock of Debian's newest Python.
target "channel" {
  inherits = ["_dask-hpc"]
  target   = "channel"
  output   = [".cache/channel"]
}

target "debs-lock" {
  inherits      = ["_dask-hpc"]
  target        = "debs-lock"
  output        = ["containers/channel"]
  no-cache-filter = ["builder", "pin-debs"] # Debian's mirror changes, cached steps do not
}
