"""Kriging of responses over conditions beside scikit-learn's Gaussian process and a dense solve gene by gene.

All three see the same made-up responses, with a tenth of the grid missing, and give mean and variance of every condition
of the grid. Ours learns the weights of its kernels, and an amplitude and a noise for every gene; scikit-learn's process has one
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
    """Effects that contexts share by half, with a tenth of the grid missing."""
    import numpy as np

    from cycseq.data.condition import Condition
    from cycseq.data.effects import Effects

    rng = np.random.default_rng(0)
    kept = np.flatnonzero(rng.random(contexts * perturbations) < 0.9)
    context, perturbation = kept % contexts, kept // contexts
    shared = rng.normal(size=(perturbations, genes), scale=0.2).astype(np.float32)
    effect = rng.normal(size=(len(kept), genes), scale=0.25).astype(np.float32)
    effect += shared[perturbation]
    conditions = [Condition(f"L{c}", f"P{p}") for c, p in zip(context, perturbation, strict=True)]
    names = [f"g{i}" for i in range(genes)]
    se = np.full(effect.shape, 0.1, dtype=np.float32)
    return Effects.from_arrays(effect, conditions, names, scale="log_fold_change", layers={"se": se})


def everything(contexts: int, perturbations: int) -> list[Any]:
    """All conditions of the grid."""
    from cycseq.data.condition import Condition

    return [Condition(f"L{c}", f"P{p}") for p in range(perturbations) for c in range(contexts)]


def predict(contexts: int, perturbations: int, genes: int) -> Callable[[], object]:
    """Weights are learned before the time is taken."""
    from cycseq.models.kriging.model import ConditionKriging

    model = ConditionKriging(features=None).fit_effects(grid(contexts, perturbations, genes), task="unseen-pair")
    return lambda: _predicted(model, contexts, perturbations)


def learn_and_predict(contexts: int, perturbations: int, genes: int) -> Callable[[], object]:
    from cycseq.models.kriging.model import ConditionKriging

    effects = grid(contexts, perturbations, genes)
    return lambda: _predicted(
        ConditionKriging(features=None).fit_effects(effects, task="unseen-pair"), contexts, perturbations
    )


def _predicted(model: Any, contexts: int, perturbations: int) -> dict[str, float]:
    return {"checksum": float(model.predict_effects(everything(contexts, perturbations)).effect.sum())}


def _places(measured: Any, contexts: int, perturbations: int) -> tuple[Any, Any]:
    """Context and perturbation of the measured conditions and of the whole grid."""
    import numpy as np

    known = np.array([(int(c.context[1:]), int(c.perturbation[1:])) for c in measured.conditions()])
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
        process.fit(known, measured.effect).predict(asked, return_std=True)

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
            noise = measured.layer("se")[:, gene] ** 2
            factor = cho_factor(prior + np.diag(noise))
            solved = cho_solve(factor, across.T)
            mean, variance = measured.effect[:, gene] @ solved, own - np.einsum("ij,ji->i", across, solved)
            assert mean.shape == variance.shape

    return work
