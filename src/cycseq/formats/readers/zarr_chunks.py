"""Parts of a zarr store that are not there: zarr takes them for zeros, and a zero is the first label, or no count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cycseq.errors import FileError

SPARSE = ("csr_matrix", "csc_matrix")


def check_chunks(group: Any, path: Path, name: str = "") -> tuple[str, ...]:
    """Look whether the arrays of a store, of which zeros mean something, have all of their parts.

    Zarr leaves out parts that are zero throughout, so that a missing part of labels may be as it was written: it is said.
    Labels of several names that are missing as a whole, and values of sparse matrices (which hold no zeros), are not. Raises
    `FileError` if a part is missing that cannot have been left out.

    `path` is the store, and `name` what the group is called in it; sentences to print are returned.
    """
    encoding = group.attrs.get("encoding-type")
    if encoding == "categorical" and "codes" in group and "categories" in group:
        codes, several = group["codes"], group["categories"].shape[0] > 1
        missing = _n_missing(codes)
        if missing and several and missing == codes.nchunks:
            raise _not_whole(path, f"{name}/codes", "the labels of all cells")
        if missing and several:
            what = f"{missing} of {codes.nchunks} parts of {name} are not in the store"
            return (f"{what}: these cells have its first label",)
        return ()
    if encoding in SPARSE:
        for part, what in (("data", "values"), ("indices", "the genes of values")):
            if part in group and _n_missing(group[part]):
                raise _not_whole(path, f"{name}/{part}", what)
        return ()
    notes = (check_chunks(member, path, f"{name}/{key}".lstrip("/")) for key, member in sorted(group.groups()))
    return tuple(note for member_notes in notes for note in member_notes)


def _n_missing(array: Any) -> int:
    return int(array.nchunks) - int(array.nchunks_initialized) if array.size else 0


def _not_whole(path: Path, array: str, what: str) -> FileError:
    return FileError(
        f"{path} is not whole: {what} are missing ({array} has no values on the disk). Write the store again, or copy it "
        "anew from where it came."
    )
