"""Every data set of the catalogue, from small files of its layout on a local server to its labels."""

from __future__ import annotations

import gzip
import shutil
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io
import scipy.sparse as sp

from cycseq.cli import BAD_INPUT, SUCCESS, main
from cycseq.data.dataset import PerturbationData
from cycseq.errors import DataError, FileError, SettingsError
from cycseq.formats.catalog import DATASETS, dataset, fetch
from cycseq.formats.catalog.nk_cropseq import SAMPLES, assigned
from cycseq.formats.read import read
from cycseq.io.download import DownloadSettings

GENES = ["KLF1", "BAK1", "GATA1", "HSPA5", "ACTB", "MT-CO1", *(f"GENE{i}" for i in range(24))]
IDS = [f"ENSG{i:011d}" for i in range(len(GENES))]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Mirror:
    """A folder HOST/PATH that a server serves, and a cache that is filled from it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder / "served", url
        self.settings = DownloadSettings(cache=folder / "cache", mirror=url, attempts=1)

    def place(self, name: str, file: str = "") -> Path:
        """Where a file of a data set must lie to be served; of several the one that is named so in the cache."""
        found = next(f for f in DATASETS[name].files if f.name.endswith(file))
        parts = urlsplit(found.url)
        path = self.folder / parts.netloc / parts.path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def fetch(self, name: str, given: Path | None = None) -> PerturbationData:
        """The data set, without published hashes, which the small files cannot have."""
        entry = dataset(name)
        return fetch(
            replace(entry, files=tuple(replace(f, known_hash=None) for f in entry.files)), self.settings, given
        )


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    (tmp_path / "served").mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path / "served")) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield Mirror(tmp_path, f"http://127.0.0.1:{server.server_address[1]}")
        server.shutdown()


def counts(n: int, seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).poisson(1.0, (n, len(GENES))).astype(np.float32)
    x[:, 4] += 1
    return x


def logged(n: int) -> np.ndarray:
    x = counts(n)
    return np.log1p(x / x.sum(axis=1, keepdims=True) * 1e4)


def cells(x: np.ndarray, obs: dict[str, list], names: list[str] | None = None, **others: object) -> ad.AnnData:
    frame = pd.DataFrame(obs, index=names or [f"c{i}" for i in range(len(x))])
    var = pd.DataFrame({"gene_name": GENES}, index=IDS)
    return ad.AnnData(sp.csr_matrix(x), obs=frame, var=var, **others)


def barcodes(n: int, lanes: int = 2) -> list[str]:
    return [f"ACGT{i:04d}".replace("0", "A").replace("1", "C") + f"-{i % lanes + 1}" for i in range(n)]


def triples(data: PerturbationData) -> list[tuple[str, str, str]]:
    """Context, perturbation and batch of every cell."""
    return list(data.adata.obs[["context", "perturbation", "batch"]].astype(str).itertuples(index=False, name=None))


def write_10x(place: Callable[[str], Path], x: np.ndarray, names: list[str], genes: str) -> None:
    """Three files, their names given by what they end with."""
    with gzip.open(place("matrix.mtx.gz"), "wb") as out:
        scipy.io.mmwrite(out, sp.coo_matrix(x.T.astype(np.int64)))
    with gzip.open(place("barcodes.tsv.gz"), "wt") as out:
        out.write("\n".join(names) + "\n")
    with gzip.open(place(genes), "wt") as out:
        out.write("".join(f"{i}\t{g}\n" for i, g in zip(IDS, GENES, strict=True)))


def write_gears(path: Path, adata: ad.AnnData, folder: Path) -> None:
    adata.write_h5ad(folder / "perturb_processed.h5ad")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("norman/data_pyg/cell_graphs.pkl", b"never read")
        packed.write(folder / "perturb_processed.h5ad", "norman/perturb_processed.h5ad")


def gears_cells() -> ad.AnnData:
    condition = ["ctrl", "KLF1+ctrl", "ctrl+BAK1", "KLF1+BAK1", "ctrl", "BAK1+ctrl"]
    return cells(logged(6), {"condition": condition, "cell_type": ["A549"] * 6}, barcodes(6))


def test_the_table_is_complete() -> None:
    names = "norman2019 adamson2016 dixit2016 replogle2022_k562 replogle2022_rpe1 jost2020 nk_cropseq norman2019_raw"
    names += " pancancer kang2018 sciplex3 papalexi2021 frangieh2021 mcfarland2020 hagai2018"
    assert set(names.split()) <= set(DATASETS)
    with pytest.raises(SettingsError, match="did you mean 'norman2019'"):
        dataset("norman2091")


@pytest.mark.parametrize("entry", DATASETS.values(), ids=lambda d: d.name)
def test_every_entry_says_what_it_is(entry) -> None:
    assert entry.what.endswith(".")
    assert entry.labels
    assert entry.checked
    assert entry.publication
    assert entry.method in {"CRISPRi", "CRISPRa", "CRISPRko", "drug", "cytokine", "none"}
    assert bool(entry.files) != entry.file_needed
    cached = [file.name for file in entry.files]
    assert len(set(cached)) == len(cached)
    assert all(name.startswith(f"{entry.name}/") for name in cached)
    assert all(file.url.startswith("https://") for file in entry.files)
    assert all(file.known_hash is None or file.known_hash.split(":")[0] in {"md5", "sha256"} for file in entry.files)


def test_norman_of_gears(mirror: Mirror, tmp_path: Path) -> None:
    write_gears(mirror.place("norman2019"), gears_cells(), tmp_path)
    data = mirror.fetch("norman2019")
    perturbations = ["control", "KLF1", "BAK1", "BAK1+KLF1", "control", "BAK1"]
    assert triples(data) == [("K562", p, str(i % 2 + 1)) for i, p in enumerate(perturbations)]
    assert data.scale == "log1p"
    assert data.genes == GENES
    assert any("K562; the file says 'A549'" in note for note in data.notes)
    assert data.provenance()["dataset"] == "norman2019"
    np.testing.assert_allclose(data.x.toarray(), logged(6), rtol=1e-6)
    assert sorted(p.name for p in (tmp_path / "cache/norman2019").iterdir()) == ["norman.zip"]


@pytest.mark.parametrize(
    ("name", "context"),
    [("adamson2016", "K562"), ("replogle2022_k562", "K562"), ("replogle2022_rpe1", "RPE1"), ("dixit2016", "BMDC")],
)
def test_others_of_gears(mirror: Mirror, tmp_path: Path, name: str, context: str) -> None:
    adata = gears_cells()
    adata.obs["cell_type"] = "BMDC (?)"
    write_gears(mirror.place(name), adata, tmp_path)
    data = mirror.fetch(name)
    assert data.contexts == (context,)
    assert data.perturbations == ("BAK1", "BAK1+KLF1", "KLF1")


def test_a_zip_without_the_file_and_no_zip(mirror: Mirror, tmp_path: Path) -> None:
    with zipfile.ZipFile(mirror.place("norman2019"), "w") as packed:
        packed.writestr("norman/other.h5ad", b"")
    with pytest.raises(FileError, match=r"holds no perturb_processed\.h5ad \(it has norman/other\.h5ad\)"):
        mirror.fetch("norman2019")
    mirror.place("adamson2016").write_bytes(b"no zip")
    with pytest.raises(FileError, match="is not a whole zip file"):
        mirror.fetch("adamson2016")
    assert sorted(p.name for p in (tmp_path / "cache").rglob("*.h5ad")) == []


def write_geo(mirror: Mirror, name: str, guides: list[str], single: list[int] | None = None) -> list[str]:
    """GEO's files: the last barcode has no identity."""
    place = partial(mirror.place, name)
    n = len(guides)
    names = barcodes(n + 1)
    write_10x(place, counts(n + 1), names, "genes.tsv.gz")
    table = pd.DataFrame({"cell_barcode": names[:n], "guide_identity": guides, "read_count": 9, "UMI_count": 5})
    table["good_coverage"] = True
    table["number_of_cells"] = single or [1] * n
    with gzip.open(place("cell_identities.csv.gz"), "wt") as out:
        table.to_csv(out, index=False)
    return names


