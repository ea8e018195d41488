r"""Low-rank factorisation of a partly observed matrix, with biases.

.. math::

    F(P, Q) = \frac{1}{\sum\omega} \sum_{(i,j)\in\Omega} \omega_{ij} \Big[
        \tfrac12 \big(u_i'v_j + a_i + c_j - x_{ij}\big)^2
        + \tfrac\alpha2 \big(|u_i|^2 + a_i^2 + |v_j|^2 + c_j^2\big) \Big]

a mean over observed entries, the penalty included: a row with many entries is penalised as often as
it is seen (the weighted trace norm), and alpha has one scale whatever the number of entries.

Letters: ``P = [U | a]`` of shape (m, kp) and ``Q = [V | c]`` of shape (n, kq) are the parameters,
where a and c are there only if those biases are. With columns of ones, ``L = [U | a | 1]`` and
``R = [V | 1 | c]``, the model is the one product ``L R'``: biases need no formulas of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from skopt_dl.engine import Certificate, Oracle, Point, Problem, Trait, offers
from skopt_dl.kernels.namespace import to_float
from skopt_dl.matrix_completion.balance import balanced
from skopt_dl.matrix_completion.nonnegative import nonnegative_rows
from skopt_dl.matrix_completion.nuclear import duality_gap, shrunk
from skopt_dl.matrix_completion.observed import ObservedMatrix
from skopt_dl.matrix_completion.schur import ReducedSystem
from skopt_dl.matrix_completion.tangent import TangentSpace, leading_triplets

# Subspace iterations of the spectral start: it only has to point the right way.
START_ITERATIONS = 3
# Components that the start does not see get this share of the largest: at zero they are a saddle.
START_FLOOR = 0.05


def _why_no_bounds(problem: Any) -> str | None:
    return None if problem.positive else "the factors have none (positive=True has)"


def _why_not_smooth(problem: Any) -> str | None:
    return "the factors have bounds (positive=False has none)" if problem.positive else None


def _why_no_spectral_prox(problem: Any) -> str | None:
    return None if problem.nuclear else "the penalty is not the nuclear norm (penalty='nuclear' is)"


def _why_no_tangent(problem: Any) -> str | None:
    """Methods on the set of matrices of rank k know the matrix alone, not its factors."""
    if problem.positive:
        return _why_not_smooth(problem)
    if problem.alpha > 0:
        return "the penalty on the factors has none (alpha=0 has)"
    if problem.row_bias or problem.col_bias:
        return "biases have none (fit_bias=False has)"
    if not problem.observed.uniform:
        return "entries of different weights have none"
    return None


def _means(xp: Any, sums: Any, weights: Any) -> Any:
    return xp.where(weights > 0, sums / xp.where(weights > 0, weights, 1.0), xp.zeros_like(sums))


class FactorProblem(Problem):
    """The factors of a partly observed matrix.

    Parameters
    ----------
    observed : ObservedMatrix
        The entries, already centred if the model has a constant.
    n_components : int
        Rank k of ``U V'``.
    alpha : float
        Strength of the penalty, per observed entry.
    row_bias, col_bias : bool
        Whether rows and columns have biases (penalised as the factors are).
    constants : tuple of float, optional
        Weight of the penalty of each row and of each column, instead of the sums of their
        entries' weights. With ``(total / m, total / n)`` the least penalty of all factors of a
        matrix Z is its nuclear norm, ``alpha |Z|_* / sqrt(m n)``, and the certificate is
        a duality gap of that convex problem.
    positive : bool
        Whether all parameters are at least zero.
    seed : int
        Of the starting point.
    description : str
        Names estimator and data in messages.
    """

    def __init__(
        self,
        observed: ObservedMatrix,
        n_components: int,
        alpha: float,
        *,
        row_bias: bool = False,
        col_bias: bool = False,
        constants: tuple[float, float] | None = None,
        positive: bool = False,
        seed: int = 0,
        description: str = "this matrix completion",
    ) -> None:
        super().__init__()
        self.observed, self.alpha, self.seed = observed, alpha, seed
        self.xp, self.kernels = observed.xp, observed.kernels
        self.dtype, self.device = observed.dtype, observed.device
        self.description = description
        self.n_samples = observed.n_entries
        self.row_bias, self.col_bias = row_bias, col_bias
        m, n = observed.shape
        self.k, self.kp, self.kq = (
            n_components,
            n_components + row_bias,
            n_components + col_bias,
        )
        self.size = m * self.kp + n * self.kq
        self.blocks = {"rows": slice(0, m * self.kp), "cols": slice(m * self.kp, self.size)}
        self.shapes = {"rows": (m, self.kp), "cols": (n, self.kq)}
        # Methods for matrices turn them, and smooth ones leave the bounds.
        self.traits = frozenset({Trait.FINITE_SUM})
        if not positive:
            self.traits |= {Trait.SMOOTH, Trait.MATRICES}
        # What the half squares of each row's and each column's parameters count in the penalty.
        self.row_penalty, self.col_penalty = observed.row_weight, observed.col_weight
        self.nuclear, self.positive = constants is not None, positive
        if constants is not None:
            zero = self.xp.zeros_like(self.row_penalty), self.xp.zeros_like(self.col_penalty)
            self.row_penalty = self.xp.where(self.row_penalty > 0, zero[0] + constants[0], zero[0])
            self.col_penalty = self.xp.where(self.col_penalty > 0, zero[1] + constants[1], zero[1])
        self._null: float | None = None

    @property
    def column_shape(self) -> tuple[int, int]:
        """Shape of the columns' parameters."""
        return self.shapes["cols"]

    def columns_of(self, w: Any) -> Any:
        """The columns' parameters."""
        return self.unpack(w)[1]

    # --- parameters ---------------------------------------------------------------------------

    def unpack(self, w: Any) -> tuple[Any, Any]:
        """``(P, Q)`` as matrices."""
        (m, n), reshape = self.observed.shape, self.xp.reshape
        return (
            reshape(w[self.blocks["rows"]], (m, self.kp)),
            reshape(w[self.blocks["cols"]], (n, self.kq)),
        )

    def pack(self, P: Any, Q: Any) -> Any:
        """The flat parameters of two matrices."""
        xp = self.xp
        return xp.concat([xp.reshape(P, (-1,)), xp.reshape(Q, (-1,))])

    def _augmented(self, w: Any, constant: float) -> tuple[Any, Any]:
        """``L`` and ``R``; ``constant`` is 1 at a point and 0 for a direction."""
        P, Q = self.unpack(w)
        return self._left(P, constant), self._right(Q, constant)

    def factors(self, w: Any) -> tuple[Any, Any]:
        """``(L, R)``, columns of ones included: the model is ``L R'``."""
        return self._augmented(w, 1.0)

    def _column(self, rows: int, constant: float) -> Any:
        return self.xp.full((rows, 1), constant, dtype=self.dtype, device=self.device)

    def _left(self, P: Any, constant: float) -> Any:
        if not self.col_bias:
            return P
        return self.xp.concat([P, self._column(P.shape[0], constant)], axis=1)

    def _right(self, Q: Any, constant: float) -> Any:
        if not self.row_bias:
            return Q
        one = self._column(Q.shape[0], constant)
        return self.xp.concat([Q[:, : self.k], one, Q[:, self.k :]], axis=1)

    def of_rows(self, A: Any) -> Any:
        """The columns of ``A`` that belong to P."""
        return A[:, : self.kp]

    def of_cols(self, A: Any) -> Any:
        """The columns of ``A`` that belong to Q: all but that of the row biases."""
        if not self.row_bias:
            return A
        return self.xp.concat([A[:, : self.k], A[:, self.kp :]], axis=1)

    def start(self) -> Any:
        """Q from the leading right singular vectors of the zero-filled matrix, then the best P.

        A few subspace iterations from random vectors, scaled so that both factors carry equal
        parts of the root mean square of the entries. Only sums over rows with their weights enter:
        a row of weight two starts as that row given twice.
        """
        xp, obs = self.xp, self.observed
        # What biases explain is no component's to explain: a factor in a bias's place stays there.
        a, c = self._first_biases()
        left = obs.values - self._additive(a, c)
        plain = obs.matrix(left / xp.where(obs.weights > 0, obs.weights, 1.0))
        weighted = obs.matrix_t(left)
        V = self._random(obs.shape[1])
        for _ in range(START_ITERATIONS):
            V = xp.linalg.qr(weighted @ (plain @ V)).Q
        # Rayleigh-Ritz: the directions in order of their size.
        size, turn = xp.linalg.eigh(V.T @ (weighted @ (plain @ V)))
        size = xp.sqrt(xp.clip(size, 0.0, None))
        norm = xp.linalg.vector_norm(size)
        share = xp.where(norm > 0, size / xp.where(norm > 0, norm, 1.0), xp.ones_like(size))
        share = xp.clip(share, START_FLOOR * to_float(xp.max(share)), None)
        return self._from_cols(V @ turn * xp.sqrt(share * obs.shape[1]), c)

    def random_start(self) -> Any:
        """Q random of the same size, then the best P."""
        return self._from_cols(
            self._random(self.observed.shape[1]) / self.k**0.5, self._first_biases()[1]
        )

    def _first_biases(self) -> tuple[Any, Any]:
        """Row and column biases alone, by a few turns of means; zeros where they are not fitted."""
        xp, obs = self.xp, self.observed
        a, c = xp.zeros_like(obs.row_weight), xp.zeros_like(obs.col_weight)
        for _ in range(START_ITERATIONS):
            if self.col_bias:
                E = obs.matrix_t(obs.values - self._additive(a, xp.zeros_like(c)))
                c = _means(xp, E @ xp.ones_like(a), obs.col_weight)
            if self.row_bias:
                E = obs.matrix(obs.values - self._additive(xp.zeros_like(a), c))
                a = _means(xp, E @ xp.ones_like(c), obs.row_weight)
        return a, c

    def _additive(self, a: Any, c: Any) -> Any:
        """Entry values of ``a_i + c_j``."""
        xp, stack = self.xp, self.xp.stack
        one = xp.ones_like
        return self.observed.products(stack([a, one(a)], axis=1), stack([one(c), c], axis=1))

    def _random(self, n: int) -> Any:
        """A seeded Gaussian array of shape ``(n, k)``; drawn on the host, equal on every device."""
        host = np.random.default_rng(self.seed).standard_normal((n, self.k))
        return self.xp.asarray(host, dtype=self.dtype, device=self.device)

    def _from_cols(self, V: Any, c: Any) -> Any:
        """Start from ``V``, in units of the square root of the values' size."""
        xp, obs = self.xp, self.observed
        size = xp.sqrt(obs.dot(obs.values, obs.values) / obs.total)
        seen = xp.astype(obs.col_weight > 0, self.dtype)[:, None]
        V = xp.abs(V) if self.positive else V
        Q = V * xp.sqrt(size) * seen
        if self.col_bias:
            Q = xp.concat([Q, c[:, None]], axis=1)
        return self.from_cols(Q)

    def from_cols(self, Q: Any) -> Any:
        """The flat parameters with these ``Q`` and the best P for them."""
        P = self.xp.zeros((self.observed.shape[0], self.kp), dtype=self.dtype, device=self.device)
        w = self.pack(P, Q)
        self._solve_block(w, "rows")
        return w

    # --- values -------------------------------------------------------------------------------

    def residual(self, w: Any) -> Any:
        """Entry values of the model minus the data."""
        return self.observed.products(*self._augmented(w, 1.0)) - self.observed.values

    def _shares(self) -> Any:
        """The share of the penalty that each parameter's row or column has."""
        xp, obs = self.xp, self.observed
        parts = [xp.repeat(self.row_penalty, self.kp), xp.repeat(self.col_penalty, self.kq)]
        return xp.concat(parts) / obs.total

    def _penalty_weights(self) -> Any:
        """What the half square of each parameter counts in the penalty."""
        return self.alpha * self._shares()

    def _value(self, w: Any, E: Any) -> Any:
        half = 0.5 * self.observed.dot(E, E) / self.observed.total
        return half + 0.5 * self.xp.sum(self._penalty_weights() * w * w)

    def value(self, w: Any) -> Any:
        return self._value(w, self.residual(w))

    def _chain(self, E: Any, L: Any, R: Any) -> Any:
        """``(E R, E' L) / total`` on the parameters, for entry values ``E``."""
        obs = self.observed
        rows = self.of_rows(obs.matrix(E) @ R)
        cols = self.of_cols(obs.matrix_t(E) @ L)
        return self.pack(rows, cols) / obs.total

    def _point(self, w: Any, E: Any) -> Point:
        grad = self._chain(E, *self._augmented(w, 1.0)) + self._penalty_weights() * w
        return Point(w, self._value(w, E), grad, E)

    # --- oracles ------------------------------------------------------------------------------

    @offers(Oracle.GRAD, lacks=_why_not_smooth)
    def point(self, w: Any) -> Point:
        """Value and gradient; the cache is the residual."""
        return self._point(w, self.residual(w))

    def along(self, point: Point, d: Any) -> QuarticLine:
        """The objective along ``point.w + t d``: a quartic, its coefficients computed once."""
        return QuarticLine(self, point, d)

    @offers(Oracle.HVP, lacks=_why_not_smooth)
    def hvp(self, point: Point) -> Callable[[Any], Any]:
        """A function ``d -> H d`` with the exact Hessian (indefinite away from a minimum)."""
        L, R = self._augmented(point.w, 1.0)
        diagonal = self._penalty_weights()

        def product(d: Any) -> Any:
            dL, dR = self._augmented(d, 0.0)
            obs = self.observed
            change = obs.products(dL, R) + obs.products(L, dR)
            curved = self._chain(change, L, R) + self._chain(point.cache, dL, dR)
            return curved + diagonal * d

        return product

    @offers(Oracle.GGN)
    def ggn(self, point: Point) -> Callable[[Any], Any]:
        """The same without the bending of the model ``L R'``: positive semi-definite."""
        L, R = self._augmented(point.w, 1.0)
        diagonal = self._penalty_weights()

        def product(d: Any) -> Any:
            dL, dR = self._augmented(d, 0.0)
            obs = self.observed
            return self._chain(obs.products(dL, R) + obs.products(L, dR), L, R) + diagonal * d

        return product

    @offers(Oracle.REDUCED_SYSTEM, lacks=_why_not_smooth)
    def reduced_system(self, point: Point) -> ReducedSystem:
        """The Gauss-Newton system of the rows, the columns (at their minimum) eliminated."""
        return ReducedSystem(self, point)

    @offers(Oracle.TANGENT, lacks=_why_no_tangent)
    def tangent(self, U: Any, V: Any) -> TangentSpace:
        """The tangent space of the matrices of rank k at ``U S V'``."""
        return TangentSpace(self.observed, U, V)

    @property
    def targets(self) -> Any:
        """The entry values that a matrix has to fit."""
        return self.observed.values

    def leading_triplets(self, T: TangentSpace | None, t: Any, E: Any, V: Any, turns: int) -> Any:
        """Leading singular triplets of a tangent vector plus the entry values ``E``."""
        if T is None:
            none = (self.observed.shape[0], 0), (self.observed.shape[1], 0)
            left, right = (self.xp.zeros(s, dtype=self.dtype, device=self.device) for s in none)
        else:
            left, right = T.factors(t)
        E = self.targets if E is None else E
        return leading_triplets(self.observed, left, right, E, V, turns)

    def from_triplets(self, U: Any, s: Any, V: Any) -> Any:
        """The flat parameters with ``P Q' = U diag(s) V'`` in equal parts."""
        root = self.xp.sqrt(s)
        return self.pack(U * root, V * root)

    @offers(Oracle.SPECTRAL_PROX, lacks=_why_no_spectral_prox)
    def spectral_prox(self, before: Any, w: Any, beta: float, V: Any, turns: int) -> Any:
        """A proximal gradient step of the nuclear norm from ``Z + beta (Z - Z before)``."""
        return shrunk(self, before, w, beta, V, turns)

    @offers(Oracle.SAMPLE_GRAD, lacks=_why_not_smooth)
    def sample_grad(self, w: Any, index: Any) -> tuple[Any, Any]:
        """Value and gradient of the mean over the entries ``index``, unbiased for the objective."""
        return self._batch(w, index)

    @offers(Oracle.SAMPLE_VALUE, lacks=_why_not_smooth)
    def sample_value(self, w: Any, index: Any) -> Any:
        """The value that `sample_grad` has the gradient of; it costs one."""
        return self._batch(w, index)[0]

    def _batch(self, w: Any, index: Any) -> tuple[Any, Any]:
        xp, obs = self.xp, self.observed
        rows, cols, x, weights = obs.entries(index)
        weights = weights * (obs.n_entries / (obs.total * index.shape[0]))
        L, R = self._augmented(w, 1.0)
        P, Q = self.unpack(w)
        left, right = xp.take(L, rows, axis=0), xp.take(R, cols, axis=0)
        p, q = xp.take(P, rows, axis=0), xp.take(Q, cols, axis=0)
        e = xp.sum(left * right, axis=1) - x
        squares = xp.sum(p * p, axis=1) + xp.sum(q * q, axis=1)
        value = 0.5 * xp.sum(weights * (e * e + self.alpha * squares))
        e, weights = e[:, None], weights[:, None]
        to_rows = weights * (e * self.of_rows(right) + self.alpha * p)
        to_cols = weights * (e * self.of_cols(left) + self.alpha * q)
        add = self.kernels.segment_sum
        return value, self.pack(add(to_rows, rows, obs.shape[0]), add(to_cols, cols, obs.shape[1]))

    @offers(Oracle.BLOCK_SOLVE)
    def block_solve(self, w: Any, block: str) -> None:
        """Minimise over ``"rows"`` (all of P) or ``"cols"`` (all of Q) exactly, in place."""
        self._solve_block(w, block)

    def _solve_block(self, w: Any, block: str) -> None:
        """One ridge regression a row (or column), on the other side's factors."""
        xp, obs = self.xp, self.observed
        L, R = self._augmented(w, 1.0)
        ones = xp.ones_like(obs.values)
        # The bias of the other side is no unknown here: it moves into the targets.
        if block == "rows":
            target = obs.values - obs.products(L[:, self.kp :], R[:, self.kp :])
            matrix, F, weight = obs.matrix, self.of_rows(R), self.row_penalty
        else:
            fixed = slice(self.k, self.kp)
            target = obs.values - obs.products(L[:, fixed], R[:, fixed])
            matrix, F, weight = obs.matrix_t, self.of_cols(L), self.col_penalty
        W, T, ridge = matrix(ones), matrix(target), self.alpha * weight
        if self.positive:
            before = xp.reshape(w[self.blocks[block]], self.shapes[block])
            solved = nonnegative_rows(self.kernels.gram_rows(W, F), T @ F, ridge, before)
        else:
            solved = self.kernels.ridge_rows(W, T, F, ridge, n_threads=obs.n_threads)
        w[self.blocks[block]] = xp.reshape(solved, (-1,))

    def balance(self, w: Any) -> None:
        """Move ``w``, in place, towards the least penalty among all points with the same model.

        Only the small penalty tells equivalent factors apart, so alternating steps feel it slowly;
        here each family of equivalent points gives its best one in closed form.
        """
        w[...] = self.pack(*balanced(self, *self.unpack(w)))

    def ordered(self, w: Any) -> Any:
        """Equivalent parameters with orthogonal components in decreasing order; P is the best."""
        return self.from_cols(balanced(self, *self.unpack(w), ordered=True)[1])

    # --- certificate --------------------------------------------------------------------------

    @offers(Oracle.LOWER_BOUNDS, lacks=_why_no_bounds)
    def bounded_point(self, w: Any) -> Point:
        """Value and gradient, for methods that respect `lower_bounds`."""
        return self._point(w, self.residual(w))

    def lower_bounds(self) -> Any:
        """Zero for every parameter."""
        return self.xp.zeros(self.size, dtype=self.dtype, device=self.device)

    def certificate(self, w: Any) -> Certificate:
        r"""Stationarity ``|gradient|* |w| / F0``, with F0 the objective of all-zero factors.

        In the norm where each row and column counts by its share of the weights,
        :math:`|w|^2 = \sum_i \rho_i |p_i|^2 + \sum_j \kappa_j |q_j|^2`, and its dual. A pure
        number, the same if a row is given twice: the relative first-order decrease that a step as
        long as ``w`` itself could promise. The problem is not convex, so no gap to a global
        minimum is known, but for the nuclear norm: there it is the duality gap over F0.
        """
        xp, obs = self.xp, self.observed
        if self._null is None:
            self._null = 0.5 * to_float(obs.dot(obs.values, obs.values) / obs.total)
        unit = self._null if self._null > 0 else 1.0
        if self.nuclear:
            objective, gap = duality_gap(self, *self.unpack(w))
            return Certificate("duality gap", gap / unit, objective, gap)
        point, shares = self._point(w, self.residual(w)), self._shares()
        if self.positive:
            # A gradient that only pushes against the bound is no way down.
            held = (w <= 0) & (point.grad > 0)
            point.grad = xp.where(held, xp.zeros_like(w), point.grad)
        grad = point.grad / xp.sqrt(xp.where(shares > 0, shares, xp.ones_like(shares)))
        norm = xp.linalg.vector_norm
        slope = to_float(norm(grad)) * to_float(norm(xp.sqrt(shares) * w))
        return Certificate("stationarity", slope / unit, to_float(point.value))


