"""Tables of effects: long and wide texts, GCT, Parquet, and h5ad."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, get_args

import anndata as ad
import h5py
import numpy as np
import pandas as pd
from target import Take, Target, attempt, scratch

from cycseq.data.effects import Effects, EffectScale
from cycseq.formats.effects.inspect import inspect_effects
from cycseq.formats.effects.kind import is_effects
from cycseq.formats.effects.read import read_effects
from cycseq.formats.settings import ReadSettings
from cycseq.io.hdf5 import write_h5ad
from targets.h5 import _change, _nodes
from targets.matrices import BETWEEN
from targets.seed import GENES

NAMES = ("f.csv", "f.tsv", "f.csv.gz", "f.gct", "f.parquet", "f.h5ad", "changed.h5ad")
SCALES = (None, None, "log1p", "log2_fold_change", "z", "rank")


def run(data: bytes, folder: Path) -> None:
    """A table of the kind that the first byte says, and a table of labels, parted by two bytes; or a valid h5ad that is changed."""
    take = Take(data)
    name, how = take.one_of(NAMES), take.below(256)
    path, said = folder / name, dict[str, Any]()
    if name == "changed.h5ad":
        path.write_bytes(take.one_of(_originals()))
        with suppress(ValueError, TypeError, KeyError, OSError, OverflowError, RuntimeError, UnicodeError), \
                h5py.File(path, "r+") as file:  # fmt: skip
            for _ in range(1 + take.below(3)):
                _change(file, take.one_of(_nodes(file) or ["/"]), take)
    else:
        first, labels, *_ = [*take.rest().split(BETWEEN), b"", b""]
        path.write_bytes(gzip.compress(first, 1) if name.endswith(".gz") and how & 1 else first)
        if labels:
            said["labels_file"] = folder / "l.csv"
            said["labels_file"].write_bytes(labels)
    orientation = [None, None, "cells-by-genes", "genes-by-cells"][how >> 1 & 3]
    settings = ReadSettings(scale=SCALES[(how >> 3) % len(SCALES)], orientation=orientation, make_unique=bool(how & 64),
                            drop_unlabelled=bool(how & 128), **said)  # fmt: skip
    attempt(is_effects, path, settings)
    effects = attempt(read_effects, path, settings)
    shown = attempt(inspect_effects, path, settings)
    if effects is not None:
        assert shown
        _check_sound(effects)


def _check_sound(effects: Effects) -> None:
    conditions = effects.conditions()
    assert conditions
    assert len(set(conditions)) == len(conditions)
    assert all(c.context and c.perturbation for c in conditions)
    assert len(set(effects.genes)) == len(effects.genes)
    assert effects.scale in get_args(EffectScale)
    assert effects.effect.shape == (len(conditions), len(effects.genes))
    assert not np.isinf(effects.effect).any()
    assert len(effects.fingerprint()) == 32


def _wide() -> pd.DataFrame:
    rows = [("x", "G1", 0.5, -1.0, 2.0, 0.25), ("x", "G2", 1.5, 0.0, -2.0, 0.5), ("y", "G1", 0.1, 0.2, 0.3, -0.4)]
    return pd.DataFrame(rows, columns=["cell_type", "perturbation", *GENES])


@cache
def _originals() -> tuple[bytes, ...]:
    """An h5ad of another's, and one of ours."""
    wide = _wide()
    foreign = ad.AnnData(
        wide[list(GENES)].to_numpy(dtype="f4"), obs=wide[["cell_type", "perturbation"]].set_axis(list("abc"))
    )
    foreign.var_names = list(GENES)
    foreign.uns["scale"] = "log2 fold change"
    foreign.layers["se"] = np.abs(foreign.X) / 4
    with scratch() as folder:
        foreign.write_h5ad(folder / "a.h5ad")
        write_h5ad(read_effects(folder / "a.h5ad").adata, folder / "b.h5ad")
        return (folder / "a.h5ad").read_bytes(), (folder / "b.h5ad").read_bytes()


def _seeds() -> Sequence[bytes]:
    wide = _wide()
    long = wide.melt(["cell_type", "perturbation"], var_name="gene", value_name="log2FoldChange").assign(
        lfcSE=0.1, padj=0.5
    )
    scanpy = pd.DataFrame(
        {"group": ["G1", "G2"] * 2, "names": ["a", "a", "b", "b"], "scores": 1, "logfoldchanges": [1, 2, 3, 0.5]}
    )
    seurat = pd.DataFrame({"avg_log2FC": [1, -2], "pct.1": 0.5, "pct.2": 0.1}, index=["a", "b"])
    labels = wide[["cell_type", "perturbation"]].to_csv(index=False)
    turned = (
        wide[list(GENES)].set_axis([f"{c}:{p}" for c, p in zip(wide["cell_type"], wide["perturbation"], strict=True)]).T
    )
    gct = "#1.3\n4\t3\t0\t2\nid\ts0\ts1\ts2\ncell_iname\tx\tx\ty\npert_iname\tG1\tG2\tG1\n"
    gct += turned.to_csv(sep="\t", header=False)
    texts = [(0, 0, long.to_csv(index=False), ""), (0, 24, wide.to_csv(index=False), ""), (1, 24, wide.to_csv(sep="\t"), ""),
             (0, 0, scanpy.to_csv(), ""), (0, 0, seurat.to_csv(), ""), (2, 1, long.to_csv(index=False), ""), (3, 32, gct, ""),
             (0, 30, turned.to_csv(), ""), (0, 24, wide[list(GENES)].to_csv(), labels)]  # fmt: skip
    found = [bytes([a, b]) + BETWEEN.join(text.encode() for text in two) for a, b, *two in texts]
    with scratch() as folder:
        for frame, how in ((long, 0), (wide, 24)):
            frame.to_parquet(folder / "f.parquet")
            found.append(bytes([4, how]) + (folder / "f.parquet").read_bytes())
    found += [bytes([5, 0]) + content for content in _originals()]
    return [*found, *(bytes([6, 24 * i, i % 2, 0, place, place, 1]) for i in range(4) for place in range(8))]


EFFECTS = Target("effects", run, _seeds)
