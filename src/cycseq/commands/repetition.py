"""A run or a benchmark made once more, and what is not the same."""

import shlex
import shutil
from argparse import Namespace
from pathlib import Path

from cycseq.benchmarking.tables import LATER, TABLES, open_benchmark
from cycseq.commands import run_command
from cycseq.errors import FileError, SettingsError
from cycseq.io.files import check_output
from cycseq.io.untrusted import cycseq_command
from cycseq.run.record import differing
from cycseq.run.repeating import Check, Repetition, compare_tables, repeat_run

ALONE = ("--scheduler", "null")
"""On this machine: a folder of another's making names no machine to connect to, as clusters run code for each other."""


def make_run_again(folder: Path, out: Path, options: Namespace) -> Repetition:
    """The run in another folder."""
    return repeat_run(folder, out, data_path=options.data and options.data.resolve(), overwrite=options.overwrite)


def make_benchmark_again(folder: Path, out: Path, options: Namespace) -> Repetition:
    """The recorded command with another `--out`; its tables beside the first ones."""
    before = open_benchmark(folder)
    words = shlex.split(cycseq_command(before.record["command"]))
    if words[:2] != ["cycseq", "benchmark"]:
        msg = f"{folder} was not made by a cycseq benchmark command, but in Python: call the same function again with another folder."
        raise SettingsError(msg)
    if out.resolve() == folder.resolve():
        raise FileError(f"{out} is the benchmark that is to be repeated: name another folder with --out.")
    check_output(out, overwrite=options.overwrite)
    if out.exists():
        shutil.rmtree(out)  # else its results would be taken as they are
    where = str(options.data or before.record["data"]["path"])
    run_command([*words[1:], "--data", where, "--out", str(out), "--overwrite", "false", *ALONE])
    again = open_benchmark(out)
    now = again.record["asked"]
    changed = [name for name, value in before.record["asked"].items() if now.get(name) != value]
    settings = Check("settings", same=not changed, result=f"other {', '.join(changed)}" if changed else "same")
    names = [name for name in TABLES if name not in LATER or (folder / f"{name}.csv").is_file()]
    tables = [compare_tables(f"{name}.csv", getattr(before, name), getattr(again, name)) for name in names]
    return Repetition(out, differing(before.record, again.record), (settings, *tables))
