"""What 1e5, 1e6 and 1e8 cells will cost: measured at small sizes, extrapolated, and written into docs/many_machines.md.

    python benchmarks/planning.py measure --work FOLDER    # what planning.json has not yet; a quarter of an hour
    python benchmarks/planning.py write                    # the tables of the page, from planning.json

Every step is a command of its own, in one thread; what counts is the time of the processor (user and system), which a busy
machine leaves as it is, and the largest memory of the process. Cells are simulated: 4 contexts, 50 perturbations, 2,000
genes, all kept.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

SIZES = (10_000, 30_000, 100_000)
TRAINED = SIZES[:2]
PLANNED = (100_000, 1_000_000, 100_000_000)
EPOCHS = {100_000: 50, 1_000_000: 10, 100_000_000: 1}
"""Passes over the cells: the default, and fewer where one pass makes more steps than the default makes on 1e5 cells."""
CORE_HOUR, GIB_MONTH = 0.05, 0.02
"""Dollars: a core with 4 GiB of memory on demand, and a GiB of disk."""
SEVERAL = {"VAE": 6, "CycSeq": 2}
"""Epochs of a second fit, which less the first one gives the time of an epoch."""
GENES, CONTEXTS, PERTURBATIONS = 2_000, 4, 50
LABELS = {
    "simulate": "simulate",
    "prepare": "prepare",
    "split": "split",
    "Ridge": "fit `Ridge`",
    "ConditionKriging": "fit `ConditionKriging`",
    "predict": "predict 50 conditions x 500 cells",
    "evaluate": "evaluate them, all metrics",
    "summarize": "`summarize` the counts as effects",
    "split, effects": "split the effects",
    "Ridge, effects": "fit `Ridge` on the effects",
    "ConditionKriging, effects": "fit `ConditionKriging` on the effects",
    "predict, effects": "predict 50 conditions as effects",
    "evaluate, effects": "evaluate them, all metrics of effects",
}
THROUGH_EFFECTS = tuple(LABELS)[-6:]
"""Only the first of these reads the cells."""
HERE = Path(__file__).resolve().parent
RECORD, PAGE = HERE / "planning.json", HERE.parent / "docs" / "many_machines.md"


def step(words: str) -> dict[str, float]:
    """Processor seconds and peak MiB of a command."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    child = subprocess.Popen([sys.executable, "-m", "cycseq", *words.split()], env=env, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    if status:
        msg = f"cycseq {words} failed"
        raise SystemExit(msg)
    return {"seconds": used.ru_utime + used.ru_stime, "mib": used.ru_maxrss / 1024}


def measure(work: Path) -> None:
    found = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.is_file() else []
    known = {(row["step"], row["cells"]) for row in found}
    for cells in SIZES:
        f = work / str(cells)
        f.mkdir(parents=True, exist_ok=True)
        said = f"--contexts {CONTEXTS} --perturbations {PERTURBATIONS} --cells {cells} --genes {GENES}"
        fit = f"fit --data {f}/p.h5ad --split {f}/s.json --overwrite"
        fit_effects = f"fit --data {f}/e.h5ad --split {f}/es.json --overwrite"
        steps = {
            "simulate": f"simulate {said} --out {f}/sim.h5ad --overwrite",
            "prepare": f"prepare {f}/sim.h5ad --genes all --out {f}/p.h5ad --overwrite",
            "split": f"split --data {f}/p.h5ad --context Line4 --out {f}/s.json --overwrite",
            "Ridge": f"{fit} --model Ridge --run {f}/ridge",
            "ConditionKriging": f"{fit} --model ConditionKriging --run {f}/kriging",
            "predict": f"predict --run {f}/kriging --cells 500 --out {f}/pred.h5ad --overwrite",
            "evaluate": f"evaluate --predicted {f}/pred.h5ad --real {f}/p.h5ad --out {f}/m.csv --overwrite",
            "summarize": f"summarize {f}/sim.h5ad --out {f}/e.h5ad --overwrite",
            "split, effects": f"split --data {f}/e.h5ad --kind unseen-context --context Line4 --out {f}/es.json --overwrite",
            "Ridge, effects": f"{fit_effects} --model Ridge --run {f}/eridge",
            "ConditionKriging, effects": f"{fit_effects} --model ConditionKriging --run {f}/ekriging",
            "predict, effects": f"predict --run {f}/ekriging --conditions test --out {f}/ep.h5ad --overwrite",
            "evaluate, effects": f"evaluate --predicted {f}/ep.h5ad --real {f}/e.h5ad --out {f}/em.csv --overwrite",
        }
        for model, several in SEVERAL.items() if cells in TRAINED else ():
            for epochs in (1, several):
                words = f"{fit} --model {model} --model.accelerator cpu --model.num_epochs {epochs}"
                steps[f"{model} {epochs}"] = f"{words} --run {f}/{model}{epochs}"
        for name, words in steps.items():
            if (name, cells) not in known:
                found.append({"cells": cells, "step": name, **step(words)})
                if name == "prepare":
                    size = (f / "p.h5ad").stat().st_size / 2**20
                    found.append({"cells": cells, "step": "disk", "mib": size, "seconds": 0.0})
                RECORD.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
                print(found[-1], flush=True)


