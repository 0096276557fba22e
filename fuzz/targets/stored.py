"""h5ad files and zarr stores whose values stay in the file: the same changes as `h5.py` and `zarr_stores.py` make."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from unittest import mock

from target import Target

from targets import h5, zarr_stores

LITTLE = {"IN_MEMORY": 0.0, "LABELS": 0, "MIN_CELLS": 1, "_memory_here": lambda: 64 << 10}
"""So little memory that the few values of a seed stay in the file, in blocks of some cells."""


def run(data: bytes, folder: Path) -> None:
    """The first byte chooses between the two formats."""
    changed = h5.run_h5ad if data[:1] < b"\x80" else zarr_stores.run
    with mock.patch.multiple("cycseq.formats.readers.stored", **LITTLE):
        changed(data[1:], folder)


def _seeds() -> Sequence[bytes]:
    return [*(b"\x00" + seed for seed in h5.H5AD.seeds()), *(b"\xff" + seed for seed in zarr_stores.ZARR.seeds())]


STORED = Target("stored", run, _seeds)
