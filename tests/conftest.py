"""Data for the tests: a small data set made here, and real files where they lie beside the project."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is there: child processes compute the same bits

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from beartype import BeartypeConf
from beartype.claw import beartype_package

if os.environ.get("CYCSEQ_CHECK_TYPES", "1") != "0":  # `make quick` goes without
    sys.dont_write_bytecode = True  # beartype keeps compiled modules at times without its settings
    compiled = ("cycseq.score.metrics.challenge.kernels",)  # by numba, which takes no wrapped function
    beartype_package("cycseq", conf=BeartypeConf(is_pep484_tower=True, claw_skip_package_names=compiled))

from cycseq.data.dataset import PerturbationData

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


MARKS: dict[str, tuple[str, ...]] = {
    "torch": ("comparison", "embed", "gan_and_cycseq", "network_models", "nets_blocks", "nets_losses", "resume", "training", "training_memory", "tuning"),
    "cluster": ("cluster", "ddp"),
    "peers": ("challenge_peers", "peers"),
    "docs": ("coming_from", "docs", "examples", "notebooks", "readme", "speed_benchmark"),
    "faults": ("faults", "faults_killed", "hostile_corpus", "hostile_escapes", "hostile_files", "hostile_limits", "hostile_mutations", "hostile_records", "interruption"),
    "slow": (
        *("baselines_on_real_data", "budget", "calibration", "certainty", "challenge", "condition_kriging", "controls", "convert"),
        *("evidence", "logarithms", "mark", "packaging", "pathways", "plain_installation", "repeat", "report", "stored", "suggest"),
        "through_effects",
    ),
}  # fmt: skip
"""What a file of tests needs, or is: `make quick` leaves all of these out."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    mark_of = {f"test_{name}": mark for mark, names in MARKS.items() for name in names}
    for item in items:
        if item.path.stem in mark_of:
            item.add_marker(mark_of[item.path.stem])


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """One thread again: what a test before called (numba, by scanpy) may have given OpenMP more."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    def path_or_skip(name: str) -> Path:
        if not (SHARED / name).exists():
            pytest.skip(f"real data absent: {name} is not beside the project in ../shared/data")
        return SHARED / name

    return path_or_skip


@pytest.fixture(scope="module")
def empty_figures() -> Iterator[None]:
    """For files of tests whose benchmarks need no figure in their pages."""
    from empty_figures import draw_nothing

    with draw_nothing():
        yield


def make_counts(
    contexts: tuple[str, ...] = ("K562", "RPE1", "THP1"),
    perturbations: tuple[str, ...] = ("control", "G1", "G2", "G3", "G1+G2"),
    cells: int = 40,
    genes: int = 60,
    seed: int = 0,
) -> ad.AnnData:
    """Poisson counts: each context has its own profile; each single moves its own ten genes alike in all contexts."""
    rng = np.random.default_rng(seed)
    names = [f"G{i}" for i in range(1, genes + 1)]
    effect = {
        f"G{k}": np.where(np.arange(genes) // 10 == k, 1.0, 0.0) * (1 if k % 2 else -1) for k in range(1, genes // 10)
    }
    x, obs = [], []
    for context in contexts:
        base = rng.normal(1.0, 0.7, genes)
        for perturbation in perturbations:
            shift = sum((effect.get(part, 0.0) for part in perturbation.split("+")), np.zeros(genes))
            x.append(rng.poisson(np.exp(base + shift), size=(cells, genes)))
            obs += [(context, perturbation, f"b{i % 2}") for i in range(cells)]
    frame = pd.DataFrame(
        obs, columns=["cell_type", "perturbation", "batch"], index=[f"cell{i}" for i in range(len(obs))]
    )
    return ad.AnnData(X=sp.csr_matrix(np.concatenate(x), dtype=np.float32), obs=frame, var=pd.DataFrame(index=names))


@pytest.fixture
def small_counts() -> ad.AnnData:
    return make_counts()


def make_log1p() -> PerturbationData:
    """3 contexts x (control, G1, G2, G3, G1+G2) x 40 cells x 60 genes in 2 batches, log1p of counts per 10,000."""
    adata = make_counts()
    x = adata.X.toarray()
    adata.X = sp.csr_matrix(np.log1p(x / x.sum(axis=1, keepdims=True) * 1e4), dtype=np.float32)
    return PerturbationData.from_anndata(adata)


@pytest.fixture
def small_data() -> PerturbationData:
    return make_log1p()
