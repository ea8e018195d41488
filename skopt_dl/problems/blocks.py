r"""A weighted least-squares model seen one block of coefficients at a time.

The letters are those of `skopt_dl.problems.coordinates`. A block :math:`b` moves by a proximal step
of length :math:`1 / L_b`, with :math:`L_b` the largest eigenvalue of its :math:`X_b' H X_b`.
"""

from __future__ import annotations

from typing import Any

from skopt_dl.kernels.namespace import device_of, to_float
from skopt_dl.problems.coordinates import CoordinateModel, moments, shift_if_lower


class BlockModel:
    """State and data of a block coordinate descent.

    Parameters
    ----------
    map_ : LinearMap
        The raw design (not centred).
    w : array of shape (p,)
        Coefficients, changed in place.
    u : array of shape (n,)
        Weighted residual at ``w``, changed in place.
    h : array of shape (n,)
        Weights of the rows.
    centre : bool
        Whether an intercept is eliminated.
    penalty : Penalty
        With ``blocks(size)`` and ``prox_block(v, step, b)``.
    kernels : KernelSet
        Where ``block_epochs`` comes from.

    Attributes
    ----------
    n_coordinates : int
        How many blocks there are to visit.
    members, columns, lipschitz : list
        For each block its coefficients, its columns of the design, and :math:`L_b`.
    strengths : list of float or None
        Of the norms of blocks, where those are the penalty.
    """

    MAX_ACTIVE = CoordinateModel.MAX_ACTIVE
    AGAIN = CoordinateModel.AGAIN

    def __init__(
        self, map_: Any, w: Any, u: Any, h: Any, *, centre: bool, penalty: Any, kernels: Any
    ) -> None:
        xp = self.xp = map_.xp
        self.map, self.w, self.u, self.h, self.kernels = map_, w, u, h, kernels
        self.prox_block, self.c = penalty.prox_block, xp.zeros_like(xp.sum(w))
        self.hx, self.mean, _ = moments(map_, h, centre=centre, kernels=kernels)
        self.places: list[list[int]] = penalty.blocks(w.shape[0])
        self.n_coordinates = len(self.places)
        self.members = [xp.asarray(b, dtype=xp.int64, device=device_of(w)) for b in self.places]
        self.columns = [map_.take_columns(at) for at in self.members]
        self.lipschitz = [self._lipschitz(b) for b in range(self.n_coordinates)]
        self.strengths: list[float] | None = None
        if hasattr(penalty, "block_strengths"):
            self.strengths = penalty.block_strengths(w.shape[0])
        self.full_indicator, self.active_left = float("inf"), 0

    def _lipschitz(self, b: int) -> float:
        xp, at = self.xp, self.members[b]
        raw = self.columns[b].gram(self.h)
        hx = xp.take(self.hx, at)
        largest = to_float(xp.linalg.eigvalsh(raw - hx[:, None] * xp.take(self.mean, at))[-1])
        # Columns that are constant but for rounding have no curvature.
        rounding = 16 * len(self.places[b]) * float(xp.finfo(raw.dtype).eps)
        return largest if largest > rounding * to_float(xp.max(xp.abs(raw))) else 0.0

    # Those of single coordinates, kept in the same way.
    gram = CoordinateModel.gram

    def put(self, b: int, values: Any) -> None:
        """Set the coefficients of block ``b``."""
        for k, j in enumerate(self.places[b]):
            self.w[j] = values[k]

    def violations(self, distance: Any) -> Any:
        """Norm of the minimal subgradient of each block, over the root of its constant."""
        xp = self.xp
        squares = distance(self.w, -(self.map.rmatvec(self.u) + self.c * self.hx)) ** 2
        each = [
            xp.sqrt(xp.sum(xp.take(squares, at)) / lipschitz) if lipschitz > 0 else 0 * self.c
            for at, lipschitz in zip(self.members, self.lipschitz, strict=True)
        ]
        return xp.stack(each)

    def move_if_lower(self, change: Any, penalty_change: Any) -> bool:
        """Go to ``w + change``, in place, if the objective is lower there; one product with X."""
        lower = shift_if_lower(self, self.u, change, penalty_change)
        if lower:
            self.w += change
        return lower

    def epochs(self, order: Any, n: int, target: float) -> tuple[int, float]:
        """Up to ``n`` epochs in place: ``(epochs done, indicator)``."""
        return self.kernels.block_epochs(self, order, n, target)
