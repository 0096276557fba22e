"""The networks that are compared, in the mended form or in the published one."""

from dataclasses import fields
from typing import Any

import anndata as ad
import numpy as np

from cycseq.benchmarking.settings import CompareSettings
from cycseq.data.dataset import PerturbationData
from cycseq.errors import DataError, unknown_name
from cycseq.matrix.groups import group_moments
from cycseq.models import build_model, model_class
from cycseq.models.base import Model

PUBLISHED_GENES = 1000
HERE: dict[str, dict[str, Any]] = {
    "VAE": {"shortcut": True, "num_epochs": 50, "batch_size": 128},
    "GAN": {"patience": 100},
}
"""Settings that serve this comparison where a model's defaults serve prediction (docs/models/vae.md), and a GAN that is
not stopped while its errors still rise, as they do at first; the best epoch is chosen all the same."""
_AUTOENCODER = {
    "conditional": False, "shortcut": False, "standardise": True, "residual": False, "nearness": 0.0, "measured": 0.0,
    "num_epochs": 50, "batch_size": 128, "patience": 5,
}  # fmt: skip
PUBLISHED: dict[str, dict[str, Any]] = {
    "Autoencoder": _AUTOENCODER,
    "VAE": {**_AUTOENCODER, "kl_per_gene": False, "kl_weight": 0.1},
    "GAN": {
        "conditional": False,
        "gated": False,
        "moments": 0.0,
        "critic_steps": 5,
        "penalty_share": 1.0,
        "sparsity": 0.01,
        "patience": 100,
    },
    "CycSeq": {"faithful": True},
}
"""The published form of each network, as far as settings restore it."""
NOT_RESTORED = (
    "the log-normalised values are not logged a second time",
    "cells are split within each condition, and the seed is not the published one unless it is given",
    "the best epoch is chosen on validation cells, the GAN's by its errors of means and zeros, where the published GAN "
    "was stopped on its critic's loss",
    "no generated value exceeds 1.5 times the highest training value, and the mean of generated cells is the control "
    "mean plus the network's difference, as in every prediction here",
)
"""How `published` differs from what was published."""


def published_data(data: PerturbationData) -> PerturbationData:
    """Control cells and single perturbations, in the 1,000 genes of highest variance over these cells.

    Raises `DataError` if there are no single perturbations.
    """
    singles = data.subset(c for c in data.conditions() if len(c.parts) < 2)
    if not singles.perturbations:
        raise DataError(
            "the published form takes single perturbations, but the data hold combinations only: leave --published out."
        )
    variance = group_moments(singles.x, np.zeros(singles.n_cells, dtype=np.int64), 1).variance[0]
    top = np.sort(np.argsort(-variance, kind="stable")[:PUBLISHED_GENES])
    cells = singles.adata[:, top]
    adata = ad.AnnData(X=cells.X.copy(), obs=cells.obs.copy(), var=cells.var.copy(), uns=dict(singles.adata.uns))
    return PerturbationData(adata=adata, scale=singles.scale, notes=singles.notes)


def describe_form(settings: CompareSettings) -> list[str]:
    """How the form that is asked for differs from what was published; nothing where it is not asked for."""
    if not settings.published:
        return []
    unpublished = [name for name in settings.models if name not in PUBLISHED]
    exceptions = [f"{', '.join(unpublished)} has no published form and keeps its own settings"] if unpublished else []
    return [*NOT_RESTORED, *exceptions]


def build_models(settings: CompareSettings) -> dict[str, Model]:
    """The models with their settings, by name, each once.

    Raises `SettingsError` if a model or a setting does not exist; the nearest name is given.
    """
    for name in settings.model_settings:
        if name not in settings.models:
            raise unknown_name(name, "model among those compared", settings.models)
    shared = {"latent": settings.latent, "num_epochs": settings.epochs}
    models = {}
    for name in dict.fromkeys(settings.models):
        has = {f.name for f in fields(model_class(name))}  # type: ignore[arg-type]
        values = dict((PUBLISHED if settings.published else HERE).get(name, {}))
        values |= {setting: value for setting, value in shared.items() if setting in has and value is not None}
        models[name] = build_model(name, values | settings.model_settings.get(name, {}))
    return models
