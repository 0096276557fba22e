"""`Effects`: what it holds, refuses, and gives back."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pytest

from cycseq.data.condition import Condition, split_treatment, treatment_name
from cycseq.data.effects import Effects
from cycseq.errors import DataError

CONDITIONS = (Condition("K562", "control"), Condition("K562", "drug@100nM@24h"), Condition("RPE1", "KLF1+BAK1"))


def effects(values: object = ((0.0, 0.0), (1.0, np.nan), (-2.0, 3.0)), **settings: object) -> Effects:
    return Effects.from_arrays(np.array(values), CONDITIONS, ["A", "B"], scale="log1p", **settings)


def test_a_gene_that_was_not_measured_is_never_zero() -> None:
    chosen = effects().with_genes(["B", "C"])
    assert np.isnan(chosen.effect[:, 1]).all()
    assert np.isnan(chosen.effect[1, 0])
    assert chosen.effect[2, 0] == 3.0


def test_conditions_carry_dose_and_time() -> None:
    condition = effects().conditions()[1]
    assert (condition.agent, condition.dose, condition.time) == ("drug", "100nM", 24.0)
    assert effects().adata.obs["perturbation"].tolist() == ["control", "drug", "KLF1+BAK1"]
    assert effects().subset([condition]).conditions() == (condition,)
    assert effects().perturbed().conditions() == CONDITIONS[1:]


@pytest.mark.parametrize("treatment", [("a", None, None), ("a+b", "Low", None), ("a", None, 6.5), ("a", "1.5uM", 2.0)])
def test_names_of_treatments_are_read_as_they_are_written(treatment: tuple[str, str | None, float | None]) -> None:
    assert split_treatment(treatment_name(*treatment)) == treatment


def test_it_is_written_as_anndata(tmp_path: Path) -> None:
    made = effects(layers={"se": np.ones((3, 2))})
    made.write(tmp_path / "e.h5ad")
    stored = ad.read_h5ad(tmp_path / "e.h5ad")
    assert stored.uns["cycseq"]["kind"] == "effects"
    np.testing.assert_array_equal(stored.X, made.effect)
    assert made.fingerprint() != effects().fingerprint()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (((0, 0), (np.inf, 1), (1, 1)), "infinite"),
        (((0, 0), (np.nan, np.nan), (1, 1)), "no gene was measured in 'K562:drug@100nM@24h'"),
    ],
)
def test_values_that_no_effect_can_have_are_refused(values: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        effects(values)


def test_ranks_have_no_magnitude() -> None:
    with pytest.raises(DataError, match="magnitude"):
        Effects.from_arrays(np.ones((3, 2)), CONDITIONS, ["A", "B"], scale="rank").require_magnitude("this")
