"""Sources of knowledge: every layout as it comes, and the kernels between perturbations that they give."""

from __future__ import annotations

import gzip
import zipfile
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from cycseq.errors import CycseqError, DataError, FileError
from cycseq.knowledge.names import canonical, naming_in_words
from cycseq.knowledge.read import read_sources
from cycseq.knowledge.source import Source

NAMES = ("KLF1", "GATA1", "BAK1", "TP53")


def written(path: Path, text: str) -> Path:
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr(path.stem, text)
    else:
        path.write_text(text)
    return path


def one(path: Path) -> Source:
    (source,) = read_sources(path)
    return source


GENE2GO = "symbol,go_id,ontology\n" + "".join(
    f"{gene},{term},BP\n"
    for gene, term in [("A", "1"), ("B", "1"), ("B", "2"), ("C", "2"), ("C", "1"), ("D", "3"), ("E", "4")]
)
"""Terms 1 and 2 have three and two members; D and E share no term with anyone."""


def test_sets_make_alike_what_shares_them_and_narrow_ones_count_for_more(tmp_path):
    source = one(written(tmp_path / "anything.csv.gz", GENE2GO))
    assert (source.kind, source.names) == ("sets", ("A", "B", "C", "D", "E"))
    first, second = np.log(5 / 3), np.log(5 / 2)
    kernel = source.kernel(["A", "B", "C", "D", "nobody"])
    wanted = np.eye(5)
    wanted[0, 1] = wanted[0, 2] = first / np.sqrt(first * (first + second))
    wanted[1, 2] = 1.0
    wanted = np.maximum(wanted, wanted.T)
    wanted[3:] = 0.0  # a term of one member tells nothing, and the last is not listed
    np.testing.assert_allclose(kernel, wanted, atol=1e-12)
    assert source.knows(["A", "D", "nobody"]).tolist() == [True, False, False]


def test_a_kernel_between_two_does_not_depend_on_whom_else_one_asks_for(tmp_path):
    source = one(written(tmp_path / "go.csv", GENE2GO))
    whole = source.kernel(["A", "B", "C", "A+C"])
    np.testing.assert_allclose(source.kernel(["A", "B"], ["A+C", "B"]), whole[:2, [3, 1]], atol=1e-12)


def test_several_collections_are_several_sources(tmp_path):
    text = "collection,id,name,genes\nCORUM,1,x,A;B\nCORUM,2,y,B; C\nGO,1,z,A;B;C\nGO,2,w,C;D\n"
    corum, go = read_sources(written(tmp_path / "sets.csv", text))
    assert (corum.name, corum.names, go.name, go.names) == ("CORUM", ("A", "B", "C"), "GO", ("A", "B", "C", "D"))
    assert corum.kernel(["A", "C"])[0, 1] == 0.0 < go.kernel(["A", "C"])[0, 1]


