"""Interferon-beta in blood cells (Kang 2018), each type held out in turn: CycSeq and GAN against what is simple.

    python benchmarks/cycseq_kang.py [--genes 1000] [--models CycSeq,GAN] [--seeds 1] [--scores scores.csv]

Nothing of the held-out type but its control cells is seen: variable genes are chosen without its stimulated cells
(`--genes all` takes every gene), another type decides when training stops. Intervals are those of `cycseq.paired_differences`
over types. Scores are written as they come, and what is there already is not done again.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import pandas as pd

import cycseq
from cycseq.score.summary import paired_differences
from cycseq.split.base import SplitParts

KANG = Path(__file__).resolve().parents[2] / "shared" / "data" / "kang2018_pbmc_ifnb.h5ad"
BASELINES = ("NoChange", "ContextAdditive")
METRICS = ("mse_ratio", "pearson_delta")
TYPES = ("NK", "CD14+ Mono", "B", "Mk", "CD4 T", "FCGR3A+ Mono", "DC", "CD8 T")


def scores(parts: SplitParts, split: cycseq.Split, model: str, seed: int) -> pd.DataFrame:
    """The scores of one fit, with its processor time and epochs."""
    started = time.process_time()
    fitted = cycseq.build_model(model).fit(parts.train, parts.validation, seed=seed)
    seconds = time.process_time() - started
    controls = parts.train.controls([split.test[0].context])
    predicted = fitted.predict(controls, split.test, seed=seed)
    settings = cycseq.EvaluateSettings(metrics=METRICS)
    table = cycseq.evaluate(predicted, parts.test, controls, settings=settings)
    epochs = fitted.learned.facts.get("epochs", 0)
    return table.assign(model=model, split=split.name, seed=seed, seconds=seconds, epochs=epochs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--genes", default="1000")
    parser.add_argument("--models", default="CycSeq,GAN")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--scores", type=Path)
    options = parser.parse_args()
    if not KANG.exists():
        msg = f"real data absent: {KANG.name} is not beside the project in ../shared/data"
        raise SystemExit(msg)
    cells = cycseq.read(KANG)
    known = options.scores is not None and options.scores.exists()
    found = [pd.read_csv(options.scores)] if known else []
    done = set(found[0][["model", "context", "seed"]].itertuples(index=False, name=None)) if known else set()
    genes = "all" if options.genes == "all" else int(options.genes)
    for held in TYPES:
        data = cycseq.prepare([cells], cycseq.PrepareSettings(genes=genes, hold_out=(held,)))
        wanted = cycseq.SplitSettings(kind="unseen-context", context=held, seed=0)
        (split,) = cycseq.make_splits(data, wanted)
        parts = split.parts(data)
        for model in (*BASELINES, *options.models.split(",")):
            for seed in range(options.seeds):
                if (model, held, seed) not in done:
                    found.append(scores(parts, split, model, seed))
                    print(held, *found[-1][["model", "metric", "value", "epochs"]].to_numpy().tolist(), flush=True)
                if options.scores is not None:
                    pd.concat(found).to_csv(options.scores, index=False)
    table = pd.concat(found)
    shown = table.pivot_table(index="context", columns=["metric", "model"], values="value")
    print(shown.round(3).to_string(), table.groupby("model")[["seconds", "epochs"]].mean().round(1), sep="\n")
    print(paired_differences(table, baselines=BASELINES).round(3).to_string())


if __name__ == "__main__":
    main()
