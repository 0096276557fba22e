"""What another tool's split says: perturbations of contexts by part; and the split of our data that it makes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from cycseq.data.condition import Condition
from cycseq.data.either import Data
from cycseq.data.usual_names import canonical_perturbation
from cycseq.errors import SplitError, join_names
from cycseq.split.base import PARTS, Split
from cycseq.split.plan import perturbed_conditions
from cycseq.split.settings import Kind

Names = frozenset[str]
PART_NAMES = {"train": "train", "val": "validation", "test": "test"}
"""What these tools call the parts of a split, and what they are here."""
EVERY_CONTEXT = ""  # stands for all contexts, in files that name none


@dataclass(frozen=True)
class PeerSplit:
    """The perturbations of each part."""

    tool: str  # whose file it is
    parts: Mapping[str, Mapping[str, Names | None]]
    """For train, validation and test, the perturbations of contexts as the file names them; None where all of a context are meant."""
    rest_trains: bool  # whether a condition of no part is for training; it is left out otherwise


def split_of(peer: PeerSplit, data: Data, path: Path) -> Split:
    """The split of these data that another tool's file asks for.

    Contexts are found whatever their case (``hepg2`` is ``HepG2``), perturbations by their plain names (``A+ctrl`` is ``A``). A
    condition that is listed for test and for another part is tested. Control cells are shared by model and reference, as in all
    of these tools. Raises `SplitError` if no condition of the data is tested.
    """
    conditions = perturbed_conditions(data)
    by_part = {part: _matched(peer.parts.get(part, {}), conditions) for part in PARTS}
    by_part["validation"] -= by_part["test"]
    by_part["train"] -= by_part["test"] | by_part["validation"]
    rest = {*conditions} - set().union(*by_part.values())
    if peer.rest_trains:
        by_part["train"] |= rest
    if not by_part["test"]:
        contexts, tested = {c.context for c in conditions}, peer.parts.get("test", {})
        msg = f"{path} tests no condition of these data, whose contexts are {join_names(contexts)}: it names {join_names(tested) or 'nothing'}. Give the data that it is for."
        raise SplitError(msg)
    train, validation, test = (tuple(sorted(by_part[part])) for part in PARTS)
    return Split(
        name=path.stem,
        kind=_kind(by_part["train"] | by_part["validation"], by_part["test"]),
        claim=f"As a file of {peer.tool} says ({path.name}). Control cells are shared by the model and the reference of the real responses, as there.",
        train=train,
        validation=validation,
        test=test,
        seed=0,
        data_hash=data.fingerprint(),
        left_out=() if peer.rest_trains else tuple(sorted(rest)),
    )


def _matched(listed_names: Mapping[str, Names | None], conditions: Collection[Condition]) -> set[Condition]:
    """The conditions that contexts and perturbations name."""
    plain = {
        context.casefold(): None if names is None else {canonical_perturbation(name, ()) for name in names}
        for context, names in listed_names.items()
    }
    matched = set()
    for condition in conditions:
        for context in (condition.context.casefold(), EVERY_CONTEXT):
            names = plain.get(context, set())
            if names is None or condition.perturbation in names or condition.agent in names:
                matched.add(condition)
    return matched


def _kind(train: set[Condition], test: set[Condition]) -> Kind:
    """What is held out, for models that choose their settings by leaving out the like."""
    trained, tested = ({condition.agent for condition in part} for part in (train, test))
    if not tested & trained:
        return "unseen-combination" if all("+" in agent for agent in tested) else "unseen-perturbation"
    return "unseen-pair" if {c.context for c in test} & {c.context for c in train} else "unseen-context"
