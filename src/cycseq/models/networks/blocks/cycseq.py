"""Generators and critics of `CycSeq`, in the published form and in the fixed one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import one_hot, softplus

from cycseq.models.networks.blocks.batch import Batch, Sizes
from cycseq.models.networks.blocks.blocks import Labels, Residual, TokenAttention, mlp
from cycseq.models.networks.blocks.losses import kl_to_standard, sampled

LABEL_WIDTH = 32
READER_WIDTH = 64
KINDS = 3
"""Latents of a cell: expression, knock-out, noise."""


@dataclass(frozen=True)
class Form:
    """What a CycSeq network is made of."""

    num_res_blocks: int
    use_attention: bool
    use_embedding: bool
    use_batch_norm: bool
    use_dropout: bool
    faithful: bool
    hidden: Sequence[int]
    latent: int


@dataclass(frozen=True)
class Translated:
    """What a generator makes of cells."""

    x: Float[Tensor, "cells genes"]
    """Translated cells, log1p."""
    parts: Float[Tensor, "cells parts"]
    """Logits of the perturbed genes."""
    places: Float[Tensor, "cells places"]
    """Logits of contexts and batches."""
    kl: Float[Tensor, ""]


class OneHotLabels(nn.Module):
    """Labels as the published generators take them: vectors of zeros and ones times a matrix."""

    def __init__(self, sizes: Sizes, width: int) -> None:
        super().__init__()
        self.sizes = sizes
        self.parts = nn.Linear(sizes.parts, width)
        self.places = nn.Linear(sizes.contexts + sizes.batches, width)
        self.width = 2 * width

    def forward(self, batch: Batch) -> Float[Tensor, "cells labels"]:
        """The vectors."""
        return torch.cat([self.parts(parts_of(batch, self.sizes)), self.places(places_of(batch, self.sizes))], dim=1)


class RawLabels(nn.Module):
    """Labels as the published critics take them: the vectors of zeros and ones themselves."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.width = sizes.parts + sizes.contexts + sizes.batches

    def forward(self, batch: Batch) -> Float[Tensor, "cells labels"]:
        """The vectors."""
        return torch.cat([parts_of(batch, self.sizes), places_of(batch, self.sizes)], dim=1)


def parts_of(batch: Batch, sizes: Sizes) -> Float[Tensor, "cells parts"]:
    """1 where a single perturbation is part of a cell's."""
    hot = torch.zeros(len(batch.parts), sizes.parts, device=batch.parts.device).scatter_(1, batch.parts, 1.0)
    hot[:, 0] = 0.0
    return hot


def places_of(batch: Batch, sizes: Sizes) -> Float[Tensor, "cells places"]:
    """1 at the context and at the batch of each cell."""
    return torch.cat([one_hot(batch.context, sizes.contexts), one_hot(batch.batch, sizes.batches)], dim=1).float()


def label_loss(
    parts: Float[Tensor, "cells parts"], places: Float[Tensor, "cells places"], batch: Batch, sizes: Sizes
) -> Float[Tensor, ""]:
    """Binary cross-entropies of logits with a batch's labels: mean over perturbed genes, plus mean over places.

    Softplus of every logit, minus the logits that should be high: vectors of zeros and ones need not be made.
    """
    mask = (batch.parts > 0).to(parts.dtype)
    where = torch.stack([batch.context, sizes.contexts + batch.batch], dim=1)
    of_parts = softplus(parts).sum() - (parts.gather(1, batch.parts) * mask).sum()
    of_places = softplus(places).sum() - places.gather(1, where).sum()
    return of_parts / parts.numel() + of_places / places.numel()


class Translator(nn.Module):
    """A generator: encoder, three Gaussian latents, decoder, heads.

    Mended, its expression head gives a change that is added to the cell, zero at the start; published, a tanh gives the
    cell itself. In the fixed form, labels are read from the translated cell (`LabelReader`); published, the decoder, which was given
    the labels, repeats them through a tanh.
    """

    def __init__(self, sizes: Sizes, form: Form) -> None:
        super().__init__()
        self.faithful, self.sizes = form.faithful, sizes
        self.labels = _labels(sizes, form)
        width, latents = form.hidden[-1], KINDS * form.latent
        self.encoder = _trunk([sizes.genes + self.labels.width, *form.hidden], form)
        self.mean, self.log_variance = nn.Linear(width, latents), nn.Linear(width, latents)
        self.decoder = _trunk([latents + self.labels.width, *form.hidden], form)
        self.expression = nn.Linear(width, sizes.genes)
        n_places = sizes.contexts + sizes.batches
        self.heads = nn.Linear(width, sizes.parts + n_places) if form.faithful else None
        if not form.faithful:
            nn.init.zeros_(self.expression.weight)
            nn.init.zeros_(self.expression.bias)

    def encode(self, batch: Batch) -> tuple[Float[Tensor, "cells units"], Float[Tensor, "cells units"]]:
        """Means and logarithms of variances of the three latents, side by side."""
        hidden = self.encoder(torch.cat([batch.x, self.labels(batch)], dim=1))
        return self.mean(hidden).float(), self.log_variance(hidden).clamp(-10.0, 4.0).float()

    def forward(self, batch: Batch) -> Translated:
        """The cells translated; the latents are drawn while training and at their means otherwise."""
        mean, log_variance = self.encode(batch)
        z = sampled(mean, log_variance) if self.training else mean
        hidden = self.decoder(torch.cat([z, self.labels(batch)], dim=1))
        output = self.expression(hidden).float()
        kl = kl_to_standard(mean, log_variance)
        if self.heads is None:
            none = output[:, :0]
            return Translated((batch.x + output).clamp(min=0.0), none, none, kl)
        logits = torch.tanh(self.heads(hidden).float())
        return Translated(torch.tanh(output), logits[:, : self.sizes.parts], logits[:, self.sizes.parts :], kl)


