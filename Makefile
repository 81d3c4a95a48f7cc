# `make demo`: see it work. `make test`: run all tests. Both install what they need into .venv.
PYTHON ?= python3
BIN := .venv/bin
SLOW := e2e or docker or browser
UV = $(or $(shell command -v uv),.uv/bin/uv)

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast lint lock setup clean

help:  ## say what there is
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

demo: setup  ## scaffold a project into build/demo and run it on a real Airflow; KEEP=1 leaves the UI up
	@$(BIN)/python tools/demo.py $(if $(KEEP),--keep)

test: test-fast  ## lint, types and all tests
	$(BIN)/python -m pytest -m "$(SLOW)"

test-fast: lint  ## the tests that need no Airflow running, no Docker and no browser
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not ($(SLOW))"

lint: setup  ## ruff and mypy
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

lock: setup  ## choose the newest versions that work and pin them in constraints.txt
	$(UV) pip compile --quiet --universal --upgrade --no-annotate --no-header --python-version 3.10 \
	  --group pyproject.toml:dev template/requirements.txt --output-file constraints.txt

setup:
	@$(PYTHON) tools/bootstrap.py

clean:  ## remove all that make has made
	rm -rf .venv .uv build
