"""HDF5 files with checksums, whose writing ends cleanly on a full disk (HDF5 itself crashes there, or talks at length)."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
from anndata.experimental import write_dispatched

NUMBERS = frozenset("fiub")  # kinds of arrays that HDF5 can give checksums; text of any length is not among them


def write_h5ad(adata: ad.AnnData, path: Path, *, compression: str | None = "lzf") -> None:
    """Write an AnnData as h5ad; every block of numbers bears a checksum (Fletcher's) that HDF5 verifies at reading.

    Raises `OSError` if the disk is full or cannot be written.
    """

    def with_checksums(
        write: Callable[..., None],
        group: Any,
        name: str,
        values: Any,
        *,
        dataset_kwargs: dict[str, Any],
        **_options: Any,
    ) -> None:
        if values is None and name.strip("/") == "raw":  # an older anndata does not know the kind of nothing
            return
        dtype = getattr(values, "dtype", None)
        numbers = getattr(dtype, "kind", None) in NUMBERS and getattr(values, "ndim", 0) > 0
        write(group, name, values, dataset_kwargs={**dataset_kwargs, "fletcher32": True} if numbers else dataset_kwargs)

    adata.strings_to_categoricals()
    with h5_written(path) as file:
        write_dispatched(file, "/", adata, with_checksums, dataset_kwargs={"compression": compression})


@contextmanager
def h5_written(path: Path) -> Iterator[h5py.File]:
    """A new HDF5 file to write into; what the disk refuses is raised as `OSError` once the file is closed.

    The file is then not whole: write it by `files.atomic_write`.
    """
    disk = _Disk(path)
    try:
        with disk, h5py.File(disk, "w") as file:
            yield file
            file.flush()
    finally:
        if disk.refused is not None:
            raise disk.refused


class _Disk(io.RawIOBase):
    """A file that takes everything, and remembers the first error instead of raising it into HDF5."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("w+b", buffering=0)
        self.refused: OSError | None = None

    def write(self, data: Any) -> int:
        with memoryview(data).cast("B") as view:
            n_written = 0
            while self.refused is None and n_written < len(view):
                try:
                    n_written += self.file.write(view[n_written:]) or 0
                except OSError as err:
                    self.refused = err
            return len(view)

    def readinto(self, buffer: Any) -> int:
        return int(self.file.readinto(buffer) or 0)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        return self.file.tell()

    def truncate(self, size: int | None = None) -> int:
        try:
            return self.file.truncate(size)
        except OSError as err:
            self.refused = self.refused or err
            return size or 0

    def seekable(self) -> bool:
        return True

    readable = writable = seekable

    def close(self) -> None:
        super().close()
        self.file.close()
