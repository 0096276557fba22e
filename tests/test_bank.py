"""Several studies as one bank: genes, contexts, doses, amplitudes, and what cannot be joined."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cycseq.cli import BAD_INPUT, SUCCESS, main
from cycseq.data.condition import Condition
from cycseq.data.effects import Effects
from cycseq.data.studies import learn_amplitudes, studies_of, with_amplitudes
from cycseq.errors import DataError
from cycseq.formats.effects.read import read_effects
from cycseq.models import build_model
from cycseq.preparation.bank import join_studies
from cycseq.run.parts import AMPLITUDES, fit_on_effects, predict_on_effects

DRUGS = [f"drug{i}" for i in range(12)]


def study(
    seed: int,
    contexts: tuple[str, ...] = ("K562", "A549"),
    *,
    amplitude: float = 1.0,
    noise: float = 0.0,
    genes: range = range(80),
    drugs: list[str] = DRUGS,
    se: bool = False,
    **settings: object,
) -> Effects:
    """Effects that all studies share, times an amplitude, a common response of the study's own, and noise."""
    truth = np.random.default_rng(7).normal(size=(len(DRUGS), 200))[[DRUGS.index(d.partition("@")[0]) for d in drugs]]
    rng = np.random.default_rng(seed)
    values = [amplitude * (truth + rng.normal(size=200)) + noise * rng.normal(size=truth.shape) for _ in contexts]
    effect = np.concatenate(values)[:, genes.start : genes.stop]
    layers = {"se": np.full(effect.shape, noise)} if se else {}
    conditions = [Condition(context, drug) for context in contexts for drug in drugs]
    given = {"scale": "log_fold_change", **settings}
    return Effects.from_arrays(effect, conditions, [f"G{i}" for i in genes], layers=layers, **given)


def test_genes_are_the_union_and_what_a_study_did_not_measure_is_nan() -> None:
    one, other = study(1, se=True, noise=0.1), study(2, ("K562",), genes=range(40, 120), drugs=DRUGS[:3])
    bank = join_studies([one, other], ["a", "b"])
    assert bank.genes == [f"G{i}" for i in range(120)]
    assert bank.contexts == ("a/A549", "a/K562", "b/K562")
    rows = [c.context.startswith("b/") for c in bank.conditions()]
    assert np.isnan(bank.effect[rows][:, :40]).all()
    assert np.isnan(bank.effect[~np.array(rows)][:, 80:]).all()
    np.testing.assert_array_equal(bank.effect[rows][:, 40:], other.effect)
    assert np.isnan(bank.layer("se")[rows]).all()
    assert studies_of(bank) == {"a/A549": "a", "a/K562": "a", "b/K562": "b"}
    assert "3 of 12 perturbations are in two studies or more" in bank.notes


