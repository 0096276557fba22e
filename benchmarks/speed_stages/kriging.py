"""Kriging of responses over conditions beside scikit-learn's Gaussian process and a dense solve gene by gene.

All three see the same made-up responses, with a tenth of the grid missing, and give mean and variance of every condition
of the grid. Ours learns a mixture of 80 priors, whose noise differs by gene and condition; scikit-learn's process has one
kernel and one noise for all genes, its hyperparameters fixed; the dense solve has each gene's own noise and one prior.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from speed_stages.limits import Limits
from speed_stages.measure import Form, Row, at_best, in_turn, rows

FULL = {"grids": [[4, 50], [4, 200]], "genes": 1_000, "rounds": 2}
QUICK = {"grids": [[3, 5]], "genes": 20, "rounds": 1}


def stage(limits: Limits, size: dict[str, Any]) -> tuple[list[Row], dict[str, Any]]:
    """Lines of the table."""
    lines: list[Row] = []
    for contexts, perturbations in size["grids"]:
        arguments = {"contexts": contexts, "perturbations": perturbations, "genes": size["genes"]}
        forms = [
            Form("cycseq, predict", "kriging", "predict", arguments),
            Form("cycseq, learn and predict", "kriging", "learn_and_predict", arguments),
            Form("scikit-learn GaussianProcessRegressor", "kriging", "scikit_learn", arguments),
            Form("dense solve for each gene", "kriging", "dense", arguments),
        ]
        found = in_turn(forms, size["rounds"])
        what = f"{contexts} contexts x {perturbations} perturbations x {size['genes']:,} genes"
        kinds = dict(zip([form.name for form in forms], ("ours", "ours", "peer", "naive"), strict=True))
        lines += rows("kriging", what, found, kinds)
        # every response with its noise read once, every mean and variance written once, in double precision
        moved = 8 * 4 * contexts * perturbations * size["genes"]
        own = next(line for line in lines if line.size == what)
        lines.append(at_best("kriging", what, own, "responses read once, posterior written once", moved / limits.copy))
    return lines, {}


def grid(contexts: int, perturbations: int, genes: int) -> Any:
    """Responses that contexts share by half, with a tenth of the grid missing."""
    import numpy as np

    from cycseq.models.kriging.measured import ControlLevels, Measured

    rng = np.random.default_rng(0)
    kept = np.flatnonzero(rng.random(contexts * perturbations) < 0.9)
    context, perturbation = kept % contexts, kept // contexts
    shared = rng.normal(size=(perturbations, genes), scale=0.2).astype(np.float32)
    delta = rng.normal(size=(len(kept), genes), scale=0.25).astype(np.float32)
    delta += shared[perturbation]
    noise = np.full(delta.shape, 0.01, dtype=np.float32)
    levels = rng.gamma(1.0, 0.5, size=(contexts, genes))
    return Measured(
        names=tuple(f"P{i}" for i in perturbation),
        context=context.astype(np.int64),
        delta=delta,
        cell_noise=noise,
        control_noise=noise,
        levels=ControlLevels(tuple(f"L{i}" for i in range(contexts)), levels, np.full_like(levels, 0.001)),
    )


def predict(contexts: int, perturbations: int, genes: int) -> Callable[[], object]:
    """Settings are learned before the time is taken."""
    from cycseq.models.kriging.learning import learn_settings

    measured = grid(contexts, perturbations, genes)
    settings = learn_settings(measured)
    return lambda: _predicted(measured, settings)


def learn_and_predict(contexts: int, perturbations: int, genes: int) -> Callable[[], object]:
    from cycseq.models.kriging.learning import learn_settings

    measured = grid(contexts, perturbations, genes)
    return lambda: _predicted(measured, learn_settings(measured))


def _predicted(measured: Any, settings: Any) -> dict[str, float]:
    from cycseq.models.kriging.field import Field

    field = Field(measured, settings, measured.levels.mean)
    return {"checksum": sum(float(field.response(name).mean.sum()) for name in settings.strength)}


def _places(measured: Any, contexts: int, perturbations: int) -> tuple[Any, Any]:
    """Context and perturbation of the measured conditions and of the whole grid."""
    import numpy as np

    known = np.column_stack([measured.context, [int(name[1:]) for name in measured.names]])
    return known, np.array([(c, p) for p in range(perturbations) for c in range(contexts)])


def _covariance(a: Any, b: Any) -> Any:
    """A common response, and each perturbation's own shared by contexts by half."""
    import numpy as np

    same_context, same_perturbation = (np.equal.outer(a[:, i], b[:, i]) for i in (0, 1))
    return 0.01 * (0.5 + 0.5 * same_context) + 0.1 * same_perturbation * (0.5 + 0.5 * same_context)


def scikit_learn(contexts: int, perturbations: int, genes: int) -> Callable[[], object]:
    import numpy as np
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel

    measured = grid(contexts, perturbations, genes)
    known, asked = (
        np.hstack([np.eye(contexts)[at[:, 0]], np.eye(perturbations)[at[:, 1]]])
        for at in _places(measured, contexts, perturbations)
    )

    def work() -> None:
        process = GaussianProcessRegressor(ConstantKernel(0.1) * RBF(1.0), alpha=0.02, optimizer=None)
        process.fit(known, measured.delta).predict(asked, return_std=True)

    return work


def dense(contexts: int, perturbations: int, genes: int) -> Callable[[], object]:
    import numpy as np
    from scipy.linalg import cho_factor, cho_solve

    measured = grid(contexts, perturbations, genes)
    known, asked = _places(measured, contexts, perturbations)

    def work() -> None:
        prior, across = _covariance(known, known), _covariance(asked, known)
        own = np.diag(_covariance(asked, asked))
        for gene in range(genes):
            noise = measured.cell_noise[:, gene] + measured.control_noise[:, gene]
            factor = cho_factor(prior + np.diag(noise))
            solved = cho_solve(factor, across.T)
            mean, variance = measured.delta[:, gene] @ solved, own - np.einsum("ij,ji->i", across, solved)
            assert mean.shape == variance.shape

    return work
