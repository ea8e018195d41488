r"""Variance-reduced stochastic gradients for linear models: SAGA, SVRG and SAG.

All keep a slope of every sample and the average gradient that these slopes stand for; SAGA and SAG
the last one seen, SVRG the one at a snapshot.
Letters: w the point, i the sample drawn, s and t its slope now and in the table, a the average.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Problem, Solver, State, Status, Trait


@dataclass
class SampleState(State):
    """Adds the sample model, which holds the table of slopes, and the random generator."""

    model: Any = None
    rng: Any = None


def _start(problem: Any, w: Any, rng: Any, rate: Callable[[Any], float]) -> SampleState:
    # The table starts at the slopes of w, one pass: a start at the optimum stays there.
    model = problem.samples(w)
    model.set_step(rate(model))
    return SampleState(w=w, model=model, rng=rng, n_epochs=1.0)


def _over(bound: float) -> float:
    return 1 / bound if bound > 0 else 1.0


def _epochs(
    problem: Problem, state: SampleState, sweep: Any, rate: Callable[[Any], float], n: int
) -> Status:
    """Up to ``n`` epochs; the indicator is the mean length of a step over the last one."""
    xp, m = problem.xp, state.model
    m.refresh()
    if m.remeasure():
        m.set_step(rate(m))
        state.n_epochs += 1
    for _ in range(n):
        before, before_b = xp.asarray(m.W, copy=True), xp.asarray(m.b, copy=True)
        sweep(m.draw(state.rng))
        state.n_iter += 1
        state.n_epochs += 1
        moved = xp.max(xp.abs(xp.concat([m.W - before, (m.b - before_b)[None, :]])))
        state.indicator = moved / (m.step * m.n)
        if state.indicator <= state.target:
            break
    m.write_back()
    return Status.RUNNING


class SAGA(Solver):
    """SAGA: unbiased variance-reduced steps with a prox.

    .. math::

        v = w - \\gamma\\Big(\\frac{(s - t)\\, x_i}{n q_i} + a\\Big), \\qquad
        a \\leftarrow a + \\frac{s - t}{n}\\, x_i, \\qquad
        w \\leftarrow \\operatorname{prox}_{\\gamma\\Omega}(v)

    Needs one slope per sample of a linear model, a prox of the penalty and a convex objective. An
    elastic-net penalty on sparse data costs the nonzeros of the row per step.

    Notes
    -----
    An epoch is n steps on independent draws (with replacement). Draws are even, ``q_i = 1/n``;
    where the largest Lipschitz constant :math:`L_i` exceeds four times their mean, half of them are
    proportional to :math:`L_i`, which makes up for rows of very different length. The step is
    :math:`\\gamma = 1/(3L)` with :math:`L = \\max_i L_i / (n q_i)`, and :math:`1/(5L)` for the
    sparse form below: the constants of the proofs.

    :math:`L_i` comes from the loss's bound of its curvature, which long rows are far below: their
    predictions are large and certain. So where rows are unlike, every ten epochs a pass looks at
    the curvatures; if none has changed by more than a factor of two since the last look, twice the
    present ones stand in for the bound until the next (benchmarks/row_norms.py).

    On sparse rows with a penalty of single coordinates the average and the prox act on the columns
    of the row alone, each weighted by one over the probability that a draw touches it; that keeps
    the step unbiased at a cost of the nonzeros (Pedregosa et al.). scikit-learn instead replays the
    missed steps of a column, and scales the intercept's step on sparse data by 0.01; here it is a
    coordinate as any other. The table starts at the true slopes of the starting point, not at 0.

    References
    ----------
    A. Defazio, F. Bach, S. Lacoste-Julien, "SAGA: a fast incremental gradient method with support
    for non-strongly convex composite objectives", NIPS 2014; M. Schmidt et al., "Non-uniform
    stochastic average gradient method for training conditional random fields", AISTATS 2015;
    F. Pedregosa, R. Leblond, S. Lacoste-Julien, "Breaking the nonsmooth barrier: a scalable
    parallel method for composite optimization", NIPS 2017.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_SLOPES, Oracle.PROX, Trait.CONVEX)
    unit: ClassVar = "epoch"
    chunk: ClassVar[int] = 10

    def init(self, problem: Problem, w: Any, rng: Any) -> SampleState:
        return _start(problem, w, rng, self._rate)

    def _rate(self, model: Any) -> float:
        return _over((5 if model.gaps else 3) * model.lipschitz)

    def advance(self, problem: Problem, state: SampleState, n: int) -> Status:
        return _epochs(problem, state, state.model.saga, self._rate, n)


