"""h5ad, h5mu and 10x h5: HDF5 files that are valid but say odd things, and files with bytes changed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from target import Take, Target, read_soundly, scratch

from cycseq.data.dataset import PerturbationData
from cycseq.formats.settings import ReadSettings
from targets.seed import LABELS, small

ENCODINGS = ("anndata", "array", "csr_matrix", "csc_matrix", "dataframe", "dict", "categorical", "string-array", "string",
             "numeric-scalar", "nullable-integer", "nullable-string-array", "rec-array", "awkward-array", "null", "raw",
             "no-such")  # fmt: skip
DTYPES = ("f4", "f8", "i4", "i8", "u1", "?", "S3", "O", "c8", "f2", [("a", "f4"), ("b", "S2")])


@cache
def originals() -> dict[str, bytes]:
    """Small files of every kind, as bytes."""
    found = {}
    with scratch() as folder:
        for name, adata in (("sparse", small()), ("dense", small(sparse=False, log1p=True))):
            adata.layers["counts"] = adata.X.copy()
            adata.obsm["PCA"] = np.ones((6, 2))
            adata.write_h5ad(folder / "a.h5ad")
            found[f"{name}.h5ad"] = (folder / "a.h5ad").read_bytes()
        raw = small()
        raw.raw = raw.copy()
        raw.X = raw.X.tocsc()
        raw.write_h5ad(folder / "a.h5ad")
        found["raw.h5ad"] = (folder / "a.h5ad").read_bytes()
        ours = PerturbationData.from_anndata(small())
        ours.adata.uns["cycseq"] |= {"training": '[["x", "G1"]]', "model": "Ridge"}
        ours.adata.varm["posterior_mean"] = np.ones((4, 2), dtype=np.float32)
        ours.adata.write_h5ad(folder / "b.h5ad")
        found["ours.h5ad"] = (folder / "b.h5ad").read_bytes()
        with h5py.File(folder / "a.h5mu", "w") as file, h5py.File(folder / "a.h5ad") as source:
            source.copy("/", file.create_group("mod"), name="rna")
            source.copy("obs", file, name="obs")
        found["a.h5mu"] = (folder / "a.h5mu").read_bytes()
        found["v3.h5"], found["v2.h5"] = _ten_x(folder, "features"), _ten_x(folder, "genes")
    return found


def _ten_x(folder: Path, kind: str) -> bytes:
    x = small().X
    with h5py.File(folder / "a.h5", "w") as file:
        group = file.create_group("matrix" if kind == "features" else "hg19")
        group["barcodes"] = np.array([f"c{i}-1".encode() for i in range(6)])
        group["data"], group["indices"], group["indptr"] = x.data.astype("i4"), x.indices, x.indptr
        group["shape"] = np.array([4, 6])
        names = np.array([b"G1", b"G2", b"G3", b"G4"])
        if kind == "features":
            group["features/id"], group["features/name"] = names, names
            group["features/feature_type"] = np.array([b"Gene Expression"] * 3 + [b"Antibody"])
        else:
            group["genes"], group["gene_names"] = names, names
    return (folder / "a.h5").read_bytes()


def _nodes(file: h5py.File) -> list[str]:
    names: list[str] = []
    file.visit(names.append)
    return sorted(names)


def _values(take: Take) -> Any:
    dtype = take.one_of(DTYPES)
    shape = tuple(take.below(8) for _ in range(take.below(3)))
    if dtype == "O":
        return np.array([take.text() for _ in range(max(1, take.below(8)))], dtype=h5py.string_dtype())
    return np.resize(np.frombuffer(take.raw(64).ljust(64, b"\1"), dtype="u1"), shape).astype(dtype)


def _change(file: h5py.File, name: str, take: Take) -> None:
    """One change to one member."""
    node = file[name]
    action = take.below(10)
    if action == 0:
        del file[name]
    elif action == 1:
        del file[name]
        file[name] = _values(take)
    elif action == 2:
        node.attrs["encoding-type"] = take.one_of(ENCODINGS)
    elif action == 3:
        key = take.one_of(["shape", "_index", "column-order", "encoding-version", "ordered", *node.attrs])
        node.attrs[key] = take.one_of([take.text(), take.number(), [take.number(), take.number()], [take.text()] * 2])
    elif action == 4:
        file[f"{name}_{take.below(3)}" if take.below(2) else take.text()] = take.one_of(
            [h5py.SoftLink(take.text()), h5py.SoftLink(f"/{name}"), h5py.ExternalLink("/etc/hostname", "/"), node]
        )
    elif action == 5:
        del file[name]
        file.create_dataset(name, shape=(abs(take.number()), 1 + take.below(3)), dtype="f4", chunks=(1, 1))
    elif action == 6:
        del file[name]
        file.create_dataset(name, shape=(16,), dtype="u1", external=[("/etc/hostname", 0, 16)])
    elif isinstance(node, h5py.Dataset) and node.shape and node.size:
        node[take.below(node.shape[0])] = take.one_of([take.number(), take.text(), -1, np.nan, 1e30])


def run_h5ad(data: bytes, folder: Path) -> None:
    """A valid file with up to four changes of what it says."""
    take = Take(data)
    name, whole = take.one_of(list(originals().items()))
    path = folder / f"f{Path(name).suffix}"
    path.write_bytes(whole)
    settings = _settings(take)
    with suppress(ValueError, TypeError, KeyError, OSError, OverflowError, RuntimeError, UnicodeError), \
            h5py.File(path, "r+") as file:  # fmt: skip
        for _ in range(1 + take.below(4)):
            _change(file, take.one_of(_nodes(file) or ["/"]), take)
    read_soundly(path, settings, inspected=True)


def run_bytes(data: bytes, folder: Path) -> None:
    """The bytes as a file of the kind that the first byte says."""
    take = Take(data)
    path = folder / f"f{take.one_of(['.h5ad', '.h5mu', '.h5'])}"
    path.write_bytes(take.rest())
    read_soundly(path, ReadSettings())


def _settings(take: Take) -> ReadSettings:
    layer = take.one_of([None, None, None, "counts", "raw", "obsm/PCA"])
    control = take.one_of([None, None, "none", "control"])
    return ReadSettings(layer=layer, control=control, make_unique=True, drop_unlabelled=True, drop_empty=True)


def _changed_seeds() -> Sequence[bytes]:
    return [
        bytes([kind, 0, 0, *step]) for kind in range(len(originals())) for step in ([0, 9, 0, 7], [1, 9, 5, 3, 2, 1])
    ]


def _whole_seeds() -> Sequence[bytes]:
    ending = {".h5ad": 0, ".h5mu": 1, ".h5": 2}
    return [bytes([ending[Path(name).suffix]]) + whole for name, whole in originals().items() if len(LABELS)]


H5AD = Target("h5ad", run_h5ad, _changed_seeds)
BYTES = Target("h5_bytes", run_bytes, _whole_seeds)
