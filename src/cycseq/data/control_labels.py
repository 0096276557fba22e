"""Which labels look like controls, of what kind, and which of them are taken together as one control."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import chain, takewhile

from cycseq.data.usual_names import CONTROL_NAMES, DOUBTFUL_KINDS, LIKELY_CONTROL, NO_CONTROL, kind_of_control
from cycseq.errors import CycseqError, DataError, count_of, join_names, unknown_name

SHOWN = 3  # labels of a kind that a message names


@dataclass(frozen=True)
class Controls:
    """The control labels of a column."""

    labels: tuple[str, ...]  # those that are one control together; none where the user says that there are none
    others: tuple[str, ...] = ()  # labels that look like controls too, and are not among them
    pooled_as: str = ""
    """The kind of several labels that were put together because they are of one; empty where the user named them."""


def match_controls(labels: Sequence[str], user_names: str | Sequence[str]) -> Controls | None:
    """The controls that the user named; None where a name fits no label.

    They are one label, or several as a sequence or joined by commas, each of which may be a pattern (``non-targeting*``);
    ``none`` says that there are no controls.
    """
    names = split_names(user_names, labels)
    if names == [NO_CONTROL] and NO_CONTROL not in labels:
        return Controls(())
    matches = [_matching(name, labels) for name in names]
    if not all(matches):
        return None
    controls = tuple(dict.fromkeys(chain.from_iterable(matches)))
    return Controls(controls, tuple(label for label in labels if label not in controls and kind_of_control(label)))


def split_names(user_names: str | Sequence[str], labels: Sequence[str] = ()) -> list[str]:
    """The names in ``"DMSO,untreated"``, in a JSON list (for names with commas), or in a sequence of texts."""
    if not isinstance(user_names, str):
        names = [str(name).strip() for name in user_names]
        joined_label = next((text for text in (",".join(names), ", ".join(names)) if text in labels), None)
        return names if joined_label is None else [joined_label]  # a command line parts a label at its commas
    if user_names in labels:
        return [user_names]
    if user_names.startswith("["):
        try:
            return [str(name) for name in json.loads(user_names)]
        except ValueError:
            pass  # a label may begin so
    return [name.strip() for name in user_names.split(",")]


def guess_controls(labels: Sequence[str]) -> Controls | None:
    """The controls of a column where the user named none; None where none of its labels usually means control.

    Several labels of one kind (guides that are numbered, replicates) are one control together. Labels of several kinds
    are for the user to choose from (`several_kinds_error`): `others` are those of the kinds beside the most usual one.
    """
    by_kind = _by_kind(labels)
    usual = {kind: of_kind for kind, of_kind in by_kind.items() if kind not in DOUBTFUL_KINDS}
    if not usual:
        return None
    kind, controls = max(usual.items(), key=lambda item: any(label in CONTROL_NAMES for label in item[1]))
    others = tuple(label for other, of_kind in by_kind.items() if other != kind for label in of_kind)
    return Controls(tuple(controls), others, pooled_as=kind if len(controls) > 1 else "")


def no_control_error(column: str, labels: Sequence[str], user_names: str | Sequence[str] | None) -> CycseqError:
    """The error for a column (its labels, most frequent first) none of whose labels is a control, or not the one named."""
    if user_names:
        unknown = next(name for name in split_names(user_names, labels) if not _matching(name, labels))
        return unknown_name(unknown, f"control label in obs[{column!r}]", sorted(labels), DataError)
    msg = (
        f"no control cells found in obs[{column!r}]: none of its {count_of(len(labels), 'label')} ({join_names(labels)}) usually means control. "
        f"Use --control LABEL, or --control {NO_CONTROL} if the file holds perturbed cells only."
    )
    alike = [label for label in labels if kind_of_control(label)]
    likely = alike or [label for label in labels if re.search(LIKELY_CONTROL, label)][:1]
    return DataError(msg, option=control_option([likely], labels) if likely else "--control LABEL")


def several_kinds_error(column: str, labels: Sequence[str], n_cells: Mapping[Hashable, int]) -> DataError:
    """The error for labels that look like controls of several kinds: what there is, and each way to choose."""
    by_kind = _by_kind(labels)
    kinds = "; ".join(
        f"{kind}: {_quoted(of_kind)} ({count_of(sum(n_cells[label] for label in of_kind), 'cell')})"
        for kind, of_kind in by_kind.items()
    )
    options = [control_option([of_kind], labels) for of_kind in by_kind.values()]
    msg = (
        f"labels of {len(by_kind)} kinds in obs[{column!r}] look like controls ({kinds}), and a response is a difference to "
        f"one of them. Say which: {', or '.join(options[:4])}; or {control_option(by_kind.values(), labels)} to pool them. Cells "
        "of those not named are left out (--other-controls keep makes them perturbations)."
    )
    first = max(by_kind, key=lambda kind: (kind not in DOUBTFUL_KINDS, sum(n_cells[label] for label in by_kind[kind])))
    return DataError(msg, option=control_option([by_kind[first]], labels))


def control_option(groups: Iterable[Sequence[str]], labels: Iterable[str]) -> str:
    """What to type to name the controls of these groups: labels, or a pattern that fits a group and no other label."""
    names = [name for group in groups for name in _short(group, labels)]
    text = json.dumps(names) if any("," in name for name in names) else ",".join(names)
    return f"--control {shlex.quote(text)}"


def _short(group: Sequence[str], labels: Iterable[str]) -> Sequence[str]:
    """The labels of a group, or one pattern (``NT_*``) where they are many and no other label fits it."""
    alike = takewhile(lambda letters: len(set(letters)) == 1, zip(*group, strict=False))
    prefix = "".join(letters[0] for letters in alike).rstrip("0123456789")
    if len(group) <= SHOWN or len(prefix) < 2 or re.search(r"[*?\[,]", prefix):
        return group
    return [f"{prefix}*"] if {label for label in labels if label.startswith(prefix)} == set(group) else group


def control_notes(column: str, controls: Controls, n_control: int, n_left_out: int) -> list[str]:
    """Notes on what is taken for control, and on what becomes of other labels that look like it.

    `n_left_out` counts the cells of other labels that look like controls, which are left out.
    """
    pooled = ""
    if len(controls.labels) > 1:
        why = f"all are {controls.pooled_as}; --control LABEL takes one alone" if controls.pooled_as else "as named"
        pooled = f", {count_of(len(controls.labels), 'label')} pooled ({why})"
    labels = _quoted(controls.labels) or "none"
    notes = [f"perturbation <- obs[{column!r}]; control = {labels} ({n_control:,} cells){pooled}"]
    alike = "look like controls" if len(controls.others) > 1 else "looks like a control"
    look = f"{_quoted(controls.others)} {alike} too"
    if n_left_out:
        pool_option = control_option([controls.labels, controls.others], (*controls.labels, *controls.others))
        notes.append(
            f"{look}, and not named: {count_of(n_left_out, 'cell was', 'cells were')} left out ({pool_option} pools them; --other-controls keep makes "
            "them perturbations)"
        )
    elif controls.others:
        notes.append(f"{look}: kept as {'perturbations' if len(controls.others) > 1 else 'a perturbation'}")
    return notes


def _quoted(labels: Sequence[str]) -> str:
    return join_names(map(repr, labels), SHOWN)


def _by_kind(labels: Sequence[str]) -> dict[str, list[str]]:
    """Labels that look like controls, by their kind."""
    by_kind: dict[str, list[str]] = {}
    for label in labels:
        if (kind := kind_of_control(label)) is not None:
            by_kind.setdefault(kind, []).append(label)
    return {kind: sorted(of_kind) for kind, of_kind in by_kind.items()}


def _matching(name: str, labels: Sequence[str]) -> list[str]:
    """The label of this name, or else those that fit it as a pattern, or that are the same number: `0` is `0.0`."""
    if name in labels:
        return [name]
    return [label for label in labels if fnmatchcase(label, name) or _same_number(label, name)]


def _same_number(one: str, other: str) -> bool:
    try:
        return float(one) == float(other)
    except ValueError:
        return False
