r"""Logistic losses: binary, :math:`\log(1 + e^z) - y z` with y in {0, 1}, and multinomial,
:math:`\log \sum_k e^{z_k} - z_y` with y a one-hot row.

Every formula keeps its accuracy where z is large: exponentials are taken of non-positive numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from skopt_dl.kernels import kernels_of
from skopt_dl.kernels.generic_losses import sigmoid
from skopt_dl.kernels.namespace import namespace_of
from skopt_dl.losses.base import Loss, check_targets


def xlogx(p: Any) -> Any:
    """``p log p``, continuous at 0."""
    xp = namespace_of(p)
    return xp.where(p > 0, p * xp.log(xp.where(p > 0, p, xp.ones_like(p))), xp.zeros_like(p))


class Logistic(Loss):
    """Binary cross-entropy of the log-odds ``z``; ``y`` in [0, 1]."""

    smoothness: ClassVar[float] = 0.25
    continuous_curvature: ClassVar[bool] = True
    kernel_id: ClassVar[int | None] = 1

    def check(self, y: Any) -> None:
        check_targets(self, y, (y >= 0) & (y <= 1), "from 0 to 1")

    def inverse_link(self, z: Any) -> Any:
        """The probability of ``y = 1``."""
        return sigmoid(z)

    def value(self, y: Any, z: Any) -> Any:
        xp = namespace_of(z)
        return xp.log1p(xp.exp(-xp.abs(z))) + xp.where(z > 0, z, xp.zeros_like(z)) - y * z

    def slope(self, y: Any, z: Any) -> Any:
        return sigmoid(z) - y

    def value_slope(self, y: Any, z: Any) -> tuple[Any, Any]:
        """`value` and `slope` from one exponential."""
        return kernels_of(z).logistic_terms(y, z)

    def curvature(self, y: Any, z: Any) -> Any:
        e = namespace_of(z).exp(-namespace_of(z).abs(z))
        return e / (1 + e) ** 2

    def conjugate(self, y: Any, u: Any) -> Any:
        """Negative entropy of ``p = u + y``; finite for ``p`` in [0, 1]."""
        xp = namespace_of(u)
        p = u + y
        inside = (p >= -1e-12) & (p <= 1 + 1e-12)
        p = xp.clip(p, 0, 1)
        return xp.where(inside, xlogx(p) + xlogx(1 - p), xp.full_like(p, xp.inf))

    def prox(self, y: Any, v: Any, step: Any) -> Any:
        """Root of ``z - v + step (sigmoid(z) - y)``, by Newton's method from 0.

        The sigmoid is concave above 0 and convex below: from 0 every Newton step goes towards the
        root and never beyond. It takes about ``log(step)`` turns to where the curve is nearly
        straight, and a few more to rounding.
        """
        z = namespace_of(v).zeros_like(v)
        for _ in range(30):
            p = sigmoid(z)
            z = z - (z - v + step * (p - y)) / (1 + step * p * (1 - p))
        return z


class Multinomial(Loss):
    """Cross-entropy of softmax; ``y`` one-hot (or a distribution) of shape ``(n, K)``."""

    smoothness: ClassVar[float] = 0.5
    continuous_curvature: ClassVar[bool] = True
    kernel_id: ClassVar[int | None] = 2

    def check(self, y: Any) -> None:
        if y.ndim != 2:
            raise ValueError(
                f"Multinomial: targets have shape {tuple(y.shape)}, but they must be one-hot rows "
                "of shape (n_samples, n_classes)"
            )

    def inverse_link(self, z: Any) -> Any:
        """The probabilities of the classes."""
        return kernels_of(z).softmax(z)

    def value(self, y: Any, z: Any) -> Any:
        return self.value_slope(y, z)[0]

    def slope(self, y: Any, z: Any) -> Any:
        return kernels_of(z).softmax(z) - y

    def value_slope(self, y: Any, z: Any) -> tuple[Any, Any]:
        """`value` and `slope` from one softmax."""
        return kernels_of(z).softmax_terms(y, z)

    def curvature_map(self, y: Any, z: Any) -> Callable[[Any], Any]:
        """``d -> p * (d - p'd)``, row by row."""
        p, xp = kernels_of(z).softmax(z), namespace_of(z)
        return lambda d: p * (d - xp.sum(p * d, axis=1, keepdims=True))

    def softmax_curvature(self, y: Any, z: Any) -> Any:
        """The probabilities ``p`` whose ``diag(p) - p p'`` is the second derivative."""
        return kernels_of(z).softmax(z)

    def curvature_root(self, y: Any, z: Any) -> list[Any]:
        """``sqrt(p_k) (e_k - p)`` for each class."""
        p, xp = kernels_of(z).softmax(z), namespace_of(z)
        roots = [-p * xp.sqrt(p[:, k : k + 1]) for k in range(p.shape[1])]
        for k, root in enumerate(roots):
            root[:, k] += xp.sqrt(p[:, k])
        return roots

    def conjugate(self, y: Any, u: Any) -> Any:
        """Negative entropy of the distribution ``u + y``; infinite off the simplex."""
        xp = namespace_of(u)
        p = u + y
        tiny = 1e-5 if p.dtype == xp.float32 else 1e-10
        inside = xp.all(p >= -tiny, axis=1) & (xp.abs(xp.sum(p, axis=1) - 1) < tiny)
        value = xp.sum(xlogx(xp.clip(p, 0, 1)), axis=1)
        return xp.where(inside, value, xp.full_like(value, xp.inf))

    def prox(self, y: Any, v: Any, step: Any) -> Any:
        """Root of ``(z - v)/step + softmax(z) - y`` by Newton, solving a diagonal plus rank one."""
        xp = namespace_of(v)
        z = v + (step / (1 + step)) * (y - kernels_of(v).softmax(v))
        best, residual = z, xp.full(z.shape[:1], xp.inf, dtype=z.dtype, device=v.device)
        for _ in range(30):
            p = kernels_of(z).softmax(z)
            f = z - v + step * (p - y)
            size = xp.max(xp.abs(f), axis=1)
            better = size < residual
            best = xp.where(better[:, None], z, best)
            residual = xp.where(better, size, residual)
            # (I + step (diag p - p p')) d = f by Sherman-Morrison; halve where it stopped helping.
            a = 1 / (1 + step * p)
            sp = step * p
            d = a * f
            d = d + a * sp * (
                xp.sum(p * d, axis=1, keepdims=True)
                / (1 - xp.sum(p * a * sp, axis=1, keepdims=True))
            )
            z = xp.where(better[:, None], z - d, (z + best) / 2)
        return best
