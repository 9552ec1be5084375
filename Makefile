SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --warn-undefined-variables
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
STUBS := libs/sdk
WEB := gateway/web
SDK_TS := libs/sdk-ts
# npm and what it runs find the Node of this environment.
NODE := PATH="$(CURDIR)/$(BIN):$$PATH"
NPM_INSTALLED := node_modules/.package-lock.json
WEB_SOURCES := $(shell find $(WEB) $(SDK_TS) -type f -not -path '*/node_modules/*' -not -path '*/dist/*' 2>/dev/null)
LAST_MAIN := $(shell git rev-parse --verify --quiet main^{commit} 2>/dev/null)

.PHONY: help setup generate format lint types web web-check check test e2e smoke packages first-hour faults faults-quick fuzz abuse bench-index bench-retrieval bench-search bench-scale bench-embed bench-soak bench-rpc bench-streams bench-gpu run down lock

help: ## show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | column -t -s "$$(printf '\t')"

$(BIN)/uv:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip --quiet --disable-pip-version-check install uv==0.13.8

setup: $(BIN)/uv ## make the environment in .venv, everything pinned
	$(BIN)/uv pip sync --quiet --require-hashes requirements.lock
	$(BIN)/uv pip install --quiet --no-deps --editable libs/sdk --editable models/minilm --editable .
	$(BIN)/python tools/reference.py

lock: $(BIN)/uv ## resolve requirements.lock anew from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --extra local --group dev --generate-hashes --no-emit-index-url --no-header \
		--no-emit-package semantik --no-emit-package semantik-minilm --python-version 3.11 --quiet --output-file requirements.lock

generate: $(SDK_TS)/$(NPM_INSTALLED) ## generate the stubs and the OpenAPI document from proto/, and the blocking client from the asynchronous one
	$(BIN)/python tools/generate.py proto $(STUBS)
	$(BIN)/python tools/sync_client.py
	$(BIN)/python tools/generate_ts.py proto $(SDK_TS)/src/gen
	$(BIN)/python tools/openapi.py proto

%/$(NPM_INSTALLED): %/package-lock.json
	cd $* && $(NODE) npm ci --no-progress --loglevel=error

# The app's packages include the client's, which lies beside it.
$(WEB)/$(NPM_INSTALLED): $(SDK_TS)/$(NPM_INSTALLED)

web: $(WEB)/dist/index.html ## build the browser app, which the gateway serves

$(WEB)/dist/index.html: $(WEB_SOURCES) | $(WEB)/$(NPM_INSTALLED)
	cd $(WEB) && $(NODE) npm run --silent build

web-check: $(WEB)/$(NPM_INSTALLED) ## check the types of the browser app and of its client, and run their tests
	$(BIN)/python tools/generate_ts.py --check proto $(SDK_TS)/src/gen
	cd $(SDK_TS) && $(NODE) npm run --silent check
	cd $(WEB) && $(NODE) npm run --silent check

format: ## format protos and Python
	$(BIN)/buf format --write
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format --quiet .

lint: ## lint protos, Python, imports and shape
	$(BIN)/buf format --diff --exit-code
	$(BIN)/buf lint
	if [ -n "$(LAST_MAIN)" ]; then $(BIN)/buf breaking --against ".git#ref=$(LAST_MAIN)"; fi
	$(BIN)/python tools/generate.py --check proto $(STUBS)
	$(BIN)/python tools/sync_client.py --check
	$(BIN)/python tools/openapi.py --check proto
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/lint-imports
	$(BIN)/python tools/shape.py

types: ## check types
	$(BIN)/mypy

check: lint types web-check ## everything that needs no running service

test: web ## run the tests, through real services, in two processes: those of one mesh beside all others
	mkdir -p build
	$(BIN)/pytest --part mesh >build/test-mesh.log 2>&1 & mesh=$$!; status=0; \
	$(BIN)/pytest --part rest || status=$$?; \
	wait $$mesh || status=$$?; cat build/test-mesh.log; exit $$status

