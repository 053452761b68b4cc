# Each target does all its set-up on a fresh machine: Python 3.11 or newer, git and make are enough.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export DVC_NO_ANALYTICS := 1

.PHONY: repro test test-slow test-nodes test-faults test-infra lint compare ui pictures lock clean

repro: .venv/installed  ## sample data if there is none, then everything that changed
	trackmeet data sample
	dvc repro

test: .venv/installed .venv/browser lint  ## under 8 minutes on two cores
	pytest -n 2 --dist loadfile

test-slow: .venv/installed  ## the long checks
	pytest -m slow

test-nodes: .venv/installed  ## a cluster of three Ray nodes on this machine: all studies, a cut link, a lost node
	pytest -m slow tests/nodes

test-faults: .venv/installed  ## faults by the hundred
	TRACKMEET_KILLS=$${TRACKMEET_KILLS:-200} pytest -m slow tests/faults -s

test-infra: .venv/installed  ## what infra/ has, as far as one machine shows it
	pytest -m slow tests/infra tests/orchestrator/record/test_record_postgres.py

lint: .venv/installed
	ruff check .
	ruff format --check .
	mypy
	lint-imports

compare: .venv/installed  ## our measures against the official toolkits', in an environment of their own
	python -m orchestrator.compare

ui: .venv/installed  ## the MLflow record of all runs, in the browser
	trackmeet ui

pictures: .venv/installed .venv/browser  ## those of the documentation, of the report and the record that are here
	python -m orchestrator.pictures

lock: .venv/installed  ## write constraints.txt from what is installed
	{ echo "# Exact versions for 'pip install -c constraints.txt'; made by 'make lock'."; \
	  pip freeze --exclude-editable | sed -e 's/ @ .*//' -e 's/+cpu$$//'; } > constraints.txt

clean:  ## everything that can be made again, except the environment and data/
	rm -rf build

# Made whole or not at all: an interrupted installation is started again.
.venv/installed: pyproject.toml constraints.txt
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

# Where none can be installed, the tests that look at the report in it are skipped.
.venv/browser: .venv/installed
	python -m orchestrator.browser
	touch $@
