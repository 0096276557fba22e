"""What a split is: conditions of three parts, how to cut data by them, and how it is written down."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from hashlib import blake2b
from pathlib import Path
from typing import Any, Self, get_args

import numpy as np

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.effects import Effects
from cycseq.data.either import Data
from cycseq.data.usual_names import CONTROL
from cycseq.errors import FileError, SplitError
from cycseq.io.files import require_file, write_text
from cycseq.io.untrusted import parse_json, wrong_kinds
from cycseq.matrix.arrays import Codes
from cycseq.split.problems import REFERENCE, describe_missing_controls, find_problems
from cycseq.split.settings import NOTHING, Kind, SplitKind

PARTS = ("train", "validation", "test")
FORMAT = 1  # version of the JSON form
BY_HAND: dict[str, Any] = {
    "format": FORMAT,
    "claim": "Written by hand: a good score shows what the choice of the test conditions shows, which cycseq does not know.",
    "validation": [], "seed": 0, "data_hash": "", "cells": {}, "left_out": [], "seen_parts": None,
}  # fmt: skip
"""What need not stand in a split that somebody wrote; its name is that of the file."""
STAMP = "One that you wrote or changed: cycseq split --data DATA --check SPLIT.json --out CHECKED.json"
"""How a split without a valid hash gets one."""


@dataclass(frozen=True)
class SplitParts:
    """The cells of a split's parts."""

    train: PerturbationData
    """Cells of the training conditions, and control cells of ALL contexts, save those held back as reference."""
    validation: PerturbationData | None
    """Cells of the validation conditions, without controls; None where there are none."""
    test: PerturbationData
    """Cells of the test conditions, without controls (for `random-cells`: held-out cells of every condition)."""
    reference: PerturbationData | None = None
    """Control cells of tested contexts that no model is given: real responses are taken against them. None where all
    controls are shared."""


@dataclass(frozen=True)
class EffectParts:
    """The effects of a split's parts."""

    train: Effects  # the training conditions, and the controls' rows of ALL contexts, where there are such rows
    validation: Effects | None
    test: Effects

    @property
    def learnt(self) -> Effects:
        """Training and validation together: what models of means learn from."""
        return self.train if self.validation is None else self.train.with_rows(self.validation)


