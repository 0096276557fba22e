"""Splits, run records, ranges to search, benchmark cells, and saved models."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from target import Take, Target, attempt, check_sound, scratch

from cycseq.benchmarking.result import Result
from cycseq.benchmarking.tables import open_benchmark
from cycseq.benchmarking.tuning.spaces import space_of
from cycseq.data.dataset import Condition, PerturbationData
from cycseq.io.checksums import write_checksums
from cycseq.models import build_model
from cycseq.run.folder import Run
from cycseq.run.parts import log1p_parts
from cycseq.split.base import Split
from cycseq.split.leakage import check_leakage
from targets.seed import small
from targets.zarr_stores import _changed

KINDS = ("split.json", "run.json", "space.yaml", "benchmark.json", "cell.npz", "split", "run")
FITTED = ("NoChange", "PerturbedMean", "Additive", "NearestPerturbation", "Ridge", "ConditionKriging", "Autoencoder")


@cache
def cells() -> PerturbationData:
    """Enough cells to fit the smallest models."""
    several = [small() for _ in range(4)]
    for i, adata in enumerate(several):
        adata.obs_names = [f"{name}-{i}" for name in adata.obs_names]
        adata.X.data[:] = np.log1p(adata.X.data + i % 2)
    import anndata as ad

    return PerturbationData.from_anndata(ad.concat(several), scale="log1p")


@cache
def a_split() -> dict[str, Any]:
    """What a split file says."""
    split = Split("unseen-context:y", "unseen-context", "a claim", (Condition("x", "G1"),), (), (Condition("y", "G2"),), 0,
                  cells().fingerprint(), {"train": ("c0-0",)})  # fmt: skip
    with scratch() as folder:
        split.write(folder / "s.json")
        return json.loads((folder / "s.json").read_text())


A_RUN: dict[str, Any] = {"data": {"path": None, "hash": "x", "scale": "log1p"}, "model": "Ridge", "settings": {"strength": 1.0},
                         "seed": 0, "command": "cycseq fit", "created": "now", "versions": {"cycseq": "0"}}  # fmt: skip
A_BENCHMARK: dict[str, Any] = {"seconds": 1.0, "failed": [], "command": "cycseq benchmark", "results": [], "asked": {}}


def run_records(data: bytes, folder: Path) -> None:
    """A record of the kind that the first byte says: any bytes, or (kinds without ending) a valid one that is changed."""
    take = Take(data)
    kind = take.one_of(KINDS)
    if kind in {"split", "run"}:
        document = a_split() if kind == "split" else A_RUN
        for _ in range(1 + take.below(3)):
            document = _changed(document, take)
        with suppress(UnicodeError):
            (folder / f"{kind}.json").write_text(json.dumps(document))
    else:
        (folder / kind).write_bytes(take.rest())
    if kind.startswith("split"):
        split = attempt(Split.read, folder / "split.json")
        by_hand = attempt(Split.read, folder / "split.json", by_hand=True)
        if by_hand is not None:
            problems = by_hand.problems(cells())
            parts = attempt(log1p_parts, replace(by_hand, data_hash=cells().fingerprint()), cells())
            assert bool(problems) == (parts is None)
            attempt(check_leakage, by_hand, cells())
        if split is not None:
            attempt(split.rows_unchecked, cells())
            attempt(split.write, folder / "again.json")
    elif kind.startswith("run"):
        (folder / "model").mkdir()
        found = attempt(Run.open, folder)
        if found is not None:
            for use in (found.resume_command, found.repeat_command, found.data):
                attempt(use)
    elif kind == "space.yaml":
        attempt(space_of, "Ridge", folder / kind)
    elif kind == "benchmark.json":
        for name in ("metrics", "summary", "differences", "skipped"):
            (folder / f"{name}.csv").write_text("model,split,seed,metric,value\n")
        attempt(open_benchmark, folder)
    else:
        Result.read(folder / kind)


def _record_seeds() -> Sequence[bytes]:
    with scratch() as folder:
        Result("Ridge", "s", 0, pd.DataFrame({"metric": ["a"], "value": [1.0]}), 1.0).write(folder / "c.npz")
        cell = (folder / "c.npz").read_bytes()
    texts = [
        json.dumps(a_split()),
        json.dumps(A_RUN),
        "penalty: [0.1, 1.0]\nn_components: {low: 2, high: 9}\n",
        json.dumps(A_BENCHMARK),
    ]
    whole = [bytes([i]) + text.encode() for i, text in enumerate(texts)]
    return [*whole, bytes([4]) + cell, *(bytes([5 + i % 2, 0, i, 1, i, 3, i]) for i in range(24))]


@cache
def saved() -> tuple[tuple[str, dict[str, bytes]], ...]:
    """The files of fitted models."""
    found = []
    with scratch() as folder:
        for name in FITTED:
            settings = {"num_epochs": 1, "latent": 2} if name == "Autoencoder" else {}
            known = {field: value for field, value in settings.items() if field in vars(build_model(name))}
            model = attempt(lambda name=name, known=known: build_model(name, known).fit(cells(), seed=0))
            if model is None:
                continue
            model.save(folder / name)
            found.append((name, {f.name: f.read_bytes() for f in sorted((folder / name).iterdir())}))
    return tuple(found)


def _changed_tensors(content: bytes, take: Take) -> bytes:
    """A safetensors file with another header, or with other bytes."""
    if take.below(3) == 0:
        place = take.below(max(1, len(content)))
        return content[:place] + take.raw(8) + content[place + take.below(16) :]
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    name = take.one_of(sorted(header) or ["x"])
    if take.below(3) == 0:
        header.pop(name, None)
    else:
        header[name] = _changed(header.get(name), take)
    said = json.dumps(header).encode()
    return len(said).to_bytes(8, "little") + said + content[8 + length :]


def run_models(data: bytes, folder: Path) -> None:
    """A saved model with changes in its description and its arrays, checksums made to fit; loaded, and used."""
    take = Take(data)
    name, files = take.one_of(saved())
    files = dict(files)
    for _ in range(1 + take.below(3)):
        which = take.one_of(["model.json", "model.json", "model.safetensors"])
        with suppress(UnicodeError, ValueError, RecursionError, TypeError):
            if which == "model.json":
                files[which] = json.dumps(_changed(json.loads(files[which]), take)).encode()
            else:
                files[which] = _changed_tensors(files[which], take)
    (folder / "model").mkdir()
    for file, content in files.items():
        (folder / "model" / file).write_bytes(content)
    write_checksums(folder / "model", ("model.json", "model.safetensors"))  # whoever means harm would do so
    (folder / "split.json").write_text(json.dumps(a_split()))
    run = Run(folder, {**A_RUN, "model": name})
    predicted = attempt(
        run.predict, [Condition("y", "G1"), Condition("x", "G1+G2")], controls=cells().controls(), n_cells=3
    )
    if predicted is not None:
        check_sound(predicted)


def _model_seeds() -> Sequence[bytes]:
    return [
        bytes([model, 0, kind, 1, place, 2, 3, place])
        for model in range(len(FITTED))
        for kind in (0, 2)
        for place in range(6)
    ]


RECORDS = Target("records", run_records, _record_seeds)
MODELS_SAVED = Target("models", run_models, _model_seeds)
