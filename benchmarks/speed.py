"""How fast every stage is: beside its named peer, beside what this machine could do at best, and as its input grows.

    python benchmarks/speed.py --scvi-python VENV/bin/python     # all of it: docs/speed.md, docs/speed/
    python benchmarks/speed.py --stages evaluate feeder          # some of it, in the terminal
    python benchmarks/speed.py --stages feeder --out docs        # some of it again, in a page that is there
    python benchmarks/speed.py --quick --out FOLDER              # tiny sizes, to see that it runs

Peers are those of this environment (`pip install 'cycseq[peers]'`), but for scvi-tools, which has one of its own
(`pip install "scvi-tools<1.4"`) whose Python is named. One thread each; sides take turns.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from speed_stages import (
    cost,
    cycseq_step,
    evaluate,
    feeder,
    kriging,
    limits,
    prepare,
    simulate,
    startup,
    vae_scvi,
    vae_step,
)
from speed_stages.limits import Limits
from speed_stages.measure import Row
from speed_stages.page import Measured, terminal, write_page

DOCS = Path(__file__).parents[1] / "docs"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--scvi-python", help="Python of an environment that has scvi-tools; without it SCVI is left out."
    )
    parser.add_argument("--stages", nargs="+", choices=[*STAGES, "start-up", "cost"], help="Some stages only; no page.")
    parser.add_argument("--quick", action="store_true", help="Tiny sizes: the numbers mean nothing.")
    parser.add_argument(
        "--out", type=Path, help="Folder for the page; if not given, docs/ (of a whole run at full size)."
    )
    options = parser.parse_args()
    folder = options.out or (None if options.quick or options.stages else DOCS)

    def keep(measured: Measured) -> None:
        if folder is not None:
            write_page(measured, folder)

    if options.stages and folder is not None and (folder / "speed" / "run.json").exists():
        found = Measured.read(folder)
        found.again |= {
            name: f"{datetime.now(UTC):%H:%M} UTC, load {os.getloadavg()[0]:.1f}" for name in options.stages
        }
    else:
        at = limits.measured(1 if options.quick else 7)
        found = Measured(limits=at, started=datetime.now(UTC), load=[os.getloadavg()[0]])
    measure(found, options.stages, keep, quick=options.quick, scvi_python=options.scvi_python)
    print(terminal(found))
    failed = {name: said["failed"] for name, said in found.facts.items() if "failed" in said}
    if failed:
        sys.exit(f"not measured: {failed}")


def measure(
    found: Measured,
    chosen: list[str] | None,
    keep: Callable[[Measured], None],
    *,
    quick: bool,
    scvi_python: str | None,
) -> None:
    """Everything, or some stages of it; what there is is handed to `keep` after every stage."""

    def done(name: str) -> None:
        print(f"{name}: done", file=sys.stderr, flush=True)
        if not found.again:
            found.load.append(os.getloadavg()[0])
            found.minutes = (datetime.now(UTC) - found.started).total_seconds() / 60
        keep(found)

    for name, stage in STAGES.items():
        if chosen is None or name in chosen:
            try:
                lines, found.facts[name] = stage(found.limits, "QUICK" if quick else "FULL", scvi_python)
            except RuntimeError as err:  # a peer that fails shall not cost the others' hour
                lines, found.facts[name] = [], {"failed": err}
            others = found.table[found.table["stage"] != name] if len(found.table) else found.table
            found.table = pd.concat([others, pd.DataFrame([asdict(line) for line in lines])], ignore_index=True)
            done(name)
    if chosen is None or "start-up" in chosen:
        found.starts = pd.DataFrame(startup.stage(startup.QUICK if quick else startup.FULL))
        done("start-up")
    if chosen is None or "cost" in chosen:
        costs = cost.costs(quick=quick)
        found.costs, found.slopes = pd.DataFrame([asdict(one) for one in costs]), cost.slopes(costs)
        done("cost")
    if chosen is None and not quick:
        found.limits_after = limits.measured(7)
        keep(found)


STAGES: dict[str, Callable[[Limits, str, str | None], tuple[list[Row], dict[str, Any]]]] = {
    "prepare": lambda at, size, _: prepare.stage(at, getattr(prepare, size)),
    "evaluate": lambda at, size, _: evaluate.stage(at, getattr(evaluate, size)),
    "feeder": lambda at, size, _: feeder.stage(at, getattr(feeder, size)),
    "vae-step": lambda at, size, _: vae_step.stage(at, getattr(vae_step, size)),
    "vae-training": lambda _, size, python: vae_scvi.stage(getattr(vae_scvi, size), python),
    "cycseq-step": lambda _, size, __: cycseq_step.stage(getattr(cycseq_step, size)),
    "kriging": lambda at, size, _: kriging.stage(at, getattr(kriging, size)),
    "simulate": lambda at, size, _: simulate.stage(at, getattr(simulate, size)),
}


if __name__ == "__main__":
    main()
