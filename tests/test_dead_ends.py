"""Files as people have them: each was refused or misread once, and is read now."""

from __future__ import annotations

import pandas as pd
import pytest

import cycseq
from conftest import make_counts


@pytest.mark.parametrize("perturbation", ["treatment", "stim", "guide_identity"])
@pytest.mark.parametrize("context", ["seurat_annotations"])
@pytest.mark.parametrize("batch", ["patient_id", "sample_id", "donor_id"])
def test_names_of_other_tools(perturbation, context, batch):
    adata = make_counts(cells=6, genes=20)
    adata.obs.columns = [context, perturbation, batch]
    data = cycseq.read(adata)
    assert data.contexts == ("K562", "RPE1", "THP1")
    assert data.perturbations == ("G1", "G1+G2", "G2", "G3")
    assert set(data.obs["batch"]) == {"b0", "b1"}


def test_a_usual_name_comes_first():
    adata = make_counts(cells=6, genes=20)
    adata.obs["sample_id"] = pd.Categorical([f"s{i}" for i in range(adata.n_obs)])
    adata.obs["patient_id"] = "p"
    assert set(cycseq.read(adata).obs["batch"]) == {"b0", "b1"}
