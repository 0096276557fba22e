"""The catalogue of knowledge: what is at hand, what is fetched and added, other names of genes, sources inside saved models."""

from __future__ import annotations

import gzip
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import scipy.sparse as sp

from cycseq.cli import main
from cycseq.data.condition import Condition
from cycseq.data.effects import Effects
from cycseq.errors import CycseqError, DataError
from cycseq.io.download import CACHE
from cycseq.knowledge.catalog import CATALOGUE, load_sources, sources_for
from cycseq.knowledge.neighbours import neighbours
from cycseq.knowledge.read import read_sources
from cycseq.knowledge.source import Source
from cycseq.knowledge.stored import store_sources, stored_sources

GENE2GO = "symbol,go_id\n" + "".join(f"{gene},{term}\n" for gene, term in ["A1", "B1", "B2", "C2", "C1", "D3", "E4"])
HGNC = (
    "hgnc_id\tsymbol\tprev_symbol\talias_symbol\tensembl_gene_id\tentrez_id\tgene_group\n"
    "HGNC:1\tA\tOLDA\tAA|BOTH\tENSG00000000001\t11\tfirst|second\n"
    "HGNC:2\tB\t\tBOTH|C\tENSG00000000002\t12\tsecond\n"
    "HGNC:3\tC\tOLDC|AA\t\tENSG00000000003\t13\tfirst\n"
)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def go(tmp_path):
    path = tmp_path / "go.csv"
    path.write_text(GENE2GO)
    return str(path)


def put(cache, name, text):
    path = CATALOGUE[name].paths(cache)[0]
    path.parent.mkdir(parents=True)
    path.write_text(text)


@pytest.mark.parametrize("kind", ["sets", "edges", "features", "fingerprints"])
def test_a_stored_source_gives_the_same_kernels(kind):
    rng = np.random.default_rng(0)
    names = tuple(f"G{i}" for i in range(12))
    values = rng.normal(size=(12, 6)) * (rng.random((12, 6)) < 0.5)
    if kind == "features":
        values[3] = np.nan
        values[4, 2] = np.nan
    else:
        values = sp.csr_array((values != 0 if kind != "edges" else values).astype(np.float32))
    source = Source("s", kind, names, values, {"licence": "CC0"}, {"old1": "g1", "other": "elsewhere"})
    arrays, facts = store_sources([source, source])
    first, again = stored_sources(arrays, facts)
    asked = [*names, "OLD1", "G1+G2", "nobody"]
    assert np.isfinite(first.kernel(asked)).all()
    np.testing.assert_allclose(first.kernel(asked), source.kernel(asked), atol=1e-6)
    np.testing.assert_array_equal(first.knows(asked), source.knows(asked))
    assert (first.name, first.facts, again.kind) == ("s", {"licence": "CC0"}, kind)
    assert dict(first.aliases) == {"old1": "g1"}
    assert all(np.isfinite(array).all() for array in arrays.values())
    assert stored_sources({}, {}) == ()


def test_names_are_files_entries_or_all_at_hand(cache, go):
    with pytest.raises(CycseqError, match="no knowledge is at hand: fetch some first"):
        load_sources(["auto"])
    with pytest.raises(CycseqError, match="reactome is not in the cache: cycseq knowledge fetch reactome"):
        load_sources(["reactome"])
    with pytest.raises(CycseqError, match="no source of knowledge 'reactom': did you mean 'reactome'"):
        load_sources(["reactom"])
    with pytest.raises(CycseqError, match="does not exist"):
        load_sources(["none.csv"])
    put(cache, "corum", "complex_id\torganism\tsubunits_gene_name\n1\tHuman\tA;B\n2\tHuman\tB;C\n")
    (cache / "knowledge" / "added").mkdir()
    (cache / "knowledge" / "added" / "embedding.csv").write_text("gene,x,y\nA,1,2\nB,3,5\nC,0,1\n")
    assert [source.name for source in load_sources(["auto", go])] == ["embedding", "corum", "go"]
    (corum,) = load_sources(["corum"])
    assert "non-commercial" in corum.facts["licence"]
    assert len(corum.facts["sha256"]) == 64
    assert load_sources(["embedding"])[0].kind == "features"


def test_sources_of_one_name_are_told_apart(cache, go, tmp_path):
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "go.tsv").write_text(GENE2GO.replace(",", "\t"))
    assert [s.name for s in load_sources([go, str(tmp_path / "more" / "go.tsv"), go])] == ["go (go.csv)", "go (go.tsv)"]


