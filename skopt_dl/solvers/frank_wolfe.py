r"""Frank-Wolfe: a constraint set is only asked for the vertex in the direction of descent.

Letters: w the iterate, g the gradient, s the vertex that minimises :math:`g's`, a the vertex in use
that maximises it, :math:`\alpha` the weights of the vertices in w, d the direction, t the step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Problem, Solver, State, Status, Trait
from skopt_dl.kernels.namespace import to_float

# The gradient of a quadratic is updated along the step, and renewed against rounding this often.
RENEW_EVERY = 50


@dataclass
class FrankWolfeState(State):
    """Adds the gradient, its vertex, and the vertices in use with their weights.

    Attributes
    ----------
    g, s : arrays of shape (size,)
        Gradient at ``w`` and the vertex that it points away from.
    vertices : array of shape (k, size), or None
        What ``w`` is a convex combination of; kept for steps away alone.
    weights : array of shape (k,), or None
        Its positive weights.
    lipschitz : float
        Bound of the curvature, where the smooth part is not quadratic.
    """

    g: Any = None
    s: Any = None
    vertices: Any = None
    weights: Any = None
    lipschitz: float = 0.0


class FrankWolfe(Solver):
    """Frank-Wolfe with away steps: projection-free, sparse in vertices of the constraint set.

    .. math::

        s = \\operatorname{argmin}_{s \\in C} g's, \\qquad
        a = \\operatorname{argmax}_{a:\\, \\alpha_a > 0} g'a, \\qquad
        w \\leftarrow w + t d, \\quad
        d = \\begin{cases} s - w & g'(w - s) \\ge g'(a - w) \\\\ w - a & \\text{else} \\end{cases}

    with t exact, :math:`-g'd / d'Hd`, where the smooth part is quadratic, else
    :math:`-g'd / (L |d|^2)`, and at most what stays in the set.

    Needs a gradient of the smooth part, its Lipschitz bound and minimisers of linear functions over
    a constraint set.

    Parameters
    ----------
    away_steps : bool, optional
        Also step away from the worst vertex in use. The convergence is then linear on a polytope;
        without it the error falls like 1/k. Default: unless the set has vertices in every
        direction, where a step would be wanted away from each of many.

    Notes
    -----
    The indicator is the Frank-Wolfe gap :math:`g'(w - s)`, which bounds the suboptimality and costs
    nothing. For steps away the vertices in use are kept (as many arrays as w has vertices), the
    start counts as one of them. A start outside the set gives way to the vertex that its gradient
    points away from. On a quadratic the exact step costs no second gradient: the one at w + d gives
    :math:`Hd`, and with it the gradient at the new point.

    References
    ----------
    M. Frank, P. Wolfe, "An algorithm for quadratic programming", Naval Res. Logist. Q. 3 (1956);
    M. Jaggi, "Revisiting Frank-Wolfe: projection-free sparse convex optimization", ICML 2013;
    S. Lacoste-Julien, M. Jaggi, "On the global linear convergence of Frank-Wolfe optimization
    variants", NIPS 2015, Algorithm 1.
    """

    needs: ClassVar[Needs] = Needs.of(
        Oracle.SMOOTH_GRAD, Oracle.LIPSCHITZ, Oracle.LMO, Trait.CONSTRAINED
    )
    default_max_iter: ClassVar[int] = 100_000
    chunk: ClassVar[int] = 10

    def __init__(self, *, away_steps: bool | None = None) -> None:
        self.away_steps = away_steps

    def init(self, problem: Problem, w: Any, rng: Any) -> FrankWolfeState:
        p: Any = problem
        if not bool(p.xp.isfinite(p.value(w))):
            w = p.linear_minimiser(p.smooth_value_grad(w)[1])
        state = FrankWolfeState(w=w)
        if Trait.ROUND not in p.traits if self.away_steps is None else self.away_steps:
            state.vertices, state.weights = w[None, :], p.xp.ones_like(w[:1])
        if Trait.QUADRATIC not in p.traits:
            state.lipschitz = to_float(p.lipschitz())
        _stand(p, state, p.smooth_value_grad(w)[1])
        return state

    def advance(self, problem: Problem, state: FrankWolfeState, n: int) -> Status:
        for _ in range(n):
            if to_float(state.indicator) <= state.target:
                break
            self._iterate(problem, state)
            state.n_iter += 1
        return Status.RUNNING

    def _iterate(self, problem: Any, state: FrankWolfeState) -> None:
        d, longest, away = self._direction(problem, state)
        slope = -to_float(state.g @ d)
        bend, Hd = _curvature(problem, state, d)
        t = min(slope / bend, longest) if bend > 0 else longest
        if state.vertices is None:
            state.w = state.w + t * d
        else:
            if away is None:
                vertex = _number_of(problem, state, state.s)
                _reweigh(problem, state, vertex, t, alone=t == longest)
            else:
                _reweigh(problem, state, away, -t, dropped=t == longest)
            state.w = state.weights @ state.vertices
        renew = Hd is None or (state.n_iter + 1) % RENEW_EVERY == 0
        _stand(problem, state, problem.smooth_value_grad(state.w)[1] if renew else state.g + t * Hd)

    def _direction(self, problem: Any, state: FrankWolfeState) -> tuple[Any, float, int | None]:
        """``(d, longest step, vertex stepped away from)``, the steeper of the two directions."""
        if state.vertices is not None:
            slopes = state.vertices @ state.g
            worst = int(problem.xp.argmax(slopes))
            weight = to_float(state.weights[worst])
            steeper = to_float(slopes[worst] - state.g @ state.w) > to_float(state.indicator)
            if steeper and weight < 1:
                return state.w - state.vertices[worst, :], weight / (1 - weight), worst
        return state.s - state.w, 1.0, None


def _stand(problem: Any, state: FrankWolfeState, g: Any) -> None:
    """Take note of the gradient at ``w``: its vertex and the gap."""
    state.g, state.s = g, problem.linear_minimiser(g)
    state.indicator = problem.xp.clip(g @ (state.w - state.s), 0, None)


def _curvature(problem: Any, state: FrankWolfeState, d: Any) -> tuple[float, Any]:
    """``d'Hd`` and ``Hd`` where the smooth part is quadratic, else a bound of the first alone."""
    if Trait.QUADRATIC in problem.traits:
        Hd = problem.smooth_value_grad(state.w + d)[1] - state.g
        return to_float(d @ Hd), Hd
    return state.lipschitz * to_float(d @ d), None