def at(found: dict[tuple[str, int], dict[str, float]], name: str, what: str, cells: int) -> float:
    """The straight line through the two largest sizes that were measured (through one of them where it is nearer)."""
    known = sorted(n for step_name, n in found if step_name == name)[-2:]
    low, high = (found[name, n][what] for n in known)
    slope = 0.0 if name in THROUGH_EFFECTS[1:] else max(0.0, (high - low) / (known[1] - known[0]))
    return high + slope * (cells - known[1])


def epoch_seconds(found: dict[tuple[str, int], dict[str, float]], model: str) -> float:
    """Processor seconds of an epoch for each cell of the file, half of which are trained on."""
    cells, several = TRAINED[-1], SEVERAL[model]
    more = found[f"{model} {several}", cells]["seconds"] - found[f"{model} 1", cells]["seconds"]
    return more / (several - 1) / cells


def write() -> None:
    found = {(row["step"], row["cells"]): row for row in json.loads(RECORD.read_text(encoding="utf-8"))}
    measured = ["| step | " + " | ".join(f"{n:,} cells" for n in SIZES) + " |", "|---|" + "---|" * len(SIZES)]
    names = list(dict.fromkeys(name for name, _ in found if name != "disk"))
    for name in names:
        rows = [found.get((name, n)) for n in SIZES]
        texts = [f"{r['seconds']:,.0f} s, {r['mib'] / 1024:.1f} GiB" if r else "" for r in rows]
        label = LABELS.get(name) or re.sub(r"(\w+) (\d)", r"fit `\1`, epochs: \2", name)
        measured.append(f"| {label} | " + " | ".join(texts) + " |")
    sizes = " | ".join(f"{found['disk', n]['mib'] / 1024:.2f} GiB" for n in SIZES)
    measured.append(f"| prepared file | {sizes} |")

    planned = ["| step | " + " | ".join(f"{n:,} cells" for n in PLANNED) + " |", "|---|" + "---|" * len(PLANNED)]
    hours: dict[str, list[float]] = {}
    for name in ("prepare", "Ridge", "ConditionKriging", "predict", "evaluate", *THROUGH_EFFECTS):
        hours[name] = [at(found, name, "seconds", n) / 3600 for n in PLANNED]
    for model in SEVERAL:
        hours[model] = [epoch_seconds(found, model) * n * EPOCHS[n] / 3600 for n in PLANNED]
    for name, of_sizes in hours.items():
        label = (
            f"fit `{name}`, {', '.join(str(EPOCHS[n]) for n in PLANNED)} epochs" if name in SEVERAL else LABELS[name]
        )
        texts = [f"{h:,.1f} core h, ${h * CORE_HOUR:,.2f}" if h >= 0.1 else f"{h * 60:.1f} core min" for h in of_sizes]
        planned.append(f"| {label} | " + " | ".join(texts) + " |")
    memory = [max(at(found, name, "mib", n) for name in ("prepare", "Ridge", "evaluate")) / 1024 for n in PLANNED]
    disk = [at(found, "disk", "mib", n) / 1024 for n in PLANNED]
    planned.append("| memory, all in memory | " + " | ".join(f"{m:,.0f} GiB" for m in memory) + " |")
    texts = [f"{d:,.1f} GiB" + (f", ${d * GIB_MONTH:,.2f} a month" if d >= 1 else "") for d in disk]
    planned.append("| disk, prepared file | " + " | ".join(texts) + " |")

    page = PAGE.read_text(encoding="utf-8")
    for mark, lines in (("measured", measured), ("planned", planned)):
        block = f"<!-- {mark}: written by benchmarks/planning.py -->\n" + "\n".join(lines) + f"\n<!-- end of {mark} -->"
        page = re.sub(rf"<!-- {mark}: .*?<!-- end of {mark} -->", lambda _, b=block: b, page, flags=re.DOTALL)
    PAGE.write_text(page, encoding="utf-8")
    print("\n".join([*measured, "", *planned]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["measure", "write"])
    parser.add_argument("--work", type=Path, default=Path("planning-work"))
    options = parser.parse_args()
    measure(options.work) if options.what == "measure" else write()
