"""State's and cell-load's splits: TOML with whole cell types under `zeroshot`, and perturbations of cell types under `fewshot`."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from cycseq.errors import FileError
from cycseq.io.files import require_file
from cycseq.split.peers.base import PART_NAMES, Names, PeerSplit


def read_state(path: Path) -> PeerSplit:
    """What the file says; all that it does not hold out is for training."""
    try:
        record = tomllib.loads(require_file(path).read_text(encoding="utf-8"))
    except ValueError as err:
        raise FileError(f"{path} is no TOML ({err}): give the file that State's toml_config_path names.") from err
    parts: dict[str, dict[str, Names | None]] = {part: {} for part in PART_NAMES.values()}
    for key, part in _table(path, record, "zeroshot").items():
        parts[_part(path, key, part)][_context(key)] = None
    for key, lists in _table(path, record, "fewshot").items():
        for part, names in lists.items() if isinstance(lists, dict) else [(str(lists), [])]:
            parts[_part(path, key, part)][_context(key)] = frozenset(map(str, names))
    return PeerSplit("State", parts, rest_trains=True)


def _table(path: Path, record: dict[str, Any], name: str) -> dict[str, Any]:
    table = record.get(name, {})
    if not isinstance(table, dict):
        raise FileError(f"{path}: {name} is no table of TOML. Give the file that State's toml_config_path names.")
    return table


def _part(path: Path, key: str, part: Any) -> str:
    if not isinstance(part, str) or part not in PART_NAMES:
        msg = f"{path}: {key!r} is in part {part!r}, and State's parts are {', '.join(PART_NAMES)}: correct it."
        raise FileError(msg)
    return PART_NAMES[part]


def _context(key: str) -> str:
    """The cell type of ``"dataset.cell_type"``."""
    return key.partition(".")[2] or key
