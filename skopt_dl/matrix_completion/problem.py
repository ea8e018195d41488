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

from skopt_dl.engine import Certificate, Oracle, Point, Problem, Trait, offers
from skopt_dl.kernels.namespace import to_float
from skopt_dl.matrix_completion.balance import balanced
from skopt_dl.matrix_completion.by_entries import ByEntries
from skopt_dl.matrix_completion.coordinates import FactorCoordinates
from skopt_dl.matrix_completion.grams import gram_scaled, majorised_solve
from skopt_dl.matrix_completion.line import FactorLine
from skopt_dl.matrix_completion.nuclear import shrunk, shrunk_sum, strength
from skopt_dl.matrix_completion.observed import ObservedMatrix
from skopt_dl.matrix_completion.products import gauss_newton_product, hessian_product
from skopt_dl.matrix_completion.reasons import (
    why_no_bounds,
    why_no_coordinates,
    why_no_spectral_prox,
    why_no_tangent,
    why_not_curved,
    why_not_smooth,
    why_not_squared,
)
from skopt_dl.matrix_completion.robust import RobustLoss, settle_rows
from skopt_dl.matrix_completion.schur import ReducedSystem
from skopt_dl.matrix_completion.starts import random_start, spectral_start
from skopt_dl.matrix_completion.stationarity import certificate_of
from skopt_dl.matrix_completion.tangent import TangentSpace, leading_triplets
from skopt_dl.problems.formed import formed_hessian, too_many_columns


def _why_no_matrix(problem: FactorProblem) -> str | None:
    return why_not_curved(problem) or too_many_columns(problem)


