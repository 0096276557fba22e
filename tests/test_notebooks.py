"""The tutorials run from a plain installation, top to bottom, in the order in which a reader runs them."""

from __future__ import annotations

from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from built import is_fresh
from pages import ROOT

if TYPE_CHECKING:
    import nbformat

NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
CACHE = ROOT / "docs" / "_build" / "notebooks"
"""Where `make docs` keeps notebooks that have run."""
LONGEST = 300
"""Seconds for one cell on a busy machine; on a quiet one a whole notebook takes less than 60."""

pytestmark = pytest.mark.skipif(
    find_spec("nbclient") is None or find_spec("ipykernel") is None, reason="pip install 'cycseq[docs]' runs notebooks"
)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(path: Path):
    import nbformat

    code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert code
    assert not any(cell.outputs or cell.execution_count for cell in code)


def executed(path: Path, folder: Path) -> nbformat.NotebookNode:
    """The notebook with its outputs: as `make docs` ran it, or run here, in an empty folder either way."""
    import nbformat
    from jupyter_cache import get_cache
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    if CACHE.is_dir():
        cache = get_cache(CACHE)
        with suppress(KeyError):
            record = cache.match_cache_notebook(notebook)
            if is_fresh(CACHE / "executed" / record.hashkey / "base.ipynb"):
                return cache.get_cache_bundle(record.pk).nb
    NotebookClient(
        notebook, timeout=LONGEST, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    return notebook


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path):
    """In an empty folder, so that nothing beside it helps; what a cell warns of is as wrong as an error."""
    notebook = executed(path, tmp_path)
    said = [out for cell in notebook.cells if cell.cell_type == "code" for out in cell.outputs]
    assert said
    warned = [out["text"] for out in said if out.output_type == "stream" and out["name"] == "stderr"]
    assert not warned
    assert any("image/png" in out.get("data", {}) for out in said), "a tutorial shows a figure"
