# Everything that is done with this repository. `make help` lists it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
PYTHON ?= python3
BIN := .venv/bin
ARCHITECTURE ?= arm64
SAM := SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=$${AWS_DEFAULT_REGION:-us-east-1} PYTHON=$(CURDIR)/$(BIN)/python ARCHITECTURE=$(ARCHITECTURE) .venv-sam/bin/sam

.PHONY: help setup demo test check format bench bench-peers sim soak transcripts mutants points crash fuzz build validate localcloud lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: .venv/.done ## make .venv with everything that the other targets need; nothing the second time

.venv/.done: requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] < (3, 14) else \
	    f"Tidegate needs Python 3.11 to 3.13, and $(PYTHON) is {sys.version.split()[0]}; try: make setup PYTHON=python3.13")'
	@echo "setting up .venv (about a minute, once)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup ## a year of flights as a stream: early, on-time and late panes
	@$(BIN)/python -m pipelines.demo

test: setup ## all tests; with 1,000 seeds of the simulation (SEEDS=)
	@SIMULATION_SEEDS=$(or $(SEEDS),1000) $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder --max-worker-restart 0

check: setup ## formatting, lint, types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

format: setup ## bring the code into its form
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: setup ## Tidegate beside DuckDB's batch queries, answers compared (WORKLOADS=, EVENTS=, RUNS=)
	@$(BIN)/python -m bench $(WORKLOADS) $(if $(EVENTS),--events $(EVENTS)) $(if $(RUNS),--runs $(RUNS))

bench-peers: setup ## the window sum in Polars, Flink, Spark, Bytewax and Beam from PyPI (PEERS=, EVENTS=)
	@$(BIN)/python -m bench.peers $(PEERS) $(if $(EVENTS),--events $(EVENTS))

sim: setup ## one seed of the simulation as a time-line: make sim SEED=7
	@$(BIN)/python -m tests.sim --seed $(or $(SEED),0) --without "$(WITHOUT)" --left-out "$(LEFT_OUT)"

soak: setup ## 100,000 seeds of the simulation and as many examples of the oracle, hours (SEEDS=, FIRST=)
	@$(BIN)/python -m tests.sim --seeds $(or $(SEEDS),100000) --first $(or $(FIRST),0) --keep
	@$(BIN)/python -m tests.oracle --examples $(or $(SEEDS),100000) --first $(or $(FIRST),0)

transcripts: setup ## write docs/transcripts.md from tests/transcripts/*.yaml
	@$(BIN)/python -m tests.transcripts.page

mutants: setup ## mistakes in the protocol, each of which the simulation must find
	@$(BIN)/python -m tests.sim.mutants

points: setup ## a crash, or an unknown outcome, at every call of the ports in 28 scenarios
	@$(BIN)/python -m tests.epochs.points

crash: setup ## kill -9, full disks, read-only folders, 10 minutes (MINUTES=, SEED=, ROUND=)
	@$(BIN)/python -m tests.crash $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED)) $(if $(ROUND),--round $(ROUND))

fuzz: setup ## a million broken and hostile inputs for every reader and codec (INPUTS=, SEED=)
	@$(BIN)/python -m tests.fuzz --inputs $(or $(INPUTS),1000000) $(if $(SEED),--seed $(SEED))

build: setup .venv-sam/.done ## sam build: the functions and the layer for AWS
	@$(SAM) build --parameter-overrides Architecture=$(ARCHITECTURE)

validate: .venv-sam/.done ## sam validate --lint
	@$(SAM) validate --lint

.venv-sam/.done: infra/sam/requirements.txt
	@$(PYTHON) -m venv .venv-sam
	@.venv-sam/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r infra/sam/requirements.txt
	@touch $@

localcloud: setup ## the real template on a local AWS emulator, to play with
	@$(BIN)/python -m infra.localcloud

lock: ## resolve the lock files anew (needs uv)
	for name in layer dev; do \
	    uv pip compile --universal --python-version 3.11 --generate-hashes --upgrade --custom-compile-command "make lock" \
	        requirements/$$name.in -o requirements/$$name.txt; \
	done
	uv pip compile --universal --python-version 3.11 --generate-hashes --upgrade --no-annotate --no-header \
	    infra/sam/requirements.in -o infra/sam/requirements.txt

clean: ## remove what the other targets made
	rm -rf .venv .venv-sam .aws-sam .demo .bench .crash .fuzz .mypy_cache .ruff_cache .pytest_cache .hypothesis
