"""Downloaded archives: GEARS' zip files, and the lock file of the cache."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

from target import Take, Target, attempt

from cycseq.formats.catalog.base import Sources
from cycseq.formats.catalog.layouts import gears_zip
from cycseq.io.download import LOCK, _locked
from targets.h5 import originals

NAMES = (
    "norman/perturb_processed.h5ad",
    "../../../perturb_processed.h5ad",
    "/tmp/perturb_processed.h5ad",
    "other.txt",
    "a/",
)


def run(data: bytes, folder: Path) -> None:
    """A zip made of the rest, the rest as a zip, or the rest as a lock file."""
    take = Take(data)
    kind = take.below(3)
    inside = folder / "cache"
    inside.mkdir()
    if kind == 2:
        (inside / LOCK).write_bytes(take.rest())
        attempt(_locked, inside)
        return
    path = inside / "norman.zip"
    if kind == 0:
        with zipfile.ZipFile(
            path, "w", take.one_of([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
        ) as packed:
            packed.writestr(take.one_of(NAMES), originals()["sparse.h5ad"] if take.below(4) else take.rest())
    else:
        path.write_bytes(take.rest())
    attempt(gears_zip("K562"), Sources({"norman.zip": path}))
    assert sorted(p.name for p in folder.iterdir()) == ["cache"]
    assert sorted(p.name for p in inside.iterdir()) == ["norman.zip"]


def _seeds() -> Sequence[bytes]:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(NAMES[0], originals()["sparse.h5ad"])
    return [
        bytes([1]) + out.getvalue(),
        *(bytes([0, i, j, 1]) for i in range(3) for j in range(5)),
        b'\2{"a": "sha256:x"}',
    ]


ARCHIVES = Target("archives", run, _seeds)
