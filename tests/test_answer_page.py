"""The page of an answer: its data, its size, what it says where."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from conftest import make_log1p
from cycseq.data.condition import Condition
from cycseq.data.effects import Effects
from cycseq.data.posterior import COLUMNS
from cycseq.run.answer.predict import Answer, predict
from cycseq.show.report.answer_data import MIN_GENES, conditions_shown, embed
from cycseq.show.report.answer_page import write_answer

SETS = {"ten genes": tuple(f"G{i}" for i in range(1, 11)), "<script>alert(1)</script>": ("G1",), "elsewhere": ("X9",)}


@pytest.fixture(scope="module")
def answer() -> Answer:
    data = make_log1p()
    screen = data.subset(c for c in data.conditions() if c.context != "THP1" or c.is_control)
    return predict(screen, "missing", model="ContextAdditive", leave_out=2)


@pytest.fixture(scope="module")
def page(answer: Answer, tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_answer(answer, tmp_path_factory.mktemp("page") / "answer", gene_sets=SETS).read_text()


def embedded(page: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="answer">(.*?)</script>', page, re.S)[1])


def test_the_page_holds_every_gene_of_every_condition(page, answer):
    data = embedded(page)
    assert len(data["tables"]) == len(answer.kinds) == 4
    genes, effect, lower, upper, up, lfsr = data["tables"][0]
    first = answer.genes.head(60)
    assert [data["genes"][i] for i in genes] == first["gene"].tolist()
    assert effect == pytest.approx(first["effect"], abs=6e-4)
    assert lfsr == pytest.approx(first["lfsr"], rel=0.06)
    assert all(low <= middle <= high for low, middle, high in zip(lower, effect, upper, strict=True))
    assert all(0 <= share <= 1 for share in up)


def test_the_page_holds_what_was_measured_of_the_same_perturbation(page, answer):
    data = embedded(page)
    assert data["conditions"][0] == ["THP1", "G1", None, "G1"]
    assert [measured[0] for measured in data["measured"][0]] == ["K562", "RPE1"]
    *_, values = data["measured"][0][0]
    assert len(values) == len(data["tables"][0][0]) == 60


def test_doses_stand_in_their_order():
    conditions = [("liver", f"drug@{dose}@24h") for dose in ("1uM", "10uM")]
    one = pd.DataFrame(dict.fromkeys(COLUMNS, 0.1), index=range(3)).assign(gene=["A", "B", "C"])
    measured = Effects.from_arrays(
        np.array([[0.5, np.nan, -1.0]]), [Condition("liver", "drug@100nM@24h")], ["A", "B", "C"], scale="z"
    )
    data = json.loads(embed([(key, one) for key in conditions], {}, measured))
    assert [label[2] for label in data["conditions"]] == [-6.0, -5.0]
    assert data["measured"][1] == [["liver", "drug@100nM@24h", -7.0, "drug@24h", [50, None, -100]]]


def test_gene_sets_that_the_data_have(page):
    sets = embedded(page)["sets"]
    assert len(sets["ten genes"]) == 10
    assert "elsewhere" not in sets
    assert "<script>alert(1)" not in page


@pytest.mark.parametrize(
    "words",
    [
        "How well such predictions do",
        "What it rests on",
        "What cannot be told",
        "measured elsewhere",
        "moved as predicted",
        "genes.csv",
        "THP1:G1",
    ],
)
def test_the_page_says(page, words):
    assert words in page


def test_the_page_loads_nothing(page):
    assert not re.search(r'(?:src|href)="(?!#)', page)


def test_tags_are_closed(page):
    open_tags: list[str] = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag not in {"meta", "input", "br", "wbr", "path", "use", "rect", "image", "link", "circle", "line"}:
                open_tags.append(tag)

        def handle_endtag(self, tag):
            if tag in open_tags:
                assert open_tags.pop() == tag

    Parser().feed(re.sub(r"<svg.*?</svg>", "", page, flags=re.S))
    assert open_tags == []


@pytest.mark.parametrize("n_conditions", [1, 300, 1200])
def test_it_stays_small(n_conditions):
    rng = np.random.default_rng(0)
    n_genes = {1: 2000, 300: 400, 1200: 110}[n_conditions]
    one = pd.DataFrame(dict.fromkeys(COLUMNS, 0.123456), index=range(n_genes))
    one["gene"] = [f"GENE{i}" for i in range(n_genes)]
    one[["effect", "lower", "upper"]] = rng.normal(size=(n_genes, 3))
    one["lfsr"] = np.sort(rng.uniform(0, 0.5, n_genes))
    genes = pd.concat([one.assign(context="context", perturbation=f"P{i}") for i in range(n_conditions)])
    shown = conditions_shown(genes)
    effects = Effects.from_arrays(
        rng.normal(size=(50, n_genes)),
        [Condition(f"context {i}", "P0") for i in range(50)],
        [f"GENE{i}" for i in range(n_genes)],
        scale="z",
    )
    assert len(embed(shown, {}, effects)) < 4.5e6
    assert len(shown) == min(n_conditions, 900) or n_conditions > 300
    assert all(len(part) >= min(MIN_GENES, n_genes) for _, part in shown)
