import numpy as np
import pytest
import scipy.sparse as sp

torch = pytest.importorskip("torch", reason="networks need torch: pip install 'cycseq[networks]'")

from cycseq.data.dataset import Condition, PerturbationData  # noqa: E402
from cycseq.errors import DataError  # noqa: E402
from cycseq.models.networks import batches  # noqa: E402
from cycseq.models.networks.batches import Feeder, Vocabulary, encode  # noqa: E402


def feeder(data, **settings) -> Feeder:
    cells = encode(data, Vocabulary.of(data))
    return Feeder(cells, np.arange(cells.n_cells), settings.pop("batch_size", 64), seed=3, **settings)


def rows_of(data: PerturbationData, x: torch.Tensor) -> list[int]:
    """The rows of the data that hold these cells; all cells of the small data differ."""
    place = {row.tobytes(): i for i, row in enumerate(data.x.toarray())}
    return [place[row.tobytes()] for row in x.numpy()]


def test_an_epoch_holds_every_cell_once_with_its_labels(small_data):
    fed = feeder(small_data)
    vocabulary = Vocabulary.of(small_data)
    rows, obs = [], small_data.adata.obs
    for step in range(fed.n_steps):
        batch = fed.batch(0, step)
        found = rows_of(small_data, batch.x)
        rows += found
        contexts = [vocabulary.contexts[i - 1] for i in batch.context]
        assert contexts == list(obs["context"].iloc[found])
        parts = ["+".join(vocabulary.parts[i - 1] for i in p if i) or "control" for p in batch.parts]
        assert parts == list(obs["perturbation"].iloc[found])
    assert sorted(rows) == list(range(small_data.n_cells))
    assert max(len(fed.batch(0, s).x) for s in range(fed.n_steps)) <= 64
    assert min(len(fed.batch(0, s).x) for s in range(fed.n_steps)) >= 32


def test_a_batch_follows_from_seed_epoch_and_step_alone(small_data):
    late = feeder(small_data, with_controls=True)
    early = feeder(small_data, with_controls=True)
    early.batch(0, 0), early.batch(0, 1)
    for batch in (early.batch(4, 2), late.batch(4, 2)):
        assert torch.equal(batch.x, late.batch(4, 2).x)
        assert torch.equal(batch.control, late.batch(4, 2).control)
    assert not torch.equal(late.batch(4, 2).x, late.batch(5, 2).x)


def test_controls_are_of_the_same_context_and_batch(small_data):
    obs = small_data.adata.obs
    batch = feeder(small_data, with_controls=True).batch(0, 0)
    cells, controls = rows_of(small_data, batch.x), rows_of(small_data, batch.control)
    for label in ("context", "batch"):
        assert list(obs[label].iloc[cells]) == list(obs[label].iloc[controls])
    assert set(obs["perturbation"].iloc[controls]) == {"control"}


def test_a_batch_without_controls_takes_those_of_its_context(small_data):
    obs = small_data.adata.obs
    lone = (obs["context"] == "K562") & (obs["batch"] == "b0") & (obs["perturbation"] == "control")
    data = small_data.take(~lone.to_numpy())
    batch = next(feeder(data, with_controls=True, batch_size=1000).all_batches())
    found = data.adata.obs.iloc[rows_of(data, batch.control)]
    assert list(found["context"]) == list(data.adata.obs["context"])


def test_a_context_without_controls_is_refused(small_data):
    data = small_data.subset(c for c in small_data.conditions() if c != Condition("K562", "control"))
    with pytest.raises(DataError, match="have no control cells"):
        feeder(data, with_controls=True)


def test_sparse_and_dense_cells_give_the_same_batches(small_data, monkeypatch):
    kept_dense = feeder(small_data)
    monkeypatch.setattr(batches, "DENSE_BYTES", 0)
    kept_sparse = feeder(small_data)
    assert sp.issparse(kept_sparse.cells.x)
    assert not sp.issparse(kept_dense.cells.x)
    assert torch.equal(kept_sparse.batch(1, 1).x, kept_dense.batch(1, 1).x)


def test_cells_in_the_memory_of_a_device_give_the_same_batches(small_data):
    plain = feeder(small_data, with_controls=True)
    resident = plain.on(torch.device("cpu"))
    assert resident.resident is not None
    for batch, other in zip(plain.all_batches(), resident.all_batches(), strict=True):
        assert torch.equal(batch.x, other.x)
        assert torch.equal(batch.control, other.control)


@pytest.mark.parametrize("kept_dense", [True, False])
def test_batches_begin_where_sums_are_always_of_the_same_order(small_data, monkeypatch, kept_dense):
    """MKL gives other last bits for cells that begin elsewhere in memory: a resumed training would differ."""
    if not kept_dense:
        monkeypatch.setattr(batches, "DENSE_BYTES", 0)
    of = feeder(small_data, with_controls=True, batch_size=7)
    made = [of.batch(0, step) for step in range(of.n_steps)]
    assert {tensor.data_ptr() % 64 for batch in made for tensor in (batch.x, batch.control)} == {0}


def test_unknown_contexts_take_the_open_place(small_data):
    known = Vocabulary.of(small_data.subset(c for c in small_data.conditions() if c.context != "THP1"))
    cells = encode(small_data, known)
    is_new = (small_data.adata.obs["context"] == "THP1").to_numpy()
    assert (cells.context[is_new] == 0).all()
    assert (cells.context[~is_new] > 0).all()


def test_processes_share_a_batch(small_data):
    whole = feeder(small_data).batch(2, 1).x
    shares = [feeder(small_data, rank=rank, n_ranks=2).batch(2, 1).x for rank in (0, 1)]
    assert sorted(rows_of(small_data, torch.cat(shares))) == sorted(rows_of(small_data, whole))
