# make demo   train four descents and look at them        make test   the whole suite
# make bench  the measurements in benchmarks/             make clean  remove what these have made
# make docs   the documentation, into build/docs          make wheel  a wheel, into dist
# make pictures   the pictures of the documentation, which are kept with it (minutes)
#
# Everything goes into .venv/ of this folder. PYTHON=/path/to/python3.12 chooses another Python.

SHELL := /bin/bash
.DELETE_ON_ERROR:
.PHONY: demo test bench docs wheel pictures clean env browser style suite

VENV := .venv
BIN := $(VENV)/bin
RUNS := runs
DEMO := rosenbrock galaxy_batch galaxy_minibatch digits_cg
WORKERS := 2
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))

# The first Python that starts and is new enough; a name on the PATH need not mean that it starts.
PYTHONS := $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11)
FIND_PYTHON = for p in $(PYTHONS); do \
	"$$p" -c '$(NEW_ENOUGH)' >/dev/null 2>&1 && { echo "$$p"; break; }; done

# Installs $$extras, with the versions pinned for this Python where there is such a file.
INSTALL = pins=$$($(BIN)/python -c 'import sys; print("constraints/py%d%d.txt" % sys.version_info[:2])'); \
	if [ -f "$$pins" ]; then echo "Installing the versions pinned in $$pins"; pins="-c $$pins"; \
	else echo "$$pins does not exist: installing the newest versions pyproject.toml allows"; pins=; fi; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $$pins -e ".[$$extras]" || { \
	  echo "The installation failed; its reason stands above. It needs a package index within reach."; exit 1; }

env: $(VENV)/.ok

$(VENV)/.ok: pyproject.toml setup.py $(wildcard constraints/*.txt)
	@python=$$($(FIND_PYTHON)); \
	if [ -z "$$python" ]; then \
	  echo "gdlab needs Python 3.11 or newer. None of these is: $(PYTHONS). On Debian 12 or newer:"; \
	  echo "  sudo apt-get install python3 python3-venv"; \
	  echo "Another one is chosen by: make PYTHON=/path/to/python3.12"; exit 1; fi; \
	if ! "$$python" -c 'import venv, ensurepip' 2>/dev/null; then \
	  echo "$$python cannot make virtual environments. On Debian or Ubuntu:"; \
	  echo "  sudo apt-get install python3-venv"; exit 1; fi; \
	if ! $(BIN)/python -c '$(NEW_ENOUGH)' >/dev/null 2>&1; then \
	  echo "Making $(VENV) with $$python"; "$$python" -m venv --clear $(VENV) || exit 1; fi; \
	extras=app,test; $(INSTALL)
	@touch $@

# A finished run is not trained again, so a second `make demo` goes straight to the page.
demo: $(VENV)/.ok
	@for name in $(DEMO); do $(BIN)/python -m gdlab experiment=$$name || exit 1; done
	$(BIN)/python -m server $(RUNS)

test: style browser suite

style: $(VENV)/.ok
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The browser tests drive Debian's Chromium.
browser:
	@if command -v chromium >/dev/null; then exit 0; fi; \
	install="apt-get install -y --no-install-recommends chromium"; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
	  echo "The browser tests need Chromium. On Debian:"; echo "  sudo $$install"; exit 1; fi; \
	echo "Installing Chromium for the browser tests"; \
	$$install >/dev/null 2>&1 || { apt-get update && $$install; } >/dev/null || { \
	  echo "Chromium could not be installed. Please run: $$install"; exit 1; }

suite: $(VENV)/.ok browser
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

# Warnings are errors; no network is needed.
docs: $(VENV)/.ok
	$(BIN)/python -m sphinx -W --keep-going -q -E -b html docs build/docs
	@echo "The documentation: build/docs/index.html"

wheel: $(VENV)/.ok
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .

# The runs that the pictures show are trained into build/runs, and not again.
pictures: $(VENV)/.ok browser
	$(BIN)/python docs/pictures.py build/runs

bench: $(VENV)/.bench
	@for file in benchmarks/[a-z]*.py; do echo "== $$file"; $(BIN)/python -m benchmarks.$$(basename $$file .py) || exit 1; done

$(VENV)/.bench: $(VENV)/.ok
	@extras=bench; $(INSTALL)
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
