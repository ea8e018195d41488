"""Paths of penalised problems by any solver: exactly where possible, else strength by strength.

One `LinearProblem` stands for the whole path: its penalty is that of strength 1.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from skopt_dl.dispatch import SOLVERS, resolve
from skopt_dl.engine import Oracle, Solver, Stopping, run
from skopt_dl.kernels.namespace import device_of, namespace_of
from skopt_dl.linear_model._exact_path import Path, working_set_path
from skopt_dl.linear_model._regression import lasso_solver
from skopt_dl.linear_model._row_path import goes_by_rows, row_path
from skopt_dl.problems import LinearProblem


@dataclass(frozen=True)
class PathSettings:
    """How a path is computed.

    Attributes
    ----------
    solver : str or Solver
        ``"auto"`` and ``"active_set"`` mean the exact path.
    tol, max_iter : float, int or None
        Of each strength.
    selection : {"cyclic", "random"}
        Order of the coordinates; with ``"random"``, ``"auto"`` is coordinate descent.
    random_state : int, RandomState instance or None
        Randomness of the solvers that have some.
    precompute : bool or "auto"
        Whether to form the Gram matrix of all columns; "auto" where that pays.
    deadline : float
        When to stop, in seconds of `time.perf_counter`.
    """

    solver: Any = "auto"
    tol: float = 1e-4
    max_iter: int | None = None
    selection: str = "cyclic"
    random_state: Any = None
    precompute: Any = "auto"
    deadline: float = math.inf

    @property
    def chosen(self) -> Any:
        """What to resolve."""
        return lasso_solver(self)

    @property
    def exact(self) -> bool:
        """Whether the solver is the exact active-set method."""
        chosen = self.chosen
        name = SOLVERS.name_of(chosen) if isinstance(chosen, Solver) else chosen
        return name in ("auto", "active_set")


def solve_path(
    problem: LinearProblem, strengths: Any, settings: PathSettings, start: Any = None
) -> Path:
    """Solutions for the penalty of ``problem`` times each of ``strengths``, which decrease.

    The coefficients are where the problem is.

    The exact path ends where it would need too much memory and at strength 0, whose solution need
    not be unique; coordinate descent goes on from there. ``problem`` is changed.
    """
    strengths = np.asarray(strengths, dtype=np.float64)
    xp, penalty = problem.xp, problem.penalty
    if _by_rows(problem, settings) and start is None:
        limit = settings.max_iter
        most = SOLVERS.get("cd").default_max_iter if limit is None else limit
        path = row_path(problem, strengths, settings.tol, most, settings.deadline)
        path = replace(path, coefs=xp.asarray(path.coefs, device=problem.device))
        return _padded(path, len(strengths)) if path.n_done < len(strengths) else path
    exact = settings.exact and np.all(np.asarray(penalty.l1) > 0)  # type: ignore[attr-defined]
    n_positive = int(np.count_nonzero(strengths > 0))
    if not (exact and Oracle.WORKING_SET in problem.offers and n_positive):
        return _stepwise(problem, strengths, settings, start)
    everything = _wants_gram(problem, settings.precompute)
    first = working_set_path(
        problem.working_set(),
        strengths[:n_positive],
        settings.tol,
        everything=everything,
        deadline=settings.deadline,
    )
    first = replace(first, coefs=xp.asarray(first.coefs, device=problem.device))
    done = first.n_done
    if done == len(strengths) or time.perf_counter() >= settings.deadline:
        return _padded(first, len(strengths))
    last = xp.astype(first.coefs[:, done - 1], problem.dtype)
    rest = _stepwise(problem, strengths[done:], replace(settings, solver="cd"), last)
    return Path(
        xp.concat([first.coefs[:, :done], rest.coefs], axis=1),
        np.concatenate([first.gaps[:done], rest.gaps]),
        np.concatenate([first.n_iters[:done], rest.n_iters]),
        done + rest.n_done,
    )


def _by_rows(problem: LinearProblem, settings: PathSettings) -> bool:
    """Whether rows of coefficients are visited in their order, and on inner products."""
    chosen = settings.chosen
    name = SOLVERS.name_of(chosen) if isinstance(chosen, Solver) else chosen
    cyclic = settings.selection == "cyclic"
    return name in ("auto", "cd") and cyclic and goes_by_rows(problem)


def _wants_gram(problem: LinearProblem, precompute: Any) -> bool | None:
    """`working_set_path`'s ``everything``; a sparse design has no Gram of all its columns."""
    if precompute == "auto":
        return None
    return bool(precompute) and problem.base.layout == "dense"


def _padded(path: Path, size: int) -> Path:
    """``path`` continued by strengths that were not solved."""
    xp, more = namespace_of(path.coefs), size - len(path.gaps)
    if more == 0:
        return path
    unknown = xp.full((path.coefs.shape[0], more), xp.nan, device=device_of(path.coefs))
    return Path(
        xp.concat([path.coefs, unknown], axis=1),
        np.pad(path.gaps, (0, more), constant_values=np.nan),
        np.pad(path.n_iters, (0, more)),
        path.n_done,
    )


def _stepwise(problem: LinearProblem, strengths: Any, settings: PathSettings, start: Any) -> Path:
    """Strength by strength, each from the answer of the one before."""
    xp, penalty = problem.xp, problem.penalty
    K = len(strengths)
    coefs = xp.full((problem.n_coef, K), xp.nan, dtype=xp.float64, device=problem.device)
    gaps = np.full(K, np.nan)
    n_iters, done = np.zeros(K, dtype=int), 0
    rng = check_random_state(settings.random_state)
    for k, t in enumerate(map(float, strengths)):
        left = settings.deadline - time.perf_counter()
        if k and left <= 0:
            break
        problem.penalty = penalty.scaled(t)
        solver, reason = resolve(settings.chosen, problem, {"selection": settings.selection})
        stopping = Stopping(
            tol=settings.tol,
            max_iter=solver.default_max_iter if settings.max_iter is None else settings.max_iter,
            max_time=max(left, 1e-3) if left < math.inf else None,
        )
        result = run(problem, solver, start=start, stopping=stopping, rng=rng, reason=reason)
        start = result.w
        coefs[:, k] = xp.astype(result.w, xp.float64)
        gap = result.certificate.gap
        gaps[k], n_iters[k], done = np.nan if gap is None else gap, max(1, result.n_iter), k + 1
    problem.penalty = penalty
    return Path(coefs, gaps, n_iters, done)
