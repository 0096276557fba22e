"""The training runtime: resuming, stopping, logs. Models on real promises are in test_network_models."""

import csv

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="networks need torch: pip install 'cycseq[networks]'")
pytest.importorskip("lightning", reason="training needs lightning: pip install 'cycseq[networks]'")

from cycseq.errors import FitBrokeOffError, ModelError, SettingsError  # noqa: E402
from cycseq.models import build_model  # noqa: E402
from cycseq.models.networks.autoencoder import Autoencoder  # noqa: E402
from cycseq.models.networks.vae import VAE  # noqa: E402

CONTEXTS = ("K562", "RPE1", "THP1")
SMALL = {"hidden": (16,), "latent": 4, "batch_size": 100, "shortcut": False}


def weights(model) -> dict[str, np.ndarray]:
    return model.learned.arrays


def interrupted_after(monkeypatch, kind, epochs: int, act) -> None:
    """From the given epoch on, the second step does something else."""
    seen, honest = [0], kind.__mro__[1].step

    def step(self, net, batch, optimisers):
        seen[0] += 1
        if seen[0] == epochs * 6 + 2:
            act(net)
        return honest(self, net, batch, optimisers)

    monkeypatch.setattr(kind, "step", step)


def test_resumed_is_exactly_uninterrupted(small_data, tmp_path, monkeypatch):
    def fit(run):
        return VAE(num_epochs=5, **SMALL).fit(small_data, seed=1, run=run)

    def stop(_net):
        raise KeyboardInterrupt

    whole = fit(tmp_path / "whole")
    with monkeypatch.context() as patch:
        interrupted_after(patch, VAE, 2, stop)
        with pytest.raises(KeyboardInterrupt):
            fit(tmp_path / "cut")
    assert len((tmp_path / "cut" / "history.csv").read_text().splitlines()) == 3
    resumed = fit(tmp_path / "cut")
    assert (tmp_path / "cut" / "history.csv").read_text() == (tmp_path / "whole" / "history.csv").read_text()
    assert all(np.array_equal(weights(whole)[name], weights(resumed)[name]) for name in weights(whole))
    again = fit(None)
    assert all(np.array_equal(weights(whole)[name], weights(again)[name]) for name in weights(whole))


def test_a_checkpoint_of_other_settings_is_refused(small_data, tmp_path):
    Autoencoder(num_epochs=1, **SMALL).fit(small_data, run=tmp_path)
    with pytest.raises(ModelError, match="other settings, another seed or other data"):
        Autoencoder(num_epochs=1, **SMALL).fit(small_data, seed=9, run=tmp_path)


def test_a_checkpoint_of_other_validation_cells_is_refused(small_data, tmp_path):
    train, one, other = (
        small_data.subset(c for c in small_data.conditions() if c.context == name) for name in CONTEXTS
    )
    Autoencoder(num_epochs=1, **SMALL).fit(train, one, run=tmp_path)
    with pytest.raises(ModelError, match="other settings, another seed or other data"):
        Autoencoder(num_epochs=1, **SMALL).fit(train, other, run=tmp_path)


def test_a_checkpoint_loads_without_pickle(small_data, tmp_path):
    Autoencoder(num_epochs=1, **SMALL).fit(small_data, run=tmp_path)
    kept = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert kept["epoch"] == 1
    (tmp_path / "checkpoints" / "last.ckpt").write_bytes(b"cells")
    with pytest.raises(ModelError, match="is damaged"):
        Autoencoder(num_epochs=1, **SMALL).fit(small_data, run=tmp_path)


