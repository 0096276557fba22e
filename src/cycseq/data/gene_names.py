"""Names of genes that do not agree: with another file's, or with those of the perturbed genes. What to say of it, and the likely cause."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence

from cycseq.errors import count_of, join_names

MONTHS = "Feb|Mar|Apr|Sept?|Oct|Nov|Dec"
DATE = re.compile(
    rf"\d{{1,2}}-(?:{MONTHS})(?:-\d+)?|(?:{MONTHS})-\d{{1,2}}|\d{{4}}-\d\d-\d\d(?: 00:00:00)?", re.IGNORECASE
)
MIN_GENES = 10  # so many genes in common, at least, once a difference in spelling is removed, tell that it is the cause
SHOWN = 5


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
    folded = {gene.casefold(): gene for gene in genes}
    if respelled := [name for name in absent if name.casefold() in folded]:
        pairs = ", ".join(f"{name} is {folded[name.casefold()]} there" for name in respelled[:SHOWN])
        return (
            f"{len(respelled)} {of_all} {'differs from a gene' if len(respelled) == 1 else 'differ from genes'} of the data in upper and lower "
            f"case alone ({pairs}): write both alike, or the perturbed gene is scored like any other"
        )
    if len(absent) == len(perturbed) and not are_identifiers(genes):
        return ""
    return f"{len(absent)} {of_all} {'names' if len(absent) == 1 else 'name'} no gene of the data ({join_names(absent, SHOWN)})"


def note_dates(genes: Iterable[str]) -> str:
    """What to say of genes that are called like a day: spreadsheets make such names of symbols; empty where there are none.

    Examples
    --------
    >>> note_dates(["KLF1", "1-Mar", "2-Sep"])
    '2 genes are called like a day (1-Mar, 2-Sep), which a spreadsheet makes of symbols such as MARCH1 and SEPT2: give their symbols'
    """
    dates = [gene for gene in genes if DATE.fullmatch(gene)]
    if not dates:
        return ""
    return (
        f"{count_of(len(dates), 'gene is', 'genes are')} called like a day ({join_names(dates, SHOWN)}), which a spreadsheet makes of symbols "
        "such as MARCH1 and SEPT2: give their symbols"
    )


def are_identifiers(genes: Iterable[str]) -> bool:
    """Whether most of the first genes are named by Ensembl identifiers."""
    first = list(genes)[:100]
    return sum(bool(re.match(r"ENS[A-Z]*G\d{6}", gene)) for gene in first) * 2 > len(first)
