# make train   set up, train the default recipe, print the win-rate table
# make test    set up, then lint, types, import rules and all tests
# make setup   create .venv with everything that both need
# make clean   remove .venv and what the tools left behind; runs/ stays

# By default the Python that .venv was made with; another one makes it anew.
PYTHON ?= $(or $(patsubst .venv/.installed-%,%,$(firstword $(filter-out %-dev,$(wildcard .venv/.installed-*)))),python3.11)
RECIPE ?= quickstart
RUN_DIR ?= runs/$(RECIPE)-$(shell date +%Y%m%d-%H%M%S)

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed-$(notdir $(PYTHON))
TOOLS := $(INSTALLED)-dev
INSTALL := $(BIN)/python -m pip install --quiet --prefer-binary --constraint constraints.txt

.PHONY: train test lint types imports unit setup clean
.NOTPARALLEL:

train: $(INSTALLED)
	$(BIN)/perceiver-star train --recipe $(RECIPE) --run-dir $(RUN_DIR)

test: lint types imports unit

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

imports: setup
	$(BIN)/lint-imports --no-logo

unit: setup
	$(BIN)/python -m pytest

setup: $(TOOLS)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "$(PYTHON) with its venv module is needed: install Python 3.11, or a newer one and name it: make PYTHON=python3" >&2; \
		exit 1; }
	$(PYTHON) -m venv $(if $(filter-out $@ $(TOOLS),$(wildcard $(VENV)/.installed-*)),--clear) $(VENV)
	$(INSTALL) torch
	$(INSTALL) --editable '.[microrts,train]'
	$(INSTALL) --no-deps --ignore-requires-python gym-microrts==0.6.0
	@touch $@

$(TOOLS): $(INSTALLED)
	$(INSTALL) --editable '.[microrts,starcraft2,train,dev]'
	@touch $@

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
