"""GEARS' and TxPert's splits: the conditions of ``train``, ``val`` and ``test``, as both tools pickle them or as JSON."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, NoReturn

from cycseq.errors import FileError
from cycseq.io.files import require_file
from cycseq.split.peers.base import EVERY_CONTEXT, PART_NAMES, Names, PeerSplit, is_list_of_names

MAX_BYTES = 1 << 26  # of a pickle: names of conditions take less


class _Plain(pickle.Unpickler):
    """Makes dictionaries, lists and texts, and nothing else: no function is looked up, so that none can run."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"it holds {module}.{name}")


def is_gears(record: Any) -> bool:
    """Whether JSON is of this format."""
    return isinstance(record, dict) and "test" in record and record.keys() <= PART_NAMES.keys()


def read_pickled(path: Path) -> PeerSplit:
    """As `read_gears`, of a pickle of plain lists; raises `FileError` for any other, without running what it holds."""
    try:
        if require_file(path).stat().st_size > MAX_BYTES:
            raise pickle.UnpicklingError("it is too large")
        with path.open("rb") as file:
            record = _Plain(file).load()
    except Exception as err:  # a damaged pickle raises anything
        msg = f"{path} is no pickle of plain lists of conditions ({err}): in the tool that wrote it, write the lists as JSON."
        raise FileError(msg) from err
    return read_gears(path, record)


def read_gears(path: Path, record: Any) -> PeerSplit:
    """What the lists say, of every context; conditions of no list are left out."""
    if not is_gears(record):
        msg = f"{path} has not the lists train, val and test of GEARS and TxPert: give set2conditions, or train_test_split.pkl."
        raise FileError(msg)
    parts: dict[str, dict[str, Names | None]] = {}
    for name, conditions in record.items():
        if not is_list_of_names(conditions):
            msg = f"{path}: {name} is not a list of conditions. Write the lists as JSON in the tool that wrote them."
            raise FileError(msg)
        parts[PART_NAMES[name]] = {EVERY_CONTEXT: frozenset(conditions)}
    return PeerSplit("GEARS or TxPert", parts, rest_trains=False)
