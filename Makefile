# make demo, test, check and docs set up everything they need in .venv; make package tries a clean installation.
PYTHON ?= python3
INSTALL := install -q --disable-pip-version-check --no-compile -c constraints.txt
BIN := .venv/bin
READY := .venv/ready
unexport PYTHONDONTWRITEBYTECODE # with it every process compiles all that it imports anew: 6 s for numpy to scikit-learn instead of 2

# make quick is the inner loop.
.PHONY: demo test quick check coverage lint docs package clean

demo: $(READY)
	$(BIN)/cycseq demo --out runs/demo --overwrite

test: $(READY)
	$(BIN)/python -m pytest -q -n auto --dist worksteal $(COVERAGE)

quick: $(READY) # the inner loop: unit and contract tests without networks, clusters, peers, pages and faults
	CYCSEQ_CHECK_TYPES=0 $(BIN)/python -m pytest -q -n auto --dist worksteal -m "not (slow or torch or cluster or peers or docs or faults)"

check: lint test

coverage: $(READY) # the tests again, with the floor of coverage that pyproject.toml says
	$(MAKE) test COVERAGE="--cov --cov-report=term"

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile

docs: $(READY)
	rm -f docs/_build/complete
	$(BIN)/python -m sphinx -E -W --keep-going docs docs/_build/html
	touch docs/_build/complete

package: $(READY)
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist
	$(PYTHON) -m venv --without-pip dist/venv
	$(BIN)/python -m pip --python dist/venv/bin/python $(INSTALL) dist/*.whl
	dist/venv/bin/python -m cycseq --help
	dist/venv/bin/cycseq demo --cells 2000 --out dist/demo --open false

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip $(INSTALL) --upgrade pip
	$(BIN)/python -m pip $(INSTALL) -e ".[dev]"
	touch $(READY)

clean:
	rm -rf .venv runs dist docs/_build
