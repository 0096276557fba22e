"""What every model is: settings as fields, `fit`, `predict`, and a saved form without pickle."""

import dataclasses
import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np

from cycseq.data.condition import Condition, as_condition
from cycseq.data.dataset import PerturbationData
from cycseq.data.effects import WITH_MAGNITUDE, EffectScale
from cycseq.data.scale import SCALES, Scale
from cycseq.errors import ModelError, SettingsError, check_at_least
from cycseq.matrix.arrays import Cells
from cycseq.models.saved import PACKAGES, read_arrays, read_description, versions_of, write_model
from cycseq.preparation.merge import join

SIZE, WEIGHT, SHARE, BELOW_1 = (1, math.inf), (0, math.inf), (0, 1), (0, 0.9999)
"""Limits of settings that are numbers of things, weights, shares, and shares of less than all."""
STEP_SIZE, KEPT = (1e-12, math.inf), (0.001, 0.999)  # limits of step sizes, and of shares of neither nothing nor all


@dataclass
class Fitted:
    """What a fitted model carries so that it can be used on another machine: arrays and vocabularies."""

    genes: tuple[str, ...]
    """Gene names in the order of the arrays' columns."""
    scale: Scale | EffectScale
    contexts: tuple[str, ...]
    """Contexts with perturbed training cells."""
    perturbations: tuple[str, ...]
    """Perturbations in training, without control."""
    arrays: dict[str, np.ndarray]
    """All learned numbers, by name."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Anything else that JSON can hold: lists of condition names, chosen settings."""
    cache: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """Look-ups made from the rest when they are first needed; never saved."""

    def remember(self, key: str, compute: Callable[[], Any]) -> Any:
        """What was computed under this key, or is now."""
        if key not in self.cache:
            self.cache[key] = compute()
        return self.cache[key]


