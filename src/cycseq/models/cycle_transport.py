"""`CycleTransport`: the flagship generator of cells."""

# No postponed annotations: see `network.py`.
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from cycseq.arrays import Cells, Codes, Profile, dense
from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.depth import CountSource, Tilt, dispersions, has_counts, recovered_counts
from cycseq.data.labels import CONTROL
from cycseq.data.merge import joined
from cycseq.errors import FitBrokeOffError, SettingsError
from cycseq.model import Fitted, Model
from cycseq.models import build_model
from cycseq.models.base import draw, predicted_obs, rescaled, shifted_cells

MEAN, NET = "mean.", "net."
"""Prefixes of the arrays of the model that predicts means, and of the network."""
FITTED_ON, TRAINED_ON = 5_000, 6_000
"""Cells that principal components are fitted on, and perturbed cells that the transport is trained on, at most."""


@dataclass
class CycleTransport(Model):
    """Perturbed single cells around a predicted mean: counts at real depth and sparsity, moved by a cyclic transport.

    T(x) = x + Delta^ + U h(z(x), p, c): Delta^ comes from `mean`, h is a small network, zero at the start, on principal
    components z of control cells, U are their loadings. Its inverse shares Delta^ with the sign reversed. h is trained
    on pseudo-pairs by optimal transport within context and batch, and kept only where it makes cells more alike to real
    ones that it was not trained on. Cells are then drawn as counts at the depth of their control cells, so that their
    mean is the predicted one; the posterior of the mean's model travels with them.
    """

    mean: str = "ConditionKriging"
    """The model that predicts the mean of each condition, by name."""
    mean_settings: dict[str, Any] | None = None
    """Its settings; None keeps their defaults."""
    cells: Literal["drawn", "kept", "shifted"] = "drawn"
    """How cells are made: counts drawn anew around what the control cell's counts tell of it; its own counts kept with
    their noise, some taken away or given; or log1p values shifted, which fills zeros (and needs no counts)."""
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
    """Passes over the perturbed training cells at most."""
    batch_size: int = 512
    """Cells of one step."""
    learning_rate: float = 2e-3
    """Step size of Adam."""
    patience: int = 10
    """Stop after this many epochs without a better fit to the conditions kept for validation."""
    held_out: float = 0.2
    """Share of the training conditions kept to validate h on (of their cells, where there are fewer than three)."""

    def fit(
        self,
        train: PerturbationData,
        validation: PerturbationData | None = None,
        *,
        seed: int = 0,
        run: Path | None = None,
    ) -> Self:
        """Learn means, dispersions and the transport from the training and the validation conditions."""
        if self.mean == self.name:
            msg = f"{self.name} cannot take its means from itself: say another --model.mean."
            raise SettingsError(msg)
        mean = build_model(self.mean, self.mean_settings).fit(train, validation, seed=seed)
        data = joined(train, validation)
        learned = mean.learned
        arrays = {MEAN + name: array for name, array in learned.arrays.items()}
        facts: dict[str, Any] = {"mean": learned.facts, "made": self.cells, "transport": None}
        if self.cells != "shifted" and not has_counts(data):
            facts["made"] = "shifted"
            facts["why"] = "obs total_counts is missing or does not give counts back: run cycseq prepare on counts"
        if facts["made"] != "shifted":
            total = data.adata.obs["total_counts"].to_numpy(np.float64)
            counts = recovered_counts(data.x, total)
            arrays["dispersion"] = dispersions(counts, total, data.condition_codes, len(data.conditions()))
        arrays |= _components(data, self.n_components, seed)
        self.fitted_ = Fitted(
            learned.genes, learned.scale, learned.contexts, learned.perturbations, arrays=arrays, facts=facts
        )
        if self.transport:
            self._train(data, seed=seed, run=run)
        return self

    def predict(
        self, controls: PerturbationData, conditions: Sequence[Condition], *, n_cells: int | None = None, seed: int = 0
    ) -> PerturbationData:
        """Cells of each condition, one from each control cell drawn; their mean is the one that `mean` predicts.

        `uns["cycseq"]["cells"]` says how they were made: "shifted" also where the counts of the control cells are not known.
        Posterior means and probabilities of the mean's model are in `varm`, where it has them.
        """
        conditions = list(dict.fromkeys(conditions))
        controls = self.check_controls(controls, conditions)
        if n_cells is not None and n_cells < 1:
            msg = f"{n_cells} cells of each condition cannot be predicted: ask for at least one (--cells)."
            raise SettingsError(msg)
        anchor = self.anchor.predict(controls, conditions, n_cells=1, seed=seed).adata
        sources = {context: self._source(controls.controls([context])) for context in {c.context for c in conditions}}
        blocks, labels = [], []
        for i, condition in enumerate(conditions):
            of_context = sources[condition.context]
            rng = np.random.default_rng([seed, *str(condition).encode()])
            rows = draw(np.arange(of_context.data.n_cells), n_cells, rng)
            mean = dense(anchor.X[i : i + 1])[0].astype(np.float64)
            blocks.append(self._made(of_context, rows, mean, rng, condition, "perturb"))
            labels.append(predicted_obs(of_context.data, rows, condition))
            if "total_counts" in of_context.data.adata.obs:
                labels[-1]["total_counts"] = of_context.data.adata.obs["total_counts"].to_numpy()[rows]
        sparse = all(sp.issparse(block) for block in blocks)
        x = sp.vstack(blocks, format="csr") if sparse else np.concatenate([dense(block) for block in blocks])
        obs = pd.concat(labels).astype(dict.fromkeys(("context", "perturbation", "batch"), "category"))
        adata = ad.AnnData(X=x, obs=obs, var=pd.DataFrame(index=list(self.learned.genes)), varm=dict(anchor.varm))
        adata.uns |= {key: value for key, value in anchor.uns.items() if key != "cycseq"}
        made = "shifted" if any(source.counts is None for source in sources.values()) else self.cells
        adata.uns["cycseq"] = {"scale": controls.scale, "model": self.name, "mean": self.mean, "cells": made}
        return PerturbationData(adata=adata, scale=controls.scale)

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
        blocks, labels = [], []
        for i, condition in enumerate(conditions):
            source = self._source(perturbed.subset([condition]))
            change = dense(anchor.X[i : i + 1])[0] - unperturbed[Condition(condition.context, CONTROL)]
            mean = np.maximum(source.data.moments.mean[0] - change, 0.0)
            rows, rng = np.arange(source.data.n_cells), np.random.default_rng([seed, *str(condition).encode()])
            blocks.append(dense(self._made(source, rows, mean, rng, condition, "restore")))
            labels.append(predicted_obs(source.data, rows, Condition(condition.context, CONTROL)))
            labels[-1].index = [f"{condition}/restored/{j}" for j in rows]
        obs = pd.concat(labels).astype(dict.fromkeys(("context", "perturbation", "batch"), "category"))
        adata = ad.AnnData(X=np.concatenate(blocks), obs=obs, var=pd.DataFrame(index=list(self.learned.genes)))
        adata.uns["cycseq"] = {"scale": perturbed.scale, "model": self.name}
        return PerturbationData(adata=adata, scale=perturbed.scale)

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
            model.fitted_ = Fitted(
                learned.genes,
                learned.scale,
                learned.contexts,
                learned.perturbations,
                arrays={k.removeprefix(MEAN): a for k, a in learned.arrays.items() if k.startswith(MEAN)},
                facts=learned.facts["mean"],
            )
            learned.cache["anchor"] = model
        found: Model = learned.cache["anchor"]
        return found

    def _points(self, x: Any) -> Cells:
        """Cells in principal components."""
        arrays = self.learned.arrays
        points = x @ arrays["loadings"].T - arrays["centre"] @ arrays["loadings"].T
        return np.asarray(points / arrays["unit"], dtype=np.float32)

    def _source(self, data: PerturbationData) -> "_Source":
        """Cells of one condition, with their counts where cells are made of counts and these are known."""
        if self.learned.facts["made"] == "shifted" or not has_counts(data):
            return _Source(data, None)
        total = data.adata.obs["total_counts"].to_numpy(np.float64)
        counts = recovered_counts(data.x, total)
        return _Source(data, CountSource(counts, total, self.learned.arrays["dispersion"].astype(np.float64)))

    def _made(
        self, source: "_Source", rows: Codes, mean: Profile, rng: np.random.Generator, condition: Condition, way: str
    ) -> Any:
        """Cells with this mean, one from each row of the source."""
        x = source.data.x[rows]
        if condition.is_control:
            return rescaled(sp.csr_matrix(x), mean)
        change = self._change(x, condition, way)
        loadings = self.learned.arrays["loadings"] * self.learned.arrays["unit"]
        if source.counts is None:
            cells = dense(x) + (mean - np.asarray(x.mean(axis=0)).ravel()).astype(np.float32)
            cells = cells if change is None else cells + change @ loadings
            return shifted_cells(cells, mean, np.zeros_like(mean))
        tilt = None if change is None else Tilt(change, loadings / source.counts.slope(mean))
        return rescaled(source.counts.drawn(rows, mean, rng, tilt=tilt, keep=self.cells == "kept"), mean)

    def _change(self, x: Any, condition: Condition, way: str) -> Cells | None:
        """What h adds to each of these cells beside the mean response, in components; None where there is no h."""
        facts = self.learned.facts["transport"]
        if facts is None or not facts["helps"] or not set(condition.parts) <= set(facts["vocabulary"]["parts"]):
            return None
        import torch

        points = torch.from_numpy(self._points(x))
        with torch.inference_mode():
            change = self._net()(way, points, self._labelled(points, condition)).numpy()
        return np.asarray(change - change.mean(axis=0), dtype=np.float32)

    def _labelled(self, points: Any, condition: Condition) -> Any:
        import torch

        from cycseq.batches import Vocabulary
        from cycseq.nets.batch import OPEN, Batch

        facts = self.learned.facts["transport"]
        vocabulary = Vocabulary(**{kind: tuple(names) for kind, names in facts["vocabulary"].items()})
        known = condition.context in vocabulary.contexts
        context = vocabulary.contexts.index(condition.context) + 1 if known else OPEN
        n = len(points)
        return Batch(
            x=points,
            parts=torch.from_numpy(vocabulary.places(condition)).expand(n, -1),
            context=torch.full((n,), context),
            batch=torch.full((n,), OPEN),
            total=torch.ones(n),
        )

    def _net(self) -> Any:
        """The network, made from the arrays (and kept)."""
        learned = self.learned
        if "net" not in learned.cache:
            import torch

            from cycseq.nets.batch import Sizes
            from cycseq.nets.transport import TransportNet

            with torch.random.fork_rng():
                net = TransportNet(Sizes(*learned.facts["transport"]["sizes"]), width=self.width)
            state = {k: torch.from_numpy(learned.arrays[NET + k]).reshape(v.shape) for k, v in net.state_dict().items()}
            net.load_state_dict(state)
            learned.cache["net"] = net.eval()
        return learned.cache["net"]

    def _train(self, data: PerturbationData, *, seed: int, run: Path | None) -> None:
        """Learn h, and keep it with what its validation showed."""
        try:
            import torch

            from cycseq.batches import Vocabulary
            from cycseq.nets.transport import TransportNet
            from cycseq.training.adapter import TrainingSettings
            from cycseq.transport import Learner, Weights, learn_transport
        except ModuleNotFoundError as err:
            missing = (
                f"{err.name} is not installed, which the transport needs: pip install 'cycseq[networks]', or say "
                f"--model.transport false."
            )
            raise FitBrokeOffError(missing) from err
        vocabulary = Vocabulary.of(data.subset(c for c in data.conditions() if not c.is_control))
        pairs = self._pairs(data, vocabulary, seed)
        sizes = replace(vocabulary.sizes(self.n_components), genes=pairs.base.shape[1], batches=1)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            net = TransportNet(sizes, width=self.width)
        weights = Weights(self.lambda_pair, self.lambda_cycle, self.lambda_mmd, self.lambda_mean)
        learned = learn_transport(
            net,
            Learner(pairs, weights, self.learning_rate),
            pairs.kept(self.held_out, seed),
            TrainingSettings(
                num_epochs=self.num_epochs,
                patience=self.patience,
                gradient_norm=1.0,
                schedule="constant",
                precision="32",
                accelerator="cpu",
                devices=1,
                num_nodes=1,
            ),
            batch_size=self.batch_size,
            seed=seed,
            run=run,
            identity=json.dumps([self.name, self.settings(), seed, data.fingerprint()], default=str),
        )
        self.learned.arrays |= {NET + k: np.ascontiguousarray(v.numpy()) for k, v in learned.net.state_dict().items()}
        self.learned.facts["transport"] = {
            **learned.facts,
            "sizes": [sizes.genes, sizes.parts, sizes.contexts, sizes.batches],
            "vocabulary": {k: list(v) for k, v in vars(vocabulary).items()},
        }

    def _pairs(self, data: PerturbationData, vocabulary: Any, seed: int) -> Any:
        """Perturbed cells, each with a control cell of its context and batch and what the mean alone makes of that."""
        from cycseq.transport import Pairs

        conditions = [c for c in data.conditions() if not c.is_control]
        rng = np.random.default_rng([seed, 7])
        most = max(10, TRAINED_ON // len(conditions))
        chosen = sorted(rng.permutation(len(conditions))[: TRAINED_ON // 10])
        batch = data.adata.obs["batch"].cat.codes.to_numpy(np.int64)
        n_batches = int(batch.max()) + 1
        sources, parts = {}, []
        for i in chosen:
            condition = conditions[i]
            if condition.context not in sources:
                sources[condition.context] = self._source(data.controls([condition.context]))
            source = sources[condition.context]
            rows = rng.permutation(data.rows(condition))[:most]
            of_control = source.data.adata.obs["batch"].astype(str).to_numpy()
            own = data.adata.obs["batch"].astype(str).to_numpy()[rows]
            matched = matched_controls(own, of_control, rng)
            mean = np.asarray(data.x[rows].mean(axis=0), dtype=np.float64).ravel()
            base = self._made(source, matched, mean, rng, condition, "perturb")
            parts.append(
                (
                    self._points(source.data.x[matched]),
                    self._points(base),
                    self._points(data.x[rows]),
                    np.full(len(rows), i),
                    i * n_batches + batch[rows],
                    np.tile(vocabulary.places(condition, 4)[:4], (len(rows), 1)),
                    np.full(len(rows), vocabulary.contexts.index(condition.context) + 1),
                )
            )
        return Pairs(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


@dataclass(frozen=True)
class _Source:
    """Cells that others are made from."""

    data: PerturbationData
    counts: CountSource | None


def matched_controls(batch: np.ndarray, of_control: np.ndarray, rng: np.random.Generator) -> Codes:
    """For each cell a random control cell of its batch, or of any where its batch has none."""
    found = rng.integers(0, len(of_control), len(batch))
    for name in np.unique(batch):
        rows, controls = np.flatnonzero(batch == name), np.flatnonzero(of_control == name)
        if len(controls):
            found[rows] = np.resize(rng.permutation(controls), len(rows))
    return found


def _components(data: PerturbationData, n_components: int, seed: int) -> dict[str, np.ndarray]:
    """Centre, loadings and unit of the principal components of the training cells."""
    from sklearn.decomposition import PCA

    rows = np.sort(np.random.default_rng([seed, 6]).permutation(data.n_cells)[:FITTED_ON])
    cells = dense(data.x[rows])
    fitted = PCA(min(n_components, *(n - 1 for n in cells.shape)), svd_solver="randomized", random_state=seed).fit(
        cells
    )
    unit = np.sqrt(fitted.explained_variance_.mean(keepdims=True))
    return {
        "centre": fitted.mean_,
        "loadings": np.ascontiguousarray(fitted.components_),  # products of another layout differ in the last bit
        "unit": unit.astype(np.float32),
    }