def test_every_loss_is_logged(small_data, tmp_path):
    VAE(num_epochs=3, **SMALL).fit(small_data, run=tmp_path)
    with (tmp_path / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert {"loss", "reconstruction", "kl", "validation_loss", "validation_kl"} <= set(rows[0])
    assert float(rows[2]["reconstruction"]) < float(rows[0]["reconstruction"])
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    shown = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    for name in rows[0]:
        scalars = shown.Scalars(name.replace("validation_", "validation/"))
        assert [one.step for one in scalars] == [1, 2, 3]
        np.testing.assert_allclose([one.value for one in scalars], [float(row[name]) for row in rows], rtol=1e-5)


def test_a_loss_that_is_no_number_stops_with_the_last_good_state(small_data, monkeypatch):
    def poison(net):
        with torch.no_grad():
            net.output.weight.fill_(float("nan"))

    interrupted_after(monkeypatch, Autoencoder, 1, poison)
    model = Autoencoder(num_epochs=4, **SMALL)
    with pytest.raises(ModelError, match=r"is not a number any more in epoch 2, step 2; the state of epoch 1 is kept"):
        model.fit(small_data)
    assert model.learned.facts["best_epoch"] == 1
    assert all(np.isfinite(array).all() for array in weights(model).values())


def test_an_exploding_loss_stops(small_data):
    model = Autoencoder(num_epochs=30, learning_rate=1e12, gradient_norm=0.0, **SMALL)
    with pytest.raises(ModelError, match=r"the training of Autoencoder broke: .*smaller --model.learning_rate"):
        model.fit(small_data)


def test_training_stops_early_on_the_validation_conditions(small_data):
    kept = [c for c in small_data.conditions() if c.context == "THP1" and not c.is_control]
    train = small_data.subset(c for c in small_data.conditions() if c not in kept)
    model = Autoencoder(num_epochs=200, patience=3, learning_rate=0.01, **SMALL).fit(train, small_data.subset(kept))
    facts = model.learned.facts
    assert facts["validated_on"] == "the validation conditions"
    assert facts["epochs"] == facts["best_epoch"] + 3 < 200


def test_without_validation_a_share_of_the_cells_is_held_out_and_said(small_data):
    facts = Autoencoder(num_epochs=1, held_out=0.2, **SMALL).fit(small_data).learned.facts
    assert facts["validated_on"] == "20% of the training cells"


def test_bf16_trains_to_about_the_same_loss(small_data):
    losses = [
        Autoencoder(num_epochs=8, precision=precision, **SMALL).fit(small_data).learned.facts["best_loss"]
        for precision in ("32", "fast32", "bf16")
    ]
    assert losses[1:] == pytest.approx([losses[0]] * 2, rel=0.05)


@pytest.mark.parametrize(("setting", "value"), [("num_epochs", 0), ("learning_rate", -1.0), ("held_out", 1.5)])
def test_settings_without_sense_are_refused(small_data, setting, value):
    with pytest.raises(SettingsError, match=rf"(--model\.)?{setting} is .* must "):
        Autoencoder(**{setting: value}).fit(small_data)


@pytest.mark.parametrize(
    ("model", "setting", "value"),
    [
        ("Autoencoder", "hidden", []),
        ("Autoencoder", "latent", 0),
        ("Autoencoder", "dropout", [0.2, 1.0]),
        ("VAE", "hidden", [32, -1]),
        ("VAE", "kl_weight", -0.1),
        ("VAE", "measured", float("nan")),
        ("GAN", "critic_steps", 0),
        ("GAN", "critic", []),
        ("GAN", "betas", [0.5, 1.0]),
        ("CycSeq", "penalty_every", 0),
        ("CycSeq", "cycle_share", 1.5),
    ],
)
def test_every_network_refuses_its_own_settings_without_sense(small_data, model, setting, value):
    with pytest.raises(SettingsError, match=rf"--model\.{setting} is .* must "):
        build_model(model, {setting: value}).fit(small_data)


@pytest.mark.parametrize(
    "error",
    [RuntimeError("DefaultCPUAllocator: can't allocate memory: 60 GB"), torch.OutOfMemoryError("CUDA"), MemoryError()],
)
def test_too_little_memory_is_said_in_one_line(small_data, monkeypatch, error):
    def short(*_args: object) -> None:
        raise error

    monkeypatch.setattr(Autoencoder, "step", short)
    with pytest.raises(FitBrokeOffError, match=r"^Autoencoder needs more memory than there is.*batch_size"):
        Autoencoder(**SMALL).fit(small_data)


def test_other_errors_of_a_training_stay_what_they_are(small_data, monkeypatch):
    def wrong(*_args: object) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(Autoencoder, "step", wrong)
    with pytest.raises(RuntimeError, match="shapes"):
        Autoencoder(**SMALL).fit(small_data)


def test_a_device_that_is_not_there_is_said_in_one_line(small_data):
    if torch.cuda.is_available() or torch.backends.mps.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(
        FitBrokeOffError, match=r"cannot train with accelerator gpu.*--model.accelerator auto"
    ) as caught:
        Autoencoder(accelerator="gpu", **SMALL).fit(small_data)
    assert "\n" not in str(caught.value)


def test_a_validation_loss_that_is_no_number_is_never_the_best(small_data, monkeypatch):
    kind = Autoencoder.__mro__[1]
    honest, losses = kind.validate, []

    def first_is_nan(self, net, feeder):
        losses.append(honest(self, net, feeder) | ({} if losses else {"loss": float("nan")}))
        return losses[-1]

    monkeypatch.setattr(kind, "validate", first_is_nan)
    facts = Autoencoder(num_epochs=3, **SMALL).fit(small_data).learned.facts
    assert facts["best_epoch"] > 1
    assert facts["best_loss"] == min(found["loss"] for found in losses[1:])


def test_a_fit_leaves_the_callers_random_state_alone(small_data):
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    Autoencoder(num_epochs=1, **SMALL).fit(small_data)
    assert torch.equal(torch.rand(3), wanted)
