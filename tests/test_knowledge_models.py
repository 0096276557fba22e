"""`--model.knowledge`: models that predict perturbations which were never measured from what is known of them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cycseq.cli import BAD_INPUT, SUCCESS, main
from cycseq.data.condition import Condition
from cycseq.data.effects import Effects
from cycseq.errors import CycseqError, ModelError
from cycseq.formats.effects.read import read_effects
from cycseq.knowledge.coordinates import coordinates
from cycseq.knowledge.features import Features
from cycseq.knowledge.read import read_sources
from cycseq.models import build_model, load_model

MODELS = ("Ridge", "Bilinear", "NearestPerturbation")
GROUPS = {f"P{i}": i % 4 for i in range(24)}
"""Perturbations by the group whose response they have."""
GENES = [f"G{i}" for i in range(40)]


def effects_of(names, seed=0) -> Effects:
    rng = np.random.default_rng(0)
    responses, commons = rng.normal(size=(4, len(GENES))), rng.normal(size=(2, len(GENES)))
    conditions = [Condition(context, name) for context in ("c0", "c1") for name in names]
    noise = np.random.default_rng(seed).normal(scale=0.3, size=(len(conditions), len(GENES)))
    values = [commons[int(c.context[1])] + responses[GROUPS[c.perturbation]] for c in conditions]
    return Effects.from_arrays((np.array(values) + noise).astype(np.float32), conditions, GENES, scale="z")


@pytest.fixture
def complexes(tmp_path):
    """Each group is a complex, and so is something else."""
    path = tmp_path / "complexes.csv"
    lines = [f"c{group},{name}" for name, group in GROUPS.items()] + [f"d{i},X{i % 3}" for i in range(9)]
    path.write_text("\n".join(["set,gene", *lines]))
    return path


def test_inner_products_of_coordinates_are_the_mean_kernel(complexes, tmp_path):
    (tmp_path / "go.csv").write_text("symbol,go_id\n" + "".join(f"P{i},t{i // 3}\n" for i in range(12)))
    sources = [*read_sources(complexes), *read_sources(tmp_path / "go.csv")]
    measured = [f"P{i}" for i in range(18)]
    features = coordinates(sources, [*measured, "P1+P2", "unknown"])
    rows = features.of(measured)
    both, one = sources[0].kernel(measured), sources[1].kernel(measured)
    counts = 1 + np.diag(one)
    np.testing.assert_allclose(rows @ rows.T, (both + one) / np.sqrt(np.outer(counts, counts)), atol=1e-5)
    assert features.missing("P1+X1") == ("X1",)  # nothing that was measured is like it
    np.testing.assert_allclose(features.of(["p20+P1@3nM"]), features.of(["P20"]) + features.of(["P1"]))


def test_names_of_features_are_found_exactly_and_else_in_any_case_and_by_aliases():
    features = Features(("A", "a", "KLF1"), np.arange(3.0)[:, None], "them", {"ekl": "klf1"})
    np.testing.assert_array_equal(features.of(["A", "a", "klf1", "EKL", "A+Klf1"])[:, 0], [0, 1, 2, 2, 2])


@pytest.mark.parametrize("name", MODELS)
def test_a_perturbation_that_was_never_measured_is_predicted_from_knowledge(name, complexes, tmp_path):
    names = list(GROUPS)
    model = build_model(name, {"knowledge": (str(complexes),)}).fit_effects(effects_of(names[:16]), seed=1)
    unseen = effects_of(names[16:], seed=1)
    predicted = model.predict_effects(unseen.conditions())
    mean = build_model("PerturbedMean").fit_effects(effects_of(names[:16])).predict_effects(unseen.conditions())
    error, of_mean = (np.square(p.effect - unseen.effect).mean() for p in (predicted, mean))
    assert error < 0.3 * of_mean
    model.save(tmp_path / "model")
    digest = hashlib.sha256(complexes.read_bytes()).hexdigest()
    assert f"name complexes, file complexes.csv, sha256 {digest}" in (tmp_path / "model" / "README.md").read_text()
    complexes.unlink()  # the saved model needs no file
    again = load_model(tmp_path / "model")
    np.testing.assert_array_equal(again.predict_effects(unseen.conditions()).effect, predicted.effect)
    with pytest.raises(ModelError, match=r"'unknown' has no row in complexes.*--model.knowledge"):
        again.predict_effects([Condition("c0", "unknown")])


@pytest.mark.parametrize("name", MODELS)
def test_cells_of_a_perturbation_never_measured_are_predicted(name, small_data, tmp_path):
    path = tmp_path / "sets.csv"
    path.write_text("set,gene\ns,G1\ns,New\nt,G2\nt,G3\nu,G2\nu,X\n")
    controls, asked = small_data.controls(["K562"]), [Condition("K562", "New"), Condition("K562", "G3+New")]
    model = build_model(name, {"knowledge": (str(path),)}).fit(small_data, seed=0)
    predicted = model.predict(controls, asked, n_cells=30, seed=0)
    assert [c.perturbation for c in predicted.conditions()] == ["G3+New", "New"]
    means, control = predicted.moments.mean, controls.moments.mean[0]
    like = small_data.moments.mean[small_data.conditions().index(Condition("K562", "G1"))] - control
    delta = means[predicted.conditions().index(Condition("K562", "New"))] - control
    assert np.corrcoef(delta, like)[0, 1] > 0.5
    with pytest.raises(ModelError, match="'unknown' has no row in sets"):
        model.predict(controls, [Condition("K562", "unknown")])


@pytest.mark.parametrize("name", MODELS)
def test_knowledge_of_other_names_is_refused(name, complexes):
    train = effects_of(list(GROUPS)[:8])
    other = Effects.from_arrays(
        train.effect,
        [Condition(c.context, f"ENSG0000000000{c.perturbation[1]}") for c in train.conditions()],
        GENES,
        scale="z",
    )
    with pytest.raises(
        CycseqError, match="complexes knows none of the 8 perturbations: they seem to be Ensembl identifiers"
    ):
        build_model(name, {"knowledge": (str(complexes),)}).fit_effects(other)
    with pytest.raises(CycseqError, match=r"--model.features and --model.knowledge were both given"):
        build_model(name, {"knowledge": (str(complexes),), "features": str(complexes)}).fit_effects(train)


def test_the_commands_take_knowledge_from_effects_to_effects(complexes, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    effects_of(list(GROUPS)).write(Path("kd.h5ad"))
    Path("names.txt").write_text("P20\nP21\n")
    Path("paralogs.csv").write_text("a,b\nP20,P0\nP21,P1\n")
    split = "split --data kd.h5ad --kind unseen-perturbation --test-perturbations names.txt --out s.json"
    fit = "fit --data kd.h5ad --split s.json --model NearestPerturbation --model.knowledge complexes.csv,paralogs.csv --run r"
    for line in (split, fit, "predict --run r --conditions test --out predicted.h5ad"):
        assert main(line.split()) == 0, capsys.readouterr().err
    predicted = read_effects(Path("predicted.h5ad"))
    real = effects_of(list(GROUPS), seed=1).subset(predicted.conditions())
    assert {c.perturbation for c in predicted.conditions()} == {"P20", "P21"}
    assert np.square(predicted.effect - real.effect).mean() < 0.3 * np.square(real.effect).mean()
    assert main([*fit.replace("paralogs.csv --run r", "no_such.csv --run r2").split()]) == 2
    assert "no_such.csv does not exist" in capsys.readouterr().err
    Path("other.csv").write_text("symbol,go_id\nTrp53,GO:1\nKlf1,GO:1\n")
    assert main([*fit.replace("complexes.csv,paralogs.csv --run r", "other.csv --run r2").split()]) == 2
    assert "other knows none of the" in (line := capsys.readouterr().err)
    assert "it has mouse gene symbols (Klf1, Trp53)" in line
    assert line.count("\n") == 1


def test_real_knock_downs_are_told_by_complexes_and_pathways(shared_data):
    real = read_effects(shared_data("effects/replogle2022_k562_rpe1_uprank.h5ad"))
    hidden = set(np.random.default_rng(0).permutation(real.perturbations)[:76])
    train = real.subset([c for c in real.conditions() if c.perturbation not in hidden])
    sets = shared_data("knowledge/genesets_corum_gobp_pathway.csv.gz")
    model = build_model("NearestPerturbation", {"knowledge": (str(sets),), "k": 8})
    model.fit_effects(train)
    known = [
        c for c in real.conditions() if c.perturbation in hidden and not model.stored_features.missing(c.perturbation)
    ]
    predicted, wanted = model.predict_effects(known).effect, real.subset(known).effect
    for context in real.contexts:
        rows = [i for i, c in enumerate(known) if c.context == context]
        common = train.subset([c for c in train.conditions() if c.context == context]).effect.mean(axis=0)
        a, b = predicted[rows] - common, wanted[rows] - common
        cosine = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
        assert cosine.mean() > 0.24


@pytest.mark.parametrize("name", MODELS)
def test_a_perturbation_without_knowledge_gets_the_common_response_where_that_is_asked_for(name, complexes):
    train = effects_of(list(GROUPS)[:16])
    model = build_model(name, {"knowledge": (str(complexes),), "unseen": "common"}).fit_effects(train)
    unknown = [Condition(context, "unknown") for context in ("c0", "c1")]
    mean = build_model("PerturbedMean").fit_effects(train).predict_effects(unknown)
    np.testing.assert_allclose(model.predict_effects(unknown).effect, mean.effect, atol=0.1)


def test_a_benchmark_gives_knowledge_to_every_model_that_takes_it(complexes, tmp_path, capsys):
    effects_of([*GROUPS]).write(tmp_path / "effects.h5ad")
    lines = [line for line in complexes.read_text().splitlines() if not line.endswith((",P3", ",P5"))]
    complexes.write_text("\n".join(lines))
    words = (
        f"benchmark --data {tmp_path}/effects.h5ad --split unseen-perturbation --models Ridge,Bilinear,NearestPerturbation,ContextAdditive,"
        f"ConditionKriging --knowledge {complexes} --seeds 1 --metrics mse_ratio --out {tmp_path}/out"
    ).split()
    assert main(words) == SUCCESS
    table = pd.read_csv(tmp_path / "out" / "summary.csv", index_col="model")["mean"]
    assert (
        table[["Ridge", "Bilinear", "NearestPerturbation", "ConditionKriging"]] < 0.9 * table["PerturbedMean"]
    ).all()
    assert "ContextAdditive" not in table.index
    capsys.readouterr()
    complexes.write_text("\n".join([*lines, "c3,P3"]))
    assert main(words) == BAD_INPUT
    assert "holds a benchmark with other model_settings" in capsys.readouterr().err
    complexes.write_text("set,gene\na,X1\na,X2")
    assert main(words) == BAD_INPUT
    assert "complexes" in capsys.readouterr().err
