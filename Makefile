# `make demo` and `make test` are the two to know. All make .venv on first use.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
DEMO   := runs/demo

.PHONY: demo test test-quick test-all test-faults lint format docs clean

demo: $(VENV)/.demo
	$(BIN)/automl-flowers search --run $(DEMO)
	$(BIN)/automl-flowers ensemble --top 3 --run $(DEMO)
	$(BIN)/automl-flowers report --run $(DEMO)
	@echo
	@echo "results   $(DEMO)"
	@echo "look at   $(DEMO)/report.html"
	@echo "submit    $(DEMO)/submission.csv"

test: lint
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

test-quick: $(VENV)/.test
	$(BIN)/python -m pytest -m "not slow" --numprocesses auto --dist loadfile

test-all: lint
	$(BIN)/python -m pytest -m "not faults" --numprocesses auto --dist loadfile

test-faults: $(VENV)/.test
	$(BIN)/python -m pytest -m "" tests/tuning/test_kill_and_resume.py \
	    tests/tuning/test_kill_under_a_budget.py tests/end_to_end/test_kill.py

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.docs
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet docs docs/_build
	@echo "look at   docs/_build/index.html"

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	    || { echo "automl-flowers needs Python 3.11 to 3.13; try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: setup.py constraints.txt | $(VENV)/bin/python
	$(PIP) install --constraint constraints.txt --editable ".[cpu]"
	@touch $@

$(VENV)/.test: setup.py constraints.txt | $(VENV)/bin/python
	$(PIP) install --constraint constraints.txt --editable ".[cpu,test]"
	@touch $@ $(VENV)/.demo $(VENV)/.docs

$(VENV)/.docs: setup.py constraints.txt | $(VENV)/bin/python
	$(PIP) install --constraint constraints.txt --editable ".[docs]"
	@touch $@

clean:
	rm -rf $(VENV) build docs/_build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
