r"""The CP form (canonical polyadic, PARAFAC): an entry is a sum of products of components.

.. math:: x_t \approx \sum_l \prod_d u^d_{i_{td}\,l}

Two modes are a matrix.
"""

from __future__ import annotations

from typing import Any

from skopt_dl.matrix_completion.tensor_problem import TensorProblem


class CPProblem(TensorProblem):
    """See `TensorProblem`; all ranks are alike."""

    @property
    def _spread(self) -> float:
        return float(self.ranks[0])

    def features(self, w: Any, rows: list[Any], d: int) -> Any:
        """The products of the other modes' rows."""
        kept = [u for e, u in enumerate(rows) if e != d]
        total = kept[0]
        for u in kept[1:]:
            total = total * u
        return total

    def balance(self, w: Any) -> None:
        """Give each component equal parts of the penalty in all modes, in place: the least sum."""
        xp, U = self.xp, self.unpack(w)
        sizes = xp.stack([xp.sqrt(r @ (u * u)) for r, u in zip(self.mode_weight, U, strict=True)])
        alive = xp.all(sizes > 0, axis=0)
        safe = xp.where(alive, sizes, xp.ones_like(sizes))
        mean = xp.exp(xp.mean(xp.log(safe), axis=0))
        ratios = xp.where(alive, mean / safe, xp.ones_like(sizes))
        for d, u in enumerate(U):
            w[self.blocks[f"mode {d}"]] = xp.reshape(u * ratios[d, :], (-1,))
