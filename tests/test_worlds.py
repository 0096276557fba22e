"""Foreign worlds: each is what its page says, and its truth is what many cells show."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from cycseq.data.condition import Condition
from cycseq.data.dataset import PerturbationData
from cycseq.errors import SettingsError
from cycseq.preparation.pseudobulk import responses
from cycseq.simulation.generate import simulate
from cycseq.simulation.mixing import MIXINGS
from cycseq.simulation.settings import WORLDS, SimulateSettings, World
from cycseq.simulation.worlds import LAWS

FOREIGN = [name for name, of_world in WORLDS.items() if "shared" not in of_world]
SIZES = {"contexts": 6, "perturbations": 6, "cells": 2_400, "genes": 300, "seed": 3}


@cache
def world(name: World, **said: object) -> PerturbationData:
    return simulate(SimulateSettings(world=name, **{**SIZES, **said}))  # type: ignore[arg-type]


def truth(data: PerturbationData) -> np.ndarray:
    """Contexts x perturbations x genes."""
    table = data.adata.varm["true_delta"]
    return table.to_numpy().T.reshape(len(data.contexts), -1, len(data.genes))


def facts(data: PerturbationData, name: str) -> np.ndarray:
    return np.array(list(json.loads(data.adata.uns["cycseq"]["simulation"])["contexts_differ"][name].values()))


def away_from_targets(data: PerturbationData) -> np.ndarray:
    return ~np.isin(data.genes, [part for name in data.perturbations for part in name.split("+")])


def alike(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def control_likeness(data: PerturbationData, kind: np.ndarray) -> float:
    """How much more alike control profiles of the same kind are than those of different kinds."""
    profile = np.log(
        np.stack([data.x[data.rows(Condition(c, "control"))].mean(axis=0).A1 + 0.05 for c in data.contexts])
    )
    likeness = np.corrcoef(profile)
    same = kind[:, None] == kind
    off = ~np.eye(len(kind), dtype=bool)
    return float(likeness[same & off].mean() - likeness[~same].mean())


def test_every_world_has_its_law() -> None:
    assert set(LAWS) == set(WORLDS) == set(get_args(World))
    assert len(FOREIGN) == 12
    assert len({WORLDS[name]["counts"] for name in FOREIGN}) == 3


@pytest.mark.parametrize("name", FOREIGN)
def test_a_world_passes_the_door_and_its_seed_fixes_it(name: World) -> None:
    data = world(name)
    assert len(data.contexts) == 6
    assert PerturbationData.from_anndata(data.adata).conditions() == data.conditions()
    assert data.fingerprint() == simulate(SimulateSettings(world=name, **SIZES)).fingerprint()
    assert data.fingerprint() != world(name, seed=4).fingerprint()
    assert np.abs(truth(data)).max() > 0.3


@pytest.mark.parametrize("name", FOREIGN)
def test_the_truth_is_what_many_cells_show(name: World) -> None:
    data = world(name, contexts=2, perturbations=3, doubles=1, genes=150, cells=14_000)
    adata, counts = data.adata.copy(), data.x.toarray()
    adata.X = np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e4).astype(np.float32)
    seen = responses(PerturbationData(adata=adata, scale="log1p"))
    table = data.adata.varm["true_delta"][[str(c) for c in seen.conditions]].to_numpy().T
    often = data.moments.mean.mean(axis=0) > 0.05
    z = ((seen.delta - table) / np.sqrt(np.maximum(seen.noise, 1e-6)))[:, often]
    assert np.sqrt(np.mean(z**2)) < 1.3
    assert alike(seen.delta[:, often], table[:, often]) > 0.97


@pytest.mark.parametrize("dispersion", [0.1, 0.6, 3.0])
@pytest.mark.parametrize("name", list(MIXINGS))
def test_the_factors_of_counts_have_mean_one_the_said_variance_and_transform(name: str, dispersion: float) -> None:
    law = MIXINGS[name](dispersion)  # type: ignore[index]
    drawn = law.draw((400_000,), np.random.default_rng(0)).astype(np.float64)
    assert drawn.mean() == pytest.approx(1.0, abs=0.02)
    assert drawn.var() == pytest.approx(dispersion, rel=0.12)
    rate = np.array([1e-3, 0.3, 4.0, 1e3])
    np.testing.assert_allclose(law.share_above_zero(rate), -np.expm1(-rate[:, None] * drawn).mean(axis=1), rtol=0.02)


@pytest.mark.parametrize("kind", ["signs", "clades"])
def test_only_visible_signs_and_clades_show_in_control_cells(kind: str) -> None:
    fact = {"signs": "sign", "clades": "clade"}[kind]
    hidden, visible = (
        np.mean([control_likeness(data, facts(data, fact)) for seed in range(3) if (data := world(name, seed=seed))])
        for name in (f"{kind}-hidden", f"{kind}-visible")
    )
    assert abs(hidden) < 0.01
    assert visible > 0.03


@pytest.mark.parametrize("name", ["signs-hidden", "signs-visible"])
def test_contexts_of_opposite_sign_answer_oppositely(name: World) -> None:
    data = world(name)
    delta, sign = truth(data)[:, :, away_from_targets(data)], facts(data, "sign")
    assert sorted(sign) == [-1, -1, -1, 1, 1, 1]
    for c in range(1, 6):
        assert sign[0] * sign[c] * alike(delta[0], delta[c]) > 0.5


@pytest.mark.parametrize("name", ["clades-hidden", "clades-visible"])
def test_responses_are_alike_within_a_clade_alone(name: World) -> None:
    data = world(name)
    delta, clade = truth(data)[:, :, away_from_targets(data)], facts(data, "clade")
    for c in range(1, 6):
        likeness = alike(delta[0], delta[c])
        assert likeness > 0.5 if clade[0] == clade[c] else abs(likeness) < 0.2


def test_amplitudes_scale_the_same_response() -> None:
    data = world("amplitudes")
    delta, amplitude = truth(data)[:, :, away_from_targets(data)], facts(data, "amplitude")
    size = np.sqrt((delta**2).mean(axis=(1, 2)))
    assert np.argsort(size).tolist() == np.argsort(amplitude).tolist()
    assert size.max() / size.min() > 4
    assert min(alike(delta[0], delta[c]) for c in range(1, 6)) > 0.5


def test_silent_genes_have_no_counts_and_no_response_where_they_are_silent() -> None:
    data = world("silent-genes")
    n_silent = facts(data, "silent_genes")
    seen = np.stack(
        [np.asarray(data.x[(data.adata.obs["context"] == c).to_numpy()].sum(axis=0)).ravel() for c in data.contexts]
    )
    assert (n_silent > 20).all()
    assert ((seen == 0).sum(axis=1) >= n_silent).all()
    nowhere = (seen == 0) & (seen.max(axis=0) > 300)  # many counts elsewhere
    assert nowhere.sum() > 20
    assert np.abs(truth(data).transpose(0, 2, 1)[nowhere]).max() < 1e-3


def test_heavy_tails_put_the_response_into_few_genes_and_perturbations() -> None:
    def tail(name: World) -> float:
        data = world(name)
        values = np.sort((truth(data)[:, :, away_from_targets(data)] ** 2).ravel())[::-1]
        return float(values[: len(values) // 200].sum() / values.sum())

    strength = np.linalg.norm(truth(world("heavy-tails", perturbations=24, cells=5_000)), axis=(0, 2))
    assert tail("heavy-tails") > 1.5 * tail("signs-hidden")
    assert strength.max() / strength.min() > 4


def test_systematic_variation_is_the_same_whatever_is_perturbed() -> None:
    data = world("systematic")
    delta = truth(data)[:, :, away_from_targets(data)]
    mean = delta.mean(axis=1, keepdims=True)
    assert (mean**2).sum() * delta.shape[1] > 3 * ((delta - mean) ** 2).sum()


def test_along_the_continuum_neighbours_are_alike_and_ends_are_not() -> None:
    data = world("continuum")
    order = np.argsort(facts(data, "place"))
    delta = truth(data)[order][:, :, away_from_targets(data)]
    neighbours = [alike(delta[i], delta[i + 1]) for i in range(5)]
    assert min(neighbours) > 0.6
    assert abs(alike(delta[0], delta[5])) < 0.25


def test_low_rank_is_of_low_rank() -> None:
    def share(name: World) -> float:
        data = world(name, perturbations=24, cells=5_000)
        values = np.linalg.svd(truth(data)[0][:, away_from_targets(data)], compute_uv=False) ** 2
        return float(values[:4].sum() / values.sum())

    assert share("low-rank") > 0.85
    assert share("amplitudes") < 0.6


def test_programs_saturate() -> None:
    from cycseq.simulation.worlds.programs import draw

    settings = SimulateSettings(world="programs", **{**SIZES, "doubles": 0}).resolved()
    context = draw(settings).contexts[0]
    rest = {"states": np.zeros((2, 3), dtype=np.float32), "offset": np.zeros((1, 300), dtype=np.float32)}
    levels = context.log_levels(perturbation=np.array([-1, 0]), **rest)
    far = type(context)(**{**vars(context), "push": 1e6 * context.push})
    farther = type(context)(**{**vars(context), "push": 1e9 * context.push})
    pushed = [each.log_levels(perturbation=np.array([-1, 0]), **rest) for each in (far, farther)]
    np.testing.assert_allclose(pushed[0], pushed[1], atol=1e-5)
    assert np.abs(pushed[0] - levels)[1].max() > 0.1
    delta = truth(world("programs"))
    assert 0.1 < np.mean([alike(delta[0], delta[c]) for c in range(1, 6)]) < 0.95


def test_doubles_are_buffered() -> None:
    table = world("buffering").adata.varm["true_delta"]
    doubles = [name for name in table if "+" in name]
    assert len(doubles) == 6 * 12
    for name in doubles:
        context, both = name.split(":")
        added = sum(table[f"{context}:{part}"] for part in both.split("+")).to_numpy()
        slope = added @ table[name].to_numpy() / (added @ added)
        assert 0.2 < slope < 0.9


def test_settings_of_our_own_law_are_refused_elsewhere() -> None:
    with pytest.raises(SettingsError, match=r"no gene regulatory network.*leave out --shared, --interaction"):
        simulate(SimulateSettings(world="continuum", shared=0.5, interaction=1.0))


def test_any_law_of_counts_in_any_world() -> None:
    data = world("context-specific", counts="poisson-lognormal")
    assert data.fingerprint() != world("context-specific").fingerprint()
    np.testing.assert_allclose(truth(data), truth(world("context-specific")), atol=0.3)


def test_the_command_writes_a_foreign_world(tmp_path: Path) -> None:
    from cycseq.cli import main

    words = f"simulate --world signs-hidden --perturbations 4 --cells 600 --genes 60 --out {tmp_path}/sim.h5ad"
    assert main(words.split()) in (0, None)
    from cycseq import read

    assert len(read(tmp_path / "sim.h5ad").contexts) == 6
