"""`CycSeq`."""

# No postponed annotations: see `network.py`.
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Literal, final

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.knowledge.nearness import response_weights
from cycseq.matrix.arrays import Cells, Codes, Profile
from cycseq.models.base import BELOW_1, SHARE, SIZE, WEIGHT
from cycseq.models.cells import shifted_cells
from cycseq.models.networks.batches import Encoded, Feeder, encode
from cycseq.models.networks.blocks.batch import Batch, Sizes
from cycseq.models.networks.blocks.cycseq import CycSeqNet, Form, Translated, label_loss
from cycseq.models.networks.blocks.losses import (
    condition_errors,
    condition_means,
    frozen,
    gradient_penalty,
    least_squares,
)
from cycseq.models.networks.network import NetworkModel
from cycseq.models.networks.trained_network import EncodingNetwork
from cycseq.preparation.pseudobulk import responses

LABEL_SHARE = 0.1
"""Weight of each label's cross-entropy beside the squared error of expression, in the cycle loss."""


@final
@dataclass
class CycSeq(NetworkModel[CycSeqNet], EncodingNetwork[CycSeqNet]):
    """Two generators, control to perturbed and back, and two critics: one network for all contexts (IJCAI 2025)."""

    limits: ClassVar[dict[str, tuple[float, float]]] = {
        **dict.fromkeys(("penalty_every", "hidden", "latent"), SIZE),
        **dict.fromkeys(("num_res_blocks", "nearness"), WEIGHT),
        **dict.fromkeys(("lambda_kl", "lambda_cycle", "lambda_gan", "lambda_penalty", "lambda_mean"), WEIGHT),
        **dict.fromkeys(("cycle_share", "measured"), SHARE),
        "betas": BELOW_1,
    }
    needs_controls: ClassVar[bool] = True
    latent_names: ClassVar[tuple[str, ...]] = ("expression", "knockout", "noise")
    num_res_blocks: int = 2
    """Residual blocks in encoder and decoder."""
    use_attention: bool = True
    """Self-attention over parts of the vector as tokens (published: over one token, which does nothing)."""
    use_embedding: bool = False
    """Published form only: look labels up instead of multiplying vectors of zeros and ones; the fixed form always looks up."""
    use_batch_norm: bool = False
    """Normalise every layer over the batch."""
    use_dropout: bool = True
    """Set a fifth of the values of every layer to zero while training."""
    batch_size: int = 128
    """Perturbed cells of one step, each with a control cell of its context and batch (published: 1024)."""
    num_epochs: int = 50
    """Passes over the perturbed training cells at most (published: 100)."""
    patience: int = 5
    """Stop after this many epochs without a better error of condition means on the cells kept for validation."""
    learning_rate: float = 5e-4
    """Step size of Adam at the start (published: 2e-4)."""
    betas: tuple[float, float] = (0.5, 0.9)
    """Adam's memories of gradients and of their squares."""
    schedule: Literal["plateau", "step", "constant"] = "constant"
    """Halve the step size when validation stands still for 3 epochs, every 10 epochs (published), or never."""
    lambda_kl: float = 0.01
    """Weight of the KL divergence of the three latents, both generators."""
    lambda_cycle: float = 10.0
    """Weight of the cycle loss: expression, and a tenth of each label."""
    lambda_gan: float = 1.0
    """Weight of deceiving the critics."""
    lambda_penalty: float = 10.0
    """Weight of the critics' gradient penalty."""
    lambda_mean: float = 100.0
    """Weight of the distance between translated and real condition means in a batch; the published form has none."""
    cycle_share: float = 0.5
    """Share of a step's cells that are translated there and back for the cycle loss; the published form: all."""
    penalty_every: int = 4
    """Steps from one gradient penalty to the next, which then counts so many times; the published form: 1."""
    measured: float = 0.5
    """Share of the mean response measured in the trained contexts in the predicted one; the rest is the network's. The
    published form takes none."""
    nearness: float = 2.0
    """How much more the measured responses of contexts with similar control cells count; 0: all alike."""
    faithful: bool = False
    """The published form with its faults; the documentation names each."""
    hidden: tuple[int, ...] | None = None
    """Width of the layers of encoders, decoders and critics; None: 256 and 128 (published form: 1024, 512 and 256)."""
    latent: int | None = None
    """Units of each of the three latents; None: 32 (published form: 128)."""

    def build(self, sizes: Sizes) -> CycSeqNet:
        """Generators and critics, with random first weights."""
        form = Form(
            num_res_blocks=self.num_res_blocks,
            use_attention=self.use_attention,
            use_embedding=self.use_embedding,
            use_batch_norm=self.use_batch_norm,
            use_dropout=self.use_dropout,
            faithful=self.faithful,
            hidden=self.hidden or ((1024, 512, 256) if self.faithful else (256, 128)),
            latent=self.latent or (128 if self.faithful else 32),
        )
        return CycSeqNet(sizes, form)

    def initialise(self, net: CycSeqNet, cells: Encoded, rows: Codes, *, seed: int) -> None:
        """Nothing: the fixed generators begin as no change."""

    def optimisers(self, net: CycSeqNet) -> dict[str, torch.optim.Optimizer]:
        """Adam for the generators together, and for the critics together."""
        return {
            name: torch.optim.Adam(part.parameters(), self.learning_rate, betas=self.betas, fused=not self.faithful)
            for name, part in (("generators", net.generators), ("critics", net.critics))
        }

    def step(self, net: CycSeqNet, batch: Batch, training: Any) -> dict[str, Tensor]:
        """One update of the generators, one of the critics."""
        perturbed, control = batch, replace(batch, x=_controls(batch))
        translated = {"perturbed": net.translator("perturb")(control), "control": net.translator("restore")(perturbed)}
        with frozen(net.critics):
            losses = self._generator_losses(net, perturbed, control, translated)
        training.minimise("generators", losses["generators"])
        every = 1 if self.faithful else self.penalty_every
        penalised = training.step_of_epoch % every == 0
        losses |= self._critic_losses(
            net, perturbed, control, translated, weight=self.lambda_penalty * every * penalised
        )
        training.minimise("critics", losses["critics"])
        return losses

    def validate(self, net: CycSeqNet, feeder: Feeder) -> dict[str, float]:
        """How far the mean of translated controls is from that of the real perturbed cells, in each condition."""
        batches, translated = [], []
        for fed in feeder.all_batches():
            batch = fed.to(next(net.parameters()).device)
            batches.append(batch)
            translated.append(net.translator("perturb")(replace(batch, x=_controls(batch))).x)
        errors = condition_errors(batches, translated)
        return {**errors, "loss": errors["mean_error"]}

    def summarize(
        self, net: CycSeqNet, feeder: Feeder, data: PerturbationData
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Mean responses of all conditions, with controls of the same batch, and mean control cells of all contexts."""
        if not self._share:
            return {}, {}
        measured = responses(data)
        arrays = {"measured": measured.delta, "control_mean": np.stack(list(measured.control_mean.values()))}
        return arrays, {
            "conditions": [list(c) for c in measured.conditions],
            "control_contexts": list(measured.control_mean),
        }

    def generate(self, net: CycSeqNet, batch: Batch, condition: Condition) -> Tensor:
        """Control cells translated, drawn to the mean response measured in near contexts; control cells as they are.

        Each is the pseudo-pair of its `source_cell`.
        """
        if condition.is_control:
            return batch.x
        translated: Tensor = net.translator("perturb")(batch).x
        response = self._measured_response(condition, batch.x.numpy()) if self._share else None
        if response is None:
            return translated
        cells = batch.x.numpy()
        shifted = shifted_cells(cells, cells.mean(axis=0), response)
        return torch.lerp(translated, torch.from_numpy(shifted), self._share)

    def latents(self, net: CycSeqNet, batch: Batch) -> Tensor:
        """Means of the three latents, side by side, of cells without their labels.

        An encoder that is given the batch of every cell keeps batches apart; in the open place it mixes them.
        """
        mean: Tensor = net.translator("perturb").encode(batch.unlabelled())[0]
        return mean

    def restored(
        self, perturbed: PerturbationData, controls: PerturbationData | None = None, *, seed: int = 0
    ) -> PerturbationData:
        """Perturbed cells translated back to control cells (direction reverse); obs `source_cell` says from which.

        Every cell is translated by itself, and nothing is drawn; control cells stay as they are.
        """
        perturbed = perturbed.require(self.learned.scale, self.name).with_genes(self.learned.genes)
        for condition in perturbed.conditions():
            self.check_known(condition)
        feeder = Feeder(encode(perturbed, self.vocabulary), np.arange(perturbed.n_cells), 1024, 0)
        net, blocks = self.network(), []
        with torch.inference_mode():
            for batch in feeder.all_batches():
                is_control = (batch.parts == 0).all(dim=1, keepdim=True)
                blocks.append(
                    torch.where(is_control, batch.x, net.translator("restore")(batch).x.clamp(min=0.0)).numpy()
                )
        adata = perturbed.adata.copy()
        adata.obs["source_cell"] = adata.obs_names
        adata.obs["perturbation"] = "control"
        adata.obs["perturbation"] = adata.obs["perturbation"].astype("category")
        adata.X = np.concatenate(blocks).astype(np.float32)
        return PerturbationData(adata=adata, scale=perturbed.scale)

    @property
    def _share(self) -> float:
        return 0.0 if self.faithful else self.measured

    def _measured_response(self, condition: Condition, controls: Cells) -> Profile | None:
        """The weighted mean; None where a part of the perturbation was trained in combinations only."""
        arrays, facts = self.learned.arrays, self.learned.facts
        trained, contexts = [Condition(*pair) for pair in facts["conditions"]], facts["control_contexts"]
        places, context = arrays["control_mean"], condition.context
        here = places[contexts.index(context)] if context in contexts else controls.mean(axis=0)
        weights = response_weights(condition, trained, contexts, places, here, nearness=self.nearness)
        return None if weights is None else weights @ arrays["measured"]

    def _generator_losses(
        self, net: CycSeqNet, perturbed: Batch, control: Batch, translations: dict[str, Translated]
    ) -> dict[str, Tensor]:
        n_back = len(perturbed.x) if self.faithful else max(2, round(self.cycle_share * len(perturbed.x)))
        conditioning = perturbed.first(n_back)
        back = {
            "perturbed": net.translator("perturb")(replace(conditioning, x=translations["control"].x[:n_back])),
            "control": net.translator("restore")(replace(conditioning, x=translations["perturbed"].x[:n_back])),
        }
        # the published heads repeat the label that they were given, in both directions
        real = {"perturbed": perturbed, "control": control if self.faithful else control.unperturbed()}
        losses = {name: torch.zeros((), device=perturbed.x.device) for name in ("gan", "cycle", "label", "kl", "mean")}
        for side, translated in translations.items():
            critic = net.critic(side)
            losses["gan"] = losses["gan"] + least_squares(critic(translated.x, critic.labels(perturbed)), 1.0)
            losses["cycle"] = losses["cycle"] + mse_loss(back[side].x, real[side].x[:n_back])
            if self.faithful:
                losses["label"] = losses["label"] + label_loss(
                    back[side].parts, back[side].places, perturbed, net.sizes
                )
                losses["kl"] = losses["kl"] + translated.kl / net.latent
                continue
            label_losses = [label_loss(*net.read(x), real[side], net.sizes) for x in (translated.x, real[side].x)]
            losses["label"] = losses["label"] + (label_losses[0] + label_losses[1]) / 2
            losses["kl"] = losses["kl"] + (translated.kl + back[side].kl) / perturbed.x.shape[1]
            means = condition_means(perturbed, [translated.x, real[side].x])
            losses["mean"] = losses["mean"] + mse_loss(means[0], means[1])
        losses["generators"] = (
            self.lambda_gan * losses["gan"]
            + self.lambda_cycle * (losses["cycle"] + LABEL_SHARE * losses["label"])
            + self.lambda_kl * losses["kl"]
            + self.lambda_mean * losses["mean"]
        )
        return losses

    def _critic_losses(
        self, net: CycSeqNet, perturbed: Batch, control: Batch, translations: dict[str, Translated], *, weight: float
    ) -> dict[str, Tensor]:
        score, penalty = torch.zeros((), device=perturbed.x.device), torch.zeros((), device=perturbed.x.device)
        for side, real in (("perturbed", perturbed.x), ("control", control.x)):
            critic, fake = net.critic(side), translations[side].x.detach()
            conditioning = critic.labels(perturbed)
            loss = least_squares(critic(real, conditioning), 1.0) + least_squares(critic(fake, conditioning), 0.0)
            score = score + (0.5 * loss if self.faithful else loss)
            if weight:
                penalty = penalty + gradient_penalty(partial(critic, labels=conditioning.detach()), real, fake)
        return {"critic": score, "penalty": penalty, "critics": score + weight * penalty}


def _controls(batch: Batch) -> Tensor:
    assert batch.control is not None, "the feeder was made without controls"
    return batch.control
