"""Highly variable genes: those whose dispersion stands out among genes of like mean."""

from __future__ import annotations

import numpy as np
import pandas as pd
from jaxtyping import Bool

from cycseq.matrix.arrays import Profile

N_BINS = 20


def variable_genes(mean: Profile, variance: Profile, n: int) -> Bool[np.ndarray, "genes"]:
    """The n genes of highest normalised dispersion; fewer where fewer genes vary.

    Mean and variance are of counts per 10,000 (no logarithm) over the cells that may be looked at.

    Notes
    -----
    Of two genes that are equal to the last digit the first one is taken, so that there are never more than n.
    """
    normalised = normalised_dispersion(mean, variance)
    order = np.argsort(-np.where(np.isfinite(normalised), normalised, -np.inf), kind="stable")
    mask = np.zeros(len(mean), dtype=bool)
    mask[order[: min(n, int(np.isfinite(normalised).sum()))]] = True
    return mask


def normalised_dispersion(mean: Profile, variance: Profile) -> Profile:
    """log(variance/mean), standardised within 20 equally wide bins of log1p(mean); NaN for a gene that does not vary.

    Source: Satija et al. 2015 (Seurat's mean.var.plot), as scanpy computes it with ``flavor="seurat"``: a gene
    that is alone in its bin gets 1.
    """
    mean = np.where(mean == 0, 1e-12, mean)
    with np.errstate(divide="ignore"):
        dispersion = np.log(variance / mean)
    frame = pd.DataFrame({"dispersion": np.where(np.isfinite(dispersion), dispersion, np.nan)})
    by_bin = frame["dispersion"].groupby(pd.cut(pd.Series(np.log1p(mean)), bins=N_BINS), observed=True)
    centre, spread = by_bin.transform("mean").to_numpy(), by_bin.transform("std").to_numpy()
    single = np.isnan(spread)
    spread = np.where(single, centre, spread)
    centre = np.where(single, 0.0, centre)
    with np.errstate(divide="ignore", invalid="ignore"):
        normalised: Profile = (frame["dispersion"].to_numpy() - centre) / spread
    return normalised
