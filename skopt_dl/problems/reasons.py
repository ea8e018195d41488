"""Why a linear problem cannot answer an oracle: the phrases that complete its messages.

Each function takes the problem and returns ``None`` where it can answer. What a loss or a penalty
can do is found out by looking at it, here and nowhere else.
"""

from __future__ import annotations

from typing import Any

from skopt_dl.engine import Trait

# Parameters of several outputs beyond which no Hessian of them is formed for a model.
MODEL_BELOW = 2000


def no_smooth_loss(problem: Any) -> str | None:
    if problem.loss.differentiable or problem.loss.smoothness < float("inf"):
        return None
    return f"the {type(problem.loss).__name__} loss is not smooth"


def no_lipschitz(problem: Any) -> str | None:
    if problem.loss.smoothness < float("inf"):
        return None
    if problem.loss.differentiable:
        return f"the curvature of the {type(problem.loss).__name__} loss has no bound"
    return no_smooth_loss(problem)


def no_gradient(problem: Any) -> str | None:
    if not hasattr(problem.penalty, "grad"):
        return f"{problem.penalty.label} has none"
    return no_smooth_loss(problem)


def no_subgradient(problem: Any) -> str | None:
    penalty = problem.penalty
    if getattr(penalty, "positive", False):
        return f"{penalty.label} has none outside its bounds"
    if not (hasattr(penalty, "grad") or hasattr(penalty, "subgradient")):
        return f"{penalty.label} has none"
    return None


def no_curvature(problem: Any) -> str | None:
    reason = no_gradient(problem)
    if reason is not None:
        return reason
    if not hasattr(problem.penalty, "curvature"):
        return f"{problem.penalty.label} has none"
    return _no_loss_curvature(problem)


def _no_loss_curvature(problem: Any) -> str | None:
    if hasattr(problem.loss, "curvature") or hasattr(problem.loss, "curvature_map"):
        return None
    return f"the {type(problem.loss).__name__} loss has none"


def no_gauss_newton(problem: Any) -> str | None:
    return no_curvature(problem) or _not_convex(problem)


def no_factors(problem: Any) -> str | None:
    reason = no_gauss_newton(problem)
    if reason is None and problem.y.ndim != 1 and not hasattr(problem.loss, "curvature_root"):
        return f"the {type(problem.loss).__name__} loss of several outputs has no curvature_root"
    return reason


def _not_convex(problem: Any) -> str | None:
    return None if problem.loss.convex else f"the {type(problem.loss).__name__} loss is not convex"


def no_batch_gauss_newton(problem: Any) -> str | None:
    # Of a penalty without a gradient nothing is asked: batches have none of it in theirs either.
    if Trait.SMOOTH in problem.traits:
        return no_gauss_newton(problem)
    return no_smooth_loss(problem) or _no_loss_curvature(problem) or _not_convex(problem)


def no_root(problem: Any) -> str | None:
    reason = no_gauss_newton(problem)
    if reason is None and problem.y.ndim != 1:
        return "there are several outputs at once"
    return reason or not_dense(problem)


def no_sample_curvature(problem: Any) -> str | None:
    # The diagonal could be computed, but rates made of it let the iterates grow.
    if problem.n_samples < problem.size:
        return "fewer samples than parameters: a diagonal says too little of how they are coupled"
    return no_gauss_newton(problem)


def no_least_squares(problem: Any) -> str | None:
    return no_curvature(problem) if problem.loss.quadratic else "the loss is not quadratic"


def no_linear_minimiser(problem: Any) -> str | None:
    if not hasattr(problem.penalty, "linear_minimiser"):
        return f"{problem.penalty.label} has none"
    return "the intercept is not bounded" if problem.intercept_in_map else None


def no_bounds(problem: Any) -> str | None:
    if not (getattr(problem.penalty, "positive", False) or hasattr(problem.penalty, "bounds")):
        return f"{problem.penalty.label} has no bounds"
    return no_smooth_loss(problem)


