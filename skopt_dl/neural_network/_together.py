"""Several fits at once: networks of one architecture are trained as a stack, the rest in turn."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from skopt_dl._sklearn.arrays import is_foreign
from skopt_dl._sklearn.base import unchanged_on_failure
from skopt_dl._sklearn.callbacks import has_callbacks
from skopt_dl.dispatch import resolve
from skopt_dl.engine import Oracle, Report, SolveResult, Status, Stopping, run
from skopt_dl.engine.trace import Trace
from skopt_dl.neural_network._training import Solve, finished
from skopt_dl.neural_network.stack import NetworkStack, joined, parted
from skopt_dl.search.batch_sizes import BatchSize
from skopt_dl.search.orders import Order
from skopt_dl.solvers.stochastic.base import StochasticSolver
from skopt_dl.solvers.stochastic.sampling import batch_size

# Products of an update above which a stack gains less than a twentieth: what it saves is a few
# microseconds of calls for each member (``python -m benchmarks.together``).
MOST_PRODUCTS = 500_000


@dataclass
class Member:
    """A fit that waits for the result of its solve.

    Attributes
    ----------
    model : MultilayerPerceptron
        Whose fit it is.
    steps : generator
        What is left of the fit.
    asked : Solve
        The solve that it waits for.
    solver, reason
        What `resolve` makes of it.
    trace, seconds : Trace, float
        The history so far, and this member's share of the time.
    result : SolveResult, optional
        The answer, once there is one.
    """

    model: Any
    steps: Generator[Solve, Any, Any]
    asked: Solve
    solver: Any
    reason: str
    trace: Trace = field(default_factory=Trace)
    seconds: float = 0.0
    result: SolveResult | None = None

    @property
    def kind(self) -> tuple[Any, ...]:
        """What members of one stack have in common."""
        problem, state = self.asked.problem, self.asked.settings["state"]
        return (
            type(self.solver),
            repr(self.solver.get_params()),
            # Automatic ones depend on the data.
            (state.rate, state.n_updates),
            problem.net.sizes,
            problem.net.output,
            repr(problem.net.activations),
            str(problem.dtype),
            problem.n_samples,
            problem.sample_weight is None,
            self.asked.settings["max_iter"],
        )


def fit_all(models: Sequence[Any], data: Sequence[tuple[Any, ...]]) -> None:
    """Fit each of ``models`` on its ``(X, y, sample_weight, X_val, y_val)``, ``None`` what is not
    given.

    The fits of networks that a stack can train are begun, trained together, and finished; each
    model is then what its own `fit` would have made it. A fit that raises leaves all of them as
    they were.
    """
    waiting: dict[tuple[Any, ...], list[Member]] = {}
    with ExitStack() as safely:
        for model, given in zip(models, data, strict=True):
            safely.enter_context(unchanged_on_failure(model))
            if not is_plain(model, given):
                more = zip(("sample_weight", "X_val", "y_val"), given[2:], strict=True)
                model.fit(*given[:2], **{name: value for name, value in more if value is not None})
                continue
            model._check_parameters()
            steps = model._training(*given, incremental=False)
            asked = next(steps)
            rule = asked.settings["solver"]
            solver, reason = resolve(rule, asked.problem, model._solver_defaults())
            member = Member(model, steps, asked, solver, reason)
            if fits_a_stack(member):
                waiting.setdefault(member.kind, []).append(member)
            else:
                finished(steps, model._solve(asked.problem, **asked.settings))
        for members in waiting.values():
            solve_together(members)
            for member in members:
                assert member.result is not None
                finished(member.steps, member.result)


def is_plain(model: Any, given: tuple[Any, ...]) -> bool:
    """Whether ``model`` is one network, fitted anew on the host, with nobody watching."""
    return (
        hasattr(model, "_training")
        and model.n_ensemble == 1
        and model.device is None
        and model.n_threads is None
        and model.max_time is None
        and not (model.verbose or model.warm_start or has_callbacks(model))
        and not any(is_foreign(a) for a in given)
    )


def fits_a_stack(member: Member) -> bool:
    """Whether a stack can train a network, and gains by it."""
    rule, problem = member.solver, member.asked.problem
    if not (isinstance(rule, StochasticSolver) and rule.coordinatewise):
        return False
    state = member.asked.settings["state"]
    size = batch_size(rule.batch_size, problem.n_samples)
    return (
        rule.max_grad_norm is None
        and rule.average is None
        and not isinstance(rule.batch_size, BatchSize)
        and not isinstance(rule.shuffle, Order)
        # A schedule that follows the loss would give each network a rate of its own.
        and state.schedule.after_plateau(state.rate) is None
        and problem.dropout is None
        and problem.net.compiled
        and not hasattr(problem.X, "tocsc")
        and size * problem.net.n_coef <= MOST_PRODUCTS
    )


def solve_together(members: list[Member]) -> None:
    """Give each of ``members``, which are of one kind, its result."""
    if len(members) == 1:
        (one,) = members
        one.result = one.model._solve(one.asked.problem, **one.asked.settings)
        return
    rule = members[0].solver
    stack = NetworkStack([m.asked.problem for m in members])
    state = joined([m.asked.settings["state"] for m in members])
    alive = list(members)
    while alive:
        ends = Ends(alive, stack.n_samples, state)
        result = run(
            stack, rule, stopping=Stopping(tol=None, max_iter=_NEVER, extra=(ends,)), state=state
        )
        if result.status is Status.NONFINITE:
            # The engine's first rule: the others have not been asked about this epoch.
            ends.check(ends.report(result))
        ends.finish(result)
        going = [k for k, member in enumerate(alive) if member.result is None]
        if going:
            state = joined([parted(result.state, k, len(alive)) for k in going])
            alive, stack = [alive[k] for k in going], stack.only(going)
        else:
            alive = []


_NEVER = 2**62


class Ends:
    """Asks each member's rules after an epoch; STOPPED as soon as one of them has ended.

    Parameters
    ----------
    members : list of Member
        Those of the stack.
    n_samples : int
        Samples of an epoch.
    state : StochasticState
        Of the stack, before the solve.
    """

    def __init__(self, members: list[Member], n_samples: int, state: Any) -> None:
        self.members, self.n_samples = members, n_samples
        self.w, self.rate, self.updates = state.w.copy(), state.rate, state.n_updates
        self.began = [m.seconds for m in members]
        # What the rules look at, made once: only the point and its numbers change.
        self.own = [parted(state, k, len(members)) for k in range(len(members))]
        self.ended: dict[int, Status] = {}

    def check(self, report: Report) -> Status | None:
        state, count = report.state, len(self.members)
        points = state.w.reshape(count, -1)
        # As the rule computes it, of each member alone.
        moved = np.abs(points - self.w.reshape(count, -1)).max(axis=1)
        scale = self.rate * (state.n_updates - self.updates)
        for k, member in enumerate(self.members):
            own, seconds = self.own[k], self.began[k] + report.seconds / count
            own.w, own.loss, own.rate = points[k], float(state.loss[k]), state.rate
            finite = report.finite or bool(np.isfinite(own.w).all())
            indicator = float(moved[k] / scale) if scale else 0.0
            seen = Report(state.n_iter, state.n_epochs, seconds, indicator, None, finite, own)
            member.seconds = seconds
            member.trace.add(seen)
            verdict = self._verdict(member, seen)
            if verdict is not None:
                self.ended[k] = verdict
        if not self.ended:
            self.w, self.rate, self.updates = state.w.copy(), state.rate, state.n_updates
        return Status.STOPPED if self.ended else None

    @staticmethod
    def _verdict(member: Member, seen: Report) -> Status | None:
        if not seen.finite or math.isnan(seen.indicator):
            return Status.NONFINITE
        for rule in member.asked.settings["extra"]:
            verdict = rule.check(seen)
            if verdict is not None:
                return verdict
        limit = member.asked.settings["max_iter"]
        return Status.MAX_ITER if seen.n_iter >= limit else None

    @staticmethod
    def report(result: SolveResult) -> Report:
        """What the engine knew when it ended at a point that is not finite."""
        state = result.state
        return Report(state.n_iter, state.n_epochs, result.seconds, math.nan, None, False, state)

    def finish(self, result: SolveResult) -> None:
        """The results of those that have ended."""
        state: Any = result.state
        count = len(self.members)
        for k, status in self.ended.items():
            member, own = self.members[k], parted(state, k, count)
            last = self.w if status is Status.NONFINITE else state.w
            w = last.reshape(count, -1)[k].copy()
            for name, value in vars(own).items():
                if isinstance(value, np.ndarray) and value.base is not None:
                    setattr(own, name, value.copy())
            certificate = member.asked.problem.certificate(w)
            if status is not Status.NONFINITE:
                member.trace.certify(certificate)
            member.result = SolveResult(
                w=w,
                status=status,
                certificate=certificate,
                solver=member.solver,
                reason=member.reason,
                n_iter=state.n_iter,
                n_epochs=state.n_epochs,
                seconds=member.seconds,
                kernel=result.kernel,
                oracle_calls={str(Oracle.SAMPLE_GRAD): state.n_updates},
                history=member.trace.as_dict(),
                state=own,
            )
            member.model._warn_unless_converged(member.result, Stopping(tol=None))
