r"""Gibbs sampling: each block is drawn from its distribution given the others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Problem, Solver, State, Status


@dataclass
class GibbsState(State):
    """Adds the source of randomness, the chain, and what it drew after the burn-in."""

    rng: Any = None
    chain: Any = None
    draws: list[Any] = field(default_factory=list)


class Gibbs(Solver):
    """Gibbs sampling of the posterior; predictions are means over the draws.

    .. math:: w_B \\sim p(w_B \\mid w_{\\bar B}, x), \\qquad B = B_1, B_2, \\dots

    Needs closed-form posteriors of blocks and draws of a block given the others.

    Parameters
    ----------
    n_warm : int
        Turns of variational Bayes before the first draw: they find the region of high probability
        at less cost than draws do.
    n_burn : int
        Turns whose draws are forgotten.
    n_draws : int
        Turns whose draws are kept.

    Notes
    -----
    There is nothing to minimise: the method ends after ``n_warm + n_burn + n_draws`` iterations,
    and the spread of the draws is the uncertainty of what is computed from them. What it returns
    beside them is a turn of variational Bayes from the last draw. Until the draws are complete the
    indicator is infinite.

    References
    ----------
    R. Salakhutdinov, A. Mnih, "Bayesian probabilistic matrix factorization using Markov chain
    Monte Carlo", ICML 2008.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.POSTERIOR, Oracle.CONDITIONAL_DRAW)
    default_max_iter: ClassVar[int] = 100_000
    chunk: ClassVar[int] = 10

    def __init__(self, *, n_warm: int = 10, n_burn: int = 20, n_draws: int = 100) -> None:
        self.n_warm, self.n_burn, self.n_draws = n_warm, n_burn, n_draws

    def init(self, problem: Problem, w: Any, rng: Any) -> GibbsState:
        for name, least in (("n_warm", 0), ("n_burn", 0), ("n_draws", 1)):
            value = getattr(self, name)
            if value < least:
                raise ValueError(f"Gibbs: {name}={value!r}, but it must be at least {least}")
        return GibbsState(w=w, rng=rng, chain=problem.xp.asarray(w, copy=True))

    def advance(self, problem: Problem, state: GibbsState, n: int) -> Status:
        p: Any = problem
        for _ in range(n):
            warm = state.n_iter < self.n_warm
            for block in reversed(list(p.blocks)):
                if warm:
                    p.posterior_step(state.chain, block)
                else:
                    p.draw(state.chain, block, state.rng)
            state.n_iter += 1
            state.n_epochs += 1.0
            if state.n_iter > self.n_warm + self.n_burn:
                state.draws.append(p.xp.asarray(state.chain, copy=True))
            if len(state.draws) >= self.n_draws:
                break
        # A draw has no variances, which the certificate asks for.
        state.w = p.xp.asarray(state.chain, copy=True)
        for block in reversed(list(p.blocks)):
            p.posterior_step(state.w, block)
        if len(state.draws) < self.n_draws:
            return Status.RUNNING
        state.indicator = 0.0
        return Status.CONVERGED
