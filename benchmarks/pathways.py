"""Gene sets of a response: all at once against one after another, in one run.

    python benchmarks/pathways.py [--sets 20000] [--genes 5000] [--naive 500]

One after another is a loop over `--naive` of the sets, scaled up; it ranks the genes once, as `pathway_scores` does.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from scipy.stats import false_discovery_control, rankdata

import cycseq
from cycseq.show.interpretation.pathways import pathway_scores, rank_test


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, usual in (("sets", 20_000), ("genes", 5_000), ("naive", 500)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    options = parser.parse_args()
    settings = cycseq.SimulateSettings(world="low-rank", contexts=1, perturbations=1, cells=220, genes=options.genes)
    data = cycseq.prepare([cycseq.simulate(settings)], cycseq.PrepareSettings(genes="all"))
    rng, genes = np.random.default_rng(0), np.array(data.genes)
    sets = {f"S{i}": list(rng.choice(genes, rng.integers(5, 200), replace=False)) for i in range(options.sets)}
    started = time.perf_counter()
    pathway_scores(data, sets)
    at_once = time.perf_counter() - started
    started = time.perf_counter()
    one_by_one(data, dict(list(sets.items())[: options.naive]))
    naive = (time.perf_counter() - started) * options.sets / options.naive
    print(f"{options.sets:,} sets, 1 condition, {options.genes:,} genes: at once {at_once:.2f} s, ", end="")
    print(f"one after another {naive:.1f} s, {naive / at_once:.0f} times as long")


def one_by_one(data: cycseq.PerturbationData, sets: dict[str, list[str]]) -> None:
    means = {condition.is_control: data.moments.mean[i] for i, condition in enumerate(data.conditions())}
    delta = means[False] - means[True]
    perturbed = next(condition for condition in data.conditions() if not condition.is_control)
    kept = np.setdiff1d(np.arange(len(delta)), data.targets(perturbed))
    ranks, places, p = np.full(len(delta), np.nan), data.adata.var_names, []
    ranks[kept] = rankdata(delta[kept])
    for genes in sets.values():
        members = np.intersect1d(places.get_indexer(genes), kept)
        z, p_of_set = rank_test(ranks[members].sum()[None], np.array([len(members)]), ranks[kept], 0.01)
        order = members[np.argsort(-np.sign(z[0] or 1.0) * delta[members], kind="stable")]
        p.append((p_of_set[0], delta[members].mean(), ";".join(places[order[:5]])))
    false_discovery_control([row[0] for row in p])


if __name__ == "__main__":
    main()
