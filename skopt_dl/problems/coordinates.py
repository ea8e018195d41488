r"""A weighted least-squares model seen one coordinate at a time.

.. math:: \min_w\ \tfrac12 \sum_i h_i (r_i - x_i^c w)^2 + \Omega(w),\qquad x^c_{ij} = x_{ij} - m_j

with :math:`m_j = \sum_i h_i x_{ij} / \sum_i h_i` where an intercept is eliminated, else 0. Kept
between coordinate steps are the weighted residual :math:`u_i = h_i (r_i - x_i w)` of the raw
columns and one number :math:`c = m'(w - w_0)`, so that a sparse column costs its nonzeros only: the
slope at coordinate j is :math:`-(x_j'u + c\, x_j'h)` because the centred residual sums to zero.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from skopt_dl.kernels.namespace import device_of, is_numpy, namespace_of, scatter
from skopt_dl.linops import Centred, along_rows, design, in_double
from skopt_dl.linops.aside import aside
from skopt_dl.linops.factor import nearest_factor

# A centred sum of squares below this share of the raw one has lost three digits and more.
CANCELLED = 1e-3
# The minimum over s coordinates takes as long as s / DENSE_SHARE sweeps over them: s/4 times the
# operations of a sweep at several times the rate (benchmarks.run lasso_square --solvers cd). Sparse
# rows meet in few of them, but the factor of their inner products is dense: it takes s^3 operations
# where a sweep takes as many as there are entries (the same with lasso_text and lasso_text_hard).
DENSE_SHARE, SPARSE_SHARE, FACTOR_SHARE = 10, 20, 60
# Coordinates whose exact minimum may take long enough to be waited for elsewhere.
MANY = 1000


def moments(map_: Any, h: Any, *, centre: bool, kernels: Any) -> tuple[Any, Any, Any]:
    """``x_j' h``, ``m_j`` and ``L_j`` of all columns; the first two are zero unless ``centre``."""
    xp = map_.xp
    hx, raw = kernels.column_moments(map_, h)
    if not centre:
        return xp.zeros_like(hx), xp.zeros_like(hx), raw
    mean = hx / xp.sum(h)
    curvature = raw - hx * mean
    # Columns far from zero lose their digits in this difference: a second pass keeps them.
    lost = curvature < CANCELLED * raw
    if bool(xp.any(lost)):
        curvature = xp.where(lost, map_.centred_squares(h, mean), curvature)
    # A spread that the last digits of the entries can make belongs to a constant column.
    constant = curvature <= (16 * xp.finfo(h.dtype).eps) ** 2 * raw
    return hx, mean, xp.where(constant, xp.zeros_like(raw), curvature)


def shift_if_lower(model: Any, residual: Any, change: Any, penalty_change: Any) -> bool:
    """Bring the weighted ``residual`` of a model to ``w + change`` if that lowers the objective."""
    z, moved = model.map.matvec(change), model.mean @ change
    centred = z - moved
    gain = model.xp.sum((0.5 * along_rows(model.h, centred) - residual) * centred)
    if not bool(gain + penalty_change < 0):
        return False
    residual -= along_rows(model.h, z)
    model.c = model.c + moved
    return True


def over_root(d: Any, curvature: Any) -> Any:
    """``d / sqrt(curvature)``, and 0 where there is none: the step is then no matter of slopes."""
    xp = namespace_of(d)
    curved = curvature > 0
    root = xp.sqrt(xp.where(curved, curvature, xp.ones_like(curvature)))
    return xp.where(curved, d / root, xp.zeros_like(d))


