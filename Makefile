# One line per recipe: longer ones are programs with tests. `make help` lists the targets.
include versions.env
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := bash
MAKEFLAGS += --no-print-directory --no-builtin-rules

bin := .venv/bin
export PATH := $(CURDIR)/$(bin):$(PATH)
NAME ?= slurm-sim
NODES ?= 2
SAMPLES ?= 2e8
JOBS ?= 4
ROUNDS ?= 20
export SLURM_SIM_NAME := $(NAME)
export ENV

##@ Use it
.PHONY: demo up down status shell
demo: engine venv ## Run Monte Carlo π as Slurm jobs on a temporary mini-cluster, and save the results in results/
	containers/bake.sh slurmctld node
	slurm-sim run --nodes $(NODES) --get results -- dask-hpc run monte-carlo-pi --on slurm --samples $(SAMPLES)
	@echo "Open the report: python3 -m webbrowser file://$(CURDIR)/results/monte-carlo-pi/latest/report.html"
up: images ## Start a mini-cluster: NODES=4 NAME=mine
	slurm-sim up --nodes $(NODES)
status: venv ## Show its nodes and queue
	slurm-sim status
shell: venv ## Open a shell on its login node
	slurm-sim shell
down: venv ## Remove it
	slurm-sim down

##@ Build it
.PHONY: engine venv images sif lock
engine: ## Find a Docker engine; on bare Debian, as root, install and start one
	containers/engine.sh
venv: .venv/installed ## Install this checkout and its tools, from the hashes in requirements.txt
images: engine venv ## Build every image (BASE=pull|bootstrap, CHANNEL=local|conda-forge, LOCKED=1, ENV=my-environment.yml)
	$(if $(ENV),containers/lock.sh --if-needed)
	containers/bake.sh $(if $(ENV),dask-hpc)
sif: images ## Build dist/dask-hpc.sif, the environment for Apptainer, and its sha256 (ENV=my-environment.yml)
	apptainer/build.sh
lock: engine venv ## Renew every lock and show the changes (UPGRADE=1 for newer wheels, CHANNEL=conda-forge, ENV=my-environment.yml)
	$(if $(ENV),,uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade) --group dev pyproject.toml --output-file requirements.txt)
	$(if $(ENV),,UPGRADE=$(UPGRADE) tests/clients/lock.sh)
	containers/lock.sh

.venv/installed: requirements.txt pyproject.toml
	python3 -m venv .venv
	pip install --quiet --require-hashes --requirement requirements.txt
	pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

##@ Check it
# Grouped by file, in the order of tests/conftest.py: the longest first.
side-by-side := --numprocesses $(JOBS) --dist loadscope --no-loadscope-reorder --durations 10
.PHONY: test test-slurm soak mutants lint docs bench
test: lint images ## Run all tests that this machine can run, in JOBS=4 parallel processes
	tests/install-clients.sh
	pytest $(side-by-side)
test-slurm: images ## Run only the tests of the mini-cluster
	tests/install-clients.sh
	pytest $(side-by-side) tests/cluster tests/faults tests/clients
soak: images ## Run tests repeatedly on a busy machine (ROUNDS=20, ARGS='tests/cluster -k timeout')
	python -m tests.soak --rounds $(ROUNDS) -- $(ARGS)
mutants: venv ## Run mutation tests on the unit tests (ARGS=channel: one package)
	python -m tests.mutants $(ARGS)
lint: venv ## Check style, types and shell scripts
	ruff check && ruff format --check --quiet && mypy && shellcheck $$(git ls-files '*.sh' .ci/run 'containers/slurm/files/usr/**' 'containers/jupyter/files/usr/local/sbin/*')
docs: venv ## Build the documentation as a site: dist/docs/index.html (LINKS=1 also checks external links)
	python -m sphinx -W --keep-going -q -b html docs dist/docs
	$(if $(LINKS),python -m sphinx -W --keep-going -q -b linkcheck docs dist/links)
bench: images ## Run the benchmarks, and update bench/results.json and docs/benchmarks.md
	python -m bench $(ARGS)

##@ Clean up
.PHONY: clean help
clean: venv ## Remove mini-clusters, images, caches and results
	slurm-sim down --all; docker image rm --force $$(docker image ls --quiet 'slurm-sim/*') $$(docker image ls --quiet dask-hpc); rm -rf .cache .venv dist results
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n\033[1m%s\033[0m\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  \033[36m%-12s\033[0m %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