@dataclass(frozen=True)
class Split:
    """A partition of conditions with the claim it supports; where a condition is cut, of its cells.

    Control cells of every context stay in training, whichever kind it is, and are not listed in `train`
    (`random-cells` alone cuts and lists them); of a tested context one half does, the other is the reference of its
    real responses.

    Examples
    --------
    >>> import cycseq
    >>> data = cycseq.read("cells.h5ad")
    >>> (split,) = cycseq.make_splits(data, cycseq.SplitSettings(context="Line3"))
    >>> parts = split.parts(data)
    >>> parts.test.contexts, parts.test.n_cells + parts.train.n_cells <= data.n_cells
    (('Line3',), True)
    """

    name: str
    """Says kind and what is held out: ``"unseen-context:NK"``."""
    kind: SplitKind
    claim: str
    """What a good score on the test part would show, and what it would not."""
    train: tuple[Condition, ...]
    validation: tuple[Condition, ...]
    test: tuple[Condition, ...]
    seed: int
    data_hash: str
    """The `fingerprint` of the data that it was made from."""
    cells: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """obs names by part, for the conditions that are cut, and under ``"reference"`` the control cells held back."""
    left_out: tuple[Condition, ...] = ()
    """Conditions of no part, as they would give away what is tested."""
    seen_parts: int | None = None
    """unseen-combination: how many parts of a tested combination may occur in training."""

    def parts(self, data: PerturbationData) -> SplitParts:
        """Part the data; only the cells of each part are copied.

        Raises
        ------
        SplitError
            If the split was made from other data, or has `problems`.
        """
        rows = self.rows(data)
        validation = data.take(rows["validation"]) if len(rows["validation"]) else None
        reference = data.take(rows[REFERENCE]) if len(rows[REFERENCE]) else None
        return SplitParts(data.take(rows["train"]), validation, data.take(rows["test"]), reference)

    def effect_parts(self, effects: Effects) -> EffectParts:
        """Part effects of whole conditions; raises as `parts` does."""
        rows = self.rows(effects)
        validation = effects.take(rows["validation"]) if len(rows["validation"]) else None
        return EffectParts(effects.take(rows["train"]), validation, effects.take(rows["test"]))

    def rows(self, data: Data) -> dict[str, Codes]:
        """The row numbers of the cells of ``"train"``, ``"validation"``, ``"test"`` and ``"reference"``.

        The reference is what was held back, and of cut controls (`random-cells`) those of the test part. Raises as
        `parts` does.
        """
        self.check(data)
        return self.rows_unchecked(data)

    def check(self, data: Data) -> None:
        """Raise `SplitError` if the split was made from other data, or has `problems`."""
        self.check_data(data)
        if problems := self.problems(data):
            raise SplitError(
                f"split {self.name} cannot be used: {'; '.join(problems)}. Fix it, or make it again with cycseq split."
            )

    def require_test(self) -> Self:
        """The same split; raises `SplitError` if it holds nothing out."""
        if not self.test:
            raise SplitError(
                f"split {self.name} holds nothing out (test has no condition), so nothing can be scored: name one that cycseq split made."
            )
        return self

    def check_data(self, data: Data) -> None:
        """Raise `SplitError` if the split was made from other data."""
        fingerprint = data.fingerprint()
        if fingerprint != self.data_hash:
            mismatch = f"was made from other data: it carries the hash {self.data_hash}, these data have {fingerprint}"
            what = mismatch if self.data_hash else "does not say of which data it is"
            msg = f"split {self.name} {what}. Give the data that it was made from, or make it again with cycseq split. {STAMP}"
            raise SplitError(msg)

    def problems(self, data: Data) -> tuple[str, ...]:
        """Why nothing may be learned from this split of these data: one clause for each reason, none where it is sound.

        Looked for: conditions and cells that the data lack, that are listed twice or in two parts, listed control
        conditions (they are training cells whatever the split), a training or test part without conditions, parts that
        are not what the kind says, and tested contexts without control cells in training. Whether cells give each other
        away is a question of `check_leakage`.
        """
        problems = find_problems(
            {part: self.in_part(part) for part in PARTS} | {"left_out": self.left_out},
            self.cells,
            data,
            kind=self.kind,
            seen_parts=self.seen_parts,
            needed=("train",) if self.kind == NOTHING else ("train", "test"),
        )
        lacking = () if isinstance(data, Effects) else self.contexts_without_controls(data)
        return (*problems, *([describe_missing_controls(lacking)] if lacking else []))

    def contexts_without_controls(self, data: PerturbationData) -> tuple[str, ...]:
        """The tested contexts of which training has no control cells."""
        obs = data.adata.obs.iloc[self.rows_unchecked(data)["train"]]
        return tuple(sorted({c.context for c in self.test} - {*obs["context"][obs["perturbation"] == CONTROL]}))

    def rows_unchecked(self, data: Data) -> dict[str, Codes]:
        """As `rows`, of data that are known to be those of the split."""
        conditions, codes, names = data.conditions(), data.condition_codes, data.adata.obs_names
        is_control = np.array([c.is_control for c in conditions], dtype=bool)
        is_named = {part: names.isin(self.cells.get(part, ())) for part in (*PARTS, REFERENCE)}
        is_cut = np.zeros(len(conditions), dtype=bool)
        is_cut[codes[np.logical_or.reduce([is_named[part] for part in PARTS])]] = True
        in_parts = {part: set(self.in_part(part)) for part in PARTS}
        listed = {part: np.array([c in inside for c in conditions], dtype=bool) for part, inside in in_parts.items()}
        listed["train"] |= is_control & ~np.logical_or.reduce(list(listed.values()))
        in_part = {part: listed[part][codes] & (~is_cut[codes] | is_named[part]) for part in PARTS}
        in_part["train"] &= ~is_named[REFERENCE]
        in_part[REFERENCE] = is_control[codes] & (is_named[REFERENCE] | in_part["test"])
        return {part: np.flatnonzero(mask) for part, mask in in_part.items()}

    @property
    def cuts_conditions(self) -> bool:
        """Whether cells of one condition lie in several parts, control cells that are held back aside."""
        return any(part in self.cells for part in PARTS)

    @property
    def task(self) -> Kind | None:
        """What is held out, for a model that chooses settings by leaving out the like; None where nothing is."""
        return None if self.kind == NOTHING else self.kind

    def in_part(self, part: str) -> tuple[Condition, ...]:
        """The conditions of ``"train"``, ``"validation"`` or ``"test"``."""
        return getattr(self, part)

    def digest(self) -> str:
        """A hash of everything that the split says: the same split has the same one on every machine."""
        return blake2b(json.dumps(asdict(self)).encode(), digest_size=8).hexdigest()

    def write(self, path: Path | str, *, overwrite: bool = False) -> None:
        """Write as JSON, with its hash."""
        path = Path(path)
        record = {"format": FORMAT, "hash": self.digest(), **asdict(self)}
        write_text(path, json.dumps(record, indent=1), overwrite=overwrite)

    @classmethod
    def read(cls, path: Path | str, *, by_hand: bool = False) -> Self:
        """Read what `write` wrote.

        Parameters
        ----------
        path
            JSON file.
        by_hand
            Whether somebody may have written or changed the file: the hash is not asked for, and of the rest only
            `kind`, `train` and `test`. The split is to be looked at, and written anew with the hash of its data.

        Raises
        ------
        FileError
            If the file is absent, is damaged, was altered, carries no hash, is not a split, or was written by a newer version.
        """
        path = Path(path)
        try:
            record = parse_json(require_file(path).read_text(encoding="utf-8"))
        except (ValueError, OSError) as err:
            raise _damaged(path, str(err)) from err
        if by_hand:
            record = {**BY_HAND, "name": path.stem, **record}
        if "format" not in record:
            raise _damaged(path, "it names no format")
        if record["format"] != FORMAT:
            raise FileError(
                f"{path} has the split format {record['format']!r}, and this cycseq reads format {FORMAT}. "
                "Make the split again with cycseq split, or use the version of cycseq that wrote it."
            )
        try:
            split = cls(**_restored({f.name: record[f.name] for f in fields(cls)}))
        except KeyError as err:
            raise _damaged(path, f"{err.args[0]} is missing") from err
        except (TypeError, AttributeError, ValueError) as err:
            raise _damaged(path, str(err)) from err
        if not by_hand and record.get("hash") != split.digest():
            why = "was altered: it does not say what its hash was made of" if record.get("hash") else "carries no hash"
            raise FileError(f"{path} {why}. Make it again with cycseq split. {STAMP}")
        return split


