"""The small data set that the seeds are made of."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

GENES = ("G1", "G2", "G3", "G4")
LABELS = ("control", "G1", "control", "G2", "G1+G2", "control")


def small(*, sparse: bool = True, log1p: bool = False) -> ad.AnnData:
    """6 cells x 4 genes with labels, in two contexts."""
    x = (np.arange(24, dtype=np.float32).reshape(6, 4) * 7) % 5 + np.eye(6, 4, dtype=np.float32)
    x = np.log1p(x) if log1p else x
    obs = pd.DataFrame(
        {"perturbation": LABELS, "cell_type": ["x", "x", "x", "y", "y", "y"], "batch": ["0", "1"] * 3},
        index=[f"c{i}" for i in range(6)],
    )
    return ad.AnnData(sp.csr_matrix(x) if sparse else x, obs=obs, var=pd.DataFrame(index=list(GENES)))
