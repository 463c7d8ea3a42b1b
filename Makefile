# Each target makes .venv and installs by itself; nothing is needed before but Python 3.11 and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
export PYTHONUNBUFFERED = 1

.PHONY: help demo test check format bench load crash long browser clean
help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

.venv/.base: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[demo]'
	@touch $@

.venv/.dev: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[dev,load]'
	@touch $@ .venv/.base

demo: .venv/.base ## fill an empty data folder with real tables and serve it
	$(BIN)/dataserver demo

test: .venv/.dev ## the test suite (under five minutes on two cores)
	$(if $(PYTEST_COVERAGE),$(BIN)/coverage run -m pytest,$(BIN)/python -m pytest) -n 2 --dist worksteal

check: .venv/.dev ## format, lint, types, layers, tests with coverage: what CI runs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/coverage erase
	$(MAKE) --no-print-directory test PYTEST_COVERAGE=1
	$(BIN)/coverage combine -q
	$(BIN)/coverage report --fail-under=90 --skip-covered
	$(MAKE) --no-print-directory crash
	$(MAKE) --no-print-directory long
	$(MAKE) --no-print-directory browser

format: .venv/.dev ## rewrite the code in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/.dev ## the table of ratios; saved as JSON under .benchmarks/
	$(BIN)/python -m tests.benchmarks

load: .venv/.dev ## Locust against the demo data with workers on and off, then against the chat; two HTML reports
	$(BIN)/python -m loadtests.compare
	$(BIN)/python -m loadtests.chat_run

ACTIONS ?= 1500
SEED ?= 0
crash: .venv/.dev ## kill -9 and fault runs, bounded; ACTIONS=100000 for the crash matrix at full size, SEED=n
	$(BIN)/python -m pytest tests/crash
	$(BIN)/python -m chat.testing.crash_matrix --actions $(ACTIONS) --seed $(SEED) --calm
	$(BIN)/python -m chat.testing.crash_matrix --actions $(ACTIONS) --seed $(SEED)

long: .venv/.dev ## what takes minutes: the tools from end to end
	$(BIN)/python -m pytest tests/long

browser: .venv/.dev ## the pages in a real Chromium; skipped with a line where there is none, but not under CI
	$(BIN)/python -m pytest tests/browser

clean: ## remove what the targets made
	rm -rf .venv .screenshots .benchmarks .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .demo loadtests/report
	find . -name __pycache__ -prune -exec rm -rf {} +
