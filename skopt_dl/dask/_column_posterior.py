r"""Posteriors of the columns of a matrix whose rows lie in blocks, noise and priors.

The free energy is that of `skopt_dl.matrix_completion.posterior`. A block gives the rows their
posteriors for itself; the columns' need sums over the rows, and so do the scales. A turn is that of
the fit in memory, number by number, and costs one pass.
"""

from __future__ import annotations

import itertools
import math
from types import SimpleNamespace
from typing import Any

import numpy as np

from skopt_dl.dask._column_data import ColumnData
from skopt_dl.dask._column_tasks import Sums, beliefs
from skopt_dl.engine import Certificate, Oracle, Problem, Trait, offers
from skopt_dl.kernels import bind
from skopt_dl.matrix_completion.priors import fitted, fitted_to_sums, strength
from skopt_dl.matrix_completion.turns import Sizes, ahead, first_noise

# Sums that are kept: those of a point, and of the one that its certificate has looked at.
KEPT = 2


class ColumnPosterior(Problem):
    """Beliefs about the columns, and the scales with which the rows were last solved.

    Parameters
    ----------
    data : ColumnData
        The blocks, and what is known of them.
    description : str
        Names estimator and data in messages.
    """

    def __init__(self, data: ColumnData, *, description: str) -> None:
        super().__init__()
        self.data, self.description = data, description
        self.xp, self.dtype, self.device = np, np.dtype(np.float64), "cpu"
        self.kernels = bind(np, self.dtype, "dense")
        self.traits = frozenset({Trait.FINITE_SUM})
        self.n_samples = data.n_entries
        (n, kq), kp = data.column_shape, data.row_width
        # Means and variances; precisions of the noise and of the rows' priors at the rows' last
        # solve (0 before the first), and the means of these; now the same, with the columns'.
        lengths = (n * kq, n * kq, 1, kp, kp, 1, kp, kq, kp, kq)
        ends = [0, *itertools.accumulate(lengths)]
        self._slices = [slice(low, high) for low, high in itertools.pairwise(ends)]
        self.size = ends[-1]
        self.blocks = {"scales": slice(ends[5], ends[10]), "cols": slice(0, ends[5])}
        self.seen = (data.col_weight > 0).astype(np.float64)
        self._sizes = Sizes(data.squares / data.total, "float64")
        self._known: list[tuple[Any, Sums]] = []

    def unpack(self, w: Any) -> Any:
        """The parts of ``w`` as attributes."""
        last, now = ("last_tau", "last_gamma", "last_mu"), ("tau", "gamma", "delta", "mu", "nu")
        names = ("Q", "T", *last, *now)
        parts = dict(zip(names, (w[s] for s in self._slices), strict=True))
        for name in ("Q", "T"):
            parts[name] = np.reshape(parts[name], self.data.column_shape)
        return SimpleNamespace(**parts)

    def start(self) -> Any:
        """Means from leading singular vectors, no variance, the noise of `first_noise`."""
        w = np.zeros(self.size)
        w[self._slices[0]] = np.ravel(self.data.start())
        w[self._slices[3]] = self._sizes.first_priors(self.data.k, self.data.row_width)
        for i, width in ((6, self.data.row_width), (7, self.data.column_shape[1])):
            w[self._slices[i]] = self._sizes.first_priors(self.data.k, width)
        # The pass of these sums is the one that the value of this point needs anyway.
        square, left = (a / self.data.total for a in (self.data.squares, self.sums(w)[3][0]))
        w[self._slices[5]] = 1 / first_noise(np, square, left, self._sizes.noise)
        return w

    def sums(self, w: Any) -> Sums:
        """What the blocks say of rows solved with the last scales; one pass, unless it is kept."""
        b, d = self.unpack(w), self.data
        key = w[: self.blocks["cols"].stop].copy()
        for known, found in self._known:
            if np.array_equal(known, key):
                return found
        tau = float(b.last_tau[0])
        scales = tau, b.last_gamma, b.last_mu
        found = d.sum(beliefs, b.Q, b.T, *scales, d.k, d.mean, d.bias)
        self._known = [*self._known, (key, found)][-KEPT:]
        return found

    def value(self, w: Any) -> Any:
        b, d = self.unpack(w), self.data
        error, power, logs, first = self.sums(w)[3:7]
        half = 0.5 * b.tau[0] * error[0]
        noise = -0.5 * d.total * math.log(b.tau[0] / (2 * math.pi))
        # The squares about the means, and one more row of these.
        power = power + b.mu * ((d.n_seen + 1) * b.mu - 2 * first)
        rows = 0.5 * np.sum(b.gamma * power - logs - d.n_seen * (np.log(b.gamma) + 1))
        tiny = np.finfo(np.float64).smallest_normal
        relative = np.log(np.maximum(b.delta * b.T, tiny))
        each = b.delta * ((b.Q - b.nu) ** 2 + b.T) - relative - 1
        cols = 0.5 * (np.sum(self.seen[:, None] * each) + np.sum(b.delta * b.nu * b.nu))
        return (half + noise + rows + cols) / d.total

    @offers(Oracle.POSTERIOR)
    def posterior_step(self, w: Any, block: str) -> None:
        """Minimise the free energy over the columns, or over the scales, in place."""
        b, d = self.unpack(w), self.data
        grams, sides, spreads, error, power, _, first = self.sums(w)[:7]
        if block == "scales":
            noise = max(float(error[0]) / d.total, self._sizes.noise)
            rows, cols = (np.asarray(self._sizes.least_powers(d.k, len(a))) for a in (power, b.nu))
            gamma, mu = fitted_to_sums(np, d.n_seen, first, power, rows)
            delta, nu = fitted(np, self.seen, b.Q, b.T, cols)
            w[self.blocks[block]] = np.concatenate([[1 / noise], gamma, delta, mu, nu])
            return
        known = self.seen[:, None] > 0
        own = b.delta / b.tau
        ridge = np.where(known, spreads + own, 1.0)
        sides = np.where(known, sides + own * b.nu, b.nu)
        mean = np.linalg.solve(grams + ridge[:, :, None] * np.eye(len(own)), sides[:, :, None])
        diagonal = np.diagonal(grams, axis1=1, axis2=2)
        precision = np.where(known, b.tau * (diagonal + ridge), b.delta)
        parts = (np.ravel(mean), np.ravel(1 / precision), b.tau, b.gamma, b.mu)
        w[self.blocks[block]] = np.concatenate(parts)

    def penalty_per_entry(self, w: Any) -> float:
        """The strength of a ridge that weighs as much as the priors, as `PosteriorProblem` has."""
        b, d = self.unpack(w), self.data
        return strength(np, b, d.k, self._sizes.power, d.n_seen, float(np.sum(self.seen)), d.total)

    def certificate(self, w: Any) -> Certificate:
        """What one more turn over all blocks gains, as `PosteriorProblem` has it."""
        value, after = float(self.value(w)), w.copy()
        for block in reversed(list(self.blocks)):
            self.posterior_step(after, block)
        gain = max(0.0, value - float(self.value(after)))
        powers = [self._powers(a) for a in (w, after)]
        return Certificate("evidence of a further turn", ahead(np, gain, *powers), value)

    def _powers(self, w: Any) -> Any:
        """Squares of each component's size."""
        k = self.data.k
        return self.sums(w)[7] * (self.seen @ self.unpack(w).Q[:, :k] ** 2)