e2e: web ## use the browser app as people do, on a mesh of its own: first run to restart; pictures in build/e2e, one JSON line at the end
	$(BIN)/python -P -m tests.browser

smoke: ## start a mesh, index, search, kill, restart; one JSON line at the end
	$(BIN)/python -P -m tests.e2e.smoke

packages: web ## build all wheels and sdists, install them into empty environments, and run the mesh from there
	$(BIN)/pytest --part packages tests/packages

first-hour: web ## what a newcomer meets: packages, the command, a mesh from the wheels, README's tour; one JSON line at the end
	$(BIN)/python -P -m tests.packages.first_hour

SEED ?= 1
MINUTES ?= 0
ONLY ?=
PATIENCE ?= 1

faults: ## hurt a mesh in every way we know, and audit it; SEED=n MINUTES=m at random, ONLY=F1,V9 some cases, PATIENCE=2 on a slow machine
	$(BIN)/python -P -m tests.faults --seed $(SEED) --minutes $(MINUTES) --only "$(ONLY)" --patience $(PATIENCE)

faults-quick: ## the faults that take less than five minutes together
	$(BIN)/python -P -m tests.faults --quick --patience $(PATIENCE)

CASES ?= 10000

fuzz: ## send CASES=n requests made from /openapi.json through the gateway of a mesh; one JSON line at the end
	$(BIN)/python -P -m tests.fuzz --cases $(CASES)

REPEATS ?= 20

abuse: ## attack a mesh in every way we know; REPEATS=n times as many probes and races as in the tests
	ABUSE_REPEATS=$(REPEATS) $(BIN)/python -P -m tests.abuse

bench-index: ## measure indexing through the whole mesh beside the embedder alone
	$(BIN)/python -P -m tests.bench.index

bench-retrieval: ## measure search quality on a judged set (BEIR layout)
	$(BIN)/python -P -m tests.bench.retrieval

bench-search: ## measure searches over many passages through the gateway, beside their bare parts and Chroma, in .venv-chroma where it can be
	if [ ! -x .venv-chroma/bin/python ]; then \
		$(PYTHON) -m venv .venv-chroma && .venv-chroma/bin/pip --quiet --disable-pip-version-check install torch==2.13.0 \
			sentence-transformers==5.7.0 chromadb==1.5.9 || rm -rf .venv-chroma; fi
	$(BIN)/python -P -m tests.bench.search --peer .venv-chroma/bin/python

CHUNKS ?= 1000000

bench-scale: ## measure one large collection and many small ones: import, memory, searches, start, disk; CHUNKS=n of them in the large one
	$(BIN)/python -P -m tests.bench.scale --chunks $(CHUNKS)

bench-embed: ## measure the embedder beside others, installed in .venv-bench where they can be
	if [ ! -x .venv-bench/bin/python ]; then \
		$(PYTHON) -m venv .venv-bench && .venv-bench/bin/pip --quiet --disable-pip-version-check install torch==2.13.0 \
			sentence-transformers==5.7.0 fastembed==0.9.1 || rm -rf .venv-bench; fi
	$(BIN)/python -P -m tests.bench.embed --peer .venv-bench/bin/python

bench-soak: ## send 100,000 texts through the embedding service; its memory, and its rest
	$(BIN)/python -P -m tests.bench.soak

bench-rpc: ## what a call costs each service, beside a bare echo
	$(BIN)/python -P -m tests.bench.rpc

bench-streams: ## hold 10,000 and then 20,000 watches through the gateway: time from commit to client, memory, unary calls beside them
	$(BIN)/python -P -m tests.bench.streams

bench-gpu: ## compare the embedder on an NVIDIA card (extra `gpu`) with the processor
	$(BIN)/python -P -m tests.bench.gpu

run: setup ## start the mesh with a demo collection and the browser app; Ctrl-C stops it
	$(MAKE) --no-print-directory web || echo "The browser app could not be built; the mesh runs without it."
	$(BIN)/python -P -m deploy.local.demo

down: ## stop the mesh that `make run` started
	$(BIN)/semantik down