def not_separable(problem: Any) -> str | None:
    if not hasattr(problem.penalty, "prox_coordinate"):
        return f"{problem.penalty.label} does not act on single coordinates"
    return None


def no_coordinates(problem: Any) -> str | None:
    if not problem.loss.quadratic:
        return "the loss is not quadratic (a Newton outer loop around it is: 'prox_newton')"
    if problem.y.ndim != 1:
        rows = hasattr(problem.penalty, "prox_row")
        return None if rows else "there are several outputs at once"
    return None if hasattr(problem.penalty, "blocks") else not_separable(problem)


def no_violations(problem: Any) -> str | None:
    reason = no_coordinates(problem)
    if reason is None and not hasattr(problem.penalty, "distance"):
        return f"{problem.penalty.label} does not tell its subgradients"
    return reason


def no_screening(problem: Any) -> str | None:
    if problem.y.ndim != 1:
        return "there are several outputs at once"
    return no_working_set(problem)


def no_working_set(problem: Any) -> str | None:
    reason = no_coordinates(problem)
    if reason is None and not hasattr(problem.penalty, "elastic_net"):
        return f"{problem.penalty.label} is not an elastic net"
    return reason


def no_quadratic_model(problem: Any) -> str | None:
    if not hasattr(problem.loss, "curvature" if problem.y.ndim == 1 else "curvature_map"):
        return f"the {type(problem.loss).__name__} loss has none"
    if problem.y.ndim != 1:
        # It is formed in float64, and only NumPy multiplies arrays of different types.
        if problem.dtype != problem.xp.float64 and problem.kernels.name != "cython":
            return "the Hessian of several outputs needs the digits of float64"
        if problem.size > MODEL_BELOW and not models_entries(problem):
            return f"{problem.size} parameters are too many for the Hessian of several outputs"
    return no_smooth_loss(problem) or not_separable(problem)


def models_entries(problem: Any) -> bool:
    """Whether the second-order model of several outputs is made by entries, without a Hessian."""
    compiled = problem.kernels.name == "cython" and problem.base.layout == "sparse"
    penalty, loss = problem.penalty, problem.loss
    return compiled and hasattr(loss, "softmax_curvature") and hasattr(penalty, "elastic_net")


def no_split(problem: Any) -> str | None:
    if not hasattr(problem.loss, "prox"):
        return f"the {type(problem.loss).__name__} loss has no prox"
    return None


def no_dual_coordinates(problem: Any) -> str | None:
    if not hasattr(problem.penalty, "elastic_net"):
        return f"{problem.penalty.label} is not an elastic net"
    _, l2, _ = problem.penalty.elastic_net(
        problem.n_coef, problem.xp, problem.dtype, problem.device
    )
    if not bool(problem.xp.all(l2 > 0)):
        return f"{problem.penalty.label} is not strongly convex (its l2 must be above 0)"
    if problem.intercept_in_map:
        return "the intercept has no penalty"
    if problem.centred and problem.map.layout == "sparse":
        return "an intercept would fill the rows of sparse X"
    return no_split(problem)


def not_dense(problem: Any) -> str | None:
    return None if problem.map.layout == "dense" else "X is sparse (it is never densified)"


def traits_of(problem: Any) -> frozenset[Trait]:
    """The facts about a problem that follow from its two terms."""
    traits = {Trait.LINEAR_MODEL, Trait.FINITE_SUM, Trait.MATRICES}
    if problem.penalty.convex and problem.loss.convex:
        traits.add(Trait.CONVEX)
    if problem.loss.quadratic:
        traits.add(Trait.QUADRATIC)
    if no_gradient(problem) is None:
        traits.add(Trait.SMOOTH)
    if problem.loss.continuous_curvature:
        traits.add(Trait.CONTINUOUS_CURVATURE)
    if problem.penalty.constraint:
        traits.add(Trait.CONSTRAINED)
    return frozenset(traits)
