r"""Alternating minimisation: exact minimisation over one block of parameters after the other."""

from __future__ import annotations

from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Problem, Solver, State, Status


class ALS(Solver):
    """Alternating least squares: each block of parameters goes to its exact minimiser in turn.

    .. math:: w_B \\leftarrow \\arg\\min_{w_B} F(w_B, w_{\\bar B}), \\qquad B = B_1, B_2, \\dots

    Needs exact minimisation over a block of parameters.

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
    the Netflix prize", AAIM (2008).
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.BLOCK_SOLVE)
    default_max_iter: ClassVar[int] = 1000

    def __init__(self) -> None:
        pass

    def init(self, problem: Problem, w: Any, rng: Any) -> State:
        return State(w=w)

    def advance(self, problem: Problem, state: State, n: int) -> Status:
        xp = problem.xp
        before = state.w
        for _ in range(n):
            before = xp.asarray(state.w, copy=True)
            if hasattr(problem, "balance"):
                problem.balance(state.w)
            for block in reversed(list(problem.blocks)):
                problem.block_solve(state.w, block)  # type: ignore[attr-defined]
            state.n_iter += 1
            state.n_epochs += 1.0
        size = xp.max(xp.abs(state.w))
        change = xp.max(xp.abs(state.w - before))
        state.indicator = change / xp.where(size > 0, size, xp.ones_like(size))
        return Status.RUNNING
