"""The page of the measured times, its table as CSV, and the figure of costs."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd

from speed_stages.cost import BASE, Cost, slopes
from speed_stages.limits import COPIED, SIDE, Limits

FINDINGS = Path(__file__).parent / "findings.md"
"""What the profiles showed and what was mended: written by hand, put at the end of the page."""
HOW_TO_READ = """\
Sides take turns (A B A B ...). Seconds are the best of all rounds, of one processor: they depend little on what else
runs; those by the clock stand in the CSV. *Times ours* is the median of the ratios within each round, with the least and
the most: above 1, CycSeq is faster. *Naive* is an obvious way to write it. Memory is the highest of the process; forms
that take turns inside one process share it, and it is left out."""
PACKAGES = ("numpy", "scipy", "torch", "lightning", "anndata", "scanpy", "scikit-learn", "cell-eval")


@dataclass
class Measured:
    """All of one run, as far as it got."""

    limits: Limits
    started: datetime
    load: list[float]
    """Of the machine, through the run."""
    minutes: float = 0.0
    table: pd.DataFrame = field(default_factory=pd.DataFrame)
    """A `measure.Row` a line."""
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What stages say beside times."""
    starts: pd.DataFrame = field(default_factory=pd.DataFrame)
    costs: pd.DataFrame = field(default_factory=pd.DataFrame)
    slopes: dict[tuple[str, str], float] = field(default_factory=dict)
    """By stage and axis."""
    limits_after: Limits | None = None
    again: dict[str, str] = field(default_factory=dict)
    """Stages that were measured apart from the others, and when."""

    @classmethod
    def read(cls, folder: Path) -> Measured:
        """What an earlier run kept beside its page."""
        said = json.loads((folder / "speed" / "run.json").read_text(encoding="utf-8"))
        after = said.pop("limits_after")
        costs = _read(folder, "costs")
        return cls(
            limits=Limits(**said.pop("limits")),
            limits_after=after and Limits(**after),
            started=datetime.fromisoformat(said.pop("started")),
            table=_read(folder, "results"),
            starts=_read(folder, "start_up"),
            costs=costs,
            slopes=slopes([Cost(**row) for row in costs.to_dict("records")]),
            **said,
        )

    def keep(self, folder: Path) -> None:
        """Beside the page, for one that changes its words or measures a stage again."""
        said = {name: getattr(self, name) for name in ("load", "minutes", "facts", "again")}
        said |= {"limits": asdict(self.limits), "limits_after": self.limits_after and asdict(self.limits_after)}
        text = json.dumps({**said, "started": self.started.isoformat()}, indent=1, default=str)
        (folder / "speed" / "run.json").write_text(text + "\n", encoding="utf-8")


def _read(folder: Path, name: str) -> pd.DataFrame:
    path = folder / "speed" / f"{name}.csv"
    return pd.read_csv(path) if path.exists() else pd.DataFrame()


def terminal(found: Measured) -> str:
    """What was measured, as plain text."""
    parts = [frame.to_string(index=False) for frame in (found.table, found.starts, found.costs) if len(frame)]
    said = [f"{stage}: {name}: {value}" for stage, facts in found.facts.items() for name, value in facts.items()]
    said += [f"slope of {stage} in {axis}: {slope:.2f}" for (stage, axis), slope in found.slopes.items()]
    return "\n\n".join([*parts, "\n".join([*said, _machine(found)])])


def write_page(found: Measured, folder: Path) -> None:
    """`speed.md`, and beside it `speed/` with the tables and the figure."""
    beside = folder / "speed"
    beside.mkdir(parents=True, exist_ok=True)
    found.keep(folder)
    tables = {"results": found.table, "start_up": found.starts, "costs": found.costs}
    tables = {name: frame for name, frame in tables.items() if len(frame)}
    for name, frame in tables.items():
        frame.to_csv(beside / f"{name}.csv", index=False, float_format="%.6g")
    links = ", ".join(f"[{name}](speed/{name}.csv)" for name in tables)
    parts = [
        "# Speed",
        f"Made by `python benchmarks/speed.py` in one run; do not edit. As CSV: {links}.",
        _machine(found),
    ]
    if len(found.table):
        parts += ["## Beside peers", HOW_TO_READ, _peers(found.table), _facts(found)]
        parts += ["## Beside what the machine can do", _limits(found)]
    if len(found.starts):
        parts += ["## Start-up", _starts(found.starts)]
    if len(found.costs):
        draw_costs(found, beside / "costs.png")
        figure = "![Seconds of every stage against cells, genes and conditions](speed/costs.png)"
        parts += ["## As the data grow", figure, _slopes(found)]
    page = "\n\n".join([*parts, FINDINGS.read_text(encoding="utf-8").strip()])
    (folder / "speed.md").write_text(page + "\n", encoding="utf-8")


