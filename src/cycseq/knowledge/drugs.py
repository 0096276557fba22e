"""Sources from tables of drugs: chemical structures, targets, mechanisms of action."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import scipy.sparse as sp

from cycseq.errors import DataError, MissingPackageError
from cycseq.knowledge.source import Source
from cycseq.knowledge.sparse import sets_source

DRUG_COLUMNS = ("drug", "drug_name", "compound", "compound_name", "sm_name", "pert_iname")
SMILES_COLUMNS = ("smiles", "canonical_smiles", "isomeric_smiles")
TARGETS, MECHANISMS = re.compile(r"(.*_)?targets?"), re.compile(r"(.*_)?(moa(_.*)?|mechanism(_of_action)?)")
NOTHING = {"", "none", "nan", "na", "unclear", "unknown", "-"}
"""What stands in a table where a target or a mechanism is not known."""
BITS, RADIUS = 2048, 2  # of Morgan fingerprints (Rogers and Hahn 2010); radius 2 is called ECFP4
CHEMISTRY = "pip install 'cycseq[chemistry]'"


def drug_sources(frame: pd.DataFrame, drug: str, facts: dict[str, str]) -> tuple[Source, ...] | None:
    """Structures, targets and mechanisms of a table of drugs, each a source; None where it has no such column.

    Without RDKit, structures are refused; where targets or mechanisms are there, they alone are taken, and their facts say so
    (``note``). The frame has a row for each drug, and the column `drug` their names.
    """
    frame = frame.dropna(subset=[drug])
    folded = {str(column).casefold(): str(column) for column in frame.columns if column != drug}
    sources = []
    for name, pattern in (("targets", TARGETS), ("mechanism of action", MECHANISMS)):
        lists = [_listed(frame, drug, column) for fold, column in folded.items() if pattern.fullmatch(fold)]
        if lists and len(flat := pd.concat(lists)):
            sources.append(sets_source(name, flat.index, flat, facts))
    smiles = next((folded[name] for name in SMILES_COLUMNS if name in folded), None)
    if smiles is not None:
        rows = frame[[drug, smiles]].dropna().astype(str).drop_duplicates(drug)
        rows = rows[rows[smiles].str.strip() != ""]
        try:
            sources.insert(0, structures(rows[drug].tolist(), rows[smiles].tolist(), facts))
        except MissingPackageError as err:
            if not sources:
                raise
            note = {"note": f"structures are left out: {err}"}
            sources = [replace(source, facts=facts | note) for source in sources]
    return tuple(sources) or None


def _listed(frame: pd.DataFrame, drug: str, column: str) -> pd.Series:
    """The entries of a column, one a row, by drug; what says nothing is left out."""
    flat = frame.set_index(drug)[column].dropna().astype(str).str.split(r"\s*[;|]\s*|,\s+", regex=True).explode()
    flat = flat.str.strip().str.casefold()
    return flat[~flat.isin(NOTHING)]


def structures(names: Sequence[str], smiles: Sequence[str], facts: dict[str, str]) -> Source:
    """Morgan fingerprints of drugs.

    Of salts and mixtures the whole is taken. Raises `MissingPackageError` if RDKit is not installed, and `DataError` if no
    structure can be read.
    """
    try:
        from rdkit import Chem, rdBase
        from rdkit.Chem import rdFingerprintGenerator
    except ModuleNotFoundError as err:
        msg = f"{facts['file']} has chemical structures (SMILES), which need RDKit: {CHEMISTRY}."
        raise MissingPackageError(msg) from err
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=BITS)
    with rdBase.BlockLogs():
        molecules = [Chem.MolFromSmiles(text) for text in smiles]
    bits = [[] if m is None else list(generator.GetFingerprint(m).GetOnBits()) for m in molecules]
    if not any(bits):
        msg = f"{facts['file']}: none of {len(smiles):,} structures is SMILES (first: {smiles[0][:40] if smiles else ''!r})."
        raise DataError(msg)
    ends = np.cumsum([0, *map(len, bits)])
    flat = np.array([bit for on in bits for bit in on], dtype=np.int32)
    matrix = sp.csr_array((np.ones(len(flat), dtype=np.float32), flat, ends), shape=(len(names), BITS))
    return Source("chemical structure", "fingerprints", tuple(names), matrix, facts)
