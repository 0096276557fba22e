"""Another tool's split, by what its file looks like."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from cycseq.data.either import Data
from cycseq.errors import FileError
from cycseq.io.files import require_file
from cycseq.io.untrusted import parse_json
from cycseq.split.base import Split
from cycseq.split.peers.base import PeerSplit, split_of
from cycseq.split.peers.gears import is_gears, read_gears, read_pickled
from cycseq.split.peers.pie import is_pie, read_pie
from cycseq.split.peers.state import read_state


def read_peer_split(path: Path, data: Data) -> Split:
    """The split of these data that a file of PIE (.json), State (.toml), GEARS or TxPert (.pkl, .json) asks for.

    Raises `FileError` if the file is none of these, and `SplitError` if it tests no condition of the data.
    """
    return split_of(_read(path), data, path)


def _read(path: Path) -> PeerSplit:
    if path.suffix == ".toml":
        return read_state(path)
    if path.suffix in {".pkl", ".pickle"}:
        return read_pickled(path)
    record: Any = None
    with contextlib.suppress(ValueError):
        record = parse_json(require_file(path).read_text(encoding="utf-8"))
    if is_gears(record):
        return read_gears(path, record)
    if is_pie(record):
        return read_pie(path, record)
    msg = f"{path} is no split of PIE (.json), State (.toml), GEARS or TxPert (.pkl or .json): a split of cycseq is read with --check."
    raise FileError(msg)
