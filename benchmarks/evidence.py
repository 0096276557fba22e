"""The evidence: all models on real data and simulated worlds, cells and effects, with every split that fits each, in one command.

    python benchmarks/evidence.py --out DIR [--shared ../shared] [--models baselines,ConditionKriging] [--data kang,easy|cells|effects|foreign]
                                  [--jobs 2] [--seeds 3] [--folds 99] [--minutes 25] [--quick] [--page docs/evidence.md]

An interrupted run goes on when the command is given again; `--seeds 1 --folds 1` is the least that has every case, and the page says so; `--folds 6` with three seeds holds out two contexts in each of three worlds; `--minutes 0` makes the page of what is there. The results are `DIR/metrics.csv.gz`, one row for each data
set, split, model, seed, condition and metric; the page and the CSV files beside it are made from that table alone
(`--page-only` makes them again). Models that must be trained by gradient steps are slow: `NETWORK_CASES` says where they
take part, with three seeds on real data, one in a simulated world, and `NETWORK_SETTINGS`.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from cycseq.benchmarking.benchmark import benchmark
from cycseq.benchmarking.choices import BASELINES
from cycseq.benchmarking.settings import BenchmarkSettings
from cycseq.data.effects import Effects
from cycseq.data.either import Data
from cycseq.errors import CycseqError
from cycseq.models import MODELS
from cycseq.score.ceiling import POSITIVE_CONTROLS
from cycseq.score.settings import EvaluateSettings
from cycseq.split.base import Split
from evidence_claims import NO_CLAIM
from evidence_data import ALL, FOREIGN, SEEDS, SOURCES, Case, cases, load, of_world, splits_of
from evidence_effects import METRICS_OF_EFFECTS, certainty_rows, leave_out_kernels, warnings_in
from evidence_page import write_page
from evidence_variants import compute_variants, variants_of

METRICS = (
    "pearson_delta,pearson_delta_specific,mse,mse_ratio,retrieval_cosine,r2_delta_top50,edistance,mmd,"
    "wasserstein_gene,zero_fraction_error"
)
MAIN = "ConditionKriging"
FAST = (*BASELINES, MAIN)
NETWORK_CASES = {"kang": ALL, "norman": ALL, "context-specific": 1, "unrelated": 1}
"""Data sets where networks take part, with the first seed, in unseen-context and unseen-combination (2 parts seen); and
in how many of the splits (contexts held out)."""
NETWORK_SPLITS = ("unseen-context", "unseen-combination, 2 parts seen")
NETWORK_SETTINGS: dict[str, dict[str, object]] = {}
"""Beside their defaults."""
COLUMNS = ["data", "split", "model", "seed", "context", "perturbation", "metric", "value"]


def main(words: list[str] | None = None) -> None:
    options = parsed(sys.argv[1:] if words is None else words)
    if not options.page_only:
        started = time.perf_counter()
        of_effects = [name for name, source in SOURCES.items() if source.of_effects]
        cells = [name for name in SOURCES if name not in of_effects]
        some = {"all": SOURCES, "cells": cells, "foreign": FOREIGN, "effects": of_effects}
        wanted = {name for word in options.data for name in some.get(word, [word])}
        if wanted - set(SOURCES):
            sys.exit(
                f"--data: unknown {', '.join(sorted(wanted - set(SOURCES)))}; there are {', '.join([*some, *SOURCES])}."
            )
        names = [name for name in SOURCES if name in wanted]
        of_all = cases(names, quick=options.quick, seeds=options.seeds, folds=options.folds)
        todo = [case for case in of_all if present(case, options.shared)]
        todo.sort(key=lambda case: (case.slow, case.seed))  # so that every data set has something to show early
        for i, case in enumerate(todo, 1):
            if time.perf_counter() - started > 60 * options.minutes:
                print(f"{options.minutes:g} minutes are over: {len(todo) - i + 1} of {len(todo)} cases were not begun")
                break
            run_case(case, options)
            times = f"{time.perf_counter() - started:.0f} s so far, {processor_seconds():.0f} of processor"
            print(f"{i} of {len(todo)}: {case.folder}, {times}", flush=True)
        collected(options.out).to_csv(options.out / "metrics.csv.gz", index=False, float_format="%.6g")
    table = pd.read_csv(options.out / "metrics.csv.gz", keep_default_na=False, na_values={"value": [""]})
    write_page(
        table,
        options.page,
        quick=options.quick,
        remark=options.remark,
        network_rule=f"{extent(options)}{network_rule()}",
        warnings=collected_warnings(options.out),
    )
    print(f"wrote {options.page}")


def processor_seconds() -> float:
    """Of this process and of those that it started."""
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def extent(options: argparse.Namespace) -> str:
    """How much less than everything was asked for, in words."""
    less = [f"at most {options.seeds} seed{'s' * (options.seeds > 1)}"] if options.seeds < SEEDS else []
    less += [f"at most {options.folds} split{'s' * (options.folds > 1)} of each kind"] if options.folds < ALL else []
    return f"**This run is a reduced one: {' and '.join(less)} of each data set.** " if less else ""


def network_rule() -> str:
    """Where the networks take part, in words."""
    where = ", ".join(f"{name} ({'all' if n == ALL else n})" for name, n in NETWORK_CASES.items())
    return (
        f"Models that are trained by gradient steps are slow: they take part, with three seeds on real data and one in a simulated world, in {' and '.join(NETWORK_SPLITS)} of "
        f"{where}; in brackets, how many of the splits."
    )


def parsed(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--models", default="all")
    parser.add_argument("--data", default="all", type=lambda text: text.split(","))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=SEEDS, help="Worlds and draws of splits, at most.")
    parser.add_argument(
        "--folds",
        type=int,
        default=ALL,
        help="Splits of each kind (contexts or folds held out) over all seeds, at most.",
    )
    parser.add_argument("--minutes", type=float, default=float("inf"), help="Begin no case after so long.")
    parser.add_argument("--quick", action="store_true", help="Tiny worlds, one seed: to see that it works.")
    parser.add_argument("--page", type=Path, default=Path("docs/evidence.md"))
    parser.add_argument("--page-only", action="store_true")
    parser.add_argument("--remark", default="", help="What a reader of the page has to know first.")
    return parser.parse_args(words)


def present(case: Case, shared: Path) -> bool:
    there = not case.source.file or (shared / "data" / case.source.file).exists()
    if not there:
        print(f"real data absent: {case.source.file} is not in {shared}/data; {case.folder} is left out")
    return there


def run_case(case: Case, options: argparse.Namespace) -> None:
    """The baselines and kriging, then the networks, then what no benchmark does; each resumes."""
    data = load(case.data, case.seed, options.shared, quick=options.quick)
    splits = splits_of(data, case)
    wanted = choose_models(options.models)
    fast = [name for name in wanted if name in FAST]
    slow = [name for name in wanted if name not in FAST]
    features: dict[str, object] = {}
    if case.source.features:
        features = {"features": str(options.shared / "data" / case.source.features)}
    if case.source.knowledge:
        features = {"knowledge": [str(options.shared / "data" / name) for name in case.source.knowledge]}
    settings = {name: {"unseen": "common", **features} for name in ("Bilinear", "NearestPerturbation", "Ridge", MAIN)}
    if fast:
        _benchmark(case, data, splits, fast, settings, case.model_seeds, options, "fast")
    n_splits = NETWORK_CASES.get(case.data, 0)
    variants, folder = variants_of(case), options.out / "variants"
    if isinstance(data, Effects):
        if MAIN in wanted and case.seed == 0 and case.data not in NO_CLAIM:
            leave_out_kernels(case, data, splits[0], settings[MAIN], folder)
        return
    if MAIN in wanted:
        compute_variants(case, data, splits, folder, features, METRICS, variants)
    if slow and n_splits and case.seed == 0 and case.split in NETWORK_SPLITS:
        for name in slow:  # one folder each: a model that is added later leaves the others as they are
            _benchmark(case, data, splits[:n_splits], [name], NETWORK_SETTINGS, case.model_seeds, options, name)


def choose_models(text: str) -> list[str]:
    groups = {"all": list(MODELS), "baselines": list(BASELINES), "fast": list(FAST)}
    return list(dict.fromkeys(name for word in text.split(",") for name in groups.get(word, [word])))


def _benchmark(
    case: Case,
    data: Data,
    splits: list[Split],
    models: list[str],
    settings: Mapping[str, dict[str, object]],
    seeds: int,
    options: argparse.Namespace,
    part: str,
) -> None:
    folder = options.out / "splits" / f"{case.folder}_{part}"
    for i, split in enumerate(splits):
        split.write(folder / f"{i}.json", overwrite=True)
    result = benchmark(
        data,
        BenchmarkSettings(
            models=models,
            split=[str(folder)],
            seeds=seeds,
            jobs=options.jobs,
            model_settings={name: said for name, said in settings.items() if name in models},
        ),
        options.out / "benchmarks" / f"{case.folder}_{part}",
        evaluation=EvaluateSettings(metrics=METRICS_OF_EFFECTS if case.source.of_effects else METRICS),
        overwrite=True,
    )
    if result.failed:
        said = "; ".join(f"{f.model} on {f.split}: {f.error}" for f in result.failed)
        raise CycseqError(said)


def collected(out: Path) -> pd.DataFrame:
    """All tables of the run as one; what a network's benchmark holds beside the network itself is left out."""
    tables = []
    for case in cases(list(SOURCES), quick=False):
        for path in sorted((out / "benchmarks").glob(f"{case.folder}_*/metrics.csv")):
            part = path.parent.name.removeprefix(f"{case.folder}_")
            rows = _read(path)
            if part != "fast":
                rows = rows[rows["model"].str.split(" (", regex=False).str[0] == part]
            tables.append(_labelled(rows, case))
            if case.source.of_effects:
                tables += [_labelled(rows, case) for rows in certainty_rows(path.parent)]
        tables += [_labelled(_read(path), case) for path in sorted((out / "variants" / case.folder).glob("*.csv"))]
    return pd.concat(tables, ignore_index=True)[COLUMNS]


def collected_warnings(out: Path) -> dict[tuple[str, str], list[str]]:
    """What the tool itself says against the splits of each data set."""
    found = {}
    for case in cases(list(SOURCES), quick=False, seeds=1):
        folder = out / "benchmarks" / f"{case.folder}_fast"
        if (folder / "benchmark.json").exists():
            found[case.data, case.split] = warnings_in(folder)
    return found


def _read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, keep_default_na=False, na_values={"value": [""]})


def _labelled(rows: pd.DataFrame, case: Case) -> pd.DataFrame:
    """With its data set, the kind of split, and contexts of different worlds apart; split halves are averaged."""
    keys = ["model", "seed", "context", "perturbation", "metric"]
    rows = rows.assign(context=[of_world(case, name) for name in rows["context"]])
    if case.model_seeds == 1:
        rows = rows.assign(seed=rows["seed"].where(rows["model"].isin(POSITIVE_CONTROLS), case.seed))
    return rows[[*keys, "value"]].assign(data=case.data, split=case.split)


if __name__ == "__main__":
    main()
