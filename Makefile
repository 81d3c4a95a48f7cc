# `make demo`: see it work. `make test`: lint, types and tests. Both install what they need into .venv*.
PYTHON ?= python3
BIN := .venv/bin
ALONE := docker or projects or oldest or mwaa or stores or workers or bundles or starts or kubernetes or airflow_2
GIT_PROVIDER := apache-airflow-providers-git==1.0.1
# What the examples of ingestion need; for DuckDB a Python from 3.11 on.
INGESTION := $(addprefix apache-airflow-providers-,postgres==7.1.1 amazon[s3fs]==9.39.0 duckdb==0.2.1) kedro-datasets[ibis-duckdb]
OLDEST := .venv-oldest
ASTRO_SDK := .venv-astro-sdk
BENCH := .venv-bench
UV = $(or $(shell command -v uv),.uv/bin/uv)
LOCK = $(UV) pip compile --quiet --universal --upgrade --no-annotate --no-header --python-version 3.10

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast test-rest test-airflow test-images test-projects test-starts test-mwaa test-stores test-workers test-bundles test-kubernetes test-airflow-2 test-oldest bench lint size lock docs setup clean

help:  ## say what there is
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

demo: setup  ## scaffold a project into build/demo and run it on a real Airflow; KEEP=1 leaves the UI up
	@$(BIN)/python tools/demo.py $(if $(KEEP),--keep)

# Airflow's tests wait for much of their time, so the others run beside them.
test: lint  ## lint, types, and all tests but those that have a command of their own
	$(MAKE) --jobs 2 test-airflow test-rest

test-rest: setup
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not (e2e or browser or $(ALONE))"

test-fast: lint  ## the tests that need no Airflow running, no Docker, no browser and little time
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not (slow or e2e or browser or $(ALONE))"

test-airflow: setup  ## the tests that start an Airflow of their own, or need a browser
	$(BIN)/python -m pytest -m "(e2e or browser) and not ($(ALONE))"

test-images: setup  ## images and what runs in them, on a Docker engine; not part of `test`
	$(BIN)/python -m pytest -m "docker and not (starts or airflow_2)"

test-projects: setup  ## what is scaffolded by itself, every pair of answers, and what Copier refuses; not part of `test`
	$(BIN)/python -m pytest -n auto --dist worksteal -m "projects and not oldest"

test-starts: setup  ## the demo, the Astro CLI's standalone mode, what a killed `up` left; not part of `test`
	$(BIN)/python -m pytest -m "starts"

test-mwaa: setup  ## the example on what has the folders, pins and rules of Amazon MWAA; not part of `test`
	$(BIN)/python -m pytest -s -m "mwaa"

test-stores: setup  ## the example in an object store, and stores that do not answer; not part of `test`
	$(BIN)/python -m pytest -m "stores"

test-bundles: setup  ## a run that keeps its commit while `main` moves on: Airflow's Git bundle; not part of `test`
	$(UV) pip install --quiet --python $(BIN)/python --constraint constraints.txt $(GIT_PROVIDER)
	$(BIN)/python -m pytest -m "bundles"

test-workers: setup  ## Celery workers without a shared disk, and what is killed meanwhile; not part of `test`
	$(BIN)/python -m pytest -m "workers"

test-kubernetes: setup  ## the example in pods of a real Kubernetes (KUBECONFIG, or Debian's); not part of `test`
	$(BIN)/python tests/support/kube.py
	$(BIN)/python -m pytest -m "kubernetes"

test-airflow-2: setup  ## Airflow 2.10 and 2.11, and data that come with the Astro SDK or without it; not part of `test`
	@$(PYTHON) tools/bootstrap.py oldest
	@$(PYTHON) tools/bootstrap.py astro-sdk
	$(UV) pip install --quiet --python $(BIN)/python --constraint constraints.txt $(INGESTION)
	$(ASTRO_SDK)/bin/python -m pytest -n auto $(addprefix shim/tests/,reading running airflow)
	$(BIN)/python -m pytest -s -m "airflow_2"

# The other rooms are pure functions and models: the workflow runs all of them on all versions.
test-oldest: setup  ## what meets Airflow, Kedro and Copier, on the oldest of each that it runs on; not part of `test`
	@$(PYTHON) tools/bootstrap.py oldest
	$(OLDEST)/bin/python -m pytest -n auto $(addprefix shim/tests/,reading running airflow)
	$(BIN)/python -m pytest -m "oldest"

bench:  ## measure what the README claims under "How fast it is"; the results are in build/bench.*
	@$(PYTHON) tools/bootstrap.py bench
	@$(BENCH)/bin/python shim/benchmarks

lint: setup  ## ruff, mypy, who imports whom in the shim, its checksums and its size
	$(BIN)/python tools/checksums.py
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	PYTHONPATH=shim/src $(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/python tools/size.py

size: setup  ## how many lines of code the shim has; fails where they are too many
	@$(BIN)/python tools/size.py

lock: setup  ## choose the newest versions that work and pin them in constraints*.txt
	$(LOCK) --group pyproject.toml:bench --output-file constraints.txt
	$(LOCK) --group pyproject.toml:oldest --override overrides-oldest.txt \
	  --output-file constraints-oldest.txt
	$(LOCK) --group pyproject.toml:astro-sdk --output-file constraints-astro-sdk.txt

docs: setup  ## write docs/reference from the code
	$(BIN)/python tools/reference.py

setup:
	@$(PYTHON) tools/bootstrap.py

clean:  ## remove all that make has made
	rm -rf .venv $(OLDEST) $(ASTRO_SDK) $(BENCH) .uv build
