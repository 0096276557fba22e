"""What the evidence is made from: real data, simulated worlds, and the splits that fit each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from cycseq import PrepareSettings, ReadSettings, SimulateSettings, SplitSettings, make_splits, prepare, read, simulate
from cycseq.data.dataset import Condition
from cycseq.data.either import Data
from cycseq.formats.any_data import as_data
from cycseq.formats.effects.from_cells import summarize
from cycseq.simulation.settings import WORLDS
from cycseq.split.base import Split
from cycseq.split.perturbations import unseen_perturbation

SEEDS = 3
FOLDS = 5
ONE_DRAW = (("kang", "few-shot"),)
"""Slow with 4,805 genes: one seed."""
SIZES = {"contexts": 6, "perturbations": 20, "cells": 7_200, "genes": 500}
FOREIGN_SIZES = {"contexts": 6, "perturbations": 24, "cells": 12_240, "genes": 1_000}
"""60 cells a condition, but where there are doubles."""
QUICK_SIZES = {"contexts": 3, "perturbations": 7, "cells": 1_300, "genes": 60}
DEPMAP = "knowledge/depmap_gene_effect_3465genes_121lines.csv.gz"
GO_TERMS = "gene2go_human_withancestors_5to500.csv.gz"
COMBINATIONS = (
    "unseen-combination, 2 parts seen",
    "unseen-combination, 1 part seen",
    "unseen-combination, 0 parts seen",
)
OF_CONTEXTS = ("unseen-pair", "unseen-context", "few-shot")
TREATMENTS = {
    "unseen-time, 24 h": SplitSettings(kind="unseen-time", time=24.0),
    "unseen-dose, Middle": SplitSettings(kind="unseen-dose", dose="Middle"),
}
ALL = 99


FOREIGN = tuple(name for name, of_world in WORLDS.items() if "shared" not in of_world)
"""Worlds whose law is not our simulator's."""


@dataclass(frozen=True)
class Source:
    """A data set or a simulated world."""

    title: str
    about: str
    splits: tuple[str, ...]
    file: str = ""
    """Below `data/` of the shared folder; "" for a world."""
    contexts: tuple[str, ...] = ()
    """Those that are kept; () keeps all."""
    features: str = ""
    """What is known of genes, for perturbations never measured."""
    doubles: int = 0
    knowledge: tuple[str, ...] = ()
    """Files below `data/`: what is known of genes or drugs, for models that take knowledge."""

    @property
    def of_effects(self) -> bool:
        """Whether it is a table of responses, and no cells."""
        return self.file.startswith("effects/")


