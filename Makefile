# Every target works in a fresh checkout that has Python >= 3.11, git and make: it builds its
# environment in .venv first, and again whenever pyproject.toml changes.
#
#   make demo                  the main job, end to end, on the embedded population
#   make test                  what CI runs
#   make test PYTHON=python3.12 VENV=.venv312

VENV ?= .venv
PEERS ?= .venv-peers
PEERS_SYNTHESIS ?= .venv-peers-synthesis
WORKERS ?= 2
SEEDS ?= 0,1,2
PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11 python,\
	$(if $(shell $(p) -c 'import sys; print("yes" if sys.version_info >= (3, 11) else "")' 2>/dev/null),$(p))))

bin := $(VENV)/bin
# One thread a process: the suite runs a process a core, and figures are read in CPU seconds.
one_thread := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
pytest := $(one_thread) $(bin)/pytest -n $(WORKERS) --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help demo test test-all lint format docs bench-synthesis bench-calibration bench-hierarchy bench-fusion bench-metrics build clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.report ## draw a survey, fit, generate, compare; whole households, weighted; leaves tables and a report in demo/
	$(bin)/microplex demo

test: lint ## lint, then the fast tests and every docstring example
	$(pytest) -m "not slow"

test-all: lint ## the same with the slow tests
	$(pytest)

lint: $(VENV)/.dev ## style, format, types, floors
	$(bin)/ruff check
	$(bin)/ruff format --check
	$(bin)/mypy
	$(bin)/lint-imports --no-cache

format: $(VENV)/.dev ## put the source in its house style
	$(bin)/ruff check --fix
	$(bin)/ruff format

docs: $(VENV)/.docs ## build the documentation in docs/_build/html; a warning is an error
	$(bin)/sphinx-build --fail-on-warning --keep-going --fresh-env --quiet -b html docs docs/_build/html

bench-synthesis: $(VENV)/.dev $(PEERS_SYNTHESIS)/.made ## score synthesis beside its public peers and the noise floor (SEEDS=0,1,2)
	$(one_thread) $(bin)/python -m benchmarks.synthesis --peers $(PEERS_SYNTHESIS) --seeds $(SEEDS) $(BENCH)

bench-calibration: $(VENV)/.dev $(PEERS)/.made ## time calibration beside its public peers (BENCH="--quick")
	$(one_thread) $(bin)/python -m benchmarks.calibration --peers $(PEERS) $(BENCH)

bench-hierarchy: $(VENV)/.dev ## households beside the noise floor; enforcement and detection timed (BENCH="--seeds 0")
	$(one_thread) $(bin)/python -m benchmarks.hierarchy_enforce
	$(one_thread) $(bin)/python -m benchmarks.hierarchy_detect
	$(one_thread) $(bin)/python -m benchmarks.hierarchy $(BENCH)

bench-fusion: $(VENV)/.dev ## several surveys fused, and missing data, beside baselines (BENCH="--seeds 0")
	$(one_thread) $(bin)/python -m benchmarks.fusion $(BENCH)
	$(one_thread) $(bin)/python -m benchmarks.imputation

bench-metrics: $(VENV)/.dev ## time the measures of synthetic against real data, and their memory (BENCH="--quick")
	$(one_thread) $(bin)/python -m benchmarks.metrics $(BENCH)

build: $(VENV)/.core ## wheel and source archive in dist/
	$(bin)/pip install --quiet build
	$(bin)/python -m build

clean: ## remove what the targets above made
	rm -rf $(VENV) $(PEERS) $(PEERS_SYNTHESIS) .cache build dist docs/_build demo

# ----------------------------------------------------------------- environments

$(bin)/python:
	@test -n "$(PYTHON)" || { echo "No Python >= 3.11 found; name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is $$($(PYTHON) --version 2>&1); microplex needs Python >= 3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: pyproject.toml | $(bin)/python
	$(bin)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.report: pyproject.toml | $(bin)/python
	$(bin)/python -m pip install --quiet --editable ".[report]"
	@touch $@ $(VENV)/.core

$(VENV)/.dev: pyproject.toml | $(bin)/python
	$(bin)/python -m pip install --quiet --editable ".[dev]"
	@touch $@ $(VENV)/.core $(VENV)/.report

$(VENV)/.docs: pyproject.toml | $(bin)/python
	$(bin)/python -m pip install --quiet --editable ".[docs]"
	@touch $@ $(VENV)/.core

# The peers, each tried on its own: what cannot be installed is written down with the reason, and named in the tables.
$(PEERS)/.made: benchmarks/calibration/peers.txt | $(bin)/python
	$(bin)/python -m venv $(PEERS)
	@: > $(PEERS)/missing.txt
	@grep -v '^#' $< | while read -r package; do \
		echo "peers: $$package"; \
		$(PEERS)/bin/python -m pip install --quiet $$package "numpy<2" > $(PEERS)/pip.log 2>&1 || \
			printf '%s\t%s\n' "$$package" "$$(grep -m1 ^ERROR $(PEERS)/pip.log)" | tee -a $(PEERS)/missing.txt; \
	done
	@touch $@

$(PEERS_SYNTHESIS)/.made: benchmarks/peers_synthesis.txt | $(bin)/python
	$(bin)/python -m venv $(PEERS_SYNTHESIS)
	@: > $(PEERS_SYNTHESIS)/missing.txt
	@grep -v '^#' $< | while read -r package; do \
		echo "peers: $$package"; \
		$(PEERS_SYNTHESIS)/bin/python -m pip install --quiet $$package "numpy<2.4" > $(PEERS_SYNTHESIS)/pip.log 2>&1 || \
			printf '%s\t%s\n' "$$package" "$$(grep -m1 ^ERROR $(PEERS_SYNTHESIS)/pip.log)" | tee -a $(PEERS_SYNTHESIS)/missing.txt; \
	done
	@touch $@
