# Everything a person or a machine does with this repository. `make help` lists it.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup fmt lint types test unit itest histories kafka bench bench-short docs demo constraints clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

setup: $(STAMP) ## make the virtual environment with everything in it

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Recourse needs Python 3.11 or later, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $(STAMP)

fmt: $(STAMP) ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(STAMP) ## check format, style and the rooms' import rule
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

types: $(STAMP) ## check the types of schemas, processors and topology, strictly
	$(BIN)/pyright

test: $(STAMP) ## all tests, on a real Kafka and Redis that they start themselves
	$(BIN)/python -m pytest $(TEST_ARGS)

unit: $(STAMP) ## the tests that need neither Kafka nor Redis
	$(BIN)/python -m pytest -m 'not integration' $(TEST_ARGS)

itest: $(STAMP) ## the tests on a real Kafka and Redis
	$(BIN)/python -m pytest -m integration $(TEST_ARGS)

histories: $(STAMP) ## random appeal histories against their promises (HISTORIES=5000)
	HISTORIES=$(or $(HISTORIES),500) $(BIN)/python -m tests.topology.histories

kafka: $(STAMP) ## start a Kafka and a Redis to work with, until Ctrl-C
	$(BIN)/python -m topology.embedded $(KAFKA_ARGS)

demo: $(STAMP) ## the main job, live, for a minute (DEMO_ARGS='--seconds 20')
	$(BIN)/recourse demo $(DEMO_ARGS)

bench: $(STAMP) ## measure the engine against its baselines (BENCH_ARGS='--json out.json')
	$(BIN)/python -m bench $(BENCH_ARGS)

bench-short: $(STAMP) ## the same with few events: does it run, not how fast is it
	$(BIN)/python -m bench --events 20000 --rounds 1 $(BENCH_ARGS)

docs: $(STAMP) ## make the generated parts of docs/ again
	$(BIN)/python -m topology.generate_docs

constraints: ## pin the versions that are installed now
	$(BIN)/python -m pip freeze --exclude-editable | grep -v '^recourse' > constraints.txt

clean: ## remove what the other targets made
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache
