r"""Hogwild: stochastic gradient steps by several threads on one model, without locks.

Letters: w the point that all threads share, i a sample, :math:`s_i` its slope, :math:`\eta` the
learning rate, :math:`q_i` the probability that a draw takes sample i.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Problem, Solver, State, Status, Trait
from skopt_dl.kernels.namespace import to_float
from skopt_dl.search.schedules import Schedule, schedule_of


@dataclass
class SharedState(State):
    """Adds the sample model that the threads share, and the rate.

    Attributes
    ----------
    model : SampleModel
        Coefficients, intercepts and rows.
    rng : Generator or RandomState
        Source of the draws.
    rate, initial_rate : float
        The present learning rate and the first one.
    """

    model: Any = None
    rng: Any = None
    rate: float = 0.0
    initial_rate: float = 0.0


class Hogwild(Solver):
    """Stochastic gradient descent by threads that do not wait for each other.

    .. math::

        w_j \\leftarrow w_j - \\eta \\Big(\\frac{s_i x_{ij}}{n q_i} + r_j \\lambda_j w_j\\Big)
        \\quad \\text{for the nonzeros } j \\text{ of row } i

    Needs one slope per sample of a linear model and a smooth objective whose penalty is a ridge.

    Parameters
    ----------
    learning_rate : float or "auto"
        Initial rate; "auto" is the inverse of the largest Lipschitz constant of a sample.
    schedule : str or Schedule
        How the rate changes from epoch to epoch.
    n_threads : int
        Threads at most. They share the draws of an epoch, and on sparse rows (in compiled form) the
        processors.

    Notes
    -----
    A thread reads coefficients while others write them, and an update may be lost. Where rows
    rarely share columns this happens seldom enough for the convergence of serial steps. With more
    than one thread two runs differ: not for results that must be repeated. The ridge is applied to
    the columns of a row alone, divided by the probability :math:`1/r_j` that a draw touches them.

    References
    ----------
    F. Niu, B. Recht, C. Ré, S. Wright, "Hogwild!: a lock-free approach to parallelizing stochastic
    gradient descent", NIPS 2011.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_SLOPES, Trait.SMOOTH)
    unit: ClassVar = "epoch"

    def __init__(
        self,
        *,
        learning_rate: float | str = "auto",
        schedule: str | Schedule = "decreasing",
        n_threads: int = 2,
    ) -> None:
        self.learning_rate, self.schedule, self.n_threads = learning_rate, schedule, n_threads

    def init(self, problem: Any, w: Any, rng: Any) -> SharedState:
        if not (isinstance(self.n_threads, int) and self.n_threads >= 1):
            raise ValueError(
                f"Hogwild: n_threads={self.n_threads!r}, but it must be an integer >= 1"
            )
        model = problem.samples(w)
        if not model.elastic:
            raise ValueError(f"Hogwild: {problem.description} has a penalty that is no ridge")
        if self.learning_rate == "auto":
            bound = model.lipschitz + to_float(problem.xp.max(model.l2))
            rate = 1 / bound if bound > 0 else 1.0
        elif isinstance(self.learning_rate, int | float) and self.learning_rate > 0:
            rate = float(self.learning_rate)
        else:
            raise ValueError(
                f"Hogwild: learning_rate={self.learning_rate!r}, but it must be 'auto' or a "
                "number > 0"
            )
        first = schedule_of(self.schedule).after_epoch(rate, rate, 0, 0)
        return SharedState(w=w, model=model, rng=rng, rate=first, initial_rate=rate)

    def advance(self, problem: Problem, state: SharedState, n: int) -> Status:
        xp, m = problem.xp, state.model
        for _ in range(n):
            before = xp.asarray(m.W, copy=True)
            self._epoch(problem, state)
            moved = xp.max(xp.abs(m.W - before)) if m.W.shape[0] else 0.0
            state.indicator = moved / (state.rate * m.n)
            state.n_iter += 1
            state.n_epochs += 1
            state.rate = schedule_of(self.schedule).after_epoch(
                state.initial_rate, state.rate, state.n_iter, state.n_iter * m.n
            )
        m.write_back()
        return Status.RUNNING

    def _epoch(self, problem: Any, state: SharedState) -> None:
        m, order = state.model, state.model.draw(state.rng)
        steps = problem.kernels.serving(m.compiled).hogwild_steps
        halt = bytearray(1)
        if self.n_threads == 1:
            steps(m, order, state.rate, halt)
            return
        failed: list[BaseException] = []

        def work(part: Any) -> None:
            try:
                steps(m, part, state.rate, halt)
            except BaseException as error:  # noqa: BLE001 - raised again in the main thread
                failed.append(error)

        share = -(-order.shape[0] // self.n_threads)
        parts = [order[low : low + share] for low in range(0, order.shape[0], share)]
        threads = [threading.Thread(target=work, args=(part,)) for part in parts]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            # After an interrupt too no thread goes on writing.
            halt[0] = 1
            for thread in threads:
                if thread.is_alive():
                    thread.join()
        if failed:
            raise failed[0]
