"""`cycseq repeat RUN` (or a benchmark's folder): once more from what the folder says, and whether it came out the same."""

from __future__ import annotations

import shlex
import shutil
from argparse import Namespace
from pathlib import Path

from cycseq.benchmarking.result import LATER, RECORD, TABLES, open_benchmark
from cycseq.commands import run_command
from cycseq.commands.parser import Parser
from cycseq.commands.terminal import say, table
from cycseq.errors import FileError, SettingsError
from cycseq.io.files import check_output
from cycseq.io.untrusted import our_command
from cycseq.run.record import differing
from cycseq.run.repeating import Compared, Repetition, repeat_run, table_compared

DIFFERENT = 1
"""Exit code where something differs."""


def configure(parser: Parser, _words: list[str]) -> None:
    """Options."""
    parser.add_argument("folder", type=Path, help="Folder that cycseq fit or cycseq benchmark wrote.")
    parser.add_argument("--out", type=Path, help="Folder of the repetition; FOLDER-again if not said.")
    parser.add_argument("--data", type=Path, help="Where the same data lie now, if not where they were.")
    parser.add_argument("--overwrite", type=bool, default=False, help="Replace the repetition if it exists.")


def run(options: Namespace) -> int:
    """Repeat, compare, and say what differs; 1 if anything does."""
    folder: Path = options.folder
    named = folder if folder.name not in {"", ".."} else folder.resolve()
    out = options.out or named.with_name(f"{named.name}-again")
    repeat = _benchmark_again if (folder / RECORD).is_file() else _run_again
    done = repeat(folder, out, options)
    if done.differing:
        rows = [(name, *values) for name, values in done.differing.items()]
        table(["other than then", "then", "now"], rows)
    else:
        say("versions and machine: the same as then")
    table(["made again", "the same", "found"], [(c.what, WORDS[c.same], c.found) for c in done.compared])
    say(f"wrote {done.folder}: {'the same as' if done.same else 'NOT the same as'} {folder}")
    return 0 if done.same else DIFFERENT


ALONE = ("--scheduler", "null")
"""On this machine: a folder of another's making names no machine to connect to, as clusters run code for each other."""
WORDS = {True: "yes", False: "NO", None: "-"}


def _run_again(folder: Path, out: Path, options: Namespace) -> Repetition:
    return repeat_run(folder, out, data_path=options.data and options.data.resolve(), overwrite=options.overwrite)


def _benchmark_again(folder: Path, out: Path, options: Namespace) -> Repetition:
    """The recorded command with another `--out`; its tables beside the first ones."""
    before = open_benchmark(folder)
    words = shlex.split(our_command(before.record["command"]))
    if words[:2] != ["cycseq", "benchmark"]:
        msg = f"{folder} was not made by a cycseq benchmark command, but in Python: call the same function again with another folder."
        raise SettingsError(msg)
    if out.resolve() == folder.resolve():
        msg = f"{out} is the benchmark that is to be repeated: name another folder with --out."
        raise FileError(msg)
    check_output(out, overwrite=options.overwrite)
    if out.exists():
        shutil.rmtree(out)  # else its cells of the table would be taken as they are
    where = str(options.data or before.record["data"]["path"])
    run_command([*words[1:], "--data", where, "--out", str(out), "--overwrite", "false", *ALONE])
    again = open_benchmark(out)
    others = [name for name, asked in before.record["asked"].items() if again.record["asked"].get(name) != asked]
    asked = Compared("what was asked", same=not others, found=f"other {', '.join(others)}" if others else "same")
    names = [name for name in TABLES if name not in LATER or (folder / f"{name}.csv").is_file()]
    tables = [table_compared(f"{name}.csv", getattr(before, name), getattr(again, name)) for name in names]
    return Repetition(out, differing(before.record, again.record), (asked, *tables))