def _restored(record: dict[str, Any]) -> dict[str, Any]:
    """JSON's lists as the tuples that they were; raises `ValueError` where something else stands in their place."""
    for name in ("name", "kind", "claim", "data_hash"):
        if not isinstance(record[name], str):
            raise ValueError(f"{name} is not text")
    if record["kind"] not in (*get_args(Kind), NOTHING):
        raise ValueError(f"there is no kind {record['kind']!r}")
    for name in (*PARTS, "left_out"):
        if not isinstance(record[name], list) or any(
            not isinstance(c, list) or len(c) != 2 or not all(isinstance(word, str) for word in c) for c in record[name]
        ):
            raise ValueError(f"{name} is not a list of conditions")
        record[name] = tuple(Condition(*c) for c in record[name])
    if wrong_kinds(record, {"cells": dict, "seed": int, "seen_parts": int | None}) or wrong_kinds(
        record["cells"], dict.fromkeys(record["cells"], (list, str))
    ):
        raise ValueError("cells, seed or seen_parts are not what they must be")
    record["cells"] = {part: tuple(names) for part, names in record["cells"].items()}
    return record


def _damaged(path: Path, what: str) -> FileError:
    return FileError(f"{path} is damaged or is not a split ({what}). Make it again with cycseq split. {STAMP}")
