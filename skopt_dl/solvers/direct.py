r"""Least squares by one factorisation: there is nothing to iterate.

Letters: A the linear map with its row weights omega, Y the targets, rho the ridge, W the answer.
"""

from __future__ import annotations

from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Problem, Solver, State, Status
from skopt_dl.linops import solve_gram, solve_svd


def _end(problem: Problem, state: State, W: Any) -> Status:
    state.w = problem.xp.reshape(W, (-1,))
    state.n_iter += 1
    state.n_epochs += 1
    state.indicator = 0.0
    return Status.CONVERGED


class Cholesky(Solver):
    """Cholesky factorisation of the normal equations, of whichever side is smaller.

    .. math::

        W = (A' \\Omega A + \\rho)^{-1} A' \\Omega Y
          = A' \\Omega^{1/2} (\\Omega^{1/2} A A' \\Omega^{1/2} + \\rho)^{-1} \\Omega^{1/2} Y

    Needs a least-squares system with a ridge.

    Notes
    -----
    The Gram is scaled to a unit diagonal, and the answer refined once with products of A itself, so
    that forming the Gram costs little accuracy. Where no ridge makes the system singular the answer
    is the one of least norm: by `SVD` for dense data, by the Gram's eigenvalues for sparse.

    References
    ----------
    Å. Björck, "Numerical Methods for Least Squares Problems", SIAM (1996), section 2.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.LEAST_SQUARES)
    default_max_iter: ClassVar[int] = 1
    matrix: ClassVar = "smaller side"

    def init(self, problem: Problem, w: Any, rng: Any) -> State:
        return State(w=w)

    def advance(self, problem: Problem, state: State, n: int) -> Status:
        A, omega, Y, ridge = problem.least_squares()  # type: ignore[attr-defined]
        value, g = problem.at_zero()  # type: ignore[attr-defined]
        rhs = -problem.xp.reshape(g, ridge.shape)
        W, gradient = solve_gram(A, omega, Y, ridge, rhs)
        status = _end(problem, state, W)
        if gradient is not None:
            # The loss is quadratic: its value follows from those at zero.
            value = value + 0.5 * problem.xp.sum(W * (gradient - rhs))
            g = problem.xp.reshape(gradient, (-1,))
            problem.keep(state.w, g=g, loss_value=value)  # type: ignore[attr-defined]
        return status


class SVD(Solver):
    """Singular value decomposition of the weighted data: the most accurate, and the slowest.

    .. math:: \\Omega^{1/2} A = U S V', \\qquad
              W = V \\operatorname{diag}\\Big(\\frac{s_i}{s_i^2 + \\rho}\\Big) U' \\Omega^{1/2} Y

    Needs a least-squares system with a ridge, and the matrix as a dense array.

    Notes
    -----
    Without a ridge, singular values within rounding of zero are left out: the answer of least norm.

    References
    ----------
    G. Golub, C. Van Loan, "Matrix Computations", 4th ed. (2013), section 5.5.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.LEAST_SQUARES, Oracle.MATRIX)
    default_max_iter: ClassVar[int] = 1

    def init(self, problem: Problem, w: Any, rng: Any) -> State:
        return State(w=w)

    def advance(self, problem: Problem, state: State, n: int) -> Status:
        return _end(problem, state, solve_svd(*problem.least_squares()))  # type: ignore[attr-defined]
