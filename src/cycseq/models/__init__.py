"""All models, by name. A model's file is imported when the model is used, so that listing them costs nothing."""

import ast
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd

from cycseq.errors import MissingPackageError, SettingsError, unknown_name
from cycseq.models.base import Model
from cycseq.models.saved import read_description
from cycseq.settings import with_options

MODELS: dict[str, str] = {
    "NoChange": "cycseq.models.baselines.no_change",
    "PerturbedMean": "cycseq.models.baselines.perturbed_mean",
    "SmoothedControls": "cycseq.models.kriging.smoothed_controls",
    "ContextAdditive": "cycseq.models.baselines.context_additive",
    "Additive": "cycseq.models.baselines.additive",
    "MatchingMean": "cycseq.models.baselines.matching_mean",
    "Bilinear": "cycseq.models.baselines.bilinear",
    "NearestPerturbation": "cycseq.models.baselines.nearest_perturbation",
    "Ridge": "cycseq.models.baselines.ridge",
    "ShrunkAdditive": "cycseq.models.baselines.shrunk_additive",
    "FoldChange": "cycseq.models.baselines.fold_change",
    "LowRank": "cycseq.models.baselines.low_rank",
    "ContextRidge": "cycseq.models.baselines.context_ridge",
    "ComponentRidge": "cycseq.models.baselines.component_ridge",
    "ResponseKernel": "cycseq.models.baselines.response_kernel",
    "Stacked": "cycseq.models.baselines.stacked",
    "NearestDose": "cycseq.models.baselines.nearest_dose",
    "DoseInterpolation": "cycseq.models.baselines.dose_interpolation",
    "ConditionKriging": "cycseq.models.kriging.model",
    "Autoencoder": "cycseq.models.networks.autoencoder",
    "VAE": "cycseq.models.networks.vae",
    "GAN": "cycseq.models.networks.gan",
    "CycSeq": "cycseq.models.networks.cycseq",
}
"""Class name -> the module that holds the class."""

NETWORK_PACKAGES = ("torch", "lightning")  # what networks import and a plain installation lacks


def model_class(name: str) -> type[Model]:
    """The class of a model.

    Raises `SettingsError` if there is no such model (the nearest name is given), and `MissingPackageError` if it is a network and
    PyTorch is absent.
    """
    if name not in MODELS:
        raise unknown_name(name, "model", MODELS)
    try:
        kind: type[Model] = getattr(import_module(MODELS[name]), name)
    except ModuleNotFoundError as err:
        if err.name not in NETWORK_PACKAGES:
            raise
        msg = f"{name} is a network and needs {err.name}, which is not installed: pip install 'cycseq[networks]'."
        raise MissingPackageError(msg) from err
    return kind


def models_of_means() -> tuple[str, ...]:
    """The models that learn from `Effects`, whether these were given or made of cells."""
    from cycseq.models.means import MeansModel

    plain = [name for name in MODELS if ".networks." not in MODELS[name]]
    return tuple(name for name in plain if issubclass(model_class(name), MeansModel))


def list_models() -> pd.DataFrame:
    """All models by name, and what each predicts.

    Examples
    --------
    >>> import cycseq
    >>> cycseq.list_models().loc["NoChange", "predicts"]
    'Nothing happens: the control cells of the context, as they are.'
    """
    return pd.DataFrame({"predicts": [describe(name) for name in MODELS]}, index=pd.Index(MODELS, name="model"))


def build_model(name: str, settings: Mapping[str, Any] | None = None, **options: Any) -> Model:
    """A model with these settings, checked; the others keep their defaults.

    Parameters
    ----------
    name
        One of `MODELS`.
    settings
        By name, as Python or JSON has them (a path may be text, a tuple a list).
    options
        The same as keywords: ``build_model("VAE", num_epochs=3)``.

    Raises
    ------
    SettingsError
        If the model or a setting does not exist (the nearest name is given) or a value is of the wrong kind.

    Examples
    --------
    >>> import cycseq
    >>> cycseq.build_model("ContextAdditive", {"weighting": "equal"})
    ContextAdditive(response='log1p', amplitude=None, weighting='equal')
    """
    return with_options(model_class(name)(), {**(settings or {}), **options}, name)


def load_model(folder: Path | str) -> Model:
    """The model that `Model.save` wrote into a folder, ready to predict.

    Raises
    ------
    FileError
        If the folder holds no saved model, a damaged one, or a pickle.
    SettingsError
        If this version of cycseq has no such model or setting.

    Examples
    --------
    >>> import cycseq
    >>> data = cycseq.read("cells.h5ad")
    >>> (split,) = cycseq.make_splits(data, cycseq.SplitSettings(context="Line3"))
    >>> from pathlib import Path
    >>> parts = split.parts(data)
    >>> cycseq.build_model("PerturbedMean").fit(parts.train, seed=0).save(Path("model"))
    >>> cycseq.load_model(Path("model")).name
    'PerturbedMean'
    """
    folder = Path(folder)
    description = read_description(folder)
    return build_model(description["model"], description["settings"]).restore(folder)


def describe(name: str) -> str:
    """The first line of a model's docstring, read from its source without importing it."""
    return _docstring(name).partition("\n")[0]


def reference(name: str) -> str:
    """What a model's docstring names as its reference, read in the same way; empty where it names none."""
    paragraphs = [" ".join(paragraph.split()) for paragraph in _docstring(name).split("\n\n")]
    return next((text.removeprefix("Reference: ") for text in paragraphs if text.startswith("Reference: ")), "")


def _docstring(name: str) -> str:
    if name not in MODELS:
        raise unknown_name(name, "model", MODELS)
    spec = find_spec(MODELS[name])
    if spec is None or spec.origin is None:
        raise SettingsError(f"cycseq is damaged: {MODELS[name]} is missing. Install it again.")
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    definition = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
    return ast.get_docstring(definition) or ""
