"""What each source of knowledge tells of knock-downs that were never measured (Replogle 2022), one left out at a time.

    python benchmarks/knowledge.py

For each source and line: how many knock-downs it knows, the specific cosine of what kernel ridge predicts of each from the others,
and how the cosine goes along (Spearman) with the agreement of the five nearest neighbours, and with their similarity.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from cycseq.formats.effects.read import read_effects
from cycseq.knowledge.catalog import load_sources
from cycseq.knowledge.neighbours import neighbours
from cycseq.models.linear import kernel_ridge

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
FILES = (
    "gene2go_human_withancestors_5to500.csv.gz",
    *(f"knowledge/{name}" for name in ("genesets_corum_gobp_pathway.csv.gz", "depmap_gene_effect_3465genes_121lines.csv.gz",
      "collectri_human.csv.gz", "dorothea_human_tf_targets.csv.gz", "human_paralog_edges_egbench.csv.gz")),
)  # fmt: skip


FEWEST = 40
"""Knock-downs with several neighbours, from which on something can be said of agreement."""


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of rows; 0 where one is 0."""
    length = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return (a * b).sum(axis=1) / np.where(length > 0, length, np.inf)


def main() -> None:
    """Print the table."""
    if not DATA.exists():
        sys.exit(f"{DATA} is absent: this benchmark needs the real tables that lie beside the project.")
    effects = read_effects(DATA / "effects" / "replogle2022_k562_rpe1_uprank.h5ad")
    sources = load_sources([str(DATA / file) for file in FILES])
    near = neighbours(sources, effects, effects.conditions())
    of_all = near.groupby(["source", "context", "perturbation"])[["agreement", "similarity"]].mean()
    rows = []
    for context in effects.contexts:
        here = effects.subset([c for c in effects.conditions() if c.context == context])
        names = [c.perturbation for c in here.conditions()]
        specific = here.effect - here.effect.mean(axis=0)
        kernels = {source.name: source.kernel(names) for source in sources}
        for name, kernel in {**kernels, "all": sum(kernels.values())}.items():
            told = pd.Series(cosines(kernel_ridge(kernel, specific).left_out, specific), index=names)
            row = {
                "source": name,
                "context": context,
                "knows": int((np.diag(kernel) > 0).sum()),
                "specific": told.mean(),
            }
            both = of_all.loc[name, context].join(told.rename("cosine")).dropna() if name in kernels else of_all[:0]
            if len(both) >= FEWEST:
                row |= both.corr("spearman")["cosine"].drop("cosine").to_dict()
                quarter = pd.qcut(both["agreement"], 4, labels=False)
                row |= {
                    "lowest quarter": both["cosine"][quarter == 0].mean(),
                    "highest quarter": both["cosine"][quarter == 3].mean(),
                }
            rows.append(row)
    print(pd.DataFrame(rows).round(3).to_string(index=False))


if __name__ == "__main__":
    main()
