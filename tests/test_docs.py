"""The pages: their code runs, they miss nothing that the code has, and the site builds without a warning."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest

import cycseq.score.metrics
from built import is_fresh
from cycseq.commands import COMMANDS
from cycseq.commands.parser import parse
from cycseq.formats.catalog import DATASETS
from cycseq.models import MODELS
from cycseq.score.metrics import METRICS
from cycseq.split.settings import KINDS
from pages import ROOT, run_page

pytestmark = pytest.mark.usefixtures("empty_figures")

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(page for page in DOCS.rglob("*.md") if "_build" not in page.parts)]


def fenced(page: Path) -> str:
    """All that stands between fences; lines that go on are joined."""
    code = re.findall(r"^```[^\n]*\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
    return "\n".join(code).replace("\\\n", " ")


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder whose modules can be imported, and tables that are put back afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for table in (MODELS, METRICS, DATASETS):
        for name in set(table):
            monkeypatch.setitem(table, name, table[name])
    before = [(table, set(table)) for table in (MODELS, METRICS, DATASETS)]
    yield tmp_path
    for table, names in before:
        for name in set(table) - names:
            del table[name]


def test_first_prediction(fresh, capsys):
    names = run_page(DOCS / "first_prediction.md")
    assert names["predicted"].n_cells == 200 * 8
    assert names["ours"].corr(names["real"]) > 0.4
    assert "<!doctype html>" in Path("out/report.html").read_text()[:100]
    assert len(pd.read_csv("genes.csv")) == 8 * 300


def test_choosing_a_split(fresh):
    run_page(DOCS / "choosing_a_split.md")
    assert len(list(Path("every_context_in_turn").glob("*.json"))) == 3


def test_metrics(fresh, capsys):
    run_page(DOCS / "metrics.md")
    assert float(re.search(r"NoChange .*'r2_mean': ([\d.]+)", capsys.readouterr().out)[1]) > 0.7


def test_effects(fresh, capsys):
    run_page(DOCS / "effects.md")
    assert len(pd.read_csv("scores.csv")) > 0
    assert "effects/Line1" in capsys.readouterr().out


def test_tuning(fresh):
    run_page(DOCS / "tuning.md")
    trials = pd.read_csv("tuned/trials.csv")
    assert trials["trial"].tolist() == list(range(12))
    assert trials["objective"].iloc[0] == pytest.approx(0.821, abs=0.002)  # as the page says of the defaults
    assert Path("runs/line3/model").is_dir()


def test_adding(fresh):
    names = run_page(DOCS / "adding.md")
    assert {"ContextAdditive", "CautiousMedian"} <= set(names["result"].summary["model"])
    scores = names["scores"].groupby("metric")["value"].mean()
    assert scores["sign_agreement"] == pytest.approx(scores["deg_direction"], abs=0.05)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_can_be_typed(page, tmp_path, monkeypatch):
    """Also on pages that are not run, as they need downloads or long training: commands, options and values exist."""
    monkeypatch.chdir(tmp_path)
    for line in re.findall(r"^(?:\$ )?(cycseq [a-z]+ .*)$", fenced(page), re.MULTILINE):
        name, *words = shlex.split(line, comments=True)[1:]
        if {"...", "--config", "--help"} & set(words):
            continue
        assert parse(name, COMMANDS[name], import_module(f"cycseq.commands.{name}").configure, words), line


def test_every_model_has_a_page():
    text = "\n".join(page.read_text() for page in (DOCS / "models").glob("*.md"))
    headings = set(re.findall(r"^#+ (.+)$", text, re.MULTILINE))
    lacking = [name for name in MODELS if name not in headings]
    assert not lacking


def test_every_metric_family_is_on_the_page():
    families = {
        name
        for name, module in vars(cycseq.score.metrics).items()
        if isinstance(getattr(module, "METRICS", None), tuple)
    }
    assert families == set(re.findall(r"```\{metrics\} (\w+)", (DOCS / "metrics.md").read_text()))


def test_every_split_is_in_the_table():
    page = (DOCS / "choosing_a_split.md").read_text()
    assert all(f"| `{kind}` |" in page for kind in KINDS)


def test_every_public_name_is_in_the_reference():
    page = (DOCS / "api.md").read_text()
    shown = set(re.findall(r"auto(?:class|function):: (\w+)$", page, re.MULTILINE))
    assert shown == set(cycseq.__all__)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_names_commands_that_exist(page):
    assert set(re.findall(r"`cycseq ([a-z]+)", page.read_text())) <= set(COMMANDS)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The pages as `make docs` built them, or built here: without a warning either way."""
    if is_fresh(DOCS / "_build" / "complete"):
        return DOCS / "_build" / "html"
    if find_spec("sphinx") is None:
        pytest.skip("sphinx is absent: pip install 'cycseq[docs]'")
    words = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-D", "nb_execution_mode=off", DOCS, tmp_path]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return tmp_path


def test_the_site_builds_without_a_warning_and_loads_nothing(site: Path):
    loads = r"<(?:script|link|img|iframe)[^>]*?(?:src|href)=\"((?:https?:)?//[^\"]+)"
    loaded = {url for page in site.rglob("*.html") for url in re.findall(loads, page.read_text())}
    assert not loaded
    shown = (site / "metrics.html").read_text()
    assert all(f'id="{name.replace("_", "-")}"' in shown or f">{name}<" in shown for name in METRICS)
    assert "<math" in (site / "models" / "baselines.html").read_text()
