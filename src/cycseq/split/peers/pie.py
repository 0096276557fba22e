"""PIE's splits: JSON ``{"dataset.context": [perturbations]}``, a file for each part; the other parts lie beside the file of the test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cycseq.errors import FileError
from cycseq.io.files import require_file
from cycseq.io.untrusted import parse_json
from cycseq.split.peers.base import PART_NAMES, Names, PeerSplit, is_list_of_names


def is_pie(record: Any) -> bool:
    """Whether JSON is of this format."""
    return isinstance(record, dict) and bool(record) and all("." in key for key in record)


def read_pie(path: Path, record: dict[str, Any]) -> PeerSplit:
    """What the file of the test conditions says, with `train.json` and `val.json` beside it; without the first, the rest is training."""
    parts = {"test": _contexts(path, record)}
    for name, part in PART_NAMES.items():
        beside = path.with_name(f"{name}.json")
        if part != "test" and beside != path and beside.is_file():
            parts[part] = _contexts(beside, parse_json(require_file(beside).read_text(encoding="utf-8")))
    return PeerSplit("PIE", parts, rest_trains="train" not in parts)


def _contexts(path: Path, record: Any) -> dict[str, Names | None]:
    """Perturbations by context; several data sets of a context are one."""
    if not is_pie(record):
        msg = f"{path} is no split of PIE: its keys must be DATASET.CONTEXT, and its values lists of perturbations."
        raise FileError(msg)
    contexts: dict[str, Names | None] = {}
    for key, names in record.items():
        if not is_list_of_names(names):
            msg = f"{path}: the value of {key!r} is not a list of perturbations. Give PIE's file as it wrote it."
            raise FileError(msg)
        context = key.partition(".")[2]
        contexts[context] = frozenset(names) | (contexts.get(context) or frozenset())
    return contexts