class LabelReader(nn.Module):
    """Perturbation, context and batch as read from expression alone: it is not given what it must predict."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.n_parts = sizes.parts
        n_labels = sizes.parts + sizes.contexts + sizes.batches
        self.layers = nn.Sequential(nn.Linear(sizes.genes, READER_WIDTH), nn.PReLU(), nn.Linear(READER_WIDTH, n_labels))

    def forward(self, x: Float[Tensor, "cells genes"]) -> tuple[Tensor, Tensor]:
        """Logits of the perturbed genes, and of contexts and batches."""
        logits = self.layers(x).float()
        return logits[:, : self.n_parts], logits[:, self.n_parts :]


class CycCritic(nn.Module):
    """Real or translated? One score for each cell, given its labels; published, a probability, with dropout."""

    def __init__(self, sizes: Sizes, form: Form) -> None:
        super().__init__()
        self.labels = RawLabels(sizes) if form.faithful else _labels(sizes, form)
        widths = [sizes.genes + self.labels.width, *form.hidden]
        last = nn.Linear(form.hidden[-1], 1)
        if form.faithful:
            trunk = mlp(widths, activation=nn.PReLU, dropout=0.2, batch_norm=False)
            self.layers = nn.Sequential(*trunk, last, nn.Sigmoid())
        else:
            trunk = mlp(widths, activation=nn.LeakyReLU, slope=0.2, batch_norm=False)
            self.layers = nn.Sequential(*trunk, last)

    def forward(self, x: Float[Tensor, "cells genes"], labels: Float[Tensor, "cells labels"]) -> Float[Tensor, "cells"]:
        """Scores."""
        score: Tensor = self.layers(torch.cat([x, labels], dim=1)).squeeze(1).float()
        return score


class CycSeqNet(nn.Module):
    """Both generators and both critics: one network for all contexts."""

    def __init__(self, sizes: Sizes, form: Form) -> None:
        super().__init__()
        self.sizes, self.latent = sizes, form.latent
        generators: dict[str, nn.Module] = {"perturb": Translator(sizes, form), "restore": Translator(sizes, form)}
        if not form.faithful:
            generators["reader"] = LabelReader(sizes)
        self.generators = nn.ModuleDict(generators)
        self.critics = nn.ModuleDict({"perturbed": CycCritic(sizes, form), "control": CycCritic(sizes, form)})

    def translator(self, name: Literal["perturb", "restore"]) -> Translator:
        """The generator from control to perturbed, or back."""
        module = self.generators[name]
        assert isinstance(module, Translator)
        return module

    def critic(self, side: str) -> CycCritic:
        """The critic of perturbed or of control cells."""
        module = self.critics[side]
        assert isinstance(module, CycCritic)
        return module

    def read(self, x: Float[Tensor, "cells genes"]) -> tuple[Tensor, Tensor]:
        """Logits of the labels of cells, read from their expression; the published form has none but its own heads."""
        heads: tuple[Tensor, Tensor] = self.generators["reader"](x)
        return heads


def _labels(sizes: Sizes, form: Form) -> Labels | OneHotLabels:
    if form.faithful and not form.use_embedding:
        return OneHotLabels(sizes, LABEL_WIDTH)
    return Labels(sizes, LABEL_WIDTH, with_batch=True, open_share=0.0 if form.faithful else 0.1)


def _trunk(widths: Sequence[int], form: Form) -> nn.Sequential:
    dropout, width = 0.2 if form.use_dropout else 0.0, widths[-1]
    layers: list[nn.Module] = [mlp(widths, activation=nn.PReLU, dropout=dropout, batch_norm=form.use_batch_norm)]
    normed = form.faithful or form.use_batch_norm
    layers += [
        Residual(width, batch_norm=normed, dropout=dropout, published=form.faithful) for _ in range(form.num_res_blocks)
    ]
    if form.use_attention:
        layers.append(TokenAttention(width, tokens=1 if form.faithful or width % 32 else width // 32))
    return nn.Sequential(*layers)
