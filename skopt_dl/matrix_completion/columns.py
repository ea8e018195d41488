"""What a fit knows of the columns, and how rows are completed from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from skopt_dl.kernels.namespace import namespace_of
from skopt_dl.matrix_completion.observed import ObservedMatrix
from skopt_dl.matrix_completion.posterior import PosteriorProblem
from skopt_dl.matrix_completion.problem import FactorProblem
from skopt_dl.matrix_completion.robust import RobustLoss


@dataclass(frozen=True)
class Rows:
    """Parameters of rows beside those of the columns: the model is ``left right'``.

    Attributes
    ----------
    P : array of shape (m, kp)
        ``[U | a]``.
    spread : array of shape (m, kp) or None
        Variances of P, where the model has them.
    left, right : arrays
        Factors with columns of ones.
    left_spread : array or None
        Variances of the left ones.
    """

    P: Any
    spread: Any
    left: Any
    right: Any
    left_spread: Any


@dataclass(frozen=True)
class Columns:
    """The columns' parameters and what binds those of a row.

    Attributes
    ----------
    Q : array of shape (n, kq)
        ``[V | c]``.
    k : int
        Number of components.
    bias : {False, "rows", "cols", "both"}
    mean : float
        Constant of the model, also without biases the answer where nothing else is known.
    weight : array of shape (n,)
        Sum of the weights of each column's entries, zero for one without.
    scale : array of shape (n,)
        Unit of each column.
    alpha : float
        Penalty per entry; without meaning where there is a posterior.
    constant : float or None
        Weight of the penalty of each row, where it is not the sum of its entries' weights.
    positive : bool
        Whether rows have non-negative parameters.
    robust : RobustLoss or None
        Loss of the residuals, where it is not squared.
    spread, tau, gamma, delta : arrays or None
        Variances of Q, precisions of the noise and of the rows' and the columns' priors.
    mu, nu : arrays or None
        Means of these priors.
    eta : array or None
        Degrees of freedom of the rows' noise, where each has its own.
    draws : tuple of arrays or None
        Q, tau, gamma, mu (and eta) of draws, stacked, where these stand for the posterior.
    """

    Q: Any
    k: int
    bias: Any
    mean: float
    weight: Any
    scale: Any
    alpha: float
    constant: float | None = None
    positive: bool = False
    robust: RobustLoss | None = None
    spread: Any = None
    tau: Any = None
    gamma: Any = None
    delta: Any = None
    mu: Any = None
    nu: Any = None
    eta: Any = None
    draws: Any = None

    @property
    def seen(self) -> Any:
        """Which columns have an entry."""
        return self.weight > 0

    def fold_in(self, observed: ObservedMatrix, copies: Any = None) -> Rows:
        """The parameters of rows, each from its own entries (in units of the columns).

        ``copies`` says how often each row is given, where its weights are as many times larger.
        """
        if self.tau is None:
            constants = None if self.constant is None else (self.constant, 1.0)
            problem = FactorProblem(
                self.centred(observed),
                self.k,
                self.alpha,
                constants=constants,
                positive=self.positive,
                robust=self.robust,
                **biases(self.bias),
            )
            Q = problem.xp.astype(self.Q, observed.dtype)
            w = problem.from_cols(Q)
            return Rows(problem.unpack(w)[0], None, *problem.factors(w), None)
        arrays = self.Q, self.spread, self.tau, self.gamma, self.mu
        own = () if self.eta is None else (self.eta,)
        return self._posterior_rows(observed, *arrays, *own, copies=copies)

    def _posterior_rows(self, observed: Any, *arrays: Any, copies: Any = None) -> Rows:
        problem = PosteriorProblem(
            self.centred(observed), self.k, row_copies=copies, **biases(self.bias)
        )
        astype = problem.xp.astype
        return Rows(*problem.rows_given(*(astype(a, observed.dtype) for a in arrays)))

    def models(self, observed: ObservedMatrix) -> Iterator[Rows]:
        """The models whose mean is the answer: one, or one for each draw."""
        if self.draws is None:
            yield self.fold_in(observed)
            return
        zeros = namespace_of(self.Q).zeros_like(self.Q)
        Q, *scales = self.draws
        for d in range(Q.shape[0]):
            given = (a[d, :] for a in scales)
            yield self._posterior_rows(observed, Q[d, :, :], zeros, *given)

    def answer(self, observed: ObservedMatrix, of: Any) -> Any:
        """Mean of the model, where ``of(L, R)`` gives the values of ``L R'``.

        Where row or column is without entries in a model without biases or priors: the mean.
        """
        xp, count = observed.xp, 0
        answer: Any = None
        for rows in self.models(observed):
            value, count = of(rows.left, rows.right), count + 1
            answer = value if answer is None else answer + value
        if count > 1:
            answer = answer / count
        # A full array more is as long as the product: only what changes something is done.
        known, seen = observed.row_weight > 0, self.seen
        if self.bias:
            answer += self.mean
        elif self.tau is None and not bool(xp.all(known) & xp.all(seen)):
            both = of(*(xp.astype(a, observed.dtype)[:, None] for a in (known, seen)))
            answer = xp.where(both > 0, answer, xp.full_like(answer, self.mean))
        if bool(xp.any(self.scale != 1)):
            ones = xp.ones((observed.shape[0], 1), dtype=observed.dtype, device=observed.device)
            answer *= of(ones, xp.astype(self.scale, observed.dtype)[:, None])
        return answer

    def centred(self, observed: ObservedMatrix) -> ObservedMatrix:
        """Entries without the constant of a model with biases."""
        return observed.shifted(self.mean) if self.bias else observed

    def in_units(self, observed: ObservedMatrix) -> ObservedMatrix:
        """Entries divided by the units of their columns."""
        return observed.divided(observed.xp.astype(self.scale, observed.dtype))


def biases(bias: Any) -> dict[str, Any]:
    """The parameter ``fit_bias`` as the problems take it."""
    return {"row_bias": bias in ("rows", "both"), "col_bias": bias in ("cols", "both")}
