# The only list of commands. `make demo` and `make test` do all the set-up a fresh machine needs.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
# Node and npm come from the lock too: Debian's are too old for matrix-js-sdk.
NPM = PATH="$(CURDIR)/$(BIN):$$PATH" npm --prefix deploy/officer
# STATE=DIR keeps the demo elsewhere; ONCE=1 plays the story by itself and ends.
STATE ?= .demo

# Where `make mayan` keeps a separate program, used again by the next run; never in this tree.
MAYAN ?= $(HOME)/.cache/rabta-mayan

# The last word when a registry cannot be reached; pip and npm have said above what they tried.
UNREACHED = { echo "$(1) could not be installed. Connect this machine to the package registries, or point $(2) at a mirror, and run make again." >&2; exit 1; }

.PHONY: help demo test fuzz hostile workers mayan drill chaos check bench format lock install machine clean

help: ## Show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: install ## Bring up two ministries, the e-Office and the bridge (ONCE=1: play the story and end)
	$(BIN)/rabta demo --state "$(STATE)" $(if $(ONCE),--once) $(if $(JSON),--json)

test: install machine ## Run every test, against real homeservers, databases and a real browser
	$(NPM) test --silent
	$(BIN)/pytest --numprocesses 2 --dist loadgroup $(ARGS)

fuzz: install ## Throw guided hostile input at the bridge for SECONDS=60 (a short run is part of test)
	@mkdir -p .fuzz
	$(BIN)/python tests/bots/fuzz/fuzz.py -max_total_time=$(or $(SECONDS),60) -artifact_prefix=.fuzz/ .fuzz tests/bots/fuzz/corpus

hostile: install machine ## Let a hostile homeserver try every path (a part of test)
	$(BIN)/pytest -m hostile --numprocesses 2 --dist loadgroup $(ARGS)

drill: install machine ## Play a site's bad days: two trial sites, every part killed, a backup restored
	RABTA_TEST_SITE=1 $(BIN)/pytest --log-cli-level=INFO tests/whole/test_two_sites.py \
		tests/whole/test_ministries_apart.py tests/whole/test_withdrawal.py \
		tests/deploy/site/test_running.py $(ARGS)

workers: install machine ## Run the tests between ministries again, with one of them as five processes on PostgreSQL
	RABTA_TEST_WORKERS=1 $(BIN)/pytest tests/synapse_modules tests/whole $(ARGS)

mayan: install ## Run the bridge against a real Mayan EDMS, installed outside this tree (MAYAN=DIR)
	RABTA_MAYAN="$(MAYAN)" $(BIN)/pytest tests/mayan $(ARGS)

check: install ## Lint, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(NPM) run --silent check

chaos: install machine ## Kill every part at every step under load, and count (EVENTS=2000 DECISIONS=300)
	$(BIN)/python -m rabta_deploy.chaos --events $(or $(EVENTS),2000) --decisions $(or $(DECISIONS),300) $(ARGS)

bench: install machine ## Measure, as ratios within one run
	$(BIN)/python -m rabta_deploy.bench $(ARGS)

format: install ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(NPM) run --silent format

lock: install ## Lock what is installed, with hashes, naming no registry
	$(BIN)/uv pip compile pyproject.toml --all-extras --generate-hashes --no-emit-index-url \
		--python-version 3.11 --quiet --output-file requirements.lock

install: .venv/installed deploy/officer/dist/built ## Install the locked dependencies into .venv

# The lock is whole, and pip 23 stumbles over extras with hashes: `--no-deps`, and a look afterwards.
.venv/installed: requirements.lock pyproject.toml
	@deploy/machine.sh python
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock \
		|| $(call UNREACHED,The Python packages of requirements.lock,pip)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(BIN)/pip check --disable-pip-version-check >/dev/null
	@touch $@

deploy/officer/dist/built: .venv/installed $(wildcard deploy/officer/*.json deploy/officer/build.mjs deploy/officer/src/*)
	$(NPM) ci --loglevel=error || $(call UNREACHED,The packages of deploy/officer,npm)
	$(NPM) run --silent build
	@touch $@

machine: ## Install what the tests need of the machine (PostgreSQL, ClamAV, Chromium, fonts)
	@deploy/machine.sh tests

clean: ## Remove everything that can be made again
	rm -rf .venv .demo .fuzz deploy/officer/node_modules deploy/officer/dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