class CoordinateModel:
    """State and data of a coordinate descent.

    Parameters
    ----------
    map_ : LinearMap
        The raw design (not centred).
    w : array of shape (p,)
        Coefficients, changed in place.
    u : array of shape (n,)
        Weighted residual at ``w``, changed in place; it sums to zero where ``centre``.
    h : array of shape (n,)
        Weights (curvatures) of the rows.
    centre : bool
        Whether an intercept is eliminated.
    penalty : Penalty
        Separable. One with ``elastic_net`` can be read by the compiled kernels.
    kernels : KernelSet
        Where ``cd_epochs`` comes from.

    Attributes
    ----------
    n_coordinates : int
        How many coordinates there are to visit.
    hx, mean, curvature : arrays of shape (p,)
        ``x_j' h``, ``m_j`` and ``L_j = sum_i h_i (x_ij - m_j)^2``.
    l1, l2 : arrays of shape (p,)
        Penalty strengths, zeros for a penalty that is not an elastic net.
    c : float
        The centring correction.
    full_indicator, active_left : float, int
        Indicator of the last sweep over all coordinates; sweeps over the active ones still granted.
    """

    def __init__(
        self, map_: Any, w: Any, u: Any, h: Any, *, centre: bool, penalty: Any, kernels: Any
    ) -> None:
        xp = self.xp = map_.xp
        self.map, self.w, self.u, self.h, self.kernels = map_, w, u, h, kernels
        self.c: Any = 0.0
        self.full_indicator, self.active_left = float("inf"), 0
        p = self.n_coordinates = map_.shape[1]
        self.hx, self.mean, self.curvature = moments(map_, h, centre=centre, kernels=kernels)
        self.uniform = bool(xp.all(h == h[:1]))
        self.positive = False
        if hasattr(penalty, "elastic_net"):
            self.l1, self.l2, self.positive = penalty.elastic_net(p, xp, w.dtype, device_of(w))
        else:
            self.l1 = self.l2 = xp.zeros_like(w)
        self.prox_coordinate: Callable[[Any, Any, int], Any] = penalty.prox_coordinate
        self.compiled = hasattr(penalty, "elastic_net")

    # Coordinates at zero rest while the others settle: after a sweep over all, up to MAX_ACTIVE
    # sweeps over the nonzero ones, as long as they move at least AGAIN of what the full sweep did.
    MAX_ACTIVE = 10
    AGAIN = 0.1

    def column(self, j: int) -> Any:
        """Column j of the raw design as a dense vector."""
        return self.map.column(j)

    @cached_property
    def gram(self) -> Any:
        """The weighted inner products of all centred columns, of shape (p, p); kept."""
        return Centred(self.map, self.mean).gram(self.h)

    def epochs(self, order: Any, n: int, target: float) -> tuple[int, float]:
        """Up to ``n`` epochs in place: ``(epochs done, indicator)``."""
        return self.kernels.serving(self.compiled).cd_epochs(self, order, n, target)

    def violations(self, distance: Any) -> Any:
        """Minimal subgradient of each coordinate, over the root of its curvature."""
        d = distance(self.w, -(self.map.rmatvec(self.u) + self.c * self.hx))
        return over_root(d, self.curvature)

    def move_if_lower(self, change: Any, penalty_change: Any) -> bool:
        """Go to ``w + change``, in place, if the objective is lower there; one product with X."""
        lower = shift_if_lower(self, self.u, change, penalty_change)
        if lower:
            self.w += change
        return lower

    def cost_of_subspace(self) -> float:
        """How many sweeps over the nonzero coordinates take as long as `subspace_step`."""
        xp, used = self.xp, self.w != 0
        size = int(xp.count_nonzero(used))
        if self.map.layout != "sparse":
            return size / DENSE_SHARE
        start = self.map.columns.indptr
        stored = int(xp.sum((start[1:] - start[:-1])[used]))
        return size / SPARSE_SHARE + size**3 / (FACTOR_SHARE * max(1, stored))

    def subspace_step(self, most: int | None = None) -> None:
        """The exact minimum over the nonzero coordinates, in place.

        Sweeps crawl where columns are nearly parallel; on few coordinates the problem is solved
        from their inner products alone, and those that should be zero become it. Where some are not
        charged for their size it is one step of Newton on the orthant of the signs. Elastic-net
        penalties only; with more than ``most`` nonzeros nothing is done.
        """
        xp, w = self.xp, self.w
        at = xp.nonzero((w != 0) & (self.curvature > 0))[0]
        size = int(at.shape[0])
        if not self.compiled or size == 0 or (most is not None and size > most):
            return
        mean, hx, l1, l2 = (xp.take(a, at) for a in (self.mean, self.hx, self.l1, self.l2))
        old, block = xp.take(w, at), self.map.take_columns(at)
        # A sign says nothing of a coefficient that is not charged for it.
        if bool(xp.all(l1 > 0)):
            change = self._to_minimum(block, mean, old, l1, l2)
            # There is nothing left to do on these: the next sweep is over all.
            self.active_left = 0
        else:
            c = block.rmatvec(self.u) + self.c * hx
            change = _newton(Centred(block, mean).gram(self.h), c, old, l1, l2)
        w += scatter(at, change, w.shape[0])
        self.u -= self.h * block.matvec(change)
        self.c = self.c + mean @ change

    def _to_minimum(self, block: Any, mean: Any, old: Any, l1: Any, l2: Any) -> Any:
        """From ``old`` to the minimum over the columns in ``block``.

        All in double precision: columns that depend on one another are told by their inner
        products, and correlations that are not quite those of the columns have no minimum there.
        """
        xp, m = self.xp, old.shape[0]
        new, a, b, h, u = (xp.astype(v, xp.float64) for v in (old, l1, l2, self.h, self.u))
        if old.dtype != xp.float64:
            sparse = block.layout == "sparse"
            block = design(block.X.astype(xp.float64) if sparse else in_double(block.X))
            mean = block.column_sums(h) / xp.sum(h) if bool(xp.any(mean != 0)) else 0.0 * new
        centred = Centred(block, mean)
        solver = self.kernels.GramLasso(m, self.positive)
        solver.bind(centred.gram(h), b, new, centred.rmatvec(u))
        solver.refresh()
        _ = aside(solver.solve, a) if is_numpy(xp) and m > MANY else solver.solve(a)
        return xp.astype(new, old.dtype) - old


def _newton(G: Any, c: Any, old: Any, l1: Any, l2: Any) -> Any:
    """One step of Newton towards the minimum, to the border of the orthant of ``old`` at most: the
    coordinate that meets it becomes zero."""
    xp = namespace_of(old)
    sign = xp.sign(old)
    g = c - l1 * sign - l2 * old
    if bool(xp.any(l2 != 0)):
        G = G + l2 * xp.eye(old.shape[0], dtype=old.dtype, device=device_of(old))
    d = nearest_factor(G).solve(g)
    t = xp.min(xp.where(d * sign < 0, -old / xp.where(d == 0, sign, d), xp.ones_like(d)))
    # What rounding has left of the solution of a nearly singular system goes to the minimum along
    # itself at most, and nowhere if it does not go down.
    slope, bend = g @ d, d @ (G @ d)
    t = xp.minimum(t, xp.where(bend > 0, slope / xp.where(bend > 0, bend, 1), xp.sign(slope)))
    new = old + xp.clip(t, 0, 1) * d
    return xp.where(new * sign > 0, new, xp.zeros_like(new)) - old
