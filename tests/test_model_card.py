"""The card of a saved model says in words what its JSON says, and what it must not be taken for."""

from pathlib import Path

from cycseq.data.dataset import PerturbationData
from cycseq.models import build_model
from cycseq.models.card import CARD
from cycseq.run.fitting import fit_run
from cycseq.split.make import make_splits
from cycseq.split.settings import SplitSettings


def test_the_card_of_a_run(small_data: PerturbationData, tmp_path: Path):
    (split,) = make_splits(small_data, SplitSettings(context="THP1"))
    run = fit_run(small_data, split, build_model("ContextAdditive", {"amplitude": 0.8}), tmp_path / "run")
    card = (run.folder / "model" / CARD).read_text()
    assert card.startswith("# ContextAdditive\n")
    assert split.claim in card
    assert split.data_hash in card
    assert "K562, RPE1" in card
    assert "THP1" not in card.split("## Trained on")[1].split("##")[0].splitlines()[2]
    assert "genes: 60," in card
    assert "| `amplitude` | `0.8` |" in card
    assert "refuses" in card
    assert "broke off" not in card


def test_without_a_split_nothing_is_claimed(small_data, tmp_path):
    build_model("NoChange").fit(small_data).save(tmp_path / "model", facts={"broken": "loss became NaN"})
    card = (tmp_path / "model" / CARD).read_text()
    assert "saved without a split" in card
    assert "broke off, and this is the last good state:** loss became NaN" in card
    assert "## Settings\n\n| setting | value |\n|---|---|\n| `response` | `log1p` |" in card