def test_a_bank_is_written_read_and_joined_to_a_third(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, seed in (("a", 1), ("b", 2), ("c", 3)):
        study(seed).write(tmp_path / f"{name}.h5ad")
    assert main(f"summarize {tmp_path}/a.h5ad {tmp_path}/b.h5ad --out {tmp_path}/bank.h5ad".split()) == SUCCESS
    assert "12 of 12 perturbations are in two studies or more" in capsys.readouterr().out
    assert main(f"summarize {tmp_path}/bank.h5ad {tmp_path}/c.h5ad --out {tmp_path}/all.h5ad".split()) == SUCCESS
    bank = read_effects(tmp_path / "all.h5ad")
    assert set(studies_of(bank).values()) == {"a", "b", "c"}
    assert len(bank.contexts) == 6
    foreign = bank.adata.copy()
    foreign.uns["scale"] = "natural log fold change"
    del foreign.uns["cycseq"]
    assert read_effects(foreign).contexts == bank.contexts
    foreign.obs["context"] = [c.partition("/")[2] for c in foreign.obs["context"]]
    assert read_effects(foreign).contexts == bank.contexts


@pytest.mark.parametrize(("noise", "se"), [(0.0, False), (0.5, True)])
def test_amplitudes_are_learned_from_shared_perturbations(noise, se) -> None:
    studies = [study(1, amplitude=2.0, noise=noise, se=se), study(2, amplitude=0.5, noise=noise, se=se)]
    bank = join_studies(studies, ["strong", "weak"])
    amplitudes = learn_amplitudes(bank)
    assert amplitudes["strong"] * amplitudes["weak"] == pytest.approx(1.0)
    assert amplitudes["strong"] / amplitudes["weak"] == pytest.approx(4.0, rel=0.1 if noise else 1e-5)
    there = with_amplitudes(bank, amplitudes, inverse=True)
    np.testing.assert_allclose(with_amplitudes(there, amplitudes).effect, bank.effect, rtol=1e-5)


def test_studies_that_share_nothing_have_no_amplitude() -> None:
    bank = join_studies([study(1, amplitude=3.0, drugs=DRUGS[:6]), study(2, drugs=DRUGS[6:])], ["a", "b"])
    assert learn_amplitudes(bank) == {"a": 1.0, "b": 1.0}
    assert learn_amplitudes(study(1)) == {}


def test_amplitudes_are_taken_off_before_learning_and_put_back_on_prediction() -> None:
    studies = [study(1, amplitude=2.0, noise=0.2), study(2, amplitude=0.5, noise=0.05)]
    bank = join_studies(studies, ["strong", "weak"])
    hidden = [c for c in bank.conditions() if c.perturbation in DRUGS[:4] and c.context.startswith("weak")]
    train, real = bank.subset(set(bank.conditions()) - set(hidden)), bank.subset(hidden)
    errors = []
    for fit in (fit_on_effects, lambda model, train, **more: model.fit_effects(train, **more)):
        model = fit(build_model("ShrunkAdditive"), train, task="unseen-pair", seed=0)
        predicted = predict_on_effects(model, list(real.conditions()), None)
        errors.append(float(((predicted.effect - real.effect) ** 2).mean() / (real.effect**2).mean()))
    assert errors[0] < 0.1 < 1 < errors[1]
    assert AMPLITUDES not in model.learned.facts


@pytest.mark.parametrize(
    ("one", "other", "message"),
    [
        ({}, {"scale": "z"}, r"a bank has one scale, but a holds log_fold_change values, b holds z values"),
        ({}, {"genes": range(75, 155)}, r"b shares 5 of its 80 genes|a shares 5 of its 80 genes"),
        ({"drugs": ["drug1@1uM"]}, {"drugs": ["drug1@2mg/kg"]}, r"a has 1uM \(molar\) and b has 2mg/kg"),
    ],
)
def test_what_cannot_be_one_bank_is_one_line(tmp_path: Path, capsys, one, other, message) -> None:
    for name, settings in (("a", one), ("b", other)):
        study(1, **settings).write(tmp_path / f"{name}.h5ad")
    assert main(f"summarize {tmp_path}/a.h5ad {tmp_path}/b.h5ad --out {tmp_path}/bank.h5ad".split()) == BAD_INPUT
    said = capsys.readouterr().err.strip()
    assert "\n" not in said
    with pytest.raises(DataError, match=message):
        join_studies([study(1, **one), study(1, **other)], ["a", "b"])
    assert not (tmp_path / "bank.h5ad").exists()


def test_doses_of_one_bank_have_one_unit() -> None:
    one = study(1, ("K562",), drugs=["drug1@100nM", "drug1@1000nM", "drug2@100nM"])
    bank = join_studies([one, study(2, ("K562",), drugs=["drug1@0.1uM", "drug2@Middle"])], ["a", "b"])
    assert [str(c) for c in bank.conditions()] == [
        "a/K562:drug1@100nM", "a/K562:drug1@1000nM", "a/K562:drug2@100nM", "b/K562:drug1@100nM", "b/K562:drug2@Middle"
    ]  # fmt: skip


def test_ranks_have_no_amplitude() -> None:
    bank = join_studies([study(1, scale="rank"), study(2, scale="rank")], ["a", "b"])
    with pytest.raises(DataError, match="an amplitude for each study needs effects with a magnitude"):
        learn_amplitudes(bank)
    model = fit_on_effects(build_model("Additive"), bank, task=None, seed=0)
    assert AMPLITUDES not in model.learned.facts
    with pytest.raises(DataError, match="two studies are called 'a'"):
        join_studies([study(1), study(2)], ["a", "a"])
