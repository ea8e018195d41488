"""What every estimator shares: the solve, its report, its warnings, its links.

An estimator validates data, builds a `Problem` and hands it to `EngineEstimator._solve`; the engine
does the rest. Its ``fit`` is decorated with `fit_method`, which serves callbacks, brings results to
where the data live, and undoes a fit that raises.
"""

from __future__ import annotations

import copy
import functools
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any, ClassVar, Self

from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from skopt_dl._sklearn.arrays import (
    HOST,
    Place,
    bring_home,
    device_place,
    packed,
    send,
    unpacked,
    warn_in_worker,
    workplace,
)
from skopt_dl._sklearn.callbacks import OUTPUT, call_with_callbacks, observers_for
from skopt_dl._sklearn.memory import check_room, floating_bytes, working_bytes
from skopt_dl._version import __version__
from skopt_dl.dispatch import resolve
from skopt_dl.engine import (
    Printer,
    Problem,
    Solver,
    SolveReport,
    SolveResult,
    Status,
    Stopping,
    StoppingRule,
    run,
)
from skopt_dl.kernels.namespace import is_numpy

_ADVICE = {
    Status.MAX_ITER: "Increase max_iter, choose another solver, or scale the columns of X.",
    Status.MAX_TIME: "Increase max_time or choose another solver.",
    Status.STALLED: "No further progress is possible at this precision: use float64, a larger tol, "
    "or another solver.",
    Status.LINE_SEARCH_FAILED: "Scale the columns of X or choose another solver.",
    Status.NONFINITE: "The iterates overflowed and the last finite one is returned: lower the "
    "learning rate, scale the columns of X, or choose another solver.",
}