LAYOUTS = {
    "gmt": "s1\tabout\tA\tB\ns2\tabout\tB\tC\tC\ns3\t\tD\tC\n",
    "corum.txt": "complex_id\tcomplex_name\torganism\tsubunits_gene_name\n1\tx\tHuman\tA;B\n2\ty\tHuman\tB;C\n"
    "3\tz\tHuman\tD;C\n4\tm\tMouse\tA;D\n",
    "long.tsv": "geneset\tgenesymbol\n" + "".join(f"{s}\t{g}\n" for s, g in ["1A", "1B", "2B", "2C", "3D", "3C"]),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("packed", ["", ".gz", ".zip"])
def test_gene_sets_of_other_layouts(tmp_path, layout, packed):
    source = one(written(tmp_path / f"x.{layout}{packed}", LAYOUTS[layout]))
    kernel = source.kernel(["A", "B", "C", "D"])
    assert source.kind == "sets"
    np.testing.assert_allclose(kernel > 0, [[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1], [0, 0, 1, 1]])


@pytest.mark.parametrize("ending", ["csv", "tsv", "npz", "parquet", "r.csv", "depmap.csv"])
def test_features_of_any_file_are_compared_by_centred_cosines(tmp_path, ending):
    path, rng = tmp_path / f"f.{ending}", np.random.default_rng(0)
    values = rng.normal(size=(4, 6)) + np.arange(6)
    frame = pd.DataFrame(values, index=pd.Index(NAMES, name="gene"), columns=list("uvwxyz"))
    if ending == "npz":
        np.savez(path, genes=np.array(NAMES), features=values)
    elif ending == "parquet":
        pytest.importorskip("pyarrow")
        frame.to_parquet(path)
    elif ending == "depmap.csv":  # as DepMap has it: cell lines are rows
        frame.T.set_axis([f"ACH-{i:06d}" for i in range(6)]).rename(columns=lambda gene: f"{gene} (123)").to_csv(path)
    elif ending == "r.csv":
        path.write_text("\n".join([",".join(frame.columns), *frame.to_csv().splitlines()[1:]]))
    else:
        frame.to_csv(path, sep="\t" if ending == "tsv" else ",")
    source = one(path)
    centred = values - values.mean(axis=0)
    np.testing.assert_allclose(source.kernel(NAMES), np.corrcoef(centred) ** 3, atol=1e-6)


def test_an_empty_place_counts_as_the_mean_and_a_text_is_refused(tmp_path):
    source = one(written(tmp_path / "f.csv", "gene,a,b,c\nA,1,2,4\nB,3,,1\nC,5,7,0\n"))
    full = one(written(tmp_path / "g.csv", "gene,a,b,c\nA,1,2,4\nB,3,4.5,1\nC,5,7,0\n"))
    np.testing.assert_allclose(source.kernel(["A", "B", "C"]), full.kernel(["A", "B", "C"]))
    with pytest.raises(DataError, match=r"'big' in column 'b' is not a number.*its columns are a, b"):
        read_sources(written(tmp_path / "h.csv", "gene,a,b\nA,1,2\nB,3,big\n"))


def test_directed_edges_compare_targets_and_regulators_with_their_signs(tmp_path):
    text = "source,target,weight\nT1,X,1\nT1,Y,1\nT2,X,1\nT2,Y,1\nT3,X,-1\nT3,Y,-1\nT4,Z,1\nT5,Z,1\n"
    kernel = one(written(tmp_path / "tf.csv", text)).kernel(["T1", "T2", "T3", "T4", "X", "Y"])
    np.testing.assert_allclose(kernel[0, :4], [1, 1, -1, 0], atol=1e-12)
    assert kernel[4, 5] == pytest.approx(1.0)  # both have the same regulators
    text = "tf,confidence,target,mor\nT1,A,X,1.0\nT1,E,Y,1.0\nT2,A,X,1.0\nT3,A,Y,1.0\nT4,A,Z,1\n"
    kernel = one(written(tmp_path / "dorothea.csv", text)).kernel(["T1", "T2", "T3"])
    assert kernel[0, 1] > 0.9 > 0.1 > kernel[0, 2] > 0  # evidence of class E counts for little


def test_undirected_edges_make_neighbours_alike(tmp_path):
    text = "a,b,fident\nA1,A2,0.9\nB1,B2,0.3\nB2,B3,0.3\n"
    kernel = one(written(tmp_path / "paralogs.csv", text)).kernel(["A1", "A2", "B1", "B3", "C1"])
    assert kernel[0, 1] > 0.9 > kernel[2, 3] > 0 == kernel[0, 2] == kernel[4, 4]


def test_links_of_string_take_the_names_of_the_table_beside(tmp_path):
    links = "protein1 protein2 combined_score\n9606.ENSP00000000001 9606.ENSP00000000002 900\n"
    path = written(tmp_path / "9606.protein.links.v12.0.txt.gz", links)
    with pytest.raises(DataError, match="Ensembl identifiers of proteins"):
        one(path).check_knows_some(["KLF1"])
    info = "#string_protein_id\tpreferred_name\tprotein_size\n9606.ENSP00000000001\tKLF1\t3\n9606.ENSP00000000002\tGATA1\t4\n"
    written(tmp_path / "9606.protein.info.v12.0.txt.gz", info)
    from cycseq.knowledge import read

    read._read_once.cache_clear()
    assert one(path).names == ("GATA1", "KLF1")


GAF = "!gaf-version: 2.2\n" + "".join(
    f"UniProtKB\tP{i}\t{gene}\t{qualifier}\t{term}\tPMID:1\tIDA\t\tP\n"
    for i, (gene, qualifier, term) in enumerate(
        [("A", "involved_in", "GO:3"), ("B", "involved_in", "GO:4"), ("C", "NOT|involved_in", "GO:3"), ("C", "enables", "GO:9"),
         ("D", "enables", "GO:9")]
    )
)  # fmt: skip
OBO = "format-version: 1.2\n\n[Term]\nid: GO:3\nis_a: GO:2 ! x\n\n[Term]\nid: GO:4\nrelationship: part_of GO:2 ! x\n\n[Term]\nid: GO:2\nis_a: GO:1\n\n[Typedef]\nid: part_of\n"


def test_annotations_of_the_gene_ontology_reach_the_terms_above(tmp_path):
    path = written(tmp_path / "goa_human.gaf.gz", GAF)
    assert one(path).knows(["A", "B", "C", "D"]).tolist() == [False, False, True, True]
    (tmp_path / "go-basic.obo").write_text(OBO)
    from cycseq.knowledge import read

    read._read_once.cache_clear()
    kernel = one(path).kernel(["A", "B", "C", "D"])
    np.testing.assert_allclose(kernel, [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]], atol=1e-12)


