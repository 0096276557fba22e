"""The tutorials run from a plain installation, top to bottom, in the order in which a reader runs them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from pages import ROOT

NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
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


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path):
    """In an empty folder, so that nothing beside it helps; what a cell warns of is as wrong as an error."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, timeout=LONGEST, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    said = [out for cell in notebook.cells if cell.cell_type == "code" for out in cell.outputs]
    warned = [out["text"] for out in said if out.output_type == "stream" and out["name"] == "stderr"]
    assert not warned
    assert any("image/png" in out.get("data", {}) for out in said), "a tutorial shows a figure"
