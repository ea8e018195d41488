"""The fit template of the linear estimators: validate, build problems, solve each, store."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import Any, ClassVar, Self

from sklearn.utils.validation import check_is_fitted

from skopt_dl._sklearn.base import EngineEstimator, fit_method
from skopt_dl._sklearn.parameters import check_flag, check_number, check_running
from skopt_dl._sklearn.validation import check_X
from skopt_dl.dispatch import SOLVERS, UnknownNameError
from skopt_dl.engine import Oracle, SolveResult
from skopt_dl.problems import LinearProblem


@dataclass(frozen=True)
class Task:
    """One solve of a fit.

    Attributes
    ----------
    problem : LinearProblem
        What is minimised.
    unpack : callable
        From the flat answer to the fitted attributes that it gives.
    start : array, optional
        Where the solver begins; its default otherwise.
    """

    problem: LinearProblem
    unpack: Callable[[Any], dict[str, Any]]
    start: Any = None


class LinearModel(EngineEstimator):
    """An estimator whose raw prediction is ``X @ coef_.T + intercept_``."""

    # As scikit-learn's class of the same name, a logistic regression may stay at its start.
    _fewest_iterations: ClassVar[int] = 1

    def _check_common(self) -> None:
        """The parameters that every linear estimator has."""
        check_running(self)
        check_flag(self, "fit_intercept")
        check_number(self, "tol", low=0)
        check_number(self, "max_iter", Integral, low=self._fewest_iterations, optional=True)
        check_number(self, "max_time", low=0, open_low=True, optional=True)

    def _name_of_solver(self, result: SolveResult) -> str:
        """The name the user gave, else the registered name of what ran."""
        if isinstance(self.solver, str) and self.solver != "auto":
            return self.solver
        return SOLVERS.name_of(result.solver)

    def _describe(self, X: Any) -> str:
        """Completes "solver ... cannot fit" in messages."""
        kind = f"{X.format.upper()} matrix" if hasattr(X, "format") else "array"
        return f"{self!r} on this {X.dtype} {kind}"

    def _raw_prediction(self, X: Any, method: str) -> Any:
        """``X @ coef_.T + intercept_``, of shape ``(n,)`` or ``(n, K)``, for ``method``."""
        check_is_fitted(self)
        X = check_X(self, X, method=method)
        coef = self.coef_
        z = X @ (coef if coef.ndim == 1 else coef.T)
        # Sparse times sparsified coefficients is the one product that stays sparse.
        return (z.toarray() if hasattr(z, "toarray") else z) + self.intercept_

    def _solver(self) -> Any:
        """What to resolve: the parameter, unless scikit-learn's name for it is another one here."""
        return self.solver

    def _asked_oracles(self) -> frozenset[Oracle]:
        """What the chosen solver asks of a problem; nothing where the choice is still open."""
        if isinstance(self.solver, str) and self.solver == "auto":
            return frozenset()
        try:
            solver = SOLVERS.get(self.solver) if isinstance(self.solver, str) else self.solver
        except UnknownNameError:
            return frozenset()
        return solver.needs.oracles if hasattr(solver, "needs") else frozenset()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = Oracle.MATRIX not in self._asked_oracles()
        return tags


class LinearEstimator(LinearModel):
    """A linear model that is fitted by one solve, or by one for each output."""

    @abstractmethod
    def _check_parameters(self) -> None:
        """Raise for parameters that are not valid."""

    @abstractmethod
    def _tasks(self, X: Any, y: Any, sample_weight: Any) -> list[Task]:
        """The solves that fit these data, which are validated here."""

    @abstractmethod
    def _store(self, tasks: list[Task], results: list[SolveResult]) -> None:
        """Set the fitted attributes."""

    @fit_method
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Training data. float64 and float32 keep their precision, other types become float64.
            Never written; a sparse matrix is never made dense.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets, or the labels of a classifier (of any type).
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights: weight w counts as the row repeated w times.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            For invalid data or parameters, and for a solver that cannot solve the problem at hand
            (the message then says why, and which solvers can).
        """
        self._check_parameters()
        self._solve_tasks(self._tasks(X, y, sample_weight))
        return self

    def _solve_tasks(self, tasks: list[Task]) -> None:
        """Solve, and set what a fit sets."""
        results = []
        for k, task in enumerate(tasks):
            result = self._solve(
                task.problem,
                start=task.start,
                tol=self.tol,
                max_iter=self.max_iter,
                unpack=task.unpack,
                part=(k, len(tasks)),
                solver=self._solver(),
            )
            results.append(result)
        self._store(tasks, results)
        self.solver_ = self._name_of_solver(results[0])

    def _build_problem(self, X: Any, y: Any, sample_weight: Any = None) -> LinearProblem:
        """The problem that `fit` would solve on these raw data (the first one of several).

        Validation sets ``n_features_in_``: ask a clone, not an estimator in use.
        """
        self._check_parameters()
        return self._tasks(X, y, sample_weight)[0].problem
