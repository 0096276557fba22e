"""PerturBench: obs `condition` (`control`, `A`, `A+B`), `cell_type`, as in its data configurations (altoslabs/perturbench)."""

from __future__ import annotations

from cycseq.data.dataset import PerturbationData
from cycseq.formats.writers.base import Labels, controls_lacking, obs_of, one_h5ad, pooled_batches, renamed


def to_perturbench(data: PerturbationData) -> Labels:
    """`perturbation_key: condition`, `perturbation_control_value: control`, delimiter `+`, `covariate_keys: [cell_type]`."""
    obs = obs_of(data, condition=renamed("control"), cell_type="context", batch="batch")
    return Labels(obs, notes=(*pooled_batches(data, "PerturBench"), *controls_lacking(data, "PerturBench")))


PERTURBENCH = one_h5ad(
    "perturbench",
    tool="PerturBench",
    what="one h5ad: condition (control, A, A+B), cell_type",
    labels=to_perturbench,
    advice={
        "counts": "PerturBench's default (use_counts: False) is log1p values: run cycseq prepare first",
    },
)
