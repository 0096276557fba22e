"""Names of genes that do not agree: with another file's, or with those of the perturbed genes. What to say of it, and the likely cause."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence

from cycseq.data.spellings import VERSION, plain, visible
from cycseq.data.usual_names import EXPONENT
from cycseq.errors import DataError, count_of, join_names

MONTHS = "Feb|Mar|Apr|Sept?|Oct|Nov|Dec"
DATE = re.compile(
    rf"\d{{1,2}}-(?:{MONTHS})(?:-\d+)?|(?:{MONTHS})-\d{{1,2}}|\d{{4}}-\d\d-\d\d(?: 00:00:00)?", re.IGNORECASE
)
GENOME = re.compile(r"(?:GRCh\d\d|GRCm\d\d|hg\d\d|mm\d+)_+(?=\w)", re.IGNORECASE)
"""The genome that Cell Ranger writes before the genes of a reference of several."""
BESIDE = re.compile(r"[_|](?:ENS[A-Z]*G\d+(?:\.\d+)?|\d+)$")  # an identifier behind a symbol
MIN_GENES = 10  # so many genes in common, at least, once a difference in spelling is removed, tell that it is the cause
SHOWN = 5
BARCODE = re.compile(r"[ACGT]{12,}(?![A-Z])")


def why_genes_differ(one: Sequence[str], two: Sequence[str]) -> str:
    """A guess, as a sentence, why two lists of genes have hardly any in common.

    Examples
    --------
    >>> human = [f"GENE{i}" for i in range(20)]
    >>> why_genes_differ(human, [name.capitalize() for name in human])
    'They differ in upper and lower case (human and mouse symbols?): write them alike in both files.'
    """
    common = len({*one} & {*two})

    def agree(spelling: Callable[[str], str]) -> bool:
        return len({*map(spelling, one)} & {*map(spelling, two)}) - common >= min(MIN_GENES, len(one), len(two))

    if are_identifiers(one) != are_identifiers(two):
        return "One uses Ensembl identifiers and the other symbols: name the genes alike in both files."
    if agree(lambda name: name.partition(".")[0]):
        return "They differ in the version after the dot of the identifiers: remove it in both files."
    if agree(str.casefold):
        return "They differ in upper and lower case (human and mouse symbols?): write them alike in both files."
    return "Are they of one species, and named by the same kind of identifier?"


def note_perturbed_genes(perturbed: Collection[str], genes: Sequence[str]) -> str:
    """What to say where perturbed genes are not among the genes; empty where all are, or none is (drugs, cytokines).

    Parts of combinations stand apart in `perturbed`, without doses and times.

    Examples
    --------
    >>> note_perturbed_genes({"KLF1", "BAK1", "TP53"}, ["KLF1", "BAK1"])
    '1 of 3 perturbations names no gene of the data (TP53)'
    >>> note_perturbed_genes({"panobinostat"}, ["KLF1", "BAK1"])
    ''
    >>> note_perturbed_genes({"KLF1"}, ["Klf1", "Bak1"])
    '1 of 1 perturbation differs from a gene of the data in upper and lower case alone (KLF1 is Klf1 there): write both alike, or the perturbed gene is scored like any other'
    """
    absent = sorted(set(perturbed) - set(genes))
    if not absent:
        return ""
    of_all = f"of {count_of(len(perturbed), 'perturbation')}"
    for fold, how in (
        (str.casefold, "in upper and lower case alone"),
        (_symbol_alone, "in how it is written"),
    ):
        folded = {fold(gene): gene for gene in genes}
        if respelled := [name for name in absent if fold(name) in folded]:
            pairs = ", ".join(f"{visible(name)} is {visible(folded[fold(name)])} there" for name in respelled[:SHOWN])
            return (
                f"{len(respelled)} {of_all} {'differs from a gene' if len(respelled) == 1 else 'differ from genes'} of the data {how} ({pairs}): "
                "write both alike, or the perturbed gene is scored like any other"
            )
    if len(absent) == len(perturbed) and not are_identifiers(genes):
        return ""
    return f"{len(absent)} {of_all} {'names' if len(absent) == 1 else 'name'} no gene of the data ({join_names(absent, SHOWN)})"


def _symbol_alone(name: str) -> str:
    """The symbol or identifier without genome, version, a second identifier, or what is not seen; in lower case."""
    return VERSION.sub(r"\1", BESIDE.sub("", GENOME.sub("", plain(name))).casefold())


def note_dates(names: Iterable[str], what: str = "gene") -> str:
    """What to say of genes that are called like a day or a number: spreadsheets make such names of symbols; empty where none is.

    Examples
    --------
    >>> note_dates(["KLF1", "1-Mar", "2-Sep"])
    '2 genes are called like a day (1-Mar, 2-Sep), which a spreadsheet makes of symbols such as MARCH1 and SEPT2: give their symbols'
    """
    names = list(names)
    kinds = ((DATE, "day", "MARCH1 and SEPT2"), (EXPONENT, "number", "2310009E13"))
    found = [
        (kind, examples, alike) for sign, kind, examples in kinds if (alike := list(filter(sign.fullmatch, names)))
    ]
    return "; ".join(
        f"{count_of(len(alike), f'{what} is', f'{what}s are')} called like a {kind} ({join_names(alike, SHOWN)}), which a spreadsheet makes of "
        f"symbols such as {examples}: give their symbols"
        for kind, examples, alike in found
    )


def check_genes_are_no_cells(genes: Sequence[str]) -> None:
    """Raise `DataError` where most genes bear barcodes: a matrix that was turned."""
    n_barcodes = sum(BARCODE.match(gene) is not None for gene in genes)
    if n_barcodes * 2 > len(genes):
        msg = f"{n_barcodes:,} of {len(genes):,} genes are called like cells (first: {genes[0]}): the matrix lies the other way round. Turn it (adata.T), with the labels on the side of the cells."
        raise DataError(msg)


def are_identifiers(genes: Iterable[str]) -> bool:
    """Whether most of the first genes are named by Ensembl identifiers."""
    first = list(genes)[:100]
    return sum(bool(re.match(r"ENS[A-Z]*G\d{6}", gene)) for gene in first) * 2 > len(first)
