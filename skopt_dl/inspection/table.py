"""Which solvers fit an estimator on given data, and what the others miss."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from skopt_dl.dispatch import SOLVERS
from skopt_dl.dispatch.auto import choose
from skopt_dl.engine import Problem


@dataclass(frozen=True)
class SolverRow:
    """One solver of the table.

    Attributes
    ----------
    name : str
        Its registered name.
    missing : tuple of str
        What the problem would have to offer; empty where the solver fits.
    auto : bool
        Whether ``solver="auto"`` takes it.
    """

    name: str
    missing: tuple[str, ...] = ()
    auto: bool = False

    @property
    def fits(self) -> bool:
        """Whether the solver can be used."""
        return not self.missing

    def __str__(self) -> str:
        if self.fits:
            return "yes, and 'auto' takes it" if self.auto else "yes"
        return f"no: it needs {'; '.join(self.missing)}"


@dataclass(frozen=True)
class SolverTable:
    """A row for each registered solver; iterates over its rows, prints as text.

    Attributes
    ----------
    problem : str
        What the table is about.
    rows : tuple of SolverRow
        In the order of the names.
    reason : str
        Why ``solver="auto"`` takes the one it takes; empty where it finds none.
    """

    problem: str
    rows: tuple[SolverRow, ...]
    reason: str = ""

    def __iter__(self) -> Iterator[SolverRow]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        width = max((len(row.name) for row in self.rows), default=0)
        lines = [f"Solvers for {self.problem}"]
        lines += [f"  {row.name:<{width}}  {row}" for row in self.rows]
        if self.reason:
            lines.append(f"'auto' chooses for this reason: {self.reason}")
        return "\n".join(lines)


def solver_table(
    estimator: Any, X: Any = None, y: Any = None, sample_weight: Any = None
) -> SolverTable:
    """Tell for every registered solver whether it fits, or what is missing.

    Nothing is solved and ``estimator`` is not changed.

    Parameters
    ----------
    estimator : estimator or Problem
        An estimator of this package with its parameters set, or a problem itself.
    X, y : array-like
        The data it would be fitted to; ``y`` only where the estimator takes one.
    sample_weight : array-like of shape (n_samples,), optional
        Weights of the samples.

    Returns
    -------
    SolverTable
        Print it, or read its ``rows``.

    Raises
    ------
    TypeError
        If ``estimator`` is neither.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skopt_dl.inspection import solver_table
    >>> from skopt_dl.linear_model import Lasso
    >>> table = solver_table(Lasso(), *load_diabetes(return_X_y=True))
    >>> [row.name for row in table if row.auto]
    ['active_set']
    """
    problem = problem_of(estimator, X, y, sample_weight)
    choice = choose(problem)
    auto, reason = (None, "") if choice is None else choice
    rows = []
    for name, solver in SOLVERS.parts():
        missing = tuple(solver.needs.missing(problem))
        rows.append(SolverRow(name, missing, auto=name == auto))
    return SolverTable(problem.description, tuple(rows), reason)


def problem_of(estimator: Any, X: Any, y: Any, sample_weight: Any) -> Problem:
    """The problem that ``estimator.fit`` would solve on these data; a problem is itself."""
    if isinstance(estimator, Problem):
        return estimator
    if not hasattr(estimator, "_build_problem"):
        raise TypeError(
            f"solver_table: estimator={estimator!r} must be an estimator of skopt_dl or a Problem"
        )
    from sklearn.base import clone

    given = [X] if y is None else [X, y]
    weights = {} if sample_weight is None else {"sample_weight": sample_weight}
    # A clone: building a problem validates, and so sets n_features_in_ and the like.
    return clone(estimator)._build_problem(*given, **weights)
