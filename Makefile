# Every command does all of its own set-up: `.venv` is made on the first call, and made anew whenever it is
# not whole (set-up interrupted, files gone, checkout moved) or pyproject.toml has changed.

SHELL = /bin/sh
BIN = .venv/bin

# Settings of the caller's other Pythons have no say in this one.
unexport PYTHONPATH PYTHONHOME PIP_USER PIP_TARGET PIP_PREFIX PIP_REQUIRE_VIRTUALENV

.DEFAULT_GOAL := help
.PHONY: help demo test lint docs bench clean setup

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' Makefile | expand -t 16

demo: setup ## convert a sample Gmail export into EML files, in demo/
	@rm -rf demo
	$(BIN)/unmbox convert examples/sample-takeout.mbox demo
	@echo
	@find demo -name '*.eml' | LC_ALL=C sort | sed 's/^/  /'

test: lint ## every check and every test, in a few minutes
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --cov --cov-report term

lint: setup ## the checks that run no test: ruff and mypy
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

docs: setup ## the documentation as a site, in site/; a broken link is an error
	$(BIN)/python -m sphinx -q -W --keep-going -b html -d site/.doctrees docs site
	@echo 'Open site/index.html'

bench: setup ## what the parts cost, and whole runs beside peers, on this machine
	$(BIN)/python -m pytest benchmarks
	@mkdir -p build
	$(BIN)/python -m benchmarks.compare --output build/benchmarks.md --plot build/benchmarks.svg

clean: ## remove all that these commands made
	rm -rf .venv .venv.* demo site build dist .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# `.venv/.whole` is written last and says what .venv was made for; `.venv/.files` says what must be in it.
# Files that came later (a tool's cache, a debugger) are nobody's business.
MADE_FOR = { pwd; cksum < pyproject.toml; }
FILES = find .venv -name __pycache__ -prune -o \( -type f -o -type l \) -print | LC_ALL=C sort
FITS = 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))'
PIP = $(BIN)/python -m pip --quiet --disable-pip-version-check install

setup:
	@if [ "$$($(MADE_FOR))" = "$$(cat .venv/.whole 2>&1)" ] && $(BIN)/python -c '' \
	    && [ -z "$$($(FILES) | LC_ALL=C comm -13 - .venv/.files 2>&1)" ]; then exit 0; fi; \
	for python in "$$PYTHON" python3 python3.13 python3.12 python3.11 python3.10 python3.14 python \
	    "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.1[0-9]*/bin/python3; do \
	  if [ -n "$$python" ] && "$$python" -c $(FITS) 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo 'unmbox needs Python 3.10 or newer with its venv module (on Debian and Ubuntu: python3-venv).' >&2; \
	  echo 'If there is one elsewhere, say where: make PYTHON=/path/to/python3' >&2; exit 1; \
	fi; \
	echo "Setting up .venv with $$($$found --version) ..."; \
	rm -rf .venv && "$$found" -m venv .venv \
	  && $(PIP) --upgrade 'pip>=25.1' && $(PIP) --editable '.[async,cli,remote,report,zstd]' --group dev \
	  && $(FILES) > .venv/.files && $(MADE_FOR) > .venv/.whole