SOURCES = {
    "kang": Source(
        "Kang 2018",
        "blood cells, interferon-beta, eight cell types, 4,805 genes; donors are batches",
        ("unseen-context", "few-shot"),
        file="kang2018_pbmc_ifnb.h5ad",
    ),
    "papalexi": Source(
        "Papalexi 2021",
        "THP-1, 25 knock-outs, 299 genes; each is held out once in five folds, drawn anew with each seed",
        ("unseen-perturbation",),
        file="papalexi2021_thp1_eccite.h5ad",
        features=GO_TERMS,
    ),
    "norman": Source(
        "Norman 2019 (slice)",
        "K562, CRISPRa, 20 singles and 13 doubles, 500 genes; of five doubles both parts are measured alone",
        ("unseen-perturbation", *COMBINATIONS),
        file="norman2019_mcfaline2023_slice.h5ad",
        contexts=("k562",),
        features=GO_TERMS,
    ),
    "gbm": Source(
        "GBM lines (McFaline 2023, slice)",
        "A172, T98G and U87MG, CRISPRi, the same nine targets, 500 genes; hardly a gene responds, so that **nothing can be told of "
        "transfer here**. Where some conditions of a line are measured (unseen-pair, few-shot), they tell the chance error of its control "
        "mean, which is in all its responses: that, and no biology, is what beats no change",
        OF_CONTEXTS,
        file="norman2019_mcfaline2023_slice.h5ad",
        contexts=("A172", "T98G", "U87MG"),
    ),
    **{
        world: Source(f"Simulated: {world}", f"6 lines, 20 perturbations, 500 genes, 7,200 cells; {about}", splits)
        for world, about, splits in (
            ("easy", "95 % of the network's edges are shared", (*OF_CONTEXTS, "unseen-perturbation")),
            ("context-specific", "half of the edges are shared", (*OF_CONTEXTS, "unseen-perturbation")),
            ("long-tail", "75 % are shared, one line has 20 cells a condition", (*OF_CONTEXTS, "unseen-perturbation")),
            ("unrelated", "the lines share nothing", (*OF_CONTEXTS, "unseen-perturbation")),
        )
    },
    "doubles": Source(
        "Simulated: doubles",
        "as context-specific, with 10 doubles in every line",
        COMBINATIONS[:1],
        doubles=10,
    ),
    **{
        name: Source(
            f"Foreign world: {name}",
            "6 lines, 24 perturbations, 1,000 genes, 12,240 cells; a law that is not our simulator's (see the page on worlds)",
            (*OF_CONTEXTS[:2], *(COMBINATIONS[:1] if name == "buffering" else ())),
        )
        for name in FOREIGN
    },
    "replogle": Source(
        "Replogle 2022",
        "381 knock-downs in K562 and RPE1, 7,225 genes; ranks of the genes that rise most (effects). A fifth is hidden at a time",
        ("unseen-pair", "unseen-perturbation", "unseen-context"),
        file="effects/replogle2022_k562_rpe1_uprank.h5ad",
        knowledge=(GO_TERMS, "knowledge/genesets_corum_gobp_pathway.csv.gz", DEPMAP),
    ),
    "op3": Source(
        "OP3",
        "94 drugs in B, NK, T and myeloid cells, 6,349 genes; ranks (effects)",
        ("unseen-pair", "unseen-context", "unseen-perturbation"),
        file="effects/op3_pbmc_drugs_rank.h5ad",
        knowledge=("knowledge/drug_features_smiles_targets_moa.csv",),
    ),
    "sciplex": Source(
        "sci-Plex 3",
        "drugs at their top dose that two or three lines have, 6,299 genes; ranks (effects)",
        ("unseen-pair", "unseen-context"),
        file="effects/sciplex3_lines_drugs_rank.h5ad",
    ),
    "tggates": Source(
        "Open TG-GATEs",
        "90 drugs in human hepatocytes at three doses and three times, 196 genes; bulk log2 fold changes from replicates (effects)",
        ("unseen-time, 24 h", "unseen-dose, Middle"),
        file="effects/tggates_hepatocyte_dose_time.h5ad",
    ),
    "l1000": Source(
        "L1000",
        "three drugs in up to 61 lines, 978 genes; z-scores (effects)",
        ("unseen-context",),
        file="effects/l1000_drugs_lines_modz.h5ad",
    ),
    "virus": Source(
        "GSE147507",
        "viruses in several kinds of cells, 19,931 genes; log fold changes (effects). Too small for any claim",
        ("unseen-context",),
        file="effects/gse147507_virus_lines_lfc.h5ad",
    ),
    "tahoe": Source(
        "Tahoe-100M: a trap",
        "110 drugs in 47 lines, 800 genes; ranks (effects). All lines of a drug shared one well, and drugs that do nothing are among the most "
        "reproducible: a good score here is no evidence of transfer, and the tool has to say so",
        ("unseen-pair", "unseen-context"),
        file="effects/tahoe_drugs_lines_rank_TRAP.h5ad",
    ),
}


@dataclass(frozen=True)
class Case:
    """One benchmark: a data set, a kind of split, and the seed of world and split."""

    data: str
    split: str
    seed: int
    quick: bool = False
    folds: int = ALL
    """How many of its splits are run, at most."""

    @property
    def folder(self) -> str:
        """A name for files."""
        return f"{self.data}_{self.split.replace(', ', '-').replace(' ', '-')}_{self.seed}"

    @property
    def source(self) -> Source:
        """What it is made from."""
        return SOURCES[self.data]

    @property
    def slow(self) -> bool:
        """To be run last."""
        return (self.data, self.split) in ONE_DRAW

    @property
    def model_seeds(self) -> int:
        """Where neither data nor split depend on the seed, the models' own seeds are varied."""
        if self.source.of_effects:  # models of means say the same with every seed
            return 1
        fixed = self.source.file and self.split in ("unseen-context", COMBINATIONS[0])
        return SEEDS if fixed and not self.quick else 1


