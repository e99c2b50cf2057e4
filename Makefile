# Everything a person or a machine does with this repository. `make help` lists it.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# Tests side by side, each lane with a Kafka and a Redis of its own (about 1 GB): much of their time is waiting.
TEST_LANES ?= 2

.DEFAULT_GOAL := help
.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*\#\# .*/\1/p' Makefile)

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

test: $(STAMP) ## all tests but the long ones, on real Kafkas and Redises that they start themselves (TEST_LANES=1 for one after the other)
	$(BIN)/python -m pytest --numprocesses $(TEST_LANES) --dist loadfile --no-loadscope-reorder -m 'not long' $(TEST_ARGS)

test-long: $(STAMP) ## the slowest, which `make test` leaves out: 50,000 events under kills, a whole upgrade, the image, a desk without a broker
	$(BIN)/python -m pytest -m long $(TEST_ARGS)

unit: $(STAMP) ## the tests that need neither Kafka nor Redis
	$(BIN)/python -m pytest -m 'not integration' $(TEST_ARGS)

itest: $(STAMP) ## the tests on a real Kafka and Redis
	$(BIN)/python -m pytest -m integration $(TEST_ARGS)

histories: $(STAMP) ## random appeal histories against their promises (HISTORIES=5000)
	HISTORIES=$(or $(HISTORIES),500) $(BIN)/python -m tests.topology.histories

reference: $(STAMP) ## random worlds with systems of their own opinion, against it (SEEDS=2000, SEED=7 for one)
	SEEDS=$(or $(SEEDS),200) $(BIN)/python -m tests.topology.reference_runs

faults: $(STAMP) ## faults at every step of a batch on a real Kafka and Redis (RUNS=1000, SEED=7 RUNS=1 for one, RECORD=file)
	$(BIN)/python -m tests.faults --seed $(or $(SEED),1) --runs $(or $(RUNS),20) $(if $(RECORD),--record $(RECORD)) $(if $(REPORT),--report $(REPORT)) $(FAULTS_ARGS)

rules: $(STAMP) ## break each exactly-once rule on purpose: the tests that name it must notice
	$(BIN)/python -m tests.rules

kafka: $(STAMP) ## start a Kafka and a Redis to work with, until Ctrl-C
	$(BIN)/python -m topology.embedded $(KAFKA_ARGS)

demo: $(STAMP) ## the main job, live, for a minute (DEMO_ARGS='--seconds 20')
	$(BIN)/recourse demo $(DEMO_ARGS)

bench: $(STAMP) ## measure the engine against its baselines (BENCH_ARGS='--json out.json')
	$(BIN)/python -m bench $(BENCH_ARGS)

bench-short: $(STAMP) ## the same with few events: does it run, not how fast is it
	$(BIN)/python -m bench --events 20000 --rounds 1 $(BENCH_ARGS)

bench-watched: $(STAMP) ## what metrics and scrapes cost at full load (BENCH_ARGS='--before ../older')
	$(BIN)/python -m bench.watched $(BENCH_ARGS)

bench-remedy: $(STAMP) ## reverse 100,000 enforcements while appeals go on arriving (BENCH_ARGS='--per-second 200')
	$(BIN)/python -m bench.remedy $(BENCH_ARGS)

bench-profile: $(STAMP) ## where a worker's CPU goes, by step of the batch (BENCH_ARGS='triage --functions 30')
	$(BIN)/python -m bench.profile $(BENCH_ARGS)

misfire: $(STAMP) ## false alarms and delays of the test for misfiring detectors (BENCH_ARGS='--runs 100')
	$(BIN)/python -m bench.misfire $(BENCH_ARGS)

bench-stores: $(STAMP) ## the insights with their table in memory and in RocksDB, after pip install rocksdict (BENCH_ARGS='--events 50000')
	$(BIN)/python -m bench.stores $(BENCH_ARGS)

bench-recovery: $(STAMP) ## kill a worker with a million dossiers, flush its Redis (BENCH_ARGS='appeals --users 100000')
	$(BIN)/python -m bench.recovery $(BENCH_ARGS)

bench-scale: $(STAMP) ## events a second with 10,000 to a million users, with 1 to 4 workers (BENCH_ARGS=appeals)
	$(BIN)/python -m bench.scale $(BENCH_ARGS)

bench-overload: $(STAMP) ## ten times what a worker can do, and how it gets over it (BENCH_ARGS='--seconds 120')
	$(BIN)/python -m bench.overload $(BENCH_ARGS)

bench-ageing: $(STAMP) ## a day of timers for a million users (BENCH_ARGS='--users 100000')
	$(BIN)/python -m bench.ageing $(BENCH_ARGS)

bench-desk: $(STAMP) ## how fast the desk is: from nothing, a full queue, a case that comes, fifty at work (BENCH_ARGS='--open 1000')
	$(BIN)/python -m bench.desk $(BENCH_ARGS)

bench-peers: $(STAMP) ## the engine beside Kafka Streams, Quix Streams, arroyo and Faust (BENCH_ARGS='--stages latency')
	$(BIN)/python -m bench.peers $(BENCH_ARGS)

bench-latency: $(STAMP) ## from an appeal's produce call to its case at a committed reader (BENCH_ARGS='--rate 2000')
	$(BIN)/python -m bench.latency $(BENCH_ARGS)

audit: $(STAMP) ## known vulnerabilities in the pinned dependencies: red on one, loud when nobody can be asked
	$(BIN)/python .ci/audit.py $(AUDIT_ARGS)

docs: $(STAMP) ## make the generated parts of docs/ again
	$(BIN)/python -m topology.generate_docs
	$(BIN)/python -m deploy.strimzi

deploy-check: $(STAMP) ## lint, render and validate chart and compose file; builds Helm with Go once (ARGS=--write)
	$(BIN)/python -m deploy.check $(ARGS)

dashboards: $(STAMP) ## make the Grafana dashboards in deploy/grafana/ again
	$(BIN)/python -m deploy.dashboards

dashboard-pictures: $(STAMP) ## run a demo under a Prometheus and draw what the dashboards show of it (PICTURES_ARGS='--seconds 120')
	$(BIN)/python -m deploy.dashboards.pictures $(PICTURES_ARGS)

alerts: $(STAMP) ## check the Prometheus rules and run their tests, by promtool
	$(BIN)/python -m pytest tests/unit/test_alerts.py tests/integration/test_alert_rules.py

constraints: ## pin the versions that are installed now
	$(BIN)/python -m pip freeze --exclude-editable | grep -v '^recourse' > constraints.txt

clean: ## remove what the other targets made
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache
