r"""Posteriors of the columns of a matrix whose rows lie in blocks, noise and priors.

The free energy is that of `skopt_dl.matrix_completion.posterior`. A block gives the rows their
posteriors for itself; the columns' need sums over the rows, and so do the scales. A turn is that of
the fit in memory, number by number, and costs one pass. Where rows differ in their noise the client
holds the precision of each, which depends on that of all: then a turn costs a second pass.
"""

from __future__ import annotations

import itertools
import math
from types import SimpleNamespace
from typing import Any

import numpy as np

from skopt_dl.dask._column_data import ColumnData
from skopt_dl.dask._column_sums import ByRows
from skopt_dl.dask._column_tasks import Sums, beliefs, column_beliefs, row_weights
from skopt_dl.engine import Certificate, Oracle, Problem, Trait, offers
from skopt_dl.kernels import bind
from skopt_dl.matrix_completion import row_noise
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
    row_noise : bool
        Whether each row has a noise of its own.
    description : str
        Names estimator and data in messages.
    """

    def __init__(
        self, data: ColumnData, *, row_noise: bool = False, description: str = "these blocks"
    ) -> None:
        super().__init__()
        self.row_noise = row_noise
        self.row_weight = np.concatenate(data.sum(row_weights)[0]) if row_noise else np.zeros(0)
        self.row_copies = (self.row_weight > 0).astype(np.float64)
        self.data, self.description = data, description
        self.xp, self.dtype, self.device = np, np.dtype(np.float64), "cpu"
        self.kernels = bind(np, self.dtype, "dense")
        self.traits = frozenset({Trait.FINITE_SUM})
        self.n_samples = data.n_entries
        (n, kq), kp = data.column_shape, data.row_width
        # Means and variances; precisions of the noise and of the rows' priors at the rows' last
        # solve (0 before the first), the means of these, and the rows' own precisions; now the
        # same, with the columns'.
        own = len(self.row_weight)
        lengths = (n * kq, n * kq, 1, kp, kp, own, 1, kp, kq, kp, kq, own)
        ends = [0, *itertools.accumulate(lengths)]
        self._slices = [slice(low, high) for low, high in itertools.pairwise(ends)]
        self.size = ends[-1]
        self.blocks = {"scales": slice(ends[6], ends[11]), "cols": slice(0, ends[6])}
        if row_noise:
            self.blocks = {"noise": slice(ends[11], ends[12]), **self.blocks}
        self.seen = (data.col_weight > 0).astype(np.float64)
        self._sizes = Sizes(data.squares / data.total, "float64")
        self._known: dict[str, list[tuple[Any, Sums]]] = {"rows": [], "cols": []}

    def unpack(self, w: Any) -> Any:
        """The parts of ``w`` as attributes."""
        last = "last_tau", "last_gamma", "last_mu", "last_lam"
        names = ("Q", "T", *last, "tau", "gamma", "delta", "mu", "nu", "lam")
        parts = dict(zip(names, (w[s] for s in self._slices), strict=True))
        for name in ("Q", "T"):
            parts[name] = np.reshape(parts[name], self.data.column_shape)
        return SimpleNamespace(**parts)

    def start(self) -> Any:
        """Means from leading singular vectors, no variance, the noise of `first_noise`."""
        w = np.zeros(self.size)
        w[self._slices[0]] = np.ravel(self.data.start())
        w[self._slices[3]] = self._sizes.first_priors(self.data.k, self.data.row_width)
        for i, width in ((7, self.data.row_width), (8, self.data.column_shape[1])):
            w[self._slices[i]] = self._sizes.first_priors(self.data.k, width)
        w[self._slices[5]] = w[self._slices[11]] = 1.0
        # The pass of these sums is the one that the value of this point needs anyway.
        square, left = (a / self.data.total for a in (self.data.squares, self.sums(w)[0][0]))
        w[self._slices[6]] = 1 / first_noise(np, square, left, self._sizes.noise)
        return w

    def sums(self, w: Any) -> Sums:
        """What the blocks say of rows solved with the last scales; one pass, unless it is kept."""
        return self._asked(w, "rows")

    def _column_sums(self, w: Any) -> Sums:
        """What they say of the columns; one more pass where rows differ in their noise."""
        return self._asked(w, "cols") if self.row_noise else self.sums(w)[5:]

    def _asked(self, w: Any, what: str) -> Sums:
        b, d = self.unpack(w), self.data
        key = np.append(w[: self.blocks["cols"].stop], b.lam if what == "cols" else [])
        for known, found in self._known[what]:
            if np.array_equal(known, key):
                return found
        given: list[Any] = [b.Q, b.T, float(b.last_tau[0]), b.last_gamma, b.last_mu]
        given.append(ByRows(b.last_lam) if self.row_noise else None)
        function = beliefs
        if what == "cols":
            function = column_beliefs
            given.append(ByRows(b.lam))
        found = d.sum(function, *given, d.k, d.mean, d.bias)
        self._known[what] = [*self._known[what], (key, found)][-KEPT:]
        return found

    def _error(self, w: Any) -> float:
        """The expected squared error, where each row counts by its precision."""
        if not self.row_noise:
            return float(self.sums(w)[0][0])
        return float(self.unpack(w).lam @ np.concatenate(self.sums(w)[5]))

    def value(self, w: Any) -> Any:
        b, d = self.unpack(w), self.data
        power, logs, first = self.sums(w)[1:4]
        half = 0.5 * b.tau[0] * self._error(w)
        noise = -0.5 * d.total * math.log(b.tau[0] / (2 * math.pi))
        # The squares about the means, and one more row of these.
        power = power + b.mu * ((d.n_seen + 1) * b.mu - 2 * first)
        rows = 0.5 * np.sum(b.gamma * power - logs - d.n_seen * (np.log(b.gamma) + 1))
        tiny = np.finfo(np.float64).smallest_normal
        relative = np.log(np.maximum(b.delta * b.T, tiny))
        each = b.delta * ((b.Q - b.nu) ** 2 + b.T) - relative - 1
        cols = 0.5 * (np.sum(self.seen[:, None] * each) + np.sum(b.delta * b.nu * b.nu))
        own = 0.0
        if self.row_noise:
            own = row_noise.divergence(self.row_copies, self.row_weight, b.lam, row_noise.FIRST)
        return (half + noise + rows + cols + own) / d.total

    @offers(Oracle.POSTERIOR)
    def posterior_step(self, w: Any, block: str) -> None:
        """Minimise the free energy over the columns, the scales or the rows' noise, in place."""
        b, d = self.unpack(w), self.data
        if block == "noise":
            sizes = self.row_copies, self.row_weight
            errors, eta = np.concatenate(self.sums(w)[5]), row_noise.FIRST
            w[self.blocks[block]] = row_noise.fitted(np, *sizes, errors, b.tau, eta)
            return
        if block == "scales":
            _, power, _, first = self.sums(w)[:4]
            noise = max(self._error(w) / d.total, self._sizes.noise)
            rows, cols = (np.asarray(self._sizes.least_powers(d.k, len(a))) for a in (power, b.nu))
            gamma, mu = fitted_to_sums(np, d.n_seen, first, power, rows)
            delta, nu = fitted(np, self.seen, b.Q, b.T, cols)
            w[self.blocks[block]] = np.concatenate([[1 / noise], gamma, delta, mu, nu])
            return
        grams, sides, spreads = self._column_sums(w)
        known = self.seen[:, None] > 0
        own = b.delta / b.tau
        ridge = np.where(known, spreads + own, 1.0)
        sides = np.where(known, sides + own * b.nu, b.nu)
        mean = np.linalg.solve(grams + ridge[:, :, None] * np.eye(len(own)), sides[:, :, None])
        diagonal = np.diagonal(grams, axis1=1, axis2=2)
        precision = np.where(known, b.tau * (diagonal + ridge), b.delta)
        parts = (np.ravel(mean), np.ravel(1 / precision), b.tau, b.gamma, b.mu, b.lam)
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
        return self.sums(w)[4] * (self.seen @ self.unpack(w).Q[:, :k] ** 2)
