r"""Where the curvature of a step comes from: all samples, or some of them.

Letters: p the probabilities of the samples, S the sample.
"""

from __future__ import annotations

from typing import Any, Literal

from skopt_dl.engine import Oracle
from skopt_dl.kernels import generic
from skopt_dl.solvers.stochastic.sampling import on_device

# A sample of fewer says little about the curvature; data with fewer are taken whole.
LEAST_SAMPLE = 256

Sampling = Literal["auto", "uniform", "scores"]


def check_share(solver: Any, *names: str) -> None:
    """Raise unless the shares ``names`` lie in (0, 1].

    Raises
    ------
    ValueError
        Naming the parameter, its value and its range.
    """
    for name in names:
        value = getattr(solver, name)
        if not (isinstance(value, int | float) and 0 < value <= 1):
            raise ValueError(
                f"{type(solver).__name__}: {name}={value!r}, but it must be above 0 and at most 1"
            )


def check_sampling(solver: Any, problem: Any) -> None:
    """Raise unless ``sampling`` is known and ``problem`` can draw that way.

    Raises
    ------
    ValueError
        Naming the parameter, its value and the way out.
    """
    name = type(solver).__name__
    if solver.sampling not in ("auto", "uniform", "scores"):
        raise ValueError(
            f"{name}: sampling={solver.sampling!r}, but it must be 'auto', 'uniform' or 'scores'"
        )
    if solver.sampling == "scores" and problem.why_not(Oracle.CURVATURE_SCORES) is not None:
        raise ValueError(
            f"{name}: sampling='scores' needs {Oracle.CURVATURE_SCORES}, which "
            f"{problem.description} does not offer; take sampling='uniform'"
        )


def sampled_product(
    problem: Any, point: Any, rng: Any, share: float, sampling: Sampling, *, gauss_newton: bool
) -> Any:
    r"""``d -> H_S d``, the curvature of a random part of the samples, unbiased.

    Uniform samples are drawn without repetition. By scores they are drawn with probabilities
    :math:`p_i \propto |\ell_i''|\,|x_i|^2`, and sample i counts :math:`1/(n p_i)`: those that bend
    the objective are seen, and the few that bend it much do not spoil the mean.

    Parameters
    ----------
    problem, point
        Where.
    rng : Generator or RandomState
        Draws on the host.
    share : float
        Size of the sample as a share of all, at least `LEAST_SAMPLE`; all of them are taken without
        a draw.
    sampling : {"auto", "uniform", "scores"}
        "auto" draws by scores where the problem has them.
    gauss_newton : bool
        Products with the Gauss-Newton matrix, not the Hessian.
    """
    drawn = curvature_sample(problem, point, rng, share, sampling)
    if drawn is None:
        return problem.ggn(point) if gauss_newton else problem.hvp(point)
    product = problem.sample_ggn if gauss_newton else problem.sample_hvp
    return product(point.w, *drawn)


def curvature_sample(
    problem: Any, point: Any, rng: Any, share: float, sampling: Sampling
) -> tuple[Any, Any] | None:
    """The samples of `sampled_product` and their weights; ``None`` stands for all."""
    n = problem.n_samples
    size = min(n, max(LEAST_SAMPLE, -int(-share * n // 1)))
    if size == n:
        return None
    scored = problem.why_not(Oracle.CURVATURE_SCORES) is None
    if sampling == "uniform" or (sampling == "auto" and not scored):
        index = rng.permutation(n)[:size]
        return on_device(problem, index), None
    xp = problem.xp
    scores = problem.curvature_scores(point)
    total = xp.sum(scores)
    if not bool(total > 0):
        return on_device(problem, rng.permutation(n)[:size]), None
    p = scores / total
    index = on_device(problem, generic.draw_indices(rng, n, xp.cumulative_sum(p))[:size])
    return index, 1 / (n * xp.take(p, index))
