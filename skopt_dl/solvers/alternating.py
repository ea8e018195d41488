r"""Alternating minimisation: exact minimisation over one block of parameters after the other."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Problem, Solver, State, Status
from skopt_dl.kernels.namespace import to_float

# Momentum at first, its growth after a turn that lowers the objective, that of its limit, and what
# divides it after one that does not. Growths from 1.05 to 1.2 need about as many turns.
FIRST, GROWS, LIMIT_GROWS, SHRINKS = 0.5, 1.1, 1.05, 1.5


@dataclass
class AlternatingState(State):
    """Adds, for turns with momentum, the point beyond, the momentum, its limit and the value."""

    beyond: Any = None
    beta: float = FIRST
    limit: float = 1.0
    value: float = float("inf")


class AlternatingSolver(Solver):
    """A turn through all blocks, last named first. A subclass says how a block is minimised."""

    default_max_iter: ClassVar[int] = 1000

    def __init__(self) -> None:
        pass

    def init(self, problem: Problem, w: Any, rng: Any) -> AlternatingState:
        return AlternatingState(w=w)

    def advance(self, problem: Problem, state: AlternatingState, n: int) -> Status:
        xp = problem.xp
        before = state.w
        for _ in range(n):
            before = xp.asarray(state.w, copy=True)
            self._step(problem, state)
            state.n_iter += 1
            state.n_epochs += 1.0
        size = xp.max(xp.abs(state.w))
        change = xp.max(xp.abs(state.w - before))
        state.indicator = change / xp.where(size > 0, size, xp.ones_like(size))
        return Status.RUNNING

    def _step(self, problem: Problem, state: AlternatingState) -> None:
        """One turn from the state's point."""
        self._turn(problem, state.w)

    def _turn(self, problem: Any, w: Any) -> None:
        """All blocks in place, from the best of the equivalent points."""
        if hasattr(problem, "balance"):
            problem.balance(w)
        for block in reversed(list(problem.blocks)):
            self._minimise(problem, w, block)

    @abstractmethod
    def _minimise(self, problem: Any, w: Any, block: str) -> None:
        """Bring one block of ``w`` to its minimum, in place."""


