# Every verb is one line over the console script `course`, which works without make:
# on Windows say `.venv\Scripts\course run`.
PYTHON ?= python3
LESSONS ?=
DECKS ?=
RUN ?= laptop
# Lessons side by side; empty: as many as cores and memory allow.
JOBS ?=
# An index with builds of torch for your machine, if the default is not what you want.
# `make setup` asks it for torch and for nothing else.
TORCH_INDEX ?=

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
WORKERS ?= 2

.PHONY: help setup course test lab notebooks slides site doctor
.PHONY: bundle hub hub-setup capacity test-room
.PHONY: release audit lowest

help:
	@echo "make course      run the lessons; leaves build/course/index.html"
	@echo "                 (LESSONS=\"05 06\" for some, RUN=quick, laptop or full,"
	@echo "                 JOBS=1 for one after the other)"
	@echo "make lab         open JupyterLab on lesson 00"
	@echo "make test        everything that must hold before a change is merged"
	@echo "make notebooks   run the lessons and save them in place (LESSONS=05)"
	@echo "make slides      build the decks into build/slides: HTML, PDF, PPTX (DECKS=05);"
	@echo "                 needs Node.js"
	@echo "make site        build the website into build/site (its slides need Node.js)"
	@echo "make doctor      is this machine fine?"
	@echo "make bundle      one folder for a room without a network"
	@echo "make hub         a class on this machine (deploy/README.md)"
	@echo "make test-room   students on a hub, a lone notebook, a bundle, the website:"
	@echo "                 the second stage"
	@echo "make setup       install into .venv (the others do it when it is missing)"

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	@echo "The first time, the course's libraries are put into $(VENV): about 2 GB, some" \
		"minutes. pip says nothing while it works."
	@echo "1 of 2: torch, the largest"
	@$(BIN)/python -m pip install -q --no-deps -c constraints.txt \
		$(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	@echo "2 of 2: the others"
	@$(BIN)/python -m pip install -q -c constraints.txt -e ".[lab,dev]"
	@touch $@

course: $(READY)
	@$(BIN)/course run $(LESSONS) --run $(RUN) $(if $(JOBS),--jobs $(JOBS))

lab: $(READY)
	@$(BIN)/course lab

notebooks: $(READY)
	@$(BIN)/course notebooks $(LESSONS)

slides: $(READY) slides/node_modules/.ready
	@$(BIN)/course slides $(DECKS)

slides/node_modules/.ready: slides/package-lock.json
	@command -v npm >/dev/null || { echo "slides need Node.js 20 or newer with npm:" \
		"install it (nodejs.org), then say make slides again" >&2; exit 1; }
	npm ci --prefix slides --ignore-scripts --no-audit --no-fund
	@touch $@

# Without npm the website has no slides.
SITE := $(VENV)/.site
site: $(SITE) $(if $(shell command -v npm),slides/node_modules/.ready)
	@$(BIN)/course site

$(SITE): $(READY)
	$(BIN)/python -m pip install -c constraints.txt -e ".[site]"
	@touch $@

doctor: $(READY)
	@$(BIN)/course doctor

# One pytest call: unit tests, and every lesson once through papermill, its outputs
# compared with the committed ones by nbval (cells tagged nbval-check-output).
test: $(READY)
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n $(WORKERS) --no-loadscope-reorder tests

# A class: deploy/README.md.
ROOM := $(VENV)/.room
bundle test-room: export PIP_EXTRA_INDEX_URL := $(or $(TORCH_INDEX),$(PIP_EXTRA_INDEX_URL))

bundle: $(READY)
	@$(BIN)/course bundle

hub-setup: $(ROOM)

$(ROOM): $(READY) deploy/package-lock.json
	$(BIN)/python -m pip install -c constraints.txt -e ".[room]"
	npm ci --ignore-scripts --no-audit --no-fund --prefix deploy
	@touch $@

hub: $(ROOM)
	@$(BIN)/jupyterhub -f deploy/jupyterhub_config.py

capacity: $(ROOM)
	@$(BIN)/python deploy/capacity.py

# The second stage. A browser, a server or pip takes one core: two run side by side.
test-room: $(ROOM) $(SITE) slides/node_modules/.ready
	$(BIN)/python -m pytest -n $(WORKERS) --no-loadscope-reorder -m room tests

# A release: CONTRIBUTING.md. Built from what is committed, without the second shelf,
# and that shelf on its own, because a file on PyPI holds 100 MB.
TOOLS := build/tools
DIST := build/dist
$(TOOLS)/.ready:
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install -q build twine pip-audit uv
	@touch $@

release: $(TOOLS)/.ready
	rm -rf build/release $(DIST) && mkdir -p build/release/course
	git archive HEAD | tar -x -C build/release/course
	mv build/release/course/course_weights build/release/weights
	cp LICENSE build/release/weights
	$(TOOLS)/bin/python -m build -o $(DIST) build/release/course
	$(TOOLS)/bin/python -m build -o $(DIST) build/release/weights
	$(TOOLS)/bin/twine check --strict $(DIST)/*
	@ls -l $(DIST) && test -z "$$(find $(DIST) -size +100000000c)"

# Does anyone know a hole in what we were tested with? Asks PyPI; another source:
# AUDIT="--vulnerability-service osv".
AUDIT ?=
audit: $(TOOLS)/.ready
	$(TOOLS)/bin/pip-audit $(AUDIT) --strict --no-deps --disable-pip -r constraints.txt

# The floors of pyproject.toml are true: with each library at its floor, what was built
# for PyPI runs lesson 09 in another folder.
LOWEST := build/lowest
lowest: release
	rm -rf $(LOWEST) && mkdir -p $(LOWEST)/notebooks
	$(PYTHON) -m venv $(LOWEST)/env
	$(TOOLS)/bin/uv pip compile -q --resolution lowest-direct --no-annotate \
		--python $(LOWEST)/env/bin/python -o $(LOWEST)/floors.txt pyproject.toml
	$(TOOLS)/bin/uv pip install -q --python $(LOWEST)/env/bin/python \
		-r $(LOWEST)/floors.txt
	$(TOOLS)/bin/uv pip install -q --python $(LOWEST)/env/bin/python \
		--no-deps $(DIST)/*.whl
	cp notebooks/09_*.ipynb $(LOWEST)/notebooks
	cd $(LOWEST) && env/bin/course run 09 --run quick
