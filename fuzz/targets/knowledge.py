"""Knowledge: tables, gene sets, annotations with their ontology, arrays, links with their names, and other names of genes."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from target import Take, Target, attempt, scratch

from cycseq.knowledge.aliases import read_aliases
from cycseq.knowledge.read import read_sources
from targets.matrices import BETWEEN

NAMES = (
    "f.csv",
    "f.tsv",
    "f.txt.gz",
    "f.csv.zip",
    "f.gmt",
    "f.gaf",
    "f.npz",
    "f.h5ad",
    "f.parquet",
    "9606.protein.links.txt",
    "hgnc.tsv",
)
BESIDE = {"f.gaf": "go.obo", "9606.protein.links.txt": "9606.protein.info.txt"}


def run(data: bytes, folder: Path) -> None:
    """A file of the kind that the first byte says, and one that belongs to it, parted by two bytes."""
    take = Take(data)
    name, packed = take.one_of(NAMES), take.below(2)
    first, second, *_ = [*take.rest().split(BETWEEN), b"", b""]
    path = folder / name
    if packed and name.endswith(".gz"):
        first = gzip.compress(first, 1)
    elif packed and name.endswith(".zip"):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("f.csv", first)
        first = out.getvalue()
    path.write_bytes(first)
    if second and name in BESIDE:
        (folder / BESIDE[name]).write_bytes(second)
    if name == "hgnc.tsv":
        aliases = attempt(read_aliases, path)
        assert aliases is None or all(isinstance(word, str) for pair in aliases.items() for word in pair)
        return
    for source in attempt(read_sources, path) or ():
        assert source.name
        assert source.names
        attempt(source.in_words)
        known = attempt(source.knows, [*source.names[:3], "nobody"])
        kernel = attempt(source.kernel, list(source.names[:3]))
        assert known is None or len(known) == 1 + len(source.names[:3])
        assert kernel is None or np.isfinite(kernel).all()


def _seeds() -> Sequence[bytes]:
    tables = [
        "gene,a,b\nG1,1,0.5\nG2,-2,3\nG3,1e3,0\n",
        "symbol,go_id\nG1,GO:1\nG1,GO:2\nG2,GO:2\nG3,GO:3\n",
        "source,target,weight\nG1,G2,1\nG2,G3,-0.5\n",
        "protein1,protein2,combined_score\nG1,G2,900\nG2,G3,500\n",
        "ComplexName,subunits\nA,G1;G2\nB,G2;G3\n",
        "drug,smiles,target,moa\nA,CCO,G1,x\nB,CC(=O)O,G2,y\n",
        "depmap_id,G1 (12),G2 (34)\nACH-000001,0.1,-1\nACH-000002,0.2,-2\n",
        "gene_name,uniprot,sequence\nG1,P1,MKV\nG2,P2,MKL\n",
    ]
    gaf = "!gaf-version: 2.2\n" + "".join(f"UniProtKB\tP{i}\tG{i}\t{q}\tGO:{i}\tPMID:1\tIDA\t\tP\t\t\tprotein\ttaxon:9606\t20200101\tX\t\t\n"
                                           for i, q in ((1, "involved_in"), (2, "NOT|involved_in"), (3, "part_of")))  # fmt: skip
    obo = "[Term]\nid: GO:1\nis_a: GO:2 ! x\nrelationship: part_of GO:3\n\n[Term]\nid: GO:2\n"
    info = "#string_protein_id\tpreferred_name\n9606.P1\tG1\n9606.P2\tG2\n"
    hgnc = "symbol\tensembl_gene_id\tentrez_id\thgnc_id\tprev_symbol\talias_symbol\nG1\tENSG1\t1\tHGNC:1\tA|B\tC\nG2\tENSG2\t2\tHGNC:2\t\tC\n"
    arrays = io.BytesIO()
    np.savez(arrays, genes=np.array(["G1", "G2"]), features=np.ones((2, 3)))
    found = [
        bytes([kind, 1]) + (text.replace(",", "\t") if kind == 1 else text).encode()
        for kind in (0, 1, 2, 3)
        for text in tables[kind % 2 :: 2]
    ]
    found += [
        b"\4\0SET\tdescription\tG1\tG2\nOTHER\thttp://x\tG3\tG3\n",
        b"\5\0" + BETWEEN.join([gaf.encode(), obo.encode()]),
    ]
    found += [b"\6\0" + arrays.getvalue(), b"\x0a\0" + hgnc.encode()]
    found += [b"\x09\0" + BETWEEN.join([b"protein1 protein2 combined_score\n9606.P1 9606.P2 900\n", info.encode()])]
    with scratch() as folder:
        cells = ad.AnnData(
            np.ones((3, 2), dtype="f4"), obs=pd.DataFrame({"perturbation": ["G1", "G2", "G1"]}, index=list("abc"))
        )
        cells.obsm["X_pert_esm"] = np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]])
        cells.uns["vectors"] = {"G1": np.arange(3.0), "G2": np.ones(3)}
        cells.write_h5ad(folder / "f.h5ad")
        pd.DataFrame({"gene": ["G1", "G2"], "a": [1.0, 2.0]}).to_parquet(folder / "f.parquet")
        found += [b"\7\0" + (folder / "f.h5ad").read_bytes(), b"\x08\0" + (folder / "f.parquet").read_bytes()]
    return found


KNOWLEDGE = Target("knowledge", run, _seeds)
