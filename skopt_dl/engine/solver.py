"""The solver side of the contract: immutable settings that improve a state.

A solver supplies `init` and `advance`, nothing else. It never loops to convergence, never looks at
a clock, prints nothing and knows no estimator: `skopt_dl.engine.run` does all that once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Literal

from skopt_dl.engine.oracles import Needs
from skopt_dl.engine.problem import Problem
from skopt_dl.engine.settings import Settings


class Status(StrEnum):
    """Why a solve ended. Only ``CONVERGED`` is success; ``STOPPED`` was asked for."""

    RUNNING = "running"
    CONVERGED = "converged"
    MAX_ITER = "max_iter"
    MAX_TIME = "max_time"
    STOPPED = "stopped"
    STALLED = "stalled"
    LINE_SEARCH_FAILED = "line_search_failed"
    NONFINITE = "nonfinite"


@dataclass
class State:
    """Everything that changes during a solve. Solvers subclass it with their own arrays.

    Attributes
    ----------
    w : array of shape (size,)
        The answer so far: the engine certifies and returns this array.
    n_iter : int
        Iterations done, counted by the solver.
    n_epochs : float
        Passes over the samples done, where ``unit`` is "epoch"; else what they amount to.
    indicator : float or 0-d array
        A free number that vanishes at the optimum (last change, gradient norm). The engine asks
        for the certificate when it falls under ``target``; while it is infinite there is nothing
        to certify yet.
    target : float
        Set by the engine: `advance` may return early once the indicator is at or below it.
    measures : dict of str to float or 0-d array
        Further numbers of the method, by name: columns of the history beside the engine's own.
    """

    w: Any
    n_iter: int = 0
    n_epochs: float = 0.0
    indicator: Any = float("inf")
    target: float = 0.0
    measures: dict[str, Any] = field(default_factory=dict)


class Solver(Settings, ABC):
    """Settings of one method. Parameters are read from the signature of ``__init__``.

    Attributes
    ----------
    needs : Needs
        Oracles and traits without which the method cannot run.
    default_max_iter : int
        Iterations granted when the user sets no budget.
    unit : {"iteration", "epoch"}
        What one iteration is.
    chunk : int
        Iterations per report that keep the cost of reporting negligible.
    matrix : {"parameters", "smaller side"}, optional
        The side of a square matrix that the method keeps: a device is asked for room for it before
        work starts.
    """

    needs: ClassVar[Needs]
    default_max_iter: ClassVar[int] = 1000
    unit: ClassVar[Literal["iteration", "epoch"]] = "iteration"
    chunk: ClassVar[int] = 1
    matrix: ClassVar[Literal["parameters", "smaller side"] | None] = None

    @abstractmethod
    def init(self, problem: Problem, w: Any, rng: Any) -> State:
        """The state at the starting point ``w`` (which it may keep and overwrite).

        ``rng`` is a NumPy ``Generator`` or ``RandomState``; deterministic methods ignore it.
        """

    @abstractmethod
    def advance(self, problem: Problem, state: Any, n: int) -> Status:
        """Do up to ``n`` iterations in place; ``RUNNING``, or the method's own way to end.

        ``CONVERGED`` from a solver means "nothing left to improve" (a direct method after its one
        solve); the engine still asks the problem for the certificate.
        """
