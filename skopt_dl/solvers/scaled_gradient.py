r"""Scaled gradient descent on the factors of a matrix.

Letters: w the iterate (factors P and Q), g the gradient, d the direction, t the step.
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Problem, Status
from skopt_dl.kernels.namespace import to_float
from skopt_dl.search import strong_wolfe
from skopt_dl.solvers.descent import (
    DescentSolver,
    DescentState,
    check_line_search,
    steepest,
    step_along,
)


class ScaledGD(DescentSolver):
    """Scaled gradient descent: the gradient of each factor by the inverse Gram matrix of the other.

    .. math::

        P \\leftarrow P - t\\, \\nabla_P F\\, (Q'Q / mn + \\lambda I)^{-1}, \\qquad
        Q \\leftarrow Q - t\\, \\nabla_Q F\\, (P'P / mn + \\lambda I)^{-1}

    with t from a strong Wolfe line search and :math:`\\lambda` the damping times the smallest
    eigenvalue of the Gram matrix, plus the mean penalty.

    Needs a gradient of the whole objective and Gram matrices of the factors.

    Parameters
    ----------
    damping : float
        Of the Gram matrices, relative to their smallest eigenvalues.
    sufficient_decrease, curvature : float
        Constants of the line search.

    Notes
    -----
    It costs as much as gradient descent and does not feel the condition number of the matrix, once
    the start has seen all its components. Where these are weaker than what the missing cells add
    to the start that takes iterations too, fewer with a damping of one (condition 100, 30 % of the
    entries of a 300 x 250 matrix: 160 for 528). The path is the same from all factors of the same
    matrix, but for the damping. The paper has a constant step of about a half; the search allows
    any penalty and loss.

    References
    ----------
    T. Tong, C. Ma, Y. Chi, "Accelerating ill-conditioned low-rank matrix estimation via scaled
    gradient descent", JMLR 22 (2021); X. Xu, Y. Shen, Y. Chi, C. Ma, "The power of preconditioning
    in overparameterized low-rank matrix sensing", ICML (2023), for the damping.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.GRAD, Oracle.FACTOR_GRAMS)
    default_max_iter: ClassVar[int] = 5000

    def __init__(
        self,
        *,
        damping: float = 0.01,
        sufficient_decrease: float = 1e-4,
        curvature: float = 0.9,
    ) -> None:
        self.damping = damping
        self.sufficient_decrease, self.curvature = sufficient_decrease, curvature

    def init(self, problem: Problem, w: Any, rng: Any) -> DescentState:
        check_line_search(self)
        if not self.damping >= 0:
            raise ValueError(f"ScaledGD: damping={self.damping!r}, but it must be at least 0")
        state = DescentState(w=w)
        state.stand_at(problem, problem.point(w))  # type: ignore[attr-defined]
        return state

    def _iterate(self, problem: Any, state: DescentState) -> Status | None:
        search = partial(strong_wolfe, decrease=self.sufficient_decrease, curvature=self.curvature)
        g = state.point.grad  # type: ignore[union-attr]
        d = -problem.gram_scaled(state.w, g, self.damping)
        slope = to_float(g @ d)
        if slope < 0 and step_along(problem, state, d, slope, 1.0, search).ok:
            return None
        return steepest(problem, state, search)
