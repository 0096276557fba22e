"""Every planted leak is found, and real data are not accused."""

from __future__ import annotations

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
from cycseq.errors import SplitError
from cycseq.split.base import Split
from cycseq.split.leakage import check_leakage
from cycseq.split.make import make_splits
from cycseq.split.settings import SplitSettings
from cycseq.split.shared_cells import barcodes, row_hashes

PERTURBATIONS = ("control", "A", "B", "C", "A+B")
CELLS = 5


def make(*, dense: bool = False, seed: int = 0) -> PerturbationData:
    rng = np.random.default_rng(seed)
    rows = [(c, p, "b0") for c in "xyz" for p in PERTURBATIONS for _ in range(CELLS)]
    obs = pd.DataFrame(rows, columns=["context", "perturbation", "batch"])
    obs.index = ["".join(rng.choice(list("ACGT"), 16)) + "-1" for _ in rows]
    x = rng.poisson(1.5, (len(rows), 60)).astype(np.float32) + (np.arange(60) < 3)
    return PerturbationData.from_anndata(ad.AnnData(X=x if dense else sp.csr_matrix(x, dtype=np.float32), obs=obs))


def split_of(data: PerturbationData, kind: str = "unseen-context", **said: object) -> Split:
    return make_splits(data, SplitSettings(kind=kind, **said))[0]


def kinds(split: Split, data: PerturbationData) -> set[tuple[str, str]]:
    return {(leak.kind, leak.level) for leak in check_leakage(replace(split, data_hash=data.fingerprint()), data)}


@pytest.mark.parametrize("dense", [False, True])
def test_a_duplicated_cell_is_found(dense: bool) -> None:
    data = make(dense=dense)
    split = split_of(data, context="x")
    assert check_leakage(split, data) == ()
    x = data.x.toarray() if sp.issparse(data.x) else data.x.copy()
    test, train = data.rows(Condition("x", "A"))[0], data.rows(Condition("y", "control"))[0]
    x[test] = x[train]
    data.adata.X = x if dense else sp.csr_matrix(x)
    (leak,) = check_leakage(replace(split, data_hash=data.fingerprint()), data)
    assert (leak.kind, leak.n, leak.level) == ("shared cells", 1, "leak")
    assert data.adata.obs_names[test] in str(leak)


def test_a_cell_in_two_parts_is_found() -> None:
    data = make()
    split = split_of(data, "random-cells")
    both = replace(split, cells={**split.cells, "train": (*split.cells["train"], split.cells["test"][0])})
    assert kinds(both, data) == {("shared cells", "leak")}


def test_a_condition_in_two_parts_is_found() -> None:
    data = make()
    split = split_of(data, "unseen-perturbation")
    assert kinds(replace(split, train=(*split.train, split.test[0])), data) == {
        ("shared conditions", "leak"),
        ("shared cells", "leak"),
        ("hidden perturbations", "leak"),
    }


@pytest.mark.parametrize("alike", [True, False])
@pytest.mark.parametrize("name", ["{}_stim", "lane2_{}-3"])
def test_a_recurring_barcode_is_a_leak_if_the_profile_recurs(alike: bool, name: str) -> None:
    data = make()
    split = split_of(data, context="x")
    test, train = data.rows(Condition("x", "A"))[0], data.rows(Condition("y", "control"))[0]
    names = list(data.adata.obs_names)
    names[test] = name.format(names[train].removesuffix("-1"))
    data.adata.obs_names = names
    if alike:
        x = data.x.toarray()
        x[test] = x[train]
        x[test, 5] += 0.5
        data.adata.X = sp.csr_matrix(x)
    assert kinds(split, data) == {("shared barcodes", "leak" if alike else "warning")}
    data.adata.obs["batch"] = pd.Categorical(np.where(np.arange(data.n_cells) == test, "b1", "b0"))
    assert kinds(split, data) == set()


