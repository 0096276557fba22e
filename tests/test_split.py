"""Splits: what is held out, what stays, and that nothing that is tested is given away."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.errors import CycseqError, FileError, SettingsError, SplitError
from cycseq.split.base import Split
from cycseq.split.leakage import check_leakage
from cycseq.split.make import make_splits
from cycseq.split.settings import KINDS, SplitSettings

GENES = 30


def data_of(conditions: dict[tuple[str, str], int], seed: int = 0) -> PerturbationData:
    """Random cells: so many of each (context, perturbation)."""
    rng = np.random.default_rng(seed)
    rows = [(c, p, f"b{i % 2}") for (c, p), n in conditions.items() for i in range(n)]
    obs = pd.DataFrame(rows, columns=["context", "perturbation", "batch"], index=[f"cell{i}" for i in range(len(rows))])
    x = sp.csr_matrix(rng.random((len(rows), GENES)) + 0.1, dtype=np.float32)
    return PerturbationData.from_anndata(
        ad.AnnData(X=x, obs=obs, var=pd.DataFrame(index=[f"G{i}" for i in range(GENES)]))
    )


def grid(contexts: str = "abc", perturbations: str = "A B C D E A+B C+D A+C", cells: int = 6) -> PerturbationData:
    names = ["control", *perturbations.split()]
    return data_of(dict.fromkeys(itertools.product(contexts, names), cells))


def only(data: PerturbationData, **said: object) -> Split:
    (split,) = make_splits(data, SplitSettings(**said))
    return split


def names(conditions: tuple[Condition, ...]) -> set[str]:
    return {c.perturbation for c in conditions}


def test_unseen_context_holds_out_all_its_perturbations_and_keeps_its_controls() -> None:
    data = grid()
    split = only(data, kind="unseen-context", context="b")
    assert split.name == "unseen-context:b"
    assert set(split.test) == {c for c in data.conditions() if c.context == "b" and not c.is_control}
    assert len({c.context for c in split.validation}) == 1
    assert {c.context for c in split.train} | {c.context for c in split.validation} == {"a", "c"}
    parts = split.parts(data)
    assert parts.train.controls(["b"]).n_cells == 6
    assert not parts.test.controls().n_cells
    assert parts.validation is not None
    assert parts.train.n_cells + parts.validation.n_cells + parts.test.n_cells == data.n_cells


def test_each_context_in_turn_and_none_without_perturbed_cells() -> None:
    data = data_of({("a", "control"): 3, ("a", "A"): 3, ("b", "control"): 3, ("b", "A"): 3, ("c", "control"): 3})
    assert [s.name for s in make_splits(data)] == ["unseen-context:a", "unseen-context:b"]
    assert make_splits(data)[0].validation == ()
    assert "c" in make_splits(data)[0].parts(data).train.contexts


def test_perturbations_of_no_other_context_are_not_tested_and_listed_in_the_claim() -> None:
    """Most models refuse them, and one refusal would cost the whole split; where nothing can be told from elsewhere, all is tested."""
    data = data_of(
        dict.fromkeys(
            [*[("a", p) for p in ("control", "A", "B", "A+B", "Q")], *[("b", p) for p in ("control", "A", "B")]], 3
        )
    )
    first, second = make_splits(data)
    assert names(first.test) == {"A", "B"}
    assert names(first.left_out) == {"A+B", "Q"}
    assert "Not tested, as no other context has them: A+B, Q." in first.claim
    assert "Q" not in second.claim
    assert not second.left_out
    few = only(data, kind="few-shot", context="a", k=1, seed=1)
    assert "Q" not in names(few.test)
    apart = data_of(dict.fromkeys([("a", "control"), ("a", "A"), ("b", "control"), ("b", "B")], 3))
    assert names(make_splits(apart)[0].test) == {"A"}
    assert "No other context has A: a model must know" in make_splits(apart)[0].claim


def test_a_validation_context_never_takes_what_is_tested_out_of_training() -> None:
    cells = dict.fromkeys([("a", "control"), ("a", "A"), ("b", "control"), ("b", "A"), ("c", "control"), ("c", "B")], 3)
    for seed in range(5):
        split = only(data_of(cells), context="a", seed=seed)
        assert names(split.validation) == {"B"}


def test_unseen_pair_tests_what_other_contexts_have_and_hides_combinations() -> None:
    data = grid("ab", "A B C A+B A+C")
    for seed in range(8):
        split = only(data, kind="unseen-pair", context="a", seed=seed, fraction=0.4)
        assert {c.context for c in split.test} == {"a"}
        assert {Condition("b", p) for p in names(split.test)} <= set(split.train)
        assert any(c.context == "a" for c in split.train)
        for tested, left in itertools.product(split.test, (*split.train, *split.validation)):
            assert left.context != "a" or not set(tested.parts) <= set(left.parts)


def test_few_shot_keeps_k_conditions_or_n_cells() -> None:
    data = grid()
    split = only(data, kind="few-shot", context="a", k=3)
    assert sum(c.context == "a" for c in (*split.train, *split.left_out)) == 3
    assert len(split.test) == 5
    assert not split.cells
    split = only(data, kind="few-shot", context="a", n_cells=2)
    parts = split.parts(data)
    counts = parts.train.adata.obs.query("context == 'a' and perturbation != 'control'")["perturbation"].value_counts()
    assert set(counts[counts > 0]) == {2}
    assert parts.test.n_cells == 8 * 4
    assert parts.validation is not None
    assert parts.validation.contexts != ("a",)
    assert not set(parts.test.adata.obs_names) & set(parts.train.adata.obs_names)
    assert parts.train.n_cells + parts.validation.n_cells + parts.test.n_cells == data.n_cells


def test_unseen_perturbation_is_seen_in_no_context_and_no_combination() -> None:
    data = grid("ab")
    for seed in range(8):
        split = only(data, kind="unseen-perturbation", seed=seed)
        (tested,) = names(split.test)
        assert {c.context for c in split.test} == {"a", "b"}
        assert not any(tested in c.parts for c in (*split.train, *split.validation))
        assert all(tested in c.parts for c in split.left_out)
        everything = {*split.train, *split.validation, *split.test, *split.left_out}
        assert everything == {c for c in data.conditions() if not c.is_control}


@pytest.mark.parametrize("seen", [0, 1, 2])
def test_unseen_combination_has_as_many_seen_parts_as_asked(seen: int) -> None:
    data = grid("ab", "A B C D E F A+B C+D A+C E+F B+E D+F")
    for seed in range(8):
        split = only(data, kind="unseen-combination", seen_parts=seen, seed=seed)
        alone, anywhere = set(split.train), {p for c in (*split.train, *split.validation) for p in c.parts}
        assert split.test
        for tested in split.test:
            assert len(tested.parts) == 2
            assert sum(p in anywhere for p in tested.parts) == seen
            assert sum(Condition(tested.context, p) in alone for p in tested.parts) == seen


def test_random_cells_cuts_every_condition_and_says_that_it_is_reconstruction_only() -> None:
    data = grid("a", "A B", cells=200)
    split = only(data, kind="random-cells")
    parts = split.parts(data)
    assert parts.validation is not None
    assert [p.n_cells for p in (parts.train, parts.validation, parts.test)] == [420, 90, 90]
    assert all(p.controls().n_cells for p in (parts.train, parts.validation, parts.test))
    assert split.claim.startswith("Reconstruction only: it says nothing about unseen conditions.")


def test_metacells_that_share_cells_cannot_be_cut() -> None:
    data = grid("a", "A")
    data.adata.obsm["source_cells"] = sp.csr_matrix(np.eye(data.n_cells, dtype=bool))
    assert only(data, kind="random-cells").cells
    data.adata.obsm["source_cells"] = sp.csr_matrix(np.ones((data.n_cells, 3), dtype=bool))
    for said in ({"kind": "random-cells"}, {"kind": "few-shot", "n_cells": 2}):
        with pytest.raises(SplitError, match="metacells of these data share cells"):
            make_splits(data, SplitSettings(**said))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in {"unseen-dose", "unseen-time"}])
def test_the_order_of_cells_changes_nothing_and_the_seed_all(kind: str) -> None:
    data = grid("abc", "A B C D E F G H A+B C+D E+F G+H")
    n_cells = 3 if kind == "few-shot" else None
    shuffled = data.take(np.random.default_rng(1).permutation(data.n_cells))
    one, again = (make_splits(d, SplitSettings(kind=kind, seed=3, n_cells=n_cells)) for d in (data, shuffled))
    assert [replace(s, data_hash="") for s in one] == [replace(s, data_hash="") for s in again]
    others = [make_splits(data, SplitSettings(kind=kind, seed=seed, n_cells=n_cells)) for seed in range(4, 9)]
    assert any(
        [(s.test, s.validation, s.cells) for s in o] != [(s.test, s.validation, s.cells) for s in one] for o in others
    )


def test_written_splits_are_read_again(tmp_path) -> None:
    data = grid()
    for i, said in enumerate(({"kind": "few-shot", "n_cells": 2, "context": "a"}, {"kind": "unseen-combination"})):
        split = only(data, **said)
        split.write(tmp_path / f"{i}.json")
        assert Split.read(tmp_path / f"{i}.json") == split


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda said: {**said, "format": 99}, "format 99, and this cycseq reads format 1"),
        (lambda said: {k: v for k, v in said.items() if k != "test"}, "test is missing"),
        (lambda said: {**said, "test": ["ab"]}, "not a list of conditions|damaged"),
        (lambda said: {**said, "test": [1]}, "damaged"),
        (lambda said: {**said, "hash": ["RRR"]}, "was altered"),
        (lambda said: {**said, "kind": "sideways"}, "no kind 'sideways'"),
        (lambda said: {"a": 1}, "names no format"),
        (lambda said: [said], "it holds a list where a table is expected"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, change, message: str) -> None:
    path = tmp_path / "split.json"
    only(grid(), context="a").write(path)
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(FileError, match=message):
        Split.read(path)
    path.write_text(path.read_text()[:40])
    with pytest.raises(FileError, match="damaged"):
        Split.read(path)


def test_other_data_are_refused_and_both_hashes_named() -> None:
    data, other = grid(), grid(cells=5)
    split = only(data, context="a")
    with pytest.raises(SplitError, match=f"{data.fingerprint()}.*{other.fingerprint()}"):
        split.parts(other)


@pytest.mark.parametrize(
    ("said", "error", "message"),
    [
        ({"context": "A"}, SplitError, "no context 'A': did you mean 'a'"),
        ({"context": "d"}, SplitError, "has no perturbed cells.*--context: a, b, c"),
        ({"context": "e"}, SplitError, "has no control cells"),
        ({"kind": "few-shot", "context": "a", "k": 4}, SplitError, "Use --k 3 or less"),
        ({"kind": "few-shot", "context": "a", "n_cells": 6}, SplitError, "--n-cells"),
        ({"kind": "few-shot", "k": 1, "n_cells": 2}, SettingsError, "not both"),
        ({"kind": "few-shot", "k": 0}, SettingsError, "must be 1 or more"),
        ({"kind": "unseen-pair", "k": 1}, SettingsError, "belongs to few-shot"),
        ({"kind": "unseen-combination"}, SplitError, "no combinations"),
        ({"kind": "unseen-perturbation", "context": "a"}, SettingsError, "belongs to unseen-context"),
        ({"fraction": 1.0}, SettingsError, "between 0 and 1"),
        ({"kind": "random-cells", "fraction": 0.6, "validation": 0.5}, SettingsError, "leave nothing"),
        ({"kind": "random-cells", "fraction": 0.86}, SettingsError, "--validation 0.15 leave nothing"),
        ({"kind": "random-cells", "fraction": 0.5, "validation": 0.49}, SplitError, "lower --fraction"),
        ({"kind": "random-cells", "fraction": 0.01}, SplitError, "--fraction"),
    ],
)
def test_what_cannot_be_made_is_refused_with_the_cure(said: dict, error: type[CycseqError], message: str) -> None:
    cells = dict.fromkeys(itertools.product("abc", ["control", "A", "B", "C", "D"]), 6)
    data = data_of({**cells, ("d", "control"): 4, ("e", "A"): 4})
    with pytest.raises(error, match=message):
        make_splits(data, SplitSettings(**said))


def test_an_unknown_kind_is_refused_by_name() -> None:
    said = SplitSettings()
    said.kind = "unseen-contxt"
    with pytest.raises(SettingsError, match="did you mean 'unseen-context'"):
        make_splits(grid(), said)


@pytest.mark.parametrize("kind", ["unseen-context", "unseen-pair", "few-shot"])
def test_one_context_alone_cannot_be_unseen(kind: str) -> None:
    k = 1 if kind == "few-shot" else None
    with pytest.raises(SplitError, match="unseen-perturbation"):
        make_splits(grid("a"), SplitSettings(kind=kind, k=k))


def test_nothing_but_controls_or_one_perturbation() -> None:
    with pytest.raises(SplitError, match="only controls"):
        make_splits(data_of({("a", "control"): 3}), SplitSettings(kind="unseen-perturbation"))
    with pytest.raises(SplitError, match="1 single perturbation"):
        make_splits(grid("ab", "A"), SplitSettings(kind="unseen-perturbation"))
    with pytest.raises(SplitError, match="--seen-parts"):
        make_splits(grid("ab", "A+B"), SplitSettings(kind="unseen-combination"))


worlds = st.fixed_dictionaries(
    {
        "conditions": st.sets(
            st.tuples(st.sampled_from("abcd"), st.sampled_from([*"ABCDE", "A+B", "A+C", "B+D", "C+E", "D+E", "A+B+C"])),
            min_size=1,
            max_size=25,
        ),
        "cells": st.integers(2, 9),
    }
)


@settings(max_examples=60, deadline=None)
@given(
    world=worlds,
    kind=st.sampled_from(list(KINDS)),
    seen=st.sampled_from([0, 1, 2]),
    k=st.sampled_from([None, 1, 2]),
    seed=st.integers(0, 99),
    fraction=st.sampled_from([None, 0.1, 0.5]),
)
def test_fresh_splits_never_leak(world, kind, seen, k, seed, fraction) -> None:
    controls = {(c, "control"): 4 for c, _ in world["conditions"]}
    data = data_of({**controls, **dict.fromkeys(sorted(world["conditions"]), world["cells"])})
    said = SplitSettings(kind=kind, seen_parts=seen, k=k if kind == "few-shot" else None, seed=seed, fraction=fraction)
    try:
        splits = make_splits(data, said)
    except SplitError:
        return
    for split in splits:
        assert check_leakage(split, data) == ()
        assert split.test
        assert split.train
        parts = split.parts(data)
        assert parts.test.n_cells
        assert set(split.left_out).isdisjoint({*split.train, *split.validation, *split.test})
        together = [*parts.train.adata.obs_names, *parts.test.adata.obs_names]
        together += list(parts.validation.adata.obs_names) if parts.validation else []
        left = data.subset(split.left_out).n_cells if split.left_out else 0
        assert len(together) == len(set(together)) == data.n_cells - left
