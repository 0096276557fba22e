"""Whether a change of the code changes a number: the same commands with the code of a git revision and with the working tree.

    python benchmarks/same_numbers.py [--revision main] [--only kang,papalexi,world,networks]

Benchmarks of a few fast models on Kang, Papalexi and a simulated world, and small networks on that world (trained, compared
with PCA, tuned). Every value of every table that either writes is compared to the last digit printed; times are left out.
Tables of a revision are kept in `runs/same_numbers`, so that a second look at the same revision costs half.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
DATA, KEPT = ROOT.parent / "shared" / "data", ROOT / "runs" / "same_numbers"
WORLD = "simulate --contexts 4 --perturbations 8 --cells 1500 --genes 100 --seed 3 --out {out}/world.h5ad"
BASELINES = "--models ContextAdditive,Ridge,Bilinear --seeds 1 --out {out}/{name}"
COMMANDS = {
    "kang": [f"benchmark --data {DATA}/kang2018_pbmc_ifnb.h5ad {BASELINES}"],
    "papalexi": [f"benchmark --data {DATA}/papalexi2021_thp1_eccite.h5ad --split unseen-perturbation {BASELINES}"],
    "world": [WORLD, f"benchmark --data {{out}}/world.h5ad --split unseen-context,unseen-pair {BASELINES}"],
    "networks": [
        WORLD,
        "split --data {out}/world.h5ad --kind unseen-context --context Line2 --out {out}/split.json",
        "compare --data {out}/world.h5ad --epochs 1 --latent 4 --out {out}/compare",
        "fit --data {out}/world.h5ad --split {out}/split.json --model CycSeq --model.num_epochs 1 --run {out}/run",
        "tune --data {out}/world.h5ad --split {out}/split.json --model Ridge --trials 12 --out {out}/tune",
    ],
}
TIMES = {"seconds"}


def make_tables(source: Path, name: str, out: Path) -> None:
    """Run the commands of this name with the code of a checkout."""
    environment = {**os.environ, "PYTHONPATH": str(source / "src"), "OMP_NUM_THREADS": "1"}
    for line in COMMANDS[name]:
        words = line.format(out=out, name=name).split()
        done = subprocess.run(
            [sys.executable, "-m", "cycseq", *words], check=False, env=environment, capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(f"cycseq {' '.join(words)}\n{done.stderr}")


def count_differences(before: Path, now: Path) -> dict[str, tuple[int, int]]:
    """Values and how many of them differ, by table; a table that only one side has differs throughout."""
    names = sorted({str(path.relative_to(side)) for side in (before, now) for path in side.rglob("*.csv")})
    found = {}
    for name in names:
        tables = [read(side / name) for side in (before, now)]
        if tables[0].shape != tables[1].shape or list(tables[0]) != list(tables[1]):
            size = max(table.size for table in tables)
            found[name] = size, size
        else:
            found[name] = tables[0].size, int((tables[0] != tables[1]).to_numpy().sum())
    return found


def read(path: Path) -> pd.DataFrame:
    """A table as text, without times."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False) if path.is_file() else pd.DataFrame()
    return table.drop(columns=TIMES & set(table))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--revision", default="main")
    parser.add_argument("--only", default=",".join(COMMANDS))
    options = parser.parse_args()
    git = ["git", "-C", str(ROOT)]
    revision = subprocess.run(
        [*git, "rev-parse", "--short", options.revision], check=True, capture_output=True, text=True
    ).stdout.strip()
    different = 0
    with tempfile.TemporaryDirectory() as folder:
        old, new, now = (Path(folder) / name for name in ("old", "new", "now"))
        shutil.copytree(ROOT / "src", new / "src")  # so that the tree may change meanwhile
        subprocess.run([*git, "worktree", "add", "-q", "--detach", str(old), revision], check=True)
        try:
            for name in options.only.split(","):
                before = KEPT / revision / name
                if not (before / "whole").is_file():
                    shutil.rmtree(before, ignore_errors=True)
                    before.mkdir(parents=True)
                    make_tables(old, name, before)
                    (before / "whole").touch()
                (now / name).mkdir(parents=True)
                make_tables(new, name, now / name)
                for table, (size, differ) in count_differences(before, now / name).items():
                    print(f"{name}: {table}: {differ:,} of {size:,} values differ", flush=True)
                    different += differ
        finally:
            subprocess.run([*git, "worktree", "remove", "--force", str(old)], check=True)
    raise SystemExit(f"{different:,} values differ from {revision}" if different else 0)


if __name__ == "__main__":
    main()
