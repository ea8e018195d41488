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


@dataclass
class SVTState(State):
    """Adds the multiplier, the singular vectors, the threshold and the step."""

    Y: Any = None
    V: Any = None
    threshold: float = 0.0
    step: float = 0.0


class SVT(Solver):
    """Singular value thresholding: Uzawa's method for the nuclear norm with given entries.

    .. math::

        Z = S_\\tau(Y), \\qquad Y^+ = Y + \\delta\\, (y - Z)_\\Omega

    with S the shrinkage of singular values. It minimises
    :math:`\\tau |Z|_* + \\tfrac12 |Z|_F^2` over the matrices with the given entries; Y is sparse.

    Needs tangent spaces of matrices of fixed rank (of which it takes the singular triplets).

    Parameters
    ----------
    threshold : float
        The :math:`\\tau`, in units of :math:`\\sqrt{mn}` times the root mean square of the entries.
    step : float
        The :math:`\\delta`, in units of mn over the number of entries; below 2 the theory applies
        to observed shares near one.
    extra : int
        Singular vectors carried beyond the rank.
    turns : int
        Subspace iterations per step, from the last ones.

    Notes
    -----
    It starts from the multiple of the data at which the shrunk matrix begins not to vanish. The
    answer is cut to the rank of the problem. The first of the completion methods, and slow:
    ``irls`` and ``gauss_newton`` need fewer entries and far less time. The indicator is the
    relative error of the entries.

    References
    ----------
    J.-F. Cai, E. Candès, Z. Shen, "A singular value thresholding algorithm for matrix completion",
    SIAM J. Optim. 20 (2010).
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.TANGENT)
    default_max_iter: ClassVar[int] = 5000
    chunk: ClassVar[int] = 5

    def __init__(
        self, *, threshold: float = 5.0, step: float = 1.2, extra: int = 3, turns: int = 2
    ) -> None:
        self.threshold, self.step, self.extra, self.turns = threshold, step, extra, turns

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
        state.Y = (times * state.step) * p.targets
        return state

    def advance(self, problem: Problem, state: SVTState, n: int) -> Status:
        xp, p = problem.xp, problem
        y = p.targets  # type: ignore[attr-defined]
        dot, k = p.observed.dot, p.shapes["rows"][1]  # type: ignore[attr-defined]
        for _ in range(n):
            U, s, state.V = p.leading_triplets(  # type: ignore[attr-defined]
                None, None, state.Y, state.V, self.turns
            )
            s = xp.clip(s - state.threshold, 0.0, None)
            root = xp.sqrt(s)
            Z = p.observed.products(U * root, state.V * root)  # type: ignore[attr-defined]
            state.Y = state.Y + state.step * (y - Z)
            state.w = p.from_triplets(U[:, :k], s[:k], state.V[:, :k])  # type: ignore[attr-defined]
            size = dot(y, y)
            state.indicator = xp.sqrt(dot(y - Z, y - Z) / xp.where(size > 0, size, 1.0))
            state.n_iter += 1
            state.n_epochs += 1.0 + self.turns
        return Status.RUNNING
