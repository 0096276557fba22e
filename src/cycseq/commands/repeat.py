"""`cycseq repeat RUN` (or a benchmark's folder): fit it again from what the folder says, and check that it reproduces."""

from argparse import Namespace
from pathlib import Path

from cycseq.commands.parser import Parser
from cycseq.commands.terminal import say, table

DIFFERENT = 1  # exit code where something differs
WORDS = {True: "yes", False: "NO", None: "-"}


def configure(parser: Parser, _words: list[str]) -> None:
    parser.add_argument("folder", type=Path, help="Folder that cycseq fit or cycseq benchmark wrote.")
    parser.add_argument("--out", type=Path, help="Folder of the repetition; FOLDER-again if not given.")
    parser.add_argument("--data", type=Path, help="Where the same data lie now, if not where they were.")
    parser.add_argument("--overwrite", type=bool, default=False, help="Replace the repetition if it exists.")


def run(options: Namespace) -> int:
    """Repeat, compare, and print what differs; 1 if anything does."""
    from cycseq.benchmarking.tables import RECORD
    from cycseq.commands.repetition import make_benchmark_again, make_run_again

    folder: Path = options.folder
    source = folder if folder.name not in {"", ".."} else folder.resolve()
    out = options.out or source.with_name(f"{source.name}-again")
    repeat = make_benchmark_again if (folder / RECORD).is_file() else make_run_again
    repetition = repeat(folder, out, options)
    if repetition.differing:
        rows = [(name, *values) for name, values in repetition.differing.items()]
        table(["other than then", "then", "now"], rows)
    else:
        say("versions and machine: the same as then")
    table(["made again", "the same", "result"], [(c.what, WORDS[c.same], c.result) for c in repetition.checks])
    say(f"wrote {repetition.folder}: {'the same as' if repetition.same else 'NOT the same as'} {folder}")
    return 0 if repetition.same else DIFFERENT
