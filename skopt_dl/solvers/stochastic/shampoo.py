r"""Rules that know how the rows and the columns of a matrix's gradient vary together.

Letters: W a matrix, G its gradient on a batch, L and R sums or means of :math:`G G^T` and
:math:`G^T G`, Q orthogonal matrices, :math:`\eta` the learning rate, t the number of updates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Trait
from skopt_dl.kernels.memory import in_pieces
from skopt_dl.linops.aside import decomposed, eigh, thin_qr
from skopt_dl.search.schedules import Schedule
from skopt_dl.solvers.stochastic.adam_variants import corrections
from skopt_dl.solvers.stochastic.averaging import Average
from skopt_dl.solvers.stochastic.base import StochasticSolver, StochasticState
from skopt_dl.solvers.stochastic.matrices import the_rest
from skopt_dl.solvers.stochastic.rates import coordinate_rate, summed_rate


@dataclass
class ShampooState(StochasticState):
    """Adds, by the names of the blocks, the two sums of a matrix, what follows from them, and
    memory to work in."""

    left: dict[str, Any] = field(default_factory=dict)
    right: dict[str, Any] = field(default_factory=dict)
    left_root: dict[str, Any] = field(default_factory=dict)
    right_root: dict[str, Any] = field(default_factory=dict)
    half: dict[str, Any] = field(default_factory=dict)
    move: dict[str, Any] = field(default_factory=dict)
    r: dict[str, Any] = field(default_factory=dict)


@dataclass
class SOAPState(StochasticState):
    """Adds Adam's moments, the means of both products of a matrix, their eigenvectors, and memory
    to work in."""

    m: Any = None
    v: Any = None
    left: dict[str, Any] = field(default_factory=dict)
    right: dict[str, Any] = field(default_factory=dict)
    left_basis: dict[str, Any] = field(default_factory=dict)
    right_basis: dict[str, Any] = field(default_factory=dict)
    half: dict[str, Any] = field(default_factory=dict)
    whole: dict[str, Any] = field(default_factory=dict)
    turned: Any = None
    root: Any = None


class Shampoo(StochasticSolver):
    """Shampoo: AdaGrad with one matrix for the rows and one for the columns.

    .. math::

        L \\leftarrow L + G G^T, \\qquad R \\leftarrow R + G^T G, \\qquad
        W \\leftarrow W - \\eta L^{-1/4} G R^{-1/4}

    Needs gradients on batches of samples, a smooth objective and matrices among the parameters.

    Parameters
    ----------
    learning_rate, schedule, batch_size, shuffle, max_grad_norm, average
        As for `AdaGrad`, which moves the blocks that are no matrix. The automatic rate of a linear
        model is the root of its longer side as long: a step's singular values are about 1, not its
        coordinates.
    epsilon : float
        L and R start at this times the identity, positive; AdaGrad's epsilon too.
    refresh : int
        Updates between two computations of the roots, at least 1; as many updates at the start
        compute them each time, because a direction that the roots do not know would be overdone.

    Notes
    -----
    The sums are the paper's; later versions have running means and take the size of the step from
    another rule. Roots that are up to date leave no singular value of a step above the rate; a step
    by older ones that is longer than such a step can be is shortened to that. A linear model's
    coefficients are a matrix of a column for each output: the sums and roots have a row and a
    column for each feature, 8 GB each for 32 000 of them.

    References
    ----------
    V. Gupta, T. Koren, Y. Singer, "Shampoo: preconditioned stochastic tensor optimization", ICML
    2018.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_GRAD, Trait.SMOOTH, Trait.MATRICES)
    decreases: ClassVar = "never"

    def __init__(
        self,
        *,
        learning_rate: float | str = "auto",
        epsilon: float = 1e-6,
        refresh: int = 10,
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        shuffle: bool | str = True,
        max_grad_norm: float | None = None,
        average: str | Average | None = None,
    ) -> None:
        self.learning_rate, self.schedule = learning_rate, schedule
        self.epsilon, self.refresh = epsilon, refresh
        self.batch_size, self.shuffle = batch_size, shuffle
        self.max_grad_norm, self.average = max_grad_norm, average

    def _start(self, problem: Any, w: Any) -> ShampooState:
        if not self.epsilon > 0:
            raise ValueError(f"Shampoo: epsilon={self.epsilon!r}, but it must be positive")
        xp, state = problem.xp, ShampooState(w=w)
        for name, shape in problem.shapes.items():
            for side, n in ((state.left, shape[0]), (state.right, shape[1])):
                side[name] = self.epsilon * xp.eye(n, dtype=w.dtype, device=problem.device)
            state.left_root[name] = xp.zeros_like(state.left[name])
            state.right_root[name] = xp.zeros_like(state.right[name])
            state.half[name] = xp.zeros(shape, dtype=w.dtype, device=problem.device)
            state.move[name] = xp.zeros_like(state.half[name])
        state.r = {name: xp.zeros_like(w[part]) for name, part in the_rest(problem).items()}
        return state

    def _auto_rate(self, problem: Any, w: Any) -> float:
        rate = summed_rate(problem, w, self.batch_size)
        if Trait.LINEAR_MODEL not in problem.traits:
            return rate
        # The first step has singular values of 1: coordinates smaller than that by this factor.
        return rate * math.sqrt(max(problem.shapes["coef"]))

    def _step(self, problem: Any, state: ShampooState, g: Any) -> None:
        xp, kernels, w = problem.xp, problem.kernels, state.w
        due = state.n_updates <= self.refresh or state.n_updates % self.refresh == 0
        product = kernels.matrix_product
        for name, shape in problem.shapes.items():
            part = problem.blocks[name]
            own, G = w[part], xp.reshape(g[part], shape)
            left = product(G, G, state.left[name], turn_b=True, keep=1.0)
            right = product(G, G, state.right[name], turn_a=True, keep=1.0)
            if due:
                state.left_root[name][...] = decomposed(kernels.inverse_root, left, 4, self.epsilon)
                state.right_root[name][...] = decomposed(
                    kernels.inverse_root, right, 4, self.epsilon
                )
            half = product(state.left_root[name], G, state.half[name])
            move = xp.reshape(product(half, state.right_root[name], state.move[name]), (-1,))
            # Roots of sums that G is part of leave no singular value above 1.
            longest = math.sqrt(min(shape))
            length = xp.sqrt(move @ move)
            kernels.gradient_update(own, move, state.rate / xp.clip(length / longest, 1, None))
            w[part] = own
        for name, part in the_rest(problem).items():
            own = w[part]
            kernels.adagrad_update(own, g[part], state.r[name], state.rate, self.epsilon)
            w[part] = own


