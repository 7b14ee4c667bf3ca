# Everything a checkout needs is done by these; each sets up what it lacks.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup hello test check kernels bench generate clean

help: ## show this
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

setup: $(READY) ## make .venv with ebee and what its tests need

$(READY): pyproject.toml src/ebee/version.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "error: $(PYTHON) is $$($(PYTHON) --version 2>&1 || echo missing), expected Python 3.11 or newer" >&2; \
	  echo "hint: name another one: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "setting up $(VENV): ebee, its compiler and the test tools (one download of some 100 MB)"
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "error: $(PYTHON) cannot make a venv" >&2; \
	  echo "hint: on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@$(BIN)/python tools/development.py > $(VENV)/development.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e . -r $(VENV)/development.txt
	@touch $@

hello: setup ## compile, load, attach and run hello in a network of its own (root)
	@$(BIN)/python examples/hello/run.py

test: setup ## all tests that can run here; those that cannot are listed with the reason
	@$(BIN)/python -m pytest -q

check: setup ## lint, types, floors, lengths, generated files
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --quiet --check
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo > $(VENV)/floors.txt || { cat $(VENV)/floors.txt; exit 1; }
	@$(BIN)/python tools/lengths.py
	@$(BIN)/python tools/generate.py --check
	@echo "check: all in order"

kernels: setup ## run tests/kernel on Debian's kernels 6.1 and 6.12 under qemu
	@$(BIN)/python tools/kernels.py test

bench: setup ## measure side by side with clang and bpftool (root)
	@$(BIN)/python -m benchmarks.hello
	@$(BIN)/python -m benchmarks.vm

generate: setup ## write src/ebee/abi and the helper definitions from the kernel's header
	@$(BIN)/python tools/generate.py

clean: ## remove .venv and caches of the tools, nothing else
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
