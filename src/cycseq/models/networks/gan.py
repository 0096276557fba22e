"""`GAN`."""

# No postponed annotations: see `network.py`.
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, final

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.matrix.arrays import Codes, to_dense
from cycseq.models.base import BELOW_1, SHARE, SIZE, WEIGHT
from cycseq.models.networks.batches import Encoded, Feeder
from cycseq.models.networks.blocks.batch import Batch, Sizes
from cycseq.models.networks.blocks.gan import GanNet
from cycseq.models.networks.blocks.losses import (
    condition_codes,
    condition_errors,
    frozen,
    gradient_penalty,
    mean_distance,
)
from cycseq.models.networks.network import NetworkModel

START_CELLS = 20_000
"""Cells that means, zeros and highest values of genes are found in, at most."""


@final
@dataclass
class GAN(NetworkModel[GanNet]):
    """Cells generated from noise for a perturbation in a context, by two networks that play against each other."""

    limits: ClassVar[dict[str, tuple[float, float]]] = {
        **dict.fromkeys(("noise", "generator", "critic", "critic_steps"), SIZE),
        **dict.fromkeys(("moments", "instance_noise", "penalty", "sparsity"), WEIGHT),
        **dict.fromkeys(("label_smoothing", "penalty_share"), SHARE),
        "betas": BELOW_1,
    }
    num_epochs: int = 100
    """Passes over the training cells at most."""
    patience: int = 30
    """Stop after this many epochs without a better loss on the cells kept for validation: it rises at first, as the
    generator begins at the means of the genes."""
    learning_rate: float = 2e-4
    """Step size of Adam at the start, for both players."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's memories of gradients and of their squares."""
    noise: int = 64
    """Numbers that each cell is generated from."""
    generator: tuple[int, ...] = (512, 512, 256)
    """Width of the generator's layers."""
    critic: tuple[int, ...] = (512, 256, 128)
    """Width of the critic's layers."""
    conditional: bool = True
    """Tell both players perturbation and context; false is the published form."""
    gated: bool = True
    """Genes are off (exactly zero) or bounded by the highest training value; false, as published: free values."""
    moments: float = 10.0
    """Weight of the distance of gene means and shares of zeros from the real ones, in each batch and in each of its
    conditions; 0 as published."""
    critic_steps: int = 1
    """Updates of the critic for one of the generator; 5 as published."""
    label_smoothing: float = 0.1
    """The critic's aim for real cells is 1 minus this."""
    instance_noise: float = 0.01
    """Standard deviation of the noise on what the critic sees."""
    penalty: float = 0.1
    """Weight of the critic's gradient penalty."""
    penalty_share: float = 0.25
    """Share of a batch's cells that the penalty is computed on, for its time; 1 as published."""
    sparsity: float = 0.0
    """Weight of the mean absolute standardised output; 0.01 as published, where it was to make zeros and did not."""

    def build(self, sizes: Sizes) -> GanNet:
        """Both players, with random first weights."""
        return GanNet(
            sizes,
            self.generator,
            self.critic,
            noise=self.noise,
            conditional=self.conditional,
            gated=self.gated,
        )

    def initialise(self, net: GanNet, cells: Encoded, rows: Codes, *, seed: int) -> None:
        """Means, spreads, zeros and highest values of the genes."""
        sample = np.sort(np.random.default_rng([seed, 4]).permutation(rows)[:START_CELLS])
        net.start_at(torch.from_numpy(to_dense(cells.x[sample])))

    def optimisers(self, net: GanNet) -> dict[str, torch.optim.Optimizer]:
        """Adam for each player."""
        return {
            name: torch.optim.Adam(player.parameters(), self.learning_rate, betas=self.betas, fused=True)
            for name, player in (("generator", net.generator), ("critic", net.critic))
        }

    def step(self, net: GanNet, batch: Batch, training: Any) -> dict[str, Tensor]:
        """The critic's updates, then one of the generator."""
        losses: dict[str, Tensor] = {}
        real = net.standardised(batch.x)
        for left in reversed(range(self.critic_steps)):
            # the cells of the critic's last update are those of the generator's
            with torch.set_grad_enabled(left == 0):
                cells, share = net.generator(batch)
            generated = net.standardised(cells)
            losses |= self._critic_losses(net, real, generated.detach(), batch)
            training.minimise("critic", losses["critic"] + self.penalty * losses["penalty"])
        with frozen(net.critic):
            score = net.critic(self._noisy(generated), net.critic.labels_of(batch)).float()
        losses["generator"] = bce(score, torch.ones_like(score))
        losses["moments"] = self._moments(real, generated, share, batch)
        total = losses["generator"] + self.moments * losses["moments"] + self.sparsity * generated.abs().mean()
        training.minimise("generator", total)
        return losses

    def validate(self, net: GanNet, feeder: Feeder) -> dict[str, float]:
        """How far the means and the shares of zeros of generated conditions are from the real ones."""
        pairs = []
        for fed in feeder.all_batches():
            batch = fed.to(net.generator.centre.device)
            generated = net.generator(batch)[0].clamp(min=0.0)
            pairs.append((batch, generated))
        return condition_errors([b for b, _ in pairs], [generated for _, generated in pairs])

    def summarize(
        self, net: GanNet, feeder: Feeder, data: PerturbationData
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Nothing beside the weights."""
        return {}, {}

    def generate(self, net: GanNet, batch: Batch, condition: Condition) -> Tensor:
        """Cells from noise, under the condition's labels."""
        generated: Tensor = net.generator(batch)[0]
        return generated

    def _critic_losses(self, net: GanNet, real: Tensor, generated: Tensor, batch: Batch) -> dict[str, Tensor]:
        labels = net.critic.labels_of(batch)
        of_real, of_generated = (
            net.critic(self._noisy(torch.cat([real, generated])), labels.repeat(2, 1)).float().chunk(2)
        )
        n = max(1, round(self.penalty_share * len(real)))  # in no order, so any part is a fair one
        penalty = gradient_penalty(partial(net.critic, labels=labels[:n].detach()), real[:n], generated[:n])
        aims = torch.full_like(of_real, 1.0 - self.label_smoothing), torch.zeros_like(of_generated)
        return {"critic": bce(of_real, aims[0]) + bce(of_generated, aims[1]), "penalty": penalty}

    def _moments(self, real: Tensor, generated: Tensor, share: Tensor, batch: Batch) -> Tensor:
        whole = torch.zeros_like(batch.context), torch.tensor([len(real)], device=real.device)
        groups = [whole, condition_codes(batch)] if self.conditional else [whole]
        distances = [mean_distance(real, generated, *group) for group in groups]
        if self.gated:
            distances += [mean_distance((batch.x > 0).to(share.dtype), share, *group) for group in groups]
        return torch.stack(distances).sum()

    def _noisy(self, x: Tensor) -> Tensor:
        return x + self.instance_noise * torch.randn_like(x)
