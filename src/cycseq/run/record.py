"""What is written beside a prediction: the model, what it was trained on, and the machine."""

from __future__ import annotations

import json
import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import anndata as ad

from cycseq.data.dataset import PerturbationData
from cycseq.data.split import Split
from cycseq.model import Model

DEPENDED_ON = ("cycseq", "numpy", "scipy", "pandas", "anndata", "scikit-learn", "torch", "lightning", "optuna")
"""The packages that numbers depend on."""
SAID = ("name", "kind", "claim", "seed")
"""Of a split, in a prediction's record; with it stands whether it cuts conditions (`Split.cells`)."""


def with_record(predicted: PerturbationData, model: Model, split: Split, seed: int) -> PerturbationData:
    """The predicted cells with a record of model, settings, seed, split and training conditions.

    `PerturbationData.provenance` reads it; whoever evaluates the file later knows from it what was trained on.
    """
    record = {
        "scale": predicted.scale,
        "model": model.name,
        "settings": json.dumps(model.settings(), default=str),
        "seed": seed,
        "split": json.dumps({name: getattr(split, name) for name in SAID} | {"cuts_conditions": bool(split.cells)}),
        "data_hash": split.data_hash,
        "training": json.dumps([list(c) for c in (*split.train, *split.validation)]),
        "cycseq": version("cycseq"),
    }
    if "broken" in model.learned.facts:
        record["broken"] = model.learned.facts["broken"]
    given = predicted.adata
    adata = ad.AnnData(X=given.X, obs=given.obs, var=given.var, varm=given.varm, uns={**given.uns, "cycseq": record})
    return PerturbationData(adata=adata, scale=predicted.scale, notes=predicted.notes)


def environment() -> dict[str, Any]:
    """The versions and the machine that a result depends on."""
    versions = {"python": platform.python_version()}
    for name in DEPENDED_ON:
        with suppress(PackageNotFoundError):  # what an extra brings may be absent
            versions[name] = version(name)
    return {"versions": versions, "platform": platform.platform()}