class Model(ABC):
    """A predictor of perturbed cells. Subclasses are dataclasses whose fields are their settings.

    `fit` learns and stores everything learned in `fitted_`; `predict` is handed control cells only.
    """

    fitted_: Fitted | None = None
    packages = PACKAGES

    @abstractmethod
    def fit(
        self,
        train: PerturbationData,
        validation: PerturbationData | None = None,
        *,
        seed: int = 0,
        run: Path | None = None,
    ) -> Self:
        """Learn from the training conditions.

        Parameters
        ----------
        train
            Cells of the training conditions and the controls of all contexts, log1p.
        validation
            Conditions for early stopping and the choice of settings. A model that chooses nothing on them learns
            from them as well.
        seed
            Fixes everything random.
        run
            Folder for checkpoints and logs; None keeps none.
        """

    @abstractmethod
    def predict(
        self,
        controls: PerturbationData,
        conditions: Sequence[Condition | str] | str,
        *,
        n_cells: int | None = None,
        seed: int = 0,
    ) -> PerturbationData:
        """Predicted single cells of each condition, made from control cells of its context.

        Parameters
        ----------
        controls
            Control cells of every context that is asked for; their genes are put into the model's order.
        conditions
            What to predict; a condition that the model cannot know is refused by name.
        n_cells
            Cells of each condition; None gives as many as the context has control cells.
        seed
            Fixes which control cells are drawn.

        Raises
        ------
        ModelError
            If the model is not fitted or cannot know a condition.
        """

    @property
    def name(self) -> str:
        """The name in tables and on the command line: the class's."""
        return type(self).__name__

    def settings(self) -> dict[str, Any]:
        """The settings by name, as JSON can hold them: paths are text."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}  # type: ignore[arg-type]
        return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}

    def check_settings(self) -> None:
        """Raise `SettingsError` for a setting outside the limits that a class of this model declares.

        They are a class's ``limits``: the least and the largest value that make sense, by the names of its own settings;
        of a tuple, those of each of its members.
        """
        for owner in type(self).__mro__:
            for name, (least, most) in vars(owner).get("limits", {}).items():
                value = getattr(self, name)
                members = value if isinstance(value, Sequence) else (value,)
                if not members:
                    raise SettingsError(f"--model.{name} is empty, but must name one layer or more.")
                for member in members:
                    check_at_least(least, most=most, option="--model.", **{name: member})

    def training_cells(self, train: PerturbationData, validation: PerturbationData | None = None) -> PerturbationData:
        """What a model that chooses nothing on validation learns from: the cells of both parts, settings checked.

        Raises
        ------
        SettingsError
            If a setting makes no sense.
        DataError
            If the cells are not log1p.
        ModelError
            If they are all controls.
        """
        self.check_settings()
        data = join(train, validation).require("log1p", self.name)
        if not data.perturbations:
            msg = f"{self.name} cannot learn: the training cells are all controls. Give it perturbed cells as well."
            raise ModelError(msg)
        return data

    @property
    def learned(self) -> Fitted:
        """What was learned; raises `ModelError` before `fit`."""
        if self.fitted_ is None:
            raise ModelError(f"{self.name} has not been fitted: call fit first.")
        return self.fitted_

    def check_conditions(self, conditions: Sequence[Condition | str] | str) -> list[Condition]:
        """What is to be predicted (``"NK:stim"``), each condition once; raises `ModelError` if there is none."""
        if not conditions:
            msg = f"{self.name} was asked to predict no condition: name at least one, as CONTEXT:PERTURBATION."
            raise ModelError(msg)
        words = [conditions] if isinstance(conditions, str) else conditions
        return list(dict.fromkeys(as_condition(word, self.learned.contexts) for word in words))

    def check_controls(self, controls: PerturbationData, conditions: Sequence[Condition]) -> PerturbationData:
        """The controls in the model's genes; raises if a context has none or cells are not controls."""
        if self.learned.scale not in SCALES:
            raise ModelError(
                f"{self.name} was learned from effects that are {self.learned.scale} values, which cannot be added to cells: "
                f"predict {'effects (--as effects)' if self.learned.scale not in WITH_MAGNITUDE else 'counts or effects (--as counts, --as effects)'}."
            )
        controls = controls.require(self.learned.scale, self.name).with_genes(self.learned.genes)
        self.check_conditions(conditions)
        if controls.perturbations:
            raise ModelError(f"predict takes control cells only, but got {controls.perturbations[0]!r} as well.")
        lacking = sorted({c.context for c in conditions} - set(controls.contexts))
        if lacking:
            raise ModelError(
                f"{self.name} cannot predict in context {lacking[0]!r}: there are control cells of "
                f"{', '.join(controls.contexts) or 'none of the contexts asked for'}. Give control cells of {lacking[0]!r}."
            )
        return controls

    def save(self, folder: Path, *, overwrite: bool = False, facts: Mapping[str, Any] | None = None) -> None:
        """Write `model.safetensors`, `model.json`, their checksums and a card in words into a folder, whole or not at all.

        Parameters
        ----------
        folder
            Must not exist, or ``overwrite`` must be true.
        overwrite
            Replace what is there.
        facts
            What the model does not know of itself (the hash of its split), written among its facts; the model itself stays as it is.
        """
        learned = self.learned
        description = {
            "model": self.name,
            "settings": self.settings(),
            "genes": learned.genes,
            "scale": learned.scale,
            "contexts": learned.contexts,
            "perturbations": learned.perturbations,
            "facts": {**learned.facts, **(facts or {})},
            "versions": versions_of(self.packages),
        }
        write_model(folder, description, learned.arrays, inspect.getdoc(self) or "", overwrite=overwrite)

    def restore(self, folder: Path) -> Self:
        """Read what `save` wrote into this model (use `cycseq.models.load_model` to find the class by itself)."""
        description = read_description(folder)
        self.fitted_ = Fitted(
            genes=tuple(description["genes"]),
            scale=description["scale"],
            contexts=tuple(description["contexts"]),
            perturbations=tuple(description["perturbations"]),
            arrays=read_arrays(folder, description),
            facts=description["facts"],
        )
        return self


@runtime_checkable
class Embeds(Protocol):
    """A model that has a latent space."""

    def embed(self, data: PerturbationData) -> Cells:
        """Where cells lie in it, cells x units."""


@runtime_checkable
class Restores(Protocol):
    """A model that translates both ways."""

    def restored(self, perturbed: PerturbationData, controls: PerturbationData, *, seed: int = 0) -> PerturbationData:
        """Perturbed cells as control cells, one for each, which obs ``source_cell`` names.

        `controls` are control cells of their contexts, which a model may need or not.
        """
