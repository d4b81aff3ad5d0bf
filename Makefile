# The commands that developers and continuous integration both use. `make help` lists them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXTRAS := api,worker,embedded,dev
INSTALLED := $(VENV)/.installed

# Extra words for pytest: `make test ARGS="-k claims -x"`
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup check test integration e2e-s3 faults compose-check demo up env bench bench-serving bench-papers mutants clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(INSTALLED) ## Create .venv and install the pinned dependencies
	@:

# Rebuilt only when what is to be installed has changed.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Ganymede needs Python 3.11 or newer; choose one with: make setup PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python .ci/warn_large_torch.py constraints.txt
	$(BIN)/pip install --quiet -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $@

check: setup ## Lint, format, types, the arrows between the packages, secrets and vulnerabilities
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python .ci/scan_secrets.py
	$(BIN)/python .ci/audit.py

test: setup ## The default suite: no GPU, network or second machine
	$(BIN)/pytest -n auto --dist loadscope $(ARGS)

integration: setup ## A real Redis, a real worker process and the whole stack over HTTP
	$(BIN)/pytest -m "(integration or e2e) and not faults" -n 2 --dist loadscope $(ARGS)

e2e-s3: setup ## The whole stack over HTTP again, with its files on an S3 server
	$(BIN)/pytest -m e2e --artifacts s3 $(ARGS)

faults: setup ## Kill, freeze and starve a running stack on purpose, again and again; some 25 minutes
	$(BIN)/pytest -m faults tests/faults -n 2 --dist loadscope $(ARGS)

compose-check: setup env ## Build docker-compose.yml, bring it up, run the end-to-end tests against it; needs an engine
	@.ci/compose_check.sh

demo: setup ## Train a conditional GAN on the whole stack and draw every digit
	$(BIN)/ganymede demo $(ARGS)

up: setup ## Start the whole stack on embedded defaults
	$(BIN)/ganymede up $(ARGS)

env: ## Draw the passwords and keys that docker-compose.yml needs into .env, once
	@$(PYTHON) deploy/env.py

bench: setup ## Measure training, serving, and looking into 100,000 jobs and 10 million points; some 15 minutes
	$(BIN)/python -m benchmarks.training
	$(BIN)/python -m benchmarks.starts
	$(BIN)/python -m benchmarks.events
	$(BIN)/python -m benchmarks.serving $(ARGS)
	$(BIN)/python -m benchmarks.scale

bench-serving: setup ## Measure serving beside a plain endpoint, LitServe and BentoML, each installed apart
	@test -x .peers/litserve/bin/litserve || { $(PYTHON) -m venv .peers/litserve \
		&& .peers/litserve/bin/pip install --quiet -r benchmarks/serving/peers/litserve.txt; }
	@test -x .peers/bentoml/bin/bentoml || { $(PYTHON) -m venv .peers/bentoml \
		&& .peers/bentoml/bin/pip install --quiet -r benchmarks/serving/peers/bentoml.txt; }
	$(BIN)/python -m benchmarks.serving --peers .peers $(ARGS)

bench-papers: setup ## Run what docs/results.md still lacks and write it anew; hours, resumable
	$(BIN)/python -m benchmarks.papers $(ARGS)

mutants: setup ## Break the code on purpose, and see the tests go red
	$(BIN)/python -m tests.mutants $(ARGS)

clean: ## Remove .venv, caches and the demo's pictures; leaves trained jobs alone
	rm -rf $(VENV) demo build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
