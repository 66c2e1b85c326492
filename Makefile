# Two commands: `make demo` and `make test`. Each makes .venv the first time and leaves it alone after that.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
TYPING := $(VENV)/typing
# torch comes first and alone: where a CPU build is offered it is taken, and nothing later asks for another.
TORCH := $(BIN)/python -m pip install --quiet --constraint constraints.txt torch
INSTALL := $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable

.PHONY: demo test test-suite test-realtime peers lint types bench clean

demo: $(VENV)/.train
	$(BIN)/genba demo

test: $(VENV)/.dev lint types
	$(BIN)/python -m pytest -n 2 -m "not realtime and not suite and not peers"

# 200 seeds of every expert, 300 episodes of chance, every shipped policy: more than an hour on two processors.
test-suite: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 -m suite

# Twin, host and witness each need a processor when it is their turn: not beside other work, and not in parallel.
test-realtime: $(VENV)/.dev
	$(BIN)/python -m pytest -m realtime

# Other people's clients drive our twins. Theirs is an environment of its own, of 1.4 GB.
peers: $(VENV)/.dev .peers/.ready
	$(BIN)/python -m pytest tests/peers
	$(BIN)/python -m pytest tests/drivers/test_twin.py -k unchanged

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
	rm -rf $(VENV) .peers build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

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

# LeRobot asks for an older torch and much that its motor buses never touch, hence without what it asks for.
.peers/.ready: tests/peers/requirements.txt constraints.txt | $(BIN)/python
	"$(PYTHON)" -m venv .peers
	.peers/bin/python -m pip install --quiet --constraint constraints.txt torch
	.peers/bin/python -m pip install --quiet --requirement tests/peers/requirements.txt
	.peers/bin/python -m pip install --quiet --no-deps lerobot==0.4.4 st3215==0.4.2 pydobot==1.3.2
	touch $@
