r"""What Kronecker-factored natural gradients share: factors per layer, damping, the exact step.

Letters: V the gradient of a layer's matrix (an intercept its last row), A and G the two factors of
its Fisher matrix, :math:`\lambda` the damping, :math:`\gamma` that of the factors, :math:`\pi` how
it is shared, :math:`\Delta` the preconditioned step, :math:`\delta` the step taken.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from skopt_dl.engine import Needs, Oracle, Trait
from skopt_dl.kernels import kernels_of
from skopt_dl.kernels.generic_updates import layer_matrix, put_layer
from skopt_dl.kernels.memory import Memory, in_pieces
from skopt_dl.kernels.namespace import to_float, to_numpy
from skopt_dl.linops.kronecker import EigenSide, Side
from skopt_dl.search.schedules import Decreasing, Schedule
from skopt_dl.solvers.ratio import GOOD, POOR
from skopt_dl.solvers.stochastic.averaging import EMA
from skopt_dl.solvers.stochastic.base import StochasticSolver, StochasticState

NEEDS = Needs.of(Oracle.SAMPLE_GRAD, Oracle.KRONECKER, Trait.SMOOTH)

# Per update the damping changes by this factor at most; the paper's 19/20. It is judged every
# JUDGE updates, the damping of the factors every COMPARE.
PACE, JUDGE, COMPARE = 19 / 20, 5, 20
LEAST_DAMPING = 1e-12
# The paper's damping at the start, and what is enough for data that its statistics soon cover.
MUCH, LITTLE, MANY_SAMPLES = 150.0, 1.0, 10_000
# The part of a batch that is enough for the factors, which are means over many batches (the
# authors' 1/8), and its least size. The quadratic model of a step has all of the batch:
# on a half of it steps on classifiers diverged at a low loss.
FISHER_SHARE, LEAST_PART = 0.125, 32
# A batch whose value is so many times that of the first is at the foot of a cliff.
CLIFF = 2
# The first batches say little: the inverses are renewed at each of these updates.
EARLY = 3


@dataclass
class KroneckerState(StochasticState):
    """Adds the factors of each layer, the damping, the last step and the memory of past models.

    Attributes
    ----------
    metrics : list of Factored
        One a layer.
    blocks : list of tuple of slice, slice and int
        Coefficients and intercept of each layer, and its columns.
    model : KroneckerModel
        The Fisher matrix of the batch at hand.
    damping, gamma : float
        :math:`\\lambda` and :math:`\\gamma`.
    learnt, n_learnt : int
        The last update at which the factors learnt, and how often they have.
    last, wake : array of shape (size,), optional
        The last step; the pull of past models.
    before : array of shape (size,), optional
        The iterate before the last step.
    first, first_damping : float
        The value of the first batch, and the damping then.
    memory : Memory
        To work in.
    """

    metrics: list[Any] = field(default_factory=list)
    blocks: list[tuple[slice, slice, int]] = field(default_factory=list)
    model: Any = None
    damping: float = 1.0
    gamma: float = 0.0
    learnt: int = 0
    n_learnt: int = 0
    last: Any = None
    wake: Any = None
    before: Any = None
    first: float | None = None
    first_damping: float = 1.0
    memory: Memory = field(default_factory=Memory)


class Factored:
    """A layer's Fisher matrix as the product of two running means."""

    def __init__(self, A: Side, G: Side) -> None:
        self.A, self.G = A, G
        self.gamma: float | None = None

    def add(self, xp: Any, layer: Any, decay: float) -> None:
        """Learn from what the samples of a batch say of the layer."""
        self.A.add(layer.root * layer.a, decay)
        self.G.add(xp.reshape(layer.d, (-1, layer.d.shape[2])), decay)

    def refresh(self, rng: Any) -> None:
        """Bring the inverses up to date."""
        self.A.refresh(rng)
        self.G.refresh(rng)
        self.gamma = None

    def solve(self, xp: Any, V: Any, gamma: float) -> Any:
        """``(A + pi gamma)^-1 V (G + gamma/pi)^-1``."""
        if gamma != self.gamma:
            self._damp(xp, V.shape, gamma)
        return self.G.solve(self.A.solve(V).T).T

    def inverses(self, xp: Any, shape: tuple[int, int], gamma: float) -> tuple[Any, Any] | None:
        """The two matrices that `solve` multiplies a V of this shape by, where they are formed."""
        if gamma != self.gamma:
            self._damp(xp, shape, gamma)
        pair = self.A.inverse, self.G.inverse
        return None if pair[0] is None or pair[1] is None else pair

    def _damp(self, xp: Any, shape: tuple[int, int], gamma: float) -> None:
        a, g = self.A.trace / shape[0], self.G.trace / shape[1]
        one = xp.ones_like(a)
        ratio = a / xp.where(g > 0, g, one)
        # Without a trace on one side there is nothing to share by.
        shared = (g > 0) & (ratio > 0) & xp.isfinite(ratio)
        pi = xp.where(shared, xp.sqrt(xp.where(shared, ratio, one)), one)
        self.A.damp(pi * gamma)
        self.G.damp(gamma / pi)
        self.gamma = gamma

    def apply(self, V: Any) -> Any:
        """``A V G``: the undamped matrix times V."""
        return self.G.apply(self.A.apply(V).T).T


