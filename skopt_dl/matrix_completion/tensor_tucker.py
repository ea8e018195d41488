r"""Tucker's form: rows of the factors meet in a core.

.. math::

    x_t \approx \sum_{a_1, \dots, a_D} g_{a_1 \dots a_D} \prod_d u^d_{i_{td}\,a_d}

The penalty has :math:`\tfrac\alpha2 |G|^2` besides. Given the factors, the core is a ridge
regression on the products of all their columns.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from skopt_dl.engine import Oracle, offers
from skopt_dl.linops.factor import nearest_factor
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
        return np.reshape(w[self.blocks[CORE]], self.ranks)

    def features(self, w: Any, rows: list[Any], d: int) -> Any:
        """The core, contracted with the other modes' rows."""
        return meet(self.core(w), rows, d)

    def _further_slopes(self, e: Any, rows: list[Any]) -> list[Any]:
        total = np.zeros(self.shapes[CORE], dtype=e.dtype)
        for part in _parts(len(e), total.shape[1]):
            total += (e[part, None] * rows[0][part]).T @ _products(rows[1:], part)
        return [np.reshape(total, (-1,))]

    def _further_change(self, v: Any, rows: list[Any]) -> Any:
        core = np.reshape(v[self.blocks[CORE]], self.shapes[CORE])
        change = np.empty(len(rows[0]), dtype=v.dtype)
        for part in _parts(len(change), core.shape[1]):
            change[part] = np.sum((rows[0][part] @ core) * _products(rows[1:], part), axis=1)
        return change

    @offers(Oracle.BLOCK_SOLVE)
    def block_solve(self, w: Any, block: str) -> None:
        """Minimise over the factor of one mode, or over the core, exactly and in place."""
        if block != CORE:
            super().block_solve(w, block)
            return
        rows, size = self._rows(self.unpack(w), self.at), self.size - self._end
        H, g = np.zeros((size, size)), np.zeros(size)
        for part in _parts(len(self.values), size):
            J = _products(rows, part).astype(np.float64, copy=False)
            weighted = self.weights[part, None] * J
            H += weighted.T @ J
            g += weighted.T @ self.values[part]
        H[np.diag_indices(size)] += self.alpha * self.total
        # It has none of its own where there are fewer entries than numbers in the core, or factors
        # lie in each other's span.
        w[self.blocks[CORE]] = nearest_factor(H).solve(g)

    def balance(self, w: Any) -> None:
        r"""Move w, in place, to a point with the same tensor and less penalty.

        A matrix between the factor of a mode and the core may be anything: with
        :math:`P = \sum_i \rho_i u_i u_i'` and Q the core's products, the least of
        :math:`\operatorname{tr}(PM) + \operatorname{tr}(M^{-1}Q)` is at the geometric mean of
        :math:`P^{-1}` and Q. Mode by mode; one that has lost a direction stays as it is.
        """
        core = self.core(w)
        for d, u in enumerate(self.unpack(w)):
            unfolded = np.reshape(np.moveaxis(core, d, 0), (u.shape[1], -1))
            P = (self.mode_weight[d][:, None] * u).T @ u / self.total
            moved = _geometric_mean_root(P, unfolded @ unfolded.T)
            if moved is not None:
                u[:, :] = u @ moved[0]
                core[...] = np.moveaxis(np.tensordot(moved[1], core, axes=(1, d)), 0, d)


def _geometric_mean_root(P: Any, Q: Any) -> tuple[Any, Any] | None:
    """The root of the geometric mean of ``P^-1`` and Q with its inverse; ``None`` if singular."""
    size = np.finfo(P.dtype).eps * len(P)
    values, V = np.linalg.eigh(P)
    if not values[0] > size * values[-1]:
        return None
    half = (V * np.sqrt(values)) @ V.T
    inverse = (V / np.sqrt(values)) @ V.T
    inner, W = np.linalg.eigh(half @ Q @ half)
    if not inner[0] > size * inner[-1]:
        return None
    M = inverse @ (W * np.sqrt(inner)) @ W.T @ inverse
    means, U = np.linalg.eigh(0.5 * (M + M.T))
    if not means[0] > size * means[-1]:
        return None
    return (U * np.sqrt(means)) @ U.T, (U / np.sqrt(means)) @ U.T


def meet(core: Any, rows: list[Any], d: int) -> Any:
    """The ``core`` contracted with the ``rows`` of all modes but d: of shape (q, k_d)."""
    others = [u for e, u in enumerate(rows) if e != d]
    core = np.moveaxis(core, d, -1)
    out = np.empty((len(others[0]), core.shape[-1]), dtype=np.result_type(core, *others))
    first = np.reshape(core, (core.shape[0], -1))
    for part in _parts(out.shape[0], int(first.shape[1])):
        met = others[0][part] @ first
        for u in others[1:]:
            met = np.reshape(met, (len(met), u.shape[1], -1))
            met = np.einsum("qa,qab->qb", u[part], met)
        out[part] = met
    return out


def orthonormal(core: Any, factors: list[Any]) -> tuple[Any, list[Any]]:
    """The same tensor by factors with orthonormal columns."""
    bases = []
    for d, u in enumerate(factors):
        Q, R = np.linalg.qr(u)
        core = np.moveaxis(np.tensordot(R, core, axes=(1, d)), 0, d)
        bases.append(Q)
    return core, bases


def _parts(q: int, width: int) -> list[slice]:
    size = max(1, PART // max(1, width))
    return [slice(i, min(i + size, q)) for i in range(0, q, size)]


def _products(rows: list[Any], part: slice) -> Any:
    """All products of an entry of each row, the last index running fastest."""
    total = rows[0][part]
    for u in rows[1:]:
        total = np.reshape(total[:, :, None] * u[part, None, :], (len(total), -1))
    return total
