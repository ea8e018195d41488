r"""TONGA: natural gradients by the low-rank covariance of the gradients seen.

Letters: w the iterate, g the gradient on a batch, X the kept gradients as columns, C their
covariance, :math:`\lambda` the ridge, :math:`\eta` the learning rate.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Trait
from skopt_dl.search.schedules import Schedule
from skopt_dl.solvers.stochastic.averaging import Average
from skopt_dl.solvers.stochastic.base import StochasticSolver, StochasticState
from skopt_dl.solvers.stochastic.metrics import stable_length


@dataclass
class TongaState(StochasticState):
    """Adds the kept columns of each block, and the length of a step in their metric."""

    length: float = 1.0
    fresh_epoch: int = -1
    columns: dict[str, Any] = field(default_factory=dict)


class TONGA(StochasticSolver):
    """Topmoumoute online natural gradient: the covariance of the gradients, of low rank.

    .. math::

        C \\leftarrow \\gamma C + g g', \\qquad
        w \\leftarrow w - \\eta\\,\\lambda\\,(C + \\lambda I)^{-1} g

    block by block, with :math:`\\lambda` the ``regularization`` times the largest eigenvalue of C.

    Needs gradients on batches of samples and a smooth objective.

    Parameters
    ----------
    learning_rate : float or "auto"
        "auto" is half of what the steepest direction of a batch allows in the metric, found anew
        once an epoch.
    rank : int
        Columns that are left after a cut, at least 1.
    pending : int
        Gradients that are added before the next cut, at least 1.
    decay : float
        :math:`\\gamma`, in [0, 1).
    regularization : float
        :math:`\\lambda` relative to the largest eigenvalue of C, positive.
    schedule, batch_size, shuffle, max_grad_norm, average
        As for `SGD`.

    Notes
    -----
    The covariance is uncentred, as in the paper: near the optimum it is the empirical Fisher
    matrix. :math:`(C + \\lambda I)^{-1} g` is found by Woodbury's identity from the Gram matrix of
    the columns; a cut keeps its largest eigenvectors.

    References
    ----------
    N. Le Roux, P.-A. Manzagol, Y. Bengio, "Topmoumoute online natural gradient algorithm", NIPS
    2008.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SAMPLE_GRAD, Trait.SMOOTH)

    def __init__(
        self,
        *,
        learning_rate: float | str = "auto",
        rank: int = 10,
        pending: int = 20,
        decay: float = 0.995,
        regularization: float = 0.1,
        schedule: str | Schedule = "auto",
        batch_size: int | str = "auto",
        shuffle: bool = True,
        max_grad_norm: float | None = None,
        average: str | Average | None = None,
    ) -> None:
        self.learning_rate, self.schedule = learning_rate, schedule
        self.rank, self.pending = rank, pending
        self.decay, self.regularization = decay, regularization
        self.batch_size, self.shuffle = batch_size, shuffle
        self.max_grad_norm, self.average = max_grad_norm, average

    def _start(self, problem: Any, w: Any) -> TongaState:
        return TongaState(w=w)

    def _auto_rate(self, problem: Any, w: Any) -> float:
        return 1.0

    def _step(self, problem: Any, state: TongaState, g: Any) -> None:
        xp = problem.xp
        g = xp.asarray(g, copy=True)
        for name, part in problem.blocks.items():
            if g[part].shape[0]:
                state.columns[name] = self._columns(xp, state.columns.get(name), g[part])
        if self.learning_rate == "auto" and state.fresh_epoch != state.n_iter:
            state.fresh_epoch = state.n_iter
            state.length = stable_length(
                problem, state.w, state.batch[0], lambda v: self._natural(problem, state, v)
            )
        state.w = state.w - (state.rate * state.length) * self._natural(problem, state, g)

    def _columns(self, xp: Any, X: Any, g: Any) -> Any:
        """The columns with ``g`` behind them; cut to the rank where they have become too many."""
        if X is None:
            return g[:, None]
        X = xp.concat([self.decay**0.5 * X, g[:, None]], axis=1)
        if X.shape[1] > self.rank + self.pending:
            _, S = xp.linalg.eigh(X.T @ X)
            X = X @ S[:, -self.rank :]
        return X

    def _natural(self, problem: Any, state: TongaState, g: Any) -> Any:
        """``lambda (C + lambda)^-1 g``, block by block."""
        xp, out = problem.xp, problem.xp.asarray(g, copy=True)
        for name, X in state.columns.items():
            part = problem.blocks[name]
            gram = X.T @ X
            top = xp.linalg.eigvalsh(gram)[-1]
            ridge = self.regularization * xp.where(top > 0, top, xp.ones_like(top))
            eye = xp.eye(gram.shape[0], dtype=gram.dtype, device=gram.device)
            known = xp.linalg.solve(gram + ridge * eye, (X.T @ g[part])[:, None])
            out[part] = g[part] - X @ known[:, 0]
        return out
