# Two commands: `make demo` and `make test`. Each makes .venv the first time and leaves it alone after that.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
TYPING := $(VENV)/typing
# torch comes first and alone: where a CPU build is offered it is taken, and nothing later asks for another.
TORCH := $(BIN)/python -m pip install --quiet --constraint constraints.txt torch
INSTALL := $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable

.PHONY: demo test test-suite test-realtime lint types bench clean

demo: $(VENV)/.train
	$(BIN)/genba demo

test: $(VENV)/.dev lint types
	$(BIN)/python -m pytest -n 2 -m "not realtime and not suite"

# 200 seeds of every expert, 300 episodes of chance: an hour on two processors.
test-suite: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 -m suite

# Twin, host and witness each need a processor when it is their turn: not beside other work, and not in parallel.
test-realtime: $(VENV)/.dev
	$(BIN)/python -m pytest -m realtime

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

# mypy takes a package's name from its folder, and a clone may be called anything: it is shown one called genba.
types: $(VENV)/.dev
	mkdir -p $(TYPING)
	ln -sfn ../.. $(TYPING)/genba
	cd $(TYPING) && MYPYPATH=. ../bin/mypy --config-file genba/pyproject.toml --cache-dir genba/.mypy_cache \
		-p genba.robots -p genba.drivers -p genba.envs -p genba.policies -m genba.__main__

bench: $(VENV)/.dev
	for script in benchmarks/*.py; do $(BIN)/python $$script || exit 1; done

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(BIN)/python:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "genba needs Python 3.11 or later; name one: make PYTHON=/path/to/python3.11"; exit 1; }
	@"$(PYTHON)" -m venv $(VENV) || { rm -rf $(VENV); echo "on Debian and Ubuntu: apt install python3-venv"; exit 1; }

$(VENV)/.train: pyproject.toml constraints.txt | $(BIN)/python
	$(TORCH)
	$(INSTALL) '.[train]'
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(TORCH)
	$(INSTALL) '.[dev]'
	touch $@ $(VENV)/.train