def test_norman_raw(mirror: Mirror) -> None:
    guides = ["NegCtrl0_NegCtrl0__NegCtrl0_NegCtrl0", "KLF1_NegCtrl0__KLF1_NegCtrl0", "NegCtrl10_BAK1__NegCtrl10_BAK1"]
    guides += ["KLF1_BAK1__KLF1_BAK1", "NegCtrl11_NegCtrl0__NegCtrl11_NegCtrl0", "KLF1_NegCtrl0__KLF1_NegCtrl0"]
    names = write_geo(mirror, "norman2019_raw", guides, single=[1, 1, 1, 1, 1, 2])
    data = mirror.fetch("norman2019_raw")
    perturbations = ["control", "KLF1", "BAK1", "BAK1+KLF1", "control"]
    assert triples(data) == [("K562", p, str(i % 2 + 1)) for i, p in enumerate(perturbations)]
    assert list(data.adata.obs_names) == names[:5]
    assert data.adata.obs["guide"].tolist() == guides[:5]
    assert data.scale == "counts"
    np.testing.assert_array_equal(data.x.toarray(), counts(7)[:5])
    assert any("2 of 7 cells are assigned to no perturbation" in note for note in data.notes)


JOST = {
    "neg_ctrl_non-targeting_00283": "control",
    "GATA1_GATA1_-_48645022.23-P1P2_00": "GATA1",
    "GATA1_GATA1_-_48645022.23-P1P2_08": "GATA1",
    "HSPA5_HSPA5_+_128003624.23-P1P2_14": "HSPA5",
    "neg_ctrl_non-targeting_01040": "control",
}


