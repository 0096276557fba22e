"""Other names of genes, from the table of the HUGO Gene Nomenclature Committee (HGNC)."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from cycseq.formats.readers.base import as_read_error, read_csv
from cycseq.io.files import require_file

IDENTIFIERS = ("ensembl_gene_id", "entrez_id", "hgnc_id")
OTHER_SYMBOLS = ("prev_symbol", "alias_symbol")
"""Columns of other symbols, separated by ``|``; what was once a gene's own symbol counts before what it is called besides."""


def read_aliases(path: Path) -> dict[str, str]:
    """Other name -> current symbol, both in lower case.

    A name that is the current symbol of a gene stays that gene's; one that two genes share is nobody's. Raises `FileError` if the
    file is missing, cannot be read, or is not a table of HGNC.
    """
    return dict(_read_once(path, require_file(path).stat().st_mtime_ns))


@lru_cache(maxsize=1)
def _read_once(path: Path, _changed: int) -> dict[str, str]:
    expected = f"HGNC's complete set, tab separated, with symbol and {', '.join((*IDENTIFIERS[:1], *OTHER_SYMBOLS))}"
    with as_read_error(path, f"a table of gene names ({expected})"):
        table = read_csv(path, "\t", dtype=str).rename(columns=str.casefold)
        symbols = table["symbol"].str.casefold()
        columns = {name: table[name].dropna().str.casefold() for name in (*IDENTIFIERS, *OTHER_SYMBOLS)}
    aliases: dict[str, str] = {}
    names_in_use = set(symbols)
    for column in columns.values():
        names = column.str.split("|", regex=False).explode().str.strip()
        single = names[~names.isin(names_in_use) & ~names.duplicated(keep=False)]
        aliases |= dict(zip(single, symbols[single.index], strict=True))
        names_in_use |= set(names)
    return aliases
