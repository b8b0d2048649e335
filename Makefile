# Two commands: `make up` runs the platform, `make test` passes the tests. Both set up what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK := requirements/lock.txt
STAMP := $(VENV)/.installed

CHECKOV := requirements/checkov.txt
ZAE := requirements/zae.txt
PANDAS := requirements/pandas.txt
COMPILE := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --upgrade --quiet

.PHONY: up down test test-deploy setup lint lock infra-docs bench clean help

help:  ## what there is to make
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

up: setup  ## run the platform in the foreground, until Ctrl-C
	@$(BIN)/cutlass up

down:  ## stop a platform started with `cutlass up --detach`
	@$(BIN)/cutlass down

test: setup lint  ## lint, type-check and test; CUTLASS_LONG=1 for the long tests too, as CI does
	$(BIN)/pytest -n 2 --dist loadgroup $(if $(CUTLASS_LONG),--durations 30,-m "not long")

test-deploy: setup  ## deploy every layer to an emulator, use it, change it, destroy it (minutes)
	$(BIN)/pytest tests/deploy -x --durations 10

setup: $(STAMP)  ## make the virtual environment and install what is locked

$(STAMP): $(LOCK) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "cutlass needs Python 3.11 or newer; set PYTHON=python3.x" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the locked dependencies into $(VENV) (about half a minute)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

lint: setup  ## ruff, mypy and the contract files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m cutlass.contracts

lock: setup  ## resolve pyproject.toml again into the lock file, and the pins of checkov, zae-limiter and pandas
	$(COMPILE) pyproject.toml --extra dev -o $(LOCK)
	echo 'checkov>=3.2,<4' | $(COMPILE) - -o $(CHECKOV)
	echo 'zae-limiter==0.17.0' | $(COMPILE) - -o $(ZAE)
	printf 'pandas>=2.3,<4\npyarrow>=21\n' | $(COMPILE) - -o $(PANDAS)

infra-docs: setup  ## write inputs and outputs into the READMEs of the Terraform layers
	$(BIN)/python -m tests.infra.readme

bench: setup  ## measure Cutlass beside its peers (minutes; installs them under build/, needs npm)
	$(BIN)/python -m benchmarks.peers --install

clean:  ## remove the virtual environment, caches and the local platform's state
	@test ! -x $(BIN)/cutlass || $(BIN)/cutlass down
	rm -rf $(VENV) .cutlass .mypy_cache .ruff_cache .pytest_cache .hypothesis
