"""`cycseq fit --resume`: a killed training goes on to the same numbers; anything else is refused by name."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="networks need torch: pip install 'cycseq[networks]'")
pytest.importorskip("lightning", reason="training needs lightning: pip install 'cycseq[networks]'")

from cycseq.cli import BAD_INPUT, SUCCESS, main  # noqa: E402
from cycseq.data.dataset import PerturbationData  # noqa: E402
from cycseq.errors import FileError, FitBrokeOffError, SettingsError  # noqa: E402
from cycseq.models.networks.vae import VAE  # noqa: E402
from cycseq.run.fitting import fit_run, progress_of  # noqa: E402
from cycseq.run.folder import Run  # noqa: E402

EPOCHS = 5
MODEL = (
    f"--model VAE --model.num_epochs {EPOCHS} --model.patience {EPOCHS} --model.latent 4 --model.batch_size 32 "
    "--model.hidden [16]"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    f = tmp_path_factory.mktemp("resume")
    for words in (
        f"simulate --contexts 3 --perturbations 4 --cells 400 --genes 60 --seed 3 --out {f}/sim.h5ad",
        f"split --data {f}/sim.h5ad --context Line3 --out {f}/s.json",
    ):
        assert main(words.split()) == SUCCESS
    return f


def fit(folder: Path, name: str, more: str = "") -> str:
    return f"fit --data {folder}/sim.h5ad --split {folder}/s.json {MODEL} --run {folder}/{name} {more}"


def weights(folder: Path) -> bytes:
    return (folder / "model" / "model.safetensors").read_bytes()


def epochs(folder: Path) -> int:
    history = folder / "history.csv"
    return len(history.read_text().splitlines()) - 1 if history.is_file() else 0


KILLED = """
import os, signal, sys
from cycseq.cli import main
from cycseq.models.networks.latent import LatentModel

honest = LatentModel.step

def step(self, net, batch, optimisers):
    if optimisers.done > 2.5 / self.num_epochs:
        os.kill(os.getpid(), signal.SIGKILL)
    return honest(self, net, batch, optimisers)

LatentModel.step = step
main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def killed(folder: Path) -> Path:
    """A run whose process was killed (SIGKILL) in the midst of the third epoch."""
    child = subprocess.run(
        [sys.executable, "-c", KILLED, *fit(folder, "killed").split()], capture_output=True, check=False, timeout=300
    )
    assert child.returncode == -signal.SIGKILL, child.stderr
    assert epochs(folder / "killed") == 2
    return folder / "killed"


