"""The catalogue of knowledge: one row for each public source, and `load_sources`, which takes what is at hand."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cycseq.errors import FileError, unknown_name
from cycseq.io.download import DownloadSettings, RemoteFile, download
from cycseq.io.files import atomic_write
from cycseq.knowledge.aliases import read_aliases
from cycseq.knowledge.read import READERS, read_sources
from cycseq.knowledge.source import Source

FOLDER, ADDED, AUTO = "knowledge", "added", "auto"
"""Of the cache: where knowledge lies, where what users add lies in it; and the name that stands for all of it."""


@dataclass(frozen=True)
class Knowledge:
    """One row of the catalogue."""

    name: str
    what: str
    """In one line."""
    version: str
    """``current``: the publisher replaces the file in place; the checksum of the first download is kept then."""
    licence: str
    publication: str
    files: tuple[RemoteFile, ...]
    """The first is read; the others lie beside it."""

    def paths(self, cache: Path) -> list[Path]:
        """Where its files lie in the cache."""
        return [cache / file.name for file in self.files]

    def fetch(self, settings: DownloadSettings | None = None) -> Path:
        """Download what is not in the cache, check all of it, and say where the file lies that is read."""
        paths = [download(file, settings) for file in self.files]
        return paths[0]


def _row(
    name: str,
    what: str,
    *urls: str,
    version: str,
    licence: str,
    publication: str,
    file: str | None = None,
    known_hash: str | None = None,
) -> Knowledge:
    """A row whose files keep their publisher's names; ``file`` and the hash are those of the first."""
    first = RemoteFile(urls[0], f"{FOLDER}/{name}/{file or urls[0].rpartition('/')[2]}", known_hash)
    beside = [RemoteFile(url, f"{FOLDER}/{name}/{url.rpartition('/')[2]}") for url in urls[1:]]
    return Knowledge(name, what, version, licence, publication, (first, *beside))


STRING = "https://stringdb-downloads.org/download"
ROWS = (
    _row(
        "go", "Gene Ontology: terms of human genes, with all terms above them.",
        "https://current.geneontology.org/annotations/goa_human.gaf.gz",
        "https://current.geneontology.org/ontology/go-basic.obo",
        version="current", licence="CC BY 4.0",
        publication="The Gene Ontology Consortium 2023, doi:10.1093/genetics/iyad031",
    ),
    _row(
        "reactome", "Reactome: pathways of human genes.",
        "https://reactome.org/download/current/ReactomePathways.gmt.zip",
        version="current", licence="CC0",
        publication="Milacic et al. 2024, doi:10.1093/nar/gkad1025",
    ),
    _row(
        "corum", "CORUM: protein complexes of human genes.",
        "https://zenodo.org/records/17419058/files/corum_humanComplexes.txt",
        version="5", licence="CC BY-NC 4.0 (non-commercial use only)",
        publication="Steinkamp et al. 2025, doi:10.1093/nar/gkae1033",
    ),
    _row(
        "string", "STRING: how surely two human proteins work together, by all evidence.",
        f"{STRING}/protein.links.v12.0/9606.protein.links.v12.0.txt.gz",
        f"{STRING}/protein.info.v12.0/9606.protein.info.v12.0.txt.gz",
        version="12.0", licence="CC BY 4.0",
        publication="Szklarczyk et al. 2023, doi:10.1093/nar/gkac1000",
    ),
    _row(
        "depmap", "DepMap: what knocking out a gene does to the growth of 1,178 cancer lines (Chronos gene effect).",
        "https://plus.figshare.com/ndownloader/files/51064667",
        version="24Q4", licence="CC BY 4.0",
        publication="DepMap, Broad 2024, doi:10.25452/figshare.plus.27993248.v1",
        file="CRISPRGeneEffect.csv", known_hash="md5:6edf7ade09b9b34199210b559d4745d3",
    ),
    _row(
        "collectri", "CollecTRI: transcription factors and the genes that they activate or repress.",
        "https://rescued.omnipathdb.org/CollecTRI.csv",
        version="2023", licence="of each of its 12 resources (github.com/saezlab/CollecTRI)",
        publication="Mueller-Dott et al. 2023, doi:10.1093/nar/gkad841",
        known_hash="sha256:86c90b30f2cc75c189da1f0a8c353d1547287cd656a9fac1c678634285bcb4e0",
    ),
    _row(
        "hgnc", "HGNC: families of human genes (paralogs), and other names of genes, which all sources then understand.",
        "https://storage.googleapis.com/public-download-files/hgnc/tsv/tsv/hgnc_complete_set.txt",
        version="current", licence="CC0",
        publication="Seal et al. 2023, doi:10.1093/nar/gkac888",
    ),
)  # fmt: skip
CATALOGUE = {row.name: row for row in ROWS}  # all rows, by name


