r"""``precompute``: least squares with many rows, compressed to as many rows as columns.

With ``A`` the centred, weighted design and ``b`` the target, any ``R`` with :math:`R'R = A'A` and
``c`` with :math:`R'c = A'b` give

.. math:: |b - Aw|^2 = |c - Rw|^2 + (|b|^2 - |c|^2)

The constant goes into one more row, of zeros, so that the compressed problem has the same
objective, gap and solution as the original, and every solver works on it. An iteration then costs
:math:`p^2` and not :math:`np`. ``R`` is the triangle of a QR factorisation, or the root of a Gram
matrix that the user gives.
"""

from __future__ import annotations

import warnings
from typing import Any

from skopt_dl._sklearn.base import outside
from skopt_dl.kernels.namespace import device_of, namespace_of, to_float
from skopt_dl.linops import root_of
from skopt_dl.linops.aside import thin_qr


def wants_compression(precompute: Any, X: Any) -> bool:
    """Whether ``precompute`` applies: never to sparse X, as ``True`` only where n exceeds p + 1."""
    if hasattr(X, "tocsc") or precompute is False:
        return False
    return precompute is not True or X.shape[0] > X.shape[1] + 1


class CompressedRows:
    """The rows and targets of the compressed problem.

    Parameters
    ----------
    X : array of shape (n, p)
        Validated dense data.
    Y : array of shape (n, K)
        Targets.
    weights : array of shape (n,), optional
        Sample weights.
    fit_intercept : bool
        Whether to centre.
    gram : True or array-like of shape (p, p)
        ``X'X`` of the centred data, rows multiplied by the roots of the weights rescaled to sum to
        n (scikit-learn's convention); ``True`` to compute what is needed.

    Attributes
    ----------
    rows : array of shape (p + 1, p)
    targets : array of shape (p + 1, K)
    """

    def __init__(self, X: Any, Y: Any, weights: Any, *, fit_intercept: bool, gram: Any) -> None:
        xp, (n, p) = namespace_of(X), X.shape
        device = device_of(X)
        if weights is None:
            omega = xp.full(n, 1.0 / n, dtype=X.dtype, device=device)
        else:
            omega = weights / xp.sum(weights)
        self.fit_intercept = fit_intercept
        self.x_mean, self.y_mean = omega @ X, omega @ Y
        if fit_intercept:
            X, Y = X - self.x_mean, Y - self.y_mean
        root = xp.sqrt(omega)[:, None]
        A, B = root * X, root * Y
        gram = None if gram is True else self._checked(gram, A)
        if gram is None:
            Q, R = thin_qr(A)
            C = Q.T @ B
        else:
            R, C = root_of(gram / n, A.T @ B)
        # What the columns cannot explain, and rows of zeros up to p + 1 (a Q with n < p is short).
        rest = xp.sqrt(xp.clip(xp.sum(B**2, axis=0) - xp.sum(C**2, axis=0), 0, None))
        m = R.shape[0] + 1
        zeros = xp.zeros((1, p), dtype=A.dtype, device=device)
        # The problem takes the mean over its m rows; the sum is wanted.
        self.rows = m**0.5 * xp.concat([R, zeros])
        self.targets = m**0.5 * xp.concat([C, rest[None, :]])

    def _checked(self, gram: Any, A: Any) -> Any:
        """The given Gram in A's namespace, or ``None`` if it was made of data not yet centred."""
        xp, (n, p) = namespace_of(A), A.shape
        gram = xp.asarray(gram, dtype=A.dtype, device=device_of(A))
        if gram.shape != (p, p):
            raise ValueError(
                f"precompute has shape {gram.shape}, but a Gram matrix of these data has shape "
                f"{(p, p)}; pass precompute=True to have it computed"
            )
        # One product with a vector that no symmetry hides from checks all entries at once.
        probe = xp.cos(1.6180339887 * xp.arange(p, dtype=A.dtype, device=device_of(A)))
        here = n * (A.T @ (A @ probe))
        error = to_float(xp.max(xp.abs(gram @ probe - here))) if p else 0.0
        size = n * to_float(xp.sum(A**2))
        if error <= 1e3 * to_float(xp.finfo(A.dtype).eps) * size:
            return gram
        if self.fit_intercept and to_float(xp.max(xp.abs(self.x_mean))) > 0:
            warnings.warn(
                "precompute is not the Gram matrix of the centred data, which fit_intercept=True "
                "needs: it is computed anew",
                UserWarning,
                stacklevel=outside(),
            )
            return None
        raise ValueError(
            "precompute is not the Gram matrix of these data: it must be X'X of the rows times "
            "the square roots of the sample weights rescaled to sum to n_samples; pass "
            "precompute=True to have it computed"
        )

    def unpack(self, k: int, w: Any) -> tuple[Any, Any]:
        """Coefficients and intercept of target ``k`` from the answer of its compressed problem."""
        return w, self.y_mean[k] - self.x_mean @ w
