"""`c2st_auc`: one of scikit-learn's classifiers a fold against all folds at once, as processor time in one run.

OMP_NUM_THREADS=1 python benchmarks/classifier_metric.py [--conditions 20] [--cells 20,100,500] [--components 50]
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from cycseq.score.metrics.cells import _folds, _held_out_auc


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conditions", type=int, default=20)
    parser.add_argument("--cells", type=lambda text: [int(word) for word in text.split(",")], default=[20, 100, 500])
    parser.add_argument("--components", type=int, default=50)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    for n in options.cells:
        held_out = _folds(n, 0)
        worlds = rng.normal(size=(options.conditions, 2 * n, options.components))
        worlds[:, :n] += 0.1
        seconds, values = zip(*(timed(make, worlds, n, held_out) for make in (one_by_one, _held_out_auc)), strict=True)
        print(
            f"{n} cells a side: one by one {1e3 * seconds[0]:.1f} ms a condition, at once {1e3 * seconds[1]:.1f} ms, "
            f"{seconds[0] / seconds[1]:.1f} times as long; largest difference {np.abs(values[0] - values[1]).max():.1e}"
        )


def timed(make, worlds: np.ndarray, n: int, held_out: np.ndarray) -> tuple[float, np.ndarray]:
    """Processor seconds a condition, and the values."""
    make(worlds[0], n, held_out)
    started = time.process_time()
    values = np.array([make(x, n, held_out) for x in worlds])
    return (time.process_time() - started) / len(worlds), values


def one_by_one(x: np.ndarray, n: int, held_out: np.ndarray) -> float:
    y = np.repeat([1, 0], n)
    fitted = [LogisticRegression(max_iter=200).fit(x[~test], y[~test]) for test in held_out]
    return float(
        np.mean([roc_auc_score(y[t], m.decision_function(x[t])) for t, m in zip(held_out, fitted, strict=True)])
    )


if __name__ == "__main__":
    main()