def _number_of(problem: Any, state: FrankWolfeState, s: Any) -> int:
    """The number of the vertex ``s``, which joins those in use if it is not one of them."""
    xp, k = problem.xp, state.weights.shape[0]
    same = xp.all(state.vertices == s, axis=1)
    if bool(xp.any(same)):
        return int(xp.argmax(xp.astype(same, xp.int64)))
    state.vertices = xp.concat([state.vertices, s[None, :]])
    state.weights = xp.concat([state.weights, xp.zeros_like(state.weights[:1])])
    return k


def _reweigh(
    problem: Any,
    state: FrankWolfeState,
    vertex: int,
    t: float,
    *,
    alone: bool = False,
    dropped: bool = False,
) -> None:
    """Weights after a step ``t`` to a vertex, negative away from it; drop those that are zero.

    ``alone`` and ``dropped`` say that the step is the longest, whatever rounding makes of it.
    """
    xp = problem.xp
    at = xp.arange(state.weights.shape[0], device=problem.device) == vertex
    weights = (1 - t) * state.weights + t * xp.astype(at, problem.dtype)
    kept = (weights > 0) & (at if alone else ~at if dropped else at | ~at)
    index = xp.nonzero(kept)[0]
    weights = xp.take(weights, index)
    state.weights = weights / xp.sum(weights)
    state.vertices = xp.take(state.vertices, index, axis=0)