@contextmanager
def unchanged_on_failure(estimator: Any) -> Iterator[None]:
    """Leave ``estimator`` as it is now where what follows raises, by a keyboard interrupt too."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def fit_method(method: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate ``fit(self, X, y, ...)`` or ``partial_fit`` of an estimator.

    - Callbacks set on the estimator see the fit as a task (`skopt_dl._sklearn.callbacks`).
    - With ``device="cuda"`` and host data, the fitted attributes come back as NumPy arrays.
    - A fit that raises, by a keyboard interrupt too, leaves the estimator as it was before: not
      fitted, or with its earlier fitted state.
    """

    @functools.wraps(method)
    def placed(self: Any, X: Any, y: Any, *args: Any, **kwargs: Any) -> Any:
        works_at, home = workplace(self, X), Place.of(X)
        warn_in_worker(self, works_at)
        moves = works_at is not home and works_at != home
        # Lists are small, and batches are never there at once.
        if moves and hasattr(X, "shape"):
            check_room(type(self).__name__, works_at, {"a copy of X": floating_bytes(X)})
        answer = method(self, X, y, *args, **kwargs)
        if moves:
            bring_home(self, home)
        return answer

    @functools.wraps(method)
    def fit(self: Any, X: Any, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        with unchanged_on_failure(self):
            return call_with_callbacks(self, placed, X, y, *args, **kwargs)

    return fit


def outside() -> int:
    """The `stacklevel`, for the function that asks, of the first frame outside this package."""
    level = 1
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").startswith("skopt_dl."):
        level, frame = level + 1, frame.f_back
    return level


class EngineEstimator(CallbackSupportMixin, BaseEstimator):
    """An estimator whose fit is one or more solves of the engine.

    Attributes
    ----------
    solver_ : str
        The name of the solver that ran.
    solve_report_ : SolveReport or list of SolveReport
        Status, certificate, timings and history of the solve (one per output where they are
        solved apart).
    """

    _names_of_parameters: ClassVar[list[str]]
    # Fitted arrays that are NumPy's wherever the model lives: labels, and numbers to be read.
    _host_attributes: ClassVar[frozenset[str]] = frozenset(
        {"classes_", "dual_gap_", "n_iter_", "solve_report_"}
    )

    @classmethod
    def _get_param_names(cls) -> list[str]:
        # A search asks four times a fit, and each time scikit-learn reads the signature.
        if "_names_of_parameters" not in vars(cls):
            cls._names_of_parameters = super()._get_param_names()
        return list(cls._names_of_parameters)

    # The documentation moves with one variable: set it to the address where docs/ is published.
    _doc_link_module = "skopt_dl"
    _doc_link_template = (
        "https://skopt-dl.readthedocs.io/stable/api/generated/"
        "{estimator_module}.{estimator_name}.html"
    )

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        module = ".".join(type(self).__module__.split(".")[:2])
        return {"estimator_module": module, "estimator_name": type(self).__name__}

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name, those of parts as ``part__name``.

        Raises
        ------
        ValueError
            For a name that is not there, or a part that is given by its name: only an instance has
            parameters.
        """
        for key in params:
            outer, _, inner = key.partition("__")
            part = params.get(outer, getattr(self, outer, None))
            if inner and isinstance(part, str):
                say = ": solver=Adam() of skopt_dl.solvers, say" if outer == "solver" else ""
                raise ValueError(
                    f"{type(self).__name__}: {key!r} cannot be set, because {outer}={part!r} is a "
                    f"name, which has no parameters; an instance has, where one is taken{say}"
                )
        return super().set_params(**params)

    def _solver_defaults(self) -> Mapping[str, Any]:
        """Parameters of this estimator that configure a solver given by name."""
        return {}

    def _solve(self, problem: Problem, **settings: Any) -> SolveResult:
        """One attempt, with a warning unless it converged."""
        result, stopping = self._attempt(problem, **settings)
        self._warn_unless_converged(result, stopping)
        return result

    def _attempt(
        self,
        problem: Problem,
        *,
        start: Any = None,
        tol: float | None,
        max_iter: int | None,
        unpack: Callable[[Any], dict[str, Any]],
        extra: tuple[StoppingRule, ...] = (),
        rng: Any = None,
        state: Any = None,
        solver: Any = None,
        part: tuple[int, int] = (0, 1),
        part_name: str = OUTPUT,
    ) -> tuple[SolveResult, Stopping]:
        """Resolve the solver and run it.

        ``unpack`` turns the flat answer into fitted attributes: callbacks rebuild a model with it.
        ``part=(k, K)`` says that this is solve k of K in the same fit, one for each ``part_name``.
        """
        chosen, reason = resolve(
            self.solver if solver is None else solver, problem, self._solver_defaults()
        )
        self._check_room(problem, chosen)
        stopping = Stopping(
            tol=tol,
            max_iter=chosen.default_max_iter if max_iter is None else max_iter,
            max_time=getattr(self, "max_time", None),
            extra=extra,
        )
        rng = check_random_state(getattr(self, "random_state", None)) if rng is None else rng
        printer = [Printer()] if getattr(self, "verbose", False) else []
        watching = observers_for(
            self,
            problem,
            unpack,
            stopping,
            chunk=chosen.chunk,
            part=part,
            part_name=part_name,
            name=chosen.unit,
        )
        with watching as observers:
            result = run(
                problem,
                chosen,
                start=start,
                stopping=stopping,
                observers=[*printer, *observers],
                rng=rng,
                reason=reason,
                state=state,
            )
        return result, stopping

    def _check_room(self, problem: Problem, solver: Solver) -> None:
        if is_numpy(problem.xp):
            return
        nothing = problem.xp.zeros(0, dtype=problem.dtype, device=problem.device)
        owner = f"{type(self).__name__} with {solver!r}"
        check_room(owner, Place.of(nothing), working_bytes(problem, solver))

    def _warn_unless_converged(
        self, result: SolveResult, stopping: Stopping, advice: str | None = None
    ) -> None:
        """Warn with what to change: ``advice``, or what suits the status."""
        if result.success or result.status is Status.STOPPED:
            return
        c = result.certificate
        bound = "" if stopping.tol is None else f" against tol={stopping.tol:.2g}"
        warnings.warn(
            f"{type(self).__name__} did not converge: {result.solver!r} ended with status "
            f"{str(result.status)!r} after {result.n_iter} iterations, {c.kind} "
            f"{c.value:.3g}{bound}. {advice or _ADVICE[result.status]}",
            ConvergenceWarning,
            stacklevel=outside(),
        )

    def to_device(self, device: str) -> Self:
        """A copy of this fitted estimator whose arrays live on ``device``.

        Parameters
        ----------
        device : {"cpu", "cuda", "cuda:1", ...}
            "cpu" gives NumPy arrays, the others CuPy arrays.

        Returns
        -------
        estimator : object
            A converted copy; this estimator is left as it is.

        Raises
        ------
        RuntimeError
            If CuPy, a driver or the device is missing.
        """
        place = device_place(device)
        place.check()
        moved = copy.copy(self)
        if place == HOST:
            bring_home(moved, HOST)
        else:
            send(moved, place)
        return moved

    def __copy__(self) -> Self:
        # The arrays are shared. Without this method `copy.copy` would take them through the form
        # in which they are pickled, to the host and back.
        shallow = object.__new__(type(self))
        shallow.__dict__.update(vars(self))
        return shallow

    def __getstate__(self) -> dict[str, Any]:
        state = packed(self, super().__getstate__())
        if "solve_report_" in state:
            # In a file a report is a dict: then no other type of ours has to be trusted for it.
            plain = _reports(state["solve_report_"], SolveReport, lambda report: {**vars(report)})
            state = {**state, "solve_report_": plain}
        if type(self).__module__.startswith("skopt_dl."):
            state = {**state, "_skopt_dl_version": __version__}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        name, state = type(self).__name__, dict(state)
        written = state.pop("_skopt_dl_version", __version__)
        if written != __version__:
            warnings.warn(
                f"this {name} was pickled by skopt_dl {written} and is read by {__version__}; fit "
                "it again if its results matter",
                UserWarning,
                stacklevel=2,
            )
        if "solve_report_" in state:
            plain = state["solve_report_"]
            state["solve_report_"] = _reports(plain, dict, lambda fields: SolveReport(**fields))
        super().__setstate__(unpacked(state, name))


def _reports(value: Any, kind: type, convert: Callable[[Any], Any]) -> Any:
    """``value``, a report or a list of them, with each of the given kind converted."""
    if isinstance(value, list):
        return [_reports(item, kind, convert) for item in value]
    return convert(value) if isinstance(value, kind) else value
