r"""Tucker's form: rows of the factors meet in a core.

.. math::

    x_t \approx \sum_{a_1, \dots, a_D} g_{a_1 \dots a_D} \prod_d u^d_{i_{td}\,a_d}

The penalty has :math:`\tfrac\alpha2 |G|^2` besides. Given the factors, the core is a ridge
regression on the products of all their columns.
"""

from __future__ import annotations

import math
from typing import Any

from skopt_dl.engine import Oracle, offers
from skopt_dl.kernels.namespace import device_of, namespace_of
from skopt_dl.linops.factor import nearest_factor, with_diagonal
from skopt_dl.matrix_completion.tensor_problem import TensorProblem

CORE = "core"
# Numbers of a block of entries times the products of their rows.
PART = 2**20


class TuckerProblem(TensorProblem):
    """See `TensorProblem`. The core is kept as its first unfolding, of shape (k_1, k_2 ... k_D)."""

    def _further_shapes(self) -> dict[str, tuple[int, int]]:
        return {CORE: (self.ranks[0], math.prod(self.ranks[1:]))}

    @property
    def _spread(self) -> float:
        return float(math.prod(self.ranks))

    def core(self, w: Any) -> Any:
        """The core as an array of shape ``ranks``, a view of ``w``."""
        return self.xp.reshape(w[self.blocks[CORE]], self.ranks)

    def features(self, w: Any, rows: list[Any], d: int) -> Any:
        """The core, contracted with the other modes' rows."""
        return meet(self.core(w), rows, d)

    def _further_slopes(self, e: Any, rows: list[Any]) -> list[Any]:
        total = self.xp.zeros(self.shapes[CORE], dtype=e.dtype, device=self.device)
        for part in _parts(e.shape[0], total.shape[1]):
            total += (e[part, None] * rows[0][part, :]).T @ _products(rows[1:], part)
        return [self.xp.reshape(total, (-1,))]

    def _further_change(self, v: Any, rows: list[Any]) -> Any:
        xp = self.xp
        core = xp.reshape(v[self.blocks[CORE]], self.shapes[CORE])
        change = xp.empty(rows[0].shape[0], dtype=v.dtype, device=self.device)
        for part in _parts(change.shape[0], core.shape[1]):
            met = rows[0][part, :] @ core
            change[part] = xp.sum(met * _products(rows[1:], part), axis=1)
        return change

    @offers(Oracle.BLOCK_SOLVE)
    def block_solve(self, w: Any, block: str) -> None:
        """Minimise over the factor of one mode, or over the core, exactly and in place."""
        if block != CORE:
            super().block_solve(w, block)
            return
        xp, size = self.xp, self.size - self._end
        rows = self._rows(self.unpack(w), self.at)
        H = xp.zeros((size, size), dtype=xp.float64, device=self.device)
        g = xp.zeros(size, dtype=xp.float64, device=self.device)
        for part in _parts(self.values.shape[0], size):
            J = xp.astype(_products(rows, part), xp.float64, copy=False)
            weighted = xp.astype(self.weights[part, None], xp.float64, copy=False) * J
            H += weighted.T @ J
            g += weighted.T @ xp.astype(self.values[part], xp.float64, copy=False)
        # It has no factor of its own where there are fewer entries than numbers in the core, or
        # factors lie in each other's span.
        solved = nearest_factor(with_diagonal(H, self.alpha * self.total)).solve(g)
        w[self.blocks[CORE]] = xp.astype(solved, self.dtype, copy=False)

    def balance(self, w: Any) -> None:
        r"""Move w, in place, to a point with the same tensor and less penalty.

        A matrix between the factor of a mode and the core may be anything: with
        :math:`P = \sum_i \rho_i u_i u_i'` and Q the core's products, the least of
        :math:`\operatorname{tr}(PM) + \operatorname{tr}(M^{-1}Q)` is at the geometric mean of
        :math:`P^{-1}` and Q. Mode by mode; one that has lost a direction stays as it is.
        """
        xp, core = self.xp, self.core(w)
        for d, u in enumerate(self.unpack(w)):
            unfolded = xp.reshape(xp.moveaxis(core, d, 0), (u.shape[1], -1))
            P = (self.mode_weight[d][:, None] * u).T @ u / self.total
            there, back = _geometric_mean_root(P, unfolded @ unfolded.T)
            w[self.blocks[f"mode {d}"]] = xp.reshape(u @ there, (-1,))
            core = xp.moveaxis(xp.tensordot(back, core, axes=([1], [d])), 0, d)
        w[self.blocks[CORE]] = xp.reshape(core, (-1,))


def _geometric_mean_root(P: Any, Q: Any) -> tuple[Any, Any]:
    """The root of the geometric mean of ``P^-1`` and Q with its inverse; the identity twice where
    one of them is singular. Nothing waits for the device."""
    xp = namespace_of(P)
    eye = xp.eye(P.shape[0], dtype=P.dtype, device=device_of(P))
    values, V, regular = _spectrum(P)
    half = (V * xp.sqrt(values)) @ V.T
    inverse = (V / xp.sqrt(values)) @ V.T
    inner, W, also = _spectrum(half @ Q @ half)
    M = inverse @ (W * xp.sqrt(inner)) @ W.T @ inverse
    means, U, too = _spectrum(0.5 * (M + M.T))
    regular = regular & also & too
    there, back = (U * xp.sqrt(means)) @ U.T, (U / xp.sqrt(means)) @ U.T
    return xp.where(regular, there, eye), xp.where(regular, back, eye)


def _spectrum(A: Any) -> tuple[Any, Any, Any]:
    """Eigenvalues, ones if they are not clear of rounding, eigenvectors, and whether they are."""
    xp = namespace_of(A)
    values, V = xp.linalg.eigh(A)
    regular = values[0] > xp.finfo(A.dtype).eps * A.shape[0] * values[-1]
    return xp.where(regular, values, xp.ones_like(values)), V, regular


def meet(core: Any, rows: list[Any], d: int) -> Any:
    """The ``core`` contracted with the ``rows`` of all modes but d: of shape (q, k_d)."""
    xp, others = namespace_of(core), [u for e, u in enumerate(rows) if e != d]
    core = xp.moveaxis(core, d, -1)
    q, k = others[0].shape[0], core.shape[-1]
    out = xp.empty((q, k), dtype=xp.result_type(core, *others), device=device_of(core))
    first = xp.reshape(core, (core.shape[0], -1))
    for part in _parts(q, int(first.shape[1])):
        met = others[0][part, :] @ first
        for u in others[1:]:
            met = xp.reshape(met, (met.shape[0], u.shape[1], -1))
            met = (u[part, None, :] @ met)[:, 0, :]
        out[part, :] = met
    return out


def orthonormal(core: Any, factors: list[Any]) -> tuple[Any, list[Any]]:
    """The same tensor by factors with orthonormal columns."""
    xp, bases = namespace_of(core), []
    for d, u in enumerate(factors):
        Q, R = xp.linalg.qr(u)
        core = xp.moveaxis(xp.tensordot(R, core, axes=([1], [d])), 0, d)
        bases.append(Q)
    return core, bases


def _parts(q: int, width: int) -> list[slice]:
    size = max(1, PART // max(1, width))
    return [slice(i, min(i + size, q)) for i in range(0, q, size)]


def _products(rows: list[Any], part: slice) -> Any:
    """All products of an entry of each row, the last index running fastest."""
    xp, total = namespace_of(rows[0]), rows[0][part, :]
    for u in rows[1:]:
        total = xp.reshape(total[:, :, None] * u[part, None, :], (total.shape[0], -1))
    return total