class QuarticLine:
    """``phi(t) = F(w + t d)``: the residual is ``E0 + t E1 + t^2 E2``, so phi is a quartic.

    A trial costs nothing but the polynomial.
    """

    def __init__(self, problem: FactorProblem, point: Point, d: Any) -> None:
        self.problem, self.point, self.d = problem, point, d
        obs, (L, R) = problem.observed, problem._augmented(point.w, 1.0)
        dL, dR = problem._augmented(d, 0.0)
        E0 = point.cache
        E1 = obs.products(dL, R) + obs.products(L, dR)
        E2 = obs.products(dL, dR)
        self._changes = (E1, E2)
        penalty = problem._penalty_weights() * d
        half = 0.5 / obs.total
        sum_ = problem.xp.sum
        self.coefficients = [
            to_float(point.value),
            to_float(2 * half * obs.dot(E0, E1) + sum_(penalty * point.w)),
            to_float(half * (obs.dot(E1, E1) + 2 * obs.dot(E0, E2)) + 0.5 * sum_(penalty * d)),
            to_float(2 * half * obs.dot(E1, E2)),
            to_float(half * obs.dot(E2, E2)),
        ]

    def __call__(self, t: float) -> tuple[float, float]:
        value = slope = 0.0
        for c in reversed(self.coefficients):
            slope = slope * t + value
            value = value * t + c
        return value, slope

    def accept(self, t: float) -> Point:
        """The point at ``t``; two products, for its gradient."""
        E1, E2 = self._changes
        E = self.point.cache + t * E1 + (t * t) * E2
        return self.problem._point(self.point.w + t * self.d, E)
