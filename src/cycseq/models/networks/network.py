"""What all networks share while they learn: settings of training, and `fit`. What they do then: `trained_network`."""

# No postponed annotations here: beartype would look for them in the files of the subclasses, which inherit the fields.
import json
from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, final

import numpy as np

from cycseq.data.dataset import PerturbationData
from cycseq.data.scale import summarize_values
from cycseq.errors import FitBrokeOffError, MissingPackageError, ModelError
from cycseq.matrix.arrays import Codes
from cycseq.models.base import KEPT, SIZE, STEP_SIZE, WEIGHT, Fitted
from cycseq.models.networks.trained_network import WEIGHTS, Net, TrainedNetwork
from cycseq.preparation.merge import join

try:
    import torch
    from torch import Tensor
except ModuleNotFoundError as err:
    missing = "this model is a network and needs torch, which is not installed: pip install 'cycseq[networks]'."
    raise MissingPackageError(missing) from err

from cycseq.models.networks.batches import Encoded, Feeder, Vocabulary, encoded
from cycseq.models.networks.blocks.batch import Batch


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
    def step(self, net: Net, batch: Batch, optimisers: Any) -> dict[str, Tensor]:
        """One update of all parts through `optimisers.minimise(name, loss)`; the losses, by name."""

    @abstractmethod
    def validate(self, net: Net, feeder: Feeder) -> dict[str, float]:
        """Losses on the cells kept for validation; the one named ``loss`` decides."""

    @abstractmethod
    def summarise(
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

        Where ``run`` holds the checkpoint of an interrupted training with the same settings, seed and data, it goes on.

        Raises
        ------
        ModelError
            If there is nothing to learn from, or a loss is not a number any more or explodes (the model then holds its
            last good state).
        """
        from cycseq.models.networks.training.loop import shortage_in_words
        from cycseq.models.networks.training.loop import train as train_network

        self.check_settings()
        train = train.require("log1p", self.name)
        if not train.perturbations or train.n_cells < 4:
            msg = f"{self.name} cannot learn: the training cells are all controls or too few. Give it perturbed cells."
            raise ModelError(msg)
        data = join(train, validation)
        vocabulary = Vocabulary.of(data)
        cells = encoded(data, vocabulary)
        learning, kept = self._parted(train, data, seed)
        if self.needs_controls:
            learning, kept = (rows[cells.parts[rows].any(axis=1)] for rows in (learning, kept))
        with shortage_in_words(self.name), torch.random.fork_rng():
            torch.manual_seed(seed)
            net = self.build(vocabulary.sizes(len(data.genes)))
            self.initialise(net, cells, learning, seed=seed)
        feeder = Feeder(cells, learning, self.batch_size, seed, with_controls=self.needs_controls)
        learnt = [part.fingerprint() for part in (train, validation) if part is not None]
        identity = json.dumps([self.name, self.settings(), seed, *learnt])
        validating = Feeder(cells, kept, max(256, self.batch_size), seed, with_controls=self.needs_controls)
        with shortage_in_words(self.name):
            state = train_network(self, net, feeder, validating, self._training_settings(), run=run, identity=identity)
        if not state.best_net:
            raise FitBrokeOffError(_broken(self, state.broken, "before the first epoch ended"))
        facts = {
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
        net.load_state_dict(state.best_net)
        net.cpu().eval()
        with torch.inference_mode():
            arrays, more = self.summarise(net, Feeder(cells, np.arange(data.n_cells), 1024, seed), data)
        weights = {WEIGHTS + name: tensor.numpy() for name, tensor in net.state_dict().items()}
        self.fitted_ = Fitted(
            genes=tuple(data.genes),
            scale=data.scale,
            contexts=tuple(sorted({c.context for c in train.conditions() if not c.is_control})),
            perturbations=train.perturbations,
            arrays={name: np.array(a, order="C", ndmin=1) for name, a in {**weights, **arrays}.items()},
            facts=json.loads(json.dumps({**facts, **more})),
        )
        if state.broken:
            raise FitBrokeOffError(
                _broken(self, state.broken, f"the state of epoch {state.best_epoch} is kept in the model")
            )
        return self

    def _parted(self, train: PerturbationData, data: PerturbationData, seed: int) -> tuple[Codes, Codes]:
        """Rows to learn from and rows to validate on."""
        if data is not train:
            learning = data.adata.obs_names.isin(train.adata.obs_names)
            return np.flatnonzero(learning), np.flatnonzero(~learning)
        order = np.random.default_rng([seed, 0]).permutation(data.n_cells)
        n_kept = min(max(2, round(self.held_out * data.n_cells)), data.n_cells - 2)
        return np.sort(order[n_kept:]), np.sort(order[:n_kept])

    def _training_settings(self) -> Any:
        from cycseq.models.networks.training.adapter import TrainingSettings

        return TrainingSettings(**{name: getattr(self, name) for name in TrainingSettings.__dataclass_fields__})


def _broken(model: NetworkModel, why: str, kept: str) -> str:
    cure = f"Use a smaller --model.learning_rate (now {model.learning_rate:g})."
    return f"the training of {model.name} broke: {why}; {kept}. {cure}"
