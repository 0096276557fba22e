"""One result (of a model on a split with a seed): one file, named by everything that it depends on."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from cycseq.data.dataset import Condition
from cycseq.io.files import atomic_write
from cycseq.io.numpy_files import open_npz
from cycseq.io.untrusted import parse_json
from cycseq.matrix.arrays import Profiles
from cycseq.score.certainty import COVERAGE, RELIABILITY

TABLES = ("scores", "coverage", "reliability")
NO_MEANS = np.zeros((0, 0), dtype=np.float32)


@dataclass(frozen=True)
class Result:
    """What was computed for one model, split and seed."""

    model: str
    split: str
    seed: int
    scores: pd.DataFrame  # rows as of `evaluate`; none where the model does not apply
    seconds: float  # fitting, predicting and scoring
    not_applicable: str = ""  # why the model cannot do this split
    conditions: tuple[Condition, ...] = ()  # the rows of `means`
    means: Profiles = field(default_factory=lambda: NO_MEANS)
    """Mean of the predicted cells, and of the control cells that they were made from; for `SplitHalf` of the real cells, and
    of the control cells that these are compared with. Kept for the first seed alone."""
    coverage: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(COVERAGE)))
    """As of `cycseq.coverage_by_stratum`; none where the model has no posterior."""
    reliability: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(RELIABILITY)))
    """As of `cycseq.reliability`, by context."""

    @classmethod
    def joined(cls, results: Sequence[Self]) -> Self:
        """Those of one model, split and seed in several contexts as one."""
        tables: dict[str, Any] = {name: concat_tables([getattr(one, name) for one in results]) for name in TABLES}
        conditions = tuple(condition for one in results for condition in one.conditions)
        means = np.concatenate([one.means for one in results])
        return replace(results[0], conditions=conditions, means=means, **tables)

    def write(self, path: Path) -> None:
        """Write as one NPZ, whole, which is not packed: of numbers that took longer than to compute some."""
        packed = {name: _pack(getattr(self, name)) for name in TABLES}
        record = {
            "model": self.model,
            "split": self.split,
            "seed": self.seed,
            "seconds": self.seconds,
            "not_applicable": self.not_applicable,
            "conditions": [list(c) for c in self.conditions],
            **{name: labels for name, (labels, _) in packed.items()},
        }
        arrays: dict[str, Any] = {
            f"{name}.{column}": values for name, (_, columns) in packed.items() for column, values in columns.items()
        }
        with atomic_write(path, overwrite=True) as part, part.open("wb") as file:
            np.savez(file, record=np.array(json.dumps(record)), means=self.means, **arrays)

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """What `write` wrote; None where there is nothing, or nothing sound."""
        try:
            with open_npz(path) as file:
                record, means = parse_json(str(file["record"])), file["means"]
                tables = {name: _unpack(record.pop(name), file, name) for name in TABLES}
            record["conditions"] = tuple(Condition(*pair) for pair in record["conditions"])
            values: dict[str, Any] = {**record, **tables}
            return cls(means=means, **values)
        except Exception:  # noqa: BLE001  (whatever is wrong with it: it is computed again)
            return None


def concat_tables(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The rows of all tables; those without rows play no part."""
    return pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)


Labels = dict[str, list[str] | None]


def _pack(table: pd.DataFrame) -> tuple[Labels, dict[str, np.ndarray]]:
    """The different texts of every column (None of one of numbers), and its numbers, or the place of each row's text."""
    labels: Labels = {}
    columns: dict[str, np.ndarray] = {}
    for name in map(str, table):
        column = table[name].infer_objects()
        if column.dtype.kind in "iufb":
            labels[name], columns[name] = None, column.to_numpy()
        else:
            places, texts = pd.factorize(column, use_na_sentinel=False)
            labels[name], columns[name] = list(map(str, texts)), places.astype(np.min_scalar_type(len(texts)))
    return labels, columns


def _unpack(labels: Labels, file: Mapping[str, np.ndarray], table: str) -> pd.DataFrame:
    """The table that `_pack` took apart."""
    columns = {name: file[f"{table}.{name}"] for name in labels}
    return pd.DataFrame(
        {
            name: columns[name] if texts is None else np.array(texts, dtype=object)[columns[name]]
            for name, texts in labels.items()
        }
    )


def result_path(folder: Path, model: str, split: str, seed: int, depends_on: dict[str, Any]) -> Path:
    """The file of a result: a readable name with a hash of all that its values depend on."""
    text = json.dumps({**depends_on, "model": model, "split": split, "seed": seed}, sort_keys=True, default=str)
    digest = blake2b(text.encode(), digest_size=8).hexdigest()
    readable = re.sub(r"[^\w.-]+", "-", f"{model}_{split}_{seed}")[:80]
    return folder / f"{readable}_{digest}.npz"