def cases(names: list[str], *, quick: bool, seeds: int = SEEDS, folds: int = ALL) -> Iterator[Case]:
    """Data sets x splits x seeds; what depends on no seed stands once. `folds` are shared out among the seeds."""
    for name in names:
        for split in SOURCES[name].splits:
            fixed = SOURCES[name].of_effects and split in ("unseen-context", *TREATMENTS)
            once = quick or fixed or Case(name, split, 0).model_seeds > 1 or (name, split) in ONE_DRAW
            n_seeds = 1 if once else seeds
            of_seed = 1 if quick else -(-folds // n_seeds)
            yield from (Case(name, split, seed, quick, of_seed) for seed in range(n_seeds))


@lru_cache(maxsize=1)
def load(name: str, seed: int, shared: Path, *, quick: bool) -> Data:
    """All cells, log1p, or effects; the seed is that of a world."""
    source = SOURCES[name]
    settings = PrepareSettings(genes="all")
    if source.of_effects:
        path = shared / "data" / source.file
        return summarize(path, ReadSettings(scale="log2")) if name == "tggates" else told_elsewhere(as_data(path))
    if source.file:
        data = prepare([read(shared / "data" / source.file)], settings)
        return data.subset(c for c in data.conditions() if not source.contexts or c.context in source.contexts)
    world = "context-specific" if source.doubles else name
    sizes = QUICK_SIZES if quick else FOREIGN_SIZES if name in FOREIGN else SIZES
    doubles = min(source.doubles, sizes["perturbations"]) or None
    return prepare([simulate(SimulateSettings(world=world, seed=seed, doubles=doubles, **sizes))], settings)


def told_elsewhere(data: Data) -> Data:
    """Conditions whose perturbation was measured in another context too: of the others no simple model can say anything."""
    contexts: dict[str, set[str]] = {}
    for c in data.conditions():
        contexts.setdefault(c.agent, set()).add(c.context)
    return data.subset(c for c in data.conditions() if len(contexts[c.agent]) > 1)


def splits_of(data: Data, case: Case) -> list[Split]:
    """The splits of a case, in turn for every context or fold, as many as it runs."""
    return _all_splits(data, case)[: case.folds]


def _all_splits(data: Data, case: Case) -> list[Split]:
    if case.split in TREATMENTS:
        return list(make_splits(data, TREATMENTS[case.split]))
    if case.split in COMBINATIONS:
        seen = 2 - COMBINATIONS.index(case.split)
        fraction = 0.99 if case.source.file and seen == 2 else None
        settings = SplitSettings(kind="unseen-combination", seen_parts=seen, fraction=fraction, seed=case.seed)
        return [replace(split, name=case.split) for split in make_splits(data, settings)]
    if case.split == "unseen-perturbation" and case.source.file:
        return folds(data, case.seed)
    return list(make_splits(data, SplitSettings(kind=case.split, seed=case.seed)))  # type: ignore[arg-type]


def folds(data: Data, seed: int) -> list[Split]:
    """Every single perturbation held out once; combinations that contain it are left out."""
    singles = sorted({c.perturbation for c in data.conditions() if not c.is_control and "+" not in c.perturbation})
    order = np.random.default_rng(seed).permutation(singles)
    (like,) = unseen_perturbation(data, SplitSettings(kind="unseen-perturbation", seed=seed))
    made = []
    for i in range(FOLDS):
        held = set(order[i::FOLDS].tolist())
        conditions = [c for c in data.conditions() if not c.is_control]
        touched = tuple(c for c in conditions if c.perturbation not in held and held & set(c.parts))
        train = tuple(c for c in conditions if not held & set(c.parts))
        test = tuple(c for c in conditions if c.perturbation in held)
        plan = vars(replace(like, name=f"unseen-perturbation:fold{i}", train=train, validation=(), test=test))
        plan |= {"left_out": touched, "claim": f"A good score shows that {len(test)} perturbations can be told."}
        made.append(Split(kind="unseen-perturbation", seed=seed, data_hash=data.fingerprint(), **plan))
    return made


def of_world(case: Case, context: str) -> str:
    """A context's name in the tables: lines of different worlds are different lines."""
    return context if case.source.file else f"world {case.seed}: {context}"


def seen_conditions(split: Split) -> tuple[Condition, ...]:
    """What a model may learn from."""
    return (*split.train, *split.validation)
