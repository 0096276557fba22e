"""Names of genes and drugs: which row of a source a perturbation means, and which naming a list of names follows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from cycseq.data.condition import Condition

Aliases = Mapping[str, str]
"""Other names of genes (Ensembl and Entrez identifiers, previous symbols) -> current symbol, all in lower case."""

_VERSION = re.compile(r"^(ens[a-z]*\d+)\.\d+$")
NAMINGS = {
    "Ensembl identifiers of mouse genes": r"ENSMUSG\d{11}(\.\d+)?",
    "Ensembl identifiers of proteins": r"(\d+\.)?ENS[A-Z]*P\d{11}(\.\d+)?",
    "Ensembl identifiers of genes": r"ENS[A-Z]*G\d{11}(\.\d+)?",
    "Entrez identifiers": r"\d+",
    "human gene symbols": r"[A-Z][A-Z0-9]*([-.][A-Z0-9]+)*|C\d+orf\d+",
    "mouse gene symbols": r"[A-Z][a-z]+[a-z0-9]*([-.][A-Za-z0-9]+)*|[A-Z][a-z]*\d+[a-z]+\d*",
}
"""Naming in words -> the pattern of its names, the narrowest first."""
MOSTLY = 0.6  # share of names that must follow a naming for the list to be called by it


def canonical(name: str, aliases: Aliases) -> str:
    """The name that all ways to write a gene share: lower case, without an Ensembl version, the current symbol."""
    folded = name.strip().casefold()
    if folded.startswith("ens"):
        folded = _VERSION.sub(r"\1", folded)
    return aliases.get(folded, folded)


def places_of_names(names: Sequence[str], aliases: Aliases) -> dict[str, int]:
    """Canonical name -> row. Of several rows with one canonical name, that which bears the current symbol, else the first."""
    places: dict[str, int] = {}
    for row, name in enumerate(names):
        key = canonical(name, aliases)
        if key not in places or (name.casefold() == key != names[places[key]].casefold()):
            places[key] = row
    return places


def aliases_of(names: Sequence[str], aliases: Aliases) -> dict[str, str]:
    """Of the aliases those that some of these names bear or lead to."""
    folded = {canonical(name, {}) for name in names}
    folded |= {aliases[name] for name in folded if name in aliases}
    return {alias: symbol for alias, symbol in aliases.items() if symbol in folded}


def rows_of_parts(perturbation: str, places: Mapping[str, int], aliases: Aliases) -> list[int]:
    """The rows of a perturbation's parts; empty where one has none. Dose and time are not part of a name.

    A name that is listed whole is one part, whatever it holds.
    """
    condition = Condition("", perturbation)
    for whole in (perturbation, condition.agent):
        if (place := places.get(canonical(whole, aliases))) is not None:
            return [place]
    rows = [places.get(canonical(part, aliases)) for part in condition.parts]
    return [] if None in rows else [row for row in rows if row is not None]


def naming_in_words(names: Iterable[str]) -> str:
    """Which naming a list of perturbations follows: one of `NAMINGS`, or names of drugs or of other things."""
    parts = [part for name in names for part in Condition("", name).parts]
    for naming, pattern in NAMINGS.items():
        if sum(re.fullmatch(pattern, part) is not None for part in parts) >= max(MOSTLY * len(parts), 1):
            return naming
    return "names of drugs or of other things that are not genes"
