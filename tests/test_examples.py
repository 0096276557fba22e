"""The Examples of the public functions and classes run, and show what they say; `Settings` are shown by those that take them."""

from __future__ import annotations

import doctest
import inspect
import sys
from pathlib import Path

import pytest

import cycseq
from cycseq.data import condition, treatments
from cycseq.formats.effects.tables import layouts, long
from cycseq.knowledge import neighbours, source, stored

pytestmark = pytest.mark.usefixtures("empty_figures")

NAMES = [name for name in cycseq.__all__ if not name.endswith("Settings")]
TOO_LONG = {"compare", "tune"}
"""They train many models."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where Examples work: `counts.h5ad`, simulated cells, and `cells.h5ad`, the same prepared."""
    folder = tmp_path_factory.mktemp("examples")
    settings = cycseq.SimulateSettings(contexts=3, perturbations=6, cells=900, genes=60)
    cycseq.simulate(settings).write(folder / "counts.h5ad")
    counts = cycseq.read(folder / "counts.h5ad")
    cycseq.prepare([counts], cycseq.PrepareSettings(genes="all")).write(folder / "cells.h5ad")
    return folder


@pytest.mark.parametrize("name", [name for name in NAMES if name not in TOO_LONG])
def test_public_examples_run(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    thing = getattr(cycseq, name)
    text = inspect.getdoc(thing) or ""
    assert ">>> " in text, f"{name} has no Example"
    test = doctest.DocTestParser().get_doctest(text, dict(vars(sys.modules[thing.__module__])), name, None, 0)
    assert doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test).failed == 0


@pytest.mark.parametrize("module", [condition, treatments, neighbours, source, stored, layouts, long])
def test_examples_of_modules_run(module) -> None:
    assert doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE, extraglobs={"cycseq": cycseq}).failed == 0
