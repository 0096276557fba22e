# make demo, make test and make check set up everything they need in .venv.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready

.PHONY: demo test check lint clean

demo: $(READY)
	$(BIN)/cycseq demo --out runs/demo --overwrite

test: $(READY)
	$(BIN)/python -m pytest -q -n auto $(COVERAGE)

check: lint
	$(MAKE) test COVERAGE="--cov --cov-report=term"

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt --upgrade pip
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt --group dev -e ".[combat,networks,umap]"
	touch $(READY)

clean:
	rm -rf .venv runs