def test_tables_inside_anndata(tmp_path):
    rng = np.random.default_rng(0)
    labels = [name for name in NAMES for _ in range(3)]
    adata = ad.AnnData(
        X=sp.csr_matrix((12, 5), dtype=np.float32), obs=pd.DataFrame({"gene": labels}, index=map(str, range(12)))
    )
    rows = rng.normal(size=(4, 7))
    adata.obsm["X_pert_esm2"] = rows.repeat(3, axis=0)
    adata.obsm["X_pca"] = rng.normal(size=(12, 2))
    adata.uns["embeddings"] = dict(zip(NAMES, rows, strict=True))
    adata.uns["log1p"] = {"base": np.array(2.0)}
    adata.write_h5ad(tmp_path / "a.h5ad")
    sources = {source.name: source for source in read_sources(tmp_path / "a.h5ad")}
    assert list(sources) == ["esm2", "embeddings"]
    np.testing.assert_allclose(sources["esm2"].kernel(NAMES), sources["embeddings"].kernel(NAMES), atol=1e-6)
    adata.obsm["X_pert_esm2"][0] += 1
    adata.write_h5ad(tmp_path / "b.h5ad")
    with pytest.raises(DataError, match=r"cells of 'KLF1' differ in obsm.'X_pert_esm2'"):
        read_sources(tmp_path / "b.h5ad")


DRUGS = (
    "drug,smiles,lincs_targets,targets,moa\n"
    "Aspirin,CC(=O)Oc1ccccc1C(=O)O,PTGS1; PTGS2,None,COX inhibitor\n"
    "Salicylate,O=C(O)c1ccccc1O,,PTGS2,COX inhibitor\n"
    "Ethanol,CCO,,None,unclear\n"
    "Odd,no structure,ADH1,None,Y\nOdder,CCCO,ADH1,None,Y\n"
)


def test_drugs_have_targets_and_mechanisms_and_with_rdkit_structures(tmp_path):
    sources = {source.kind + source.name: source for source in read_sources(written(tmp_path / "drugs.csv", DRUGS))}
    names = ["aspirin", "Salicylate", "Ethanol"]
    np.testing.assert_allclose(
        sources["setsmechanism of action"].kernel(names), [[1, 1, 0], [1, 1, 0], [0, 0, 0]], atol=1e-12
    )
    assert sources["setstargets"].kernel(names)[0, 1] > 0
    if "fingerprintschemical structure" not in sources:
        assert "RDKit: pip install 'cycseq[chemistry]'" in sources["setstargets"].facts["note"]
        with pytest.raises(CycseqError, match=r"need RDKit: pip install 'cycseq\[chemistry\]'"):
            read_sources(written(tmp_path / "smiles.csv", "drug,smiles\nA,CCO\n"))


def test_structures_are_compared_by_tanimoto(tmp_path):
    pytest.importorskip("rdkit")
    structure = next(s for s in read_sources(written(tmp_path / "d.csv", DRUGS)) if s.kind == "fingerprints")
    assert structure.knows(["Odd", "Odder"]).tolist() == [False, True]
    bits = structure.values.toarray().astype(bool)
    both, either = (bits[0] & bits[1]).sum(), (bits[0] | bits[1]).sum()
    assert structure.kernel(["Aspirin", "Salicylate"])[0, 1] == pytest.approx(both / either)


def test_fingerprints_without_a_library(tmp_path):
    bits = sp.csr_array(np.array([[1, 1, 0], [1, 1, 1], [0, 0, 1], [0, 0, 0]], dtype=np.float32))
    source = Source("bits", "fingerprints", ("a", "b", "c", "d"), bits)
    np.testing.assert_allclose(
        source.kernel(["a", "b", "c", "d"]), [[1, 2 / 3, 0, 0], [2 / 3, 1, 1 / 3, 0], [0, 1 / 3, 1, 0], [0] * 4]
    )


