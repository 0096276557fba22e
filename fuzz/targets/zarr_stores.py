"""zarr stores of both formats: their JSON documents and chunks, changed."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import anndata as ad
from target import Take, Target, read_soundly, scratch

from cycseq.formats.settings import ReadSettings
from targets.seed import small

KEYS = ("shape", "chunks", "chunk_shape", "dtype", "data_type", "fill_value", "order", "filters", "compressor", "codecs",
        "configuration", "name", "attributes", "encoding-type", "column-order", "_index", "zarr_format", "node_type",
        "consolidated_metadata", "storage_transformers", "metadata")  # fmt: skip


@cache
def originals() -> tuple[dict[str, bytes], ...]:
    """The files of small stores, by their paths in them."""
    found = []
    with scratch() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = ad.settings.zarr_write_format
        for version in (2, 3):
            ad.settings.zarr_write_format = version
            path = folder / f"{version}.zarr"
            small().write_zarr(path)
            found.append(
                {f.relative_to(path).as_posix(): f.read_bytes() for f in sorted(path.rglob("*")) if f.is_file()}
            )
        ad.settings.zarr_write_format = before
    return tuple(found)


def _changed(document: Any, take: Take) -> Any:
    """The document with something else in one place."""
    if isinstance(document, dict) and document and take.below(8):
        key = take.one_of(sorted(document))
        return {**document, key: _changed(document[key], take)}
    if isinstance(document, list) and document and take.below(8):
        place = take.below(len(document))
        return [*document[:place], _changed(document[place], take), *document[place + 1 :]]
    return take.one_of([
        take.text(), take.number(), None, True, [], {}, [take.number()], [take.number(), 2], {take.one_of(KEYS): take.text()},
        {"id": take.one_of(["pickle", "zlib", "vlen-utf8", "json2", "blosc"])}, [{"id": "vlen-utf8"}, {"id": "pickle"}], 1e300,
    ])  # fmt: skip


def run(data: bytes, folder: Path) -> None:
    """A valid store, some files of which are changed, replaced or gone."""
    take = Take(data)
    files = dict(take.one_of(originals()))
    for _ in range(1 + take.below(3)):
        name = take.one_of(sorted(files))
        action = take.below(4)
        if action == 0:
            files.pop(name)
        elif action == 1:
            files[name] = take.raw(take.below(64))
        elif action == 2 and files[name]:
            place = take.below(len(files[name]))
            files[name] = files[name][:place] + take.raw(4) + files[name][place + 4 :]
        else:
            with suppress(ValueError, UnicodeError, RecursionError):
                files[name] = json.dumps(_changed(json.loads(files[name]), take)).encode()
    for name, content in files.items():
        path = folder / "f.zarr" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    read_soundly(folder / "f.zarr", ReadSettings(make_unique=True, drop_unlabelled=True), inspected=bool(take.below(2)))


def _seeds() -> Sequence[bytes]:
    return [bytes([version, 0, name, 3, *range(8)]) for version in (0, 1) for name in range(0, 60, 4)]


ZARR = Target("zarr", run, _seeds)