def test_jost(mirror: Mirror) -> None:
    write_geo(mirror, "jost2020", [*JOST, "*"])
    data = mirror.fetch("jost2020")
    assert triples(data) == [("K562", p, str(i % 2 + 1)) for i, p in enumerate(JOST.values())]
    assert data.adata.obs["guide"].tolist() == list(JOST)
    assert data.adata.obs["guide_mismatched"].tolist() == [False, False, True, True, False]
    assert any("2 cells have a mismatched guide" in note for note in data.notes)
    assert any("1 cell without a label was left out" in note for note in data.notes)


def test_replogle_counts_and_standardised(mirror: Mirror) -> None:
    gene = ["non-targeting", "KLF1", "BAK1", "non-targeting"]
    obs = {"gene": gene, "sgID_AB": [f"{g}_P1P2|x" for g in gene], "gem_group": [1, 1, 2, 2]}
    dense = cells(counts(4), obs)
    dense.X = counts(4)
    dense.write_h5ad(mirror.place("replogle2022_k562_counts"))
    data = mirror.fetch("replogle2022_k562_counts")
    expected = [("K562", "control", "1"), ("K562", "KLF1", "1"), ("K562", "BAK1", "2"), ("K562", "control", "2")]
    assert triples(data) == expected
    assert sp.issparse(data.x)
    np.testing.assert_array_equal(data.x.toarray(), counts(4))
    assert data.genes == GENES
    assert data.adata.obs["guide"].tolist() == obs["sgID_AB"]
    dense.X = counts(4) - counts(4).mean(axis=0)
    dense.X[2, 7] = np.inf
    dense.write_h5ad(mirror.place("replogle2022_rpe1_normalized"))
    scaled = mirror.fetch("replogle2022_rpe1_normalized")
    assert scaled.scale == "scaled"
    assert scaled.contexts == ("RPE1",)
    assert scaled.genes == GENES[:7] + GENES[8:]


