"""`cycseq datasets list`, `cycseq datasets info NAME`, `cycseq datasets fetch NAME --out FILE.h5ad`."""

from argparse import Namespace
from pathlib import Path
from typing import Literal

from cycseq.commands.parser import Parser, settings_of
from cycseq.commands.terminal import say, table
from cycseq.errors import SettingsError, count_of
from cycseq.formats.settings import CorpusSettings
from cycseq.io.download import DownloadSettings
from cycseq.io.files import check_output

ALL = "cycseq"  # stands for the first CycSeq's whole corpus


def configure(parser: Parser, _words: list[str]) -> None:
    parser.add_argument("action", type=Literal["list", "info", "fetch"], help="What to do.")
    parser.add_argument("name", nargs="?", help=f"A data set; {ALL} is the first CycSeq's whole corpus, prepared.")
    parser.add_argument("--out", type=Path, help="Where to write: .h5ad or .zarr.")
    parser.add_argument("--overwrite", type=bool, default=False, help="Replace the output if it exists.")
    parser.add_argument(
        "--file", type=Path, help="Your own copy of files that cannot be downloaded; see cycseq datasets info NAME."
    )
    parser.add_argument("--all_cycseq", type=bool, default=False, help=f"The same as NAME {ALL}.")
    parser.add_settings(DownloadSettings)
    parser.add_settings(CorpusSettings)


def run(options: Namespace) -> None:
    """Say what there is, or download, read and write."""
    from cycseq.commands.data_sets import corpus_description, description, read_parts
    from cycseq.data.dataset import DATA_ENDINGS
    from cycseq.formats.catalog import DATASETS, dataset, fetch
    from cycseq.formats.catalog.corpus import join

    name = ALL if options.all_cycseq else options.name
    if options.action == "list":
        rows = [(d.name, d.method, d.size, d.what) for d in DATASETS.values()]
        table(("data set", "method", "download", "what it is"), rows)
        say(f"cycseq datasets fetch NAME --out FILE.h5ad reads one; {ALL} is the first CycSeq's whole corpus.")
        return
    if name is None:
        msg = f"cycseq datasets {options.action} needs the name of a data set: cycseq datasets list shows them."
        raise SettingsError(msg)
    if options.action == "info":
        say(
            description(dataset(name)) if name != ALL else corpus_description(settings_of(CorpusSettings, options), ALL)
        )
        return
    if options.out is None:
        raise SettingsError(f"cycseq datasets fetch {name} needs --out FILE.h5ad: where to write.")
    check_output(options.out, overwrite=options.overwrite, endings=DATA_ENDINGS)
    downloading = settings_of(DownloadSettings, options)
    if name == ALL:
        corpus = settings_of(CorpusSettings, options)
        data = join(read_parts([dataset(part) for part in corpus.datasets], downloading, options.file), corpus)
    else:
        data = fetch(dataset(name), downloading, options.file)
    data.write(options.out, overwrite=options.overwrite)
    size = f"{data.n_cells:,} cells x {len(data.genes):,} genes, {count_of(len(data.conditions()), 'condition')}"
    say([f"{name}:", *(f"  {note}" for note in data.notes), f"wrote {options.out}: {size}, {data.scale}"])