def load_sources(names: Sequence[str], settings: DownloadSettings | None = None) -> tuple[Source, ...]:
    """What is known of genes and drugs, from the catalogue and from files.

    Parameters
    ----------
    names
        Each an entry of the catalogue or a table that was added (both must be in the cache: nothing is downloaded here), the
        path of a file, or ``auto`` for all that is in the cache.
    settings
        Where the cache is.

    Returns
    -------
    Sources of distinct names. Where HGNC's table is in the cache, each understands Ensembl and Entrez identifiers and former
    symbols.

    Raises
    ------
    FileError
        If an entry was not fetched, a path does not exist, or a file cannot be read.
    DataError
        If a file holds no knowledge.
    """
    return tuple(source for sources in _sources_by_name(names, settings) for source in sources)


def sources_for(
    names: Sequence[str], perturbations: Sequence[str], settings: DownloadSettings | None = None
) -> tuple[Source, ...]:
    """Of these sources, by `load_sources`, those that know at least one of the perturbations.

    Raises `DataError` if an entry or file that is named, or all at hand together, knows none; it says which naming both seem to
    follow.
    """
    selection: list[Source] = []
    for sources in _sources_by_name(names, settings):
        useful = [source for source in sources if source.knows(perturbations).any()]
        if not useful:
            sources[0].check_knows_some(perturbations)
        selection += useful
    return tuple(selection)


def _sources_by_name(names: Sequence[str], settings: DownloadSettings | None) -> list[list[Source]]:
    """What each name stands for, each source under a name of its own, with aliases where they are at hand."""
    cache = (settings or DownloadSettings()).folder()
    groups = [_sources_of(name, cache) for name in dict.fromkeys(names)]
    counts = Counter(source.name for sources in groups for source in sources)
    (table,) = CATALOGUE["hgnc"].paths(cache)
    aliases = read_aliases(table) if table.exists() else {}

    def distinct(source: Source) -> str:
        return f"{source.name} ({source.facts['file']})" if counts[source.name] > 1 else source.name

    return [[replace(source, name=distinct(source), aliases=aliases) for source in sources] for sources in groups]


def add_file(path: Path, settings: DownloadSettings | None = None, *, overwrite: bool = False) -> str:
    """Copy a file of knowledge into the cache, and say by which name it is loaded from now on.

    Raises `FileError` if the file is missing, cannot be read, is called like another source, or is there already, and `DataError`
    if it holds no knowledge.
    """
    name, cache = path.name.partition(".")[0], (settings or DownloadSettings()).folder()
    target = cache / FOLDER / ADDED / path.name
    if name in {*CATALOGUE, AUTO} or at_hand(cache).get(name, target) != target:
        msg = f"{path} cannot be added: {name} is the name of another source (cycseq knowledge list). Rename the file."
        raise FileError(msg)
    read_sources(path)
    with atomic_write(target, overwrite=overwrite) as part:
        shutil.copyfile(path, part)
    return name


def at_hand(cache: Path) -> dict[str, Path]:
    """Name -> the file that is read, of all entries and added tables that are in the cache."""
    fetched = {row.name: row.paths(cache) for row in ROWS}
    files = sorted(path for path in (cache / FOLDER / ADDED).glob("*") if not path.name.startswith("."))
    return {path.name.partition(".")[0]: path for path in files} | {
        name: paths[0] for name, paths in fetched.items() if all(path.exists() for path in paths)
    }


def _sources_of(name: str, cache: Path) -> tuple[Source, ...]:
    there = at_hand(cache)
    if name == AUTO:
        if not there:
            msg = "no knowledge is at hand: fetch some first (cycseq knowledge list, cycseq knowledge fetch NAME)."
            raise FileError(msg)
        return tuple(source for entry in there for source in _sources_of(entry, cache))
    if name in there:
        row, sources = CATALOGUE.get(name), read_sources(there[name])
        facts = {} if row is None else {"version": row.version, "licence": row.licence}
        return tuple(
            replace(source, name=name if len(sources) == 1 else source.name, facts={**source.facts, **facts})
            for source in sources
        )
    if name in CATALOGUE:
        raise FileError(f"{name} is not in the cache: cycseq knowledge fetch {name} downloads it.")
    if not Path(name).exists() and Path(name).suffix.lstrip(".") not in {*READERS, "gz", "zip"}:
        raise unknown_name(name, "source of knowledge", {**CATALOGUE, **there, AUTO: None}, FileError)
    return read_sources(Path(name))
