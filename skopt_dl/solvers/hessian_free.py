r"""Hessian-free optimisation and the natural gradient: damped Gauss-Newton steps for networks.

Letters: w the iterate, g the gradient, G the Gauss-Newton (Fisher) matrix, s the step,
:math:`\lambda` the damping, M the preconditioner.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from skopt_dl.engine import Needs, Oracle, Problem, Status
from skopt_dl.kernels.namespace import to_float
from skopt_dl.linops.truncated import ModelProgress, truncated_cg
from skopt_dl.search import backtrack
from skopt_dl.solvers.curvature import check_share, sampled_product
from skopt_dl.solvers.descent import DescentSolver, DescentState, steepest, step_along
from skopt_dl.solvers.ratio import GOOD, POOR

GROW, SHRINK = 1.5, 1 / 1.5
# The exponent of the diagonal preconditioner.
POWER = 0.75


@dataclass
class HessianFreeState(DescentState):
    """Adds the damping, the last step and the source of random samples."""

    damping: float = 1.0
    last: Any = None
    rng: Any = None


class HessianFree(DescentSolver):
    """Hessian-free optimisation: damped Gauss-Newton steps by warm conjugate gradients.

    .. math::

        (G + \\lambda I)\\, s \\approx -g \\quad\\text{from}\\quad \\gamma s_{\\text{last}}, \\qquad
        w \\leftarrow w + t s

    :math:`\\lambda` grows by 1.5 where less than a quarter of the decrease that the quadratic model
    promises comes, and shrinks by it for more than three quarters.

    Needs a gradient of the whole objective and Gauss-Newton products, of all samples and on
    batches.

    Parameters
    ----------
    initial_damping : float
        :math:`\\lambda` at the start, positive.
    share : float
        Part of the samples in G, above 0 and at most 1; never fewer than 256 samples.
    max_inner : int
        Products per step at most.
    tol : float
        The conjugate gradients end where the model falls by less than this share of itself per
        step, over the last ``max(10, i/10)`` steps; positive.
    warm : float
        :math:`\\gamma`, in [0, 1].
    preconditioner : {"none", "gradients"}
        "gradients" divides by :math:`(\\operatorname{diag}(R'R) + \\lambda)^{0.75}` with the
        Gauss-Newton matrix's square root R of the sample: for small data, as R is an array.

    Notes
    -----
    Of the steps that the conjugate gradients kept, the one of least objective is taken (searched
    from the last backwards), then shortened until it decreases enough (Armijo). Martens'
    preconditioner has squares of the gradients of single samples; here the Gauss-Newton matrix's
    own diagonal takes their place.

    References
    ----------
    J. Martens, "Deep learning via Hessian-free optimization", ICML 2010; J. Martens, I. Sutskever,
    "Training deep and recurrent networks with Hessian-free optimization" (2012).
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.GRAD, Oracle.GGN, Oracle.SAMPLE_GGN)
    default_max_iter: ClassVar[int] = 1000

    def __init__(
        self,
        *,
        initial_damping: float = 1.0,
        share: float = 1.0,
        max_inner: int = 250,
        tol: float = 5e-4,
        warm: float = 0.95,
        preconditioner: Literal["none", "gradients"] = "none",
    ) -> None:
        self.initial_damping, self.share, self.max_inner = initial_damping, share, max_inner
        self.tol, self.warm, self.preconditioner = tol, warm, preconditioner

    def init(self, problem: Problem, w: Any, rng: Any) -> HessianFreeState:
        check_share(self, "share")
        for name in ("initial_damping", "max_inner", "tol"):
            if not getattr(self, name) > 0:
                raise ValueError(
                    f"HessianFree: {name}={getattr(self, name)!r}, but it must be positive"
                )
        if not 0 <= self.warm <= 1:
            raise ValueError(f"HessianFree: warm={self.warm!r}, but it must be in [0, 1]")
        if self.preconditioner not in ("none", "gradients"):
            raise ValueError(
                f"HessianFree: preconditioner={self.preconditioner!r}, but it must be 'none' or "
                "'gradients'"
            )
        reason = problem.why_not(Oracle.GGN_ROOT)
        if self.preconditioner == "gradients" and reason is not None:
            raise ValueError(
                f"HessianFree: preconditioner='gradients' needs {Oracle.GGN_ROOT}, and "
                f"{reason or 'this problem has none'}; take 'none'"
            )
        state = HessianFreeState(w=w, damping=float(self.initial_damping), rng=rng)
        state.stand_at(problem, problem.point(w))  # type: ignore[attr-defined]
        return state

    def _iterate(self, problem: Any, state: HessianFreeState) -> Status | None:
        point: Any = state.point
        g, damping = point.grad, state.damping
        G = sampled_product(problem, point, state.rng, self.share, "uniform", gauss_newton=True)
        rule = ModelProgress(g, self.tol)
        found = truncated_cg(
            lambda d: G(d) + damping * d,
            g,
            stop=rule,
            max_iter=self.max_inner,
            start=None if state.last is None else self.warm * state.last,
            precondition=self._preconditioner(problem, point, damping),
        )
        state.last = found.s
        s = _back(problem, point, [*rule.kept, found.s])
        slope = to_float(g @ s)
        promised = -slope - 0.5 * to_float(s @ G(s))
        before = to_float(point.value)
        ok = slope < 0 and step_along(problem, state, s, slope, 1.0, backtrack).ok
        if ok and promised > 0:
            ratio = (before - to_float(state.point.value)) / promised  # type: ignore[union-attr]
            if ratio < POOR:
                state.damping *= GROW
            elif ratio > GOOD:
                state.damping *= SHRINK
        if ok:
            return None
        state.damping *= GROW
        state.last = None
        return steepest(problem, state, backtrack)

    def _preconditioner(self, problem: Any, point: Any, damping: float) -> Any:
        if self.preconditioner == "none":
            return None
        R, diagonal = problem.ggn_root(point)
        scale = (problem.xp.sum(R * R, axis=0) + diagonal + damping) ** POWER
        return lambda r: r / scale


def _back(problem: Any, point: Any, steps: list[Any]) -> Any:
    """From the last step back to earlier ones as long as the objective is lower there."""
    best, lowest = steps[-1], to_float(problem.value(point.w + steps[-1]))
    for s in reversed(steps[:-1]):
        value = to_float(problem.value(point.w + s))
        if value >= lowest:
            break
        best, lowest = s, value
    return best
