"""`cycseq demo`: the commands of a first session, run one after the other on simulated data."""

import os
import shlex
import sys
import webbrowser
from argparse import Namespace
from pathlib import Path

from cycseq.commands import run_command
from cycseq.commands.parser import Parser
from cycseq.commands.terminal import say
from cycseq.io.files import check_output


def configure(parser: Parser, _words: list[str]) -> None:
    parser.add_argument("--out", type=Path, default=Path("runs/demo"), help="Folder for everything that is made.")
    parser.add_argument("--cells", type=int, default=6000, help="Cells to simulate.")
    parser.add_argument("--seed", type=int, default=1, help="Random seed.")
    parser.add_argument("--overwrite", type=bool, default=False, help="Replace the folder's files if they exist.")
    parser.add_argument("--open", type=bool, default=True, help="Open the report where there is a display.")


def run(options: Namespace) -> None:
    """Run the session; each command is printed before it runs."""
    check_output(options.out / "sim.h5ad", overwrite=options.overwrite)
    for words in session(options.out, cells=options.cells, seed=options.seed):
        say(f"\n$ cycseq {shlex.join(words)}")
        run_command([*words, "--overwrite"] if options.overwrite else words)
    report = options.out / "report.html"
    say(f"\nThe report: {report}")
    has_display = sys.platform in {"darwin", "win32"} or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))
    if options.open and has_display:
        webbrowser.open(report.resolve().as_uri())


def session(folder: Path, *, cells: int, seed: int) -> list[list[str]]:
    """The commands: simulate, prepare, split, fit, predict, evaluate, benchmark, report."""
    f = {name: str(folder / name) for name in ("sim.h5ad", "data.h5ad", "line4.json", "run", "line4.h5ad", "line4.csv")}
    held_out = "Line4"
    return [
        ["simulate", "--contexts", "4", "--perturbations", "20", "--cells", str(cells), "--genes", "1000",
         "--seed", str(seed), "--out", f["sim.h5ad"]],
        ["prepare", f["sim.h5ad"], "--genes", "all", "--out", f["data.h5ad"]],
        ["split", "--data", f["data.h5ad"], "--kind", "unseen-context", "--context", held_out, "--out", f["line4.json"]],
        ["fit", "--data", f["data.h5ad"], "--split", f["line4.json"], "--model", "ContextAdditive", "--run", f["run"]],
        ["predict", "--run", f["run"], "--cells", "200", "--out", f["line4.h5ad"]],
        ["evaluate", "--predicted", f["line4.h5ad"], "--real", f["data.h5ad"], "--out", f["line4.csv"]],
        ["benchmark", "--data", f["data.h5ad"], "--split", "unseen-context", "--models", "baselines,ConditionKriging",
         "--metrics", "headline", "--seeds", "1", "--out", str(folder / "benchmark")],
        ["report", str(folder / "benchmark"), "--out", str(folder / "report.html")],
    ]  # fmt: skip
