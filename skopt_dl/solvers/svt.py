r"""Singular value thresholding: a matrix of least nuclear norm with given entries.

Letters: Y the sparse multiplier, Z its shrunk matrix, y the data, :math:`\tau` the threshold,
:math:`\delta` the step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Problem, Solver, State, Status
from skopt_dl.kernels.namespace import to_float
from skopt_dl.solvers.subspace import check_subspace, first_triplets

# The step is halved where the error of the entries has grown to this many times its least.
GROWN = 3.0


@dataclass
class SVTState(State):
    """Adds the multiplier, the singular vectors, the threshold and the step."""

    Y: Any = None
    ahead: Any = None
    best: Any = None
    least: float = float("inf")
    age: float = 1.0
    V: Any = None
    threshold: float = 0.0
    step: float = 0.0


class SVT(Solver):
    """Singular value thresholding: Uzawa's method for the nuclear norm with given entries.

    .. math::

        Z = S_\\tau(\\bar Y), \\qquad Y^+ = \\bar Y + \\delta\\, (y - Z)_\\Omega, \\qquad
        \\bar Y^+ = Y^+ + \\beta\\, (Y^+ - Y)

    with S the shrinkage of singular values. It minimises
    :math:`\\tau |Z|_* + \\tfrac12 |Z|_F^2` over the matrices with the given entries; Y is sparse.

    Needs tangent spaces of matrices of fixed rank (of which it takes the singular triplets).

    Parameters
    ----------
    threshold : float
        The :math:`\\tau`, in units of :math:`\\sqrt{mn}` times the root mean square of the entries.
    step : float
        First :math:`\\delta`, in units of mn over the number of entries; below 2 the theory of the
        plain method applies to observed shares near one. It is halved where the error of the
        entries grows to three times its least, and the method goes back to that multiplier.
    extra : int
        Singular vectors carried beyond the rank.
    turns : int
        Subspace iterations per step, from the last ones.
    momentum : bool
        Whether :math:`\\beta` is Nesterov's, from rest again where a move went against ascent, or 0
        as in the original.

    Notes
    -----
    It starts from the multiple of the data at which the shrunk matrix begins not to vanish. The
    answer is cut to the rank of the problem. The first of the completion methods, and slow:
    ``irls`` and ``gauss_newton`` need fewer entries and less time. Momentum saves most of the steps
    on large matrices, and may lead a small one astray. The indicator is the relative error of the
    entries.

    References
    ----------
    J.-F. Cai, E. Candès, Z. Shen, "A singular value thresholding algorithm for matrix completion",
    SIAM J. Optim. 20 (2010); B. Huang, S. Ma, D. Goldfarb, "Accelerated linearized Bregman method",
    J. Sci. Comput. 54 (2013).
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.TANGENT)
    default_max_iter: ClassVar[int] = 5000
    chunk: ClassVar[int] = 5

    def __init__(
        self,
        *,
        threshold: float = 5.0,
        step: float = 1.2,
        extra: int = 3,
        turns: int = 2,
        momentum: bool = False,
    ) -> None:
        self.threshold, self.step, self.extra, self.turns, self.momentum = (
            threshold,
            step,
            extra,
            turns,
            momentum,
        )

    def init(self, problem: Problem, w: Any, rng: Any) -> SVTState:
        for name in ("threshold", "step"):
            value = getattr(self, name)
            if not value > 0:
                raise ValueError(f"SVT: {name}={value!r}, but it must be positive")
        check_subspace(self)
        p: Any = problem
        m, n = (rows for rows, _ in p.shapes.values())
        _, s, V = first_triplets(p, p.targets, self.extra, rng)
        square = to_float(p.observed.dot(p.targets, p.targets))
        state = SVTState(w=w, V=V)
        state.step = self.step * m * n / p.n_samples
        size = math.sqrt(square / p.n_samples) if square > 0 else 1.0
        state.threshold = self.threshold * math.sqrt(m * n) * size
        largest = to_float(s[0])
        times = math.ceil(state.threshold / (state.step * largest)) if largest > 0 else 1
        state.Y = state.ahead = state.best = (times * state.step) * p.targets
        return state

    def advance(self, problem: Problem, state: SVTState, n: int) -> Status:
        xp, p = problem.xp, problem
        y = p.targets  # type: ignore[attr-defined]
        dot, k = p.observed.dot, p.shapes["rows"][1]  # type: ignore[attr-defined]
        for _ in range(n):
            U, s, state.V = p.leading_triplets(  # type: ignore[attr-defined]
                None, None, state.ahead, state.V, self.turns
            )
            s = xp.clip(s - state.threshold, 0.0, None)
            root = xp.sqrt(s)
            Z = p.observed.products(U * root, state.V * root)  # type: ignore[attr-defined]
            left = y - Z
            Y = state.ahead + state.step * left
            if to_float(s[0]) > 0:
                # The matrix zero is no answer: a saddle of the factors, where their slopes vanish.
                state.w = p.from_triplets(U[:, :k], s[:k], state.V[:, :k])  # type: ignore[attr-defined]
            size = dot(y, y)
            state.indicator = xp.sqrt(dot(left, left) / xp.where(size > 0, size, 1.0))
            self._extrapolate(dot, state, Y, left, to_float(state.indicator))
            state.n_iter += 1
            state.n_epochs += 1.0 + self.turns
        return Status.RUNNING

    def _extrapolate(self, dot: Any, state: SVTState, Y: Any, left: Any, error: float) -> None:
        """Nesterov's point beyond ``Y``; from rest where the last move went against ascent."""
        if not error <= GROWN * state.least:
            # The step is too long for these entries: back to the best multiplier.
            state.step *= 0.5
            state.age, state.Y, state.ahead = 1.0, state.best, state.best
            return
        if error < state.least:
            state.least, state.best = error, state.ahead
        moved = Y - state.Y
        if not self.momentum or to_float(dot(left, moved)) < 0:
            state.age, state.Y, state.ahead = 1.0, Y, Y
            return
        age = 0.5 * (1 + math.sqrt(1 + 4 * state.age * state.age))
        state.Y, state.ahead = Y, Y + ((state.age - 1) / age) * moved
        state.age = age
