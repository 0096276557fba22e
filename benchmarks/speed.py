"""How fast every stage is: beside its named peer, beside what this machine could do at best, and as its input grows.

    python benchmarks/speed.py --scvi-python VENV/bin/python     # all of it: docs/speed.md, docs/speed/
    python benchmarks/speed.py --stages evaluate feeder          # some of it, in the terminal
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
        "--out", type=Path, help="Folder for the page; if not said, docs/ (of a whole run at full size)."
    )
    options = parser.parse_args()
    folder = options.out or (None if options.quick or options.stages else DOCS)
    measured = measure(options.stages, quick=options.quick, scvi_python=options.scvi_python)
    print(terminal(measured))
    if folder is not None:
        write_page(measured, folder)


def measure(chosen: list[str] | None, *, quick: bool, scvi_python: str | None) -> Measured:
    """Everything, or some stages of it."""
    started, load = datetime.now(UTC), [os.getloadavg()[0]]
    before = limits.measured(1 if quick else 7)
    lines: list[Row] = []
    facts: dict[str, dict[str, Any]] = {}
    for name, stage in STAGES.items():
        if chosen is None or name in chosen:
            print(f"{name} ...", file=sys.stderr, flush=True)
            found, facts[name] = stage(before, "QUICK" if quick else "FULL", scvi_python)
            lines += found
            load.append(os.getloadavg()[0])
    wanted = {name: chosen is None or name in chosen for name in ("start-up", "cost")}
    starts = startup.stage(startup.QUICK if quick else startup.FULL) if wanted["start-up"] else []
    found_costs = cost.costs(quick=quick, rounds=1 if quick else 2) if wanted["cost"] else []
    load.append(os.getloadavg()[0])
    return Measured(
        table=pd.DataFrame([asdict(line) for line in lines]),
        facts=facts,
        starts=pd.DataFrame(starts),
        costs=pd.DataFrame([asdict(one) for one in found_costs]),
        slopes=cost.slopes(found_costs),
        limits=before,
        limits_after=limits.measured(1 if quick else 7),
        load=load,
        started=started,
        minutes=(datetime.now(UTC) - started).total_seconds() / 60,
    )


STAGES: dict[str, Callable[[Limits, str, str | None], tuple[list[Row], dict[str, Any]]]] = {
    "prepare": lambda at, size, _: prepare.stage(at, getattr(prepare, size)),
    "evaluate": lambda at, size, _: evaluate.stage(at, getattr(evaluate, size)),
    "feeder": lambda at, size, _: feeder.stage(at, getattr(feeder, size)),
    "vae-step": lambda at, size, _: vae_step.stage(at, getattr(vae_step, size)),
    "vae-scvi": lambda _, size, python: vae_scvi.stage(getattr(vae_scvi, size), python),
    "cycseq-step": lambda _, size, __: cycseq_step.stage(getattr(cycseq_step, size)),
    "kriging": lambda at, size, _: kriging.stage(at, getattr(kriging, size)),
    "simulate": lambda at, size, _: simulate.stage(at, getattr(simulate, size)),
}


if __name__ == "__main__":
    main()
