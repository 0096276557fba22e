"""What a benchmark or a comparison writes down of itself: what was asked, of which data, splits and machine, and its tables."""

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cycseq.data.effects import Effects
from cycseq.data.either import Data
from cycseq.io.checksums import sha256
from cycseq.io.files import text_of_path, write_text
from cycseq.run.record import environment
from cycseq.split.base import Split
from cycseq.split.controls import shared_contexts
from cycseq.split.leakage import warnings_of


def begin_record(
    data: Data, splits: Sequence[Split], inputs: dict[str, Any], *, data_path: Path | None, command: str
) -> dict[str, Any]:
    """What is known before anything is computed, in JSON's types."""
    path = text_of_path(data_path) if data_path else None
    record = {
        "asked": inputs,
        "command": command,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": {"path": path, "hash": splits[0].data_hash, **describe_data(data)},
        "splits": [describe_split(split, data) for split in splits],
        **environment(),
    }
    return json.loads(json.dumps(record, default=str))


def describe_data(data: Data) -> dict[str, Any]:
    """What the data are, in numbers and names."""
    conditions = data.conditions()
    if isinstance(data, Effects):
        n_cells = np.nan_to_num(data.adata.obs["n_cells"].to_numpy(dtype=np.float64))
    else:
        n_cells = data.moments.n_cells
    return {
        "kind": "effects" if isinstance(data, Effects) else "cells",
        "cells": int(n_cells.sum()),
        "genes": len(data.genes),
        "scale": data.scale,
        "simulated": "true_delta" in data.adata.varm,
        "contexts": list(data.contexts),
        "perturbations": list(data.perturbations),
        "conditions": [[*condition, int(n)] for condition, n in zip(conditions, n_cells, strict=True)],
        "batches": int(data.adata.obs["batch"].nunique()) if "batch" in data.adata.obs else 0,
        "gene_names": data.genes,
        "notes": list(data.notes),
    }


def describe_split(split: Split, data: Data) -> dict[str, Any]:
    """What a split holds out and what may be said of it."""
    return {
        "name": split.name,
        "kind": split.kind,
        "claim": split.claim,
        "seed": split.seed,
        "shared_controls": shared_contexts(split, data),
        "warnings": warnings_of(split, data),
        "train": len(split.train),
        "validation": len(split.validation),
        "cells": {part: len(names) for part, names in split.cells.items()},
        "test": [list(condition) for condition in split.test if not condition.is_control],
    }


def write_tables(path: Path, record: dict[str, Any], tables: dict[str, pd.DataFrame], *, started: float) -> None:
    """Write the tables beside the record, and the record (with their checksums) last: it says that all has ended."""
    for name, table in tables.items():
        write_text(path.with_name(f"{name}.csv"), table.to_csv(index=False), overwrite=True)
    record["checksums"] = {f"{name}.csv": sha256(path.with_name(f"{name}.csv")) for name in tables}
    record["seconds"] = round(time.monotonic() - started, 1)
    write_text(path, json.dumps(record, indent=1), overwrite=True)
