r"""A randomised low-rank preconditioner of :math:`H + \mu I`, for H symmetric and semi-definite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from skopt_dl.kernels.namespace import namespace_of


class NystromPreconditioner:
    r"""The Nyström approximation :math:`\hat H = U \Lambda U'` of H, and what inverts its sum with
    :math:`\mu I` up to a scale.

    .. math::

        \hat H = (H Q)(Q'HQ)^{-1}(H Q)', \qquad
        P^{-1} = (\lambda_r + \mu)\, U (\Lambda + \mu)^{-1} U' + (I - UU')

    with an orthonormal Q of random directions. Where H has few large eigenvalues, P leaves a
    condition number of about 1 + (what the rank leaves out) / :math:`\mu`.

    Parameters
    ----------
    product : callable
        ``V -> H V`` for an array of shape ``(p, r)``; asked ``power + 1`` times.
    test : array of shape (p, r)
        Random directions, ``r <= p``; they need not be orthonormal.
    power : int
        Products with H that turn them towards its largest eigenvectors, before the one that counts.

    References
    ----------
    Z. Frangella, J. Tropp, M. Udell, "Randomized Nyström preconditioning", SIAM J. Matrix Anal.
    Appl. 44 (2023), Algorithm 2.1 and (5.3).
    """

    def __init__(self, product: Callable[[Any], Any], test: Any, power: int = 0) -> None:
        xp = self.xp = namespace_of(test)
        Q, _ = xp.linalg.qr(test)
        for _ in range(power):
            Q, _ = xp.linalg.qr(product(Q))
        Y = product(Q)
        # A shift of rounding size keeps the core positive definite; it is taken off at the end.
        eps = xp.finfo(test.dtype).eps
        shift = eps * test.shape[0] ** 0.5 * xp.linalg.matrix_norm(Y)
        Y = Y + shift * Q
        core = Q.T @ Y
        values, vectors = xp.linalg.eigh((core + core.T) / 2)
        floor = xp.clip(values, eps * xp.max(xp.abs(values)), None)
        floor = xp.where(floor > 0, floor, xp.ones_like(floor))
        self.U, s, _ = xp.linalg.svd((Y @ vectors) / xp.sqrt(floor), full_matrices=False)
        self.values = xp.clip(s**2 - shift, 0, None)

    def solve(self, R: Any, mu: Any) -> Any:
        """``P^-1 R`` for right-hand sides of shape ``(p, K)``, with one ``mu`` each."""
        xp = self.xp
        full = self.values[:, None] + mu
        least = self.values[-1] + mu
        ratio = xp.where(full > 0, least / xp.where(full > 0, full, xp.ones_like(full)), full)
        # Without a ridge a direction that the approximation does not see is left as it is.
        ratio = xp.where(least > 0, ratio, xp.ones_like(full))
        return R + self.U @ ((ratio - 1) * (self.U.T @ R))
