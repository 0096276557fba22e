"""Coverage and reliability in the evidence: rows of the tidy table, and what the page says of them first.

A row of the tidy table is one number: coverage is ``inside`` and ``n`` of each stratum, reliability the sums of stated
probabilities, of events and of genes in each tenth. Counts can be pooled over splits, seeds and contexts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from cycseq.errors import count_of
from cycseq.score.certainty import GOAL, NEAR
from cycseq.score.coverage import BINS, THRESHOLDS_IN_WORDS
from cycseq.show.report.certainty import Certainty, percent
from evidence_data import SOURCES

COVERAGE, RELIABILITY = "coverage", "reliability"
AIM = f"{100 * GOAL[0]:.0f} to {100 * GOAL[1]:.0f} %"


def tidy_coverage(table: pd.DataFrame) -> pd.DataFrame:
    """Rows context, perturbation (the stratum), metric, value: genes inside their interval, and genes."""
    inside = table["observed"].astype(float) * table["n"]
    return _tidy(table["context"], table["stratum"], COVERAGE, {"inside": inside, "n": table["n"]})


def tidy_reliability(table: pd.DataFrame) -> pd.DataFrame:
    """Rows context, perturbation (the event and the tenth), metric, value: sums over the genes of a tenth."""
    tenth = np.clip(np.digitize(table["stated"].astype(float), BINS) - 1, 0, len(BINS) - 2)
    names = table["event"].astype(str) + "|" + pd.Series(tenth, index=table.index).astype(str)
    sums = {name: table[name].astype(float) * table["n"] for name in ("stated", "observed")}
    return _tidy(table["context"], names, RELIABILITY, {**sums, "n": table["n"]})


def certainty_of(rows: pd.DataFrame) -> Certainty | None:
    """What the tidy rows of one data set and split say of the one model that they are about; None where there are none."""
    coverage, bins = (_wide(rows, what) for what in (COVERAGE, RELIABILITY))
    if coverage.empty:
        return None
    coverage = coverage.assign(stratum=coverage["perturbation"], observed=coverage["inside"] / coverage["n"])
    if not bins.empty:
        bins = bins.assign(event=bins["perturbation"].str.split("|").str[0])
        bins = bins.assign(stated=bins["stated"] / bins["n"], observed=bins["observed"] / bins["n"])
    bins = bins.reindex(columns=["model", "context", "event", "stated", "observed", "n"])
    return Certainty.of(coverage, bins)[0]


def first_lines(found: Mapping[tuple[str, str], Certainty]) -> list[str]:
    """Where intervals and probabilities are not what they say, before anything else."""
    if not found:
        return []
    short_of = {key: one for key, one in found.items() if not one.sound}
    if not short_of:
        return [
            f"The 90 % intervals of `ConditionKriging` hold {AIM} of responses, and its probabilities are within {NEAR} of what is "
            f"observed, in every pair of data set and split that was run ({len(found)}) and wherever there are genes enough to judge.",
            "",
        ]
    lines = [
        f"**Goals that are not met.** 90 % intervals are to hold {AIM} of responses in every context, and of responding genes "
        f"too; stated probabilities are to be within {NEAR} of what is observed. `ConditionKriging` falls short in "
        f"{len(short_of)} of {len(found)} pairs of data set and split ([all of them](#coverage-and-reliability)):",
        "",
    ]
    for (data, split), one in short_of.items():
        lines.append(f"- {SOURCES[data].title}, {split}: {' '.join(one.sentences())}")
    return [*lines, "", *_over_all_bins([one.reliability for one in found.values()])]


def _over_all_bins(of_pairs: Sequence[pd.DataFrame]) -> list[str]:
    """How far stated probabilities are off on the whole; each pair of data set and split counts alike."""
    differences = [
        ((bins["stated"] - bins["observed"]).abs().to_numpy(dtype=float), bins["n"].to_numpy(dtype=float))
        for bins in of_pairs
        if len(bins)
    ]
    if not differences:
        return []
    off = np.concatenate([difference for difference, _ in differences])
    mean = np.mean([np.average(difference, weights=n) for difference, n in differences])
    return [
        f"Of {count_of(len(off), 'bin')} of stated probabilities in all pairs, {(off <= NEAR).sum():,} are within {NEAR} of what is "
        f"observed. Over genes of conditions, the mean difference is {mean:.3f}.",
        "",
    ]


def certainty_tables(found: Mapping[tuple[str, str], Certainty]) -> list[str]:
    """Coverage of every stratum and context, and the reliability curves."""
    lines = [
        f"Share of genes (of conditions) inside their 90 % interval by `ConditionKriging`; {AIM} is aimed at, bold is off. "
        "Measured responses are held against the interval of a new measurement, true ones (simulated) against that of the "
        "true response. A measured response is significant at a false discovery rate of 5 %, which chooses lucky ones. "
        f"Of events, {THRESHOLDS_IN_WORDS}.",
    ]
    for (data, split), one in found.items():
        lines += ["", f"### {SOURCES[data].title}, {split}", ""]
        lines += [f"| context | {' | '.join(one.strata)} |", f"|---|{'---|' * len(one.strata)}"]
        for context, shares in one.rows:
            cells = ["" if share is None else _cell(share.value, share.n, bold=not share.met) for share in shares]
            lines.append(f"| {context} | {' | '.join(cells)} |")
        if len(one.reliability):
            lines += ["", "| event | stated | observed | genes |", "|---|---|---|---|"]
        for row in one.reliability.to_dict("records"):
            off = abs(row["stated"] - row["observed"]) > NEAR
            observed = f"**{row['observed']:.2f}**" if off else f"{row['observed']:.2f}"
            lines.append(f"| {row['event']} | {row['stated']:.2f} | {observed} | {row['n']:,} |")
    return lines


def _cell(share: float, n: int, *, bold: bool) -> str:
    text = f"**{percent(share)}**" if bold else percent(share)
    return f"{text} of {n:,}"


def _tidy(contexts: pd.Series, names: pd.Series, what: str, values: Mapping[str, pd.Series]) -> pd.DataFrame:
    parts = [
        pd.DataFrame(
            {"context": contexts, "perturbation": names, "metric": f"{what}:{name}", "value": column.astype(float)}
        )
        for name, column in values.items()
    ]
    return pd.concat(parts, ignore_index=True)


def _wide(rows: pd.DataFrame, what: str) -> pd.DataFrame:
    """One row for each split, seed, context and stratum or bin; counts of the same name are added up."""
    some = rows[rows["metric"].str.startswith(f"{what}:")]
    if some.empty:
        return pd.DataFrame()
    some = some.assign(metric=some["metric"].str.split(":").str[1])
    wide = some.pivot_table(
        index=["model", "context", "perturbation"], columns="metric", values="value", aggfunc="sum", sort=False
    ).reset_index()
    return wide.assign(n=wide["n"].round().astype(int))
