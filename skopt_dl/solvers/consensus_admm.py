r"""The alternating direction method of multipliers between parts of the samples.

Letters: z the common point, x_i and u_i the parameters and scaled multipliers of part i of N, D the
metric of `Consensus`, rho the weight of agreement.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Solver, State, Status, Trait

# rho doubles or halves where one residual is so many times the other, at distances that grow.
APART, FACTOR = 5.0, 2.0
ADAPT_GROWTH = 1.2


@dataclass
class ConsensusState(State):
    """Adds the parts, rho, what it grew by since the last step, and when it is reconsidered."""

    parts: Any = None
    rho: float = 1.0
    shrink: float = 1.0
    adapt_at: float = 2.0
    adapt_gap: float = 1.0


class ConsensusADMM(Solver):
    """Consensus ADMM: parts of the samples solve for themselves and come to agree.

    .. math::

        x_i &= \\operatorname{argmin}_x\\ f_i(x) + \\tfrac{\\rho}{2} |x - z + u_i|_D^2, \\qquad
        \\hat x_i = \\alpha x_i + (1 - \\alpha) z \\\\
        z^+ &= \\operatorname{prox}_{\\Omega / (N \\rho D)}
        \\Big(\\tfrac1N \\textstyle\\sum_i (\\hat x_i + u_i)\\Big), \\qquad
        u_i \\leftarrow u_i + \\hat x_i - z^+

    Needs proximal steps of parts of the samples and a prox of the penalty.

    Parameters
    ----------
    rho : float
        First weight of agreement, in units of the parts' curvature.
    adaptive : bool
        Double or halve rho where primal and dual residual are far apart, ever more seldom.
    relaxation : float
        :math:`\\alpha`, in (0, 2); 1.5 to 1.8 is faster than plain 1.

    Notes
    -----
    A pass over the data is one step of every part from its last answer, so few vectors travel for
    the work that is done. The answer is z, with the penalty's exact zeros.

    References
    ----------
    S. Boyd, N. Parikh, E. Chu, B. Peleato, J. Eckstein, "Distributed optimization and statistical
    learning via the alternating direction method of multipliers", Found. Trends Mach. Learn. 3
    (2011), sections 3.4 and 7.2.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.CONSENSUS, Oracle.PROX, Trait.CONVEX)
    default_max_iter: ClassVar[int] = 1000

    def __init__(self, *, rho: float = 1.0, adaptive: bool = True, relaxation: float = 1.6) -> None:
        self.rho, self.adaptive, self.relaxation = rho, adaptive, relaxation

    def init(self, problem: Any, w: Any, rng: Any) -> ConsensusState:
        if not self.rho > 0:
            raise ValueError(f"ConsensusADMM: rho={self.rho!r}, but it must be positive")
        if not 0 < self.relaxation < 2:
            raise ValueError(
                f"ConsensusADMM: relaxation={self.relaxation!r}, but it must lie strictly between "
                "0 and 2"
            )
        return ConsensusState(w=w, parts=problem.consensus(), rho=self.rho)

    def advance(self, problem: Any, state: ConsensusState, n: int) -> Status:
        xp, s = problem.xp, state
        D, N = s.parts.metric, s.parts.n_parts
        for _ in range(n):
            mean, primal = s.parts.step(s.w, s.rho, s.shrink, self.relaxation)
            z = problem.prox(mean, 1 / (N * s.rho * D))
            moved = z - s.w
            dual = N * s.rho**2 * float(D @ moved**2)
            s.w, s.shrink = z, 1.0
            s.n_iter += 1
            # In the units of a gradient: what is missing from its balance, and of agreement.
            s.indicator = (
                N * s.rho * xp.max(D * xp.abs(moved)) + (N * primal * float(xp.max(D))) ** 0.5
            )
            if self.adaptive and s.n_iter >= s.adapt_at:
                self._adapt(s, primal, dual)
        return Status.RUNNING

    def _adapt(self, s: ConsensusState, primal: float, dual: float) -> None:
        """Balance the squares of the residuals."""
        if primal > APART**2 * dual:
            s.shrink = FACTOR
        elif dual > APART**2 * primal:
            s.shrink = 1 / FACTOR
        s.rho *= s.shrink
        s.adapt_gap *= ADAPT_GROWTH
        s.adapt_at = s.n_iter + s.adapt_gap
