# Needs make and Python 3.11 or newer, nothing else: everything is installed into .venv.
PYTHON ?= python3
BIN := .venv/bin
SCENARIOS ?= scenarios
SEEDS ?= 1
SEED_BASE ?= 0
JOBS ?= 0
FUZZ_SECONDS ?= 60
TARGET ?= bundles
LIMIT ?= 0
MOST ?= 32000
SHARE ?= 1

# Each of the many processes that tests start would compile all of the package anew.
export PYTHONDONTWRITEBYTECODE =

.DEFAULT_GOAL := help
.PHONY: help demo test browser lint types layers score conditions matrices pairs distractors seeds blindness sameness stranger secrets kill-matrix paste fuzz faults scaling remedies bench sizes watch-range picture lock audit clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed, $(PYTHON) is older: make PYTHON=python3.12"; exit 1; }
	@echo "installing pubsub-diag into .venv (once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

.venv/tested: .venv/installed requirements-dev.lock
	@echo "installing what the tests need into .venv (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.lock
	@touch $@

demo: .venv/installed ## diagnose a stalled backfill in a simulated Google Cloud
	@$(BIN)/pubsub-diag demo

test: .venv/tested ## run all tests, a quick score of the scenarios among them
	@echo "running the tests"
	@$(BIN)/python -m pytest -n auto

browser: .venv/tested ## the postmortem in Chromium: needs Debian's chromium, and npm for axe-core
	@$(BIN)/python -m pytest tests/browser -m browser -n 0 -rs

lint: .venv/tested ## style and order of the code
	@echo "checking style"
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: .venv/tested ## types, strictly
	@echo "checking types"
	@$(BIN)/mypy

layers: .venv/tested ## who may import whom
	@echo "checking layers"
	@$(BIN)/lint-imports

score: .venv/installed ## diagnose every scenario: SCENARIOS=dir SEEDS=n JOBS=n; FOLLOW=1 takes every offered command, too; SMALLEST=1 asks with two subscription names
	@$(BIN)/pubsub-diag lab score $(SCENARIOS) --seeds $(SEEDS) --jobs $(JOBS) $(if $(FOLLOW),--follow) $(if $(SMALLEST),--smallest)

conditions: .venv/tested ## does any scenario need each condition of each cause? (minutes)
	@$(BIN)/python -m pytest tests/scenarios -m slow -n 0

seeds: .venv/tested ## the score over seeds that nobody chose, each play kept (an hour the first time): SEEDS=n SEED_BASE=b
	@$(BIN)/python -m tests.matrices.seeds --seeds $(SEEDS) --seed-base $(SEED_BASE) --jobs $(JOBS)

blindness: .venv/tested ## who sees less says less: each kind of evidence taken away, each log cut (minutes)
	@$(BIN)/python -m tests.matrices.blindness --jobs $(JOBS)

pairs: .venv/tested ## every two faults in one pipeline, of results too, judged by the lab's tallies (an hour the first time): LIMIT=n, EVERY=1 each two scenarios
	@$(BIN)/python -m tests.matrices.pairs --jobs $(JOBS) --limit $(LIMIT) --most $(if $(EVERY),0,2); first=$$?; $(BIN)/python -m tests.matrices.outcomes pairs --jobs $(JOBS) --limit $(LIMIT) && exit $$first

distractors: .venv/tested ## each fault, of results too, beside each thing that is not it (a quarter of an hour the first time)
	@$(BIN)/python -m tests.matrices.distractors --jobs $(JOBS); first=$$?; $(BIN)/python -m tests.matrices.outcomes distractors --jobs $(JOBS) && exit $$first

sameness: .venv/tested ## the same told otherwise: names, times, order, clocks, pages, counts (minutes)
	@$(BIN)/python -m tests.matrices.sameness --jobs $(JOBS)

matrices: blindness sameness distractors pairs ## all four of what holds the verdict

stranger: .venv/tested ## a wheel in an empty environment, a pipeline that no profile knows: init, its proposals as they are, batch (minutes): STRANGER="scenario …"
	@$(BIN)/python -m tests.stranger.stranger $(STRANGER)

paste: .venv/tested ## every printed command of every scenario, with odd names, typed into real shells (a quarter of an hour)
	@$(BIN)/python -m tests.shell.pasted

fuzz: .venv/tested ## feed what nobody made: FUZZ_SECONDS=n TARGET=bundles, status, profiles, scenarios or entries
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check atheris
	@$(BIN)/python -m tests.fuzz.$(if $(filter bundles,$(TARGET)),bundles,targets $(TARGET)) -max_total_time=$(FUZZ_SECONDS)

faults: .venv/tested ## every RPC, every fault, every command: in time, and saying no more than was seen (an hour): SHARE=0.1
	@$(BIN)/python -m tests.faults.sweep --jobs $(JOBS) --share $(SHARE); first=$$?; $(BIN)/python -m tests.faults.sign_in && exit $$first

kill-matrix: .venv/tested ## end a probe at every call, in every way, and let others come between (half an hour): JOBS=n
	@$(BIN)/python -m tests.probe.kill_matrix --jobs $(JOBS)

secrets: .venv/tested ## planted secrets that are left, and look-alikes that are changed: SEEDS=n
	@$(BIN)/python -m tests.evidence.test_corpus $(SEEDS)
	@$(BIN)/python -m pytest -n 0 tests/evidence

remedies: .venv/tested ## each cause mended by its own page in a running lab, whole and half-way; needs gcloud (minutes): CODES="…"
	@$(BIN)/python -m tests.remedies $(CODES); first=$$?; $(BIN)/python -m tests.remedies --halfway $(CODES) && exit $$first

scaling: .venv/tested ## does anything take more than its share the more there is? (minutes): MOST=n
	@$(BIN)/python -m tests.scaling --most $(MOST)

bench: .venv/tested ## how long things take; no pass or fail
	@$(BIN)/python -m pytest tests/benchmarks -m "slow or not slow" -n 0 -s

sizes: .venv/tested ## what a larger batch costs, by paging and by SQL, beside raw iteration; no pass or fail: SIZES="1000 20000" DIALECT=orders
	@$(BIN)/python -m tests.benchmarks.sizes $(SIZES) $(if $(DIALECT),--dialect $(DIALECT))

watch-range: .venv/tested ## how often a batch ends within the range that watch gave: SEEDS=n (minutes)
	@$(BIN)/python -m tests.benchmarks.watch_range $(if $(filter 1,$(SEEDS)),10,$(SEEDS))

picture: .venv/tested ## draw the README's picture of an answer anew, from the answer
	@$(BIN)/python -m tests.supply.picture

lock: .venv/tested ## pin the dependencies anew, for every system and Python, with the hash of each file
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv $(COMPILE) --extra firestore --extra outcome --extra lab -o requirements.lock pyproject.toml
	@$(BIN)/uv $(COMPILE) --group dev --no-strip-extras -c requirements.lock -o requirements-dev.lock

COMPILE := pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --custom-compile-command "make lock"

audit: .venv/tested ## does any pinned dependency have a known vulnerability? Asks PyPI; says so where it cannot
	@$(BIN)/python -m tests.supply.audit requirements.lock requirements-dev.lock

clean: ## remove what make made
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .matrices build dist
