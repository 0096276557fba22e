# make demo, test, check and docs set up everything they need in .venv; make package tries a clean installation.
PYTHON ?= python3
PIP := -m pip install -q --disable-pip-version-check -c constraints.txt
BIN := .venv/bin
READY := .venv/ready

# make quick is the inner loop.
.PHONY: demo test quick check coverage lint docs package clean

demo: $(READY)
	$(BIN)/cycseq demo --out runs/demo --overwrite

test: $(READY)
	$(BIN)/python -m pytest -q -n auto $(COVERAGE)

quick: $(READY) # the inner loop: unit and contract tests without networks, clusters, peers, pages and faults
	CYCSEQ_CHECK_TYPES=0 $(BIN)/python -m pytest -q -n auto -m "not (slow or torch or cluster or peers or docs or faults)"

check: lint test

coverage: $(READY) # the tests again, with the floor of coverage that pyproject.toml says
	$(MAKE) test COVERAGE="--cov --cov-report=term"

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(READY)
	$(BIN)/python -m sphinx -W --keep-going docs docs/_build/html

package: $(READY)
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist
	$(PYTHON) -m venv dist/venv
	dist/venv/bin/python $(PIP) dist/*.whl
	dist/venv/bin/python -m cycseq --help
	dist/venv/bin/cycseq demo --cells 2000 --out dist/demo --open false

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python $(PIP) --upgrade pip
	$(BIN)/python $(PIP) -e ".[dev]"
	touch $(READY)

clean:
	rm -rf .venv runs dist docs/_build
