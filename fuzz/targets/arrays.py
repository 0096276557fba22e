"""NPY and NPZ files, and the lists of genes beside them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from target import Take, Target, read_soundly

from cycseq.formats.settings import ReadSettings
from targets.matrices import BETWEEN
from targets.seed import LABELS, small

MEMBERS = (
    "X",
    "genes",
    "cells",
    "perturbation",
    "batch",
    "data",
    "indices",
    "indptr",
    "shape",
    "format",
    "offsets",
    "row",
    "col",
)


def run(data: bytes, folder: Path) -> None:
    """Bytes as they are (first byte even), or members of a zip with any headers and contents (odd)."""
    take = Take(data)
    how = take.below(256)
    (folder / "genes.txt").write_text("\n".join(["G1", "G2", "G3", "G4"][: 4 - (how >> 6)]))
    path = folder / ("f.npy" if how & 2 else "f.npz")
    if how & 1:
        path = folder / "f.npz"
        with zipfile.ZipFile(path, "w") as packed:
            for part in take.rest().split(BETWEEN)[:13]:
                inner = Take(part)
                packed.writestr(f"{inner.one_of(MEMBERS)}.npy", _member(inner))
    else:
        path.write_bytes(take.rest())
    (folder / "labels.csv").write_text("\n".join(["perturbation", *LABELS]))
    said = {"genes_file": folder / "genes.txt"} if how & 4 else {}
    said |= {"labels_file": folder / "labels.csv"} if how & 16 else {}
    orientation = "genes-by-cells" if how & 8 else None
    read_soundly(path, ReadSettings(**said, orientation=orientation, drop_empty=True), inspected=True)


def _member(take: Take) -> bytes:
    """A header that may say anything, and bytes that need not fit it."""
    dtype = take.one_of(["<f4", "<f8", "<i4", "<i8", "|b1", "<U3", "|S3", "|O", "<c8", "|V4", ">f4", "<M8[s]"])
    shape = take.one_of(
        [(4, 4), (6, 4), (6, 8), (4,), (6,), (7,), (2,), (), (0, 4), (2**40, 4), (take.number(), 4), (24,)]
    )
    out = io.BytesIO()
    out.write(b"\x93NUMPY\x01\x00")
    said = repr({"descr": dtype, "fortran_order": bool(take.below(2)), "shape": shape}).encode().ljust(117) + b"\n"
    out.write(len(said).to_bytes(2, "little") + said)
    out.write(take.rest())
    return out.getvalue()


def _seeds() -> Sequence[bytes]:
    x = small(sparse=False).X
    named = {"X": x, "genes": np.array(["G1", "G2", "G3", "G4"]), "perturbation": np.array(LABELS)}
    found = []
    for write in (
        lambda out: np.savez(out, **named),
        lambda out: np.savez_compressed(out, **named),
        lambda out: sp.save_npz(out, sp.csr_matrix(x)),
        lambda out: sp.save_npz(out, sp.csc_matrix(x), compressed=False),
        lambda out: sp.save_npz(out, sp.coo_matrix(x)),
        lambda out: sp.save_npz(out, sp.bsr_matrix(x)),
    ):
        out = io.BytesIO()
        write(out)
        found.append(bytes([20]) + out.getvalue())
    for array in (x, np.hstack([x, np.eye(6, 4), np.eye(6, 2)]), x.astype("i2").T):
        out = io.BytesIO()
        np.save(out, array)
        found.append(bytes([22]) + out.getvalue())
    members = [bytes([0, 0, 1, 0]) + x.tobytes(), bytes([3, 5, 4, 0]) + b"G\0\0\0" * 12]
    return [*found, bytes([21]) + BETWEEN.join(members)]


ARRAYS = Target("arrays", run, _seeds)
