"""The files of a saved model: arrays as safetensors, everything else as JSON, their checksums, and a card in words. No pickle."""

import json
import platform
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from cycseq.data.effects import EFFECT_SCALES
from cycseq.data.scale import SCALES
from cycseq.errors import FileError
from cycseq.io.checksums import check_checksum, write_checksums
from cycseq.io.files import atomic_write
from cycseq.io.untrusted import as_file_error, read_json, wrong_kinds
from cycseq.models.card import CARD, model_card

TENSORS, DESCRIPTION = "model.safetensors", "model.json"
TEXTS = (list, str)
RECORDED: dict[str, type | tuple[type, ...]] = {"model": str, "settings": dict, "genes": TEXTS, "scale": str, "contexts": TEXTS, "perturbations": TEXTS,
            "facts": dict, "versions": dict}  # fmt: skip
PACKAGES: tuple[str, ...] = ("cycseq", "numpy", "scipy", "scikit-learn")
"""Whose versions any saved model names; networks add theirs (`Model.packages`)."""
AGAIN = "Fit the model again, or copy its folder anew from where it came."
PICKLED = {".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".bin", ".joblib", ".dill"}
"""Files that can run code when they are loaded: no saved model of ours holds one."""


def write_model(
    folder: Path, description: Mapping[str, Any], arrays: Mapping[str, np.ndarray], about: str, *, overwrite: bool
) -> None:
    """Write the files into a folder, whole or not at all.

    `description` is the JSON half (`RECORDED` says of what), `about` says on the card what the model is.
    """
    from safetensors.numpy import save

    with atomic_write(folder, overwrite=overwrite) as part:
        part.mkdir()
        (part / TENSORS).write_bytes(save({k: np.ascontiguousarray(v) for k, v in arrays.items()}))
        (part / DESCRIPTION).write_text(json.dumps(description, indent=1), encoding="utf-8")
        write_checksums(part, (TENSORS, DESCRIPTION))
        (part / CARD).write_text(model_card(description, about), encoding="utf-8")


def read_arrays(folder: Path, description: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The arrays of a saved model with this description; raises `FileError` where they are damaged or missing."""
    from safetensors.numpy import load_file

    try:
        check_checksum(folder / TENSORS, AGAIN)
        with as_file_error(folder / TENSORS, AGAIN):
            arrays: dict[str, np.ndarray] = load_file(folder / TENSORS)
    except OSError as err:
        raise FileError(f"{folder / TENSORS} is missing, damaged or no safetensors file ({err}). {AGAIN}") from err
    missing = description["facts"].get("missing", [])
    if not isinstance(missing, list):
        raise FileError(f"{folder} holds a damaged model: its list of what may be missing is none. {AGAIN}")
    odd = [name for name, array in arrays.items() if _damaged(array, missing=name in missing)]
    if odd or len(set(description["genes"])) < len(description["genes"]):
        what = f"{odd[0]!r} holds values that are not numbers" if odd else "a gene is named twice"
        raise FileError(f"{folder} holds a damaged model: {what}. {AGAIN}")
    return arrays


def versions_of(packages: Iterable[str]) -> dict[str, str]:
    """The versions of Python and of these packages; what an extra brings may be absent."""
    versions = {"python": platform.python_version()}
    for name in packages:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions


def read_description(folder: Path) -> dict[str, Any]:
    """The JSON half of a saved model; raises `FileError` if there is none, it is damaged or was altered, or a pickle lies beside it."""
    path = folder / DESCRIPTION
    pickled = sorted(p.name for p in folder.glob("*") if p.suffix in PICKLED)
    if pickled:
        raise FileError(
            f"{folder} holds {pickled[0]}, which can run code when it is loaded: a saved model is {DESCRIPTION} and "
            f"{TENSORS} alone. Remove it if you know where it comes from."
        )
    try:
        check_checksum(path, AGAIN)
        description = read_json(path, AGAIN)
    except (FileNotFoundError, NotADirectoryError) as err:
        msg = f"{folder} holds no saved model: {DESCRIPTION} is missing. Name the folder that cycseq fit wrote."
        raise FileError(msg) from err
    lacking = wrong_kinds(description, RECORDED)
    if lacking:
        raise FileError(f"{path} is damaged: it does not say {', '.join(lacking)}. {AGAIN}")
    scales = dict.fromkeys((*SCALES, *EFFECT_SCALES))
    if description["scale"] not in scales:
        raise FileError(
            f"{path} is damaged: its scale is {description['scale']!r}, but must be one of {', '.join(scales)}. {AGAIN}"
        )
    return description


def _damaged(array: np.ndarray, *, missing: bool) -> bool:
    """Whether an array holds what no model learns: infinite values, and NaN where it does not stand for what was not measured."""
    return array.dtype.kind == "f" and bool(np.isinf(array).any() if missing else not np.isfinite(array).all())
