"""The splits of PIE, State, GEARS and TxPert: what a file of theirs says, by what it looks like.

PIE writes JSON ``{"dataset.context": [perturbations]}``, a file for each part. State and cell-load write TOML with whole cell
types under `zeroshot`, and perturbations of cell types under `fewshot`. GEARS and TxPert list the conditions of ``train``,
``val`` and ``test``, pickled or as JSON.
"""

from __future__ import annotations

import contextlib
import pickle
import tomllib
from pathlib import Path
from typing import Any, NoReturn

from cycseq.data.either import Data
from cycseq.errors import FileError
from cycseq.io.files import require_file
from cycseq.io.untrusted import parse_json, read_json
from cycseq.split.base import Split
from cycseq.split.peers.base import EVERY_CONTEXT, PART_NAMES, Names, PeerSplit, split_of

MAX_BYTES = 1 << 26  # of a pickle: names of conditions take less
AS_STATE = "give the file that State's toml_config_path names."


def read_peer_split(path: Path, data: Data) -> Split:
    """The split of these data that a file of PIE (.json), State (.toml), GEARS or TxPert (.pkl, .json) asks for.

    Raises `FileError` if the file is none of these, and `SplitError` if it tests no condition of the data.
    """
    return split_of(_read(path), data, path)


def _read(path: Path) -> PeerSplit:
    if path.suffix == ".toml":
        return _state(path)
    if path.suffix in {".pkl", ".pickle"}:
        return _gears(path, _unpickled(path))
    record: dict[str, Any] = {}
    with contextlib.suppress(ValueError):
        record = parse_json(require_file(path).read_text(encoding="utf-8"))
    if _is_gears(record):
        return _gears(path, record)
    if _is_pie(record):
        return _pie(path, record)
    msg = f"{path} is no split of PIE (.json), State (.toml), GEARS or TxPert (.pkl or .json): a split of cycseq is read with --check."
    raise FileError(msg)


class _Plain(pickle.Unpickler):
    """Makes dictionaries, lists and texts, and nothing else: no function is looked up, so that none can run."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"it holds {module}.{name}")


def _unpickled(path: Path) -> Any:
    """What a pickle of plain lists holds; raises `FileError` for any other, without running what it holds."""
    try:
        if require_file(path).stat().st_size > MAX_BYTES:
            raise pickle.UnpicklingError("it is too large")
        with path.open("rb") as file:
            return _Plain(file).load()
    except Exception as err:  # a damaged pickle raises anything
        msg = f"{path} is no pickle of plain lists of conditions ({err}): in the tool that wrote it, write the lists as JSON."
        raise FileError(msg) from err


def _is_gears(record: Any) -> bool:
    return isinstance(record, dict) and "test" in record and record.keys() <= PART_NAMES.keys()


def _gears(path: Path, record: Any) -> PeerSplit:
    """What the lists say, of every context; conditions of no list are left out."""
    if not _is_gears(record):
        msg = f"{path} has not the lists train, val and test of GEARS and TxPert: give set2conditions, or train_test_split.pkl."
        raise FileError(msg)
    cure = "is not a list of conditions. Write the lists as JSON in the tool that wrote them."
    parts = {PART_NAMES[part]: {EVERY_CONTEXT: _names(path, part, names, cure)} for part, names in record.items()}
    return PeerSplit("GEARS or TxPert", parts, rest_trains=False)


def _is_pie(record: dict[str, Any]) -> bool:
    return bool(record) and all("." in key for key in record)


def _pie(path: Path, record: dict[str, Any]) -> PeerSplit:
    """What the file of the test conditions says, with `train.json` and `val.json` beside it; without the first, the rest is training."""
    parts = {"test": _contexts(path, record)}
    for name, part in PART_NAMES.items():
        beside = path.with_name(f"{name}.json")
        if part != "test" and beside != path and beside.is_file():
            parts[part] = _contexts(beside, read_json(beside, "Give PIE's file as it wrote it."))
    return PeerSplit("PIE", parts, rest_trains="train" not in parts)


def _contexts(path: Path, record: dict[str, Any]) -> dict[str, Names]:
    """Perturbations by context; several data sets of a context are one."""
    if not _is_pie(record):
        msg = f"{path} is no split of PIE: its keys must be DATASET.CONTEXT, and its values lists of perturbations."
        raise FileError(msg)
    contexts: dict[str, Names] = {}
    for key, value in record.items():
        cure = "is not a list of perturbations. Give PIE's file as it wrote it."
        names = _names(path, f"the value of {key!r}", value, cure)
        contexts[_context(key)] = names | contexts.get(_context(key), frozenset())
    return contexts


def _state(path: Path) -> PeerSplit:
    """What the file says; all that it does not hold out is for training."""
    try:
        record = tomllib.loads(require_file(path).read_text(encoding="utf-8"))
    except ValueError as err:
        raise FileError(f"{path} is no TOML ({err}): {AS_STATE}") from err
    for name in ("zeroshot", "fewshot"):
        if not isinstance(record.setdefault(name, {}), dict):
            raise FileError(f"{path}: {name} is no table of TOML: {AS_STATE}")
    parts: dict[str, dict[str, Names | None]] = {part: {} for part in PART_NAMES.values()}
    for key, part in record["zeroshot"].items():
        parts[_part(path, key, part)][_context(key)] = None
    for key, lists in record["fewshot"].items():
        for part, names in lists.items() if isinstance(lists, dict) else [(str(lists), [])]:
            cure = f"is not a list of perturbations: {AS_STATE}"
            parts[_part(path, key, part)][_context(key)] = _names(path, f"{part} of {key!r}", names, cure)
    return PeerSplit("State", parts, rest_trains=True)


def _part(path: Path, key: str, part: Any) -> str:
    if not isinstance(part, str) or part not in PART_NAMES:
        msg = f"{path}: {key!r} is in part {part!r}, and State's parts are {', '.join(PART_NAMES)}: correct it."
        raise FileError(msg)
    return PART_NAMES[part]


def _context(key: str) -> str:
    """The cell type of ``"dataset.cell_type"``."""
    return key.partition(".")[2] or key


def _names(path: Path, what: str, value: Any, cure: str) -> Names:
    if not isinstance(value, list | tuple | set) or not all(isinstance(name, str) for name in value):
        raise FileError(f"{path}: {what} {cure}")
    return frozenset(value)