class SOAP(StochasticSolver):
    """SOAP: Adam in the eigenvectors of Shampoo's matrices.

    .. math::

        L &\\leftarrow \\beta_3 L + (1 - \\beta_3) G G^T, \\qquad
        R \\leftarrow \\beta_3 R + (1 - \\beta_3) G^T G \\\\
        M &\\leftarrow \\beta_1 M + (1 - \\beta_1) G, \\qquad
        V \\leftarrow \\beta_2 V + (1 - \\beta_2) (Q_L^T G Q_R)^2 \\\\
        W &\\leftarrow W - \\eta \\frac{\\sqrt{1 - \\beta_2^t}}{1 - \\beta_1^t}\\, Q_L
        \\frac{Q_L^T M Q_R}{\\sqrt{V} + \\varepsilon}\\, Q_R^T

    Needs gradients on batches of samples, a smooth objective and matrices among the parameters.

    Parameters
    ----------
    learning_rate, schedule, batch_size, shuffle, max_grad_norm, average
        As for `Adam`, which moves the blocks that are no matrix.
    beta_1, beta_2 : float
        Decay of the two moments, in [0, 1).
    beta_3 : float
        Decay of L and R, in [0, 1).
    epsilon : float
        Added to the root of the second moment before its correction, as in `Adam`.
    refresh : int, optional
        Updates between two steps of the eigenvectors, at least 1; ``None`` keeps the axes: Adam.

    Notes
    -----
    The eigenvectors are exact at the first update and follow by one step of orthogonal iteration,
    :math:`Q \\leftarrow \\operatorname{qr}(L Q)`. The authors' code does not move in the first
    update.

    When they turn, V is still that of the directions before, and where one of these had no slope a
    step along the new one would be thousands of times too long. The ratio of the moments is
    therefore kept within what it can be in one direction (Cauchy and Schwarz); the authors' code
    does not. Without such turns nothing changes.

    The memory is that of `Shampoo`, on a linear model too.

    References
    ----------
    N. Vyas et al., "SOAP: improving and stabilizing Shampoo using Adam", ICLR 2025.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_GRAD, Trait.SMOOTH, Trait.MATRICES)

    def __init__(
        self,
        *,
        learning_rate: float | str = "auto",
        beta_1: float = 0.95,
        beta_2: float = 0.95,
        beta_3: float = 0.95,
        epsilon: float = 1e-8,
        refresh: int | None = 10,
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        shuffle: bool | str = True,
        max_grad_norm: float | None = None,
        average: str | Average | None = None,
    ) -> None:
        self.learning_rate, self.schedule = learning_rate, schedule
        self.beta_1, self.beta_2, self.beta_3 = beta_1, beta_2, beta_3
        self.epsilon, self.refresh = epsilon, refresh
        self.batch_size, self.shuffle = batch_size, shuffle
        self.max_grad_norm, self.average = max_grad_norm, average

    def _start(self, problem: Any, w: Any) -> SOAPState:
        xp = problem.xp
        zeros = xp.zeros_like
        state = SOAPState(w=w, m=zeros(w), v=zeros(w), turned=zeros(w), root=zeros(w))
        for name, shape in problem.shapes.items():
            for side, basis, n in (
                (state.left, state.left_basis, shape[0]),
                (state.right, state.right_basis, shape[1]),
            ):
                basis[name] = xp.eye(n, dtype=w.dtype, device=problem.device)
                side[name] = xp.zeros_like(basis[name])
            state.half[name] = xp.zeros(shape, dtype=w.dtype, device=problem.device)
            state.whole[name] = xp.zeros_like(state.half[name])
        return state

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return coordinate_rate(problem, w, self.batch_size)

    def _step(self, problem: Any, state: SOAPState, g: Any) -> None:
        xp, kernels, t = problem.xp, problem.kernels, state.n_updates
        turned, root = state.turned, state.root
        if self.refresh is not None:
            for name, shape in problem.shapes.items():
                self._turn(problem, state, name, xp.reshape(g[problem.blocks[name]], shape))
        kernels.mean_update(state.m, g, self.beta_1)
        self._rotate(problem, state, g, into=True)
        turned *= turned
        kernels.mean_update(state.v, turned, self.beta_2)
        self._rotate(problem, state, state.m, into=True)
        root[...] = state.v
        root **= 0.5
        # Where there was no slope so far it is 0/0, which is no move.
        root += max(self.epsilon, float(xp.finfo(g.dtype).smallest_normal))
        turned /= root
        # Second moments of other directions, from before the eigenvectors turned, may be far
        # smaller than those of these: no ratio of moments of one direction is larger than this.
        most = _largest_ratio(self.beta_1, self.beta_2, t)
        in_pieces(lambda part: xp.clip(part, -most, most), turned, turned)
        self._rotate(problem, state, turned, into=False)
        step = state.rate * corrections(self.beta_1, self.beta_2, t)
        kernels.gradient_update(state.w, turned, step)

    def _rotate(self, problem: Any, state: SOAPState, flat: Any, *, into: bool) -> None:
        """``flat`` in the eigenvectors of each matrix, or out of them, in ``state.turned``."""
        xp, product, turned = problem.xp, problem.kernels.matrix_product, state.turned
        if turned is not flat:
            turned[...] = flat
        for name, shape in problem.shapes.items():
            part = problem.blocks[name]
            G = xp.reshape(flat[part], shape)
            half = product(state.left_basis[name], G, state.half[name], turn_a=into)
            whole = product(half, state.right_basis[name], state.whole[name], turn_b=not into)
            turned[part] = xp.reshape(whole, (-1,))

    def _turn(self, problem: Any, state: SOAPState, name: str, G: Any) -> None:
        """Both means of a matrix and, where it is time, their eigenvectors."""
        first, keep = state.n_updates == 1, self.beta_3
        for side, basis, turn in (
            (state.left, state.left_basis, {"turn_b": True}),
            (state.right, state.right_basis, {"turn_a": True}),
        ):
            problem.kernels.matrix_product(G, G, side[name], **turn, share=1 - keep, keep=keep)
            if first:
                basis[name][...] = eigh(side[name])[1]
            elif (state.n_updates - 1) % self.refresh == 0:  # type: ignore[operator]
                basis[name][...] = thin_qr(side[name] @ basis[name])[0]


def _largest_ratio(beta_1: float, beta_2: float, t: int) -> float:
    """What ``|m| / sqrt(v)`` is at most after t updates, by Cauchy and Schwarz."""
    if beta_2 == 0:
        return math.inf
    q = beta_1**2 / beta_2
    powers = float(t) if q == 1 else (1 - q**t) / (1 - q)
    return (1 - beta_1) * math.sqrt(powers / (1 - beta_2))
