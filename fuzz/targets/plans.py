"""What is planned or kept as text: splits of other tools, lists of conditions, configurations, the challenge's files, a search, a training."""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import anndata as ad
import pandas as pd
import torch
from target import Take, Target, attempt

from cycseq.benchmarking.tuning.search import _read_trials
from cycseq.benchmarking.tuning.settings import TuneSettings
from cycseq.benchmarking.tuning.spaces import space_of
from cycseq.benchmarking.tuning.trials import propose
from cycseq.commands import fit
from cycseq.commands.parser import parse, settings_of
from cycseq.data.dataset import PerturbationData
from cycseq.formats.writers.vcc import Panel
from cycseq.models import model_class
from cycseq.models.networks.training.state import State, load_state
from cycseq.run.folder import Run
from cycseq.score.challenge.reference import CountReference
from cycseq.score.challenge.scale import ChallengeScale
from cycseq.score.metrics.challenge import CHALLENGE
from cycseq.split.listed import tested_conditions, tested_perturbations
from cycseq.split.peers.read import read_peer_split
from targets.matrices import BETWEEN
from targets.records import A_RUN, cells
from targets.seed import small
from targets.zarr_stores import _changed

TUNED = "Ridge"


def _peers(path: Path) -> None:
    split = attempt(read_peer_split, path, cells())
    assert split is None or split.test


def _listed(path: Path) -> None:
    conditions = [condition for condition in cells().conditions() if not condition.is_control]
    for read in (tested_conditions, tested_perturbations):
        named = attempt(read, path, conditions)
        assert named is None or named


def _config(path: Path) -> None:
    options = attempt(parse, "fit", "", fit.configure, ["--config", str(path), "--model", TUNED])
    if options is not None:
        attempt(settings_of, model_class(TUNED), options, prefix="model.")


def _scale(path: Path) -> None:
    scale = attempt(ChallengeScale.read, path)
    if scale is not None:
        rows = pd.DataFrame({"model": "m", "context": "x", "metric": sorted(CHALLENGE), "value": 0.5})
        attempt(scale.complete, *_counted())
        attempt(scale.scores, rows)
        attempt(scale.write, path.with_name("again.json"))


@cache
def _counted() -> tuple[CountReference, PerturbationData]:
    three = [small() for _ in range(3)]
    for i, adata in enumerate(three):
        adata.obs_names = [f"{name}-{i}" for name in adata.obs_names]
    real = PerturbationData.from_anndata(ad.concat(three), scale="counts")
    return CountReference.of(real, "x"), real


def _panel(path: Path) -> None:
    genes = path.with_name("gene_names.csv")
    if not genes.exists():
        genes.write_text("gene_name\nG1\nG2\nG3\nG4\n")
    panel = attempt(Panel.read, genes, path)
    if panel is not None:
        assert panel.genes
        assert len(panel.fingerprint()) > 20
        assert all(n > 0 for targets in panel.targets.values() for n in targets.values())


def _search(path: Path) -> None:
    space = space_of(TUNED)
    trials = attempt(_read_trials, path, space)
    if trials:
        attempt(propose, trials, TuneSettings(model=TUNED), space, {})


def _training(path: Path) -> None:
    state = attempt(load_state, path.parent, "identity")
    if state is not None:
        state.ended(5, 2)


def _history(path: Path) -> None:
    attempt(Run(path.parent, A_RUN).history)


def _scores(path: Path) -> None:
    attempt(Run(path.parent, A_RUN).metrics)


READERS: dict[str, Callable[[Path], None]] = {
    "split.json": _peers,
    "split.toml": _peers,
    "split.pkl": _peers,
    "test.json": _peers,
    "listed.txt": _listed,
    "config.yaml": _config,
    "scale.json": _scale,
    "pert_counts.csv": _panel,
    "tune.json": _search,
    "last.ckpt": _training,
    "history.csv": _history,
    "metrics.csv": _scores,
}
BESIDE = {"test.json": ("train.json", "val.json"), "pert_counts.csv": ("gene_names.csv", "manifest.json")}
"""Files that are read too where they lie beside one."""


