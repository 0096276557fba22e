"""Ridge regression on a 1 for each part of a perturbation and on a few other inputs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int

from cycseq.matrix.arrays import Profiles

RELATIVE_PENALTIES = 10.0 ** np.arange(-3, 4.1, 0.5)
"""Penalties that are tried, in units of the mean squared length of the centred inputs."""
LEAST_PENALTY = 1e-9
"""In the same units: less is rounding."""
GENES_TOGETHER = 128

Inputs = Float[np.ndarray, "conditions inputs"]
Rows = Int[np.ndarray, "conditions"]
Weights = Float[np.ndarray, "inputs genes"]
Errors = Float[np.ndarray, "penalties"]


@dataclass(frozen=True)
class PartsRidge:
    """A ridge regression of Y on a 1 for each part and on other inputs, with a mean that is not penalised.

    Parts are many, and most conditions have one: they are eliminated. With E the parts, R the other inputs and a column of ones,
    D = (E^T E + l)^-1 (diagonal where every condition has one part), Q = R - E D E^T R and S = R^T Q + l (none for the ones), the
    weights of R are w = S^-1 Q^T Y, those of E are D E^T (Y - R w), and the hat matrix is H = E D E^T + Q S^-1 Q^T.
    """

    parts: sp.csr_array  # conditions x parts
    others: Inputs  # the last is 1
    unit: float  # what penalties are multiplied by: mean squared length of the centred inputs

    @classmethod
    def of(cls, z: Inputs, n_parts: int) -> Self:
        """On inputs of which the first stand for parts."""
        unit = float(np.square(z - z.mean(axis=0)).sum() / len(z)) or 1.0
        return cls(sp.csr_array(z[:, :n_parts]), np.column_stack([z[:, n_parts:], np.ones(len(z))]), unit)

    def take(self, rows: Rows) -> Self:
        """On these conditions alone, penalties in the same units."""
        return replace(self, parts=self.parts[rows], others=self.others[rows])

    @property
    def has_single_parts(self) -> bool:
        """Whether no condition has two parts."""
        return bool(np.diff(self.parts.indptr).max(initial=0) < 2)

    def at(self, penalty: float) -> "_Eliminated":
        """With its parts eliminated at a penalty."""
        absolute = max(penalty, LEAST_PENALTY) * self.unit
        squares = self.parts.T @ self.parts
        if self.has_single_parts:
            inverse = 1.0 / (squares.diagonal() + absolute)
        else:
            inverse = np.linalg.inv(squares.toarray() + absolute * np.eye(squares.shape[0]))
        q = self.others - self.parts @ _times(inverse, self.parts.T @ self.others)
        penalised = np.append(np.full(self.others.shape[1] - 1, absolute), 0.0)
        return _Eliminated(self, inverse, q, np.linalg.inv(self.others.T @ q + np.diag(penalised)))

    def choose_penalty(self, delta: Profiles, groups: Rows) -> float:
        """That of least squared error of groups that are left out: in closed form, or by fitting again where that takes less."""
        members = [np.flatnonzero(groups == g) for g in np.unique(groups)]
        if len(members) < 2:
            return float(RELATIVE_PENALTIES[-1])
        n_inputs = self.others.shape[1] + (0 if self.has_single_parts else self.parts.shape[1])
        # conditions of a group: a closed form takes their square, a fit goes over all inputs
        most = np.sqrt(2.0 * len(delta) * (n_inputs + 10))
        errors = self._errors([group for group in members if len(group) <= most], delta)
        for group in members:
            if len(group) > most:
                errors += self._errors_again(group, delta)
        return float(RELATIVE_PENALTIES[int(np.argmin(errors))])

    def _errors(self, members: Sequence[Rows], delta: Profiles) -> Errors:
        """Squared error of groups that are left out, at every penalty: the residual of a group is (I - H_gg)^-1 (Y - HY)_g."""
        errors = np.zeros(len(RELATIVE_PENALTIES))
        columns = [np.unique(self.parts[group].indices) for group in members]
        rows = [self.parts[group][:, used].toarray() for group, used in zip(members, columns, strict=True)]
        for i, penalty in enumerate(RELATIVE_PENALTIES if members else ()):
            fit = self.at(penalty)
            residuals = delta - self.predict(*fit.weights(delta))
            for group, used, e in zip(members, columns, rows, strict=True):
                within = np.diag(fit.inverse[used]) if fit.inverse.ndim == 1 else fit.inverse[np.ix_(used, used)]
                maker = np.eye(len(group)) - e @ within @ e.T - fit.q[group] @ fit.s_inverse @ fit.q[group].T
                errors[i] += np.square(np.linalg.solve(maker, residuals[group])).sum()
        return errors

    def _errors_again(self, group: Rows, delta: Profiles) -> Errors:
        """Squared error of a large group after fits without it, at every penalty; a few genes at a time, which stay in the cache."""
        rest = np.setdiff1d(np.arange(len(delta)), group)
        there, here = self.take(rest), self.take(group)
        fits = [there.at(penalty) for penalty in RELATIVE_PENALTIES]
        errors = np.zeros(len(fits))
        for start in range(0, delta.shape[1], GENES_TOGETHER):
            genes = slice(start, start + GENES_TOGETHER)
            known, left_out = delta[rest, genes], delta[group, genes]
            errors += [np.square(left_out - here.predict(*fit.weights(known))).sum() for fit in fits]
        return errors

    def predict(self, of_parts: Weights, of_others: Weights) -> Profiles:
        """Of every condition, from the weights."""
        return np.asarray(self.parts @ of_parts + self.others @ of_others)


@dataclass(frozen=True)
class _Eliminated:
    """A `PartsRidge` at a penalty: the matrices in its docstring."""

    regression: PartsRidge
    inverse: (
        Float[np.ndarray, "parts"] | Float[np.ndarray, "parts parts"]
    )  # D, or its diagonal where there is nothing else
    q: Inputs
    s_inverse: Float[np.ndarray, "others others"]

    def weights(self, delta: Profiles) -> tuple[Weights, Weights]:
        """Of the parts and of the other inputs, for every gene."""
        parts, others = self.regression.parts, self.regression.others
        of_others = self.s_inverse @ (self.q.T @ delta)
        return _times(self.inverse, parts.T @ delta - (parts.T @ others) @ of_others), of_others


def _times(inverse: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The product with a matrix, or with one of which the diagonal is given."""
    return np.asarray(inverse[:, None] * values if inverse.ndim == 1 else inverse @ values)
