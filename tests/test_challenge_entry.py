"""`cycseq convert --to vcc`: what is in an entry of the challenge, and what is refused."""

from __future__ import annotations

import json
import re
import tarfile
from pathlib import Path

import anndata as ad
import numpy as np
import pytest

from challenge_panel import GENES, convert, entry_counts, write_lists
from cycseq.cli import SUCCESS, main


def test_an_entry_holds_the_counts(tmp_path: Path) -> None:
    lists = write_lists(tmp_path)
    shuffled = entry_counts(genes=GENES[::-1])
    assert convert(lists, shuffled) == SUCCESS
    import zstandard

    with tarfile.open(lists / "entry.vcc", "r:") as tar:
        assert tar.getnames() == ["meta.json", "pred.h5ad.zst"]
        tar.extractall(lists, filter="data")
    meta = json.loads((lists / "meta.json").read_text())
    assert meta["schema"] == 1
    assert meta["contexts"] == ["A", "B"]
    assert (meta["n_obs"], meta["n_vars"], meta["nnz"], meta["panel_id"]) == (2400, 30, shuffled.X.nnz, "p")
    with (lists / "pred.h5ad.zst").open("rb") as source, (lists / "pred.h5ad").open("wb") as target:
        zstandard.ZstdDecompressor().copy_stream(source, target)
    entry = ad.read_h5ad(lists / "pred.h5ad")
    assert list(entry.var_names) == GENES
    assert set(entry.obs.columns) == {"target_gene", "context"}
    assert (entry.obs.groupby(["context", "target_gene"], observed=True).size() == 400).all()
    np.testing.assert_array_equal(entry.X.toarray(), shuffled[:, GENES].X.toarray())


REFUSED = {
    "log1p": (lambda a: ad.AnnData(np.log1p(a.X), obs=a.obs, var=a.var), "takes counts"),
    "genes": (lambda a: a[:, :-1].copy(), "1 of its 30 are missing"),
    "contexts": (lambda a: a[(a.obs["context"] == "A").to_numpy()].copy(), "must cover A, B"),
    "targets": (lambda a: a[(a.obs["target_gene"] != "G2").to_numpy()].copy(), r"1 target is missing \(G2\)"),
    "cells": (lambda a: a[1:].copy(), "G1 has 399 of 400"),
    "depth": (lambda a: ad.AnnData(a.X * np.float32(1e5), obs=a.obs, var=a.var), "1,000,000 are allowed"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_the_challenge_refuses(tmp_path: Path, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    lists = write_lists(tmp_path)
    change, message = REFUSED[what]
    assert convert(lists, change(entry_counts())) == 2
    error = capsys.readouterr().err
    assert re.search(message, error), error
    assert not (lists / "entry.vcc").exists()


def test_lists_are_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lists = write_lists(tmp_path)
    entry_counts(cells=2).write_h5ad(lists / "counts.h5ad")
    assert main(["convert", str(lists / "counts.h5ad"), "--to", "vcc", "--out", str(lists / "entry.vcc")]) == 2
    assert "--genes-file gene_names.csv and --targets pert_counts.csv" in capsys.readouterr().err
