"""The Gene Ontology as its consortium publishes it: annotations (GAF), and the ontology (OBO), whose terms have parents."""

from __future__ import annotations

from io import StringIO

import pandas as pd

SYMBOL, QUALIFIER, TERM = 2, 3, 4  # columns of GAF 2.2


def annotation_table(gaf: str, obo: str | None) -> pd.DataFrame:
    """Columns `symbol` and `go_id`, a row for each gene and term; with an ontology also for all terms above.

    The lines are GAF 2.1 or 2.2; what is annotated as NOT is left out.
    """
    frame = pd.read_csv(StringIO(gaf), sep="\t", comment="!", header=None, usecols=[SYMBOL, QUALIFIER, TERM], dtype=str)
    frame = frame[~frame[QUALIFIER].fillna("").str.contains("NOT")]
    pairs = pd.DataFrame({"symbol": frame[SYMBOL], "go_id": frame[TERM]}).drop_duplicates()
    if obo is None:
        return pairs
    parents = parents_of_terms(obo)
    above: dict[str, list[str]] = {}
    for term in pairs["go_id"].unique():
        reached, waiting = {term}, [term]
        while waiting:
            new = parents.get(waiting.pop(), set()) - reached
            reached |= new
            waiting += new
        above[term] = sorted(reached)
    return pairs.assign(go_id=pairs["go_id"].map(above)).explode("go_id").drop_duplicates(ignore_index=True)


def parents_of_terms(obo: str) -> dict[str, set[str]]:
    """Term -> the terms directly above it, by `is_a` and `part_of`."""
    parents: dict[str, set[str]] = {}
    term = ""
    for line in obo.splitlines():
        if line.startswith("["):
            term = ""
        elif line.startswith("id: "):
            term = line[4:].strip()
        elif term and line.startswith(("is_a: ", "relationship: part_of ")):
            parent = line.removeprefix("is_a: ").removeprefix("relationship: part_of ").split()[0]
            parents.setdefault(term, set()).add(parent)
    return parents
