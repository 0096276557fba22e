"""CSV and TSV, tables of labels, and CycSeq's folders of CSV files."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd
from target import Take, Target, read_soundly

from cycseq.formats.settings import ReadSettings
from targets.matrices import BETWEEN
from targets.seed import GENES, small

NAMES = ("f.csv", "f.tsv", "f.txt", "f.csv.gz", "folder/b0/G1.csv", "folder/b0_G1_2.csv", "folder/y/b1/control.csv.gz")


def run(data: bytes, folder: Path) -> None:
    """A table or a folder of two, and a table of labels, parted by two bytes; the first two bytes say how it is read."""
    take = Take(data)
    name, how = take.one_of(NAMES), take.below(256)
    first, second, labels, *_ = [*take.rest().split(BETWEEN), b"", b"", b""]
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(first, 1) if name.endswith(".gz") and how & 1 else first)
    if second:
        with suppress(OSError):
            path.with_name("control.csv").write_bytes(second)
    said = {}
    if labels:
        said["labels_file"] = folder / ("l.csv.gz" if how & 2 else "l.csv")
        said["labels_file"].write_bytes(labels)
    orientation = [None, None, "cells-by-genes", "genes-by-cells"][how >> 2 & 3]
    settings = ReadSettings(orientation=orientation, make_unique=bool(how & 16), drop_unlabelled=True, drop_empty=True,
                            control=[None, "none"][how >> 5 & 1], **said)  # fmt: skip
    read_soundly(folder / "folder" if name.startswith("folder") else path, settings, inspected=True)


def _seeds() -> Sequence[bytes]:
    adata = small(sparse=False)
    values = pd.DataFrame(adata.X.astype(int), index=adata.obs_names, columns=list(GENES))
    labelled = pd.concat([adata.obs, values], axis=1)
    marked = values.T.assign(cls=[1, 0, 0, 0])
    plain = [(0, 0, labelled.to_csv(), "", ""), (1, 0, labelled.to_csv(sep="\t"), "", ""), (3, 1, labelled.to_csv(), "", ""),
             (0, 12, values.T.to_csv(), "", adata.obs.to_csv()), (0, 8, values.to_csv(sep=";"), "", adata.obs.to_csv(index=False)),
             (4, 0, marked.to_csv(), values.T.to_csv(), ""), (5, 0, marked.to_csv(), "", ""), (6, 1, marked.to_csv(), "", "")]  # fmt: skip
    swapped = adata.obs.reset_index(names="x")[["perturbation", "batch", "x"]].to_csv(index=False)
    odd = labelled.astype(str).assign(G1=["#REF!", "1,234", "0x10", "1e400", "-", "1e-400"])
    plain += [(0, 12, values.T.to_csv(), "", swapped), (0, 8, values.to_csv(), "", swapped + "control,0,c0\n"),
              (0, 0, odd.to_csv(), "", ""), (0, 0, labelled.assign(age=31, Perturbation="G1").to_csv(), "", "")]  # fmt: skip
    return [bytes([a, b]) + BETWEEN.join(text.encode() for text in texts) for a, b, *texts in plain]


TABLES = Target("tables", run, _seeds)