def test_barcodes_lose_prefixes_and_suffixes() -> None:
    found = barcodes(pd.Index(["TGCTGAGATGCTAG_ctrl", "f1_ACGTACGTACGTACGT-12", "cell7", "11D_E11_RT_BC_198"]))
    assert found[:2].tolist() == ["TGCTGAGATGCTAG", "ACGTACGTACGTACGT"]
    assert found[2:].isna().all()


def test_metacells_that_share_cells_are_found() -> None:
    data = make()
    split = split_of(data, context="x")
    own = np.eye(data.n_cells, dtype=bool)
    data.adata.obsm["source_cells"] = sp.csr_matrix(own)
    assert kinds(split, data) == set()
    own[data.rows(Condition("x", "A"))[0], data.rows(Condition("y", "control"))[0]] = True
    data.adata.obsm["source_cells"] = sp.csr_matrix(own)
    assert kinds(split, data) == {("shared metacells", "leak")}


def test_perturbations_hidden_in_combinations_are_found() -> None:
    data = make()
    everything = {c for c in data.conditions() if not c.is_control}
    for kind, tested in (("unseen-perturbation", {"A"}), ("unseen-combination", {"A+B"}), ("unseen-pair", {"A"})):
        test = tuple(
            sorted(c for c in everything if c.perturbation in tested and (c.context == "x" or kind != "unseen-pair"))
        )
        split = Split(
            kind, kind, "", tuple(sorted(everything - set(test))), (), test, 0, data.fingerprint(), seen_parts=1
        )
        (leak,) = check_leakage(split, data)
        assert (leak.kind, leak.n) == ("hidden perturbations", len(test))
        assert all(str(c) in str(leak) for c in test[:1])
        assert check_leakage(replace(split, train=tuple(c for c in split.train if c.perturbation == "C")), data) == ()
    allowed = replace(
        split,
        kind="unseen-combination",
        seen_parts=2,
        test=(Condition("x", "A+B"),),
        train=(Condition("x", "A"), Condition("x", "B")),
    )
    assert check_leakage(allowed, data) == ()


def of_conditions(**contexts: str) -> PerturbationData:
    """Three cells of control and of each named perturbation."""
    rows = [(c, p, "b0") for c, names in contexts.items() for p in ("control", *names.split()) for _ in range(3)]
    obs = pd.DataFrame(rows, columns=["context", "perturbation", "batch"], index=[f"cell{i}" for i in range(len(rows))])
    x = np.random.default_rng(0).random((len(rows), 30)).astype(np.float32) + 0.1
    return PerturbationData.from_anndata(ad.AnnData(X=sp.csr_matrix(x), obs=obs))


@pytest.mark.parametrize("seed", range(10))
def test_few_shot_does_not_learn_from_combinations_that_contain_what_is_tested(seed: int) -> None:
    data = of_conditions(L1="A B C A+B A+C B+C", L2="A B C A+B A+C B+C", L3="A B C A+B A+C B+C")
    split = split_of(data, "few-shot", context="L1", k=3, seed=seed)
    inside = [c for c in split.train if c.context == "L1"]
    assert not any(set(t.parts) <= set(c.parts) for t in split.test for c in inside)
    assert all(any(set(t.parts) < set(c.parts) for t in split.test) for c in split.left_out)
    assert (len(inside) + len(split.left_out), len(split.test)) == (3, 3)
    assert f"predicted from {len(inside)} measured condition" in split.claim
    assert check_leakage(split, data) == ()
    found = check_leakage(replace(split, train=(*split.train, *split.left_out), left_out=()), data)
    assert [leak.kind for leak in found] == ["hidden perturbations"] * bool(split.left_out)


def test_few_shot_of_the_seed_that_leaked() -> None:
    data = of_conditions(L1="A B C A+B A+C B+C", L2="A B C")
    split = split_of(data, "few-shot", context="L1", k=3, validation=0.0)
    assert {c.perturbation for c in split.left_out} == {"A+B", "B+C"}
    assert "Left out in L1 as they contain what is tested: A+B, B+C." in split.claim
    with pytest.raises(SplitError, match=r"k = 1: every condition drawn of L1 contains a tested one.*--k.*--seed"):
        split_of(data, "few-shot", context="L1", k=1, seed=0)


