"""What is searched: for every model with settings worth choosing, their ranges. One table; a user's file overrides it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cycseq.errors import CycseqError, FileError, SettingsError
from cycseq.io.files import require_file
from cycseq.io.untrusted import parse_yaml
from cycseq.models import build_model


@dataclass(frozen=True)
class Range:
    """Any number from low to high; a whole one where both are whole."""

    low: float
    high: float
    log: bool = False  # whether factors count, not differences

    @property
    def whole(self) -> bool:
        """Whether whole numbers are meant."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def examples(self) -> tuple[Any, ...]:
        """Both ends."""
        return (self.low, self.high)

    def holds(self, value: Any) -> bool:
        """Whether the value lies inside."""
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and self.low <= value <= self.high and (not self.whole or isinstance(value, int))


@dataclass(frozen=True)
class Choice:
    """One of these values, in JSON's types."""

    values: tuple[Any, ...]

    @property
    def examples(self) -> tuple[Any, ...]:
        """All of them."""
        return self.values

    def holds(self, value: Any) -> bool:
        """Whether the value is among them."""
        return as_text(value) in map(as_text, self.values)


Space = dict[str, Range | Choice]

EITHER = Choice((False, True))
RATE = Range(2e-4, 4e-3, log=True)
_LATENT: Space = {
    "hidden": Choice(((128,), (256, 128), (512, 256))),
    "latent": Choice((16, 32, 64, 128)),
    "shortcut": EITHER,
    "nearness": Choice((0.0, 1.0, 2.0, 4.0)),
    "learning_rate": RATE,
    "batch_size": Choice((64, 128, 256)),
    "num_epochs": Choice((10, 20, 50)),
}
SPACES: dict[str, Space] = {
    "ContextAdditive": {"amplitude": Choice((None, 1.0)), "weighting": Choice(("equal", "cells", "nearness"))},
    "Bilinear": {"n_components": Range(2, 50, log=True), "penalty": Choice((None, 0.01, 0.1, 1.0, 10.0))},
    "NearestPerturbation": {"n_components": Range(2, 50, log=True), "k": Choice((None, 1, 2, 5, 10, 20))},
    "Ridge": {
        "encoding": Choice(("both", "one-hot", "features")),
        "n_components": Range(2, 50, log=True),
        "n_context_components": Choice((0, 1, 2, 5, 10)),
        "leave_out": Choice((None, "context", "perturbation")),
    },
    "ConditionKriging": {"n_components": Range(2, 50, log=True)},
    "Autoencoder": _LATENT,
    "VAE": {**_LATENT, "kl_weight": Range(0.003, 1.0, log=True)},
    "GAN": {
        "moments": Range(1.0, 100.0, log=True),
        "critic_steps": Choice((1, 2, 5)),
        "learning_rate": Range(5e-5, 1e-3, log=True),
        "batch_size": Choice((64, 128, 256)),
        "num_epochs": Choice((30, 100)),
    },
    "CycSeq": {
        "hidden": Choice((None, (128,), (512, 256))),
        "latent": Choice((None, 16, 64)),
        "num_res_blocks": Choice((0, 1, 2)),
        "use_dropout": EITHER,
        "lambda_mean": Range(10.0, 1000.0, log=True),
        "lambda_cycle": Range(1.0, 30.0, log=True),
        "learning_rate": Range(1e-4, 2e-3, log=True),
        "num_epochs": Choice((20, 50)),
    },
}
"""Model -> setting -> its range. A model that is not here has nothing to choose, unless a file says so."""


def space_of(model: str, path: Path | None = None) -> Space:
    """The ranges of a model, with those of a user's file in their place; every value is one that the model takes.

    Raises `SettingsError` if the model, or a setting in the file, does not exist, a range makes no sense, or there is nothing to
    tune, and `FileError` if the file is absent or is not YAML or JSON.
    """
    build_model(model)
    space = dict(SPACES.get(model, {}))
    if path is not None:
        for setting, entry in _read(path).items():
            space[setting] = _range(entry, setting, path)
    for setting, range_ in space.items():
        for value in range_.examples:
            try:
                build_model(model, {setting: value})
            except CycseqError as err:
                if path is None:
                    raise
                raise SettingsError(f"{path}: {err}") from err
    if all(len(set(map(as_text, range_.examples))) < 2 for range_ in space.values()):
        tunable = ", ".join(SPACES)
        msg = f"{model} has no settings to tune: give ranges with --space FILE, or name another --model ({tunable})."
        raise SettingsError(msg)
    return space


def as_text(value: Any) -> str:
    """A value as JSON: how choices are kept, as some are lists."""
    return json.dumps(value)


def describe_space(space: Space) -> dict[str, Any]:
    """The ranges in JSON's types, for the record."""
    return json.loads(json.dumps({name: asdict(range_) for name, range_ in space.items()}))


def defaults_in(model: str, space: Space) -> dict[str, Any]:
    """The model's own values of the settings that are searched, where they lie inside the ranges."""
    defaults = build_model(model).settings()
    return {name: defaults[name] for name, range_ in space.items() if range_.holds(defaults[name])}


def _read(path: Path) -> Mapping[str, Any]:
    try:
        content = parse_yaml(require_file(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as err:
        where = " ".join(str(err).split())
        msg = f"{path} is not YAML or JSON ({where}): write SETTING: [VALUE, VALUE] or SETTING: {{low: 1, high: 9}}."
        raise FileError(msg) from err
    if not isinstance(content, dict) or not content:
        raise SettingsError(
            f"{path} names no settings: write one per line, as SETTING: [VALUE, VALUE] or SETTING: {{low: 1, high: 9}}."
        )
    return {str(name): value for name, value in content.items()}


def _range(entry: Any, setting: str, path: Path) -> Range | Choice:
    if isinstance(entry, list) and entry:
        return Choice(tuple(tuple(value) if isinstance(value, list) else value for value in entry))
    if isinstance(entry, dict) and {"low", "high"} <= set(entry) <= {"low", "high", "log"}:
        low, high, log = (entry.get(name, False) for name in ("low", "high", "log"))
        numbers = all(isinstance(end, int | float) and not isinstance(end, bool) for end in (low, high))
        if numbers and isinstance(log, bool) and low < high and (low > 0 or not log):
            return Range(low, high, log)
    raise SettingsError(
        f"{path}: {setting} is {entry!r}, but must be a list of values, or {{low: NUMBER, high: NUMBER}} with low below "
        "high, and log: true where factors count (low is then above 0). YAML reads 1e-4 as text: write 1.0e-4."
    )
