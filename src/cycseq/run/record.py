"""What is written beside a run or a prediction: the model, what it was trained on, and the machine."""

import json
import os
import platform
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import scipy.sparse as sp
from threadpoolctl import threadpool_info

from cycseq.data.dataset import PerturbationData
from cycseq.errors import ModelError
from cycseq.models.base import Model
from cycseq.models.saved import versions_of
from cycseq.split.base import Split
from cycseq.split.controls import GIVEN
from cycseq.split.problems import REFERENCE

DEPENDED_ON = (
    *("cycseq", "numpy", "scipy", "pandas", "anndata", "h5py", "zarr", "scikit-learn", "safetensors"),
    *("inmoose", "torch", "lightning", "optuna"),
)
"""The packages that numbers depend on."""
MACHINE = ("platform", "processor", "threads", "gpu")  # of the machine, what the last bits of a result can depend on
OF_SPLIT = ("name", "kind", "claim", "seed")
"""Of a split, in a prediction's record; with it stands whether it cuts conditions."""


def with_record(
    predicted: PerturbationData, model: Model, split: Split, seed: int, *, own_cells: bool = False
) -> PerturbationData:
    """The predicted cells with a record of model, settings, seed, split, training conditions, held-back controls and whose cells they came from.

    `PerturbationData.provenance` reads it; whoever evaluates the file later knows from it what was trained on. Raises
    `ModelError` if a predicted value is not a number.
    """
    x: Any = predicted.x
    values = x.data if sp.issparse(x) else x
    if not np.isfinite(values.sum(dtype=np.float64)):
        msg = f"{model.name} predicted values that are not numbers: its folder was altered, or its training broke. Fit it again."
        raise ModelError(msg)
    record = {
        "scale": predicted.scale,
        **record_of(model, split, seed),
        "controls": GIVEN if own_cells else "of the data",
    }
    source = predicted.adata
    adata = ad.AnnData(
        X=source.X, obs=source.obs, var=source.var, varm=source.varm, uns={**source.uns, "cycseq": record}
    )
    return PerturbationData(adata=adata, scale=predicted.scale, notes=predicted.notes)


def record_of(model: Model, split: Split, seed: int) -> dict[str, Any]:
    """What is known of a prediction: model, settings, seed, split, training conditions, held-back controls."""
    record = {
        "model": model.name,
        "settings": json.dumps(model.settings(), default=str),
        "seed": seed,
        "split": json.dumps(
            {name: getattr(split, name) for name in OF_SPLIT} | {"cuts_conditions": split.cuts_conditions}
        ),
        "data_hash": split.data_hash,
        "training": json.dumps([list(c) for c in (*split.train, *split.validation)]),
        REFERENCE: json.dumps(split.cells.get(REFERENCE, ())),
        "cycseq": version("cycseq"),
    }
    if "broken" in model.learned.facts:
        record["broken"] = model.learned.facts["broken"]
    return record


def environment() -> dict[str, Any]:
    """The versions and the machine that a result depends on: the same facts in every record."""
    pools = [
        f"{pool['internal_api']} {pool.get('version') or ''} {pool.get('architecture') or ''}".split()
        for pool in threadpool_info()
    ]
    facts: dict[str, Any] = {
        "versions": versions_of(DEPENDED_ON),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": max((pool["num_threads"] for pool in threadpool_info()), default=1),
        "libraries": sorted({" ".join(words) for words in pools}),
    }
    torch = sys.modules.get("torch")  # only where a network has imported it
    if torch is not None and torch.cuda.is_available():
        facts["gpu"] = torch.cuda.get_device_name()
    return facts


def differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """What differs between two environments, by name: as it was, and as it is. What one does not say is left out."""
    was, is_now = ({**record.get("versions", {}), **record} for record in (before, now))
    names = [*before.get("versions", {}), *MACHINE]
    return {
        name: (str(was[name]), str(is_now[name]))
        for name in names
        if name in was and name in is_now and was[name] != is_now[name]
    }


def _processor() -> str:
    """The processor's name; on Linux Python knows its kind alone."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