def test_only_sources_that_know_some_are_taken_and_none_is_refused_by_naming(cache, go):
    assert [source.name for source in sources_for([go], ["A", "drug"])] == ["go"]
    with pytest.raises(
        DataError, match="go knows none of the 2 perturbations: they seem to be Ensembl identifiers of genes"
    ):
        sources_for([go], ["ENSG00000000001", "ENSG00000000002"])
    put(cache, "hgnc", HGNC)
    (source,) = sources_for([go], ["ENSG00000000001", "ENSG00000000002"])
    assert source.knows(["ENSG00000000001", "OLDA", "12", "oldc", "AA", "BOTH", "HGNC:2"]).tolist() == [True] * 4 + [
        True,
        False,
        True,
    ]
    np.testing.assert_allclose(source.kernel(["AA"], ["C"]), 1.0)  # a former symbol counts before a synonym
    assert not source.knows(["D"]).any()
    assert [s.name for s in sources_for(["auto"], ["A"])] == ["hgnc"]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def test_a_source_is_fetched_from_a_server_and_a_file_is_added(cache, go, tmp_path, capsys):
    there = tmp_path / "served" / "reactome.org" / "download" / "current"
    there.mkdir(parents=True)
    with zipfile.ZipFile(there / "ReactomePathways.gmt.zip", "w") as packed:
        packed.writestr("ReactomePathways.gmt", "Cycle\tR-HSA-1\tA\tB\nRepair\tR-HSA-2\tB\tC\n")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path / "served"))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    mirror = f"http://127.0.0.1:{server.server_address[1]}"
    assert main(["knowledge", "fetch", "reactome", "--mirror", mirror]) == 0
    assert "sets of 3 names (A, B, C)" in capsys.readouterr().out
    assert main(["knowledge", "fetch", "collectri", "--mirror", mirror, "--attempts", "1"]) == 2
    assert "collectri" not in {path.name for path in (cache / "knowledge").iterdir() if any(path.iterdir())}
    server.shutdown()
    server.server_close()
    capsys.readouterr()
    assert main(["knowledge", "add", go]) == 2
    assert "go is the name of another source" in capsys.readouterr().err
    own = tmp_path / "own.v2.csv"
    own.write_text("gene,x,y,z\nA,1,2,0\nB,3,5,2\n")
    assert main(["knowledge", "add", str(own)]) == 0
    assert "--model.knowledge own uses it" in capsys.readouterr().out
    assert main(["knowledge", "add", str(own)]) == 2
    assert main(["knowledge", "add", str(own.rename(tmp_path / "own.tsv"))]) == 2
    assert main(["knowledge", "list"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert all(name in out for name in (*CATALOGUE, "own", "non-commercial", "CC0"))
    assert [source.name for source in load_sources(["auto"])] == ["own", "reactome"]


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["fetch"], "needs the name of a source"),
        (["add"], "needs a file"),
        (["fetch", "sting"], "did you mean 'string'"),
        (["add", "none.csv"], "does not exist"),
    ],
)
def test_the_command_says_what_it_needs(cache, words, match, capsys):
    assert main(["knowledge", *words]) == 2
    assert match in capsys.readouterr().err


def test_links_of_string_below_its_medium_confidence_are_left_out(cache):
    links, info = CATALOGUE["string"].paths(cache)
    links.parent.mkdir(parents=True)
    pairs = [("P1", "P2", 900), ("P1", "P3", 399), ("P3", "P4", 400)]
    ends = [(f"9606.{first}", f"9606.{second}", score) for first, second, score in pairs]
    text = "".join(f"{first} {second} {score}\n{second} {first} {score}\n" for first, second, score in ends)
    links.write_bytes(gzip.compress(f"protein1 protein2 combined_score\n{text}".encode()))
    names = "".join(f"9606.P{i}\tGENE{i}\t10\tx\n" for i in range(1, 5))
    info.write_bytes(gzip.compress(f"#string_protein_id\tpreferred_name\tprotein_size\tannotation\n{names}".encode()))
    (source,) = load_sources(["string"])
    kernel = source.kernel(["GENE1", "GENE2", "GENE3", "GENE4"])
    assert (kernel > 0).tolist() == [[True, True, False, False]] * 2 + [[False, False, True, True]] * 2


def test_neighbours_are_told_with_their_source_and_whether_they_agree(go):
    sources = load_sources([go])
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 30))
    responses = {"A": first, "C": first, "X": second, "Y": -first - second}
    conditions = [Condition("c", name) for name in responses]
    train = Effects.from_arrays(
        np.stack(list(responses.values())).astype(np.float32), conditions, [f"G{i}" for i in range(30)], scale="z"
    )
    table = neighbours(sources, train, [Condition("c", "B"), Condition("c", "A"), Condition("new", "D")])
    assert table[["perturbation", "source", "neighbour"]].to_numpy().tolist() == [
        ["B", "go", "C"],
        ["B", "go", "A"],
        ["A", "go", "C"],
    ]
    assert table["similarity"][0] == pytest.approx(1.0)
    np.testing.assert_allclose(table["agreement"][:2], 1.0)
    assert np.isnan(table["agreement"][2])
    assert neighbours(sources, train, [Condition("c", "E")]).empty


def test_real_annotations_are_stored_in_a_few_megabytes(shared_data):
    (source,) = read_sources(shared_data("gene2go_human_withancestors_5to500.csv.gz"))
    arrays, facts = store_sources([source])
    assert sum(array.nbytes for array in arrays.values()) < 2e6
    (again,) = stored_sources(arrays, facts)
    asked = ["POLR2A", "POLR2B", "RPL3", "KLF1"]
    np.testing.assert_array_equal(again.kernel(asked), source.kernel(asked))