def write_nk(mirror: Mirror, *, guides: bool = True) -> int:
    """Per sample five cells: control, KLF1, two guides, no guide, too few UMIs."""
    library = pd.DataFrame({"sequence": ["AAA", "CCC", "GGG"], "sgrna": ["s1", "s2", "s3"]})
    library = library.assign(sgrna_name=["sgCtrl.1", "sgKLF1.1", "sgKLF1.2"], gene=["Control1", "KLF1", "KLF1"])
    umis = [(0, "AAA", 30), (0, "CCC", 1), (1, "CCC", 12), (1, "GGG", 9), (2, "AAA", 40), (2, "CCC", 35)]
    umis += [(4, "CCC", 5), (1, "TTT", 500)]
    n = 0
    for line, conditions in SAMPLES.items():
        if guides:
            library.to_csv(mirror.place("nk_cropseq", f"CROPseq_{line}_sgRNA_library.txt"), sep="\t", index=False)
        for condition in conditions:
            sample = f"CROPseq_{line}_{condition}"
            names = barcodes(5, lanes=1)
            write_10x(
                lambda end, s=sample: mirror.place("nk_cropseq", f"{s}_{end}"), counts(5, n), names, "features.tsv.gz"
            )
            table = pd.DataFrame(
                [(names[i][:-2], seq, umi) for i, seq, umi in umis], columns=["cell", "barcode", "umi_count"]
            )
            if guides:
                table.to_csv(mirror.place("nk_cropseq", f"{sample}_sgRNA.txt"), sep="\t", index=False)
            n += 1
    return n


def test_nk_cropseq(mirror: Mirror) -> None:
    n = write_nk(mirror)
    data = mirror.fetch("nk_cropseq")
    assert n == 14
    assert data.n_cells == 2 * n
    assert data.contexts[:3] == ("K562", "K562_NK1_16", "LP1")
    assert {"SUDHL4", "SUDHL4_NK1_16", "SUDHL4_NK1_4"} <= set(data.contexts)
    assert data.perturbations == ("KLF1",)
    assert triples(data)[:3] == [
        ("K562", "control", "CROPseq_K562_noNK"),
        ("K562", "KLF1", "CROPseq_K562_noNK"),
        ("K562_NK1_16", "control", "CROPseq_K562_NK1_1_16"),
    ]
    np.testing.assert_array_equal(data.x[[2, 3]].toarray(), counts(5, 1)[:2])
    assert any("42 of 70 cells have no guide, or several" in note for note in data.notes)


def test_nk_cropseq_with_labels_of_ones_own(mirror: Mirror, tmp_path: Path) -> None:
    write_nk(mirror, guides=False)
    with pytest.raises(FileError, match=r"_sgRNA\.txt is not there|_sgRNA_library\.txt is not there"):
        mirror.fetch("nk_cropseq")
    rows = [(f"CROPseq_{line}_{c}_{b}", g) for line, cs in SAMPLES.items() for c in cs
            for b, g in zip(barcodes(5, lanes=1), ["Control", "KLF1", "BAK1"], strict=False)]  # fmt: skip
    pd.DataFrame(rows, columns=["cell", "gene"]).to_csv(tmp_path / "labels.csv", index=False)
    data = mirror.fetch("nk_cropseq", tmp_path / "labels.csv")
    assert data.n_cells == 3 * 14
    assert triples(data)[2] == ("K562", "BAK1", "CROPseq_K562_noNK")
    (tmp_path / "bad.csv").write_text("cell,target\na,b\n")
    with pytest.raises(FileError, match="needs the columns cell"):
        mirror.fetch("nk_cropseq", tmp_path / "bad.csv")


def test_the_rule_of_single_guides() -> None:
    library = pd.DataFrame({"sequence": ["A", "B", "C"], "gene": ["X", "Y", "Control_3"]})
    rows = [("half", "A", 20), ("half", "B", 20), ("clear", "A", 90), ("clear", "B", 10), ("second", "A", 80)]
    rows += [
        ("second", "B", 20),
        ("few", "A", 10),
        ("control", "C", 11),
        ("small second", "A", 12),
        ("small second", "B", 9),
    ]
    got = assigned(pd.DataFrame(rows, columns=["cell", "barcode", "umi_count"]), library)
    assert got.to_dict() == {
        "half": "unassigned",
        "clear": "X",
        "second": "unassigned",
        "few": "unassigned",
        "control": "control",
        "small second": "X",
    }


