# Every target installs what it needs from the package registries; `make` alone lists them.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/roomtone
# Outside the clone, so that a second clone builds in minutes.
export CARGO_TARGET_DIR ?= $(CACHE)/target
export PATH := $(CACHE)/uv/bin:$(CACHE)/tools/bin:$(PATH)
export UV_LINK_MODE := copy
# Compiled modules lie in the cache, not in the tree: a server starts in a third of the time, where nothing forbids it.
export PYTHONPYCACHEPREFIX := $(CACHE)/pycache
unexport PYTHONDONTWRITEBYTECODE
UV_RUN := uv run --no-sync

.PHONY: help run test test-all check fix bench fuzz soak coverage web wheel clean env tools tools-test tools-long tools-fuzz

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s'|'

run: env web ## start the server with a demo room and print the page that shows it
	$(UV_RUN) roomtone serve --dev --demo

test: tools-test env web ## every suite in its short form; what CI runs
	$(UV_RUN) python tools/suites.py

test-all: tools-long env web ## every suite, long forms too
	$(UV_RUN) python tools/suites.py --long

check: tools-test env web ## format, lint, types, stubs, import contracts, forbidden words, docs
	tools/check

fix: tools env ## format and mend what can be mended by machine
	cargo fmt --all
	$(UV_RUN) ruff format .
	$(UV_RUN) ruff check --fix .
	$(UV_RUN) python tools/reference.py

bench: tools-test env web ## CPU time per unit of work, beside the peers found on this machine
	$(UV_RUN) python benches/run.py

fuzz: tools-fuzz ## each fuzz target for SECONDS (default 60)
	tools/fuzz $${SECONDS_EACH:-60}

soak: tools-test env web ## join and leave, then call, for HOURS each (default 1), memory and descriptors watched
	$(UV_RUN) python benches/soak.py --hours $${HOURS:-1}
	$(UV_RUN) python benches/soak_calls.py --hours $${HOURS:-1} --no-build

coverage: tools-test env web ## line coverage of both languages
	tools/coverage

web: tools ## build the pages into the Python package
	@cd web && if [ ! -e node_modules/.stamp ] || [ package-lock.json -nt node_modules/.stamp ]; then npm ci --no-audit --no-fund --loglevel=error && touch node_modules/.stamp; fi
	@cd web && if [ ! -e ../src/roomtone/pages/index.html ] || [ -n "$$(find src account dashboard phone play publish room watch index.html vite.config.ts package-lock.json -newer ../src/roomtone/pages/index.html)" ]; then npm run --silent build -- --logLevel warn; fi

wheel: env web ## a release wheel in dist/
	rm -f dist/*.whl
	uv build --wheel
	@python3 -m zipfile -l dist/*.whl | grep roomtone/pages/index.html >/dev/null || { echo "the wheel has no pages"; exit 1; }

env: tools ## the Python environment with the engine built into it
	@uv sync --locked --all-groups --all-extras --quiet

tools:
	@tools/prerequisites build

tools-test:
	@tools/prerequisites test

tools-long:
	@tools/prerequisites long

tools-fuzz:
	@tools/prerequisites fuzz

clean: ## remove what was built here (the shared cargo cache stays)
	rm -rf .venv dist build web/node_modules src/roomtone/pages src/roomtone/_core*.so artefacts .pytest_cache .mypy_cache .ruff_cache
