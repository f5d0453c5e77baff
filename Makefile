# The two commands that a fresh machine needs: `make demo` and `make test`. Both set everything up first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SCENARIO ?= classical
HOME_OF_DEMO ?= $(CURDIR)/.demo$(patsubst %,-%,$(filter-out classical,$(SCENARIO)))
DEMO_FLAGS ?=
PORT ?= 8600
# Where it is set, each process compiles all it imports, which takes it longer than what it is there for.
unexport PYTHONDONTWRITEBYTECODE


.PHONY: help setup demo test templates label-studio faults conformance bench-batch bench-monitoring bench-serving bench-tasks soak-serving check lint types contracts format down clean

help:
	@echo "make demo    set up, then play one model's whole life and leave the console open (SCENARIO=vision or language)"
	@echo "make test    set up, then run all tests"
	@echo "make templates  each scenario's project, from its table to production"
	@echo "make label-studio  labelling with a real Label Studio server, which is installed for it (860 MB)"
	@echo "make faults  kill processes at thirty points of releases"
	@echo "make conformance CORPUS=path  how many of a folder's Azure ML files are taken"
	@echo "make bench-batch    a large Parquet file beside pandas and scikit-learn"
	@echo "make bench-monitoring  drift and profiles of Parquet files beside Evidently, NannyML, whylogs and others"
	@echo "make bench-serving  serving against its peers, as ratios of one run (BENCH_FLAGS=--quick for a first look)"
	@echo "make bench-tasks    the components of the catalog on real data, beside naive answers (docs/tasks.md)"
	@echo "make soak-serving   an hour's requests, and what the processes hold meanwhile"
	@echo "make check   lint, types and import contracts"
	@echo "make down    stop what the demo left running"

setup: $(VENV)/.complete

# uv, at a pinned version, installs exactly what the lock file says; it needs nothing but Python itself.
$(VENV)/.complete: uv.lock pyproject.toml tools/bootstrap.py
	$(PYTHON) tools/bootstrap.py
	touch $@

demo: setup
	$(BIN)/doubleloop demo $(SCENARIO) --home "$(HOME_OF_DEMO)" --port $(PORT) $(DEMO_FLAGS)

down:
	$(BIN)/doubleloop down --home "$(HOME_OF_DEMO)"

# One process more than a small machine has processors: four tenths of what tests do is to wait for others.
TEST_PROCESSES ?= 3

test: setup
	$(PYTHON) tools/system_packages.py
	DOUBLELOOP_FAULT_RELEASES=2 $(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

# `make test` takes two of the projects of `doubleloop init` to production; this the third too, which needs torch.
templates: setup
	DOUBLELOOP_TEMPLATES=1 $(BIN)/python -m pytest -q tests/e2e/test_project_from_template.py

# `make test` asks a stand-in the same, and the real server where it lies at hand already.
label-studio: setup
	DOUBLELOOP_LABEL_STUDIO=1 $(BIN)/python -m pytest -q tests/labeling/test_label_studio.py

# Thirty kills over six releases; `make test` has ten of them, to stay quick.
faults: setup
	$(BIN)/python -m pytest tests/faults -q -s

# CONFORMANCE_FLAGS="--run" also submits the jobs that can run without internet, to the server you are logged in to.
conformance: setup
	$(BIN)/python tools/conformance.py $(CORPUS) $(CONFORMANCE_FLAGS)

bench-batch: setup
	$(BIN)/python -m benchmarks.batch $(BENCH_FLAGS)

bench-monitoring: setup
	$(BIN)/python -m benchmarks.monitoring $(BENCH_FLAGS)

# Installs each peer into an environment of its own below .benchmarks; see benchmarks/README.md.
bench-serving: setup
	$(BIN)/python -m benchmarks.serving $(BENCH_FLAGS)

bench-tasks: setup
	$(BIN)/python -m benchmarks.tasks $(BENCH_FLAGS)

soak-serving: setup
	$(BIN)/python -m benchmarks.serving.soak $(BENCH_FLAGS)

check: lint types contracts

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check src tests tools benchmarks

types: setup
	$(BIN)/mypy

contracts: setup
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff format src tests tools benchmarks
	$(BIN)/ruff check --fix .

clean: down
	rm -rf "$(HOME_OF_DEMO)"