class EigenFactored(Factored):
    """The same with the exact second moments along the products of the eigenvectors."""

    def __init__(self, A: EigenSide, G: EigenSide) -> None:
        super().__init__(A, G)
        self.S: Any = None

    def add(self, xp: Any, layer: Any, decay: float) -> None:
        super().add(xp, layer, decay)
        if self.A.U is None:  # type: ignore[attr-defined]
            return
        self.S = self._moments(xp, layer, decay)

    def _moments(self, xp: Any, layer: Any, decay: float) -> Any:
        a = (layer.a @ self.A.U) ** 2  # type: ignore[attr-defined]
        d = xp.sum((layer.d @ self.G.U) ** 2, axis=0)  # type: ignore[attr-defined]
        new = a.T @ d
        return new if self.S is None else decay * self.S + (1 - decay) * new

    def refresh(self, rng: Any) -> None:
        super().refresh(rng)
        # In a new basis the moments start as the product of the eigenvalues, what K-FAC has there.
        self.S = self.A.D[:, None] * self.G.D  # type: ignore[attr-defined]

    def inverses(self, xp: Any, shape: tuple[int, int], gamma: float) -> None:
        return None

    def solve(self, xp: Any, V: Any, gamma: float) -> Any:
        A, G = self.A.U, self.G.U  # type: ignore[attr-defined]
        return A @ ((A.T @ V @ G) / (self.S + gamma**2)) @ G.T


