"""`cycseq report FOLDER --out REPORT.html`."""

from argparse import Namespace
from pathlib import Path

from cycseq.commands.parser import Parser
from cycseq.commands.terminal import say
from cycseq.show.report.settings import Stratum


def configure(parser: Parser, _words: list[str]) -> None:
    parser.add_argument("folder", type=Path, help="Folder of a benchmark or a run.")
    parser.add_argument(
        "--out", type=Path, help="Where to write; report.html (or report_reproducible.html) in the folder if not given."
    )
    parser.add_argument(
        "--stratum",
        type=Stratum,
        default="all",
        help="For a benchmark: all tested conditions, or those whose measured response is reproducible.",
    )
    parser.add_argument("--overwrite", type=bool, default=False, help="Replace the report if it exists.")


def run(options: Namespace) -> None:
    """Write the page."""
    from cycseq.show.report.page import write_report

    say(f"wrote {write_report(options.folder, options.out, stratum=options.stratum, overwrite=options.overwrite)}")
