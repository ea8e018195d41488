r"""The factors as unknowns of a Gaussian model: variational posteriors and conditional draws.

.. math::

    x_{ij} \sim N(u_i'v_j + a_i + c_j,\ 1/(\tau\omega_{ij})), \qquad
    u_{il} \sim N(\mu_l, 1/\gamma_l), \qquad v_{jl} \sim N(\nu_l, 1/\delta_l)

and likewise for the biases (`skopt_dl.matrix_completion.priors`); where rows differ in their noise,
:math:`\tau \lambda_i` stands for :math:`\tau` (`skopt_dl.matrix_completion.row_noise`). The free
energy of independent Gaussians with means P, Q and variances S, T, a bound of minus the log
evidence, is minimised over one block at a time in closed form:

.. math::

    F = \frac{1}{\sum\omega} \Big[ \frac\tau2 \sum_{ij} \omega_{ij} \mathrm E (x_{ij} - \hat
    x_{ij})^2 - \frac{\sum\omega}{2} \log\frac{\tau}{2\pi} + \frac12 \sum_l \Big( \gamma_l \mu_l^2
    + \sum_i r_i \big( \gamma_l ((P_{il} - \mu_l)^2 + S_{il}) - \log \gamma_l S_{il} - 1 \big)
    \Big) + \dots \Big]

with :math:`r_i` the number of times that row i is given. Noise, means and relevances
:math:`\gamma, \delta` are fitted with the rest: components that the data do not ask for shrink to
nothing (Y. Lim, Y. W. Teh, "Variational Bayesian approach to movie rating prediction", KDD Cup
2007; T. Raiko, A. Ilin, J. Karhunen, "Principal component analysis for large scale problems with
lots of missing values", ECML 2007).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

from skopt_dl.engine import Certificate, Oracle, Problem, Trait, offers
from skopt_dl.kernels.namespace import to_float
from skopt_dl.matrix_completion import priors, row_noise
from skopt_dl.matrix_completion.beliefs import Beliefs, Draws, settled
from skopt_dl.matrix_completion.observed import ObservedMatrix
from skopt_dl.matrix_completion.problem import FactorProblem
from skopt_dl.matrix_completion.turns import Ahead, Sizes, ahead, first_noise

# The parts that `Columns` keeps, by its names and by those of `Beliefs`.
KEPT = {"Q": "Q", "spread": "T"} | {name: name for name in ("tau", "gamma", "delta", "mu", "nu")}


class PosteriorProblem(Problem):
    """The free energy of a partly observed matrix.

    Parameters
    ----------
    observed : ObservedMatrix
        The entries, already centred if the model has a constant.
    n_components : int
        Rank k of ``U V'``; relevance decides how many components are used.
    row_bias, col_bias : bool
        Whether rows and columns have biases.
    row_copies : array of shape (m,), optional
        How often each row is given; its weights must be as many times larger. Default: once.
    levels : bool
        Whether the priors have means of their own; zero otherwise.
    row_noise : bool
        Whether each row has a noise of its own (`skopt_dl.matrix_completion.row_noise`).
    seed : int
        Of the starting point.
    description : str
        Names estimator and data in messages.
    """

    def __init__(
        self,
        observed: ObservedMatrix,
        n_components: int,
        *,
        row_bias: bool = False,
        col_bias: bool = False,
        row_copies: Any = None,
        levels: bool = True,
        row_noise: bool = False,
        seed: int = 0,
        description: str = "this matrix completion",
    ) -> None:
        super().__init__()
        self.factor = FactorProblem(
            observed, n_components, 0.0, row_bias=row_bias, col_bias=col_bias, seed=seed
        )
        self.observed, self.description = observed, description
        self.levels, self.row_noise = levels, row_noise
        self.xp, self.kernels = observed.xp, observed.kernels
        self.dtype, self.device = observed.dtype, observed.device
        self.n_samples = observed.n_entries
        xp = self.xp
        seen = xp.astype(observed.row_weight > 0, self.dtype)
        self.row_copies = seen if row_copies is None else seen * row_copies
        self.col_copies = xp.astype(observed.col_weight > 0, self.dtype)
        (m, kp), (n, kq) = self.factor.shapes.values()
        lengths = [m * kp, m * kp, n * kq, n * kq, 1, kp, kq, kp, kq, m, 1]
        ends = [0, *itertools.accumulate(lengths if row_noise else lengths[:9])]
        self._slices = [slice(low, high) for low, high in itertools.pairwise(ends)]
        self.size = ends[-1]
        # Scales come after the factors in a turn: from no variance they would never return.
        self.blocks = {
            "scales": slice(ends[4], ends[9]),
            "rows": slice(0, ends[2]),
            "cols": slice(ends[2], ends[4]),
        }
        if row_noise:
            self.blocks = {"noise": slice(ends[9], ends[11]), **self.blocks}
        self.traits = frozenset({Trait.FINITE_SUM})
        self._sizes = Sizes.of(observed)
        self._ahead = Ahead(self.xp, self.blocks)

    @property
    def seed(self) -> int:
        """Of the starting point."""
        return self.factor.seed

    @seed.setter
    def seed(self, value: int) -> None:
        self.factor.seed = value

    # --- parameters ---------------------------------------------------------------------------

    def unpack(self, w: Any) -> Beliefs:
        """The parts of ``w``."""
        parts = [w[s] for s in self._slices]
        rows, cols = self.factor.shapes.values()
        shapes = (rows, rows, cols, cols)
        matrices = [self.xp.reshape(a, s) for a, s in zip(parts[:4], shapes, strict=True)]
        return Beliefs(*matrices, *parts[4:])

    def start(self) -> Any:
        """Means from leading singular vectors, no variance, noise and priors that fit these."""
        return self._from_factors(self.factor.start())

    def random_start(self) -> Any:
        """Means from random columns."""
        return self._from_factors(self.factor.random_start())

    def from_cols(self, Q: Any) -> Any:
        """Means from these columns."""
        return self._from_factors(self.factor.from_cols(Q))

    def _from_factors(self, w: Any) -> Any:
        xp = self.xp
        P, Q = self.factor.unpack(w)
        flat = [P, xp.zeros_like(P), Q, xp.zeros_like(Q)]
        ends = [xp.ones_like(w[:1])]
        for width in (P.shape[1], Q.shape[1]):
            priors = self._sizes.first_priors(self.factor.k, width)
            ends.append(xp.asarray(priors, dtype=self.dtype, device=self.device))
        ends += [xp.zeros_like(a) for a in ends[1:]]
        if self.row_noise:
            ends += [xp.ones_like(self.row_copies), xp.full_like(w[:1], row_noise.FIRST)]
        whole = xp.concat([*(xp.reshape(a, (-1,)) for a in flat), *ends])
        obs, E = self.observed, self.factor.residual(w)
        square, left = (obs.dot(a, a) / obs.total for a in (obs.values, E))
        whole[self._slices[4]] = 1 / first_noise(xp, square, left, self._sizes.noise)
        return whole

    def rows_given(
        self, Q: Any, T: Any, tau: Any, gamma: Any, mu: Any, eta: Any = None, lam: Any = None
    ) -> tuple[Any, ...]:
        """Means and variances of the rows for these columns; factors, variances of the left ones.

        With ``lam`` rows have these precisions; with ``eta`` each has the noise that it shows
        beside a first solution, and a second one. The arrays
        ``(P, S, left, right, left variances)``.
        """
        xp, f = self.xp, self.factor
        P = xp.zeros(f.shapes["rows"], dtype=self.dtype, device=self.device)
        b = Beliefs(P, P, Q, T, xp.reshape(tau, (1,)), gamma, Q[0, :], mu, Q[0, :], lam)
        P, S = self._means(b, "rows")
        if eta is not None:
            errors = self._row_errors(replace(b, P=P, S=S))
            sizes = self.row_copies, self.observed.row_weight
            lam = row_noise.fitted(xp, *sizes, errors, b.tau, eta)
            P, S = self._means(replace(b, lam=lam), "rows")
        values = f._left(P, 1.0), f._right(Q, 1.0)
        return P, S, *values, f._left(S, 0.0)

    @property
    def column_shape(self) -> tuple[int, int]:
        """Shape of the columns' parameters."""
        return self.factor.shapes["cols"]

    def columns_of(self, w: Any) -> Any:
        """The means of the columns' parameters."""
        return self.unpack(w).Q

    def fitted(self, w: Any, draws: list[Any] | None) -> tuple[dict[str, Any], float]:
        """What `Columns` needs of an answer, and the penalty per entry."""
        xp, b, seen = self.xp, self.unpack(w), self.col_copies > 0
        penalty, b = self.penalty_per_entry(b), self._expected(b)
        Q, T = settled(b, seen)
        b = replace(b, Q=Q, T=T)
        copied = {name: xp.asarray(getattr(b, part), copy=True) for name, part in KEPT.items()}
        if self.row_noise:
            copied["eta"] = xp.asarray(b.eta, copy=True)
        stacked = None
        if draws is not None:
            parts = [self._expected(self.unpack(d)) for d in draws]
            if not bool(xp.all(seen)):
                parts = [replace(p, Q=settled(p, seen)[0]) for p in parts]
            names = ("Q", "tau", "gamma", "mu", *(("eta",) if self.row_noise else ()))
            stacked = tuple(xp.stack([getattr(p, f) for p in parts]) for f in names)
        return {**copied, "draws": stacked}, penalty

    def entry_draws(self, draws: list[Any] | None, P: Any, S: Any, columns: Any) -> Draws:
        """What predicts entries with uncertainty; ``P`` and ``S`` are the final rows."""
        parts = None if draws is None else [self._expected(self.unpack(d)) for d in draws]
        return Draws.of(parts, P, S, columns)

    def _expected(self, b: Beliefs) -> Beliefs:
        """With means of the priors as they are for what has not been seen."""
        counts = (self.xp.sum(copies) for copies in (self.row_copies, self.col_copies))
        mu, nu = map(priors.of_the_unseen, (b.mu, b.nu), counts)
        return replace(b, mu=mu, nu=nu)

    def penalty_per_entry(self, b: Beliefs) -> float:
        """The strength of a ridge on the factors that weighs as much as the priors."""
        xp, k = self.xp, self.factor.k
        m, n = (to_float(xp.sum(a)) for a in (self.row_copies, self.col_copies))
        total = to_float(self.observed.total)
        return priors.strength(xp, b, k, self._sizes.power, m, n, total)

    # --- the free energy ----------------------------------------------------------------------

    def _square_error(self, b: Beliefs) -> Any:
        """``sum of weights * E (x - model)^2``."""
        if b.lam is not None:
            return self.xp.sum(b.lam * self._row_errors(b))
        f, obs = self.factor, self.observed
        L, R = f._left(b.P, 1.0), f._right(b.Q, 1.0)
        E = obs.products(L, R) - obs.values
        return obs.dot(E, E) + self.xp.sum(self._spread(b, L, R))

    def _row_errors(self, b: Beliefs) -> Any:
        """The same by rows, whose noise does not count here."""
        f, obs, xp = self.factor, self.observed, self.xp
        L, R = f._left(b.P, 1.0), f._right(b.Q, 1.0)
        E = obs.products(L, R) - obs.values
        return obs.matrix(E * E) @ xp.ones_like(obs.col_weight) + self._spread(b, L, R)

    def _spread(self, b: Beliefs, L: Any, R: Any) -> Any:
        """The part of the variances by rows: each product of independent factors has one."""
        f, xp, W = self.factor, self.xp, self.observed.pattern
        if b.S is None:
            return xp.zeros_like(self.row_copies)
        left, right = f._left(b.S, 0.0), f._right(b.T, 0.0)
        return xp.sum(L * L * (W @ right) + left * (W @ (R * R + right)), axis=1)

    def value(self, w: Any) -> Any:
        xp, b, total = self.xp, self.unpack(w), self.observed.total
        half = 0.5 * b.tau[0] * self._square_error(b)
        noise = -0.5 * total * xp.log(b.tau[0] / (2 * math.pi))
        rows = priors.divergence(xp, self.row_copies, b.P, b.S, b.gamma, b.mu)
        cols = priors.divergence(xp, self.col_copies, b.Q, b.T, b.delta, b.nu)
        own: Any = 0.0
        if b.lam is not None:
            sizes = self.row_copies, self.observed.row_weight
            own = row_noise.divergence(*sizes, b.lam, to_float(b.eta[0]))
        return (half + noise + rows + cols + own) / total

    # --- oracles ------------------------------------------------------------------------------

    @offers(Oracle.POSTERIOR)
    def posterior_step(self, w: Any, block: str) -> None:
        """Minimise the free energy over ``"rows"``, ``"cols"`` or ``"scales"``, in place.

        Or over the rows' precisions in ``"noise"``, whose degrees of freedom stay.
        """
        known = self._ahead.step(w, block)
        if known is not None:
            w[self.blocks[block]] = known
            return
        b = self.unpack(w)
        if block in ("scales", "noise"):
            w[self.blocks[block]] = self._scales(b) if block == "scales" else self._noise(b)
            return
        mean, variance = self._means(b, block)
        flat = (self.xp.reshape(mean, (-1,)), self.xp.reshape(variance, (-1,)))
        w[self.blocks[block]] = self.xp.concat(flat)

    @offers(Oracle.CONDITIONAL_DRAW)
    def draw(self, w: Any, block: str, rng: Any) -> None:
        """Draw a block from its distribution given the others, in place; variances become zero."""
        b, xp = replace(self.unpack(w), S=None, T=None), self.xp
        if self._sizes.square == 0:  # zeros are completed by zeros: there is nothing to draw
            self.posterior_step(w, block)
            return
        if block in ("scales", "noise"):
            drawn = self._scales if block == "scales" else self._noise
            w[self.blocks[block]] = drawn(b, rng)
            return
        values = xp.reshape(self._means(b, block, rng)[0], (-1,))
        w[self.blocks[block]] = xp.concat([values, xp.zeros_like(values)])

    def _means(self, b: Beliefs, block: str, rng: Any = None) -> tuple[Any, Any]:
        """Means and variances of the rows or columns; with ``rng`` a joint draw, and None.

        A draw is the solution for disturbed data: noise on the targets and on the prior means has
        exactly the covariance that the system needs (G. Papandreou, A. Yuille, NIPS 2010).
        """
        f, obs, xp = self.factor, self.observed, self.xp
        L, R = f._left(b.P, 1.0), f._right(b.Q, 1.0)
        rows, tau, steady = block == "rows", b.tau, None
        if b.lam is not None:
            steady = obs.products(b.lam[:, None], xp.ones_like(R[:, :1]))
            tau = tau * b.lam if rows else tau
        fixed = slice(f.kp, L.shape[1]) if rows else slice(f.k, f.kp)
        target = obs.values - obs.products(L[:, fixed], R[:, fixed])
        if rng is not None:
            present = xp.where(obs.weights > 0, obs.weights, xp.ones_like(obs.weights))
            present = present if steady is None else present * steady
            target = target + self._normal(rng, target.shape) / xp.sqrt(present * b.tau)
        if rows:
            W, T, F = obs.pattern, obs.matrix(target), f.of_rows(R)
            copies, prior, level = self.row_copies, b.gamma, b.mu
        else:
            W, F = obs.pattern_t, f.of_cols(L)
            copies, prior, level = self.col_copies, b.delta, b.nu
            if steady is not None:
                W, target = obs.matrix_t(steady), steady * target
            T = obs.matrix_t(target)
        tau = tau[:, None]
        own = copies[:, None] * prior / tau
        ridge, extra, known = own, own * level, copies[:, None] > 0
        if rng is not None:
            extra = extra + self._normal(rng, own.shape) * xp.sqrt(own / tau)
        else:
            G = f.of_rows(f._right(b.T, 0.0)) if rows else f.of_cols(f._left(b.S, 0.0))
            ridge = W @ G + own
        mean = self.kernels.ridge_rows(W, T, F, ridge, extra, obs.n_threads)
        mean = xp.where(known, mean, level)
        if rng is not None:
            return mean, None
        precision = xp.where(known, tau * (W @ (F * F) + ridge), prior)
        count = xp.where(known, copies[:, None], xp.ones_like(prior))
        return mean, count / precision

    def _normal(self, rng: Any, shape: tuple[int, ...]) -> Any:
        return self.xp.asarray(rng.standard_normal(shape), dtype=self.dtype, device=self.device)

    def _scales(self, b: Beliefs, rng: Any = None) -> Any:
        """Precisions of the noise and of the priors, and the priors' means; with ``rng`` draws.

        Those of the noise are under the improper prior ``1/tau``.
        """
        xp, total = self.xp, self.observed.total
        noise = xp.clip(self._square_error(b) / total, self._sizes.noise, None)
        tau = xp.reshape(1 / noise, (1,))
        if rng is not None:
            half = 0.5 * to_float(total)
            tau = tau * (float(rng.gamma(half)) / half)
        precisions, means = [], []
        sides = (self.row_copies, b.P, b.S), (self.col_copies, b.Q, b.T)
        for copies, values, variances in sides:
            least = self._sizes.least_powers(self.factor.k, values.shape[1])
            least = xp.asarray(least, dtype=self.dtype, device=self.device)
            found = priors.fitted(xp, copies, values, variances, least, self.levels)
            if rng is not None:
                found = priors.drawn(self, copies, *found, rng)
            precisions.append(found[0])
            means.append(found[1] if self.levels else xp.zeros_like(found[1]))
        return xp.concat([tau, *precisions, *means])

    def _noise(self, b: Beliefs, rng: Any = None) -> Any:
        """Precisions of the rows' noise and their degrees of freedom; with ``rng`` draws."""
        sizes = self.row_copies, self.observed.row_weight
        lam = row_noise.fitted(self.xp, *sizes, self._row_errors(b), b.tau, b.eta)
        if rng is None:
            return self.xp.concat([lam, b.eta])
        return self.xp.concat(row_noise.drawn(self, lam, b.eta, rng))

    # --- certificate --------------------------------------------------------------------------

    def certificate(self, w: Any) -> Certificate:
        """What one more turn over all blocks gains: nats of evidence per entry.

        Where a small component grows by a twentieth or more in that turn, its growth counts if it
        is the larger: its gain is ahead, however little it gains yet (`ahead`).
        """
        value = to_float(self.value(w))
        after = self.xp.asarray(w, copy=True)
        for block in reversed(list(self.blocks)):
            self.posterior_step(after, block)
        self._ahead.remember(w, after)
        gain = max(0.0, value - to_float(self.value(after)))
        powers = [self._powers(self.unpack(a)) for a in (w, after)]
        return Certificate("evidence of a further turn", ahead(self.xp, gain, *powers), value)

    def _powers(self, b: Beliefs) -> Any:
        """Squares of each component's size."""
        xp, k = self.xp, self.factor.k
        sides = (self.row_copies, b.P), (self.col_copies, b.Q)
        rows, cols = (xp.sum(copies[:, None] * A[:, :k] ** 2, axis=0) for copies, A in sides)
        return rows * cols
