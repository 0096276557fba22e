"""Gene sets (GMT) and features of genes (CSV, NPZ, GO terms)."""

from __future__ import annotations

import gzip
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from target import Take, Target, attempt

from cycseq.formats.readers.base import read_genes
from cycseq.knowledge.features import read_features
from cycseq.show.interpretation.pathways import read_gmt

NAMES = ("f.gmt", "f.csv", "f.tsv", "f.csv.gz", "f.npz", "genes.txt")


def run(data: bytes, folder: Path) -> None:
    """A file of the kind that the first byte says."""
    take = Take(data)
    name, packed = take.one_of(NAMES), take.below(2)
    content = take.rest()
    path = folder / name
    path.write_bytes(gzip.compress(content, 1) if packed and name.endswith(".gz") else content)
    if name.endswith(".gmt"):
        sets = attempt(read_gmt, path)
        assert sets is None or all(name and genes for name, genes in sets.items())
    elif name == "genes.txt":
        attempt(read_genes, path)
    else:
        features = attempt(read_features, path, n_components=2)
        values = None if features is None else attempt(features.of, features.names[:1])  # a name may end as a dose does
        assert values is None or np.isfinite(values).all()


def _seeds() -> Sequence[bytes]:
    table = "gene,a,b\nG1,1,0.5\nG2,-2,3\nG3,1e3,0\n"
    go = "symbol,go_id\nG1,GO:1\nG1,GO:2\nG2,GO:2\nG3,GO:3\nG4,GO:1\n"
    packed = io.BytesIO()
    np.savez(packed, genes=np.array(["G1", "G2"]), features=np.ones((2, 3)))
    return [
        b"\0\0SET\tdescription\tG1\tG2\nOTHER\thttp://x\tG3\tG3\n",
        b"\1\0" + table.encode(),
        b"\1\0" + go.encode(),
        b"\2\0" + table.replace(",", "\t").encode(),
        b"\3\1" + table.encode(),
        b"\4\0" + packed.getvalue(),
        b"\5\0G1\tGENE1\nG2\tGENE2\n",
    ]


WORDS_OF_GENES = Target("gene_words", run, _seeds)
