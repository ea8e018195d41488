"""What a solve returns, and the small picklable report that an estimator keeps of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from skopt_dl.engine.problem import Certificate
from skopt_dl.engine.solver import Solver, State, Status


@dataclass(frozen=True)
class SolveReport:
    """A solve in plain numbers and strings.

    Attributes
    ----------
    solver : str
        The method and the settings that differ from its defaults.
    status : str
        One of `Status`'s values.
    reason : str
        Why this solver ran: "given", or the words of ``auto``'s rule.
    n_iter, n_epochs
        Iterations in the solver's unit; passes over the samples.
    seconds : float
        Time in the solver, without certificates and observers.
    certificate_kind, certificate : str, float
        What bounds the error, and the scaled bound reached.
    objective : float
        Objective at the answer.
    dual_gap : float or None
        Absolute duality gap, where the problem has one.
    kernel : str
        The kernels that served the solve: "cython", "cupy", or "generic" for plain array code,
        which also runs the loops whose compiled form cannot read the loss or the penalty.
    oracle_calls : dict of str to int
        How often each oracle was asked.
    history : dict of str to list of float
        Columns of the trace, and the state's ``measures`` beside them.
    """

    solver: str
    status: str
    reason: str
    n_iter: int
    n_epochs: float
    seconds: float
    certificate_kind: str
    certificate: float
    objective: float
    dual_gap: float | None
    kernel: str
    oracle_calls: dict[str, int] = field(repr=False)
    history: dict[str, list[float]] = field(repr=False)


@dataclass(frozen=True)
class SolveResult:
    """The answer ``w`` with its status, certificate, history and final state."""

    w: Any
    status: Status
    certificate: Certificate
    solver: Solver
    reason: str
    n_iter: int
    n_epochs: float
    seconds: float
    kernel: str
    oracle_calls: dict[str, int] = field(repr=False)
    history: dict[str, list[float]] = field(repr=False)
    state: State = field(repr=False)

    @property
    def success(self) -> bool:
        """Whether the certificate met the tolerance."""
        return self.status is Status.CONVERGED

    def report(self) -> SolveReport:
        """The picklable part."""
        return SolveReport(
            solver=repr(self.solver),
            status=str(self.status),
            reason=self.reason,
            n_iter=self.n_iter,
            n_epochs=self.n_epochs,
            seconds=self.seconds,
            certificate_kind=self.certificate.kind,
            certificate=self.certificate.value,
            objective=self.certificate.objective,
            dual_gap=self.certificate.gap,
            kernel=self.kernel,
            oracle_calls=dict(self.oracle_calls),
            history=self.history,
        )
