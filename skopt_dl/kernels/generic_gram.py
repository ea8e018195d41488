r"""The lasso and the elastic net on a Gram block, solved exactly: specification of ``GramLasso``.

.. math:: \min_w\ \tfrac12 w'Gw - q'w + \sum_j a_j |w_j| + \tfrac12 \sum_j b_j w_j^2
"""

from __future__ import annotations

from typing import Any

from skopt_dl.kernels.namespace import namespace_of, scatter

# A pivot below this share of its diagonal belongs to a column that depends on the support.
DEPENDENT = 1e-10
# Violations below this share of a_j are rounding.
ROUNDING = 1e-9


class GramLasso:
    """Active-set solver of the problem above, kept between calls on growing sets.

    Parameters
    ----------
    capacity : int
        Largest support that is possible.
    positive : bool
        Restrict to ``w >= 0``.

    Notes
    -----
    Newton steps on the support are cut where a coordinate would change sign; it leaves. Then the
    strongest violator enters by its coordinate step. If its column depends on the support, the loss
    is flat along the null direction and the penalty falls: the step goes on until a coordinate of
    the support leaves. Every turn decreases the objective, and there are finitely many signed
    supports, so the method ends.
    """

    def __init__(self, capacity: int, positive: bool = False) -> None:
        self.capacity, self.positive = capacity, positive

    def bind(self, G: Any, b: Any, w: Any, c: Any) -> None:
        """Attach the block ``G``, ridge ``b``, and ``w`` and ``c = q - G w``, changed in place."""
        self.xp = namespace_of(G)
        self.G, self.b, self.w, self.c = G, b, w, c

    def refresh(self) -> None:
        """Adopt a ``w`` or ``b`` set from outside. Nothing is kept here between calls; the compiled
        twin rebuilds its factor."""

    def _support(self) -> Any:
        return self.xp.nonzero(self.w != 0)[0]

    def _block(self, rows: Any, columns: Any) -> Any:
        return self.xp.take(self.xp.take(self.G, rows, axis=0), columns, axis=1)

    def _hessian(self, support: Any) -> Any:
        xp = self.xp
        eye = xp.eye(support.shape[0], dtype=self.G.dtype, device=self.G.device)
        return self._block(support, support) + xp.take(self.b, support)[:, None] * eye

    def _move(self, support: Any, change: Any, leaving: int | None = None) -> None:
        """``w[support] += change``, ``c`` follows; position ``leaving`` becomes exactly zero."""
        xp = self.xp
        self.c[...] = self.c - xp.take(self.G, support, axis=1) @ change
        new = xp.take(self.w, support) + change
        if leaving is not None:
            new[leaving] = 0.0
        moved = scatter(support, xp.ones_like(new), self.w.shape[0]) > 0
        self.w[...] = xp.where(moved, scatter(support, new, self.w.shape[0]), self.w)

    def _cut(self, w: Any, d: Any) -> tuple[float, int | None]:
        """Length of the first step along ``d`` that makes an entry of ``w`` zero, and which."""
        xp = self.xp
        towards = w * d < 0
        ratio = xp.where(
            towards, -w / xp.where(towards, d, xp.ones_like(d)), xp.full_like(w, xp.inf)
        )
        hit = int(xp.argmin(ratio))
        t = float(ratio[hit])
        return t, (hit if t < float("inf") else None)

    def _newton(self, a: Any) -> None:
        """Minimise on the support, dropping coordinates whose sign would change."""
        xp = self.xp
        support = self._support()
        while support.shape[0]:
            w = xp.take(self.w, support)
            rhs = xp.take(self.c, support) - xp.take(self.b, support) * w
            rhs = rhs - xp.take(a, support) * xp.sign(w)
            d = xp.linalg.solve(self._hessian(support), rhs)
            t, hit = self._cut(w, d)
            if t > 1:
                self._move(support, d)
                return
            self._move(support, t * d, hit)
            support = self._support()

    def _enter(self, j: int, a: Any) -> bool:
        """Bring the violator j in; false if that is not possible."""
        xp, support = self.xp, self._support()
        diagonal = float(self.G[j, j] + self.b[j])
        if diagonal <= 0:
            return False
        one = xp.asarray([j], device=self.G.device)
        sign = 1.0 if float(self.c[j]) > 0 else -1.0
        if support.shape[0]:
            cross = self._block(support, one)
            g = xp.linalg.solve(self._hessian(support), cross)[:, 0]
            if diagonal - float(cross[:, 0] @ g) <= DEPENDENT * diagonal:
                d = -sign * g
                t, hit = self._cut(xp.take(self.w, support), d)
                if hit is None:
                    return False
                self._move(support, t * d, hit)
                self._move(one, xp.asarray([sign * t], dtype=self.G.dtype, device=self.G.device))
                return True
        step = (self.c[j] - sign * a[j]) / diagonal
        self._move(one, xp.reshape(step, (1,)))
        return True

    def solve(self, a: Any, max_turns: int = 100_000) -> int:
        """Minimise for strengths ``a`` from the present ``w``; returns the turns taken."""
        xp = self.xp
        for turn in range(max_turns):
            self._newton(a)
            size = self.c if self.positive else xp.abs(self.c)
            over = xp.where(self.w == 0, size - a * (1 + ROUNDING), xp.full_like(size, -xp.inf))
            entered = False
            while not entered:
                j = int(xp.argmax(over))
                if not float(over[j]) > 0:
                    return turn + 1
                entered = self._enter(j, a)
                over[j] = -float("inf")
        return max_turns

    def slope(self, a: Any) -> Any:
        """``d w / d t`` for strengths ``t a``: ``-(G_AA + b)^-1 (a s)`` on the support."""
        xp, support = self.xp, self._support()
        out = xp.zeros_like(self.w)
        if support.shape[0]:
            signs = xp.sign(xp.take(self.w, support)) * xp.take(a, support)
            u = -xp.linalg.solve(self._hessian(support), signs)
            out = scatter(support, u, out.shape[0])
        return out
