r"""ADMM for the nuclear norm: entries and low-rank matrix are copies of each other.

Letters: Z the low-rank matrix, x its copy on the observed entries, u the scaled multipliers there,
y the data, :math:`\rho` the weight of the copies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Problem, Solver, State, Status
from skopt_dl.kernels.namespace import to_float
from skopt_dl.solvers.subspace import check_subspace, first_vectors

# rho is reconsidered at these distances, which grow, so that it settles and the theory applies; it
# moves by the square root of how far the two residuals are apart, at most by the factor.
ADAPT_EVERY, ADAPT_GROWTH, ADAPT_MOST = 10, 1.2, 5.0


@dataclass
class SpectralADMMState(State):
    """Adds the copies, the multipliers, the singular vectors and rho."""

    z: Any = None
    u: Any = None
    V: Any = None
    rho: float = 1.0
    adapt_at: float = ADAPT_EVERY
    adapt_gap: float = ADAPT_EVERY


class SpectralADMM(Solver):
    """ADMM for the nuclear norm, with over-relaxation and an adaptive weight.

    .. math::

        x^+ &= \\frac{\\omega y / n + \\rho (z - u)}{\\omega / n + \\rho}, \\qquad
        \\hat x = \\beta x^+ + (1 - \\beta) z \\\\
        Z^+ &= \\operatorname{prox}_{\\lambda |\\cdot|_* / \\rho}
        \\big(Z + (\\hat x + u - z)_\\Omega\\big), \\qquad u^+ = u + \\hat x - z^+

    with z the observed entries of Z: the multipliers vanish elsewhere, so that the matrix in the
    prox is of low rank plus sparse and no full one is formed.

    Needs a prox of the nuclear norm at a low-rank plus sparse matrix.

    Parameters
    ----------
    rho : float
        First weight of the copies, in units of the loss's curvature.
    adaptive : bool
        Move rho towards equal primal and dual residuals, at growing distances.
    relaxation : float
        The :math:`\\beta` above, in (0, 2).
    extra : int
        Singular vectors carried beyond the rank.
    turns : int
        Subspace iterations per step, from the last ones.

    Notes
    -----
    The indicator is the larger of the relative residuals. More singular values than the rank allows
    for are cut: the duality gap then does not close.

    References
    ----------
    S. Boyd, N. Parikh, E. Chu, B. Peleato, J. Eckstein, "Distributed optimization and statistical
    learning via the alternating direction method of multipliers", Found. Trends Mach. Learn. 3
    (2011); J. Yang, X. Yuan, "Linearized augmented Lagrangian and alternating direction methods for
    nuclear norm minimization", Math. Comp. 82 (2013).
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.SPECTRAL_SPLIT)
    default_max_iter: ClassVar[int] = 2000

    def __init__(
        self,
        *,
        rho: float = 1.0,
        adaptive: bool = True,
        relaxation: float = 1.6,
        extra: int = 3,
        turns: int = 3,
    ) -> None:
        self.rho, self.adaptive, self.relaxation = rho, adaptive, relaxation
        self.extra, self.turns = extra, turns

    def init(self, problem: Problem, w: Any, rng: Any) -> SpectralADMMState:
        if not self.rho > 0:
            raise ValueError(f"SpectralADMM: rho={self.rho!r}, but it must be positive")
        if not 0 < self.relaxation < 2:
            raise ValueError(
                f"SpectralADMM: relaxation={self.relaxation!r}, but it must lie strictly between 0 "
                "and 2"
            )
        check_subspace(self)
        p: Any = problem
        obs = p.observed
        z = obs.products(*p.factors(w))
        # What the multipliers are at an optimum: a solve that starts from its answer rests there.
        u = obs.weights * (obs.values - z) / self.rho
        return SpectralADMMState(
            w=w, z=z, u=u, V=first_vectors(p, w, self.extra, rng), rho=self.rho
        )

    def advance(self, problem: Problem, state: SpectralADMMState, n: int) -> Status:
        xp, p, s = problem.xp, problem, state
        obs: Any = p.observed  # type: ignore[attr-defined]
        seen = obs.weights > 0
        zero = xp.zeros_like(obs.values)
        total = to_float(obs.total)
        for _ in range(n):
            x = (obs.weights * obs.values + s.rho * (s.z - s.u)) / (obs.weights + s.rho)
            hat = self.relaxation * x + (1 - self.relaxation) * s.z
            E = xp.where(seen, hat + s.u - s.z, zero)
            # The curvature of the loss is 1 / total per unit of weight, and so is rho's unit.
            w, s.V = p.spectral_split(  # type: ignore[attr-defined]
                s.w, E, total / s.rho, s.V, self.turns
            )
            z = obs.products(*p.factors(w))  # type: ignore[attr-defined]
            u = xp.where(seen, s.u + hat - z, zero)
            primal, dual = (xp.where(seen, a, zero) for a in (x - z, s.rho * (z - s.z)))
            sizes = [to_float(xp.linalg.vector_norm(xp.reshape(a, (-1,)))) for a in (primal, dual)]
            whole = to_float(xp.linalg.vector_norm(xp.reshape(xp.where(seen, z, zero), (-1,))))
            force = s.rho * to_float(xp.linalg.vector_norm(xp.reshape(u, (-1,))))
            gaps = [a / b if b > 0 else a for a, b in zip(sizes, (whole, force), strict=True)]
            s.w, s.z, s.u, s.indicator = w, z, u, max(gaps)
            s.n_iter += 1
            s.n_epochs += 1.0 + self.turns
            if self.adaptive and s.n_iter >= s.adapt_at:
                self._adapt(s, *gaps)
        return Status.RUNNING

    def _adapt(self, s: SpectralADMMState, primal: float, dual: float) -> None:
        """Balance the relative residuals; what the scaled multipliers stand for must not move."""
        if primal > 0 and dual > 0:
            factor = min(max((primal / dual) ** 0.5, 1 / ADAPT_MOST), ADAPT_MOST)
            s.rho, s.u = s.rho * factor, s.u / factor
        s.adapt_gap *= ADAPT_GROWTH
        s.adapt_at = s.n_iter + s.adapt_gap
