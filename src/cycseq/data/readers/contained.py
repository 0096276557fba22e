"""What an HDF5 file or a zarr store may hold: nothing of other files, nothing entangled, no code, and no more than it says."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import h5py

from cycseq.errors import FileError
from cycseq.untrusted import check_unpacked

MOST_MEMBERS = 100_000
DEEPEST = 30


def check_h5(file: h5py.File, path: Path) -> None:
    """Look at all members of an HDF5 file before their values are read.

    Raises
    ------
    FileError
        If a member lies in another file (an external link, external or virtual values), a group lies inside itself or
        in two places, or the values would unpack to far more than the file.
    """
    seen: set[tuple[int, int]] = set()
    n_bytes = n_members = 0
    groups = [file["/"]]
    while groups:
        group = groups.pop()
        where = h5py.h5o.get_info(group.id)
        n_members += len(group)
        if (where.fileno, where.addr) in seen or n_members > MOST_MEMBERS:
            raise _refused(path, "its groups lie inside each other, or are too many to be those of a data set")
        seen.add((where.fileno, where.addr))
        for name in group:
            if isinstance(group.get(name, getlink=True), h5py.ExternalLink):
                raise _refused(path, f"{name!r} is a link to another file")
            member = group.get(name)  # None where a link leads nowhere: whoever needs it says so
            if isinstance(member, h5py.Group):
                groups.append(member)
            elif isinstance(member, h5py.Dataset):
                if member.external or member.is_virtual:
                    raise _refused(path, f"the values of {name!r} lie in another file")
                n_bytes += prod(member.shape or ()) * member.dtype.itemsize
                n_bytes += prod(member.chunks or (0,)) * member.dtype.itemsize
    check_unpacked(path, n_bytes)


def check_zarr(store: Any, path: Path) -> None:
    """Look at all members of a zarr store before their values are read.

    Raises
    ------
    FileError
        If values are pickled, there are too many members, or the values would unpack to far more than the files.
    """
    n_bytes = 0
    groups = [(store, 0)]
    n_members = 0
    while groups:
        group, depth = groups.pop()
        for name, member in group.members():
            n_members += 1
            if depth > DEEPEST or n_members > MOST_MEMBERS:
                raise _refused(path, "its groups are too many, or too deep, to be those of a data set")
            if not hasattr(member, "chunks"):
                groups.append((member, depth + 1))
                continue
            said = member.metadata.to_dict()
            codecs = [*(said.get("filters") or ()), said.get("compressor"), *(said.get("codecs") or ())]
            if any("pickle" in str(codec).lower() for codec in codecs):
                raise _refused(path, f"{name!r} holds pickled objects, which can run code when they are read")
            n_bytes += (prod(member.shape) + prod(member.chunks)) * member.dtype.itemsize
    if n_bytes > path.stat().st_size:
        packed = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        check_unpacked(path, n_bytes, packed)


def _refused(path: Path, why: str) -> FileError:
    return FileError(
        f"{path} is not read: {why}. A data set stands by itself: write it anew with the tool that made it."
    )
