# make setup   a virtual environment with everything that Parley needs
# make kernels   the language model's arithmetic, compiled for this processor; run, test and bench do it too
# make run     setup, then the server; ARGS="--profile tiny" passes options on
# make test    what must hold before a change goes in: format, lint, types, tests
# make lint    the first three of these
# make conformance   hold conversations with all clients of the matrix, and put it into the README
# make bench   measure speed, manners and words on this machine; ARGS passes options on
# make clean   remove what these made; the models stay in the user's cache

PYTHON ?= python3
VENV   := .venv
ARGS   ?=
BIN    := $(VENV)/bin
ROOMS  := assistant audio vision pipeline clients tests
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
NO_CLUSTER := /etc/postgresql-common/createcluster.conf
PORTAUDIO := $(BIN)/python -c 'import ctypes.util, sys; sys.exit(ctypes.util.find_library("portaudio") is None)'

.PHONY: help setup run test lint conformance peers bench clean developer system kernels

help:
	@sed -n '/^#/!q; s/^# //p' Makefile

setup: $(VENV)/.installed

run: setup kernels
	@exec $(BIN)/parley serve $(ARGS)

test: developer system lint peers kernels
	$(BIN)/parley models pull
	$(BIN)/parley models pull smollm2-135m-iq4
	$(BIN)/python -m pytest --cov --cov-fail-under=100 $(ARGS)

lint: developer
	$(BIN)/ruff format --check $(ROOMS)
	$(BIN)/ruff check $(ROOMS)
	$(BIN)/mypy

conformance: developer peers kernels
	$(BIN)/parley models pull
	$(BIN)/python -m tests.conformance.clients pipecat livekit
	$(BIN)/python -m tests.conformance --write $(ARGS)

# Real clients that the tests talk to: one that can't live beside our own packages, and Node's; and what checks the page.
peers: developer system
	$(BIN)/python -m tests.conformance.clients agents
	$(BIN)/python -m tests.node

bench: developer kernels
	@exec $(BIN)/python -m tests.bench $(ARGS)

# Half a minute, once; where it can't be, that is said and all goes on as before.
kernels: setup
	@$(BIN)/python -m assistant.llm.kernels

clean:
	rm -rf $(VENV) tests/node_modules *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage bench-results
	find $(ROOMS) -name __pycache__ -type d -prune -exec rm -rf {} +

developer: $(VENV)/.installed-developer

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "There is no $(PYTHON) on this machine: install Python 3.11 or later, or pass PYTHON=/path/to/python." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Parley needs Python 3.11 or later, and $(PYTHON) is $$($(PYTHON) -V): pass PYTHON=python3.12 or the like." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "This Python lacks its venv module (Debian and Ubuntu: apt install python3-venv)." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(INSTALL) -e .
	@touch $@

$(VENV)/.installed-developer: $(VENV)/.installed
	$(INSTALL) -e '.[dev]'
	@touch $@

# Chromium runs the page's tests, Node those of its clients, PortAudio is what sounddevice binds, g++ compiles arithmetic,
# and the store is tested in PostgreSQL, of which no server is set up here: the tests run their own. They are installed
# where that needs no password.
system: $(VENV)/.installed
	@missing=""; \
	command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null \
	  || missing="$$missing chromium"; \
	command -v npm >/dev/null || missing="$$missing nodejs npm"; \
	$(PORTAUDIO) || missing="$$missing libportaudio2"; \
	command -v g++ >/dev/null || missing="$$missing g++"; \
	command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$$missing postgresql"; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if ! command -v apt-get >/dev/null; then echo "Install these for all tests:$$missing"; exit 0; fi; \
	if [ "$$(id -u)" = 0 ]; then as_root=""; \
	elif sudo -n true 2>/dev/null; then as_root="sudo -n"; \
	else echo "Install these for all tests: sudo apt install$$missing"; exit 0; fi; \
	echo "Installing$$missing"; \
	case "$$missing" in *postgresql*) test -e $(NO_CLUSTER) || $$as_root sh -c \
	  'mkdir -p $(dir $(NO_CLUSTER)) && printf "%s\n" "# Written by the make test of Parley, which runs its own servers." "create_main_cluster = false" >$(NO_CLUSTER)';; esac; \
	$$as_root apt-get update -qq \
	  && $$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null \
	  || echo "Could not install$$missing: the tests that need them will say so."
