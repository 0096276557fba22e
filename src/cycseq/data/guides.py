"""Labels that name guides (`KLF1_g1`, `sgKLF1-2`): how they are recognised, and the gene of each."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable

from cycseq.data.usual_names import kind_of_control
from cycseq.errors import DataError, SettingsError

AUTO = "auto"
STRONG = (
    re.compile(r"(?P<gene>.+?)_[-+]_\d+(?:\.\d+)?(?:-P\w+)?"),  # KLF1_+_12996.23-P1P2
    re.compile(r"(?P<gene>.+?)[ _.-](?:sg|g|guide|grna|sgrna|crrna|shrna|sh)[ _.-]?\d+", re.IGNORECASE),  # KLF1-sg1
    re.compile(r"(?P<gene>[A-Z][A-Z0-9.-]+)(?:g|sg|guide)\d+"),  # IFNGR1g1: no symbol ends so after capitals
    re.compile(r"(?:sg|sh)(?:RNA)?[ _.-]?(?P<gene>[A-Z].*?)(?:[ _.-](?:g|guide)?\d+)?"),  # sgKLF1_1
)
"""Forms that no gene symbol has: a marker of guides set off from the symbol."""
WEAK = (
    re.compile(r"(?P<gene>.+?)(?:g|sg|guide)\d+"),  # Ifngr1g1
    re.compile(r"(?P<gene>.+?)[ _.-]\d+"),  # KLF1_1
)
"""Forms that symbols have as well (Rag1, NKX2-1): a gene of the data must stand before them."""
FEWEST_GENES = 2
"""So many genes must have several guides for ``KLF1_1`` to be one where the data lack the perturbed genes."""


def find_guides(labels: Iterable[str], genes: Collection[str]) -> dict[str, str]:
    """The gene of every label that names a guide; labels that are a gene's symbol themselves are none.

    Parameters
    ----------
    labels
        Single perturbations, no combinations.
    genes
        The genes of the data, by which ``NKX2-1`` (a gene) is told from ``KLF1-1`` (a guide).
    """
    labels, known = list(labels), set(genes)
    found = {label: gene for label in labels if label not in known and (gene := _of(STRONG, label)) is not None}
    weak = {
        label: gene for label in labels if label not in known | set(found) and (gene := _of(WEAK, label)) is not None
    }
    guides: dict[str, list[str]] = defaultdict(list)
    for label, gene in weak.items():
        if re.fullmatch(r"[A-Za-z][A-Za-z0-9.-]*_\d+", label):
            guides[gene].append(label)
    several = {gene for gene, its in guides.items() if len(its) > 1}
    numbered = several if len(several) >= FEWEST_GENES and not known.intersection(labels) else set()
    return found | {label: gene for label, gene in weak.items() if gene in known or gene in numbered}


def genes_of_guides(labels: Iterable[str], suffix: str, genes: Collection[str]) -> dict[str, str]:
    r"""The gene of every label that names a guide, by what the user said that guides end in.

    Parameters
    ----------
    labels
        Single perturbations, no combinations.
    suffix
        A regular expression that fits the end of a label (``_g\\d+``), or ``auto`` to find guides by their usual forms.
    genes
        As of `find_guides`.

    Raises
    ------
    SettingsError
        If the suffix is no regular expression.
    DataError
        If no label names a guide.
    """
    labels = list(labels)
    if suffix == AUTO:
        found = find_guides(labels, genes)
    else:
        try:
            ending = re.compile(f"(?P<gene>.+?)(?:{suffix})")
        except re.error as err:
            msg = f"--guide-suffix {suffix} is no regular expression ({err}): for KLF1_g1 say --guide-suffix '_g\\d+'."
            raise SettingsError(msg) from err
        found = {label: gene for label in labels if (gene := _of((ending,), label)) is not None}
    if not found:
        msg = (
            f"--guide-suffix {suffix} fits none of the {len(labels):,} perturbations ({', '.join(labels[:3])}"
            f"{', ...' if len(labels) > 3 else ''}): leave it out, or say what guides end in, for KLF1_g1 '_g\\d+'."
        )
        raise DataError(msg)
    return found


def joined(labels: Iterable[str], suffix: str | None, genes: Collection[str]) -> tuple[dict[str, str], str]:
    """The gene of each label, or part of a combination, that is to become one; and what to say of guides.

    Guides are joined only where that was asked for: without a suffix, it is said that labels look like guides.

    Parameters
    ----------
    labels
        Perturbations; combinations are joined by ``+``.
    suffix, genes
        As of `genes_of_guides`.
    """
    labels = list(labels)
    whole = {label for label in labels if STRONG[0].fullmatch(label)}  # KLF1_+_12996.23 is no combination
    parts = dict.fromkeys(p.strip() for label in labels for p in ([label] if label in whole else label.split("+")))
    single = [part for part in parts if part and not kind_of_control(part)]
    found = find_guides(single, genes) if suffix is None else genes_of_guides(single, suffix, genes)
    if not found:
        return {}, ""
    n_genes = len(set(found.values()))
    extent = f"{len(found):,} {_noun('label', len(found))}, {n_genes:,} {_noun('gene', n_genes)}"
    gene = next(iter(found.values()))
    of_gene = [label for label, of in found.items() if of == gene]
    example = f"{', '.join(of_gene[:3])}{', ...' if len(of_gene) > 3 else ''}"
    if suffix is not None:
        return found, f"guides were joined to their genes: {example} -> {gene} ({extent})"
    return {}, (
        f"labels look like guides: {example} of {gene} ({extent}). Each is a perturbation of its own here; "
        "--guide-suffix auto joins the guides of a gene"
    )


def _noun(noun: str, n: int) -> str:
    return noun if n == 1 else f"{noun}s"


def _of(forms: Iterable[re.Pattern[str]], label: str) -> str | None:
    """The gene by the first form that the whole label has."""
    fit = next((fit for form in forms if (fit := form.fullmatch(label))), None)
    return fit["gene"].rstrip(" _.-") or None if fit else None
