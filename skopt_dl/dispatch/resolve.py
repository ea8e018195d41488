"""From what the user wrote in ``solver=`` to a solver that fits the problem, or a good error."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from skopt_dl.dispatch import auto
from skopt_dl.dispatch.registry import SOLVERS
from skopt_dl.engine import Problem, Solver


class IncompatibleSolverError(ValueError):
    """A solver that cannot work on this problem; the message says why and which ones can."""


def resolve(
    solver: Any, problem: Problem, defaults: Mapping[str, Any] | None = None
) -> tuple[Solver, str]:
    """The solver to run and the reason for it.

    Parameters
    ----------
    solver : str or Solver
        ``"auto"``, a registered name or an instance.
    problem : Problem
        What it has to fit.
    defaults : mapping, optional
        Parameters of the estimator (``momentum``, ``selection``) that configure a solver given by
        name, where its constructor has a parameter of that name. An instance carries its own.

    Raises
    ------
    UnknownNameError
        For an unknown name, with the closest one.
    IncompatibleSolverError
        With what is missing and the solvers that would do.
    TypeError
        If ``solver`` is neither a string nor a `Solver`.
    """
    reason, fits = "given", False
    if isinstance(solver, str):
        name = solver
        if solver == "auto":
            choice = auto.choose(problem)
            if choice is None:
                raise IncompatibleSolverError(
                    f"solver='auto' found no solver for {problem.description}: it offers only "
                    f"{_listing(sorted(problem.offers))}"
                )
            name, reason = choice
            fits = True
        factory = SOLVERS.get(name)
        instance = factory()
        instance.adopt(defaults or {})
    elif isinstance(solver, Solver):
        # A copy: what a fit runs with must not change when the user's object does.
        name, instance = SOLVERS.name_of(solver), copy.copy(solver)
    else:
        raise TypeError(
            f"solver={solver!r}: expected 'auto', the name of a solver or a Solver instance"
        )
    missing = [] if fits else instance.needs.missing(problem)
    if missing:
        raise IncompatibleSolverError(_message(name, problem, missing))
    return instance, reason


def fitting(problem: Problem) -> list[str]:
    """Names of the registered solvers whose needs ``problem`` meets."""
    return [name for name, part in SOLVERS.parts() if not part.needs.missing(problem)]


def _message(name: str, problem: Problem, missing: list[str]) -> str:
    valid = fitting(problem)
    choice = auto.choose(problem)
    if choice is not None and choice[0] in valid:
        valid.remove(choice[0])
        names = [f"{choice[0]!r} (what 'auto' takes)", *map(repr, valid)]
    else:
        names = [repr(v) for v in valid]
    can = f" Solvers that can: {', '.join(names)}." if names else " No registered solver can."
    return f"solver {name!r} cannot fit {problem.description}: it needs {_listing(missing)}.{can}"


def _listing(phrases: list[Any]) -> str:
    return "; ".join(map(str, phrases)) if phrases else "nothing"
