"""Interferon-beta in blood cells (Kang 2018), one cell type held out at a time: VAE against scGen and the additive mean.

    cycseq prepare ../shared/data/kang2018_pbmc_ifnb.h5ad --genes all --out kang.h5ad
    python benchmarks/vae_kang.py kang.h5ad --models fitted/ [--seeds 3] [--types NK,B] [--nested]

Prints Markdown. Nothing of the held-out type but its control cells is seen. Fitted models are kept in a folder, so that
an interrupted run goes on. `--nested` chooses `measured` and `nearness` for every type by itself: for each other type in
turn, a model is trained that lacks both, and scored on that other type. A model that lacks two types serves both.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from pathlib import Path

import numpy as np

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.formats.read import read
from cycseq.models import load_model
from cycseq.models.networks.latent import LatentModel
from cycseq.models.networks.vae import VAE

SCGEN = {"NK": 0.762, "CD4 T": 0.824, "B": 0.827, "CD14+ Mono": 0.897}
"""pertpy's scGen, 40 epochs, same file, 166 to 210 s a type."""
CANDIDATES = [{"measured": m, "nearness": n} for m, n in ((0.5, 2.0), (0.5, 0.0), (0.0, 2.0), (0.0, 0.0), (1.0, 2.0))]
"""Settings that act in prediction alone; the defaults come first."""
FEWEST = 50
"""A type with fewer perturbed cells is no inner fold: its own mean is noise."""


def fitted(data: PerturbationData, without: tuple[str, ...], seed: int, models: Path) -> LatentModel:
    """The model that never saw the response of these types, from the folder or new."""
    folder = models / f"{seed}_{'_'.join(re.sub(r'[^A-Za-z0-9]', '', name) for name in sorted(without))}"
    if not folder.is_dir():
        gone = {Condition(name, "stim") for name in without}
        train = data.subset(c for c in data.conditions() if c not in gone)
        wall, processor = time.perf_counter(), time.process_time()
        model = VAE().fit(train, seed=seed)
        seconds = {"wall": time.perf_counter() - wall, "processor": time.process_time() - processor}
        model.save(folder, facts={"seconds": seconds})
    found = load_model(folder)
    assert isinstance(found, LatentModel)
    return found


def scores(model: LatentModel, data: PerturbationData, name: str, **settings: float) -> tuple[float, float]:
    """pearson_delta and mse_ratio of the type's response."""
    for setting, value in settings.items():
        setattr(model, setting, value)
    means = dict(zip(data.conditions(), data.moments.mean.astype(np.float64), strict=True))
    control = means[Condition(name, "control")]
    made = model.predict(data.controls([name]), [Condition(name, "stim")]).x.mean(axis=0, dtype=np.float64) - control
    real = means[Condition(name, "stim")] - control
    return float(np.corrcoef(made, real)[0, 1]), float(np.square(made - real).sum() / np.square(real).sum())


def additive(data: PerturbationData, name: str) -> tuple[float, float]:
    """The same of the mean response of the other types."""
    means = dict(zip(data.conditions(), data.moments.mean.astype(np.float64), strict=True))
    delta = {c: means[Condition(c, "stim")] - means[Condition(c, "control")] for c in data.contexts}
    made = np.mean([delta[c] for c in data.contexts if c != name], axis=0)
    return float(np.corrcoef(made, delta[name])[0, 1]), float(
        np.square(made - delta[name]).sum() / np.square(delta[name]).sum()
    )


def chosen(data: PerturbationData, name: str, models: Path) -> dict[str, float]:
    """The candidate with the lowest mse_ratio, mean over inner types; the type's own response takes no part."""
    sizes = dict(zip(data.conditions(), data.moments.n_cells, strict=True))
    inner = [c for c in data.contexts if c != name and sizes[Condition(c, "stim")] >= FEWEST]
    ratios = [
        [scores(model, data, other, **candidate)[1] for candidate in CANDIDATES]
        for other in inner
        for model in [fitted(data, (name, other), 0, models)]
    ]
    return CANDIDATES[int(np.argmin(np.mean(ratios, axis=0)))]


def row(data: PerturbationData, name: str, options: argparse.Namespace) -> list[str]:
    """One type: the defaults by seed, the pure latent arithmetic, and what nested validation chose."""
    models = [fitted(data, (name,), seed, options.models) for seed in range(options.seeds)]
    seconds = [json.loads((path / "model.json").read_text())["facts"]["seconds"] for path in _folders(name, options)]
    found = np.array([scores(model, data, name) for model in models])
    pure = np.array([scores(model, data, name, measured=0.0) for model in models])
    cells = [name, _shown(found[:, 0]), _shown(found[:, 1]), _shown(pure[:, 0])]
    if options.nested:
        choice = chosen(data, name, options.models)
        nested = np.array([scores(model, data, name, **choice) for model in models])
        cells += [f"{choice['measured']:g}, {choice['nearness']:g}", _shown(nested[:, 0]), _shown(nested[:, 1])]
    mean = additive(data, name)
    cells += [f"{np.mean([s['processor'] for s in seconds]):.1f} ({np.mean([s['wall'] for s in seconds]):.0f})"]
    return [*cells, f"{SCGEN[name]:.3f}" if name in SCGEN else "", f"{mean[0]:.3f} ({mean[1]:.3f})"]


def _folders(name: str, options: argparse.Namespace) -> list[Path]:
    return [options.models / f"{seed}_{re.sub(r'[^A-Za-z0-9]', '', name)}" for seed in range(options.seeds)]


def _shown(values: np.ndarray) -> str:
    spread = f" ± {values.std(ddof=1):.3f}" if len(values) > 1 else ""
    return f"{values.mean():.3f}{spread}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--types", default="")
    parser.add_argument("--nested", action="store_true")
    options = parser.parse_args()
    data = read(options.data)
    head = ["held out", "`pearson_delta`", "`mse_ratio`", "`measured` 0"]
    head += ["nested: `measured`, `nearness`", "`pearson_delta`", "`mse_ratio`"] if options.nested else []
    head += ["seconds of processor (elapsed)", "scGen", "additive mean"]
    print("|".join(["", *head, ""]), "|".join(["", *["---"] * len(head), ""]), sep="\n")
    for name in [t.strip() for t in options.types.split(",") if t.strip()] or data.contexts:
        print("|".join(["", *row(data, name, options), ""]), flush=True)


if __name__ == "__main__":
    main()