class ALS(AlternatingSolver):
    """Alternating least squares: each block of parameters goes to its exact minimiser in turn.

    .. math:: w_B \\leftarrow \\arg\\min_{w_B} F(w_B, w_{\\bar B}), \\qquad B = B_1, B_2, \\dots

    Needs exact minimisation over a block of parameters.

    Parameters
    ----------
    momentum : bool or "auto"
        Let each block, once it is solved, go on along its change to
        :math:`w_B + \\beta (w_B - w_{B,-1})`, within its bounds, before the next is solved.
        :math:`\\beta` grows as long as the objective falls; where it would rise, the turn is taken
        from w instead, and :math:`\\beta` shrinks.
        "auto": where parameters have lower bounds, which leave little to balance: turns are few
        with it (48, and 341 without, on 2000 x 1000 of rank 10,
        ``python -m benchmarks.completion momentum``).

    Notes
    -----
    One iteration is a turn through all blocks, last named first, so that it ends with the first
    block solved: a factorisation whose blocks are the rows and the columns ends with row factors
    that are optimal for its column factors, as those of new rows will be. A problem with
    symmetries may have a method ``balance(w)``, which moves w in place to the best of the points
    that are equivalent to it; each turn begins with it (without it, alternating steps find the
    balance between two factors only at the slow pace that a small penalty sets). The objective
    never increases. The indicator is the relative change of the parameters,
    ``max|w+ - w| / max|w+|``.

    References
    ----------
    Y. Zhou, D. Wilkinson, R. Schreiber, R. Pan, "Large-scale parallel collaborative filtering for
    the Netflix prize", AAIM (2008); momentum: A. Ang, N. Gillis, "Accelerating nonnegative matrix
    factorization algorithms using extrapolation", Neural Comput. 31 (2019).
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.BLOCK_SOLVE)

    def __init__(self, *, momentum: bool | str = "auto") -> None:
        self.momentum = momentum

    def init(self, problem: Problem, w: Any, rng: Any) -> AlternatingState:
        if self.momentum not in (True, False, "auto"):
            raise ValueError(
                f"ALS: momentum={self.momentum!r}, but it must be True, False or 'auto'"
            )
        return AlternatingState(w=w, beyond=w)

    def _step(self, problem: Any, state: AlternatingState) -> None:
        bounded = problem.why_not(Oracle.BOUNDS) is None
        if not (bounded if self.momentum == "auto" else self.momentum):
            self._turn(problem, state.w)
            return
        w, beyond = self._swung(problem, state, bounded)
        value = to_float(problem.value(w))
        if value > state.value:
            state.limit, state.beta = state.beta, state.beta / SHRINKS
            w = problem.xp.asarray(state.w, copy=True)
            self._turn(problem, w)
            beyond, value = w, to_float(problem.value(w))
        else:
            state.beta = min(state.limit, GROWS * state.beta)
            state.limit = min(1.0, LIMIT_GROWS * state.limit)
        state.w, state.beyond, state.value = w, beyond, value

    def _swung(self, problem: Any, state: AlternatingState, bounded: bool) -> tuple[Any, Any]:
        """The point after a turn with momentum, its last block solved, and the point beyond."""
        xp, y = problem.xp, problem.xp.asarray(state.beyond, copy=True)
        if hasattr(problem, "balance"):
            problem.balance(y)
        for block in reversed(list(problem.blocks)):
            self._minimise(problem, y, block)
            part = problem.blocks[block]
            solved = xp.asarray(y[part], copy=True)
            y[part] = solved + state.beta * (solved - state.w[part])
            if bounded:
                low, high = problem.bounds()
                y[part] = xp.clip(y[part], low[part], high[part])
        w = xp.asarray(y, copy=True)
        w[part] = solved
        return w, y

    def _minimise(self, problem: Any, w: Any, block: str) -> None:
        problem.block_solve(w, block)


class SoftImputeALS(AlternatingSolver):
    """Soft-impute by alternating least squares: missing cells are filled, then a factor is solved.

    .. math::

        Q^+ = \\operatorname{argmin}_Q \\tfrac12 |P Q' - \\hat X|^2
        + \\text{penalty}(Q), \\qquad
        \\hat X = (X)_\\Omega + (P Q_0')_{\\bar\\Omega}

    and likewise for the rows: the filled matrix is of low rank plus sparse, and one Gram matrix of
    the factors serves all rows.

    Needs minimisation of a bound over a block of parameters.

    Notes
    -----
    A turn costs O(q k) for q entries and rank k, where that of ``als`` costs O(q k^2), and more
    turns are needed, the more the larger the share of what is missing. The objective never
    increases. Nothing of the size of the matrix is formed. Unlike the paper's, the turn works with
    any weights, biases and losses whose curvature is bounded, by the step that replaces an entry
    by the data where all are one. The indicator is the relative change of the parameters.

    References
    ----------
    T. Hastie, R. Mazumder, J. Lee, R. Zadeh, "Matrix completion and low-rank SVD via fast
    alternating least squares", JMLR 16 (2015), algorithm 3.1.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.MAJORISED_BLOCK)
    default_max_iter: ClassVar[int] = 5000

    def _minimise(self, problem: Any, w: Any, block: str) -> None:
        problem.majorised_solve(w, block)


class VariationalBayes(AlternatingSolver):
    """Variational Bayes: posteriors of one block after the other, noise and priors among them.

    .. math:: q_B \\leftarrow \\arg\\min_{q_B} F(q_B, q_{\\bar B}), \\qquad B = B_1, B_2, \\dots

    with the free energy F, a bound of minus the log evidence, over products of independent
    distributions.

    Needs closed-form posteriors of blocks.

    Notes
    -----
    The turn is that of ``als``, and costs as much: variances add to the diagonals of its systems.
    No strength of a penalty is chosen: the noise and the relevance of each component are blocks of
    their own. The free energy never increases. The indicator is the relative change of the
    parameters.

    References
    ----------
    Y. Lim, Y. W. Teh, "Variational Bayesian approach to movie rating prediction", KDD Cup (2007);
    S. Nakajima, M. Sugiyama, "Theoretical analysis of Bayesian matrix factorization", JMLR 12
    (2011).
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.POSTERIOR)
    default_max_iter: ClassVar[int] = 500

    def _minimise(self, problem: Any, w: Any, block: str) -> None:
        problem.posterior_step(w, block)
