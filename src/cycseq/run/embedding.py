"""Cells in a model's latent space, and how well that mixes batches and keeps conditions, beside PCA of the same size."""

import numpy as np
import pandas as pd

from cycseq.data.dataset import PerturbationData
from cycseq.data.values import with_parts
from cycseq.errors import DataError, ModelError
from cycseq.matrix.arrays import Cells, Codes, to_dense
from cycseq.models.base import Embeds, Model
from cycseq.preparation.prepare import as_log1p
from cycseq.run.settings import IntegrationSettings
from cycseq.score.metrics.integration import integration

PCA_NAME = "PCA"  # the yardstick's name in the table
SCORES = ("embedding", "units", "mixed", "kept", "metric", "value")


def embed(model: Model, data: PerturbationData) -> PerturbationData:
    """The same cells, with their places in the model's latent space in ``obsm["X_<model>"]`` (and parts of it).

    Their values stay as they are, counts or log1p. Raises `ModelError` if the model has no latent space, or its latent space
    depends on a perturbation that it does not know.
    """
    if not isinstance(model, Embeds):
        msg = f"{model.name} has no latent space, so it cannot embed cells: Autoencoder, VAE and CycSeq have one."
        raise ModelError(msg)
    latent, names = model.embed(as_log1p(data)), getattr(model, "latent_names", ())
    parts = np.split(latent, len(names), axis=1) if names else []
    places = {f"X_{model.name}": latent} | {f"X_{model.name}_{n}": part for n, part in zip(names, parts, strict=True)}
    adata = with_parts(data.adata, obsm={**data.adata.obsm, **places})
    return PerturbationData(adata=adata, scale=data.scale, notes=data.notes)


def score_embeddings(
    embedded: PerturbationData, names: tuple[str, ...], settings: IntegrationSettings | None = None
) -> pd.DataFrame:
    """Integration scores of embeddings in `obsm`, and of PCA with as many units as the first: the columns `SCORES`.

    Raises `DataError` if there is nothing to mix.
    """
    settings = settings or IntegrationSettings()
    sample = np.random.default_rng(settings.score_seed).permutation(embedded.n_cells)[: settings.score_cells]
    cells = embedded.take(np.sort(sample))
    obs = cells.adata.obs
    mixed = _codes(obs[settings.mixed])
    labels = cells.condition_codes if settings.kept == "condition" else _codes(obs[settings.kept])
    if mixed.max() == 0:
        msg = f"the cells are all of one {settings.mixed}, so nothing can be mixed: use another --mixed, or leave out --score."
        raise DataError(msg)
    spaces = {name: np.asarray(cells.adata.obsm[name], dtype=np.float32) for name in names}
    spaces[PCA_NAME] = _principal(to_dense(as_log1p(cells).x), spaces[names[0]].shape[1])
    rows = [
        (name, space.shape[1], settings.mixed, settings.kept, metric, value)
        for name, space in spaces.items()
        for metric, value in integration(space, mixed, labels).items()
    ]
    return pd.DataFrame(rows, columns=list(SCORES))


def _codes(labels: pd.Series) -> Codes:
    return pd.factorize(labels.astype(str))[0].astype(np.int64)


def _principal(x: Cells, units: int) -> Cells:
    from sklearn.decomposition import PCA

    return PCA(min(units, *x.shape), random_state=0).fit_transform(x).astype(np.float32)
