"""`cycseq knowledge list`, `cycseq knowledge fetch NAME`, `cycseq knowledge add FILE`."""

from argparse import Namespace
from pathlib import Path
from typing import Literal

from cycseq.commands.parser import Parser, settings_of
from cycseq.commands.terminal import say, table
from cycseq.errors import SettingsError, unknown_name
from cycseq.io.download import DownloadSettings


def configure(parser: Parser, _words: list[str]) -> None:
    parser.add_argument("action", type=Literal["list", "fetch", "add"], help="What to do.")
    parser.add_argument("name", nargs="?", help="fetch: an entry of the list; add: a file with knowledge of your own.")
    parser.add_argument("--overwrite", type=bool, default=False, help="add: replace a file of the same name.")
    parser.add_settings(DownloadSettings)


def run(options: Namespace) -> None:
    """Say what there is, download one source, or take a file into the cache."""
    from cycseq.knowledge.catalog import CATALOGUE, ROWS, add_file, at_hand, load_sources

    settings = settings_of(DownloadSettings, options)
    if options.action == "list":
        there = at_hand(settings.folder())
        rows = [(row.name, row.name in there, row.version, row.licence, row.what) for row in ROWS]
        rows += [(name, True, "-", "-", f"added: {path.name}") for name, path in there.items() if name not in CATALOGUE]
        shown = [(name, "yes" if has else "no", *rest) for name, has, *rest in rows]
        table(("source", "at hand", "version", "licence", "what it is"), shown)
        say(
            "cycseq knowledge fetch NAME downloads one. cycseq knowledge add FILE takes a table of your own: sets, edges, numbers"
        )
        say("(ESM2, GenePT or any embedding, also inside AnnData), drugs with SMILES, targets or mechanisms.")
        return
    if options.name is None:
        what = "the name of a source: cycseq knowledge list shows them" if options.action == "fetch" else "a file"
        raise SettingsError(f"cycseq knowledge {options.action} needs {what}.")
    if options.action == "add":
        name = add_file(Path(options.name), settings, overwrite=options.overwrite)
    else:
        if options.name not in CATALOGUE:
            raise unknown_name(options.name, "source of knowledge", CATALOGUE)
        row = CATALOGUE[options.name]
        name, path = row.name, row.fetch(settings)
        say([f"{name}, version {row.version}. Licence: {row.licence}. {row.publication}", f"  {path}"])
    say(f"  {source.in_words()}" for source in load_sources([name], settings))
    say(f"--model.knowledge {name} uses it; --model.knowledge auto uses all that is at hand.")
