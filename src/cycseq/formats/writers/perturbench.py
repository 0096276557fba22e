"""PerturBench: obs `condition` (`control`, `A`, `A+B`), `cell_type`, as in its data configurations (altoslabs/perturbench)."""

from __future__ import annotations

import pandas as pd

from cycseq.data.dataset import PerturbationData
from cycseq.formats.writers.base import (
    Labels,
    Layout,
    column,
    controls_lacking,
    one_file,
    perturbations,
    pooled_batches,
    renamed,
)


def to_perturbench(data: PerturbationData) -> Labels:
    """`perturbation_key: condition`, `perturbation_control_value: control`, delimiter `+`, `covariate_keys: [cell_type]`."""
    obs = pd.DataFrame(
        {
            "condition": perturbations(data, renamed("control")),
            "cell_type": column(data, "context"),
            "batch": column(data, "batch"),
        },
        index=data.adata.obs.index,
    )
    return Labels(obs, notes=(*pooled_batches(data, "PerturBench"), *controls_lacking(data, "PerturBench")))


PERTURBENCH = Layout(
    name="perturbench",
    tool="PerturBench",
    what="one h5ad: condition (control, A, A+B), cell_type",
    write=one_file(to_perturbench, "perturbench", "PerturBench"),
    advice={
        "counts": "PerturBench's default (use_counts: False) is log1p values: run cycseq prepare first",
    },
)
