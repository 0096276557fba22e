"""Data sets of the catalogue: what is said of one, and those of a corpus, read one after the other."""

from collections.abc import Iterator
from pathlib import Path

from cycseq.commands.terminal import say
from cycseq.data.dataset import PerturbationData
from cycseq.errors import SettingsError
from cycseq.formats.catalog import DataSet, dataset, fetch
from cycseq.formats.settings import CorpusSettings
from cycseq.io.download import DownloadSettings


def read_parts(
    parts: list[DataSet], downloading: DownloadSettings, file: Path | None
) -> Iterator[tuple[DataSet, PerturbationData]]:
    """The cells of these data sets, each as it is asked for; raises `SettingsError` if one needs a file of the user's and none is given."""
    for part in parts:
        if part.file_needed and file is None:
            others = ",".join(other.name for other in parts if not other.file_needed)
            msg = f"{part.name} needs a log-in: use --file {part.file_help} Or go without it: --datasets {others}."
            raise SettingsError(msg)
    for part in parts:
        say(f"reading {part.name}")
        yield part, fetch(part, downloading, file if part.file_needed else None)


def description(data: DataSet) -> list[str]:
    """What is known of a data set, a line each."""
    lines = [
        data.name,
        f"  what: {data.what}",
        f"  method: {data.method}",
        f"  publication: {data.publication}",
        f"  download: {data.size}",
        f"  labels: {data.labels}",
        f"  layout known from: {data.checked}",
    ]
    if data.file_help:
        need = "needed" if data.file_needed else "instead of some downloads"
        lines.append(f"  --file ({need}): {data.file_help}")
    hashed = sum(file.known_hash is not None for file in data.files)
    lines += [f"  files: {len(data.files)}, {hashed} of them with a published hash"]
    return lines + [f"    {file.url}" for file in data.files]


def corpus_description(settings: CorpusSettings, name: str) -> list[str]:
    """What the corpus of that name is made of."""
    steps = ["common genes", *["ComBat"] * settings.combat, *["metacells"] * settings.metacells]
    parts = [f"  {part}: {dataset(part).what}" for part in settings.datasets]
    return [f"{name}: the first CycSeq's corpus ({', '.join(steps)}), {len(parts)} data sets", *parts]
