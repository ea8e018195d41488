r"""Which columns are zero at the optimum, known for sure before it is reached.

The dual objective of a squared loss is strongly concave, so its maximiser lies within
:math:`\sqrt{2 G}` of any dual point with the duality gap :math:`G` (in the norm weighted by the
samples). A column whose correlation cannot reach its strength there has a zero coefficient at every
optimum:

.. math:: |x_j' \Omega u| + \|x_j\|_\Omega \sqrt{2 G} < l_{1j}
   \quad\Longrightarrow\quad w^\star_j = 0

Source: E. Ndiaye, O. Fercoq, A. Gramfort, J. Salmon, "Gap safe screening rules for sparsity
enforcing penalties", JMLR 18 (2017).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skopt_dl.kernels.namespace import to_float
from skopt_dl.problems import certificates
from skopt_dl.problems.coordinates import moments

if TYPE_CHECKING:
    from skopt_dl.problems.linear import LinearProblem

# Units of rounding of a correlation and of the objective that a column must be clear of.
ROUNDING = 64


class Screening:
    """The columns that may still matter.

    Parameters
    ----------
    problem : LinearProblem
        A quadratic loss with an elastic-net penalty.

    Attributes
    ----------
    alive : array of bool, shape (p,)
        Columns that have not been ruled out. It only loses members.
    violations : array of shape (p,)
        Distance of each component of the last gradient from the subdifferential; 0 where ruled out.
    """

    def __init__(self, problem: LinearProblem) -> None:
        xp, penalty = problem.xp, problem.penalty
        self.problem = problem
        self.l1, _, self.positive = penalty.elastic_net(  # type: ignore[attr-defined]
            problem.n_coef, xp, problem.dtype, problem.device
        )
        _, _, squares = moments(
            problem.base, problem.omega, centre=problem.centred, kernels=problem.kernels
        )
        self.norms = xp.sqrt(squares)
        self.alive = xp.ones_like(self.l1) > 0
        self.violations = xp.zeros_like(self.l1)

    def update(self, w: Any) -> float:
        """Look at ``w``, rule columns out; the gap there (infinite where there is none)."""
        problem, xp = self.problem, self.problem.xp
        z = problem.predict_raw(w)
        g, value = problem.loss_grad(z), problem.loss_value(z)
        problem.keep(w, z, g, value)
        objective = to_float(value + problem.nonsmooth_value(w))
        found = certificates.dual_point(problem, z, objective, g)
        gap = float("inf")
        if found is not None:
            gap, v = found
            unit = ROUNDING * float(xp.finfo(problem.dtype).eps)
            radius = (2 * problem.loss.smoothness * (gap + unit * abs(objective))) ** 0.5
            reach = (v if self.positive else xp.abs(v)) + radius * self.norms
            slack = unit * (self.l1 + xp.abs(v))
            self.alive = self.alive & (reach >= self.l1 - slack)
        distance = problem.penalty.distance(w, g)  # type: ignore[attr-defined]
        self.violations = xp.where(self.alive, distance, xp.zeros_like(distance))
        return gap
