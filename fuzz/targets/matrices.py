"""10x folders: matrix, barcodes and features as texts, plain or gzipped."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import scipy.io
from target import Take, Target, read_soundly

from cycseq.formats.settings import ReadSettings
from targets.seed import GENES, LABELS, small

BETWEEN = b"\xff\xfe"
"""Parts the files in an input; occurs in no UTF-8."""


def run(data: bytes, folder: Path) -> None:
    """Matrix, barcodes, features and `cell_identities`, parted by two bytes; the first byte says which are packed."""
    take = Take(data)
    packed = take.below(256)
    contents = [*take.rest().split(BETWEEN), b"", b"", b"", b""]
    names = ("matrix.mtx", "barcodes.tsv", "features.tsv", "cell_identities.csv")
    for i, (name, content) in enumerate(zip(names, contents, strict=False)):
        if packed >> i & 1:
            broken = bool(packed >> (i + 4) & 1)
            (folder / f"{name}.gz").write_bytes(content if broken else gzip.compress(content, 1))
        else:
            (folder / name).write_bytes(content)
    if not contents[3]:
        for left in folder.glob("cell_identities*"):
            left.unlink()
    read_soundly(folder, ReadSettings(control="none" if packed >> 7 else None), inspected=True)


def _seeds() -> Sequence[bytes]:
    found = []
    for x in (small().X.T, small(sparse=False).X.T):
        text = BytesIO()
        scipy.io.mmwrite(text, x)
        barcodes = b"\n".join(b"ACGTACGT%d-1" % i for i in range(6))
        features = "\n".join(f"ENSG0000000000{i}\t{gene}\tGene Expression" for i, gene in enumerate(GENES)).encode()
        rows = [f"ACGTACGT{i}-1,{label},b0" for i, label in enumerate(LABELS)]
        identities = "\n".join(["cell_barcode,perturbation,batch", *rows]).encode()
        guides = "\n".join(
            ["cell_barcode,guide_identity,good_coverage,number_of_cells"]
            + [f"ACGTACGT{i}-1,{('NegCtrl0' if label == 'control' else label)}_NegCtrl0__x_y,True,1"
               for i, label in enumerate(LABELS)]
        ).encode()  # fmt: skip
        for packed, labels in ((0, identities), (15, guides), (0, b"")):
            found.append(bytes([packed]) + BETWEEN.join([text.getvalue(), barcodes, features, labels]))
    return found


TEN_X = Target("ten_x", run, _seeds)
