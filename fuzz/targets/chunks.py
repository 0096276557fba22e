"""Chunks of zarr stores, packed in all ways that are read: what they say of their size is changed, and what they hold."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
from numcodecs import get_codec
from target import Take, Target, read_soundly, scratch

from cycseq.formats.settings import ReadSettings
from targets.seed import small

CODECS = ("zstd", "blosc", "gzip", "zlib", "lz4")
SETTINGS: dict[str, dict[str, Any]] = {
    "zstd": {"level": 1, "checksum": False},
    "gzip": {"level": 1},
    "blosc": {"typesize": 4, "cname": "lz4", "clevel": 1, "shuffle": "noshuffle", "blocksize": 0},
}
ARRAYS = ("X/data", "X/indices", "obs/_index", "var/_index", "uns/x")


@cache
def originals() -> tuple[dict[str, bytes], ...]:
    """The files of stores of both formats, by their paths in them; `uns/x` of the second lies in shards."""
    import zarr

    found = []
    with scratch() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for version in (2, 3):
            with ad.settings.override(zarr_write_format=version):
                small().write_zarr(folder / f"{version}.zarr")
            uns = zarr.open_group(folder / f"{version}.zarr", path="uns", use_consolidated=False)
            shards = {"shards": (64,)} if version == 3 else {}
            x = uns.create_array("x", shape=(64,), chunks=(16,), dtype="f4", **shards)
            x[:] = np.arange(64)
            x.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
            files = sorted(f for f in (folder / f"{version}.zarr").rglob("*") if f.is_file() and f.name != ".zmetadata")
            found.append({f.relative_to(folder / f"{version}.zarr").as_posix(): f.read_bytes() for f in files})
    return tuple(found)


def _repacked(files: dict[str, bytes], array: str, take: Take) -> None:
    """Say another codec, or several, in an array's record, and pack its chunk so."""
    codec = take.one_of(CODECS)
    old = f"{array}/.zarray" in files
    record = f"{array}/.zarray" if old else f"{array}/zarr.json"
    said = json.loads(files[record])
    if old:
        said["compressor"] = {"id": codec}
        if take.below(8) == 7:
            said["filters"] = [*(said["filters"] or []), {"id": take.one_of(CODECS)}]
    elif codec in SETTINGS:
        first = said["codecs"][0]
        packed = [{"name": codec, "configuration": SETTINGS[codec]}] * (1 + take.below(8) // 7)
        if first["name"] == "sharding_indexed":
            first["configuration"]["codecs"] = [*first["configuration"]["codecs"][:1], *packed]
        else:
            said["codecs"] = [first, *packed, *([{"name": "crc32c"}] if take.below(8) == 7 else [])]
    if take.below(4) == 3:
        said["shape"] = [take.one_of([0, 6, 17, 18, 19, 1 << 20, 1 << 40, 64])]
    files[record] = json.dumps(said).encode()
    content = take.one_of([np.arange(18, dtype="f4").tobytes(), bytes(72), bytes(1 << 20), _texts(take), take.raw(40)])
    chunk = bytearray(get_codec({"id": codec}).encode(content))
    for _ in range(take.below(3)):
        place = take.below(min(len(chunk), 24))
        chunk[place : place + 4] = take.one_of([b"\xff\xff\xff\x7f", b"\0\0\0\x40", b"\0", take.raw(4)])
    name = next((n for n in files if n.startswith(f"{array}/") and n[-1].isdigit()), f"{array}/0")
    files[name] = bytes(chunk) + take.raw(take.below(3) * 8)


def _texts(take: Take) -> bytes:
    """Names as zarr packs texts: their number, and the length of each before it."""
    names = [take.text().encode("utf-8", "replace") for _ in range(take.below(8))]
    n = take.one_of([len(names), len(names), 6, 1 << 30, 0xFFFFFFFF, 0x80000000])
    return n.to_bytes(4, "little") + b"".join(len(name).to_bytes(4, "little") + name for name in names)


def run(data: bytes, folder: Path) -> None:
    """A valid store, one or two chunks of which are packed anew; links and pipes in place of some."""
    take = Take(data)
    files = dict(take.one_of(originals()))
    for _ in range(1 + take.below(2)):
        _repacked(files, take.one_of(ARRAYS), take)
    for name, content in files.items():
        path = folder / "f.zarr" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    if take.below(16) == 15:
        (folder / "f.zarr" / "obs" / "more").symlink_to(take.one_of(["/dev/zero", "..", "/etc", "more"]))
    read_soundly(folder / "f.zarr", ReadSettings(make_unique=True, drop_unlabelled=True, drop_empty=True))


def _seeds() -> Sequence[bytes]:
    arrays = range(len(ARRAYS))
    return [bytes([version, 0, array, codec, 0, 0, codec % 4, 1]) for version in (0, 1) for array in arrays for codec in range(5)]  # fmt: skip


CHUNKS = Target("chunks", run, _seeds)
