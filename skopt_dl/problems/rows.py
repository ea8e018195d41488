r"""A weighted least-squares model with several outputs, seen one row of coefficients at a time.

The letters are those of `skopt_dl.problems.coordinates`, with a column for each output: the
weighted residual ``U`` of shape (n, K), the centring corrections ``c`` of shape (K,).
"""

from __future__ import annotations

from typing import Any

from skopt_dl.kernels.namespace import is_numpy
from skopt_dl.problems.coordinates import CoordinateModel, moments, over_root, shift_if_lower


class RowModel:
    """State and data of a coordinate descent over rows.

    Parameters
    ----------
    map_ : LinearMap
        The raw design (not centred).
    w : array of shape (p * K,)
        Coefficients, the outputs of a feature side by side; changed in place.
    U : array of shape (n, K)
        Weighted residual at ``w``; it is copied.
    h : array of shape (n,)
        Weights of the rows.
    centre : bool
        Whether intercepts are eliminated.
    penalty : Penalty
        With a prox of single rows, ``prox_row(v, step, j)``, and strengths ``l1`` and ``l2``.
    kernels : KernelSet
        Where ``row_epochs`` comes from.

    Attributes
    ----------
    W : array of shape (p, K)
        A view of ``w``.
    n_coordinates : int
        How many rows there are to visit.
    """

    MAX_ACTIVE = CoordinateModel.MAX_ACTIVE
    AGAIN = CoordinateModel.AGAIN

    def __init__(
        self,
        map_: Any,
        w: Any,
        U: Any,
        h: Any,
        *,
        centre: bool,
        penalty: Any,
        kernels: Any,
    ) -> None:
        xp = self.xp = map_.xp
        self.map, self.w, self.h, self.penalty, self.kernels = map_, w, h, penalty, kernels
        p = self.n_coordinates = map_.shape[1]
        self.W = xp.reshape(w, (p, U.shape[1]), copy=False)
        # Dense columns meet the outputs one by one, a stored entry meets all of its row.
        order = {"order": "F" if map_.layout == "dense" else "C"} if is_numpy(xp) else {}
        self.U = xp.asarray(U, copy=True, **order)
        self.c = xp.zeros_like(self.U[0, :])
        self.hx, self.mean, self.curvature = moments(map_, h, centre=centre, kernels=kernels)
        self.uniform = bool(xp.all(h == h[:1]))
        self.l1, self.l2 = float(penalty.l1), float(penalty.l2)
        self.full_indicator, self.active_left = float("inf"), 0

    # Those of single coordinates, kept in the same way.
    gram = CoordinateModel.gram

    def column(self, j: int) -> Any:
        """Column j of the raw design as a dense vector."""
        return self.map.column(j)

    def violations(self, distance: Any) -> Any:
        """Norm of the minimal subgradient of each row, over the root of its curvature."""
        xp = self.xp
        G = -(self.map.rmatvec(self.U) + self.hx[:, None] * self.c)
        d = xp.reshape(distance(self.w, xp.reshape(G, (-1,))), self.W.shape)
        return over_root(xp.linalg.vector_norm(d, axis=1), self.curvature)

    def move_if_lower(self, change: Any, penalty_change: Any) -> bool:
        """Go to ``w + change``, in place, if the objective is lower there; one product with X."""
        step = self.xp.reshape(change, self.W.shape)
        lower = shift_if_lower(self, self.U, step, penalty_change)
        if lower:
            self.w += change
        return lower

    def epochs(self, order: Any, n: int, target: float) -> tuple[int, float]:
        """Up to ``n`` epochs in place: ``(epochs done, indicator)``."""
        return self.kernels.row_epochs(self, order, n, target)
