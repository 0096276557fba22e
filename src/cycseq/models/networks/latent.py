"""What `Autoencoder` and `VAE` share: training, reconstruction, and prediction by latent arithmetic."""

# No postponed annotations here: beartype would look for them in the files of the subclasses, which inherit the fields.
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.usual_names import CONTROL
from cycseq.errors import ModelError
from cycseq.knowledge.nearness import response_weights
from cycseq.matrix.arrays import Cells, Codes, to_dense
from cycseq.matrix.groups import group_moments
from cycseq.models.base import BELOW_1, SHARE, SIZE, WEIGHT
from cycseq.models.networks.batches import Encoded, Feeder, encode
from cycseq.models.networks.blocks.autoencoder import AutoencoderNet
from cycseq.models.networks.blocks.batch import Batch, Sizes
from cycseq.models.networks.blocks.likelihood import counts_of
from cycseq.models.networks.blocks.losses import ACTIVE, annealed, kl_to_standard
from cycseq.models.networks.network import NetworkModel
from cycseq.models.networks.trained_network import EncodingNetwork
from cycseq.preparation.pseudobulk import responses

START_CELLS = 20_000
"""Cells that the first principal components are found in, at most."""


@dataclass
class LatentModel(NetworkModel[AutoencoderNet], EncodingNetwork[AutoencoderNet]):
    """Encoder, latent space, decoder."""

    limits: ClassVar[dict[str, tuple[float, float]]] = {
        **dict.fromkeys(("hidden", "latent"), SIZE),
        **dict.fromkeys(("weight_decay", "nearness"), WEIGHT),
        "dropout": BELOW_1,
        "measured": SHARE,
    }
    hidden: tuple[int, ...] = (256, 128)
    """Width of the encoder's layers; the decoder has them in reverse."""
    latent: int = 64
    """Units of the latent space."""
    conditional: bool = True
    """Tell the decoder perturbation and context; false is the published form."""
    likelihood: Literal["mse", "nb", "zinb"] = "mse"
    """Squared error of log1p values, or the likelihood of counts: negative binomial, without or with excess zeros."""
    standardise: bool = False
    """Standardise each gene before training, as published: rare genes then weigh as much as the others."""
    shortcut: bool = True
    """Linear paths around encoder and decoder that start as a PCA; false is the published form."""
    dropout: tuple[float, float] = (0.2, 0.1)
    """Share of values set to zero while training, in encoder and decoder."""
    weight_decay: float = 1e-5
    """Pull of all weights towards zero."""
    prediction: Literal["arithmetic", "decoding"] = "arithmetic"
    """Move control cells by the mean latent difference and decode them under the new label, or decode only."""
    nearness: float = 2.0
    """How much more the latent differences of contexts with similar control cells count; 0: all alike, as in scGen."""
    measured: float = 0.5
    """Share of the measured mean differences of the same contexts, weighed alike, in the predicted change; the rest is
    what the network makes of the latent difference. 0 is scGen's; count likelihoods and decoding take none."""
    residual: bool = True
    """Add the decoded change to the control cell itself; false returns decoded cells, which are smooth."""

    @property
    @abstractmethod
    def variational(self) -> bool:
        """Whether a cell is a distribution in the latent space."""

    @abstractmethod
    def kl_share(self, n_genes: int) -> float:
        """Full weight of the KL divergence beside the loss per gene."""

    @final
    def build(self, sizes: Sizes) -> AutoencoderNet:
        """The network, with random first weights."""
        return AutoencoderNet(
            sizes,
            hidden=self.hidden,
            latent=self.latent,
            variational=self.variational,
            conditional=self.conditional,
            likelihood=self.likelihood,
            dropout=self.dropout,
            shortcut=self.shortcut,
            standardise=self.standardise,
        )

    @final
    @torch.no_grad()
    def initialise(self, net: AutoencoderNet, cells: Encoded, rows: Codes, *, seed: int) -> None:
        """Gene means and spreads; principal components where there is a shortcut."""
        from sklearn.decomposition import PCA

        if self.likelihood != "mse":
            _check_counts(self, cells, rows)
        sample = np.sort(np.random.default_rng([seed, 4]).permutation(rows)[:START_CELLS])
        x = to_dense(cells.x[sample])
        spread = np.where(x.std(axis=0) > 0, x.std(axis=0), 1.0) if self.standardise else np.ones(x.shape[1])
        centre = x.mean(axis=0)
        net.centre.copy_(torch.from_numpy(centre))
        net.spread.copy_(torch.from_numpy(spread.astype(np.float32)))
        if net.log_dispersion is not None:
            net.log_dispersion.copy_(_log_dispersion(x, cells, sample))
        standard = ((x - centre) / spread).astype(np.float32)
        level = np.zeros_like(centre) if self.likelihood == "mse" else np.log(np.expm1(x).mean(axis=0) + 1e-4)
        components, deviation = np.zeros((self.latent, x.shape[1]), np.float32), np.ones(self.latent, np.float32)
        if self.shortcut:
            n = min(self.latent, *standard.shape)
            pca = PCA(n, svd_solver="randomized" if n < min(standard.shape) // 2 else "full", random_state=seed)
            pca.fit(standard)
            components[:n], deviation[:n] = pca.components_, np.sqrt(np.maximum(pca.explained_variance_, 1e-6))
        net.start_at(*(torch.from_numpy(np.asarray(a, np.float32)) for a in (components, deviation, level)))

    @final
    def optimisers(self, net: AutoencoderNet) -> dict[str, torch.optim.Optimizer]:
        """Adam over all weights; dispersions of genes, one number each, take longer steps."""
        weights = [p for name, p in net.named_parameters() if name != "log_dispersion"]
        groups: list[dict[str, Any]] = [{"params": weights, "weight_decay": self.weight_decay}]
        if net.log_dispersion is not None:
            groups.append({"params": [net.log_dispersion], "lr": 10 * self.learning_rate})
        return {"loss": torch.optim.Adam(groups, self.learning_rate, fused=True)}

    @final
    def step(self, net: AutoencoderNet, batch: Batch, training: Any) -> dict[str, Tensor]:
        """One update on reconstruction + w KL, w rising over the first half of training."""
        losses = self._losses(net, batch, draw=True)
        weight = annealed(training.done, self.kl_share(batch.x.shape[1]))
        losses["loss"] = losses["reconstruction"] + weight * losses["kl"]
        training.minimise("loss", losses["loss"])
        return losses

    @final
    def validate(self, net: AutoencoderNet, feeder: Feeder) -> dict[str, float]:
        """Losses from the posterior means, with the full weight of the KL divergence."""
        sums = {"reconstruction": 0.0, "kl": 0.0}
        device = net.centre.device
        for batch in feeder.all_batches():
            for name, loss in self._losses(net, batch.to(device), draw=False).items():
                sums[name] += float(loss) * len(batch.x) / len(feeder.rows)
        return {"loss": sums["reconstruction"] + self.kl_share(len(net.centre)) * sums["kl"], **sums}

    @final
    def summarize(
        self, net: AutoencoderNet, feeder: Feeder, data: PerturbationData
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Mean differences of every perturbed condition, the controls' place in every context, units in use.

        The differences are latent and, with controls of the same batch, measured.
        """
        z, end = np.empty((data.n_cells, self.latent), dtype=np.float32), 0
        for batch in feeder.all_batches():
            end += len(batch.x)
            z[end - len(batch.x) : end] = net.encode(batch).mean.numpy()
        variance = group_moments(z, np.zeros(len(z), dtype=np.int64), 1).variance[0]
        conditions, codes = data.conditions(), data.condition_codes
        mean = {c: z[codes == i].mean(axis=0) for i, c in enumerate(conditions)}
        perturbed, controls = [c for c in mean if not c.is_control], [c for c in mean if c.is_control]
        shifts = [mean[c] - mean[Condition(c.context, CONTROL)] for c in perturbed]
        facts = {
            "shifted": [list(c) for c in perturbed],
            "control_contexts": [c.context for c in controls],
            "latent_units": self.latent,
            "active_units": int((variance > ACTIVE).sum()),
        }
        arrays = {"latent_shift": np.stack(shifts), "control_latent": np.stack([mean[c] for c in controls])}
        if self.measured:
            measured = responses(data)
            row = {condition: i for i, condition in enumerate(measured.conditions)}
            arrays["measured"] = measured.delta[[row[c] for c in perturbed]]
        return {name: array.astype(np.float32) for name, array in arrays.items()}, facts

    @final
    def generate(self, net: AutoencoderNet, batch: Batch, condition: Condition) -> Tensor:
        """Control cells moved in the latent space and decoded under the condition's labels."""
        z = net.encode(batch).mean
        weights = self.context_weights(condition, z) if self.prediction == "arithmetic" else None
        shift = 0.0 if weights is None else torch.from_numpy(weights @ self.learned.arrays["latent_shift"])
        if self.likelihood != "mse":
            return net.cells(z + shift, batch, draw=True)
        decoded = net.cells(z, batch.unperturbed(), draw=False)
        change = net.cells(z + shift, batch, draw=False) - decoded
        if weights is not None and self.measured:
            change = torch.lerp(change, torch.from_numpy(weights @ self.learned.arrays["measured"]), self.measured)
        return (batch.x if self.residual else decoded) + change

    @final
    def latents(self, net: AutoencoderNet, batch: Batch) -> Tensor:
        """Means of the posteriors."""
        return net.encode(batch).mean

    def context_weights(self, condition: Condition, z: Tensor) -> Float[np.ndarray, "trained"]:
        """How much each trained condition counts for this one: those of its perturbation, near contexts first.

        Near in the latent space of control cells; see `data.nearness.response_weights`. The mean of the control cells `z` places
        a context that training did not know.
        """
        learned = self.learned
        trained = [Condition(*pair) for pair in learned.facts["shifted"]]
        contexts, places = learned.facts["control_contexts"], learned.arrays["control_latent"]
        here = places[contexts.index(condition.context)] if condition.context in contexts else z.mean(dim=0).numpy()
        weights = response_weights(condition, trained, contexts, places, here, nearness=self.nearness)
        if weights is None:
            alone = next(part for part in condition.parts if part not in {c.perturbation for c in trained})
            msg = (
                f"{self.name} cannot add up {condition}: {alone!r} was trained in combinations only. "
                "Use --model.prediction decoding."
            )
            raise ModelError(msg)
        return weights

    def reconstruct(self, data: PerturbationData) -> PerturbationData:
        """The same cells, encoded and decoded: expected values, log1p."""
        data = data.require(self.learned.scale, self.name).with_genes(self.learned.genes)
        net = self.network()
        feeder = Feeder(encode(data, self.vocabulary), np.arange(data.n_cells), 1024, 0)
        with torch.inference_mode():
            x = [net.cells(net.encode(batch).mean, batch, draw=False).numpy() for batch in feeder.all_batches()]
        adata = data.adata.copy()
        adata.X = np.concatenate(x).astype(np.float32)
        return PerturbationData(adata=adata, scale=data.scale)

    def _losses(self, net: AutoencoderNet, batch: Batch, *, draw: bool) -> dict[str, Tensor]:
        posterior = net.encode(batch)
        z = posterior.draw() if draw else posterior.mean
        kl = torch.zeros((), device=z.device)
        if posterior.log_variance is not None:
            kl = kl_to_standard(posterior.mean, posterior.log_variance)
        return {"reconstruction": net.loss(z, batch), "kl": kl}


def _log_dispersion(x: Cells, cells: Encoded, rows: Codes) -> Tensor:
    """Logarithm of theta by moments within conditions: mean^2 / (variance - mean)."""
    counts = counts_of(torch.from_numpy(x), torch.from_numpy(cells.total[rows])).numpy()
    labels = np.column_stack([cells.context[rows], cells.parts[rows]])
    groups = np.unique(labels, axis=0, return_inverse=True)[1].ravel()
    moments = group_moments(counts, groups, int(groups.max()) + 1)
    repeated = moments.n_cells > 1
    excess = (moments.variance - moments.mean)[repeated].mean(axis=0).clip(min=1e-6)
    theta = np.square(moments.mean[repeated]).mean(axis=0) / excess
    return torch.from_numpy(np.log(theta.clip(0.1, 1e3)).astype(np.float32))


def _check_counts(model: LatentModel, cells: Encoded, rows: Codes) -> None:
    """Raise `ModelError` if counts cannot be had back from the values and the library sizes."""
    sample = rows[:: max(1, len(rows) // 256)]
    x, total = torch.from_numpy(to_dense(cells.x[sample])), torch.from_numpy(cells.total[sample])
    exact = torch.expm1(x) * (total / 1e4)[:, None]
    wrong = (exact - counts_of(x, total)).abs() > 0.05 + 1e-3 * exact
    if not cells.counted or bool(wrong.any()):
        problem = "is not in obs" if not cells.counted else "does not give whole counts"
        msg = (
            f"likelihood {model.likelihood!r} needs counts, but total_counts {problem}: give counts to cycseq prepare, "
            "which keeps them, or use --model.likelihood mse."
        )
        raise ModelError(msg)
