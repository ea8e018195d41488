"""The solve of logistic regression: its problem, and what a flat answer means."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from skopt_dl._sklearn.arrays import host_dtype, put_beside
from skopt_dl.dispatch import IncompatibleSolverError, resolve
from skopt_dl.engine import Oracle
from skopt_dl.kernels.namespace import device_of, namespace_of, to_float
from skopt_dl.linear_model._base import Task
from skopt_dl.losses import Logistic, Multinomial
from skopt_dl.penalties import L2, ElasticNet, Penalty
from skopt_dl.problems import LinearProblem


def elastic_penalty(C: float, l1_ratio: float, total: float) -> Penalty:
    """The penalty beside a mean loss: divided by ``C`` and ``total``, the sum of the weights."""
    strength = 0.0 if math.inf == C else 1.0 / (C * total)
    l1 = strength * l1_ratio
    # Without an L1 part the penalty is smooth, and says so.
    return ElasticNet(l1, strength - l1) if l1 > 0 else L2(strength)


def logistic_task(
    owner: Any,
    X: Any,
    codes: np.ndarray,
    classes: np.ndarray,
    weights: Any,
    *,
    C: float,
    l1_ratio: float,
) -> Task:
    """The mean logistic loss plus the penalty, of validated data.

    Parameters
    ----------
    owner : LinearModel
        Gives ``fit_intercept``, ``intercept_scaling``, the solver and its name in messages.
    X, codes, weights : arrays
        ``codes`` number the labels within ``classes``, on the host; ``weights`` may be ``None``.
    classes : array
        All labels, whether these data have them or not.
    C, l1_ratio : float
        ``C`` may be infinite.
    """
    binary = classes.shape[0] == 2
    target = codes if binary else np.eye(classes.shape[0])[codes]
    # liblinear has no intercept but a constant column, which is penalised like the others.
    constant = liblinear_intercept(owner)
    problem = LinearProblem(
        with_constant_column(X, owner.intercept_scaling) if constant else X,
        put_beside(X, target.astype(host_dtype(X))),
        Logistic() if binary else Multinomial(),
        elastic_penalty(C, l1_ratio, total_weight(X, weights)),
        sample_weight=weights,
        fit_intercept=owner.fit_intercept and not constant,
        criterion="stationarity",
        description=lambda: owner._describe(X),
    )

    def unpack(w: Any) -> dict[str, Any]:
        coef, intercept = problem.unpack(w)
        if constant:
            coef, intercept = coef[:-1, ...], owner.intercept_scaling * coef[-1, ...]
        if binary:
            coef, intercept = coef[None, :], namespace_of(coef).reshape(intercept, (1,))
        else:
            coef, intercept = centred_scores(coef.T, intercept, penalised=math.inf != C)
        return {"classes_": classes, "coef_": coef, "intercept_": intercept}

    if not binary and one_output_only(owner):
        _refuse_multinomial(owner, problem)
    return Task(problem, unpack)


def total_weight(X: Any, weights: Any) -> float:
    """The sum of the weights of the samples."""
    return X.shape[0] if weights is None else to_float(namespace_of(weights).sum(weights))


def liblinear_intercept(owner: Any) -> bool:
    """Whether the intercept is the coefficient of a constant column."""
    return bool(owner.solver == "liblinear" and owner.fit_intercept)


def one_output_only(owner: Any) -> bool:
    """Whether the solver has no multinomial form: by its needs, or as scikit-learn's liblinear."""
    return owner.solver == "liblinear" or Oracle.COORDS in owner._asked_oracles()


def _refuse_multinomial(owner: Any, problem: LinearProblem) -> None:
    """An error that is led by the sentence that scikit-learn's users know."""
    try:
        resolve(owner.solver, problem, owner._solver_defaults())
        reason = (
            f"solver {owner.solver!r} does not take several outputs at once. Solvers that can: "
            "'prox_newton', the same method with an intercept that is not penalised, or 'lbfgs'"
        )
    except IncompatibleSolverError as error:
        reason = str(error)
    raise IncompatibleSolverError(
        f"Only binary classification is supported. The type of the target is multiclass: {reason}"
    )


def centred_scores(coef: Any, intercept: Any, *, penalised: bool) -> tuple[Any, Any]:
    """The same multinomial model with scores that sum to zero over the classes, where it is free.

    Probabilities do not see a number added to all scores of a sample. The penalty sees it in
    ``coef``; what is not penalised is fixed by this convention, so that all solvers agree.
    """
    xp = namespace_of(coef)
    if not penalised:
        coef = coef - xp.mean(coef, axis=0)
    return coef, intercept - xp.mean(intercept)


def with_constant_column(X: Any, value: float) -> Any:
    """``X`` with a column of ``value`` behind it; a sparse one in CSC form."""
    n, p = X.shape
    if not hasattr(X, "tocsc"):
        xp = namespace_of(X)
        column = xp.full((n, 1), value, dtype=X.dtype, device=device_of(X))
        return xp.concat([X, column], axis=1)
    X = X.tocsc()
    xp = namespace_of(X.data)
    data = xp.concat([X.data, xp.full(n, value, dtype=X.data.dtype)])
    rows = xp.concat([X.indices, xp.arange(n, dtype=X.indices.dtype)])
    ends = xp.concat([X.indptr, X.indptr[-1:] + n])
    return type(X)((data, rows, ends), shape=(n, p + 1))
