r"""Rules that know how the rows and the columns of a matrix's gradient vary together.

Letters: W a matrix, G its gradient on a batch, L and R sums or means of :math:`G G^T` and
:math:`G^T G`, Q orthogonal matrices, :math:`\eta` the learning rate, t the number of updates.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Trait
from skopt_dl.search.schedules import Schedule
from skopt_dl.solvers.stochastic.adam_variants import corrections
from skopt_dl.solvers.stochastic.averaging import Average
from skopt_dl.solvers.stochastic.base import StochasticSolver, StochasticState
from skopt_dl.solvers.stochastic.matrices import on_matrices, the_rest
from skopt_dl.solvers.stochastic.rates import coordinate_rate, summed_rate


@dataclass
class ShampooState(StochasticState):
    """Adds, by the names of the blocks, the two sums of a matrix and what follows from them."""

    left: dict[str, Any] = field(default_factory=dict)
    right: dict[str, Any] = field(default_factory=dict)
    left_root: dict[str, Any] = field(default_factory=dict)
    right_root: dict[str, Any] = field(default_factory=dict)
    r: dict[str, Any] = field(default_factory=dict)


@dataclass
class SOAPState(StochasticState):
    """Adds Adam's moments, the means of both products of a matrix, and their eigenvectors."""

    m: Any = None
    v: Any = None
    left: dict[str, Any] = field(default_factory=dict)
    right: dict[str, Any] = field(default_factory=dict)
    left_basis: dict[str, Any] = field(default_factory=dict)
    right_basis: dict[str, Any] = field(default_factory=dict)


class Shampoo(StochasticSolver):
    """Shampoo: AdaGrad with one matrix for the rows and one for the columns.

    .. math::

        L \\leftarrow L + G G^T, \\qquad R \\leftarrow R + G^T G, \\qquad
        W \\leftarrow W - \\eta L^{-1/4} G R^{-1/4}

    Needs gradients on batches of samples, a smooth objective and matrices among the parameters.

    Parameters
    ----------
    learning_rate, schedule, batch_size, shuffle, max_grad_norm, average
        As for `AdaGrad`, which moves the blocks that are no matrix.
    epsilon : float
        L and R start at this times the identity, positive; AdaGrad's epsilon too.
    refresh : int
        Updates between two computations of the roots, at least 1; as many updates at the start
        compute them each time, because a direction that the roots do not know would be overdone.

    Notes
    -----
    The sums are the paper's; later versions have running means and take the size of the step from
    another rule.

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
        state.r = {name: xp.zeros_like(w[part]) for name, part in the_rest(problem).items()}
        return state

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return summed_rate(problem, w, self.batch_size)

    def _step(self, problem: Any, state: ShampooState, g: Any) -> None:
        kernels, w = problem.kernels, state.w
        due = state.n_updates <= self.refresh or state.n_updates % self.refresh == 0

        def precondition(name: str, G: Any) -> Any:
            state.left[name] = state.left[name] + G @ G.T
            state.right[name] = state.right[name] + G.T @ G
            if due:
                state.left_root[name] = kernels.inverse_root(state.left[name], 4, self.epsilon)
                state.right_root[name] = kernels.inverse_root(state.right[name], 4, self.epsilon)
            return state.left_root[name] @ G @ state.right_root[name]

        move = on_matrices(problem, g, precondition)
        for name in problem.shapes:
            part = problem.blocks[name]
            w[part] -= state.rate * move[part]
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
        state = SOAPState(w=w, m=xp.zeros_like(w), v=xp.zeros_like(w))
        for name, shape in problem.shapes.items():
            for side, basis, n in (
                (state.left, state.left_basis, shape[0]),
                (state.right, state.right_basis, shape[1]),
            ):
                basis[name] = xp.eye(n, dtype=w.dtype, device=problem.device)
                side[name] = xp.zeros_like(basis[name])
        return state

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return coordinate_rate(problem, w, self.batch_size)

    def _step(self, problem: Any, state: SOAPState, g: Any) -> None:
        kernels, t = problem.kernels, state.n_updates
        if self.refresh is not None:
            on_matrices(problem, g, lambda name, G: self._turn(problem, state, name, G))

        def into(name: str, G: Any) -> Any:
            return state.left_basis[name].T @ G @ state.right_basis[name]

        def out_of(name: str, G: Any) -> Any:
            return state.left_basis[name] @ G @ state.right_basis[name].T

        turned = on_matrices(problem, g, into)
        kernels.mean_update(state.m, g, self.beta_1)
        kernels.mean_update(state.v, turned * turned, self.beta_2)
        scaled = kernels.over_root(on_matrices(problem, state.m, into), state.v, self.epsilon)
        step = state.rate * corrections(self.beta_1, self.beta_2, t)
        state.w -= step * on_matrices(problem, scaled, out_of)

    def _turn(self, problem: Any, state: SOAPState, name: str, G: Any) -> Any:
        """Both means of a matrix and, where it is time, their eigenvectors."""
        linalg, first = problem.xp.linalg, state.n_updates == 1
        for side, basis, product in (
            (state.left, state.left_basis, G @ G.T),
            (state.right, state.right_basis, G.T @ G),
        ):
            side[name] = self.beta_3 * side[name] + (1 - self.beta_3) * product
            if first:
                basis[name] = linalg.eigh(side[name])[1]
            elif (state.n_updates - 1) % self.refresh == 0:  # type: ignore[operator]
                basis[name] = linalg.qr(side[name] @ basis[name])[0]
        return G
