"""What all networks share: settings of training, `fit`, `predict`, `embed`, and weights kept as arrays."""

# No postponed annotations here: beartype would look for them in the files of the subclasses, which inherit the fields.
import json
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar, final

import anndata as ad
import numpy as np
import pandas as pd

from cycseq.arrays import Cells, Codes, Profile, dense
from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.labels import CONTROL
from cycseq.data.merge import joined
from cycseq.errors import FitBrokeOffError, ModelError, SettingsError, unknown_name
from cycseq.model import Fitted, Model
from cycseq.models.base import bounded, draw, predicted_obs, shifted_cells

try:
    import torch
    from torch import Tensor, nn
except ModuleNotFoundError as err:
    missing = "this model is a network and needs torch, which is not installed: pip install 'cycseq[networks]'."
    raise FitBrokeOffError(missing) from err

from cycseq.batches import Encoded, Feeder, Vocabulary, encoded
from cycseq.nets.batch import Batch, Sizes

HIGHEST = 1.5
"""No predicted value exceeds this many times the highest value of the training cells."""
WEIGHTS = "net."
"""Prefix of the network's own arrays among the fitted ones."""

Net = TypeVar("Net", bound=nn.Module)


@dataclass
class NetworkModel(Model, Generic[Net]):
    """A model that is trained by gradient steps."""

    needs_controls: ClassVar[bool] = False
    """Whether every training cell must come with a control cell of its context and batch."""
    encodes_labels: ClassVar[bool] = False
    """Whether the latent space depends on the labels, so that cells of unknown perturbations have no place in it."""
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
    def build(self, sizes: Sizes) -> Net:
        """The network, with random first weights."""

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

    @abstractmethod
    def generate(self, net: Net, batch: Batch, condition: Condition) -> Tensor:
        """Cells of a condition, log1p, one from each control cell of the batch (whose labels are the condition's)."""

    @abstractmethod
    def latents(self, net: Net, batch: Batch) -> Tensor:
        """Where cells lie in the latent space."""

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
            If there is nothing to learn from, or a loss is no number any more or explodes (the model then holds its
            last good state).
        """
        from cycseq.training.loop import train as train_network

        _settings_make_sense(self)
        train = train.require("log1p", self.name)
        if not train.perturbations or train.n_cells < 4:
            msg = f"{self.name} cannot learn: the training cells are all controls or too few. Give it perturbed cells."
            raise ModelError(msg)
        data = joined(train, validation)
        vocabulary = Vocabulary.of(data)
        cells = encoded(data, vocabulary)
        learning, kept = self._parted(train, data, seed)
        if self.needs_controls:
            learning, kept = (rows[cells.parts[rows].any(axis=1)] for rows in (learning, kept))
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            net = self.build(vocabulary.sizes(len(data.genes)))
            self.initialise(net, cells, learning, seed=seed)
        feeder = Feeder(cells, learning, self.batch_size, seed, with_controls=self.needs_controls)
        identity = json.dumps([self.name, self.settings(), seed, train.fingerprint(), data.n_cells], default=str)
        validating = Feeder(cells, kept, max(256, self.batch_size), seed, with_controls=self.needs_controls)
        state = train_network(self, net, feeder, validating, self._training_settings(), run=run, identity=identity)
        if not state.best_net:
            raise FitBrokeOffError(_broken(self, state.broken, "before the first epoch ended"))
        facts = {
            "vocabulary": vars(vocabulary),
            "trained_parts": sorted({part for c in train.conditions() for part in c.parts}),
            "highest": float(data.x.max()),
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

    @final
    def predict(
        self, controls: PerturbationData, conditions: Sequence[Condition], *, n_cells: int | None = None, seed: int = 0
    ) -> PerturbationData:
        """Cells of each condition, made from control cells of its context.

        The mean of the cells is the control mean plus the mean difference between what the network makes of the cells
        under the perturbation and under control: an error that the network makes in both cancels. No value is below
        zero, nor above 1.5 times the highest training value.
        """
        conditions = list(dict.fromkeys(conditions))
        controls = self.check_controls(controls, conditions)
        if n_cells is not None and n_cells < 1:
            msg = f"{n_cells} cells of each condition cannot be predicted: ask for at least one (--cells)."
            raise SettingsError(msg)
        net, blocks, labels = self.network(), [], []
        feeder = Feeder(encoded(controls, self.vocabulary), np.arange(controls.n_cells), 1024, seed)
        for condition in conditions:
            self.check_known(condition)
            rows = controls.rows(Condition(condition.context, CONTROL))
            drawn = draw(rows, n_cells, np.random.default_rng([seed, *str(condition).encode()]))
            mean = self._mean(net, feeder, rows, condition)
            block = shifted_cells(self._made(net, feeder, drawn, condition, seed), mean, np.zeros_like(mean))
            blocks.append(bounded(block, HIGHEST * self.learned.facts["highest"]))
            labels.append(predicted_obs(controls, drawn, condition))
        return self._as_data(np.concatenate(blocks), pd.concat(labels), controls)

    @final
    def embed(self, data: PerturbationData) -> Cells:
        """Where cells lie in the latent space, cells x units; for `obsm`."""
        data = data.require(self.learned.scale, self.name).with_genes(self.learned.genes)
        net = self.network()
        if self.encodes_labels:
            for condition in data.conditions():
                self.check_known(condition)
        feeder = Feeder(encoded(data, self.vocabulary), np.arange(data.n_cells), 1024, 0)
        with torch.inference_mode():
            found: Cells = np.concatenate([self.latents(net, batch).numpy() for batch in feeder.all_batches()])
        return found

    @property
    def vocabulary(self) -> Vocabulary:
        """The labels that the fitted network knows."""
        return Vocabulary(**{kind: tuple(names) for kind, names in self.learned.facts["vocabulary"].items()})

    def network(self) -> Net:
        """The fitted network, made from the arrays (and kept)."""
        learned = self.learned
        if "network" not in learned.cache:
            with torch.random.fork_rng():
                net = self.build(self.vocabulary.sizes(len(learned.genes)))
            state = {
                name: torch.from_numpy(learned.arrays[WEIGHTS + name]).reshape(own.shape)
                for name, own in net.state_dict().items()
            }
            net.load_state_dict(state)
            learned.cache["network"] = net.eval()
        found: Net = learned.cache["network"]
        return found

    def check_known(self, condition: Condition) -> None:
        """Raise `ModelError` if a part of the condition was not among the training perturbations."""
        trained = self.learned.facts["trained_parts"]
        for part in condition.parts:
            if part not in trained:
                raise unknown_name(part, f"perturbation that {self.name} was trained on", trained, ModelError)

    def _mean(self, net: Net, feeder: Feeder, rows: Codes, condition: Condition) -> Profile:
        """The mean of a condition, whichever cells are drawn: from all control cells of its context, in these rows."""
        unperturbed = Condition(condition.context, CONTROL)
        change = self._made(net, feeder, rows, condition, 0).mean(axis=0, dtype=np.float64)
        change -= self._made(net, feeder, rows, unperturbed, 0).mean(axis=0, dtype=np.float64)
        mean: Profile = (dense(feeder.cells.x[rows]).mean(axis=0, dtype=np.float64) + change).astype(np.float32)
        return mean

    def _made(self, net: Net, feeder: Feeder, rows: Codes, condition: Condition, seed: int) -> Cells:
        """Generated cells, one from each of the rows; the same chance for every condition."""
        places = torch.from_numpy(self.vocabulary.places(condition))
        blocks = []
        with torch.inference_mode(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for start in range(0, len(rows), feeder.batch_size):
                chosen = rows[start : start + feeder.batch_size]
                batch = feeder.gathered(chosen, np.random.default_rng(seed)).perturbed(places.expand(len(chosen), -1))
                blocks.append(self.generate(net, batch, condition).numpy())
        made: Cells = np.concatenate(blocks).astype(np.float32)
        if not np.isfinite(made).all():
            msg = f"{self.name} made values that are no numbers for {condition}: fit it again with a smaller learning rate."
            raise FitBrokeOffError(msg)
        made[made < 0.0] = 0.0
        return made

    def _as_data(self, x: Cells, obs: pd.DataFrame, like: PerturbationData) -> PerturbationData:
        obs = obs.astype(dict.fromkeys(("context", "perturbation", "batch"), "category"))
        adata = ad.AnnData(X=x, obs=obs, var=pd.DataFrame(index=list(self.learned.genes)))
        adata.uns["cycseq"] = {"scale": like.scale, "model": self.name}
        return PerturbationData(adata=adata, scale=like.scale)

    def _parted(self, train: PerturbationData, data: PerturbationData, seed: int) -> tuple[Codes, Codes]:
        """Rows to learn from and rows to validate on."""
        if data is not train:
            learning = data.adata.obs_names.isin(train.adata.obs_names)
            return np.flatnonzero(learning), np.flatnonzero(~learning)
        order = np.random.default_rng([seed, 0]).permutation(data.n_cells)
        n_kept = min(max(2, round(self.held_out * data.n_cells)), data.n_cells - 2)
        return np.sort(order[n_kept:]), np.sort(order[:n_kept])

    def _training_settings(self) -> Any:
        from cycseq.training.adapter import TrainingSettings

        return TrainingSettings(**{name: getattr(self, name) for name in TrainingSettings.__dataclass_fields__})


def _settings_make_sense(model: NetworkModel) -> None:
    for name in ("num_epochs", "batch_size", "patience", "devices", "num_nodes", "learning_rate"):
        if getattr(model, name) <= 0:
            msg = f"{name} is {getattr(model, name)}, but must be above 0. Say another --model.{name}."
            raise SettingsError(msg)
    if not 0.0 < model.held_out < 1.0:
        msg = f"held_out is {model.held_out}, but must lie between 0 and 1. Say --model.held_out 0.1."
        raise SettingsError(msg)


def _broken(model: NetworkModel, why: str, kept: str) -> str:
    cure = f"Say a smaller --model.learning_rate (now {model.learning_rate:g})."
    return f"the training of {model.name} broke: {why}; {kept}. {cure}"