def run(data: bytes, folder: Path) -> None:
    """A file of the kind that the first byte says: any bytes, or, where it is JSON and the second byte is odd, a valid one that is changed."""
    take = Take(data)
    name = take.one_of(list(READERS))
    if take.below(2) and name in _documents():
        document = _documents()[name]
        for _ in range(1 + take.below(3)):
            document = _changed(document, take)
        with suppress(UnicodeError):
            (folder / name).write_bytes(_as_file(name, document, folder))
    else:
        first, *others = take.rest().split(BETWEEN)
        (folder / name).write_bytes(first)
        for beside, content in zip(BESIDE.get(name, ()), others, strict=False):
            (folder / beside).write_bytes(content)
    READERS[name](folder / name)


def _as_file(name: str, document: Any, folder: Path) -> bytes:
    if name.endswith(".pkl"):
        return pickle.dumps(document)
    if name == "last.ckpt":
        out = io.BytesIO()
        torch.save(document, out)
        return out.getvalue()
    return json.dumps(document).encode()


@cache
def _documents() -> dict[str, Any]:
    """A valid one of every kind that is made of tables and lists; YAML takes JSON."""
    lists = {"train": ["G1+ctrl"], "val": [], "test": ["G2+ctrl", "G1+G2"]}
    scale = ChallengeScale()
    scale.complete(*_counted())
    tried = {"encoding": '"both"', "n_components": 5, "n_context_components": "1", "leave_out": "null"}
    trial = {
        "state": "complete",
        "params": tried,
        "scores": [{"mse_ratio": 1.0, "pearson_delta": 0.5}],
        "seconds": 1.0,
        "reason": "",
    }
    return {
        "split.json": lists,
        "split.pkl": lists,
        "test.json": {"data.y": ["G2"], "more.y": ["G1+G2"]},
        "config.yaml": {"data": "a.h5ad", "run": "r", "model": {"class_path": TUNED, "init_args": {"encoding": "both"}}},
        "scale.json": {"rule": 3, "contexts": scale.ends},
        "tune.json": {"asked": {}, "trials": [trial, trial]},
        "last.ckpt": {"identity": "identity", **vars(State(epoch=1, net={"a": torch.ones(2)}, history=[{"loss": 1.0}]))},
    }  # fmt: skip


def _seeds() -> Sequence[bytes]:
    names, texts = list(READERS), [(name, json.dumps(document).encode()) for name, document in _documents().items()
                                   if name.endswith(("json", "yaml"))]  # fmt: skip
    texts += [
        ("split.pkl", pickle.dumps(_documents()["split.pkl"])),
        ("split.toml", b'[datasets]\na = "x"\n[zeroshot]\n"a.y" = "test"\n[fewshot."a.x"]\nval = ["G1"]\ntest = ["G2"]\n'),
        ("test.json", BETWEEN.join([b'{"d.y": ["G2"]}', b'{"d.x": ["G1"]}', b'{"d.y": ["G1"]}'])),
        ("listed.txt", b"x:G1\ny:G2\nG1\n"),
        ("config.yaml", b"data: a.h5ad\nrun: r\nmodel.encoding: both\nseed: 1\n"),
        ("pert_counts.csv", b"target_gene,n_cells,context\nG1,5,x\nnon-targeting,9,x\n"),
        ("pert_counts.csv", BETWEEN.join([b"target_gene\nG1\n", b"G1\nG2\n", b'{"contexts": ["x"], "panel_id": "p"}'])),
        ("history.csv", b"epoch,loss\n1,0.5\n2,0.25\n"),
        ("metrics.csv", b"model,context,perturbation,metric,value\nm,x,G1,mse,0.5\n"),
    ]  # fmt: skip
    whole = [bytes([names.index(name), 0]) + text for name, text in texts]
    changed = [
        bytes([i, 1, 0, i, 1, place, i, 3])
        for i, name in enumerate(names)
        if name in _documents()
        for place in range(5)
    ]
    return [*whole, *changed]


PLANS = Target("plans", run, _seeds)