@pytest.mark.parametrize("values", ["UMIcount_data.txt", "CPM_data.txt"])
def test_pancancer(mirror: Mirror, tmp_path: Path, values: str) -> None:
    names = [f"AAAC-1.{i}" for i in range(6)]
    lines = ["A549_LUNG"] * 3 + ["K562_BLOOD"] * 2
    x = counts(6)
    meta = pd.DataFrame(
        {"NAME": names[:5], "Cell_line": lines, "Pool_ID": ["p1", "p2"] * 2 + ["p1"], "Cancer_type": "x"}
    )
    types = pd.DataFrame([["TYPE", "group", "group", "group"]], columns=meta.columns)
    folder = tmp_path / "SCP542"
    folder.mkdir()
    pd.concat([types, meta]).to_csv(folder / "Metadata.txt", sep="\t", index=False)
    table = pd.DataFrame(
        (x if values[0] == "U" else x / x.sum(axis=1, keepdims=True) * 1e6).T, index=GENES, columns=names
    )
    with (folder / values).open("w") as out:
        out.write("\t".join(["GENE", *names]) + "\n")
        if values[0] == "U":
            out.write("\t".join(["Cell_line", *lines, "?"]) + "\n" + "\t".join(["Pool_ID", *["22"] * 6]) + "\n")
        table.to_csv(out, sep="\t", header=False)
    data = mirror.fetch("pancancer", folder)
    assert triples(data) == [
        ("A549_LUNG", "control", "p1"), ("A549_LUNG", "control", "p2"), ("A549_LUNG", "control", "p1"),
        ("K562_BLOOD", "control", "p2"), ("K562_BLOOD", "control", "p1"),
    ]  # fmt: skip
    assert data.genes == GENES
    expected = x[:5] if values[0] == "U" else np.log1p(x / x.sum(axis=1, keepdims=True) * 1e4)[:5]
    np.testing.assert_allclose(data.x.toarray(), expected, rtol=1e-4)
    assert data.scale == ("counts" if values[0] == "U" else "log1p")
    assert any("1 cell without a label was left out" in note for note in data.notes)
    with pytest.raises(FileError, match="cannot be downloaded without a log-in: use --file FOLDER"):
        mirror.fetch("pancancer")
    with pytest.raises(FileError, match=r"does not hold Metadata\.txt"):
        mirror.fetch("pancancer", tmp_path)


def test_kang(mirror: Mirror) -> None:
    obs = {"label": ["ctrl", "stim", "ctrl", "stim"], "cell_type": ["NK cells", "NK cells", "B cells", "B cells"]}
    cells(counts(4), {**obs, "replicate": ["p101", "p107"] * 2}).write_h5ad(mirror.place("kang2018"))
    assert triples(mirror.fetch("kang2018")) == [
        ("NK cells", "control", "p101"), ("NK cells", "stim", "p107"),
        ("B cells", "control", "p101"), ("B cells", "stim", "p107"),
    ]  # fmt: skip


def test_real_kang(mirror: Mirror, shared_data: Callable[[str], Path]) -> None:
    shutil.copy(shared_data("kang2018_pbmc_ifnb.h5ad"), mirror.place("kang2018"))
    data = mirror.fetch("kang2018")
    assert data.scale == "counts"
    assert len(data.contexts) == 8
    assert data.perturbations == ("stim",)
    assert len(data.conditions()) == 16
    assert "unknown" in set(data.adata.obs["batch"])


@pytest.mark.parametrize("prefix", ["", "rna:"])
def test_papalexi(mirror: Mirror, prefix: str) -> None:
    target = ["NT", "IFNGR1", "JAK2", "NT"]
    shared = {"gene_target": target, "guide_ID": [f"{t}g1" for t in target], "replicate": ["rep1", "rep2"] * 2}
    rna = cells(counts(4), {"orig.ident": ["Lane1"] * 4, "perturbation": ["NT", "Perturbed", "Perturbed", "NT"]})
    with h5py.File(mirror.place("papalexi2021"), "w") as file:
        ad.io.write_elem(file, "mod/rna", rna)
        ad.io.write_elem(file, "mod/adt", rna[:, :3].copy())
        ad.io.write_elem(file, "obs", pd.DataFrame(shared, index=rna.obs_names).add_prefix(prefix))
    data = mirror.fetch("papalexi2021")
    expected = [
        ("THP1", "control", "rep1"),
        ("THP1", "IFNGR1", "rep2"),
        ("THP1", "JAK2", "rep1"),
        ("THP1", "control", "rep2"),
    ]
    assert triples(data) == expected
    assert data.adata.obs["guide"].tolist() == shared["guide_ID"]
    assert data.adata.obs["perturbation_in_file"].tolist() == ["NT", "Perturbed", "Perturbed", "NT"]
    assert data.x.shape == (4, len(GENES))