def test_a_killed_training_goes_on_to_the_same_file(folder: Path, killed: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(FileError, match=r"has not ended.* --resume$"):
        Run.open(killed)
    assert main(fit(folder, "killed").split()) == BAD_INPUT
    assert "was interrupted: continue it with --resume" in capsys.readouterr().err
    for words, differing in (
        (fit(folder, "killed", "--resume --seed 5"), "the seed was 0 and is 5"),
        (fit(folder, "killed", "--resume --model.learning_rate 0.5"), "learning_rate was 0.001 and is 0.5"),
        (fit(folder, "killed", "--resume").replace("VAE", "Autoencoder"), "the model was VAE and is Autoencoder"),
    ):
        assert main(words.split()) == BAD_INPUT
        assert f"started differently: {differing}. Use the same" in capsys.readouterr().err
    assert main(fit(folder, "killed", "--resume").split()) == SUCCESS
    assert "its fit was interrupted: it goes on" in capsys.readouterr().out
    assert main(fit(folder, "whole").split()) == SUCCESS
    assert weights(killed) == weights(folder / "whole")
    assert (killed / "history.csv").read_text() == (folder / "whole" / "history.csv").read_text()
    assert {p.name for p in killed.iterdir()} == {p.name for p in (folder / "whole").iterdir()}
    assert len(Run.open(killed).facts["resumed"]) == 1
    repeated = Run.open(killed).repeat_command()
    assert "--model.hidden '[16]'" in repeated
    assert "dropout" not in repeated  # a default, though JSON makes a list of it
    kept = weights(killed)
    assert main(fit(folder, "killed", "--resume true").split()) == SUCCESS
    assert "had ended already" in capsys.readouterr().out
    assert weights(killed) == kept


def test_resume_begins_where_there_is_nothing_and_needs_no_checkpoints(
    folder: Path, capsys: pytest.CaptureFixture[str]
):
    words = f"fit --data {folder}/sim.h5ad --split {folder}/s.json --model NoChange --run {folder}/simple --resume"
    assert main(words.split()) == SUCCESS
    assert "there is no fit in it yet: it begins" in capsys.readouterr().out
    assert progress_of(folder / "simple") == "ended"
    assert main([*words.split(), "--overwrite"]) == BAD_INPUT
    assert "use one of them" in capsys.readouterr().err


def test_another_split_of_the_same_data_is_refused(folder: Path):
    from cycseq.formats.read import read
    from cycseq.models import build_model
    from cycseq.split.make import make_splits
    from cycseq.split.settings import SplitSettings

    data = read(folder / "sim.h5ad")
    one, other = (make_splits(data, SplitSettings(context=name))[0] for name in ("Line1", "Line2"))
    run = fit_run(data, one, build_model("NoChange"), folder / "one")
    with pytest.raises(SettingsError, match="started differently: the split is another"):
        fit_run(data, other, build_model("NoChange"), run.folder, resume=True)


def test_a_training_that_broke_keeps_its_last_good_state_and_says_so(
    small_data: PerturbationData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    from cycseq.split.make import make_splits
    from cycseq.split.settings import SplitSettings

    small_data.write(tmp_path / "small.h5ad")
    split = make_splits(small_data, SplitSettings(context="THP1"))[0]
    steps, honest = [0], VAE.step

    def step(self, net, batch, optimisers):
        steps[0] += 1
        if steps[0] == 8:
            with torch.no_grad():
                net.output.weight.fill_(float("nan"))
        return honest(self, net, batch, optimisers)

    with monkeypatch.context() as patch:
        patch.setattr(VAE.__mro__[1], "step", step)
        with pytest.raises(FitBrokeOffError, match=r"is not a number any more in epoch 2.* holds that state"):
            fit_run(
                small_data, split, VAE(num_epochs=5, batch_size=80), tmp_path / "run", data_path=tmp_path / "small.h5ad"
            )
    assert progress_of(tmp_path / "run") == "broke"
    run = Run.open(tmp_path / "run")
    assert run.model.learned.facts["epochs"] == 1
    predicted = run.predict(n_cells=5)
    assert np.isfinite(np.asarray(predicted.x)).all()
    assert "not a number any more" in predicted.provenance()["broken"]
    assert main(f"predict --run {tmp_path}/run --cells 5 --out {tmp_path}/p.h5ad".split()) == SUCCESS
    assert "the training of" in capsys.readouterr().out
    with pytest.raises(SettingsError, match="would break in the same step"):
        fit_run(small_data, split, VAE(num_epochs=5, batch_size=80), tmp_path / "run", resume=True)


def test_an_error_in_a_resumed_fit_costs_nothing_that_was_kept(
    folder: Path, killed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import shutil

    from cycseq.formats.read import read
    from cycseq.split.base import Split

    cut = tmp_path / "cut"
    shutil.copytree(killed, cut)
    shutil.rmtree(cut / "model", ignore_errors=True)
    (cut / "checkpoints").mkdir(exist_ok=True)
    (cut / "checkpoints" / "last.ckpt").write_bytes(b"kept")

    def fails(*_words, **_more):
        raise MemoryError

    monkeypatch.setattr(VAE, "fit", fails)
    model = VAE(num_epochs=EPOCHS, patience=EPOCHS, latent=4, batch_size=32, hidden=(16,))
    with pytest.raises(MemoryError):
        fit_run(read(folder / "sim.h5ad"), Split.read(folder / "s.json"), model, cut, resume=True)
    assert (cut / "checkpoints" / "last.ckpt").read_bytes() == b"kept"
