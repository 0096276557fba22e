"""Pseudo-pairs against true pairs: whether a predicted cell is the cell that its source would have become.

Only simulated data have true pairs. Their two cells share the noise of counting as well, so that no change finds its
pair among all cells: matching alone (`pair_foscttm`, `pair_matched`) proves nothing of a model that moves real control
cells. What it adds is how far `pair_mse` lies below that of no change, on the way to that of the mean change.
"""

from typing import Literal

import numpy as np

from cycseq.matrix.arrays import Cells

PairName = Literal[
    "pair_mse",
    "pair_mse_no_change",
    "pair_mse_mean_change",
    "pair_mse_shuffled",
    "pair_mse_random",
    "pair_foscttm",
    "pair_matched",
]
PAIR_METRICS: dict[PairName, str] = {
    "pair_mse": "mean over pairs and genes of (predicted - true)^2",
    "pair_mse_no_change": "the same with the source cell itself as the prediction",
    "pair_mse_mean_change": "the same with every source cell moved by the mean true change of the condition (it knows the truth)",
    "pair_mse_shuffled": "the same with the predicted cells of the condition dealt out at random (its expected value)",
    "pair_mse_random": "the same with real perturbed cells of the condition dealt out at random (its expected value)",
    "pair_foscttm": "mean share of the condition's predicted cells that are nearer to the true cell than its own; 0.5 by chance (Liu et al. 2019)",
    "pair_matched": "share of true cells to which less than half of the others are nearer than the own; 0.5 by chance",
}
"""Name -> formula; means over the pairs of one condition."""
BLOCK = 1_024


def pair_scores(predicted: Cells, true: Cells, source: Cells, real: Cells) -> dict[PairName, float]:
    """All scores of one condition; NaN where two pairs or more are needed.

    ``true[i]`` is the true counterpart of ``predicted[i]``: the same control cell ``source[i]``, perturbed. `real` are other real
    perturbed cells of the condition.
    """
    n = len(true)
    nearer = np.empty(n)
    total = total_of_pairs = 0.0
    for start in range(0, n, BLOCK):
        rows = np.arange(start, min(start + BLOCK, n))
        apart = _mean_squares(true[rows], predicted)
        of_pairs = apart[np.arange(len(rows)), rows]
        total, total_of_pairs = total + apart.sum(), total_of_pairs + of_pairs.sum()
        ties = (apart == of_pairs[:, None]).sum(axis=1) - 1
        nearer[rows] = ((apart < of_pairs[:, None]).sum(axis=1) + 0.5 * ties) / max(n - 1, 1)
    several = n > 1
    change = true.astype(np.float64) - source
    matched = (nearer < 0.5).mean() + 0.5 * (nearer == 0.5).mean()
    return {
        "pair_mse": total_of_pairs / n,
        "pair_mse_no_change": float(np.mean(change**2)),
        "pair_mse_mean_change": float(np.mean((change - change.mean(axis=0)) ** 2)),
        "pair_mse_shuffled": (total - total_of_pairs) / (n * (n - 1)) if several else float("nan"),
        "pair_mse_random": _between(true, real) if len(real) else float("nan"),
        "pair_foscttm": float(nearer.mean()) if several else float("nan"),
        "pair_matched": float(matched) if several else float("nan"),
    }


def _mean_squares(ours: Cells, theirs: Cells) -> np.ndarray:
    """Mean over genes of the squared differences of all pairs of cells."""
    one, two = ours.astype(np.float64), theirs.astype(np.float64)
    squares = (one**2).sum(axis=1)[:, None] + (two**2).sum(axis=1)[None] - 2.0 * one @ two.T
    return np.asarray(np.maximum(squares, 0.0) / ours.shape[1])


def _between(true: Cells, real: Cells) -> float:
    """Mean of the squared differences over all pairs of cells: from means and variances alone."""
    one, two = true.astype(np.float64), real.astype(np.float64)
    gap = np.square(one.mean(axis=0) - two.mean(axis=0)) + one.var(axis=0) + two.var(axis=0)
    return float(gap.mean())