class KroneckerSolver(StochasticSolver):
    """A step by the Kronecker factors of each layer. A subclass says how it stores them.

    Its constructor has the parameters of `KFAC`; one that makes no sense for it it may fix as a
    class attribute.

    Attributes
    ----------
    own_rate : float
        What ``learning_rate="auto"`` stands for where the quadratic model is not asked.
    learn_every : int
        Batches between two that the factors learn from, besides those at which they are inverted.
    wake : float, optional
        How long a past model pulls its way (`KLDWRM`); it is the decay of the factors then.
    """

    needs: ClassVar[Needs] = NEEDS
    decreases: ClassVar[Literal["never", "noise", "always"]] = "noise"
    # Steps to the minimum of a batch's model are long: a slow fall is enough.
    decreasing: ClassVar[str | Schedule] = Decreasing(power=0.5)
    by_model: ClassVar = True
    # The authors' way with the noise that is left: their decay is 0.99, of batches of thousands.
    # Of benchmarks.pass_lines autoencoder 0.8 to 0.95 save 6 of 64 passes, 0.98 saves 3.
    own_average: ClassVar = EMA(decay=0.9)
    schedule = "auto"
    own_rate: ClassVar[float] = 1.0
    # From each batch the factors are hardly better: 57 passes to the loss of benchmarks.pass_lines
    # autoencoder (mean of four seeds), and 59 from every other, in .95 of the time.
    learn_every: ClassVar[int] = 2

    damping: float | str
    refresh: int
    fisher: str
    decay: float
    wake: float | None = None

    @abstractmethod
    def _metric(self) -> Factored:
        """An empty store of the factors of one layer."""

    def _start(self, problem: Any, w: Any) -> KroneckerState:
        name, damping = type(self).__name__, self.damping
        if damping == "auto":
            damping = MUCH if problem.n_samples >= MANY_SAMPLES else LITTLE
        if not (isinstance(damping, int | float) and damping > 0):
            raise ValueError(f"{name}: damping={damping!r}, but it must be 'auto' or a number > 0")
        if self.fisher not in ("sampled", "exact"):
            raise ValueError(f"{name}: fisher={self.fisher!r}, but it must be 'sampled' or 'exact'")
        return KroneckerState(w=w, damping=float(damping))

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return self.own_rate

    def _step(self, problem: Any, state: KroneckerState, g: Any) -> None:
        self._move(problem, state, g)
        # A state is kept with the fitted model: not the batch with it.
        state.model = None

    def _move(self, problem: Any, state: KroneckerState, g: Any) -> None:
        value = to_float(state.batch[1])
        by_model = self.wake is None and self.learning_rate == "auto"
        # A linear model has no cliffs, and values of its weighted batches differ by their weights.
        if by_model and Trait.LINEAR_MODEL not in problem.traits and _fell_off(state, value):
            return
        if not math.isfinite(value):
            # Neither is the gradient, and there is no curvature: the next report ends the run.
            state.w = state.w - state.rate * g
            return
        self._learn(problem, state)
        if by_model:
            _move_by_model(problem, state, g)
        elif self.wake is not None:
            _move_in_the_wake(problem, state, g, self.wake)
        else:
            state.w += state.rate * preconditioned(problem, state, g, state.gamma)

    def _learn(self, problem: Any, state: KroneckerState) -> None:
        """Bring the factors up to date with the batch at hand, every so often their inverses."""
        k = state.n_updates
        renewed = k <= EARLY or k % self.refresh == 0
        if not (renewed or k % self.learn_every == 0):
            return
        layers = self._layers(state)
        if not state.metrics:
            state.metrics = [self._metric() for _ in layers]
            state.blocks = [(each.coef, each.intercept, each.d.shape[2]) for each in layers]
            state.gamma = math.sqrt(state.damping + state.model.ridge)
        state.n_learnt += 1
        kept = self.wake
        if kept is None:
            kept = min(1 - 1 / state.n_learnt, self.decay ** (k - state.learnt))
        state.learnt = k
        for each, layer in zip(state.metrics, layers, strict=True):
            each.add(problem.xp, layer, kept)
        if renewed:
            for each in state.metrics:
                each.refresh(state.rng)

    def _layers(self, state: KroneckerState) -> Any:
        """What the batch says of each layer, or a part of it."""
        if self.fisher != "sampled":
            return state.model.layers()
        size = state.batch[0].shape[0]
        part = max(min(size, LEAST_PART), math.ceil(FISHER_SHARE * size))
        return state.model.first(part).layers(state.rng)


def by_layer(
    problem: Any, state: KroneckerState, v: Any, act: Callable[[Any, Any], Any], out: Any = None
) -> Any:
    """``act(metric, V)`` for the matrix V of each layer, an intercept its last row; flat, in
    ``out`` or a new array."""
    out = problem.xp.empty_like(v) if out is None else out
    for metric, block in zip(state.metrics, state.blocks, strict=True):
        put_layer(act(metric, layer_matrix(v, block)), block, out)
    return out


def preconditioned(
    problem: Any, state: KroneckerState, g: Any, gamma: float, out: Any = None
) -> Any:
    """:math:`\\Delta`: minus the damped inverse times ``g``, in ``out`` or a new array."""
    xp = problem.xp
    out = xp.empty_like(g) if out is None else out
    pairs = [
        metric.inverses(xp, shape_of(block), gamma)
        for metric, block in zip(state.metrics, state.blocks, strict=True)
    ]
    if None not in pairs:
        return kernels_of(g).two_sided(g, state.blocks, pairs, -1.0, out, state.memory)
    return by_layer(problem, state, g, lambda metric, V: -metric.solve(xp, V, gamma), out)


def shape_of(block: tuple[slice, slice, int]) -> tuple[int, int]:
    """Of the matrix of a layer, an intercept its last row."""
    coef, intercept, columns = block
    return (coef.stop - coef.start) // columns + (intercept.stop > intercept.start), columns


