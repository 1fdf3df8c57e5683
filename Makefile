# `make help` lists what there is.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
PYTEST ?=
FLOORS = annotate datasets probe terminal tui
# `make demo CONSTRAINTS=constraints.txt` installs the versions of that file.
CONSTRAINTS ?=
# An editable install warns of folders that are called as the package: here that is meant.
PIP = PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet $(if $(CONSTRAINTS),-c $(CONSTRAINTS))

# Local data, where a checkout has it beside; tests that need it skip elsewhere.
ifneq ($(wildcard ../shared/osie),)
export SALPROBE_DATA ?= $(abspath ../shared)
endif

.PHONY: help demo test fuzz faults mutants bench coverage lint docs tutorials gallery recording release lock clean

help:  ## List the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 8

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip
	$(PIP) -e '.[dev]'
	@touch $@

demo: $(VENV)/installed  ## Install, then run the main job on a small sample (simulated gaze)
	rm -rf demo
	$(BIN)/annotate fetch sample --root demo/sample
	$(BIN)/annotate cluster demo/sample --labels demo/sample/masks.json -o demo/regions.json
	$(BIN)/probe run --masks demo/regions.json --root demo/sample --model gabor --out demo/run

test: $(VENV)/installed  ## Run the tests (all of them: make test PYTEST="-m ''")
	$(BIN)/python -m pytest $(PYTEST)

fuzz: $(VENV)/installed  ## Damaged files of every kind, ten thousand (others: MUTATIONS=)
	$(BIN)/python tests/fuzz/campaign.py --mutations $(or $(MUTATIONS),10000)

faults: $(VENV)/installed  ## A failing disk under every command that writes (others: FAULTS=)
	$(BIN)/python tests/faults/campaign.py --faults $(or $(FAULTS),1000)

mutants: $(VENV)/installed  ## Which changes to the code no test notices (some: SAMPLE=200)
	$(BIN)/python -m pip install --quiet -e '.[mutants]'
	$(BIN)/python tests/mutants.py $(if $(SAMPLE),--sample $(SAMPLE))

bench: $(VENV)/installed  ## Measure speed and memory, as ratios
	$(BIN)/python benchmarks/run.py

coverage: $(VENV)/installed  ## Simulate how often intervals cover and tests reject (half an hour)
	$(BIN)/python benchmarks/coverage.py

lint: $(VENV)/installed  ## Check style, types and dependencies
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/deptry .

docs: $(VENV)/installed  ## Build the documentation into site/
	$(PIP) -e '.[docs]'
	mkdir -p build/api/salprobe
	ln -sfn $(addprefix $(CURDIR)/,$(FLOORS) $(wildcard salprobe/*.py*)) build/api/salprobe
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict # which generator, and until when: docs/adr/0019

tutorials: $(VENV)/installed  ## Run the notebooks and write their pages (OSIE's where OSIE is)
	$(PIP) -e '.[docs]'
	$(BIN)/python docs/notebooks.py

gallery: $(VENV)/installed  ## Draw the gallery's pictures anew (WEIGHTS=squeezenet1_0.pth)
	$(BIN)/python docs/gallery.py $(WEIGHTS)

recording: demo  ## Record both reviews anew, for the README (needs tmux; RUN=another run on the sample)
	$(BIN)/python docs/recording.py demo $(or $(RUN),demo/run)

release: $(VENV)/installed  ## Build what a release uploads into dist/, install it afresh, try it (uploads nothing)
	$(PIP) -e '.[release]'
	rm -rf dist build/release
	$(BIN)/python -m build
	$(BIN)/twine check --strict dist/*
	$(PYTHON) -m venv build/release
	build/release/bin/python -m pip install --quiet $(if $(CONSTRAINTS),-c $(CONSTRAINTS)) dist/*.whl
	cd build/release && bin/annotate fetch sample --root sample
	cd build/release && bin/annotate cluster sample --labels sample/masks.json -o regions.json
	cd build/release && bin/probe run --masks regions.json --root sample --model gabor --out run
	@ls -l dist

lock: $(VENV)/installed  ## Renew constraints.txt with the newest versions that fit
	mkdir -p build
	$(BIN)/python .ci/lock.py > build/constraints.txt
	mv build/constraints.txt constraints.txt

clean:  ## Remove what the targets made
	rm -rf demo site build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
