"""Names that look alike and are not the same: letters of other alphabets, blanks, dashes, invisible characters, upper and lower case."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from cycseq.errors import count_of

LATIN = str.maketrans(
    "АВЕКМНОРСТУХІЈЅаеорсухіјѕΑΒΕΖΗΙΚΜΝΟΡΤΥΧοαβγδκμ\u2212ı",  # noqa: RUF001
    "ABEKMHOPCTYXIJSaeopcyxijsABEZHIKMNOPTYXoabgdku-i",
)
"""Letters and signs of other alphabets, and the Latin ones for which they stand: Cyrillic, Greek, and the sign for minus."""
VERSION = re.compile(r"(ens[a-z]*g\d{6,})\.\d+")
"""An Ensembl identifier of a gene with its version."""
SEPARATOR = re.compile(r"(?<=[^\W_])[\s_./-]+(?=[^\W\d_])|(?<=[^\W\d_])[\s_./-]+(?=[^\W_])")
"""What may stand between two letters, or a letter and a digit, without telling names apart (MCF-7, MCF 7, MCF7)."""
MANY_ALIKE = 10  # many annotations have fewer genes that are alike
SHOWN = 5
INVISIBLE, DASH = "Cf", "Pd"  # categories of Unicode


def plain(name: str) -> str:
    r"""The name without what is not seen: in composed Latin letters, with single blanks and plain dashes.

    Examples
    --------
    >>> plain("IL\u20116\u200b"), plain("\u041aLF1"), plain("drug\u00a0 1\u00b5M")
    ('IL-6', 'KLF1', 'drug 1uM')
    """
    if name.isascii():  # as nearly all names: there is nothing to compose or to leave out
        return " ".join(name.split())
    text = "".join(
        "-" if kind == DASH else "" if kind == INVISIBLE else letter
        for letter, kind in ((letter, unicodedata.category(letter)) for letter in unicodedata.normalize("NFKC", name))
    )
    return " ".join(text.translate(LATIN).split())


def spelling(name: str) -> str:
    """What names share that differ in what is not seen, in case, in separators, or in how a number or a version is written.

    Examples
    --------
    >>> spelling("MCF-7") == spelling("mcf 7"), spelling("KLF1_1") == spelling("KLF11"), spelling("01") == spelling("1.0")
    (True, False, True)
    """
    text = plain(name).casefold()
    try:
        return f"{float(text.replace('_', 'x')):.12g}"
    except ValueError:
        return SEPARATOR.sub("", VERSION.sub(r"\1", text))


def note_spellings(names: Iterable[str], what: str) -> list[str]:
    r"""A note where names are alike but for how they are written: each counts as one of its own, and seldom is.

    Examples
    --------
    >>> note_spellings(["K562", "k562", "RPE1"], "contexts")
    ['contexts differ in upper and lower case alone (K562, k562): each is one of its own here, write them alike if they are the same']
    >>> note_spellings(["MCF7", "MCF-7", "A549", "A549\u200b"], "contexts")
    ["contexts look alike (A549, 'A549\\u200b'; MCF-7, MCF7): each is one of its own here, write them alike if they are the same"]
    """
    by_spelling: dict[str, list[str]] = {}
    for name in names:
        by_spelling.setdefault(spelling(name), []).append(name)
    alike = sorted(sorted(group) for group in by_spelling.values() if len(group) > 1)
    if not alike:
        return []
    case_alone = all(len({name.lower() for name in group}) == 1 for group in alike)
    differ = "differ in upper and lower case alone" if case_alone else "look alike"
    shown = "; ".join(", ".join(map(visible, group)) for group in alike[:SHOWN])
    more = f"; {len(alike) - SHOWN} more" if len(alike) > SHOWN else ""
    return [f"{what} {differ} ({shown}{more}): each is one of its own here, write them alike if they are the same"]


def note_genes_alike(genes: Iterable[str]) -> str:
    """What to say where many genes are alike but for case or the version of their identifier; empty where few are.

    Examples
    --------
    >>> note_genes_alike([f"GENE{i}" for i in range(20)] + [f"Gene{i}" for i in range(20)])[:62]
    '20 genes are named like another but for case or version (GENE0'
    """
    by_spelling: dict[str, list[str]] = {}
    for gene in genes:
        by_spelling.setdefault(VERSION.sub(r"\1", plain(gene).casefold()), []).append(gene)
    alike = [group for group in by_spelling.values() if len(group) > 1]
    if len(alike) < min(MANY_ALIKE, 1 + len(by_spelling) // 2):
        return ""
    shown = "; ".join(", ".join(map(visible, group)) for group in alike[:SHOWN])
    return (
        f"{count_of(len(alike), 'gene is', 'genes are')} named like another but for case or version ({shown}), as where data of two species or "
        "annotations were joined: each is one of its own here"
    )


def visible(name: str) -> str:
    """The name; in quotes, with escapes, where it holds what is not plain."""
    return name if name.isascii() and name == plain(name) else ascii(name)