@pytest.mark.parametrize("seed", range(4))
def test_few_shot_validates_only_in_a_context_with_more_than_k_conditions(seed: int) -> None:
    small = of_conditions(a="A B C D", b="A B C D", c="A")
    split = split_of(small, "few-shot", context="a", k=3, seed=seed)
    assert {c.context for c in split.validation} <= {"b"}
    none = split_of(of_conditions(a="A B C D", b="A B C", c="A B C"), "few-shot", context="a", k=3, seed=seed)
    assert none.validation == ()


@pytest.mark.parametrize(
    ("prepared", "cure"),
    [
        ({"genes": 60, "hold_out": []}, "--hold-out x."),
        ({"genes": 60, "hold_out": ["y", "x:A"]}, "--hold-out y,x:A,x"),
        ({"genes": 60, "hold_out": ["x"]}, None),
        ({"genes": 60, "hold_out": ["x:A", "x:B", "x:C", "x:B+A"]}, None),
        ({"genes": "all", "hold_out": []}, None),
        ({"genes": 2000, "hold_out": []}, None),
    ],
)
def test_genes_chosen_with_the_tested_cells_are_warned_of(prepared: dict, cure: str | None) -> None:
    data = make()
    split = split_of(data, context="x")
    data.adata.uns["cycseq"] = {"prepare": json.dumps(prepared)}
    found = check_leakage(split, data)
    assert [(leak.kind, leak.level) for leak in found] == [("chosen genes", "warning")] * (cure is not None)
    assert all(cure in leak.cure and "chosen with the tested cells" in leak.what for leak in found)
    assert check_leakage(split_of(data, "random-cells"), data) == ()


def test_missing_controls_are_found() -> None:
    data = make()
    split = split_of(data, context="x")
    without = data.take(
        np.flatnonzero(~((data.adata.obs["context"] == "x") & (data.adata.obs["perturbation"] == "control")))
    )
    assert kinds(split, without) == {("missing controls", "leak")}


def test_other_data_are_refused() -> None:
    with pytest.raises(SplitError, match="other data"):
        check_leakage(split_of(make()), make(seed=1))


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    kind=st.sampled_from(["unseen-context", "unseen-pair", "unseen-perturbation", "random-cells"]),
)
def test_any_duplicate_across_parts_is_found(seed: int, kind: str) -> None:
    data = make(seed=seed)
    split = split_of(data, kind, seed=seed)
    rows = split.rows(data)
    rng = np.random.default_rng(seed)
    x = data.x.toarray()
    x[rng.choice(rows["test"])] = x[rng.choice(rows["train"])]
    data.adata.X = sp.csr_matrix(x)
    assert ("shared cells", "leak") in kinds(split, data)


def test_hashes_are_those_of_equal_rows_only() -> None:
    rng = np.random.default_rng(0)
    x = rng.poisson(1.0, (3000, 80)).astype(np.float32)
    x[2000:] = x[:1000]
    hashes = row_hashes(x)
    np.testing.assert_array_equal(hashes, row_hashes(sp.csr_matrix(x)))
    enough = (x != 0).sum(axis=1) >= 20
    assert ((hashes != 0) == enough).all()
    np.testing.assert_array_equal(hashes[2000:], hashes[:1000])
    assert len(np.unique(hashes[enough])) == len(np.unique(x[enough], axis=0))


@pytest.mark.parametrize("name", ["kang2018_pbmc_ifnb", "norman2019_mcfaline2023_slice"])
def test_real_data_do_not_leak(shared_data, name: str) -> None:
    data = PerturbationData.from_anndata(ad.read_h5ad(shared_data(f"{name}.h5ad")))
    for split in make_splits(data)[:2]:
        assert [leak for leak in check_leakage(split, data) if leak.level == "leak"] == []