class SVRG(Solver):
    """SVRG: unbiased steps corrected by the gradient at a snapshot, with a prox.

    .. math::

        w \\leftarrow \\operatorname{prox}_{\\gamma\\Omega}\\Big(w - \\gamma\\Big(
        \\frac{(s - \\tilde s)\\, x_i}{n q_i} + \\tilde g\\Big)\\Big)

    with the slopes :math:`\\tilde s` and the gradient :math:`\\tilde g` of the loss at the snapshot
    :math:`\\tilde w`, which is renewed every ``snapshot_every`` epochs.

    Needs one slope per sample of a linear model, a prox of the penalty and a convex objective.

    Parameters
    ----------
    snapshot_every : int
        Epochs of n steps between two snapshots. A snapshot is a pass of its own: it counts in the
        report's epochs, not in its iterations.

    Notes
    -----
    Draws and sparse rows as in `SAGA`. The step is :math:`\\gamma = 1/(4L)`, and :math:`1/(5L)` for
    the sparse form. The slopes at the snapshot are kept, one a sample and output, so that no step
    asks for two gradients; the next snapshot is the last point.

    References
    ----------
    R. Johnson, T. Zhang, "Accelerating stochastic gradient descent using predictive variance
    reduction", NIPS 2013; L. Xiao, T. Zhang, "A proximal stochastic gradient method with
    progressive variance reduction", SIAM J. Optim. 24 (2014).
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_SLOPES, Oracle.PROX, Trait.CONVEX)
    unit: ClassVar = "epoch"
    chunk: ClassVar[int] = 10

    def __init__(self, *, snapshot_every: int = 2) -> None:
        self.snapshot_every = snapshot_every

    def init(self, problem: Problem, w: Any, rng: Any) -> SampleState:
        if self.snapshot_every < 1:
            raise ValueError(
                f"SVRG: snapshot_every={self.snapshot_every!r}, but it must be at least 1"
            )
        return _start(problem, w, rng, self._rate)

    def _rate(self, model: Any) -> float:
        return _over((5 if model.gaps else 4) * model.lipschitz)

    def advance(self, problem: Problem, state: SampleState, n: int) -> Status:
        def sweep(order: Any) -> None:
            # The model comes with the slopes at the start.
            if state.n_iter and state.n_iter % self.snapshot_every == 0:
                state.model.snapshot()
                state.n_epochs += 1
            state.model.svrg(order)

        return _epochs(problem, state, sweep, self._rate, n)


class SAG(Solver):
    """SAG: steps along the average of the last gradients seen of all samples.

    .. math::

        a \\leftarrow a + \\frac{s - t}{n}\\, x_i, \\qquad
        w \\leftarrow w - \\gamma\\big(a + \\nabla\\Omega(w)\\big)

    Needs one slope per sample of a linear model and a smooth objective.

    Notes
    -----
    Draws and table as in `SAGA`. The step is :math:`\\gamma = 1/(L + L_\\Omega)` with
    :math:`L = \\max_i L_i / (n q_i)` and the Lipschitz constant of the penalty's gradient, the
    step that Schmidt et al. recommend in practice; their proof covers a sixteenth of it. The
    penalty's gradient is taken exactly in every step. On sparse rows the steps that a column missed
    are made up, in closed form, when a row touches it, so a step costs the nonzeros of the row.

    References
    ----------
    M. Schmidt, N. Le Roux, F. Bach, "Minimizing finite sums with the stochastic average gradient",
    Math. Program. 162 (2017).
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_SLOPES, Trait.SMOOTH)
    unit: ClassVar = "epoch"
    chunk: ClassVar[int] = 10

    def init(self, problem: Problem, w: Any, rng: Any) -> SampleState:
        return _start(problem, w, rng, self._rate)

    def _rate(self, model: Any) -> float:
        return _over(model.lipschitz + model.penalty_lipschitz())

    def advance(self, problem: Problem, state: SampleState, n: int) -> Status:
        return _epochs(problem, state, state.model.sag, self._rate, n)
