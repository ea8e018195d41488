r"""Proximal Newton: second-order models of the loss, each minimised with the penalty itself.

Letters: w the iterate, d the step to the model's minimiser, t the step length, delta the decrease
that the model promises, and mu the damping.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Problem, Solver, State, Status, Trait

# An inner problem is solved to FORCING times its first step, and to the square of what the outer
# steps have shrunk to: linear far away, superlinear near the answer.
FORCING = 0.1
INNER_CHUNK = 10
ARMIJO = 1e-4
SHORTEST = 2.0**-40
# What the curvature is multiplied by where no step is short enough, and how often at most.
DAMP, MOST_DAMPING = 4.0, 4.0**12
# Above this many nonzeros a factorisation costs more than the sweeps it saves.
SUBSPACE_BELOW = 500


@dataclass
class ProxNewtonState(State):
    """Adds the coordinates' order, the first inner step's size, the machine epsilon and mu."""

    order: Any = None
    first: float = 0.0
    eps: float = 0.0
    damping: float = 1.0


class ProxNewton(Solver):
    """Proximal Newton with coordinate descent inside and a line search outside.

    .. math::

        d &= \\operatorname{argmin}_d\\ \\nabla f(w)'d + \\tfrac\\mu2 d' \\nabla^2 f(w)\\, d
             + \\Omega(w + d) \\\\
        w &\\leftarrow w + t d, \\qquad
        F(w + t d) \\le F(w) + \\sigma t \\delta, \\quad
        \\delta = \\nabla f(w)'d + \\Omega(w + d) - \\Omega(w)

    Needs a weighted least-squares model of the loss with a coordinate prox: a smooth loss of one
    output with a curvature, and a separable penalty, convex or not.

    Parameters
    ----------
    max_inner : int
        Epochs of coordinate descent granted to one model.

    Notes
    -----
    With a convex penalty :math:`\\mu = 1`. Along a concave one a shorter step need not be lower;
    there :math:`\\mu` grows fourfold until one is, and halves after a full step.

    The models are solved inexactly, to a tolerance that tightens with the steps. An intercept is
    eliminated from each model, not penalised. scikit-learn's ``"liblinear"`` is a method of this
    family (GLMNET with coordinate descent) that penalises the intercept; ours does not. The
    indicator is :math:`\\sqrt{-\\delta}`, the Newton decrement.

    References
    ----------
    J. Lee, Y. Sun, M. Saunders, "Proximal Newton-type methods for minimizing composite functions",
    SIAM J. Optim. 24 (2014); G.-X. Yuan, C.-H. Ho, C.-J. Lin, "An improved GLMNET for
    L1-regularized logistic regression", JMLR 13 (2012); the line search: P. Tseng, S. Yun, "A
    coordinate gradient descent method for nonsmooth separable minimization", Math. Program. 117
    (2009).
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.QUADRATIC_MODEL)
    default_max_iter: ClassVar[int] = 100

    def __init__(self, *, max_inner: int = 200) -> None:
        self.max_inner = max_inner

    def init(self, problem: Problem, w: Any, rng: Any) -> ProxNewtonState:
        if not self.max_inner >= 1:
            raise ValueError(f"ProxNewton: max_inner={self.max_inner!r}, but it must be at least 1")
        eps = float(problem.xp.finfo(problem.dtype).eps)
        size = problem.blocks["coef"].stop
        return ProxNewtonState(w=w, order=problem.kernels.index_range(size), eps=eps)

    def advance(self, problem: Problem, state: ProxNewtonState, n: int) -> Status:
        for _ in range(n):
            model = problem.quadratic_model(state.w, state.damping)  # type: ignore[attr-defined]
            self._minimise(model, state)
            model.close()
            state.n_iter += 1
            state.indicator = max(-model.decrease, 0.0) ** 0.5
            t = _step(model, state.eps)
            if t is None:
                if Trait.CONVEX in problem.traits or state.damping >= MOST_DAMPING:
                    return Status.LINE_SEARCH_FAILED
                state.damping *= DAMP
                continue
            if t == 1:
                state.damping = max(1.0, state.damping / 2)
            state.w = model.point(t)
            if state.indicator <= state.target:
                break
        return Status.RUNNING

    def _minimise(self, model: Any, state: ProxNewtonState) -> None:
        done, size = model.epochs(state.order, 1, 0.0)
        state.first = max(state.first, size)
        if size == 0:
            state.n_epochs += done
            return
        target = size * min(FORCING, size / state.first)
        while size > target and done < self.max_inner:
            if done > INNER_CHUNK:
                model.subspace_step(SUBSPACE_BELOW)
            more, size = model.epochs(state.order, min(INNER_CHUNK, self.max_inner - done), target)
            done += more
        state.n_epochs += done


def _step(model: Any, eps: float) -> float | None:
    """The first ``t`` of 1, 1/2, 1/4 ... that decreases the objective enough; ``None`` if none."""
    start = model.value(0.0)
    # Below this a difference of two objectives is rounding: the full Newton step is right there.
    rounding = 8 * eps * abs(start)
    t = 1.0
    while t >= SHORTEST:
        if model.value(t) <= start + ARMIJO * t * model.decrease + rounding:
            return t
        t /= 2
    return None
