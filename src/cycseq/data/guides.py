"""Labels that name guides (`KLF1_g1`, `sgKLF1-2`): how they are recognised, and the gene of each."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from cycseq.data.treatments import LEVELS, parse_dose, parse_hours
from cycseq.data.usual_names import kind_of_control
from cycseq.errors import DataError, SettingsError, count_of, join_names

AUTO = "auto"
STRONG = (
    re.compile(r"(?P<gene>.+?)_[-+]_\d+(?:\.\d+)?(?:-P\w+)?"),  # KLF1_+_12996.23-P1P2
    re.compile(r"(?P<gene>.+?)[ _.:-](?:sg|g|guide|grna|sgrna|crrna|shrna|sh)[ _.-]?\d+", re.IGNORECASE),  # KLF1-sg1
    re.compile(r"(?P<gene>.+?)[ _.:-](?:guide|grna|sgrna)[ _.-]?[A-D]", re.IGNORECASE),  # KLF1_guideA
    re.compile(r"(?P<gene>.+?)[ _.:-][ACGT]{17,25}"),  # KLF1_ACGTTGCAACGTTGCAACGT
    re.compile(r"(?P<gene>.+?)_(?:P1P2|P1|P2)(?:[ _-]\d+)?"),  # KLF1_P1P2_1
    re.compile(r"(?:sg|g|guide)\d+[ _.:-](?P<gene>[A-Z].*)"),  # g1_KLF1
    re.compile(r"chr(?:\d+|[XYM])[:_]\d+(?:-\d+)?[ _:-](?:[+-][ _:-])?(?P<gene>[A-Z].*)"),  # chr19:12884423_KLF1
    re.compile(r"(?P<gene>[A-Z][A-Z0-9.-]+)(?:g|sg|guide)\d+"),  # IFNGR1g1: no symbol ends so after capitals
    re.compile(r"(?:sg|sh)(?:RNA)?[ _.-]?(?P<gene>[A-Z].*?)(?:[ _.-](?:g|guide)?\d+)?"),  # sgKLF1_1
)
"""Forms that no gene symbol has: a marker of guides set off from the symbol."""
WEAK = (
    re.compile(r"(?P<gene>.+?)(?:g|sg|guide)\d+"),  # Ifngr1g1
    re.compile(r"(?P<gene>.+?)[ _.-]\d+"),  # KLF1_1
)
"""Forms that symbols have as well (Rag1, NKX2-1): a gene of the data must stand before them."""
JOINS = (" and ", "--", "_", ",", ";", "|", "&", "/", ":", "-", " ")  # by which tools join the parts of a combination
SEPARATION = re.compile(r"[ _.:#(-]+")  # what may stand between a gene and what tells its guides apart
MIN_GENES = 2
"""Where the data lack the perturbed genes, ``KLF1_1`` counts as a guide if at least this many genes have several."""


def find_guides(labels: Iterable[str], genes: Collection[str]) -> dict[str, str]:
    """The gene of every label that names a guide; labels that are a gene's symbol themselves are none.

    No label is a combination; the genes of the data tell ``NKX2-1`` (a gene) from ``KLF1-1`` (a guide).
    """
    labels, symbols = list(labels), set(genes)
    strong = _genes_of(STRONG, (label for label in labels if label not in symbols))
    weak = _genes_of(WEAK, (label for label in labels if label not in symbols and label not in strong))
    n_guides = Counter(gene for label, gene in weak.items() if re.fullmatch(r"[A-Za-z][A-Za-z0-9.-]*_\d+", label))
    several = {gene for gene, n in n_guides.items() if n > 1}
    numbered = several if len(several) >= MIN_GENES and not symbols.intersection(labels) else set()
    known = strong | {label: gene for label, gene in weak.items() if gene in symbols or gene in numbered}
    return known or _by_affix(labels, symbols)


def _by_affix(labels: Sequence[str], symbols: Collection[str]) -> dict[str, str]:
    """The gene of labels that are a gene of the data with something before or behind it (``KLF1.a``, ``KLF1 KO``, ``KLF1(2)``).

    None, unless half of the labels are so, of two genes or more, and a gene has several such labels or several genes have the same
    beside them. Doses, times, levels and controls are none; nor are two genes at once.
    """
    genes: dict[str, str] = {}
    affixes: dict[str, str] = {}
    for label in labels:
        for sign in SEPARATION.finditer(label):
            ends = label[: sign.start()], label[sign.end() :].rstrip(")")
            for gene, affix in (ends, ends[::-1]):
                if gene in symbols and label not in symbols and affix not in symbols and _marks_guides(affix):
                    genes[label], affixes[label] = gene, affix
    n_labels = Counter(genes.values())
    n_genes = Counter(affix for _, affix in {(genes[label], affixes[label]) for label in genes})
    fits = {label: gene for label, gene in genes.items() if n_labels[gene] > 1 or n_genes[affixes[label]] > 1}
    return fits if 2 * len(fits) >= len(labels) and len(set(fits.values())) >= MIN_GENES else {}


def _marks_guides(affix: str) -> bool:
    """Whether what stands beside a gene may tell guides apart: no dose, time, level or control."""
    dose = parse_dose(affix)
    is_amount = bool(dose and dose.unit) or (parse_hours(affix) is not None and not affix.isdigit())
    return bool(affix) and not is_amount and affix.casefold() not in LEVELS and kind_of_control(affix) is None


def genes_of_guides(labels: Iterable[str], suffix: str, genes: Collection[str]) -> dict[str, str]:
    r"""The gene of every label that names a guide, by the ending of guides that the user gave.

    The suffix is a regular expression that fits the end of a label (``_g\\d+``), or ``auto`` for the usual forms of guides
    (`find_guides`). Raises `SettingsError` if the suffix is not a regular expression, and `DataError` if no label names a guide.
    """
    labels = list(labels)
    if suffix == AUTO:
        guides = find_guides(labels, genes)
    else:
        try:
            ending = re.compile(f"(?P<gene>.+?)(?:{suffix})")
        except re.error as err:
            raise SettingsError(
                f"--guide-suffix {suffix} is not a regular expression ({err}): for KLF1_g1 use --guide-suffix '_g\\d+'."
            ) from err
        guides = _genes_of((ending,), labels)
    if not guides:
        raise DataError(
            f"--guide-suffix {suffix} fits none of the {count_of(len(labels), 'perturbation')} ({join_names(labels, 3)}): "
            f"leave it out, or give the ending of the guides, for KLF1_g1 '_g\\d+'."
        )
    return guides


def note_combinations(labels: Iterable[str], genes: Collection[str]) -> str:
    """What to say of labels that join genes of the data, or other labels, by another sign than ``+``; empty where none does.

    Examples
    --------
    >>> note_combinations(["KLF1_BAK1", "KLF1"], ["KLF1", "BAK1"])
    "labels look like combinations joined by '_': KLF1_BAK1 (1 label). Each is one perturbation here: write KLF1+BAK1 for two at once"
    """
    labels = list(labels)
    names = {*genes, *labels}
    for sign in JOINS:
        parts = {label: [part.strip() for part in label.split(sign)] for label in labels if sign in label}
        joined = [
            label
            for label in parts
            if label not in genes and all(part in names or kind_of_control(part) for part in parts[label])
        ]
        if joined:
            return (
                f"labels look like combinations joined by {sign!r}: {join_names(joined, 3)} ({count_of(len(joined), 'label')}). Each is "
                f"one perturbation here: write {'+'.join(parts[joined[0]])} for two at once"
            )
    return ""


def join_guides(labels: Iterable[str], suffix: str | None, genes: Collection[str]) -> tuple[dict[str, str], str]:
    """The gene of each label, or part of a combination, that is to become one; and the note on guides.

    Without a suffix no guides are joined, and the note says that labels look like guides.
    """
    labels = list(labels)
    uncut = {label for label in labels if STRONG[0].fullmatch(label)}  # KLF1_+_12996.23 is not a combination
    parts = dict.fromkeys(p.strip() for label in labels for p in ([label] if label in uncut else label.split("+")))
    single = [part for part in parts if part and not kind_of_control(part)]
    guides = find_guides(single, genes) if suffix is None else genes_of_guides(single, suffix, genes)
    if not guides:
        return {}, ""
    extent = f"{count_of(len(guides), 'label')}, {count_of(len(set(guides.values())), 'gene')}"
    gene = next(iter(guides.values()))
    example = join_names([label for label, target in guides.items() if target == gene], 3)
    if suffix is not None:
        return guides, f"guides were joined to their genes: {example} -> {gene} ({extent})"
    return {}, (
        f"labels look like guides: {example} of {gene} ({extent}). Each is a perturbation of its own here; "
        "--guide-suffix auto joins the guides of a gene"
    )


def _genes_of(forms: Iterable[re.Pattern[str]], labels: Iterable[str]) -> dict[str, str]:
    """The gene of every label, by the first form that the whole label has; labels of no form are left out."""
    fits = ((label, next((fit for form in forms if (fit := form.fullmatch(label))), None)) for label in labels)
    genes = {label: fit["gene"].rstrip(" _.-") for label, fit in fits if fit}
    return {label: gene for label, gene in genes.items() if gene}