def _move_in_the_wake(problem: Any, state: KroneckerState, g: Any, wake: float) -> None:
    """A step of the gradient and the pull of past models together."""
    pulled = g if state.wake is None else g + state.wake / state.rate
    s = state.rate * preconditioned(problem, state, pulled, state.gamma)
    if wake:
        seen = by_layer(problem, state, s, lambda metric, V: metric.apply(V))
        state.wake = wake * (seen if state.wake is None else state.wake + seen)
    state.w += s


def _fell_off(state: KroneckerState, value: float) -> bool:
    """Whether the last step led off a cliff, by the value of this batch; the state is taken back.

    The model of one batch may promise much for a step that is far too long for the others: a batch
    then is worse than the first one was by far.
    """
    if state.first is None:
        state.first, state.first_damping = value, state.damping
    if value <= CLIFF * state.first or state.before is None:
        return False
    state.w[...] = state.before
    state.last, state.mean = None, None
    state.damping = max(state.first_damping, state.damping / PACE**COMPARE)
    state.gamma = max(state.gamma, math.sqrt(state.damping))
    return True


def _move_by_model(problem: Any, state: KroneckerState, g: Any) -> None:
    xp, k, gammas = problem.xp, state.n_updates, _gammas(state, state.n_updates)
    count = len(gammas) + (state.last is not None)
    V = state.memory.array("vectors", (count, *g.shape), g)
    for i, gamma in enumerate(gammas):
        preconditioned(problem, state, g, gamma, V[i, :])
    if state.last is not None:
        V[count - 1, :] = state.last
    squares = kernels_of(V).row_products(V, V.shape[1])
    B = to_numpy(state.model.products(V) + state.damping * squares).tolist()
    c = to_numpy(-(V @ g)).tolist()
    best: Any = None
    for i, gamma in enumerate(gammas):
        found = _best_step(B, c, i, None if state.last is None else len(gammas))
        if best is None or found[0] > best[0]:
            best, new, state.gamma = found, V[i, :], gamma
    promised, a, m = best
    # Where the rate falls, a part of the way to the minimum of the model. What comes of it speaks
    # for less damping always, until single batches decide: the damping stays as it is then.
    share = state.rate / state.initial_rate
    if state.last is None:
        state.last = share * (a * new)
    else:
        in_pieces(lambda new, old: share * (a * new + m * old), state.last, new, state.last)
    judged = share == 1 and k % JUDGE == 0 and promised > 0
    before = to_float(state.model.value()) if judged else 0.0
    if state.before is None:
        state.before = xp.asarray(state.w, copy=True)
    else:
        state.before[...] = state.w
    state.w += state.last
    if judged:
        ratio = (before - to_float(state.model.value_at(state.w))) / promised
        if ratio > GOOD:
            state.damping = max(LEAST_DAMPING, PACE**JUDGE * state.damping)
        elif not ratio >= POOR:
            state.damping /= PACE**JUDGE


def _gammas(state: KroneckerState, k: int) -> list[float]:
    """The damping of the factors, with a smaller and a larger one when it is time to compare."""
    if k % COMPARE:
        return [state.gamma]
    pace, least = PACE ** (COMPARE / 2), math.sqrt(LEAST_DAMPING)
    # The smaller one is best three times out of four: what is asked last is still at hand then.
    return [state.gamma, state.gamma / pace, max(least, pace * state.gamma)]


def _best_step(
    B: list[list[float]], c: list[float], new: int, last: int | None
) -> tuple[float, float, float]:
    """What the model promises for the best combination of a new vector and of the last step, if
    there is one, and the shares of the two; B are their products, c those with minus the
    gradient."""
    if last is not None:
        determinant = B[new][new] * B[last][last] - B[new][last] * B[last][new]
        # Steps along nearly one line leave no second direction to combine with.
        if determinant > 1e-10 * B[new][new] * B[last][last]:
            a = (c[new] * B[last][last] - c[last] * B[new][last]) / determinant
            m = (c[last] * B[new][new] - c[new] * B[last][new]) / determinant
            return 0.5 * (a * c[new] + m * c[last]), a, m
    a = c[new] / B[new][new] if B[new][new] > 0 else 0.0
    return 0.5 * a * c[new], a, 0.0
