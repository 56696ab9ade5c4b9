# One verb for each habit. Everything is installed into .venv; nothing outside this folder is touched.
PYTHON ?= python3.11
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: setup demo test check docs bench wheel clean

demo: .venv/base  ## install the base package and transcribe a real recording, offline
	$(BIN)/auricle transcribe tests/clips/austen-0880.flac

setup: .venv/all  ## everything that development needs

test: .venv/all .venv/sam/bin/sam  ## the test suite, with branch coverage
	$(BIN)/python -m pytest --cov --cov-report=term

check: .venv/all  ## formatting, lint, types, import contracts, secrets of this machine
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

docs: .venv/all  ## regenerate the figures and tables that docs/ shows
	$(BIN)/python benchmarks/audio_formats.py --markdown docs/audio-formats.md
	$(BIN)/python benchmarks/output_formats.py --markdown docs/formats.md
	$(BIN)/auricle inspect tests/clips/austen-0880.flac --output docs/inspect-austen-0880.html

bench: .venv/all  ## the rows of RESULTS.md
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/audio_formats.py

wheel: .venv/all
	$(BIN)/python -m build --wheel --outdir dist .

clean:
	rm -rf .venv dist build .mypy_cache .ruff_cache .pytest_cache htmlcov .coverage

.venv/bin/python:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "pip>=25.1"

.venv/base: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) -e .
	touch $@

.venv/all: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) "$$(sed -n 's/^torch/torch/p' constraints.txt)"
	$(PIP) -e ".[media,lm,train,serve,lambda,ray]" --group dev
	touch $@ .venv/base

.venv/sam/bin/sam:  ## AWS's own check of deploy/lambda/template.yaml; it pins what we do not, so it lives apart
	$(PYTHON) -m venv .venv/sam
	.venv/sam/bin/python -m pip install --quiet --disable-pip-version-check "aws-sam-cli>=1.130"