def draw_costs(found: Measured, path: Path) -> None:
    """Small multiples: a stage each, a line for cells, genes and conditions."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    from cycseq.show.plots.base import INK, MARKERS, PALETTE, logarithmic, plain

    stages = list(dict.fromkeys(found.costs["stage"]))
    figure, grid = plt.subplots(2, -(-len(stages) // 2), figsize=(11.5, 6.4), layout="constrained")
    for ax, stage in zip(grid.flat, stages, strict=False):
        for (axis, rows), colour, marker in zip(
            found.costs[found.costs["stage"] == stage].groupby("axis", sort=False), PALETTE, MARKERS, strict=False
        ):
            label = f"{axis}: {found.slopes[stage, axis]:.2f}"
            ax.plot(rows["size"], rows["cpu_s"], marker=marker, color=colour, label=label, markersize=4)
        logarithmic(ax, "x", "y")
        plain(ax)
        ax.set_title(fill(stage, 32), fontsize=9.5, loc="left", color=INK)
        low, high = ax.get_ylim()
        ax.set_ylim(low, high * (high / low) ** 0.6)  # room for the legend
        ax.legend(frameon=False, fontsize=8, title="slope against", title_fontsize=8, loc="upper left")
    for ax in grid.flat[len(stages) :]:
        ax.set_axis_off()
    figure.supxlabel("size", fontsize=10)
    figure.supylabel("seconds of one processor", fontsize=10)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _machine(found: Measured) -> str:
    at, after = found.limits, found.limits_after or found.limits
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    again = "".join(f" Measured apart: {name}, {when}." for name, when in found.again.items())
    return (
        f"{found.started:%Y-%m-%d %H:%M} UTC, {found.minutes:.0f} minutes; {_processor()}, "
        f"{os.cpu_count()} cores, no graphics card, one thread each; load of the machine {min(found.load):.1f} to "
        f"{max(found.load):.1f} (median {np.median(found.load):.1f}): other work ran beside it.{again} Python "
        f"{platform.python_version()}, {versions}.\n\n"
        f"The machine itself, measured before and after: memory copied at {at.copy / 1e9:.0f} and "
        f"{after.copy / 1e9:.0f} GB/s (read and written, {COPIED >> 20} MiB arrays), float32 products of {SIDE} x {SIDE} "
        f"at {at.flops / 1e9:.0f} and {after.flops / 1e9:.0f} GFLOP/s, bfloat16 products at {at.bf16_flops / 1e9:.1f} "
        f"GFLOP/s: this processor has no instructions for them and they are emulated, so `bf16` cannot help here. "
        f"log1p: {at.logs / 1e6:.0f} million values a second."
    )


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "?")
    flags = next((line for line in lines if line.startswith("flags")), "").split()
    widest = next((flag for flag in ("avx512f", "avx2") if flag in flags), "no avx2")
    return f"{name} ({widest})"


def _peers(table: pd.DataFrame) -> str:
    lines = ["| stage | size | form | processor, s | memory, GiB | times ours |", "|---|---|---|---|---|---|"]
    for (stage, size), rows in table[table["kind"] != "limit"].groupby(["stage", "size"], sort=False):
        if len(rows) < 2 or set(rows["kind"]) == {"ours"}:
            continue
        shared = stage in {"vae-step", "cycseq-step", "feeder"}
        for i, row in enumerate(rows.itertuples()):
            start = f"| {stage} | {size} |" if i == 0 else "| | |"
            bold = "" if row.kind == "ours" else "**"
            spread = f" ({row.times_least:.2f} to {row.times_most:.2f})" if i else ""
            times = f"{bold}{row.times:.2f}{bold}{spread}"
            name = f"{row.form} (naive)" if row.kind == "naive" else row.form
            memory = "" if shared else f"{row.peak_gib:.2f}"
            lines.append(f"{start} {name} | {_seconds(row.cpu_s)} | {memory} | {times} |")
    return "\n".join(lines)


def _limits(found: Measured) -> str:
    lines = [
        "What could not be faster on this machine, as a share of what the stage takes (1 is the limit): bytes over the "
        "bandwidth of memory, products at their peak, or (VAE) the same matrix products run alone in turn with the step.",
        "",
        "| stage | size | limit | limit, s | ours, s | share |",
        "|---|---|---|---|---|---|",
    ]
    for row in found.table[found.table["kind"] == "limit"].itertuples():
        ours = row.cpu_s / row.times
        lines.append(
            f"| {row.stage} | {row.size} | {row.form} | {_seconds(row.cpu_s)} | {_seconds(ours)} | {row.times:.2g} |"
        )
    return "\n".join(lines)


def _facts(found: Measured) -> str:
    said = [
        f"- {stage}: " + "; ".join(f"{k}: {v}" for k, v in facts.items())
        for stage, facts in found.facts.items()
        if facts
    ]
    return "\n".join(said)


def _starts(starts: pd.DataFrame) -> str:
    lines = ["| | by the clock, s | processor, s | allowed, s |", "|---|---|---|---|"]
    for row in starts.itertuples():
        allowed = "" if pd.isna(row.allowed_s) else f"{row.allowed_s:g}"
        lines.append(f"| `{row.what}` | {row.wall_s:.2f} | {row.cpu_s:.2f} | {allowed} |")
    return "\n".join(lines)


def _slopes(found: Measured) -> str:
    axes = list(dict.fromkeys(found.costs["axis"]))
    lines = [
        "Slope of the logarithm of seconds between the two largest sizes (1: twice the size takes twice as long; 0: it "
        f"does not matter). Predictions are those of `ContextAdditive`. What does not grow stays at {', '.join(f'{size:,} {name}' for name, size in BASE.items())}.",
        "",
        f"| stage | {' | '.join(axes)} | largest, s |",
        "|---|" + "---|" * (len(axes) + 1),
    ]
    for stage, rows in found.costs.groupby("stage", sort=False):
        each = " | ".join(f"{found.slopes[stage, axis]:.2f}" for axis in axes)
        lines.append(f"| {stage} | {each} | {_seconds(rows['cpu_s'].max())} |")
    return "\n".join(lines)


def _seconds(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"