def test_frangieh(mirror: Mirror) -> None:
    guides = ["NO_SITE_12", "IFNGR2_2", "HLA-A_1", "ONE_NON-GENE_SITE_3", "JAK1_1", np.nan, "B2M_1"]
    condition = [
        "Control",
        "Control",
        "IFN\N{GREEK SMALL LETTER GAMMA}",
        "IFN\N{GREEK SMALL LETTER GAMMA}",
        "Co-culture",
        "Co-culture",
        "Control",
    ]
    adata = cells(logged(7), {"sgRNA": guides, "condition": condition, "MOI": [1, 1, 1, 1, 1, 0, 2]})
    adata.write_h5ad(mirror.place("frangieh2021"))
    data = mirror.fetch("frangieh2021")
    assert triples(data) == [
        ("melanoma", "control", "0"), ("melanoma", "IFNGR2", "0"), ("melanoma_IFNg", "HLA-A", "0"),
        ("melanoma_IFNg", "control", "0"), ("melanoma_co-culture", "JAK1", "0"),
    ]  # fmt: skip
    assert any("1 cell has several guides" in note for note in data.notes)
    assert any("2 cells without a label were left out" in note for note in data.notes)


@pytest.mark.parametrize("harmonised", [True, False])
def test_sciplex3(mirror: Mirror, harmonised: bool) -> None:
    drugs = ["control", "(+)-JQ1", "Dacinostat (LAQ824)", "control", "Dacinostat (LAQ824)"]
    obs: dict[str, list] = {
        "cell_line": ["A549", "A549", "K562", "K562", "A549"],
        "time": [24.0, 24.0, 24.0, 24.0, 72.0],
    }
    obs["plate"] = ["plate1", "plate1", "plate2", "plate2", "plate3"]
    if harmonised:
        obs |= {"perturbation": drugs, "dose_value": [0.0, 10.0, 100.0, 0.0, 10.0]}
    else:
        obs |= {"product_name": ["Vehicle", *drugs[1:3], "Vehicle", drugs[4]], "dose": [0.0, 10.0, 100.0, 0.0, 10.0]}
        obs["vehicle"] = [True, False, False, True, False]
    cells(counts(5), obs).write_h5ad(mirror.place("sciplex3"))
    data = mirror.fetch("sciplex3")
    assert triples(data) == [
        ("A549", "control", "plate1"), ("A549", "(plus)-JQ1", "plate1"), ("K562", "Dacinostat (LAQ824)", "plate2"),
        ("K562", "control", "plate2"), ("A549_72h", "Dacinostat (LAQ824)", "plate3"),
    ]  # fmt: skip
    assert data.adata.obs["dose_value"].tolist() == [0.0, 10.0, 100.0, 0.0, 10.0]
    assert any("doses are pooled" in note for note in data.notes)


