"""Splits of effects: of all kinds but cells, by lists, by dose and time, and what measured together gives away."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from cycseq.data.condition import Condition, treatment_name
from cycseq.data.effects import Effects
from cycseq.errors import SettingsError, SplitError
from cycseq.split.base import Split
from cycseq.split.leakage import check_leakage
from cycseq.split.make import make_splits
from cycseq.split.settings import SplitSettings

LEVELS = ("Low", "Middle", "High")


def effects(conditions: list[Condition]) -> Effects:
    values = np.random.default_rng(0).normal(size=(len(conditions), 30))
    return Effects.from_arrays(values, conditions, [f"G{i}" for i in range(30)], scale="rank")


def grid(perturbations: str = "A B C D E F G H A+B") -> Effects:
    return effects([Condition(c, p) for c, p in itertools.product("abc", perturbations.split())])


def dosed() -> Effects:
    agents, doses, hours = ("A", "B", "C", "D", "E"), LEVELS, (2.0, 8.0, 24.0)
    return effects(
        [Condition(c, treatment_name(a, d, t)) for c, a, d, t in itertools.product("ab", agents, doses, hours)]
    )


def split_of(data: Effects, **settings: object) -> Split:
    (split,) = make_splits(data, SplitSettings(**settings))  # type: ignore[arg-type]
    return split


def names(conditions: tuple[Condition, ...]) -> set[str]:
    return {str(c) for c in conditions}


def written(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("kind", ["unseen-context", "unseen-pair", "unseen-perturbation", "unseen-combination"])
def test_effects_are_split_without_controls(kind: str, tmp_path: Path) -> None:
    data = grid()
    for split in make_splits(data, SplitSettings(kind=kind)):  # type: ignore[arg-type]
        parts = split.effect_parts(data)
        assert set(parts.test.conditions()) == set(split.test)
        assert set(parts.learnt.conditions()) == {*split.train, *split.validation}
        assert "noise of the control mean is in all of them" in split.claim
        assert check_leakage(split, data) == ()
    split.write(tmp_path / "s.json")
    assert Split.read(tmp_path / "s.json") == split


def test_cells_cannot_be_cut_where_there_are_none() -> None:
    for settings in ({"kind": "random-cells"}, {"kind": "few-shot", "context": "a"}):
        with pytest.raises(SplitError, match="these are effects of whole conditions"):
            split_of(grid(), **settings)
    assert len(split_of(grid(), kind="few-shot", context="a", k=3).test) == 6


def test_listed_pairs_are_tested_and_what_contains_them_is_left_out(tmp_path: Path) -> None:
    split = split_of(grid(), kind="unseen-pair", test_conditions=written(tmp_path / "pairs.txt", "a:A", "b:C", ""))
    assert split.name == "unseen-pair:pairs"
    assert names(split.test) == {"a:A", "b:C"}
    assert names(split.left_out) == {"a:A+B"}
    assert len(split.train) + len(split.validation) == 27 - 3
    with pytest.raises(SplitError, match=r"no perturbation \(named in .*p.txt\) 'Z'"):
        split_of(grid(), kind="unseen-pair", test_conditions=written(tmp_path / "p.txt", "a:Z"))
    everywhere = written(tmp_path / "all.txt", *(f"{c}:H" for c in "abc"))
    assert (
        "(H) are measured in no other context" in split_of(grid(), kind="unseen-pair", test_conditions=everywhere).claim
    )


def test_listed_perturbations_are_tested_in_every_context_with_all_doses(tmp_path: Path) -> None:
    listed = written(tmp_path / "names.txt", "A", "B")
    split = split_of(grid(), kind="unseen-perturbation", test_perturbations=listed)
    assert names(split.test) == {f"{c}:{p}" for c in "abc" for p in "AB"}
    assert names(split.left_out) == {f"{c}:A+B" for c in "abc"}
    of_doses = split_of(dosed(), kind="unseen-perturbation", test_perturbations=listed)
    assert {c.agent for c in of_doses.test} == {"A", "B"}
    assert len(of_doses.test) == 2 * 2 * 9


def test_an_agent_goes_with_all_its_doses_where_nothing_is_listed() -> None:
    for kind in ("unseen-perturbation", "unseen-pair"):
        split = make_splits(dosed(), SplitSettings(kind=kind, fraction=0.4))[0]  # type: ignore[arg-type]
        tested = {(c.agent, c.context) for c in split.test}
        assert len(split.test) == 9 * len(tested)
        assert not tested & {(c.agent, c.context) for c in (*split.train, *split.validation)}


def test_a_dose_or_time_is_tested_and_the_others_stay(tmp_path: Path) -> None:
    listed = written(tmp_path / "names.txt", "A", "B")
    middle = split_of(dosed(), kind="unseen-dose", dose="middle", test_perturbations=listed)
    assert {(c.agent, c.dose) for c in middle.test} == {("A", "Middle"), ("B", "Middle")}
    assert {c.dose for c in middle.train if c.agent == "A"} == {"Low", "High"}
    assert "extrapolation" not in middle.claim
    assert "from 3 other perturbations at this dose" in middle.claim
    late = split_of(dosed(), kind="unseen-time", time=24.0, test_perturbations=listed)
    assert {c.time for c in late.train if c.agent == "A"} == {2.0, 8.0}
    assert "For 12 of 12 tested conditions this is extrapolation: all times in training are lower" in late.claim
    early = split_of(dosed(), kind="unseen-dose", dose="Low")
    assert "all doses in training are higher" in early.claim
    assert "nothing else is seen at this dose" in early.claim


def test_a_perturbation_of_which_nothing_else_is_seen_is_left_out() -> None:
    data = effects([*dosed().conditions(), Condition("a", "X@Middle@2h")])
    split = split_of(data, kind="unseen-dose", dose="Middle")
    assert names(split.left_out) == {"a:X@Middle@2h"}
    assert "Left out as nothing else of them is seen: X." in split.claim
    with pytest.raises(SplitError, match="no perturbation with the tested dose has another dose"):
        split_of(effects([Condition("a", "X@Middle"), Condition("a", "Y@Low")]), kind="unseen-dose", dose="Middle")


def test_doses_with_units_have_an_order() -> None:
    data = effects([Condition("a", f"{agent}@{dose}") for agent in "AB" for dose in ("10nM", "100nM", "9nM")])
    assert "extrapolation: all doses in training are lower" in split_of(data, kind="unseen-dose", dose="100nM").claim
    assert "extrapolation" not in split_of(data, kind="unseen-dose", dose="10nM").claim


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "unseen-dose"}, "use --dose, one of High, Low, Middle"),
        ({"kind": "unseen-dose", "dose": "50nM"}, "no perturbation has the dose '50nM'"),
        ({"kind": "unseen-time"}, "use --time, one of 2, 8, 24"),
        ({"kind": "unseen-time", "time": 6.0}, "nothing was measured at 6 h: the data have 2, 8, 24 h"),
        ({"kind": "unseen-context", "dose": "Low"}, "--dose Low belongs to unseen-dose"),
        (
            {"kind": "unseen-context", "test_conditions": Path("p.txt")},
            "--test-conditions p.txt belongs to unseen-pair",
        ),
    ],
)
def test_settings_of_other_kinds_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises((SettingsError, SplitError), match=message):
        split_of(dosed(), **settings)


def test_wells_that_contexts_share_are_said() -> None:
    data = grid()
    data.adata.obs["plate"] = [f"plate{ord(c.agent[0]) % 3}" for c in data.conditions()]
    (leak,) = check_leakage(split_of(data, kind="unseen-context", context="a"), data)
    assert (leak.kind, leak.level, leak.n) == ("shared wells", "warning", 9)
    data.adata.obs["plate"] = [c.context for c in data.conditions()]  # every context has plates of its own
    assert check_leakage(split_of(data, kind="unseen-context", context="a"), data) == ()
