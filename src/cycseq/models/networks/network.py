"""What all networks share while they learn: settings of training, and `fit`. What they do then: `trained_network`."""

# No postponed annotations here: beartype would look for them in the files of the subclasses, which inherit the fields.
import json
from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, final

import numpy as np
import torch
from torch import Tensor

from cycseq.data.dataset import PerturbationData
from cycseq.data.scale import summarize_values
from cycseq.errors import FitBrokeOffError, ModelError
from cycseq.matrix.arrays import Codes
from cycseq.models.base import KEPT, SIZE, STEP_SIZE, WEIGHT, Fitted
from cycseq.models.networks.batches import Encoded, Feeder, Vocabulary, encode
from cycseq.models.networks.blocks.batch import Batch, Sizes
from cycseq.models.networks.trained_network import WEIGHTS, Net, TrainedNetwork
from cycseq.preparation.merge import join


@dataclass
class NetworkModel(TrainedNetwork[Net]):
    """A model that is trained by gradient steps."""

    limits: ClassVar[dict[str, tuple[float, float]]] = {
        **dict.fromkeys(("num_epochs", "batch_size", "patience", "devices", "num_nodes"), SIZE),
        "gradient_norm": WEIGHT,
        "learning_rate": STEP_SIZE,
        "held_out": KEPT,
    }
    needs_controls: ClassVar[bool] = False
    """Whether every training cell must come with a control cell of its context and batch."""
    num_epochs: int = 50
    """Passes over the training cells at most."""
    batch_size: int = 128
    """Cells of one step."""
    learning_rate: float = 1e-3
    """Step size of Adam at the start."""
    patience: int = 10
    """Stop after this many epochs without a better loss on the cells kept for validation."""
    held_out: float = 0.1
    """Share of the training cells kept for validation where no validation conditions are given."""
    gradient_norm: float = 1.0
    """Longest gradient; longer ones are cut to this length. 0 cuts none."""
    schedule: Literal["plateau", "step", "constant"] = "plateau"
    """Halve the step size when validation stands still for 3 epochs, every 10 epochs, or never."""
    precision: Literal["32", "fast32", "bf16"] = "32"
    """Arithmetic while training: float32, float32 with faster products, or bfloat16 products. Prediction is float32."""
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    """Where to train: auto takes a GPU where there is one."""
    devices: int = 1
    """Devices (on a CPU: processes) of one machine that train together."""
    num_nodes: int = 1
    """Machines that train together."""

    @abstractmethod
    def initialise(self, net: Net, cells: Encoded, rows: Codes, *, seed: int) -> None:
        """Set first weights and constants from the training cells, before the first step."""

    @abstractmethod
    def optimisers(self, net: Net) -> dict[str, torch.optim.Optimizer]:
        """An optimiser for each part of the network that is trained by itself."""

    @abstractmethod
    def step(self, net: Net, batch: Batch, training: Any) -> dict[str, Tensor]:
        """One update of all parts through `training.minimise(name, loss)`; the losses, by name."""

    @abstractmethod
    def validate(self, net: Net, feeder: Feeder) -> dict[str, float]:
        """Losses on the cells kept for validation; the one named ``loss`` decides."""

    @abstractmethod
    def summarize(
        self, net: Net, feeder: Feeder, data: PerturbationData
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Arrays and facts that prediction needs beside the weights, from all cells of the trained conditions."""

    @final
    def fit(
        self,
        train: PerturbationData,
        validation: PerturbationData | None = None,
        *,
        seed: int = 0,
        run: Path | None = None,
    ) -> Self:
        """Train, keep the weights of the epoch that was best on validation, and say how it went in `learned.facts`.

        Where ``run`` holds the checkpoint of an interrupted training with the same settings, seed and data, it goes on. Raises
        `ModelError` if there is nothing to learn from, or a loss is not a number any more or explodes (the model then holds its
        last good state).
        """
        from cycseq.models.networks.training.loop import train as train_network
        from cycseq.models.networks.training.loop import translate_memory_shortage

        self.check_settings()
        train = train.require("log1p", self.name)
        if not train.perturbations or train.n_cells < 4:
            msg = f"{self.name} cannot learn: the training cells are all controls or too few. Give it perturbed cells."
            raise ModelError(msg)
        data = join(train, validation)
        vocabulary = Vocabulary.of(data)
        cells = encode(data, vocabulary)
        identity = json.dumps(
            [
                self.name,
                self.settings(),
                seed,
                *(part.fingerprint() for part in (train, validation) if part is not None),
            ]
        )
        with translate_memory_shortage(self.name):
            feeders = self._feeders(cells, train, data, seed)
            net = self._first_net(vocabulary.sizes(len(data.genes)), feeders[0], seed)
            state = train_network(self, net, *feeders, run=run, identity=identity)
        if not state.best_net:
            raise FitBrokeOffError(self._say_broken(state, "before the first epoch ended"))
        net.load_state_dict(state.best_net)
        arrays, facts = self._summary(net.cpu().eval(), cells, data, seed)
        self.fitted_ = Fitted(
            genes=tuple(data.genes),
            scale=data.scale,
            contexts=tuple(sorted({c.context for c in train.conditions() if not c.is_control})),
            perturbations=train.perturbations,
            arrays=arrays,
            facts=json.loads(json.dumps({**self._training_facts(state, vocabulary, train, data), **facts})),
        )
        if state.broken:
            state_text = f"the state of epoch {state.best_epoch} is kept in the model"
            raise FitBrokeOffError(self._say_broken(state, state_text))
        return self

    def _feeders(
        self, cells: Encoded, train: PerturbationData, data: PerturbationData, seed: int
    ) -> tuple[Feeder, Feeder]:
        """Cells to learn from, and cells to validate on: those of the validation conditions, or a share of all."""
        if data is train:
            order = np.random.default_rng([seed, 0]).permutation(data.n_cells)
            n_kept = min(max(2, round(self.held_out * data.n_cells)), data.n_cells - 2)
            parts = np.sort(order[n_kept:]), np.sort(order[:n_kept])
        else:
            of_train = data.adata.obs_names.isin(train.adata.obs_names)
            parts = np.flatnonzero(of_train), np.flatnonzero(~of_train)
        feeders = []
        for rows, size in zip(parts, (self.batch_size, max(256, self.batch_size)), strict=True):
            fed = rows[cells.parts[rows].any(axis=1)] if self.needs_controls else rows
            feeders.append(Feeder(cells, fed, size, seed, with_controls=self.needs_controls))
        return feeders[0], feeders[1]

    def _first_net(self, sizes: Sizes, feeder: Feeder, seed: int) -> Net:
        """The network before its first step."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            net = self.build(sizes)
            self.initialise(net, feeder.cells, feeder.rows, seed=seed)
        return net

    def _summary(
        self, net: Net, cells: Encoded, data: PerturbationData, seed: int
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Weights and what else prediction needs, from all cells of the trained conditions."""
        with torch.inference_mode():
            arrays, facts = self.summarize(net, Feeder(cells, np.arange(data.n_cells), 1024, seed), data)
        weights = {WEIGHTS + name: tensor.numpy() for name, tensor in net.state_dict().items()}
        return {name: np.array(a, order="C", ndmin=1) for name, a in {**weights, **arrays}.items()}, facts

    def _training_facts(
        self, state: Any, vocabulary: Vocabulary, train: PerturbationData, data: PerturbationData
    ) -> dict[str, Any]:
        """What is known of the training and of the cells that it saw."""
        return {
            "vocabulary": vars(vocabulary),
            "trained_parts": sorted({part for c in train.conditions() for part in c.parts}),
            "highest": summarize_values(data.x).highest,
            "epochs": state.epoch,
            "best_epoch": state.best_epoch,
            "best_loss": state.best_loss,
            "validated_on": f"{self.held_out:.0%} of the training cells"
            if data is train
            else "the validation conditions",
        }

    def _say_broken(self, state: Any, state_text: str) -> str:
        cure = f"Use a smaller --model.learning_rate (now {self.learning_rate:g})."
        return f"the training of {self.name} broke: {state.broken}; {state_text}. {cure}"