def test_mcfarland(mirror: Mirror) -> None:
    course = "3, 6, 12, 24, 48"
    obs = {
        "perturbation": ["control", "Trametinib", "sgGPX4-1", "sgLACZ", "Trametinib", "Trametinib", "control", "JQ1"],
        "cell_line": ["A_LUNG", "A_LUNG", "B_OVARY", "B_OVARY", "A_LUNG", "A_LUNG", "A_LUNG", "B_OVARY"],
        "time": ["24", "24", "72, 96", "72, 96", course, course, course, "6"],
        "hash_tag": ["nan", "nan", "nan", "nan", "Tram_12hr_expt10", "DMSO_24hr_expt10", "multiplet", "nan"],
        "cell_quality": ["normal"] * 7 + ["doublet"],
        "dose_value": [0.0, 0.1, 0.0, 0.0, 0.1, 0.1, 0.0, 1.0],
    }
    adata = cells(counts(8), obs)
    adata.X = sp.csc_matrix(adata.X)
    adata.write_h5ad(mirror.place("mcfarland2020"))
    data = mirror.fetch("mcfarland2020")
    assert triples(data) == [
        ("A_LUNG", "control", "24h"), ("A_LUNG", "Trametinib", "24h"), ("B_OVARY", "sgGPX4-1", "72, 96h"),
        ("B_OVARY", "sgLACZ", "72, 96h"), ("A_LUNG", "Trametinib", "time-course_12h"),
        ("A_LUNG", "control", "time-course_24h"),
    ]  # fmt: skip
    np.testing.assert_array_equal(data.x.toarray(), counts(8)[:6])
    assert any("3 cells of a time course" in note for note in data.notes)
    assert any("1 cell is not of normal quality" in note for note in data.notes)


def test_hagai(mirror: Mirror) -> None:
    obs = {
        "condition": ["unst", "LPS6"] * 2,
        "species": ["mouse", "mouse", "rat", "rat"],
        "individual": ["1", "1", "1", "2"],
    }
    cells(logged(4), obs).write_h5ad(mirror.place("hagai2018"))
    assert triples(mirror.fetch("hagai2018")) == [
        ("mouse", "control", "mouse/1"), ("mouse", "LPS6", "mouse/1"), ("rat", "control", "rat/1"), ("rat", "LPS6", "rat/2"),
    ]  # fmt: skip


def test_a_changed_layout_is_told(mirror: Mirror) -> None:
    cells(counts(2), {"label": ["ctrl", "stim"], "type": ["B", "B"]}).write_h5ad(mirror.place("kang2018"))
    with pytest.raises(FileError, match=r"no obs column 'cell_type' \(found: label, type\): its layout has changed"):
        mirror.fetch("kang2018")
    cells(counts(2), {"condition": ["LPS6"] * 2, "species": ["rat"] * 2}).write_h5ad(mirror.place("hagai2018"))
    with pytest.raises(DataError, match="no control label in obs"):
        mirror.fetch("hagai2018")


def test_genes_with_one_symbol_are_told_apart(mirror: Mirror) -> None:
    adata = cells(counts(2), {"label": ["ctrl", "stim"], "cell_type": ["B"] * 2, "replicate": ["1"] * 2})
    adata.var = pd.DataFrame({"ensembl_id": IDS}, index=["TWIN", "TWIN", *GENES[2:]])
    adata.write_h5ad(mirror.place("kang2018"))
    assert mirror.fetch("kang2018").genes == [*IDS[:2], *GENES[2:]]


def fetch_by_command(mirror: Mirror, words: str, out: Path) -> int:
    options = f"--out {out} --cache {mirror.settings.cache} --mirror {mirror.url} --attempts 1"
    return main([*words.split(), *options.split()])


