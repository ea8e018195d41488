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
        # Means and variances; precision of the noise and of the rows' priors at the rows' last
        # solve (0 before the first); these two and that of the columns' priors now.
        lengths = (n * kq, n * kq, 1, kp, 1, kp, kq)
        ends = [0, *itertools.accumulate(lengths)]
        self._slices = [slice(low, high) for low, high in itertools.pairwise(ends)]
        self.size = ends[-1]
        self.blocks = {"scales": slice(ends[4], ends[7]), "cols": slice(0, ends[4])}
        self.seen = (data.col_weight > 0).astype(np.float64)
        self._sizes = Sizes(data.squares / data.total, "float64")
        self._known: list[tuple[Any, Sums]] = []

    def unpack(self, w: Any) -> Any:
        """The parts of ``w`` as attributes."""
        names = ("Q", "T", "last_tau", "last_gamma", "tau", "gamma", "delta")
        parts = dict(zip(names, (w[s] for s in self._slices), strict=True))
        for name in ("Q", "T"):
            parts[name] = np.reshape(parts[name], self.data.column_shape)
        return SimpleNamespace(**parts)

    def start(self) -> Any:
        """Means from leading singular vectors, no variance, the noise of `first_noise`."""
        w = np.zeros(self.size)
        w[self._slices[0]] = np.ravel(self.data.start())
        w[self._slices[3]] = self._sizes.first_priors(self.data.k, self.data.row_width)
        for i, width in ((5, self.data.row_width), (6, self.data.column_shape[1])):
            w[self._slices[i]] = self._sizes.first_priors(self.data.k, width)
        # The pass of these sums is the one that the value of this point needs anyway.
        square, left = (a / self.data.total for a in (self.data.squares, self.sums(w)[3][0]))
        w[self._slices[4]] = 1 / first_noise(np, square, left, self._sizes.noise)
        return w

    def sums(self, w: Any) -> Sums:
        """What the blocks say of rows solved with the last scales; one pass, unless it is kept."""
        b, d = self.unpack(w), self.data
        key = np.concatenate([np.ravel(b.Q), np.ravel(b.T), b.last_tau, b.last_gamma])
        for known, found in self._known:
            if np.array_equal(known, key):
                return found
        tau = float(b.last_tau[0])
        found = d.sum(beliefs, b.Q, b.T, tau, b.last_gamma, d.k, d.mean, d.bias)
        self._known = [*self._known, (key, found)][-KEPT:]
        return found

    def value(self, w: Any) -> Any:
        b, d = self.unpack(w), self.data
        error, power, logs = self.sums(w)[3:6]
        half = 0.5 * b.tau[0] * error[0]
        noise = -0.5 * d.total * math.log(b.tau[0] / (2 * math.pi))
        rows = 0.5 * np.sum(b.gamma * power - logs - d.n_seen * (np.log(b.gamma) + 1))
        tiny = np.finfo(np.float64).smallest_normal
        relative = np.log(np.maximum(b.delta * b.T, tiny))
        each = b.delta * (b.Q * b.Q + b.T) - relative - 1
        return (half + noise + rows + 0.5 * np.sum(self.seen[:, None] * each)) / d.total

    @offers(Oracle.POSTERIOR)
    def posterior_step(self, w: Any, block: str) -> None:
        """Minimise the free energy over the columns, or over the scales, in place."""
        b, d = self.unpack(w), self.data
        grams, sides, spreads, error, power = self.sums(w)[:5]
        if block == "scales":
            noise = max(float(error[0]) / d.total, self._sizes.noise)
            mine = np.sum(self.seen[:, None] * (b.Q * b.Q + b.T), axis=0)
            rows, cols = (self._sizes.least_powers(d.k, len(a)) for a in (power, mine))
            gamma = d.n_seen / np.maximum(power, rows)
            delta = np.sum(self.seen) / np.maximum(mine, cols)
            w[self.blocks[block]] = np.concatenate([[1 / noise], gamma, delta])
            return
        known = self.seen[:, None] > 0
        ridge = np.where(known, spreads + b.delta / b.tau, 1.0)
        mean = np.linalg.solve(grams + ridge[:, :, None] * np.eye(len(b.delta)), sides[:, :, None])
        diagonal = np.diagonal(grams, axis1=1, axis2=2)
        precision = np.where(known, b.tau * (diagonal + ridge), b.delta)
        parts = (np.ravel(mean), np.ravel(1 / precision), b.tau, b.gamma)
        w[self.blocks[block]] = np.concatenate(parts)

    def penalty_per_entry(self, w: Any) -> float:
        """The strength of a ridge that weighs as much as the priors, as `PosteriorProblem` has."""
        b, k = self.unpack(w), self.data.k
        s = 1 / (np.sqrt(b.gamma[:k]) * np.sqrt(b.delta[:k]))
        s = np.where(s > 0, s, self._sizes.power)
        root = math.sqrt(self.data.n_seen * float(np.sum(self.seen)))
        return float(np.sum(s) / np.sum(s * s)) * root / (float(b.tau[0]) * self.data.total)

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
        return self.sums(w)[6] * np.sum(self.unpack(w).Q[:, :k] ** 2, axis=0)
