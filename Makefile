# One word per chore. Everything lives in .venv; nothing else on the machine is touched.
PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 2
# What is installed. With `match` (270 MB more) what goes by likelihood is tested too, with `files` (140 MB) Parquet: make clean test
# EXTRAS=test,bench,match,files
EXTRAS ?= test,bench

.PHONY: help demo test check bench drill clean

help:  ## what can be asked for
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: .venv/installed  ## load the demo world, tell the two stories, serve on 127.0.0.1:8000 (ONCE=1: stop after the stories)
	$(BIN)/cdp demo $(if $(filter-out 0,$(ONCE)),--once) $(ARGS)

test: .venv/installed  ## run every test
	$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

check: .venv/installed  ## lint, formatting, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/installed  ## measure the floor, the peers and us in one run
	$(BIN)/cdp bench $(ARGS)

drill: .venv/installed  ## try every bar that takes longer than a test may (ARGS=--quick: with less of everything)
	$(BIN)/python -m tests.drill $(ARGS)

clean:  ## remove what was installed (the data under .cdp stays)
	rm -rf .venv

.venv/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $@
