"""What all networks do once they are trained: predict and embed, from weights kept as arrays."""

# No postponed annotations here: beartype would look for them in the files of the subclasses, which inherit the fields.
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar, final

import anndata as ad
import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.usual_names import CONTROL
from cycseq.errors import FitBrokeOffError, ModelError, unknown_name
from cycseq.matrix.arrays import Cells, Codes, Profile, take, to_dense
from cycseq.models.base import Model
from cycseq.models.cells import bounded, draw, predicted_obs, shifted_cells
from cycseq.models.networks.batches import Feeder, Vocabulary, encode
from cycseq.models.networks.blocks.batch import Batch, Sizes
from cycseq.models.saved import PACKAGES

HIGHEST = 1.5
"""No predicted value exceeds this many times the highest value of the training cells."""
WEIGHTS = "net."
"""Prefix of the network's own arrays among the fitted ones."""

Net = TypeVar("Net", bound=nn.Module)


@dataclass
class TrainedNetwork(Model, Generic[Net]):
    """A network as it is used; `NetworkModel` trains it."""

    packages = (*PACKAGES, "torch", "lightning")
    """Whose versions a saved model names."""

    @abstractmethod
    def build(self, sizes: Sizes) -> Net:
        """The network, with random first weights."""

    @abstractmethod
    def generate(self, net: Net, batch: Batch, condition: Condition) -> Tensor:
        """Cells of a condition, log1p, one from each control cell of the batch (whose labels are the condition's)."""

    @final
    def predict(
        self,
        controls: PerturbationData,
        conditions: Sequence[Condition | str] | str,
        *,
        n_cells: int | None = None,
        seed: int = 0,
    ) -> PerturbationData:
        """Cells of each condition, made from control cells of its context.

        The mean of the cells is the control mean plus the mean difference between what the network makes of the cells
        under the perturbation and under control: an error that the network makes in both cancels. No value is below
        zero, nor above 1.5 times the highest training value.
        """
        conditions = self.check_conditions(conditions)
        controls = self.check_controls(controls, conditions).load(self.name)
        net, blocks, all_drawn = self.network(), [], []
        feeder = Feeder(encode(controls, self.vocabulary), np.arange(controls.n_cells), 1024, seed)
        for condition in conditions:
            self.check_known(condition)
            rows = controls.rows(Condition(condition.context, CONTROL))
            sample = draw(rows, n_cells, np.random.default_rng([seed, *str(condition).encode()]))
            mean = self._mean(net, feeder, rows, condition)
            block = shifted_cells(self._generate_cells(net, feeder, sample, condition, seed), mean, np.zeros_like(mean))
            blocks.append(bounded(block, HIGHEST * self.learned.facts["highest"]))
            all_drawn.append(sample)
        return self._as_data(np.concatenate(blocks), predicted_obs(controls, all_drawn, conditions), controls)

    @property
    def vocabulary(self) -> Vocabulary:
        """The labels that the fitted network knows."""
        return Vocabulary(**{kind: tuple(names) for kind, names in self.learned.facts["vocabulary"].items()})

    def network(self) -> Net:
        """The fitted network, made from the arrays (and kept)."""
        learned = self.learned
        if "network" not in learned.cache:
            sizes = self.vocabulary.sizes(len(learned.genes))
            with torch.device("meta"):  # shapes without memory: settings that were altered may claim any size
                shapes = self.build(sizes).state_dict()
            state = {name: _fitting(learned.arrays.get(WEIGHTS + name), like) for name, like in shapes.items()}
            if any(array is None for array in state.values()):
                msg = f"the weights do not fit {self.name}: another version of cycseq saved them. Fit it again."
                raise ModelError(msg)
            with torch.random.fork_rng():
                net = self.build(sizes)
            net.load_state_dict(state)
            learned.cache["network"] = net.eval()
        fitted: Net = learned.cache["network"]
        return fitted

    def check_known(self, condition: Condition) -> None:
        """Raise `ModelError` if a part of the condition was not among the training perturbations."""
        trained = self.learned.facts["trained_parts"]
        for part in condition.parts:
            if part not in trained:
                raise unknown_name(part, f"perturbation that {self.name} was trained on", trained, ModelError)

    def _mean(self, net: Net, feeder: Feeder, rows: Codes, condition: Condition) -> Profile:
        """The mean of a condition, whichever cells are drawn: from all control cells of its context, in these rows."""
        unperturbed = Condition(condition.context, CONTROL)
        change = self._generate_cells(net, feeder, rows, condition, 0).mean(axis=0, dtype=np.float64)
        change -= self._generate_cells(net, feeder, rows, unperturbed, 0).mean(axis=0, dtype=np.float64)
        mean: Profile = (to_dense(take(feeder.cells.x, rows)).mean(axis=0, dtype=np.float64) + change).astype(
            np.float32
        )
        return mean

    def _generate_cells(self, net: Net, feeder: Feeder, rows: Codes, condition: Condition, seed: int) -> Cells:
        """Generated cells, one from each of the rows; the same chance for every condition."""
        places = torch.from_numpy(self.vocabulary.places(condition))
        blocks = []
        with torch.inference_mode(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for start in range(0, len(rows), feeder.batch_size):
                part = rows[start : start + feeder.batch_size]
                batch = feeder.load(part, np.random.default_rng(seed)).perturbed(places.expand(len(part), -1))
                blocks.append(self.generate(net, batch, condition).numpy())
        cells: Cells = np.concatenate(blocks).astype(np.float32)
        if not np.isfinite(cells).all():
            msg = f"{self.name} made values that are not numbers for {condition}: fit it again with a smaller learning rate."
            raise FitBrokeOffError(msg)
        cells[cells < 0.0] = 0.0
        return cells

    def _as_data(self, x: Cells, obs: pd.DataFrame, like: PerturbationData) -> PerturbationData:
        obs = obs.astype(dict.fromkeys(("context", "perturbation", "batch"), "category"))
        adata = ad.AnnData(X=x, obs=obs, var=pd.DataFrame(index=list(self.learned.genes)))
        adata.uns["cycseq"] = {"scale": like.scale, "model": self.name}
        return PerturbationData(adata=adata, scale=like.scale)


@dataclass
class EncodingNetwork(TrainedNetwork[Net]):
    """A network that has a latent space besides."""

    latent_names: ClassVar[tuple[str, ...]] = ()
    """Names of the equal parts that the latent space is made of, where it has such."""

    @abstractmethod
    def latents(self, net: Net, batch: Batch) -> Tensor:
        """Where cells lie in the latent space."""

    @final
    def embed(self, data: PerturbationData) -> Cells:
        """Where cells lie in the latent space, cells x units; for `obsm`."""
        data = data.require(self.learned.scale, self.name).with_genes(self.learned.genes)
        net = self.network()
        feeder = Feeder(encode(data, self.vocabulary), np.arange(data.n_cells), 1024, 0)
        with torch.inference_mode():
            places: Cells = np.concatenate([self.latents(net, batch).numpy() for batch in feeder.all_batches()])
        return places


def _fitting(array: np.ndarray | None, like: Tensor) -> Tensor | None:
    """The saved weights in the shape of the network's own (numbers were saved as arrays of one); None if they differ."""
    return None if array is None or array.size != like.numel() else torch.from_numpy(array).reshape(like.shape)
