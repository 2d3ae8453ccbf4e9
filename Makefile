# Every target sets up what it needs: python3, pip and make are enough on a fresh machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
RAY_READY := $(VENV)/.ready-ray

.DEFAULT_GOAL := help
.PHONY: help setup demo browser test test-ray exhaustive lint types check bars clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(READY) ## Install the package and its tools, as tested, into .venv

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(READY)

demo: $(READY) ## Paint images, annotate them with the embedded checkpoint, score the result
	$(BIN)/florence-annotate demo demo --count 60
	$(BIN)/florence-annotate run demo --model shapes --visuals -o demo-dataset
	$(BIN)/florence-annotate eval demo-dataset --ground-truth demo/ground-truth.json

browser: $(READY) ## Install Chromium where there is none, for the tests of a report's page
	$(BIN)/python -m benchmarks.chromium || sh tests/install_chromium.sh

test: $(READY) browser ## Run the tests
	$(BIN)/python -m pytest -n auto --dist loadfile

test-ray: $(RAY_READY) ## Run the tests of --engine ray, for which Ray is installed
	$(BIN)/python -m pytest -m ray -n 2 --dist loadfile tests/engines/ray tests/end_to_end/test_ray.py

$(RAY_READY): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[ray]'
	@touch $(RAY_READY)

exhaustive: $(READY) browser ## Run the tests that take minutes
	$(BIN)/python -m pytest -m slow

lint: $(READY) ## Check style and format (ruff)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY) ## Check types (mypy, strict)
	$(BIN)/mypy

check: lint types test ## Lint, format, types and tests

bars: $(READY) ## Measure the embedded checkpoint on 500 unseen images, as the README states it
	sh benchmarks/accuracy.sh $(BIN)

clean: ## Remove what make wrote
	rm -rf $(VENV) demo demo-dataset build dist
