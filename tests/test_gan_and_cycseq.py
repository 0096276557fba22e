"""What the adversarial models promise beyond the contract of all models, on small data."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="networks need torch: pip install 'cycseq[networks]'")
pytest.importorskip("lightning", reason="training needs lightning: pip install 'cycseq[networks]'")

from cycseq.data.dataset import Condition, PerturbationData  # noqa: E402
from cycseq.errors import ModelError  # noqa: E402
from cycseq.models.base import Embeds  # noqa: E402
from cycseq.models.networks.autoencoder import Autoencoder  # noqa: E402
from cycseq.models.networks.blocks.batch import Batch, Sizes  # noqa: E402
from cycseq.models.networks.blocks.cycseq import CycSeqNet, Form, label_loss, parts_of, places_of  # noqa: E402
from cycseq.models.networks.blocks.losses import condition_means  # noqa: E402
from cycseq.models.networks.cycseq import CycSeq  # noqa: E402
from cycseq.models.networks.gan import GAN  # noqa: E402
from cycseq.models.networks.vae import VAE  # noqa: E402
from cycseq.preparation.pseudobulk import responses  # noqa: E402
from cycseq.run.embedding import embed  # noqa: E402

HELD = Condition("THP1", "G1")
SMALL = {"hidden": (48, 32), "latent": 8, "batch_size": 64, "learning_rate": 2e-3, "schedule": "constant"}

PLAYERS = {"generator": (64, 48), "critic": (48, 32)}


@pytest.fixture
def train(small_data) -> PerturbationData:
    return small_data.subset(c for c in small_data.conditions() if c != HELD)


def errors(predicted: PerturbationData, real: PerturbationData, condition: Condition) -> tuple[float, float]:
    """Pearson of the deltas, and the error of means relative to that of no change."""
    control = real.cells(Condition(condition.context, "control")).mean(axis=0)
    got, wanted = (data.cells(condition).mean(axis=0) - control for data in (predicted, real))
    return float(np.corrcoef(got, wanted)[0, 1]), float(np.square(got - wanted).mean() / np.square(wanted).mean())


@pytest.fixture
def mixed_batch() -> tuple[Sizes, Batch]:
    torch.manual_seed(0)
    sizes = Sizes(genes=20, parts=4, contexts=3, batches=3)
    parts = torch.tensor([[1, 0], [2, 3]] * 4)
    places = torch.tensor([1, 2] * 4)
    x = torch.rand(8, 20)
    return sizes, Batch(x, parts, places, places, torch.full((8,), 1e4), torch.rand(8, 20))


def form(**settings) -> Form:
    chosen = {
        "num_res_blocks": 1,
        "use_attention": True,
        "use_embedding": False,
        "use_batch_norm": False,
        "use_dropout": False,
        "faithful": False,
        "hidden": (32, 32),
        "latent": 4,
    }
    return Form(**(chosen | settings))


def test_gan_generates_conditions_that_differ_and_keeps_to_the_real_range(train, small_data):
    model = GAN(num_epochs=30, batch_size=64, learning_rate=2e-3, patience=40, **PLAYERS).fit(train)
    one, other = HELD, Condition("THP1", "G2")
    predicted = model.predict(small_data.controls(), [one, other], n_cells=200)
    pearson, _ = errors(predicted, small_data, one)
    assert pearson > 0.5
    apart, really = (data.cells(one).mean(axis=0) - data.cells(other).mean(axis=0) for data in (predicted, small_data))
    assert np.corrcoef(apart, really)[0, 1] > 0.5
    assert predicted.x.max() <= 1.5 * small_data.x.max()
    published = GAN(num_epochs=2, conditional=False, gated=False, moments=0.0, critic_steps=5, sparsity=0.01, **PLAYERS)
    free = published.fit(train).predict(small_data.controls(), [one], n_cells=200)

    def zero_error(data: PerturbationData) -> float:
        return float(np.square((data.cells(one) == 0).mean(axis=0) - (small_data.cells(one) == 0).mean(axis=0)).mean())

    assert zero_error(predicted) < zero_error(free)


def test_gan_is_not_stopped_where_its_errors_rise_at_first(train, monkeypatch):
    losses = iter([1.0, *[2.0] * 20, 0.5])
    monkeypatch.setattr(GAN, "validate", lambda *_: {"loss": next(losses)})
    facts = GAN(num_epochs=22, batch_size=500, generator=(8,), critic=(8,)).fit(train).learned.facts
    assert facts["best_epoch"] == facts["epochs"] == 22


def test_a_latent_space_is_there_or_not(train):
    gan = GAN(num_epochs=1, **PLAYERS).fit(train)
    assert not isinstance(gan, Embeds)
    assert not hasattr(gan, "latents")
    assert all(isinstance(model, Embeds) for model in (CycSeq(), Autoencoder(), VAE()))
    with pytest.raises(ModelError, match=r"^GAN has no latent space"):
        embed(gan, train)


def test_cycseq_translates_to_where_it_was_not_trained_and_back(train, small_data):
    model = CycSeq(num_epochs=15, **SMALL).fit(train)
    predicted = model.predict(small_data.controls(), [HELD])
    pearson, ratio = errors(predicted, small_data, HELD)
    assert pearson > 0.6
    assert ratio < 0.85

    perturbed = small_data.subset([Condition("K562", "G3")])
    back = model.restored(perturbed)
    assert back.conditions() == (Condition("K562", "control"),)
    assert list(back.adata.obs["source_cell"]) == list(perturbed.adata.obs_names)
    control = small_data.cells(Condition("K562", "control")).mean(axis=0)
    before, after = (np.square(d.x.mean(axis=0) - control).mean() for d in (perturbed, back))
    assert after < 0.7 * before

    assert model.embed(small_data).shape == (small_data.n_cells, 3 * 8)


def test_cycseq_gives_the_measured_response_alone_if_it_is_told_to(train, small_data):
    model = CycSeq(num_epochs=1, measured=1.0, nearness=0.0, **SMALL).fit(train)
    predicted = model.predict(small_data.controls(), [HELD]).x.mean(axis=0)
    known = responses(train)
    measured = np.mean(
        [delta for c, delta in zip(known.conditions, known.delta, strict=True) if c.perturbation == "G1"], axis=0
    )
    control = small_data.cells(Condition(HELD.context, "control")).mean(axis=0)
    np.testing.assert_allclose(predicted, np.maximum(control + measured, 0.0), atol=1e-3)

    half = CycSeq(num_epochs=1, measured=0.5, nearness=0.0, **SMALL).fit(train)
    alone = CycSeq(num_epochs=1, measured=0.0, **SMALL).fit(train)
    means = [m.predict(small_data.controls(), [HELD]).x.mean(axis=0) for m in (half, alone)]
    np.testing.assert_allclose(means[0], (predicted + means[1]) / 2, atol=1e-3)


def test_the_published_form_takes_no_measured_response(train):
    model = CycSeq(num_epochs=1, faithful=True, **SMALL).fit(train)
    assert "measured" not in model.learned.arrays


def test_the_mended_translation_begins_as_no_change(mixed_batch):
    sizes, batch = mixed_batch
    net = CycSeqNet(sizes, form()).eval()
    assert torch.equal(net.translator("perturb")(batch).x, batch.x)


def test_the_published_form_has_its_faults(mixed_batch):
    sizes, batch = mixed_batch
    net = CycSeqNet(sizes, form(faithful=True)).eval()
    made = net.translator("perturb")(batch)
    assert made.x.abs().max() < 1.0  # tanh clips expression
    assert made.parts.abs().max() < 1.0  # and bounds the logits
    told = net.translator("perturb")(batch.perturbed(torch.zeros_like(batch.parts)))
    assert not torch.equal(made.parts, told.parts)  # the head is told what it has to say


def test_the_mended_reader_is_not_told_the_label(mixed_batch):
    sizes, batch = mixed_batch
    net = CycSeqNet(sizes, form()).eval()
    made = net.translator("perturb")(batch)
    parts, places = net.read(made.x)
    assert parts.shape == (8, sizes.parts)
    assert places.shape == (8, sizes.contexts + sizes.batches)
    assert made.parts.numel() == 0


def test_the_published_form_trains(train, small_data):
    model = CycSeq(num_epochs=2, faithful=True, **SMALL).fit(train)
    predicted = model.predict(small_data.controls(), [HELD])
    assert np.isfinite(predicted.x).all()


def test_the_published_critic_gives_a_probability_and_sees_whole_vectors(mixed_batch):
    sizes, batch = mixed_batch
    critic = CycSeqNet(sizes, form(faithful=True)).eval().critic("perturbed")
    told = critic.labels(batch)
    assert set(told.unique().tolist()) == {0.0, 1.0}
    score = critic(100 * batch.x, told)
    assert ((score > 0) & (score < 1)).all()


def test_label_loss_is_that_of_vectors_of_zeros_and_ones(mixed_batch):
    sizes, batch = mixed_batch
    parts, places = torch.randn(8, sizes.parts), torch.randn(8, sizes.contexts + sizes.batches)
    wanted = sum(
        torch.nn.functional.binary_cross_entropy_with_logits(logits, aim)
        for logits, aim in ((parts, parts_of(batch, sizes)), (places, places_of(batch, sizes)))
    )
    assert torch.allclose(label_loss(parts, places, batch, sizes), wanted, atol=1e-6)


def test_condition_means_are_those_of_each_label(mixed_batch):
    _, batch = mixed_batch
    (means,) = condition_means(batch, [batch.x])
    assert torch.allclose(means, torch.stack([batch.x[::2].mean(dim=0), batch.x[1::2].mean(dim=0)]), atol=1e-6)


def test_a_network_trained_on_all_lines_knows_a_new_batch_and_a_new_line(train, small_data):
    """Held-open places: cells of a batch and a line that training never saw are translated, not refused."""
    lines = small_data.subset(c for c in small_data.conditions() if c.context != "THP1")
    old = lines.take((lines.adata.obs["batch"] == "b0").to_numpy())
    model = CycSeq(num_epochs=15, **SMALL).fit(old)
    other = small_data.controls(["THP1"])
    predicted = model.predict(other, [Condition("THP1", "G3")])
    pearson, ratio = errors(predicted, small_data, Condition("THP1", "G3"))
    assert pearson > 0.3
    assert ratio < 1.0
