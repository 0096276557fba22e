"""Weights of kernels: those that best predict what is left out, in closed form."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import minimize

from cycseq.models.kriging.table import Square

LOG_WEIGHTS = (-9.0, 4.0)
"""Bounds of logarithms of weights, in units of the mean squared effect: a weight at the lower one is 0."""
MOST_KNOWN = 0.0
"""Upper bound where errors of measurements are known: no part of the responses is larger than what was measured."""
LOG_SCALES = (-7.0, 4.0)
"""Bounds of logarithms of the scale and of what is own, around a start of half and a quarter of the mean square."""
START = -1.0
EVALUATIONS = 40

Blocks = Sequence[Int[np.ndarray, "rows"]]


@dataclass(frozen=True)
class Fold:
    """Conditions of which blocks are left out, one at a time."""

    kernels: Float[np.ndarray, "kernels conditions conditions"]
    gram: Square  # mean products of measured effects over genes
    fixed: Square  # covariances of the errors of measurements, as far as they are known; mean over genes
    blocks: Blocks


def left_out_error(kernel: Square, gram: Square, blocks: Blocks) -> tuple[float, Square]:
    """Summed squared error of predicting every block from the rest, and its gradient by the kernel.

    With M the inverse of the kernel (noise on its diagonal) and B a block, the residual of the block is M_BB^-1 (M y)_B
    (Rasmussen and Williams 2006, 5.4.2, for blocks), so that its squared length needs products of y alone, whatever the number of genes.
    """
    inverse = np.linalg.inv(kernel)
    product = inverse @ gram
    spread = product @ inverse
    by_inverse, by_spread = np.zeros_like(kernel), np.zeros_like(kernel)
    error = 0.0
    single = np.array([block[0] for block in blocks if len(block) == 1], dtype=np.int64)
    diagonal, squared = np.diag(inverse)[single], np.diag(spread)[single]
    error += float((squared / diagonal**2).sum())
    by_inverse[single, single] = -2.0 * squared / diagonal**3
    by_spread[single, single] = 1.0 / diagonal**2
    for block in blocks:
        if len(block) == 1:
            continue
        at = np.ix_(block, block)
        covariance = np.linalg.inv(inverse[at])
        residual = covariance @ spread[at] @ covariance
        error += float(np.trace(residual))
        by_inverse[at] -= residual @ covariance + covariance @ residual
        by_spread[at] += covariance @ covariance
    through = by_spread @ product
    return error, -inverse @ (by_inverse + through + through.T) @ inverse


def learn_weights(
    folds: Sequence[Fold], start: Float[np.ndarray, "kernels"] | None = None
) -> Float[np.ndarray, "kernels"]:
    """Weights of the kernels, each at least 0, by L-BFGS on their logarithms."""
    n = len(folds[0].kernels)
    total = sum(float(np.trace(fold.gram[np.ix_(block, block)])) for fold in folds for block in fold.blocks)
    unit = sum(float(np.trace(fold.gram)) for fold in folds) / sum(len(fold.gram) for fold in folds)

    def loss(logarithms: np.ndarray) -> tuple[float, np.ndarray]:
        weights = unit * np.exp(logarithms)
        error, gradient = 0.0, np.zeros(n)
        for fold in folds:
            kernel = np.tensordot(weights, fold.kernels, 1) + fold.fixed
            kernel[np.diag_indices_from(kernel)] += 1e-6 * unit
            part, by_kernel = left_out_error(kernel, fold.gram, fold.blocks)
            error += part
            gradient += np.einsum("kij,ij->k", fold.kernels, by_kernel) * weights
        return error / total, gradient / total

    bounds = (LOG_WEIGHTS[0], MOST_KNOWN if any(fold.fixed.any() for fold in folds) else LOG_WEIGHTS[1])
    x = np.full(n, START) if start is None else np.log(np.maximum(start / unit, 1e-12))
    optimum = minimize(
        loss, np.clip(x, *bounds), jac=True, method="L-BFGS-B", bounds=[bounds] * n, options={"maxiter": EVALUATIONS}
    )
    weights = unit * np.exp(optimum.x)
    return np.where(optimum.x <= LOG_WEIGHTS[0] + 1e-6, 0.0, weights)


def find_scale(kernel: Square, gram: Square, fixed: Square) -> tuple[float, float]:
    """By how much a kernel is multiplied, and what each condition has of its own: by likelihood, beside known errors.

    Predictions tell the ratios of weights alone; how large responses are beside known errors is told by their likelihood, here that of
    the mean gene (Rasmussen and Williams 2006, 5.4.1).

    Parameters
    ----------
    kernel
        Weighted sum of kernels.
    gram, fixed
        As of `Fold`.
    """
    unit = max(float(np.trace(gram)) / len(gram), 1e-12)
    start = np.array([unit / max(2.0 * float(np.diag(kernel).mean()), 1e-12), 0.25 * unit])

    def loss(logarithms: np.ndarray) -> tuple[float, np.ndarray]:
        scale, noise = start * np.exp(logarithms)
        total = scale * kernel + fixed
        total[np.diag_indices_from(total)] += noise + 1e-6 * unit
        inverse = np.linalg.inv(total)
        product = inverse @ gram
        by_total = inverse - product @ inverse
        value = float(np.linalg.slogdet(total)[1]) + float(np.trace(product))
        return value, np.array([scale * (by_total * kernel).sum(), noise * float(np.trace(by_total))])

    optimum = minimize(
        loss, np.zeros(2), jac=True, method="L-BFGS-B", bounds=[LOG_SCALES] * 2, options={"maxiter": EVALUATIONS}
    )
    scale, noise = start * np.exp(optimum.x)
    return float(scale), float(noise)
