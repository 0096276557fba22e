"""Values that stay in their file give the same as values in memory, from reading to evaluation."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pytest
import scipy.sparse as sp

from cycseq.data.dataset import PerturbationData
from cycseq.data.posterior import CONDITIONS
from cycseq.errors import CycseqError, DataError, MissingPackageError, SettingsError
from cycseq.formats.inspect import inspect_file
from cycseq.formats.pieces import write_predictions
from cycseq.formats.read import read
from cycseq.formats.readers.stored import LABELS, memory_bytes
from cycseq.formats.settings import ReadSettings
from cycseq.matrix import stored
from cycseq.matrix.cluster import cluster
from cycseq.matrix.groups import group_moments, group_totals
from cycseq.matrix.stored import StoredMatrix
from cycseq.models import MODELS, build_model
from cycseq.models.networks import batches
from cycseq.models.networks.batches import Feeder, Vocabulary, encode
from cycseq.preparation.merge import join, merge
from cycseq.preparation.metacells import metacells
from cycseq.preparation.prepare import prepare
from cycseq.preparation.pseudobulk import responses
from cycseq.preparation.settings import PrepareSettings
from cycseq.run import predicting
from cycseq.run.fitting import fit_run
from cycseq.run.folder import Run
from cycseq.run.parts import log1p_parts
from cycseq.score.evaluate import evaluate
from cycseq.score.reference import Reference
from cycseq.score.settings import EvaluateSettings
from cycseq.simulation.generate import simulate, simulate_to
from cycseq.simulation.settings import SimulateSettings
from cycseq.split.leakage import check_leakage
from cycseq.split.make import make_splits
from cycseq.split.settings import SplitSettings
from killing import forked_workers

pytest.importorskip("dask")
NETWORKS = {"Autoencoder", "VAE", "GAN", "CycSeq"}
WORLD = SimulateSettings(cells=3000, genes=120, contexts=3, perturbations=6, batches=2, seed=4)


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stored") / "counts.h5ad"
    simulate(WORLD).write(path)
    return path


@pytest.fixture(scope="module")
def log1p(counts: Path) -> Path:
    path = counts.with_name("log1p.h5ad")
    prepare([read(counts)], PrepareSettings(genes="all")).write(path)
    return path


def little(held: PerturbationData) -> str:
    """So little memory that these cells stay in their file, in blocks of a hundred or two."""
    x = held.x
    return str(int(3.5 * (x.nbytes if isinstance(x, np.ndarray) else 8 * x.nnz)) + LABELS * x.shape[0])


def both(path: Path) -> tuple[PerturbationData, PerturbationData]:
    held = read(path)
    left = read(path, ReadSettings(memory=little(held)))
    assert isinstance(left.x, StoredMatrix)
    assert not isinstance(held.x, StoredMatrix)
    return held, left


def test_read_alike(counts: Path) -> None:
    held, left = both(counts)
    assert left.notes == held.notes
    assert left.fingerprint() == held.fingerprint()
    np.testing.assert_allclose(left.moments.mean, held.moments.mean, rtol=1e-12)
    np.testing.assert_allclose(left.moments.variance, held.moments.variance, rtol=1e-9)
    few = left.conditions()[1]
    np.testing.assert_array_equal(left.cells(few), held.cells(few))
    assert left.subset([few]).fingerprint() == held.subset([few]).fingerprint()
    assert left.controls().fingerprint() == held.controls().fingerprint()
    assert left.with_genes(left.genes[::-3]).fingerprint() == held.with_genes(held.genes[::-3]).fingerprint()


def test_a_dense_file_and_zarr_are_read_alike(tmp_path: Path) -> None:
    data = simulate(SimulateSettings(cells=3000, genes=150, contexts=2, perturbations=3, seed=1))
    adata = data.adata.copy()
    adata.X, _ = adata.X.toarray(), adata.layers.pop("true_pair")
    for ending in ("h5ad", "zarr"):
        dense = PerturbationData(adata=adata, scale="counts")
        dense.write(tmp_path / f"dense.{ending}")
        data.write(tmp_path / f"sparse.{ending}")
        for kind, whole in (("dense", dense), ("sparse", data)):
            left = read(tmp_path / f"{kind}.{ending}", ReadSettings(memory=little(whole)))
            assert isinstance(left.x, StoredMatrix)
            assert left.fingerprint() == whole.fingerprint()


def test_inspected_alike(counts: Path) -> None:
    held, _ = both(counts)
    seen = [inspect_file(counts, ReadSettings(memory=memory)).text() for memory in (None, little(held))]
    assert seen[1].replace(f" --memory {little(held)}", "") == seen[0]


def test_moments_of_groups_against_numpy(counts: Path) -> None:
    held, left = both(counts)
    groups = np.random.default_rng(0).integers(-1, 5, held.n_cells)
    moments, totals = group_moments(left.x, groups, 5), group_totals(left.x, groups, 5)
    values = held.x.toarray().astype(np.float64)
    for group in range(5):
        own = values[groups == group]
        np.testing.assert_allclose(moments.mean[group], own.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(moments.variance[group], own.var(axis=0, ddof=1), rtol=1e-6)
        np.testing.assert_array_equal(totals[0][group], (own != 0).sum(axis=0))


@pytest.mark.parametrize(
    "settings",
    [
        PrepareSettings(genes=40, min_genes=5, min_cells=20, min_counts=50, hold_out=("Line1",)),
        PrepareSettings(genes="all", metacells=True, metacell_cells=5, metacell_draws=4),
    ],
    ids=["genes", "metacells"],
)
def test_prepared_alike(counts: Path, tmp_path: Path, settings: PrepareSettings) -> None:
    held, left = (prepare([data], settings) for data in both(counts))
    assert left.notes == held.notes
    assert left.adata.obs.equals(held.adata.obs)
    if settings.metacells:
        np.testing.assert_allclose(left.x, held.x, rtol=1e-5, atol=1e-6)
        return
    assert left.fingerprint() == held.fingerprint()
    for ending in ("h5ad", "zarr"):
        left.write(tmp_path / f"out.{ending}")
        assert read(tmp_path / f"out.{ending}").fingerprint() == held.fingerprint()


def test_metacells_are_means_of_their_cells(log1p: Path) -> None:
    held, left = both(log1p)
    made = metacells(left, k=4, draws=3)
    members = made.adata.obsm["source_cells"]
    once = np.flatnonzero(np.diff(members.indptr) == 4)
    expected = (members[once].astype(np.float64) @ held.x.astype(np.float64)).toarray() / 4
    np.testing.assert_allclose(made.x[once], expected, rtol=1e-5)


def test_combat_says_that_it_needs_memory(counts: Path) -> None:
    with pytest.raises(DataError, match="ComBat makes all cells dense"):
        prepare([both(counts)[1]], PrepareSettings(combat=True))


def test_merged_with_cells_in_memory(counts: Path) -> None:
    held, left = both(counts)
    first, second = held.controls(["Line1"]), held.controls(["Line2"])
    stored_one = left.controls(["Line1"])
    whole = merge([first, second], ["a", "b"])
    assert merge([stored_one, second], ["a", "b"]).fingerprint() == whole.fingerprint()
    conditions = left.conditions()
    rest = join(left.subset(conditions[:12]), held.subset(conditions[12:]))
    assert rest.fingerprint() == join(held.subset(conditions[:12]), held.subset(conditions[12:])).fingerprint()


def test_split_checked_and_parted_alike(log1p: Path) -> None:
    held, left = both(log1p)
    (split,) = make_splits(left, SplitSettings(kind="unseen-context", context="Line2"))
    assert split == make_splits(held, SplitSettings(kind="unseen-context", context="Line2"))[0]
    assert [str(leak) for leak in check_leakage(split, left)] == [str(leak) for leak in check_leakage(split, held)]
    for one, other in zip(vars(split.parts(left)).values(), vars(split.parts(held)).values(), strict=True):
        assert one.fingerprint() == other.fingerprint()
    np.testing.assert_array_equal(responses(left).delta, responses(held).delta)


@pytest.mark.parametrize("name", [name for name in MODELS if name not in NETWORKS])
def test_models_learn_and_predict_alike(log1p: Path, name: str) -> None:
    held, left = both(log1p)
    (split,) = make_splits(held, SplitSettings(kind="unseen-context", context="Line2"))
    made = []
    for data in (held, left):
        parts = log1p_parts(split, data)
        model = build_model(name).fit(parts.train, parts.validation, seed=0)
        made.append(model.predict(data.controls(["Line2"]), split.test, n_cells=30, seed=1))
    np.testing.assert_allclose(made[1].moments.mean, made[0].moments.mean, rtol=1e-5, atol=1e-6)
    assert made[1].adata.obs.equals(made[0].adata.obs)


@pytest.mark.parametrize("name", ["Autoencoder", "CycSeq"])
def test_networks_learn_from_stored_cells(log1p: Path, name: str) -> None:
    pytest.importorskip("torch")
    held, left = both(log1p)
    (split,) = make_splits(held, SplitSettings(kind="unseen-context", context="Line2"))
    parts = log1p_parts(split, left)
    assert isinstance(parts.train.x, StoredMatrix)
    made = []
    for _ in range(2):
        model = build_model(name, {"num_epochs": 2}).fit(parts.train, parts.validation, seed=0)
        made.append(model.predict(held.controls(["Line2"]), split.test, n_cells=30, seed=1))
    np.testing.assert_array_equal(made[0].x, made[1].x)
    losses = model.learned.facts["best_loss"]
    in_memory = log1p_parts(split, held)
    other = (
        build_model(name, {"num_epochs": 2})
        .fit(in_memory.train, in_memory.validation, seed=0)
        .learned.facts["best_loss"]
    )
    assert losses == pytest.approx(other, rel=0.1)  # the same cells in another order


def test_feeder_shuffles_whole_epochs_and_reads_a_few_blocks(log1p: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    held, left = both(log1p)
    monkeypatch.setattr(batches, "WINDOW", 3)
    monkeypatch.setattr(batches, "POOL", 7)
    read_blocks: list[int] = []
    computed = stored._compute
    monkeypatch.setattr(stored, "_compute", lambda tasks: read_blocks.append(len(tasks)) or computed(tasks))
    cells = encode(left, Vocabulary.of(left))
    read_blocks.clear()
    rows = np.flatnonzero(cells.parts.any(axis=1))
    feeder = Feeder(cells, rows, 64, seed=5, with_controls=True)
    orders = []
    for epoch in range(2):
        order = feeder._order(epoch)
        assert sorted(order) == sorted(rows)
        orders.append(order)
        start = 0
        for step in range(feeder.n_steps):
            batch = feeder.batch(epoch, step)
            own = order[start : start + len(batch.x)]
            start += len(batch.x)
            np.testing.assert_array_equal(batch.x.numpy(), held.x[own].toarray())
            np.testing.assert_array_equal(batch.context.numpy(), cells.context[own])
    assert not np.array_equal(*orders)
    assert sum(read_blocks) <= 2 * (
        len(left.x.chunks[0]) + 3
    )  # every block once in an epoch, and some at a window's end
    control = np.flatnonzero((held.adata.obs["perturbation"] == "control").to_numpy())
    of_group = {
        name: {tuple(row) for row in held.x[control[at]].toarray()}
        for name, at in held.adata.obs.iloc[control]
        .reset_index(drop=True)
        .groupby(["context", "batch"], observed=True)
        .indices.items()
    }
    for row, drawn in zip(own, batch.control.numpy(), strict=True):
        label = tuple(held.adata.obs.iloc[row][["context", "batch"]])
        assert tuple(drawn) in of_group[label]


def test_evaluated_alike(log1p: Path) -> None:
    held, left = both(log1p)
    (split,) = make_splits(held, SplitSettings(kind="unseen-context", context="Line2"))
    model = build_model("ContextAdditive").fit(split.parts(held).train)
    predicted = model.predict(held.controls(["Line2"]), split.test, n_cells=40)
    settings = EvaluateSettings(max_cells=30, components=5)
    tables = [
        evaluate(predicted, Reference.of(data.subset([c for c in data.conditions() if c.context == "Line2"]), data.controls(), settings=settings))
        for data in (held, left)
    ]  # fmt: skip
    assert tables[0].drop(columns="value").equals(tables[1].drop(columns="value"))
    np.testing.assert_allclose(tables[1]["value"], tables[0]["value"], rtol=1e-6, atol=1e-9)


def test_predictions_in_pieces_are_those_of_one_piece(
    log1p: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = read(log1p)
    (split,) = make_splits(held, SplitSettings(kind="unseen-context", context="Line2"))
    fit_run(held, split, build_model("ConditionKriging"), tmp_path / "run", data_path=log1p)
    whole = Run.open(tmp_path / "run").predict(n_cells=20)
    monkeypatch.setattr(predicting, "PREDICTED", 1e-3)
    pieces = list(Run.open(tmp_path / "run", memory=little(held)).predictions(n_cells=20))
    assert len(pieces) > 2
    write_predictions(iter(pieces), tmp_path / "pieces.h5ad")
    again = read(tmp_path / "pieces.h5ad")
    cells = [list(again.adata.obs_names).index(name) for name in whole.adata.obs_names]
    found = again.x[cells].toarray() if sp.issparse(again.x) else again.x[cells]
    np.testing.assert_allclose(found, whole.x, rtol=1e-4, atol=1e-5)  # products of other shapes round otherwise
    columns = [list(again.adata.uns[CONDITIONS]).index(name) for name in whole.adata.uns[CONDITIONS]]
    for name in ("posterior_mean", "posterior_sd", "posterior_mean_sd"):  # components may be merged in another order
        np.testing.assert_allclose(again.adata.varm[name][:, columns], whole.adata.varm[name], rtol=1e-3, atol=1e-4)
    assert again.provenance()["training"] == whole.provenance()["training"]
    assert not list(tmp_path.glob(".*"))


def test_simulated_piece_by_piece(tmp_path: Path) -> None:
    written, notes = simulate_to(tmp_path / "sim.zarr", WORLD)
    whole, again = simulate(WORLD), read(tmp_path / "sim.zarr")
    assert again.fingerprint() == whole.fingerprint()
    assert notes == whole.notes
    assert written.obs["pair_perturbation"].equals(whole.adata.obs["pair_perturbation"])
    assert (again.adata.layers["true_pair"] != whole.adata.layers["true_pair"]).nnz == 0
    np.testing.assert_array_equal(again.adata.obsm["cell_state"], whole.adata.obsm["cell_state"])


def test_prepared_alike_on_a_cluster(counts: Path) -> None:
    pytest.importorskip("distributed")
    held, left = both(counts)
    settings = PrepareSettings(genes=40)
    with forked_workers(), cluster("local", jobs=2):
        assert prepare([left], settings).fingerprint() == prepare([held], settings).fingerprint()


@pytest.mark.parametrize(
    ("said", "expected"),
    [("4GiB", 4 << 30), ("4gb", 4 << 30), ("512 MiB", 512 << 20), ("1.5G", 3 << 29), ("1000", 1000)],
)
def test_memory_is_said_as_people_say_it(said: str, expected: int) -> None:
    assert memory_bytes(said) == expected


def test_without_dask_what_the_machine_can_hold_is_held(counts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = read(counts)
    monkeypatch.setattr("cycseq.formats.readers.stored.find_spec", lambda _name: None)
    monkeypatch.setattr("cycseq.formats.readers.stored._memory_here", lambda: int(little(held)))
    assert read(counts).fingerprint() == held.fingerprint()
    with pytest.raises(MissingPackageError, match=r"pip install 'cycseq\[scale\]'"):
        read(counts, ReadSettings(memory=little(held)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("gone", r"damaged\.h5ad cannot be read as h5ad: it is damaged"),
        ("of text", r"damaged\.h5ad cannot be read as h5ad: it is damaged"),
        ("too many", "a sparse matrix is damaged: its indices do not fit its shape"),
    ],
)
def test_damaged_values_are_said_in_one_line(counts: Path, tmp_path: Path, change: str, said: str) -> None:
    memory, path = little(read(counts)), tmp_path / "damaged.h5ad"
    path.write_bytes(counts.read_bytes())
    with h5py.File(path, "r+") as file:
        if change == "too many":
            file["X/indptr"][-5] = 10**9
        else:
            del file["X/indices"]
        if change == "of text":
            file["X/indices"] = np.array([b"a"] * len(file["X/data"]))
    with pytest.raises(CycseqError, match=rf"^[^\n]*{said}[^\n]*$"):
        read(path, ReadSettings(memory=memory)).fingerprint()


def test_what_cannot_be_read_in_parts_is_said(counts: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="not an amount of memory"):
        read(counts, ReadSettings(memory="much"))
    with pytest.raises(SettingsError, match=r"beside the labels of 3,000 cells \(1\.1 MiB\) not even 100 cells"):
        read(counts, ReadSettings(memory="1200KiB"))
    with pytest.raises(DataError, match="VAE needs all of 3,000 cells in memory"):
        both(counts)[1].load("VAE")
    adata = ad.read_h5ad(counts)
    adata.X = sp.csc_matrix(adata.X)
    adata.write_h5ad(tmp_path / "csc.h5ad")
    with pytest.raises(DataError, match=r"csc_matrix.*write X as CSR"):
        read(tmp_path / "csc.h5ad", ReadSettings(memory=little(read(counts))))
