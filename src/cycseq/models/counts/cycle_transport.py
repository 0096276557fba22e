"""`CycleTransport`: realistic single cells around a predicted mean."""

# No postponed annotations: see `network.py`.
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.usual_names import CONTROL
from cycseq.errors import MissingPackageError, SettingsError
from cycseq.matrix.arrays import Cells, Codes, Matrix, Profile, to_dense
from cycseq.models import build_model
from cycseq.models.base import PACKAGES, SIZE, STEP_SIZE, WEIGHT, Fitted, Model
from cycseq.models.baselines.shift import draw, predicted_obs, rescaled, shifted_cells
from cycseq.models.counts.depth import CountSource, Tilt, dispersions, known_counts
from cycseq.models.counts.transport.pairs import principal_components, pseudo_pairs
from cycseq.preparation.merge import join

MEAN, TRANSPORT = "mean.", "transport."
"""Prefixes of the arrays of the model that predicts means, and of the transport."""
UNCOUNTED = (
    "cells were shifted, which fills zeros: the counts behind training or control cells are not known (obs total_counts is "
    "missing, or the values were changed); prepare the data from counts"
)


@dataclass
class CycleTransport(Model):
    """Perturbed single cells around a predicted mean: counts at real depth and sparsity, moved by a cyclic transport.

    T(x) = x + Delta^ + U h(z(x), p, c): Delta^ comes from the model `mean`; z are principal components of control cells,
    U their loadings; h is a small network, zero at the start, one for all contexts. The inverse of T shares Delta^ with
    the sign reversed. h is trained on pseudo-pairs by optimal transport within context and batch, and is kept only where
    cells of conditions that it was not trained on are more alike to real ones with it. Counts are then changed, or drawn, at the depth
    of the control cells, so that their mean is the predicted one; the uncertainty that the mean's model says goes with them.
    """

    packages = (*PACKAGES, "torch", "lightning", "POT")
    limits: ClassVar[dict[str, tuple[float, float]]] = {
        **dict.fromkeys(("n_components", "width", "num_epochs", "batch_size", "patience"), SIZE),
        **dict.fromkeys(("lambda_pair", "lambda_cycle", "lambda_mmd", "lambda_mean"), WEIGHT),
        "learning_rate": STEP_SIZE,
        "held_out": (0, 0.9),
    }
    mean: str = "ConditionKriging"
    """The model that predicts the mean of each condition, by name."""
    mean_settings: dict[str, Any] | None = None
    """Its settings; None keeps their defaults."""
    cells: Literal["kept", "drawn", "shifted"] = "kept"
    """How cells are made: the control cell's own counts, some taken away or given; counts drawn anew around what its
    counts tell of it; or log1p values shifted, which fills zeros (and needs no counts)."""
    transport: bool = True
    """Whether to train h at all; False needs no torch."""
    lambda_pair: float = 1.0
    """Weight of the distance (Huber's) to the paired real cell, both ways; 0 makes no pairs."""
    lambda_cycle: float = 1.0
    """Weight of coming back where a cell came from, both ways."""
    lambda_mmd: float = 10.0
    """Weight of the maximum mean discrepancy between moved and real cells of a condition."""
    lambda_mean: float = 10.0
    """Weight of what h does to the mean of a condition, which is not its task."""
    n_components: int = 30
    """Principal components in which cells are paired and moved."""
    width: int = 64
    """Units of the hidden layers of h."""
    num_epochs: int = 60
    """Passes over the pairs at most."""
    batch_size: int = 512
    """Pairs of one step."""
    learning_rate: float = 2e-3
    """Step size of Adam."""
    patience: int = 10
    """Stop after this many epochs without a better fit to the conditions kept for validation."""
    held_out: float = 0.2
    """Share of the training conditions kept to validate h on, where no validation conditions are given (of their cells,
    where there are fewer than three)."""

    def fit(
        self,
        train: PerturbationData,
        validation: PerturbationData | None = None,
        *,
        seed: int = 0,
        run: Path | None = None,
    ) -> Self:
        """Learn means, dispersions and the transport from the training and the validation conditions.

        Where ``run`` holds the checkpoint of an interrupted training with the same settings, seed and data, it goes on.
        """
        if self.mean == self.name:
            msg = f"{self.name} cannot take its means from itself: name another model (--model.mean ConditionKriging)."
            raise SettingsError(msg)
        self.check_settings()
        anchor = build_model(self.mean, self.mean_settings).fit(train, validation, seed=seed).learned
        data = join(train, validation).load(self.name)
        arrays = {**_prefixed(anchor.arrays, MEAN), **principal_components(data, self.n_components, seed=seed)}
        counts = None if self.cells == "shifted" else known_counts(data)
        if counts is not None:
            total = data.adata.obs["total_counts"].to_numpy(np.float64)
            arrays["dispersion"] = dispersions(counts, total, data.condition_codes, len(data.conditions()))
        facts = {"mean": anchor.facts, "counted": counts is not None, "transport": None}
        self.fitted_ = Fitted(anchor.genes, anchor.scale, anchor.contexts, anchor.perturbations, arrays, facts)
        if self.transport:
            other = set(data.conditions()) - set(train.conditions())
            self._learn_transport(data, other, seed=seed, run=run)
        return self

    def predict(
        self, controls: PerturbationData, conditions: Sequence[Condition], *, n_cells: int | None = None, seed: int = 0
    ) -> PerturbationData:
        """Cells of each condition, one from each control cell drawn; their mean is the one that `mean` predicts.

        `uns["cycseq"]["cells"]` says how they were made: "shifted" also where counts are not known (obs `total_counts`
        of training cells and controls). Drawn cells bear the `total_counts` of their control cells, and are sparse.
        """
        conditions = list(dict.fromkeys(conditions))
        controls = self.check_controls(controls, conditions)
        anchor = self.anchor.predict(controls, conditions, n_cells=1, seed=seed).adata
        sources = {c: self._source(controls.controls([c])) for c in {condition.context for condition in conditions}}
        made = []
        for condition, mean in zip(conditions, to_dense(anchor.X), strict=True):
            source, rng = sources[condition.context], _rng(seed, condition)
            rows = draw(np.arange(source.data.n_cells), n_cells, rng)
            cells = self._made(source, rows, mean.astype(np.float64), rng, condition)
            made.append((cells, _labelled(source.data, rows, condition)))
        adata = self._assembled(made, controls, counted=all(source.counts is not None for source in sources.values()))
        adata.uns |= {key: value for key, value in anchor.uns.items() if key != "cycseq"}
        adata.varm.update(anchor.varm)
        shifted = adata.uns["cycseq"]["cells"] == "shifted" and self.cells != "shifted"
        return PerturbationData(adata=adata, scale=controls.scale, notes=(UNCOUNTED,) if shifted else ())

    def restored(self, perturbed: PerturbationData, controls: PerturbationData, *, seed: int = 0) -> PerturbationData:
        """Perturbed cells moved back to control cells: the same Delta^ with its sign reversed, and the inverse of h.

        Parameters
        ----------
        perturbed
            Perturbed cells of conditions that can be predicted, log1p; control cells among them are left out.
        controls
            Control cells of their contexts, which tell Delta^.
        seed
            Fixes the draws.

        Returns
        -------
        PerturbationData
            Control cells, one for each perturbed cell, which obs `source_cell` names.
        """
        perturbed = perturbed.require(self.learned.scale, self.name).with_genes(self.learned.genes)
        conditions = [c for c in perturbed.conditions() if not c.is_control]
        controls = self.check_controls(controls, conditions)
        anchor = self.anchor.predict(controls, conditions, n_cells=1, seed=seed).adata
        unperturbed = dict(zip(controls.conditions(), controls.moments.mean, strict=True))
        made, counted = [], True
        for condition, perturbed_mean in zip(conditions, to_dense(anchor.X), strict=True):
            source, as_control = self._source(perturbed.subset([condition])), Condition(condition.context, CONTROL)
            mean = np.maximum(source.data.moments.mean[0] - (perturbed_mean - unperturbed[as_control]), 0.0)
            rows, rng = np.arange(source.data.n_cells), _rng(seed, condition)
            cells = self._made(source, rows, mean, rng, condition, way="restore")
            labels = _labelled(source.data, rows, as_control).set_axis([f"{condition}/restored/{i}" for i in rows])
            made.append((cells, labels))
            counted &= source.counts is not None
        return PerturbationData(adata=self._assembled(made, perturbed, counted=counted), scale=perturbed.scale)

    def embed(self, data: PerturbationData) -> Cells:
        """Principal components of cells, in which they are paired and moved; for `obsm`."""
        data = data.require(self.learned.scale, self.name).with_genes(self.learned.genes)
        return self._points(data.x)

    @property
    def anchor(self) -> Model:
        """The fitted model that predicts means."""
        learned = self.learned
        if "anchor" not in learned.cache:
            model = build_model(self.mean, self.mean_settings)
            arrays, facts = _without_prefix(learned.arrays, MEAN), learned.facts["mean"]
            model.fitted_ = Fitted(learned.genes, learned.scale, learned.contexts, learned.perturbations, arrays, facts)
            learned.cache["anchor"] = model
        found: Model = learned.cache["anchor"]
        return found

    def _points(self, x: Any) -> Cells:
        """Cells in principal components, in units of their mean standard deviation."""
        arrays = self.learned.arrays
        points = (x @ arrays["loadings"].T - arrays["centre"] @ arrays["loadings"].T) / arrays["unit"]
        return np.asarray(points, dtype=np.float32)

    def _source(self, data: PerturbationData) -> "_Source":
        """Cells of one condition, with their counts where these are known and wanted."""
        counts = known_counts(data) if self.learned.facts["counted"] else None
        if counts is None:
            return _Source(data, None)
        total = data.adata.obs["total_counts"].to_numpy(np.float64)
        return _Source(data, CountSource(counts, total, self.learned.arrays["dispersion"]))

    def _made(
        self,
        source: "_Source",
        rows: Codes,
        mean: Profile,
        rng: np.random.Generator,
        condition: Condition,
        *,
        way: Literal["perturb", "restore"] = "perturb",
    ) -> Matrix:
        """Cells with this mean, one from each row of the source; control cells of control cells stay as they are."""
        x = source.data.x[rows]
        if condition.is_control:
            return rescaled(sp.csr_matrix(x), mean)
        transport, change = self._transport(), None
        if transport is not None:
            change = transport.change(way, self._points(x), condition)
        loadings = self.learned.arrays["loadings"] * self.learned.arrays["unit"]
        if source.counts is None:
            cells = to_dense(x) + (mean - np.asarray(x.mean(axis=0)).ravel()).astype(np.float32)
            cells = cells if change is None else cells + change @ loadings
            return shifted_cells(cells.astype(np.float32), mean, np.zeros_like(mean))
        tilt = None if change is None else Tilt(change, loadings / source.counts.slope(mean))
        return rescaled(source.counts.drawn(rows, mean, rng, tilt=tilt, keep=self.cells == "kept"), mean)

    def _assembled(
        self, made: Sequence[tuple[Matrix, pd.DataFrame]], like: PerturbationData, *, counted: bool
    ) -> ad.AnnData:
        blocks = [cells for cells, _ in made]
        sparse = all(sp.issparse(block) for block in blocks)
        x = sp.vstack(blocks, format="csr") if sparse else np.concatenate([to_dense(block) for block in blocks])
        obs = pd.concat([labels for _, labels in made])
        obs = obs.astype(dict.fromkeys(("context", "perturbation", "batch"), "category"))
        adata = ad.AnnData(X=x, obs=obs, var=pd.DataFrame(index=list(self.learned.genes)))
        cells = self.cells if counted else "shifted"
        adata.uns["cycseq"] = {"scale": like.scale, "model": self.name, "mean": self.mean, "cells": cells}
        return adata

    def _transport(self) -> Any:
        """The trained transport, made from the arrays (and kept); None where there is none."""
        learned = self.learned
        if learned.facts["transport"] is not None and "transport" not in learned.cache:
            from cycseq.models.counts.transport.fitted import Transport

            arrays, stored = _without_prefix(learned.arrays, TRANSPORT), learned.facts["transport"]
            genes = len(learned.arrays["loadings"])
            learned.cache["transport"] = Transport.restored(arrays, stored, width=self.width, genes=genes)
        return learned.cache.get("transport")

    def _learn_transport(
        self, data: PerturbationData, validation: Collection[Condition], *, seed: int, run: Path | None
    ) -> None:
        try:
            from cycseq.models.counts.transport.learning import TransportSettings, learn_transport
        except ModuleNotFoundError as err:
            msg = (
                f"the transport needs {err.name}, which is not installed: pip install 'cycseq[networks]', or do "
                f"without it (--model.transport false)."
            )
            raise MissingPackageError(msg) from err
        sources = {context: self._source(data.controls([context])) for context in data.contexts}

        def made(condition: Condition, rows: Codes, mean: Profile, rng: np.random.Generator) -> Matrix:
            return self._made(sources[condition.context], rows, mean, rng, condition)

        learned = learn_transport(
            pseudo_pairs(data, made, self._points, seed=seed),
            TransportSettings(**{name: getattr(self, name) for name in TransportSettings.__dataclass_fields__}),
            validation=validation,
            seed=seed,
            run=run,
            identity=json.dumps([self.name, self.settings(), seed, data.fingerprint()], default=str),
        )
        self.learned.arrays |= _prefixed(learned.arrays(), TRANSPORT)
        self.learned.facts["transport"] = learned.stored()


@dataclass(frozen=True)
class _Source:
    """Cells of one condition that others are made from."""

    data: PerturbationData
    counts: CountSource | None


def _rng(seed: int, condition: Condition) -> np.random.Generator:
    return np.random.default_rng([seed, *str(condition).encode()])


def _labelled(source: PerturbationData, rows: Codes, condition: Condition) -> pd.DataFrame:
    obs = predicted_obs(source, rows, condition)
    if "total_counts" in source.adata.obs:
        obs["total_counts"] = source.adata.obs["total_counts"].to_numpy()[rows]
    return obs


def _prefixed(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {prefix + name: array for name, array in arrays.items()}


def _without_prefix(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
