# Two commands do all the set-up: `make demo` and `make test`. They share one environment in .venv.
PYTHON ?= python3
# Where torch comes from, if not from the package index; the CPU build is a third of the size:
#   make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
BIN := .venv/bin
# What builds the site has an environment of its own; it needs nothing of the package.
SITE := .venv-docs
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
# Named after its Python, so that an environment of another one is made again.
STAMP := .venv/installed-$(VERSION)
DEMO_OUT ?= demo-out
EXTRAS := reid,plot,norse,onnx,gpu,lava,gallery,postgres,serve,recordings,cameras,tensorboard,dev
PEERS := tests/conversion/nir/peers.txt tests/events/peers.txt tests/profiling/peers.txt tests/reid/gallery/peers.txt bench/peers.txt
# Rooms whose tests take seconds each, for `make fast`.
FAST := tests/package tests/network tests/engine tests/events tests/profiling tests/hardware

# One clear line where Python is too old.
CHECK_PYTHON = $(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else 1)' || { \
	echo "make: expected Python 3.11 or later, got $(VERSION) from $(PYTHON); name another: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }

.DEFAULT_GOAL := help
.PHONY: help demo test test-full test-triton dist test-dist test-dist-all site fast fuzz kill soak check format docs bench gpu clean
# How many damaged files, how many kills, how many spikes; each has more in docs/tests.md.
N ?= 20000
SEED ?= 1
KILLS ?= 200
SPIKES ?= 1e9

help:
	@echo "make demo       the whole way on the packaged clip; writes $(DEMO_OUT)/report.html"
	@echo "make test       lint, types and tests; Lava really runs"
	@echo "make fast       tests without Lava, compilers and training: while you work"
	@echo "make test-full  the tests of make test, and those that take minutes"
	@echo "make test-triton  the kernels for GPUs in Triton's interpreter, and as machine code; no GPU needed"
	@echo "make dist       build wheel and sdist of the last commit into dist"
	@echo "make test-dist  build wheel and sdist, install them elsewhere, use them; writes docs/tests.md"
	@echo "make test-dist-all  the same with Python 3.12 and 3.13, too, where they are found"
	@echo "make fuzz       N damaged files against every reader (N=$(N), SEED=$(SEED))"
	@echo "make kill       KILLS kills at random moments; what was reported must be there (KILLS=$(KILLS))"
	@echo "make soak       random networks against the independent oracle, SPIKES in all (SPIKES=$(SPIKES))"
	@echo "make format     format the code and sort the imports"
	@echo "make docs       make the generated tables and golden files again, then the site"
	@echo "make site       build the site strictly, check its links; writes build/site/html/index.html"
	@echo "make bench      the benches, each beside its peer; writes bench/results/latest.json, docs/bench.md"
	@echo "make gpu        every test and bench that needs a GPU, at most nine minutes, offline, under PYTHON=...; writes bench/results/GPU.json"
	@echo "make clean      remove the environment, the demo's output and all compiled code"

$(STAMP): constraints.txt pyproject.toml $(PEERS)
	@$(CHECK_PYTHON)
	@if [ -e .venv ] && [ "$$($(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" != "$(VERSION)" ]; then \
		echo "removing .venv, which belongs to another Python or no longer starts"; rm -rf .venv; fi
	@echo "installing into .venv for Python $(VERSION), this once: the package with [$(EXTRAS)], Lava, and what tests compare with"
	@echo "it takes minutes, and 2.5 GB on disk with the CPU build of torch or 6.5 GB with its CUDA build, the default of PyPI on Linux (TORCH_INDEX chooses, see README.md)"
	$(PYTHON) -m venv .venv
	$(if $(TORCH_INDEX),$(BIN)/python -m pip install --constraint constraints.txt --index-url $(TORCH_INDEX) torch torchvision)
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[$(EXTRAS)]'
	$(BIN)/sdcl-neuro lava install --quiet
	$(BIN)/python -m pip install --quiet --no-deps $(addprefix --requirement ,$(PEERS))
	@touch $@

demo: $(STAMP)
	$(BIN)/sdcl-neuro demo --out $(DEMO_OUT)

# One thread each: two test processes with two threads each would wait for one another. Whole files each,
# whose fixtures are then set up once.
test: check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

test-full: check $(SITE)/installed .venv/notebooks-$(VERSION)
	OMP_NUM_THREADS=1 SDCL_NEURO_TESTS=full $(BIN)/python -m pytest --numprocesses 2 --dist loadfile -m "slow or not slow"

# What runs the notebooks, some 60 MB that make test does without.
.venv/notebooks-$(VERSION): $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt nbclient nbformat ipykernel
	@touch $@

# Triton lies apart from the environment, which works without it: 190 MB to fetch, 690 MB on disk.
.venv/triton-$(VERSION)/triton: $(STAMP)
	$(BIN)/python -m pip install --quiet --no-deps --constraint constraints.txt --target $(@D) triton
	@touch $@

test-triton: .venv/triton-$(VERSION)/triton
	PYTHONPATH=$(<D) $(BIN)/python -m pytest -q -s -m "slow or not slow" tests/kernels

dist:
	@$(CHECK_PYTHON)
	$(PYTHON) tests/distribution/check_distribution.py --build dist

test-dist: $(STAMP)
	$(BIN)/python tests/distribution/check_distribution.py --page docs/tests.md

test-dist-all: $(STAMP)
	$(BIN)/python tests/distribution/check_distribution.py --page docs/tests.md --also 3.12,3.13

fast: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile \
		-m "not slow and not lava and not compiler" $(FAST)

fuzz: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python tests/hostile/fuzzing.py --count $(N) --seed $(SEED)

kill: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python tests/killed/killing.py --count $(KILLS) --seed $(SEED)

# Goes on where it was ended: soak.json says what was compared.
soak: $(STAMP)
	PYTHONPATH=tests $(BIN)/python -m helpers.soak --spikes $(SPIKES) --state soak.json

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Each of these tests writes what it compares with; the comparison then holds.
docs: $(STAMP)
	SDCL_NEURO_OVERWRITE=1 $(BIN)/python -m pytest -q -m generated
	$(MAKE) site

$(SITE)/installed: docs/site/requirements.txt
	@echo "installing what builds the site into $(SITE), this once: some 120 MB"
	$(PYTHON) -m venv $(SITE)
	$(SITE)/bin/python -m pip install --quiet --requirement docs/site/requirements.txt
	@touch $@

site: $(SITE)/installed
	$(SITE)/bin/python docs/site/prepare.py
	NO_MKDOCS_2_WARNING=1 $(SITE)/bin/mkdocs build --strict --quiet
	$(SITE)/bin/python docs/site/check.py build/site/html

bench: $(STAMP)
	$(BIN)/python -m pytest bench --benchmark-only
	$(BIN)/python bench/results.py

# Under any interpreter with a CUDA build of torch; nothing is installed.
gpu:
	@$(PYTHON) bench/gpu_session.py

clean:
	rm -rf .venv $(SITE) $(DEMO_OUT) build/site
	find . -name '*.nbi' -delete -o -name '*.nbc' -delete
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
