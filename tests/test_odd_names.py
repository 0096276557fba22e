"""Names of files that are not UTF-8, and names in files that turn the direction of text."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from cycseq.cli import SUCCESS, main
from cycseq.formats.load import default_context
from cycseq.io.files import path_of_text, text_of_path
from cycseq.show.report.page import render

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")


def test_a_run_in_a_folder_whose_name_is_no_utf8(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    commands = (
        "simulate --cells 300 --genes 30 --contexts 2 --perturbations 3 --out {}/d.h5ad",
        "split --data {}/d.h5ad --context Line2 --out {}/s.json",
        "fit --data {}/d.h5ad --split {}/s.json --model PerturbedMean --run {}/run",
        "predict --run {}/run --cells 20 --out {}/p.h5ad",
        "evaluate --predicted {}/p.h5ad --real {}/d.h5ad --metrics mse --out {}/m.csv",
        "report {}/run",
    )
    for command in commands:
        assert main(command.format(*[str(folder)] * 3).split()) == SUCCESS, capsys.readouterr().err
    assert "caf\\udce9/p.h5ad" in capsys.readouterr().out
    assert "caf\\xe9/d.h5ad" in (folder / "run" / "report.html").read_text(encoding="utf-8")


def test_a_table_whose_name_is_no_utf8_names_its_context(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / os.fsdecode(b"f\xe9.csv")
    path.write_text(
        "cell,perturbation,G1,G2\n" + "".join(f"c{i},{'ctrl' if i % 2 else 'A'},{i},2\n" for i in range(20))
    )
    assert default_context(path) == "f\ufffd"
    assert main(["inspect", str(path)]) == SUCCESS
    assert "ready: type" in capsys.readouterr().out
    assert main(["prepare", str(path), "--out", str(tmp_path / "p.h5ad")]) == SUCCESS


def test_paths_in_records_are_found_again(tmp_path: Path) -> None:
    odd, plain = tmp_path / os.fsdecode(b"f\xe9"), tmp_path / "a\\xe9"
    for path in (odd, plain):
        path.touch()
    assert text_of_path(odd).endswith("f\\xe9")
    assert path_of_text(text_of_path(odd)) == odd
    assert path_of_text(text_of_path(plain)) == plain
    assert path_of_text("no/such file") == Path("no/such file")


def test_a_page_shows_what_would_turn_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    from jinja2 import DictLoader

    monkeypatch.setattr(
        "cycseq.show.report.page.PackageLoader", lambda _package: DictLoader({"page": "<p>{{ name }}</p>"})
    )
    assert render("page", {"name": "KLF1\u202eFDP.exe\u2066 \u05d0"}) == "<p>KLF1\\u202eFDP.exe\\u2066 \u05d0</p>"
