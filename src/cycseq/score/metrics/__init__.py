"""All metrics, by name, in the order of the tables; a new one is added to its family's file."""

from collections.abc import Collection, Sequence

from cycseq.errors import SettingsError, unknown_name
from cycseq.score.metrics import cells, challenge, degs, delta, distribution, means, reconstruction, retrieval
from cycseq.score.metrics.base import Metric

METRICS: dict[str, Metric] = {
    metric.name: metric
    for family in (means, delta, distribution, cells, reconstruction, degs, retrieval, challenge)
    for metric in family.METRICS
}

HEADLINE = (
    "pearson_delta_specific",
    "pearson_delta",
    "mse_ratio",
    "retrieval_cosine",
    "r2_delta_top50",
    "edistance",
    "zero_fraction_error",
)
"""What a table shows first; `pearson_delta` stands in where one perturbation leaves nothing specific."""

HEADLINE_OF_EFFECTS = ("mse_ratio", "pearson_delta", "cosine_delta_specific", "retrieval_cosine_centred")
"""The same, where effects of whole conditions are compared."""

GROUPS: dict[str, tuple[str, ...]] = {
    "all": tuple(name for name, metric in METRICS.items() if "counts" not in metric.needs),
    "headline": HEADLINE,
    "means": tuple(name for name, metric in METRICS.items() if not metric.costly and "counts" not in metric.needs),
    "vcc2026": challenge.CHALLENGE,
}
"""Names that stand for several metrics; the challenge's are in none but their own, as they need counts."""


def headline_of(names: Collection[str]) -> tuple[str, ...]:
    """What a table with these metrics shows first: those of effects, where none is there that needs more than effects."""
    of_cells = any({"cells", "mean expression"}.intersection(METRICS[name].needs) for name in names if name in METRICS)
    return HEADLINE if of_cells or not set(HEADLINE_OF_EFFECTS) <= set(names) else HEADLINE_OF_EFFECTS


def chosen(names: str | Sequence[str]) -> tuple[Metric, ...]:
    """The metrics of these names and groups (text: separated by commas), each once, in the order of the table.

    Raises `SettingsError` if there is no metric or group of a name.
    """
    members: set[str] = set()
    for name in map(str.strip, names.split(",") if isinstance(names, str) else names):
        if name not in METRICS and name not in GROUPS:
            raise unknown_name(name, "metric", [*GROUPS, *METRICS])
        members.update(GROUPS.get(name, (name,)))
    if not members:
        raise SettingsError(f"no metric was named: use --metrics {', '.join(GROUPS)}, or names (cycseq list metrics).")
    return tuple(metric for name, metric in METRICS.items() if name in members)
