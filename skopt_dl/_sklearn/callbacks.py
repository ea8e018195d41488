"""scikit-learn's callbacks on every solver: the engine's reports become callback tasks.

A fit is the root task. Below it comes a task for every ``solver.chunk`` iterations; where the
outputs are solved apart, a task per output comes in between. A truthy ``on_fit_task_end`` stops the
solve in which it was returned (status "stopped", which is no failure and gives no warning).

With no callback set nothing here is created: a context costs about 15 microseconds and stays alive
until the fit ends.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.callback import CallbackContext, with_callbacks

from skopt_dl._sklearn.arrays import Place, moved
from skopt_dl.engine import Observer, Problem, Report, Status, Stopping

# What the solves of a fit differ by, unless an estimator says otherwise: each has a column of y.
OUTPUT = "output"


@dataclass
class FitInProgress:
    """What callbacks are told of the running fit: its raw data, and how to present a model.

    Attributes
    ----------
    name : str
        The method that runs: "fit" or "partial_fit".
    X, y : array-like
        As the user passed them, feature names included.
    metadata : dict or None
        The sample weights, if any, as ``{"sample_weight": ...}``.
    root : CallbackContext or None
        The root task, made by the first solve: only then the number of subtasks is known.
    """

    name: str
    X: Any
    y: Any
    metadata: dict[str, Any] | None
    root: CallbackContext | None = None

    def hook_arguments(
        self, part: tuple[int, int] = (0, 1), part_name: str = OUTPUT
    ) -> dict[str, Any]:
        """Data for a hook; for one of several outputs, the column of ``y`` that it fits."""
        k, n_parts = part
        return {
            "X": self.X,
            "y": self.y if n_parts == 1 or part_name != OUTPUT else _column(self.y, k),
            "metadata": self.metadata,
        }


def _column(y: Any, k: int) -> Any:
    if hasattr(y, "iloc"):
        return y.iloc[:, k]
    return (y if hasattr(y, "ndim") else np.asarray(y))[:, k]


def has_callbacks(estimator: Any) -> bool:
    """Whether any callback, its own or one handed down by a pipeline, listens to ``estimator``."""
    return bool(getattr(estimator, "_skl_callbacks", None))


def call_with_callbacks(
    estimator: Any, method: Callable[..., Any], X: Any, y: Any, *args: Any, **kwargs: Any
) -> Any:
    """``method(estimator, X, y, ...)`` as a callback task, set up and torn down in any case."""
    if not has_callbacks(estimator):
        return method(estimator, X, y, *args, **kwargs)
    bound = inspect.signature(method).bind(estimator, X, y, *args, **kwargs).arguments
    weights = bound.get("sample_weight")
    fit = FitInProgress(
        method.__name__, X, y, None if weights is None else {"sample_weight": weights}
    )
    estimator._fit_in_progress = fit
    try:
        return _managed(estimator, fit, method, *args, **kwargs)
    finally:
        del estimator._fit_in_progress


@with_callbacks
def _managed(
    estimator: Any, fit: FitInProgress, method: Callable[..., Any], *args: Any, **kwargs: Any
) -> Any:
    answer = method(estimator, fit.X, fit.y, *args, **kwargs)
    if fit.root is not None:
        fit.root.call_on_fit_task_end(
            estimator=estimator, **fit.hook_arguments(), reconstruction_attributes={}
        )
    return answer


@contextmanager
def observers_for(
    estimator: Any,
    problem: Problem,
    unpack: Callable[[Any], dict[str, Any]],
    stopping: Stopping,
    *,
    chunk: int = 1,
    part: tuple[int, int] = (0, 1),
    part_name: str = OUTPUT,
    name: str = "iterations",
) -> Iterator[list[Observer]]:
    """Observers that serve the callbacks of ``estimator``; none if it has none.

    Parameters
    ----------
    estimator : object
        Whose fit runs.
    problem : Problem
        What is being solved.
    unpack : callable
        From the flat answer to fitted attributes.
    stopping : Stopping
        Its ``max_iter`` bounds the number of tasks.
    chunk : int
        Iterations per task.
    part : tuple of int
        ``(k, K)``: this is solve k of K (outputs that are solved apart).
    part_name : str
        What the K solves are, for the names of their tasks; only outputs have a column of y each.
    name : str
        Task name of the iterations.
    """
    fit = getattr(estimator, "_fit_in_progress", None)
    if fit is None:
        yield []
        return
    k, n_parts = part
    n_tasks = -(-stopping.max_iter // chunk)
    if fit.root is None:
        fit.root = estimator._init_callback_context(
            task_name=fit.name, max_subtasks=n_tasks if n_parts == 1 else n_parts
        ).call_on_fit_task_begin(estimator=estimator, **fit.hook_arguments())
    parent, arguments = fit.root, fit.hook_arguments(part, part_name)
    if n_parts > 1:
        parent = fit.root.subcontext(task_name=f"{part_name} {k}", max_subtasks=n_tasks)
        parent.call_on_fit_task_begin(estimator=estimator, **arguments)
    bridge = TaskBridge(
        estimator, fit, parent, problem, unpack, chunk=chunk, arguments=arguments, name=name
    )
    yield [bridge]
    if n_parts > 1:
        parent.call_on_fit_task_end(
            estimator=estimator,
            **arguments,
            reconstruction_attributes=bridge.attributes,
        )


class TaskBridge:
    """An observer that turns reports into callback tasks of ``chunk`` iterations each.

    A solver may report before its chunk is full; such reports belong to the task that is open, so
    there are never more tasks than announced.
    """

    def __init__(
        self,
        estimator: Any,
        fit: FitInProgress,
        parent: CallbackContext,
        problem: Problem,
        unpack: Callable[[Any], dict[str, Any]],
        *,
        chunk: int,
        arguments: dict[str, Any],
        name: str,
    ) -> None:
        self.estimator, self.fit, self.parent = estimator, fit, parent
        self.problem, self.unpack, self.name = problem, unpack, name
        self.arguments = arguments
        self.chunk, self.full_at = chunk, chunk
        self.state: Any = None
        self._begin()

    def _begin(self) -> None:
        self.task = self.parent.subcontext(task_name=self.name)
        self.task.call_on_fit_task_begin(estimator=self.estimator, **self.arguments)

    def attributes(self) -> dict[str, Any]:
        """Fitted attributes of the iterate, copied: solvers go on working in place.

        They live where the user's X does, also when the solve runs elsewhere (``device="cuda"``).
        """
        w = self.problem.xp.asarray(self.state.w, copy=True)
        return moved(self.unpack(w), Place.of(self.fit.X))

    def on_report(self, report: Report) -> bool:
        self.state = report.state
        going_on = report.status is Status.RUNNING
        if going_on and report.n_iter < self.full_at:
            return False
        # An iterate that is not finite makes no model to look at.
        stop = self.task.call_on_fit_task_end(
            estimator=self.estimator,
            **self.arguments,
            reconstruction_attributes=self.attributes if report.finite else None,
        )
        if going_on and not stop:
            self.full_at = report.n_iter + self.chunk
            self._begin()
        return bool(stop)
