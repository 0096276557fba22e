"""Saved models: what is damaged or unknown is refused in one line, and nothing is half-written."""

import json
import os
from pathlib import Path

import pytest

from cycseq.data.dataset import PerturbationData
from cycseq.errors import CycseqError, FileError, SettingsError
from cycseq.io.checksums import CHECKSUMS, write_checksums
from cycseq.models import build_model, describe, load_model, model_class
from cycseq.models.saved import DESCRIPTION, PICKLED, RECORDED, TENSORS


@pytest.fixture
def saved(small_data: PerturbationData, tmp_path: Path) -> Path:
    build_model("ContextAdditive", {"amplitude": 1}).fit(small_data).save(tmp_path / "model")
    return tmp_path / "model"


def described(folder: Path) -> dict:
    return json.loads((folder / DESCRIPTION).read_text())


def refused(folder: Path) -> str:
    with pytest.raises(CycseqError) as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_recorded(saved, small_data):
    told = described(saved)
    assert set(told) == set(RECORDED)
    assert told["genes"] == small_data.genes
    assert told["settings"] == {"response": "log1p", "amplitude": 1.0, "weighting": "equal"}
    assert load_model(saved).settings() == told["settings"]


def test_saving_leaves_the_model_as_it_is(small_data, tmp_path):
    model = build_model("NoChange").fit(small_data)
    before = dict(model.learned.facts)
    model.save(tmp_path / "model", facts={"split": "random-cells"})
    assert model.learned.facts == before
    assert load_model(tmp_path / "model").learned.facts == {**before, "split": "random-cells"}


@pytest.mark.parametrize("name", [DESCRIPTION, TENSORS])
@pytest.mark.parametrize("kept", [0, 40])
def test_a_truncated_file_is_refused(saved, name, kept):
    (saved / name).write_bytes((saved / name).read_bytes()[:kept])
    assert f"{name} is" in refused(saved)


@pytest.mark.parametrize("name", [DESCRIPTION, TENSORS])
def test_a_missing_file_is_refused(saved, name):
    (saved / name).unlink()
    assert "missing" in refused(saved)


@pytest.mark.parametrize("suffix", sorted(PICKLED))
def test_any_pickle_is_refused(saved, suffix):
    (saved / f"extra{suffix}").touch()
    assert f"extra{suffix}, which can run code" in refused(saved)


def test_no_folder_is_no_model(tmp_path):
    assert "no saved model" in refused(tmp_path / "nothing")
    (tmp_path / "file").write_text("x")
    assert "no saved model" in refused(tmp_path / "file")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"model": "Contextadditive"}, "did you mean 'ContextAdditive'"),
        ({"settings": {"amplitud": 1.0}}, "did you mean 'amplitude'"),
        ({"settings": {"amplitude": "one"}}, "ContextAdditive.amplitude is 'one'"),
        ({"genes": None}, "damaged: it does not say genes"),
    ],
)
def test_an_altered_description_is_refused(saved, change, match):
    told = {k: v for k, v in (described(saved) | change).items() if v is not None}
    (saved / DESCRIPTION).write_text(json.dumps(told))
    write_checksums(saved, (TENSORS, DESCRIPTION))  # as if it had been saved so
    assert match in refused(saved)


@pytest.mark.parametrize("name", [DESCRIPTION, TENSORS])
def test_one_other_byte_is_noticed(saved, name):
    content = bytearray((saved / name).read_bytes())
    place = content.rindex(b"1") if name == DESCRIPTION else len(content) - 3  # still JSON; a number still
    content[place] ^= 1
    (saved / name).write_bytes(content)
    assert f"{name} is truncated or was altered: its SHA-256 is not the one in {CHECKSUMS}. Fit" in refused(saved)
    (saved / CHECKSUMS).write_text("")
    assert f"{CHECKSUMS} is truncated or was altered" in refused(saved)


def test_checksums_are_those_of_coreutils_and_a_model_without_them_is_older(saved):
    import hashlib

    said = dict(reversed(line.split("  ")) for line in (saved / CHECKSUMS).read_text().splitlines())
    assert said == {n: hashlib.sha256((saved / n).read_bytes()).hexdigest() for n in (TENSORS, DESCRIPTION)}
    (saved / CHECKSUMS).unlink()
    assert load_model(saved).name == "ContextAdditive"


def test_a_save_that_fails_leaves_nothing(small_data, tmp_path, monkeypatch):
    model = build_model("NoChange").fit(small_data)

    def full(*_args, **_kwargs):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("safetensors.numpy.save", full)
    with pytest.raises(FileError, match="the disk is full"):
        model.save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_overwriting_replaces_the_whole_model(saved, small_data):
    build_model("NoChange").fit(small_data).save(saved, overwrite=True)
    assert load_model(saved).name == "NoChange"


def test_an_unknown_model_is_answered_with_the_nearest():
    for use in (model_class, build_model, describe):
        with pytest.raises(SettingsError, match="no model 'Bilinar': did you mean 'Bilinear'"):
            use("Bilinar")


@pytest.mark.parametrize(
    ("name", "settings", "match"),
    [
        ("ContextAdditive", {"weighting": "neerness"}, "did you mean 'nearness'"),
        ("NearestPerturbation", {"k": 2.5}, "NearestPerturbation.k is 2.5 .float., but must be a whole number or None"),
        ("NearestPerturbation", {"k": True}, "must be a whole number or None"),
        ("Bilinear", {"features": 3}, "must be a path or None"),
        ("Ridge", {"penalti": 3}, "no setting of Ridge 'penalti': did you mean 'penalty'"),
    ],
)
def test_a_bad_setting_is_refused(name, settings, match):
    with pytest.raises(SettingsError, match=match):
        build_model(name, settings)


def test_good_settings_are_taken_as_json_has_them():
    model = build_model("Ridge", {"features": "genes.csv", "penalty": 2, "leave_out": None, "n_components": 5})
    assert model.features == Path("genes.csv")
    assert model.penalty == 2.0
    assert model.settings()["features"] == "genes.csv"


def test_a_scale_that_there_is_not(saved):
    told = described(saved) | {"scale": ""}
    (saved / DESCRIPTION).write_text(json.dumps(told))
    write_checksums(saved, (TENSORS, DESCRIPTION))
    assert "its scale is '', but must be one of counts, log1p, scaled" in refused(saved)
