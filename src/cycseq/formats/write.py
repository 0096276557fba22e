"""`PerturbationData` -> a file or folder in another tool's layout."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from cycseq.data.dataset import PerturbationData
from cycseq.errors import DataError, SettingsError, unknown_name
from cycseq.formats.writers import LAYOUTS
from cycseq.formats.writers.base import Layout
from cycseq.io.files import atomic_write, check_output, check_space

VALUES = {
    "counts": "values: counts",
    "log1p": "values: log1p, natural logarithm",
    "scaled": "values: standardised, which no tool takes for counts or log1p",
}


def find_layout(name: str) -> Layout:
    """The layout; raises `SettingsError` for a name that does not exist."""
    if name not in LAYOUTS:
        raise unknown_name(name, "layout", [*LAYOUTS, "vcc"])
    return LAYOUTS[name]


def select_contexts(data: PerturbationData, contexts: Sequence[str]) -> PerturbationData:
    """The cells of these contexts, of all where none is named; raises `DataError` for one that does not exist."""
    for context in contexts:
        if context not in data.contexts:
            raise unknown_name(context, "context", data.contexts, DataError)
    return data.subset(c for c in data.conditions() if c.context in contexts) if contexts else data


def write_as(
    data: PerturbationData, layout: str, path: Path, *, real: PerturbationData | None = None, overwrite: bool = False
) -> tuple[str, ...]:
    """Write data in another tool's layout, whole or not at all.

    Values are written as they are, and their scale is said in the file (`uns["cycseq"]["scale"]`, or `convert.json` in a folder). The
    path is an h5ad, or a folder for `cycseq` and `cell-eval`, which alone takes real cells with their controls. Raises `SettingsError`
    if the layout has an unknown name, or real cells are missing or not wanted, `DataError` if a label or value has no place in the
    layout, and `FileError` if the output exists or cannot be written.

    Returns
    -------
    What the layout cannot hold and what its tool expects, in sentences.
    """
    target = find_layout(layout)
    if target.needs_real != (real is not None):
        cure = "use --real REAL.h5ad." if real is None else "leave --real out."
        msg = f"{target.name} is {target.what}: {cure}"
        raise SettingsError(msg, option="--real REAL.h5ad" if real is None else "")
    check_output(path, overwrite=overwrite, endings=target.endings)
    check_space(path, sys.getsizeof(data.adata))
    with atomic_write(path, overwrite=overwrite) as part:
        notes = target.write(data, real, part)
    scale = "log1p" if target.needs_real else data.scale
    return (VALUES[scale], *notes, *([target.advice[scale]] if scale in target.advice else []))
