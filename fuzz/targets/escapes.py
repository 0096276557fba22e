"""HDF5 files that lead to what has no name in them, or to another file: whatever is read, the other file's text is not in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from target import Take, Target, attempt, read_soundly

from cycseq.formats.load import read_anndata
from cycseq.formats.settings import ReadSettings
from targets.h5 import _nodes, originals

SECRET = b"the text of a file that nobody gave"
ATTRIBUTES = ("categories", "_index", "column-order", "shape", "encoding-type", "DIMENSION_LIST", "x")
NAMES = ("h5ad", "h5ad", "h5ad", "h5mu", "h5")
PACKED: tuple[dict[str, Any], ...] = (
    {},
    {"chunks": (4,)},
    {"chunks": (4,), "compression": "gzip"},
    {"chunks": (4,), "compression": "lzf", "shuffle": True},
    {"chunks": (4,), "compression": "gzip", "fletcher32": True},
)


def _elsewhere(file: h5py.File, secret: Path, take: Take) -> h5py.Dataset:
    """An array of another file's bytes, in a group without a name, or with one."""
    group = file.create_group(take.one_of([None, None, "obs/__categories/hidden", "uns/hidden"]))
    kind = take.one_of([f"S{len(SECRET)}", "u1", "S1"])
    n = 1 if kind == f"S{len(SECRET)}" else len(SECRET)
    held = group.create_dataset("values", (n,), kind, external=[(str(secret), 0, len(SECRET))])
    return take.one_of([held, held, group])


def _lead(file: h5py.File, elsewhere: Any, take: Take) -> None:
    """Name what lies elsewhere in one of the ways that HDF5 has."""
    node = file[take.one_of(_nodes(file))]
    reference = take.one_of([elsewhere.ref, elsewhere.ref, h5py.Reference()])
    way = take.below(7)
    if way == 0:
        node.attrs[take.one_of(ATTRIBUTES)] = reference
    elif way == 1:
        node.attrs.create(take.one_of(ATTRIBUTES), [reference] * (1 + take.below(3)), dtype=h5py.ref_dtype)
    elif way == 2 and isinstance(elsewhere, h5py.Dataset):
        node.attrs[take.one_of(ATTRIBUTES)] = elsewhere.regionref[:]
    elif way == 3:
        file.create_dataset(f"uns/x{take.below(3)}", data=[reference], dtype=h5py.ref_dtype)
    elif way == 4:
        kind = np.dtype([("n", "i4"), ("r", h5py.ref_dtype), ("s", h5py.string_dtype())])
        node.attrs.create("x", np.array([(1, reference, "a")], dtype=kind), dtype=kind)
    elif way == 5:
        del file["obs/batch"]
        file["obs/batch"] = np.zeros(6, dtype=np.int8)
        file["obs/batch"].attrs["categories"] = reference
    else:
        settings = take.one_of(PACKED)
        texts = file.create_dataset(f"uns/t{take.below(3)}", (8,), h5py.string_dtype(), **settings)
        texts[: take.below(8)] = take.text()


def run(data: bytes, folder: Path) -> None:
    """A valid file that leads elsewhere, left open as by a process that was killed; then some of its bytes changed."""
    take = Take(data)
    (folder / "secret").write_bytes(SECRET)
    name, whole = take.one_of(list(originals().items()))
    path = folder / f"f{Path(name).suffix}"
    path.write_bytes(whole)
    with suppress(ValueError, TypeError, KeyError, OSError, OverflowError, RuntimeError, UnicodeError, AttributeError), \
            h5py.File(path, "r+") as file:  # fmt: skip
        elsewhere = _elsewhere(file, folder / "secret", take)
        for _ in range(1 + take.below(3)):
            _lead(file, elsewhere, take)
        file.flush()
        whole = path.read_bytes()
    changed = bytearray(whole)
    for _ in range(take.below(4)):
        place = take.below(len(changed))
        changed[place : place + 2] = take.raw(2)
    path.write_bytes(changed)
    settings = ReadSettings(make_unique=True, drop_unlabelled=True, drop_empty=True)
    seen: list[str] = []
    read_soundly(path, settings, note=seen.append)
    adata = attempt(read_anndata, path, settings, note=seen.append)
    if adata is not None:
        seen += [
            repr(adata.obs.to_dict()),
            repr(adata.var.to_dict()),
            repr(dict(adata.uns)),
            repr(list(adata.obs_names)),
        ]
    assert not any(SECRET.decode() in text or str(list(SECRET))[1:-1] in text for text in seen), "it was read"


def _seeds() -> Sequence[bytes]:
    way: Callable[[int, int], bytes] = lambda kind, i: bytes([kind, 0, 0, 0, 0, i * 7, 0, 0, i, 0, i % 7, 0, i, i, 2])  # noqa: E731
    return [way(kind, i) for kind in range(4) for i in range(14)]


ESCAPES = Target("escapes", run, _seeds)