def test_the_command_fetches(mirror: Mirror, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_geo(mirror, "jost2020", list(JOST) * 2)
    out = tmp_path / "jost.h5ad"
    assert fetch_by_command(mirror, "datasets fetch jost2020", out) == SUCCESS
    assert "10 cells x 30 genes, 3 conditions, counts" in capsys.readouterr().out
    again = read(out)
    assert again.conditions() == mirror.fetch("jost2020").conditions()
    assert again.scale == "counts"
    assert main(f"prepare {out} --genes all --out {tmp_path}/prepared.h5ad".split()) == SUCCESS
    assert fetch_by_command(mirror, "datasets fetch jost2020", out) == BAD_INPUT
    assert "exists already" in capsys.readouterr().err


def test_list_and_info(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["datasets", "list"]) == SUCCESS
    listed = capsys.readouterr().out
    assert all(name in listed for name in DATASETS)
    assert main(["datasets", "info", "pancancer"]) == SUCCESS
    assert "--file (needed): FOLDER" in capsys.readouterr().out
    assert main(["datasets", "info", "norman2019_raw"]) == SUCCESS
    assert "files: 4, 4 of them with a published hash" in capsys.readouterr().out
    assert main(["datasets", "info", "cycseq"]) == SUCCESS
    assert "6 data sets" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("datasets fetch jost2020", "is not there (HTTP 404)"),
        ("datasets fetch hagai2019", "did you mean 'hagai2018'"),
        ("datasets fetch norman2019_raw", "published hash"),
        ("datasets fetch pancancer", "use --file FOLDER"),
        ("datasets fetch kang2018 --file {tmp}", "takes no --file"),
        ("datasets fetch pancancer --file {tmp}/absent", "does not exist"),
        ("datasets fetch cycseq", "--datasets jost2020,nk_cropseq"),
        ("datasets fetch", "needs the name of a data set"),
    ],
)
def test_the_command_refuses(mirror: Mirror, tmp_path: Path, capsys, words: str, says: str) -> None:
    if "norman2019_raw" in words:
        write_geo(mirror, "norman2019_raw", ["KLF1_NegCtrl0__KLF1_NegCtrl0"])
    out = tmp_path / "out.h5ad"
    assert fetch_by_command(mirror, words.format(tmp=tmp_path), out) == BAD_INPUT
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1
    assert not out.exists()
    assert not [p for p in tmp_path.rglob("*") if p.name.endswith(".part") or ".h5ad" in p.name]


@pytest.mark.filterwarnings("ignore")
def test_the_first_seeds_corpus(mirror: Mirror, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_geo(mirror, "jost2020", list(JOST) * 6)
    write_nk(mirror)
    folder = tmp_path / "SCP542"
    folder.mkdir()
    names = [f"cell{i}" for i in range(7)]
    meta = pd.DataFrame({"NAME": names, "Cell_line": ["L1"] * 3 + ["L2"] * 3 + ["LONE"], "Pool_ID": "p1"})
    meta.to_csv(folder / "Metadata.txt", sep="\t", index=False)
    pd.DataFrame(counts(7).T, index=GENES[:25] + [f"own{i}" for i in range(5)], columns=names).to_csv(
        folder / "CPM_data.txt", sep="\t"
    )
    words = f"datasets fetch --all-cycseq --datasets jost2020,pancancer --file {folder} --metacell-cells 3 --metacell-draws 4"
    assert fetch_by_command(mirror, words, tmp_path / "corpus.h5ad") == SUCCESS
    said = capsys.readouterr().out
    assert "1 context with fewer than 2 control cells was dropped (LONE)" in said
    assert "metacells: 4 averages of 3 cells" in said
    data = read(tmp_path / "corpus.h5ad")
    assert data.contexts == ("K562_CRISPRi", "L1", "L2")
    assert data.genes == GENES[:25]
    assert data.scale == "log1p"
    assert data.perturbations == ("GATA1", "HSPA5")
    assert data.n_cells == 4 * len(data.conditions()) == 4 * 5
    assert {batch.partition("/")[0] for batch in data.adata.obs["batch"].astype(str)} == {"jost2020", "pancancer"}


PAGE = (Path(__file__).parents[1] / "docs/datasets.md").read_text()


def test_the_docs_name_every_data_set() -> None:
    assert all(f"`{name}`" in PAGE for name in DATASETS)


def test_the_docs_own_data_set(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    code = next(block.partition("```")[0] for block in PAGE.split("```python\n") if "ZHAO2021" in block)
    names: dict = {}
    exec(code, names)
    monkeypatch.setitem(DATASETS, "zhao2021", names["ZHAO2021"])
    obs = {"perturbation": ["control", "Etoposide", None], "celltype": ["glioma"] * 3, "sample": ["s1", "s1", "s2"]}
    cells(counts(3), obs).write_h5ad(mirror.place("zhao2021"))
    assert triples(mirror.fetch("zhao2021")) == [("glioma", "control", "s1"), ("glioma", "Etoposide", "s1")]
