# Two commands: `make run` trains a pair and leaves a bundle, `make test` checks everything.
PYTHON ?= python3.11
BIN := .venv/bin
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable

.PHONY: run test lint clean

run: .venv/ganlm
	$(BIN)/ganlm run --gen lstm --disc conv

test: lint
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

lint: .venv/ganlm-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.venv/ganlm: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(INSTALL) '.[serve]'
	touch $@

.venv/ganlm-dev: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(INSTALL) '.[dev]'
	touch $@ .venv/ganlm

clean:
	rm -rf .venv dist build .pytest_cache .mypy_cache .ruff_cache
