# Every target sets up what it needs first: .venv with the versions of requirements.txt.
#
#   make demo     train the answer to the question, show it, write build/answer
#   make test     all tests but those marked full: a certificate, a calibration at full size
#   make test-all all tests
#   make test-frameworks  knobs, controller, audit and integrations with the real libraries,
#                         in .venv-frameworks
#   make test-ray        trainings on Ray: a local cluster and two nodes, in .venv-ray
#   make web      the calculator: build/web, a page for any static host (needs npm once)
#   make test-web        calculator and manual in an installed Chromium, and in Firefox where
#                 there is one, from .venv-web; DWINDLE_CHROMIUM=/path/to/chromium and
#                 DWINDLE_FIREFOX=/path/to/firefox name others than those on PATH
#   make check    format, lint, types, floors
#   make bench    packs against plain loops, what the controller costs a step, what a
#                 training of one's own costs beside itself, and how soon find ends
#   make docs     the manual, in build/docs, with Sphinx in .venv-docs
#   make demonstrate  tune against Fashion-MNIST: hours of one core, part by part
#   make soak     kills at 300 random moments, and 100,000 rows in a store
#   make evidence repeat our own studies (more than an hour of a core; ARGS="--workers 2"
#                 takes two), and make the records of evidence from them
#   make setup    only the set-up; the tool is then .venv/bin/dwindle
#
# PYTHON=/path/to/python3.12   another Python than the first one that is 3.11 or newer
# TORCH_INDEX=URL              take torch from this package index (of CPU builds, say)
# ARGS="-k half_life -x"       words for pytest, or for dwindle answer

PYTHON ?=
TORCH_INDEX ?=
ARGS ?=
BIN := .venv/bin
# Chromium must be there for test-web; Firefox is tried where it is installed.
FIREFOX_TESTS = $(if $(or $(DWINDLE_FIREFOX),$(shell command -v firefox || command -v firefox-esr)),tests/web/in_firefox.py)

# Tests start a hundred Pythons: what one of them has compiled, the others read, also
# where the environment asks Python not to keep it. Collecting takes half as long.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-all test-frameworks test-ray web test-web check bench evidence docs demonstrate soak setup clean

demo: setup
	@$(BIN)/dwindle answer --out build/answer $(ARGS)

test: setup
	@$(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder -m "not full" $(ARGS)

test-all: setup
	@$(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder $(ARGS)

test-frameworks: setup
	@TORCH_INDEX='$(TORCH_INDEX)' sh scripts/setup_frameworks.sh
	@PYTHONPATH=src .venv-frameworks/bin/python -m pytest -o addopts= --strict-markers --import-mode=importlib -p no:cacheprovider --numprocesses auto --dist loadfile tests/frameworks/run_*.py $(ARGS)

# Ray may listen beyond loopback: where the system allows it, only lo is there. A process
# for each file: a cluster of one leaves addresses that another would find.
test-ray: setup
	@sh scripts/setup_beside.sh ray Ray
	@for file in tests/on_ray/run_*.py; do PYTHONPATH=src:tests sh scripts/alone.sh .venv-ray/bin/python -m pytest -o addopts= -o filterwarnings=default --strict-markers --import-mode=importlib -p no:cacheprovider $$file $(ARGS) || exit 1; done

web: setup
	@$(BIN)/python scripts/build_web.py build/web

# In a browser nothing is reached but loopback; where the system allows it, only lo is there.
test-web: web docs
	@sh scripts/setup_beside.sh web 'what drives a browser'
	@PYTHONPATH=src:tests sh scripts/alone.sh .venv-web/bin/python -m pytest -o addopts= --strict-markers --import-mode=importlib -p no:cacheprovider tests/web/run_*.py $(FIREFOX_TESTS) $(ARGS)

check: setup
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: setup
	@$(BIN)/python bench/controller.py
	@$(BIN)/python bench/pack.py
	@$(BIN)/python bench/find_overhead.py
	@$(BIN)/python bench/find_design.py --quick

demonstrate: setup
	@$(BIN)/python scripts/tune_fashion.py $(ARGS)

soak: setup
	@SOAK=300 $(BIN)/python -m pytest -m full tests/finding/test_kill.py tests/study/test_kill.py $(ARGS)
	@$(BIN)/python bench/store_rows.py 100000

docs: setup
	@sh scripts/setup_beside.sh docs Sphinx
	@PYTHONPATH=src .venv-docs/bin/python scripts/build_docs.py

evidence: setup
	@OMP_NUM_THREADS=1 $(BIN)/python scripts/evidence.py train $(ARGS)
	@$(BIN)/python scripts/evidence.py records
	@$(BIN)/python scripts/pool_evidence.py
	@$(BIN)/python scripts/draw_evidence.py

setup:
	@PYTHON='$(PYTHON)' TORCH_INDEX='$(TORCH_INDEX)' sh scripts/setup.sh

clean:
	rm -rf .venv .venv-frameworks .venv-ray .venv-docs .venv-web build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
