"""What is believed of the parameters: as parts of a point, and as what predicts entries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from skopt_dl.kernels.namespace import namespace_of


@dataclass(frozen=True)
class Beliefs:
    """The parts of the flat parameters.

    Attributes
    ----------
    P, S : arrays of shape (m, kp)
        Means and variances of the rows' parameters (of a draw: its values and zeros, or None).
    Q, T : arrays of shape (n, kq)
        The same of the columns.
    tau : array of shape (1,)
        Precision of the noise.
    gamma, delta : arrays of shape (kp,) and (kq,)
        Precisions of the priors.
    mu, nu : arrays of shape (kp,) and (kq,)
        Means of the priors.
    lam, eta : arrays of shape (m,) and (1,), or None
        Precisions of the rows' noise relative to tau, and their degrees of freedom, where rows
        differ in it.
    """

    P: Any
    S: Any
    Q: Any
    T: Any
    tau: Any
    gamma: Any
    delta: Any
    mu: Any
    nu: Any
    lam: Any = None
    eta: Any = None


def settled(b: Any, seen: Any) -> tuple[Any, Any]:
    """``(Q, T)`` with columns that were not seen at the prior, fitted after them in a turn."""
    xp, known = namespace_of(b.Q), seen[:, None]
    return xp.where(known, b.Q, b.nu), xp.where(known, b.T, 1 / b.delta)


@dataclass(frozen=True)
class Draws:
    """What predicts entries of the training data with uncertainty: one posterior, or draws of it.

    Attributes
    ----------
    P, Q : arrays of shape (d, m, kp) and (d, n, kq)
        Means, or draws.
    S, T : arrays of the same shapes, or None
        Variances; none beside draws.
    new_row, new_col : tuples of arrays of shape (d, kp) and (d, kq)
        Means and variances of the priors: those of rows and columns that were not seen.
    """

    P: Any
    Q: Any
    S: Any
    T: Any
    new_row: tuple[Any, Any]
    new_col: tuple[Any, Any]

    @classmethod
    def of(cls, drawn: list[Beliefs] | None, P: Any, S: Any, columns: Any) -> Draws:
        """Those drawn, else the posterior of ``columns`` and of rows with means P, variances S."""
        if drawn is None:
            priors = (columns.mu, columns.gamma), (columns.nu, columns.delta)
            new = [(mean[None, :], 1 / precision[None, :]) for mean, precision in priors]
            parts = P, columns.Q, S, columns.spread
            return cls(*(a[None, :, :] for a in parts), *new)
        stack = namespace_of(P).stack

        def all_of(name: str) -> Any:
            return stack([getattr(b, name) for b in drawn])

        new = [(all_of("mu"), 1 / all_of("gamma")), (all_of("nu"), 1 / all_of("delta"))]
        return cls(all_of("P"), columns.draws[0], None, None, *new)

    @classmethod
    def without_spread(cls, P: Any, Q: Any) -> Draws:
        """A single point, around zero where nothing was seen."""
        xp = namespace_of(Q)
        new = [(xp.zeros_like(A[:1, :]), xp.zeros_like(A[:1, :])) for A in (P, Q)]
        return cls(P[None, :, :], Q[None, :, :], None, None, *new)

    def at(self, d: int, k: int, rows: Any, cols: Any, seen_r: Any, seen_c: Any) -> tuple[Any, Any]:
        """Values and variances at positions by one draw of ``k`` components, without the mean."""
        p, s = self._taken(d, self.P, self.S, self.new_row, rows, seen_r)
        q, t = self._taken(d, self.Q, self.T, self.new_col, cols, seen_c)
        xp, u, v, a, b = namespace_of(q), p[:, :k], q[:, :k], s[:, :k], t[:, :k]
        value = xp.sum(u * v, axis=1) + xp.sum(p[:, k:], axis=1) + xp.sum(q[:, k:], axis=1)
        variance = xp.sum(u * u * b + a * v * v + a * b, axis=1)
        return value, variance + xp.sum(s[:, k:], axis=1) + xp.sum(t[:, k:], axis=1)

    @staticmethod
    def _taken(d: int, mean: Any, variance: Any, new: Any, at: Any, seen: Any) -> tuple[Any, Any]:
        """Means and variances at positions, those of the prior where nothing was seen."""
        xp, known = namespace_of(mean), seen[:, None]
        p = xp.take(mean[d, :, :], at, axis=0)
        s = xp.zeros_like(p) if variance is None else xp.take(variance[d, :, :], at, axis=0)
        return xp.where(known, p, new[0][d, :]), xp.where(known, s, new[1][d, :])
