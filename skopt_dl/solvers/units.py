r"""The units in which the steps of a model are measured: Euclidean, or those of the Hessian's
diagonal.

Letters: D the diagonal of the Hessian over the geometric mean of its entries, s the step, whose
length is :math:`|s|_D = \sqrt{s'Ds}`.
"""

from __future__ import annotations

from typing import Any

from skopt_dl.engine import Trait
from skopt_dl.kernels.namespace import to_float
from skopt_dl.solvers.descent import check_choice
from skopt_dl.solvers.newton import positive_diagonal

# "auto" measures steps in the diagonal of the Hessian from this ratio of its entries on: columns
# whose units differ by more than five, about. At 10 the two measures take the same time, at 100
# the diagonal takes half of it and less (benchmarks/trust_region_thresholds.py).
UNEVEN = 30.0


def check_metric(solver: Any) -> None:
    """Whether ``preconditioner`` is one of its choices."""
    check_choice(solver, "preconditioner", ("auto", "diagonal", "none"))


def measured_by_diagonal(solver: Any, problem: Any, point: Any) -> bool:
    """Whether lengths are measured in the diagonal of the Hessian, if the problem knows it."""
    if solver.preconditioner != "auto":
        return solver.preconditioner == "diagonal"
    # Without convexity an entry may be small because curvatures cancel.
    convex = Trait.CONVEX in problem.traits
    return convex and is_uneven(problem.xp, positive_diagonal(problem, point))


def is_uneven(xp: Any, D: Any) -> bool:
    """Whether a diagonal (``None`` where none is known) calls for a metric of its own."""
    return D is not None and to_float(xp.max(D) / xp.min(D)) > UNEVEN


def units_at(problem: Any, state: Any) -> Any:
    """The units of lengths at ``state.point``; ``None`` where they are Euclidean."""
    D = positive_diagonal(problem, state.point) if state.by_diagonal else None
    return None if D is None else units_of(problem.xp, D)


def units_of(xp: Any, D: Any) -> Any:
    """The square root of ``D``, of geometric mean one."""
    logs = xp.log(D) / 2
    return xp.exp(logs - xp.mean(logs))