@pytest.mark.parametrize("kind", ["sets", "edges", "features", "fingerprints"])
def test_every_kernel_is_positive_semidefinite_and_1_for_what_it_knows(kind):
    rng = np.random.default_rng(1)
    values = rng.normal(size=(30, 12)) * (rng.random((30, 12)) < 0.4)
    values = np.abs(np.sign(values)) if kind in {"sets", "fingerprints"} else values
    names = tuple(f"G{i}" for i in range(30))
    source = Source("s", kind, names, values if kind == "features" else sp.csr_array(values.astype(np.float32)))
    asked = [*names, "nobody", *("+".join(pair) for pair in combinations(names[:8], 2)), "G1+nobody"]
    kernel, knows = source.kernel(asked), source.knows(asked)
    assert kernel.dtype == np.float64
    assert not knows[[30, -1]].any()
    assert knows.sum() > 30
    np.testing.assert_array_equal(np.diag(kernel), knows)
    np.testing.assert_array_equal(kernel[~knows], 0.0)
    np.testing.assert_array_equal(kernel, kernel.T)
    assert np.linalg.eigvalsh(kernel)[0] > -1e-9
    np.testing.assert_allclose(kernel[0, 31], (kernel[0, 0] + kernel[0, 1]) / np.sqrt(2 + 2 * kernel[0, 1]))


def test_names_match_in_any_case_by_other_names_and_with_doses(tmp_path):
    aliases = {"ensg00000105610": "klf1", "ekl": "klf1", "hkr1-old": "hkr1"}
    text = GENE2GO.replace("A,", "KLF1,").replace("B,", "Hkr1-old,")
    source = replace(one(written(tmp_path / "go.csv", text)), aliases=aliases)
    asked = ["klf1", "ENSG00000105610.7", "EKL", "HKR1", "KLF1@100nM@24h", "HKR1+EKL"]
    assert source.knows(asked).all()
    kernel = source.kernel(asked)
    np.testing.assert_allclose(kernel[0, [1, 2, 4]], 1.0)
    assert 0 < kernel[0, 3] < 1
    assert canonical("ENSG00000105610.7", {}) == "ensg00000105610"


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["ENSG00000105610", "ENSG00000105619"], "Ensembl identifiers of genes"),
        (["ENSMUSG00000105610"], "Ensembl identifiers of mouse genes"),
        (["1029", "7157"], "Entrez identifiers"),
        (["Trp53", "Klf1", "Bak1", "1700010I14Rik"], "mouse gene symbols"),
        (["KLF1+BAK1", "HLA-A", "C1orf112"], "human gene symbols"),
        (["ABT-199 (GDC-0199)", "g(+)-JQ1", "Belinostat"], "names of drugs or of other things"),
    ],
)
def test_a_list_of_names_is_called_by_its_naming(names, words):
    assert naming_in_words(names).startswith(words)


def test_knowledge_of_other_names_is_refused_in_words(tmp_path):
    source = one(written(tmp_path / "go.csv", GENE2GO))
    with pytest.raises(DataError, match=r"go knows none of the 2 perturbations: they seem to be Ensembl .*fetch hgnc"):
        source.check_knows_some(["ENSG00000105610", "ENSG00000105619"])
    with pytest.raises(DataError, match=r"seem to be names of drugs.*it has human gene symbols \(A, B, C and 2 more\)"):
        source.check_knows_some(["g(+)-JQ1"])


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        ("x.csv", "", "cannot be read as knowledge"),
        ("x.csv", "gene\nA\n", "holds no table of knowledge"),
        ("x.csv", "gene,a\nA,1\nA,2\n", "names 1 gene twice .first: A"),
        ("x.csv", "symbol,go_id\n,\n", "no line names a gene and a set"),
        ("x.csv", "gene,a\nA,inf\nB,1\n", "A has an infinite value"),
        ("x.gmt", "s1 A B\n", "line 1: expected name"),
        ("x.npz", "no archive", "cannot be read"),
        ("x.h5ad", "no HDF5", "cannot be read"),
        ("x.xlsx", "", r"must end in \.csv"),
        ("x.csv.gz", "", None),
    ],
)
def test_a_bad_file_is_refused_in_one_line(tmp_path, name, text, match):
    (tmp_path / name).write_text(text)
    with pytest.raises(CycseqError, match=match) as caught:
        read_sources(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(FileError, match="does not exist"):
        read_sources(tmp_path / "none.csv")


def test_real_complexes_tell_subunits(shared_data):
    corum = next(
        s for s in read_sources(shared_data("knowledge/genesets_corum_gobp_pathway.csv.gz")) if s.name == "CORUM"
    )
    kernel = corum.kernel(["PSMA1", "PSMB2", "POLR2A", "POLR2B"])
    assert min(kernel[0, 1], kernel[2, 3]) > 0.25 > 0.1 > np.abs(kernel[:2, 2:]).max()
