r"""A learning rate for each parameter, from the noise and the curvature that it sees.

Letters: w the iterate, g the gradient on a batch, h the diagonal curvature there; a bar marks a
running mean, :math:`\tau` its length.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Trait
from skopt_dl.kernels.memory import Memory, in_pieces
from skopt_dl.solvers.stochastic.averaging import Average
from skopt_dl.solvers.stochastic.base import StochasticSolver, StochasticState
from skopt_dl.solvers.stochastic.ranges import is_number
from skopt_dl.solvers.stochastic.sampling import batch_size, probe


@dataclass
class OwnRatesState(StochasticState):
    """Adds the running means of gradient, square and curvature, their lengths, and memory to work
    in."""

    g: Any = None
    v: Any = None
    h: Any = None
    tau: Any = None
    memory: Memory = field(default_factory=Memory)


class VSGD(StochasticSolver):
    """vSGD-l, "no more pesky learning rates": each parameter has the rate of least expected loss.

    .. math::

        \\bar g &\\leftarrow (1 - \\tau^{-1}) \\bar g + \\tau^{-1} g, \\qquad
        \\bar v, \\bar h \\text{ alike of } g^2 \\text{ and } h \\\\
        \\eta &= \\frac{\\bar g^2}{\\bar h\\, \\bar v}, \\qquad
        \\tau \\leftarrow \\Big(1 - \\frac{\\bar g^2}{\\bar v}\\Big) \\tau + 1, \\qquad
        w \\leftarrow w - \\eta g

    Needs values, gradients, diagonal curvatures and Hessian products on batches of samples, and
    a smooth objective.

    Parameters
    ----------
    batch_size, shuffle, average
        As for `SGD`. There is no rate and no schedule.
    n_start : int
        Batches of evenly spaced samples from which the means begin, at least 1.
    caution : float or "auto"
        What the first means of square and curvature are multiplied by, at least 1, because few
        batches may miss both; it is forgotten as the means move. "auto" is a tenth of the number of
        parameters, as in the paper, and at least 1.
    guard : bool
        Shorten a step that would overshoot on its own batch, where parameters are coupled.

    Notes
    -----
    On a noisy parabola the rate is the optimal one: the inverse of the curvature where the gradient
    is all signal, and less by the share of noise in its square. An update costs a pass for the
    curvatures besides the gradient.

    The rates know nothing of each other, and the steps of many parameters that say the same may add
    up to far too long a one. The guard, which the paper does not have, multiplies the step d by
    :math:`\\min(1, -g^T d / d^T H d)`, with the curvature of the batch along d, from one Hessian
    product. If the batch's value rises by r all the same, it multiplies it once more, by
    :math:`-g^T d / 2(r - g^T d)`, as on the parabola through both values, and no step is taken if
    that does not help. Where parameters are not coupled and the loss is a parabola both are 1,
    because no rate exceeds the inverse curvature.

    The paper's first look at the data is part of its first epoch; here it is taken before.

    References
    ----------
    T. Schaul, S. Zhang, Y. LeCun, "No more pesky learning rates", ICML 2013.
    """

    needs: ClassVar[Needs] = Needs.of(
        Oracle.SAMPLE_GRAD,
        Oracle.SAMPLE_VALUE,
        Oracle.SAMPLE_CURVATURE,
        Oracle.SAMPLE_HVP,
        Trait.SMOOTH,
    )
    learning_rate = "auto"
    schedule = "constant"

    def __init__(
        self,
        *,
        n_start: int = 10,
        caution: float | str = "auto",
        guard: bool = True,
        batch_size: int | str = "auto",
        shuffle: bool | str = True,
        average: str | Average | None = None,
    ) -> None:
        self.n_start, self.caution, self.guard = n_start, caution, guard
        self.batch_size, self.shuffle, self.average = batch_size, shuffle, average

    def _start(self, problem: Any, w: Any) -> OwnRatesState:
        xp, caution = problem.xp, self.caution
        looks = probe(problem, batch_size(self.batch_size, problem.n_samples), self.n_start)
        if caution == "auto":
            caution = max(1.0, problem.size / 10)
        elif not (is_number(caution) and caution >= 1):  # type: ignore[operator]
            raise ValueError(f"VSGD: caution={caution!r}, but it must be 'auto' or a number >= 1")
        g, v, h = xp.zeros_like(w), xp.zeros_like(w), xp.zeros_like(w)
        for index in looks:
            there = problem.sample_grad(w, index)[1]
            g += there / len(looks)
            v += there * there / len(looks)
            h += problem.sample_curvature(w, index) / len(looks)
        tau = xp.full_like(w, float(len(looks)))
        return OwnRatesState(w=w, g=g, v=caution * v, h=caution * h, tau=tau)

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return 1.0

    def _step(self, problem: Any, state: OwnRatesState, g: Any) -> None:
        xp, memory = problem.xp, state.memory
        # The problem overwrites its gradient with the next one.
        g = memory.copied("gradient", g)
        h = problem.sample_curvature(state.w, state.batch[0], memory=memory)
        in_pieces(_mean, state.g, state.g, g, state.tau)
        in_pieces(lambda v, g, tau: _mean(v, g * g, tau), state.v, state.v, g, state.tau)
        in_pieces(_mean, state.h, state.h, h, state.tau)
        # One over what is smaller than this is infinite.
        least = xp.finfo(g.dtype).smallest_normal

        def signal(g: Any, v: Any) -> Any:
            seen, one = v > least, xp.ones_like(v)
            return g * g / xp.where(seen, v, one)

        def move(clear: Any, v: Any, h: Any, g: Any) -> Any:
            bent, one = h > least, xp.ones_like(h)
            return -xp.where((v > least) & bent, clear / xp.where(bent, h, one), 0 * one) * g

        clear = in_pieces(signal, memory.array("clear", g.shape, g), state.g, state.v)
        d = in_pieces(move, memory.array("move", g.shape, g), clear, state.v, state.h, g)
        share = self._allowed(problem, state, g, d) if self.guard else 1.0
        problem.kernels.gradient_update(state.w, d, -share)
        # A clear signal shortens the memory to one gradient, which is the shortest there is.
        in_pieces(
            lambda tau, clear: tau * (1 - xp.clip(clear, None, 1.0)) + 1,
            state.tau,
            state.tau,
            clear,
        )

    @staticmethod
    def _allowed(problem: Any, state: OwnRatesState, g: Any, d: Any) -> Any:
        """The share of ``d`` that goes no further than the least value of the batch along it."""
        xp, (index, value) = problem.xp, state.batch
        bend = d @ problem.sample_hvp(state.w, index, memory=state.memory)(d)
        fall = -(g @ d)
        one = xp.ones_like(fall)
        share = xp.where(bend > fall, fall / xp.where(bend > fall, bend, one), one)
        # Curvature says nothing of what lies behind a plateau; there the value at the end does.
        there = state.memory.array("there", d.shape, d)
        for _ in range(2):
            problem.kernels.shifted(state.w, d, share, there)
            rise = problem.sample_value(there, index) - value
            worse, promised = rise > 0, share * fall
            least = promised / xp.where(worse, 2 * (rise + promised), one)
            share = xp.where(worse, least * share, share)
        return xp.where(worse | ~xp.isfinite(rise), 0 * one, share)


def _mean(mean: Any, new: Any, length: Any) -> Any:
    """The running mean of this length with a new value."""
    return mean + (new - mean) / length
