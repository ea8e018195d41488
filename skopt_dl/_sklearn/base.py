"""What every estimator shares: the solve, its report, its warnings, its links.

An estimator validates data, builds a `Problem` and hands it to `EngineEstimator._solve`; the engine
does the rest. Fitted attributes are set only after a solve has returned, so a fit that fails leaves
nothing half fitted.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from skopt_dl._sklearn.callbacks import observers_for
from skopt_dl._version import __version__
from skopt_dl.dispatch import resolve
from skopt_dl.engine import Printer, Problem, SolveResult, Status, Stopping, StoppingRule, run

_ADVICE = {
    Status.MAX_ITER: "Increase max_iter, choose another solver, or scale the columns of X.",
    Status.MAX_TIME: "Increase max_time or choose another solver.",
    Status.STALLED: "No further progress is possible at this precision: use float64, a larger tol, "
    "or another solver.",
    Status.LINE_SEARCH_FAILED: "Scale the columns of X or choose another solver.",
    Status.NONFINITE: "The iterates overflowed and the last finite one is returned: lower the "
    "learning rate, scale the columns of X, or choose another solver.",
}


class EngineEstimator(CallbackSupportMixin, BaseEstimator):
    """An estimator whose fit is one or more solves of the engine.

    Attributes
    ----------
    solver_ : Solver
        The solver that ran.
    solve_report_ : SolveReport or list of SolveReport
        Status, certificate, timings and history of the solve (one per output where they are
        solved apart).
    """

    # The documentation moves with one variable: set it to the address where docs/ is published.
    _doc_link_module = "skopt_dl"
    _doc_link_template = (
        "https://skopt-dl.readthedocs.io/stable/api/generated/"
        "{estimator_module}.{estimator_name}.html"
    )

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        module = ".".join(type(self).__module__.split(".")[:2])
        return {"estimator_module": module, "estimator_name": type(self).__name__}

    def _solver_defaults(self) -> Mapping[str, Any]:
        """Parameters of this estimator that configure a solver given by name."""
        return {}

    def _solve(
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
    ) -> SolveResult:
        """Resolve the solver, run it, and warn unless it converged.

        ``unpack`` turns the flat answer into fitted attributes: callbacks rebuild a model with it.
        """
        chosen, reason = resolve(
            self.solver if solver is None else solver, problem, self._solver_defaults()
        )
        stopping = Stopping(
            tol=tol,
            max_iter=chosen.default_max_iter if max_iter is None else max_iter,
            max_time=getattr(self, "max_time", None),
            extra=extra,
        )
        rng = check_random_state(getattr(self, "random_state", None)) if rng is None else rng
        printer = [Printer()] if getattr(self, "verbose", False) else []
        with observers_for(self, unpack, stopping) as observers:
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
        self._warn_unless_converged(result, stopping)
        return result

    def _warn_unless_converged(self, result: SolveResult, stopping: Stopping) -> None:
        if result.success or result.status is Status.STOPPED:
            return
        c = result.certificate
        bound = "" if stopping.tol is None else f" against tol={stopping.tol:.2g}"
        warnings.warn(
            f"{type(self).__name__} did not converge: {result.solver!r} ended with status "
            f"{str(result.status)!r} after {result.n_iter} iterations, {c.kind} "
            f"{c.value:.3g}{bound}. {_ADVICE[result.status]}",
            ConvergenceWarning,
            stacklevel=4,
        )

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        if type(self).__module__.startswith("skopt_dl."):
            state = {**state, "_skopt_dl_version": __version__}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        written = state.pop("_skopt_dl_version", __version__)
        if written != __version__:
            warnings.warn(
                f"this {type(self).__name__} was pickled by skopt_dl {written} and is read by "
                f"{__version__}; fit it again if its results matter",
                UserWarning,
                stacklevel=2,
            )
        super().__setstate__(state)
