"""The solves of ridge regression: all targets at once where the solver can, else one by one."""

from __future__ import annotations

from typing import Any

import numpy as np

from skopt_dl._sklearn.arrays import host_dtype, on_host, put_beside
from skopt_dl.dispatch import IncompatibleSolverError, resolve
from skopt_dl.engine import SolveResult
from skopt_dl.kernels.namespace import namespace_of, to_float
from skopt_dl.linear_model._base import Task
from skopt_dl.linear_model._regression import fitted_line, stacked
from skopt_dl.linops import design
from skopt_dl.losses import Squared
from skopt_dl.penalties import L2, ElasticNet, Penalty
from skopt_dl.problems import LinearProblem


def target_strengths(owner: Any, n_targets: int) -> np.ndarray:
    """``owner.alpha`` as one strength per target.

    Raises
    ------
    ValueError
        Naming the class, the value and what would do.
    """
    name, alpha = type(owner).__name__, owner.alpha
    alpha = on_host(alpha)
    numbers = isinstance(alpha, bool) or np.asarray(alpha).dtype.kind not in "fiu"
    alphas = np.empty(0) if numbers else np.ravel(np.asarray(alpha, dtype=np.float64))
    if alphas.size == 0 or not np.all((alphas >= 0) & np.isfinite(alphas)):
        raise ValueError(
            f"{name}: the parameter alpha={owner.alpha!r} is not valid; it must be a number "
            ">= 0, or one for each target"
        )
    if alphas.size not in (1, n_targets):
        raise ValueError(
            f"{name}: Number of targets and number of penalties do not correspond: "
            f"{n_targets} != {alphas.size}; alpha must have one entry or one for each target"
        )
    return np.broadcast_to(alphas, (n_targets,))


def ridge_tasks(
    owner: Any,
    X: Any,
    y: Any,
    weights: Any,
    alphas: np.ndarray,
    *,
    positive: bool = False,
    start: Any = None,
) -> list[Task]:
    """Half the mean squared error plus an L2 penalty, of validated data.

    Parameters
    ----------
    owner : LinearModel
        Gives ``fit_intercept``, the solver and its name in messages.
    X, y, weights : arrays
        ``y`` of shape (n,) or (n, K), ``weights`` of shape (n,) or ``None``.
    alphas : array of shape (K,)
        One strength per target, beside the sum of squares.
    positive : bool
        Whether coefficients are restricted to ``w >= 0``.
    start : array of shape (p, K), optional
        Coefficients to begin with.
    """
    n_targets = 1 if y.ndim == 1 else y.shape[1]
    total = X.shape[0] if weights is None else to_float(namespace_of(weights).sum(weights))
    # The problem's loss is half the mean of the squares: the penalty is divided by the same.
    strengths, shared = alphas / total, design(X)

    def task(target: Any, penalty: Penalty, begin: Any) -> Task:
        problem = LinearProblem(
            shared,
            target,
            Squared(),
            penalty,
            sample_weight=weights,
            fit_intercept=owner.fit_intercept,
            criterion="stationarity",
            scale="null",
            description=lambda: owner._describe(X),
        )
        return Task(problem, fitted_line(problem.unpack, owner.fit_intercept, y), begin)

    xp = namespace_of(y)
    if n_targets > 1 and not positive:
        # The flat coefficients have their targets side by side.
        each = put_beside(y, np.tile(strengths, X.shape[1]).astype(host_dtype(X)))
        uniform = bool(np.all(strengths == strengths[0]))
        flat = None if start is None else xp.reshape(start, (-1,))
        joint = task(y, L2(float(strengths[0]) if uniform else each), flat)
        if _solves(owner, joint.problem):
            return [joint]
    tasks = []
    for k, strength in enumerate(map(float, strengths)):
        column = xp.asarray(y if y.ndim == 1 else y[:, k], copy=True)
        penalty = ElasticNet(0.0, strength, positive=True) if positive else L2(strength)
        tasks.append(task(column, penalty, None if start is None else start[:, k]))
    return tasks


def _solves(owner: Any, problem: LinearProblem) -> bool:
    """Whether the chosen solver takes this problem."""
    try:
        resolve(owner._solver(), problem, owner._solver_defaults())
    except IncompatibleSolverError:
        return False
    return True


def store_ridge(owner: Any, tasks: list[Task], results: list[SolveResult]) -> None:
    """Set the fitted attributes, in scikit-learn's shapes."""
    for name, value in stacked(tasks, results).items():
        setattr(owner, name, value)
    reports = [result.report() for result in results]
    iterations = [max(1, result.n_iter) for result in results]
    if len(tasks) == 1:
        # Targets that were solved at once have their iterations in common.
        iterations *= tasks[0].problem.n_outputs
    owner.solve_report_ = reports[0] if len(tasks) == 1 else reports
    owner.n_iter_ = np.asarray(iterations, dtype=np.int32)