class FactorProblem(ByEntries, Problem):
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
    robust : RobustLoss, optional
        Loss of the residuals in the place of half their squares.
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
        robust: RobustLoss | None = None,
        seed: int = 0,
        description: str = "this matrix completion",
    ) -> None:
        super().__init__()
        self.observed, self.alpha, self.seed = observed, alpha, seed
        self.xp, self.kernels = observed.xp, observed.kernels
        self.dtype, self.device = observed.dtype, observed.device
        self.description = description
        self.n_samples = observed.n_entries
        self.row_bias, self.col_bias, self.robust = row_bias, col_bias, robust
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

    def factors(self, w: Any) -> tuple[Any, Any]:
        """``(L, R)``, columns of ones included: the model is ``L R'``."""
        P, Q = self.unpack(w)
        return self._left(P, 1.0), self._right(Q, 1.0)

    def changes(self, d: Any) -> tuple[Any, Any]:
        """How ``(L, R)`` change along ``d``: zeros where they have ones."""
        P, Q = self.unpack(d)
        return self._left(P, 0.0), self._right(Q, 0.0)

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
        """Q from the leading right singular vectors of the zero-filled matrix, then the best P."""
        return spectral_start(self)

    def random_start(self) -> Any:
        """Q random of the same size, then the best P."""
        return random_start(self)

    def from_cols(self, Q: Any) -> Any:
        """The flat parameters with these ``Q`` and the best P for them."""
        P = self.xp.zeros((self.observed.shape[0], self.kp), dtype=self.dtype, device=self.device)
        w = self.pack(P, Q)
        if self.robust is None:
            self.solve_block(w, "rows")
        else:
            settle_rows(self, w)
        return w

    # --- values -------------------------------------------------------------------------------

    def residual(self, w: Any) -> Any:
        """Entry values of the model minus the data."""
        E = self.observed.products(*self.factors(w))
        E -= self.observed.values
        return E

    def _shares(self) -> Any:
        """The share of the penalty that each parameter's row or column has."""
        xp, obs = self.xp, self.observed
        parts = [xp.repeat(self.row_penalty, self.kp), xp.repeat(self.col_penalty, self.kq)]
        return xp.concat(parts) / obs.total

    def penalty_weights(self) -> Any:
        """What the half square of each parameter counts in the penalty."""
        return self.alpha * self._shares()

    def _value(self, w: Any, E: Any) -> Any:
        return self.misfit(E) + 0.5 * self.xp.sum(self.penalty_weights() * w * w)

    def misfit(self, E: Any) -> Any:
        """Mean loss of the residuals ``E``."""
        obs = self.observed
        if self.robust is None:
            return 0.5 * obs.dot(E, E) / obs.total
        return self.xp.sum(obs.weights * self.robust.value(E)) / obs.total

    def slopes(self, E: Any) -> Any:
        """Derivatives of the loss of each residual."""
        return E if self.robust is None else self.robust.slope(E)

    def bent(self, E: Any, change: Any) -> Any:
        """Changes of the slopes with the residuals."""
        return change if self.robust is None else self.robust.curvature(E) * change

    def value(self, w: Any) -> Any:
        return self._value(w, self.residual(w))

    def chain(self, E: Any, L: Any, R: Any) -> Any:
        """``(E R, E' L) / total`` on the parameters, for entry values ``E``."""
        obs = self.observed
        # Transposed as it stands: sorted by columns it would be a copy of all entries.
        S = obs.matrix(E)
        rows, cols = self.of_rows(S @ R), self.of_cols(S.T @ L)
        return self.pack(rows, cols) / obs.total

    def point_of(self, w: Any, E: Any) -> Point:
        """The point ``w``, whose residual is ``E``."""
        grad = self.chain(self.slopes(E), *self.factors(w)) + self.penalty_weights() * w
        return Point(w, self._value(w, E), grad, E)

    # --- oracles ------------------------------------------------------------------------------

    @offers(Oracle.GRAD, lacks=why_not_smooth)
    def point(self, w: Any) -> Point:
        """Value and gradient; the cache is the residual."""
        return self.point_of(w, self.residual(w))

    def along(self, point: Point, d: Any) -> FactorLine:
        """The objective along ``point.w + t d``, whose residual is a parabola of t."""
        return FactorLine(self, point, d)

    @offers(Oracle.HVP, lacks=why_not_curved)
    def hvp(self, point: Point) -> Callable[[Any], Any]:
        """A function ``d -> H d`` with the exact Hessian (indefinite away from a minimum)."""
        return hessian_product(self, point)

    @offers(Oracle.HESSIAN, lacks=_why_no_matrix)
    def hessian(self, point: Point) -> Any:
        """The Hessian at ``point`` as an array, a product a column."""
        return formed_hessian(self, point)

    @offers(Oracle.GGN, lacks=why_not_curved)
    def ggn(self, point: Point) -> Callable[[Any], Any]:
        """The same without the bending of the model ``L R'``: positive semi-definite."""
        return gauss_newton_product(self, point)

    @offers(Oracle.REDUCED_SYSTEM, lacks=why_not_squared)
    def reduced_system(self, point: Point) -> ReducedSystem:
        """The Gauss-Newton system of the rows, the columns (at their minimum) eliminated."""
        return ReducedSystem(self, point)

    @offers(Oracle.TANGENT, lacks=why_no_tangent)
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

    @offers(Oracle.SPECTRAL_PROX, lacks=why_no_spectral_prox)
    def spectral_prox(self, before: Any, w: Any, beta: float, V: Any, turns: int) -> Any:
        """A proximal gradient step of the nuclear norm from ``Z + beta (Z - Z before)``."""
        return shrunk(self, before, w, beta, V, turns)

    @offers(Oracle.SPECTRAL_SPLIT, lacks=why_no_spectral_prox)
    def spectral_split(self, w: Any, E: Any, step: float, V: Any, turns: int) -> Any:
        """The prox of the nuclear norm at ``P Q'`` plus the entries ``E``."""
        return shrunk_sum(self, w, E, step * strength(self), V, turns)

    @offers(Oracle.FACTOR_GRAMS, lacks=why_not_smooth)
    def gram_scaled(self, w: Any, g: Any, damping: float) -> Any:
        """A gradient times the inverse Gram matrices of the factors, those of all rows alike."""
        return gram_scaled(self, w, g, damping)

    @offers(Oracle.MAJORISED_BLOCK, lacks=why_not_smooth)
    def majorised_solve(self, w: Any, block: str) -> None:
        """Minimise a bound of the objective over a block, in place; it touches it here."""
        majorised_solve(self, w, block)

    @offers(Oracle.BLOCK_SOLVE)
    def block_solve(self, w: Any, block: str) -> None:
        """Minimise over ``"rows"`` (all of P) or ``"cols"`` (all of Q) exactly, in place."""
        self.solve_block(w, block)

    def solve_block(self, w: Any, block: str) -> None:
        """One ridge regression a row (or column), on the other side's factors."""
        xp, obs = self.xp, self.observed
        L, R = self.factors(w)
        if block == "rows":
            matrix, F, weight = obs.matrix, self.of_rows(R), self.row_penalty
            fixed = slice(self.kp, L.shape[1])
        else:
            matrix, F, weight = obs.matrix_t, self.of_cols(L), self.col_penalty
            fixed = slice(self.k, self.kp)
        # The bias of the other side is no unknown here: it moves into the targets.
        target, ridge = obs.values, self.alpha * weight
        if fixed.stop > fixed.start:
            target = target - obs.products(L[:, fixed], R[:, fixed])
        # Squared errors count as they are; another loss by the parabola that touches it here.
        W = obs.pattern if block == "rows" else obs.pattern_t
        if self.robust is not None:
            counts = self.robust.weight(obs.products(L, R) - obs.values)
            W, target = matrix(counts), counts * target
        T = matrix(target)
        if self.positive:
            before = xp.reshape(w[self.blocks[block]], self.shapes[block])
            solve = self.kernels.nonnegative_rows
            solved = solve(W, T, F, ridge, before, n_threads=obs.n_threads)
        else:
            solved = self.kernels.ridge_rows(W, T, F, ridge, n_threads=obs.n_threads)
        w[self.blocks[block]] = xp.reshape(solved, (-1,))

    @offers(Oracle.FACTOR_COORDS, lacks=why_no_coordinates)
    def factor_coordinates(self, w: Any) -> FactorCoordinates:
        """The objective seen by single parameters of all rows, working in place on ``w``."""
        return FactorCoordinates(self, w)

    def balance(self, w: Any) -> None:
        """Move ``w``, in place, towards the least penalty among all points with the same model.

        Only the small penalty tells equivalent factors apart, so alternating steps feel it slowly;
        here each family of equivalent points gives its best one in closed form.
        """
        w[...] = self.pack(*balanced(self, *self.unpack(w)))

    def balanced_point(self, point: Point) -> Point:
        """The equivalent point of least penalty: the model stays, and with it the residual."""
        return self.point_of(self.pack(*balanced(self, *self.unpack(point.w))), point.cache)

    def ordered(self, w: Any) -> Any:
        """Equivalent parameters with orthogonal components in decreasing order; P is the best."""
        return self.from_cols(balanced(self, *self.unpack(w), ordered=True)[1])

    # --- certificate --------------------------------------------------------------------------

    @offers(Oracle.BOUNDS, lacks=why_no_bounds)
    def bounded_point(self, w: Any) -> Point:
        """Value and gradient, for methods that respect `bounds`."""
        return self.point_of(w, self.residual(w))

    def bounds(self) -> tuple[Any, Any]:
        """Zero for every parameter, and infinity."""
        zero = self.xp.zeros(self.size, dtype=self.dtype, device=self.device)
        return zero, zero + self.xp.inf

    def certificate(self, w: Any) -> Certificate:
        """Stationarity, or the duality gap of the nuclear norm; see `certificate_of`."""
        if self._null is None:
            self._null = to_float(self.misfit(-self.observed.values))
        return certificate_of(self, w, self._null)
