r"""Products with the Gauss-Newton matrix of a network's objective, by one pass forward and one
back, and a square root of it.

The Gauss-Newton matrix :math:`J' H_L J` leaves out how the network itself bends: it is positive
semi-definite, and for the losses here it is the Fisher information of the model. Letters as in
`skopt_dl.kernels.generic_network`; a dot on a name marks the derivative along the direction.

Source: N. Schraudolph, "Fast curvature matrix-vector products for second-order gradient descent",
Neural Comput. 14 (2002).
"""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

from skopt_dl.kernels.generic_network import respond
from skopt_dl.kernels.generic_passes import output_curvature
from skopt_dl.kernels.memory import Memory, in_pieces
from skopt_dl.kernels.namespace import namespace_of


def curvature_root(name: str, mean: Any, k: int) -> Any:
    """Column k of a square root R of the loss's Hessian in the raw outputs, ``R R' = H``."""
    xp = namespace_of(mean)
    unit = xp.zeros_like(mean)
    unit[:, k] = 1
    if name == "identity":
        return unit
    if name == "logistic":
        return xp.sqrt(mean * (1 - mean)) * unit
    if name == "exp":
        return xp.sqrt(mean) * unit
    return xp.sqrt(mean[:, k : k + 1]) * (unit - mean)


class GaussNewtonProduct:
    """``d -> (J' H_L J + ridge) d`` at one point; the pass forward there is done once.

    Parameters
    ----------
    kernels : KernelSet
        Bound to the network and its data.
    net : Network
        The layout.
    w : array of shape (size,)
        The point.
    X, y : arrays of shape (n, p) and (n, K)
        The samples.
    omega : array of shape (n,)
        Weights of the samples, those of all sum to one.
    ridge : float
        Curvature of the penalty on the coefficients.
    memory : list, optional
        Of the pass forward, see `network_forward`: what was made with it before is overwritten.
    kept : Memory, optional
        Of the mean response and of gradients; the same holds.
    """

    def __init__(
        self,
        kernels: Any,
        net: Any,
        w: Any,
        X: Any,
        y: Any,
        omega: Any,
        ridge: float,
        memory: list[Any] | None = None,
        kept: Memory | None = None,
    ) -> None:
        self.kernels, self.net, self.xp, self.w = kernels, net, namespace_of(w), w
        self.X, self.y, self.omega, self.ridge = X, y, omega[:, None], ridge
        self.memory, self.kept = memory, Memory() if kept is None else kept
        self.forward = kernels.network_forward(net, w, X, memory)
        self.raw = self.forward.raw
        mean = self.kept.array("mean", self.raw.shape, w)
        self.mean = in_pieces(partial(respond, net.output), mean, self.raw)

    def first(self, count: int) -> Any:
        """The same on the first ``count`` samples alone, whose weights sum to one too."""
        part = copy.copy(self)
        part.forward = self.forward.first(count)
        part.raw, part.mean = part.forward.raw, self.mean[:count, :]
        part.y, omega = self.y[:count, :], self.omega[:count, :]
        total = self.xp.sum(omega)
        # Without weight in the part everything is 0, as in a batch.
        part.omega = omega / self.xp.where(total > 0, total, self.xp.ones_like(total))
        return part

    def tangents(self, directions: Any) -> Any:
        """The derivatives of the raw outputs along the rows of ``directions``."""
        return self.kernels.network_tangents(self.forward, directions)

    def penalty_product(self, direction: Any, out: Any = None) -> Any:
        """The penalty's Hessian times ``direction``, in ``out`` or a new array."""
        out = self.xp.empty_like(direction) if out is None else out
        out[...] = direction
        out *= self.ridge
        out[self.net.n_coef :] *= 0
        return out

    def __call__(self, direction: Any) -> Any:
        dot = self.tangents(direction[None, :])[0, :, :]
        d = self.omega * output_curvature(self.net.output, self.mean, dot)
        return self.pullback(d, self.penalty_product(direction))

    def pullback(self, d: Any, out: Any) -> Any:
        """``out`` plus ``J' d``, in place."""
        return self.kernels.network_pullback(self.forward, d, out)

    def products(self, vectors: Any) -> Any:
        """``u' H v`` with the matrix H here for each pair of rows of ``vectors``."""
        kernels, dots = self.kernels, self.tangents(vectors)
        out = kernels.output_products(self.net.output, self.mean, self.omega[:, 0], dots)
        return out + self.ridge * kernels.row_products(vectors, self.net.n_coef)

    def at(self, w: Any) -> GaussNewtonProduct:
        """The same samples at another point, in the same memory."""
        omega = self.omega[:, 0]
        return GaussNewtonProduct(
            self.kernels, self.net, w, self.X, self.y, omega, self.ridge, self.memory, self.kept
        )

    def loss(self, floor: float) -> tuple[Any, Any, Any]:
        """Loss (see `output_loss`) and penalty of the samples, and the slopes in the outputs."""
        loss, d = self.kernels.output_terms(
            self.net.output, self.y, self.raw, self.omega[:, 0], floor
        )
        coef = self.w[: self.net.n_coef]
        return loss, 0.5 * self.ridge * (coef @ coef), d

    def value(self) -> Any:
        """The objective on the samples."""
        loss, penalty, _ = self.loss(0.0)
        return loss + penalty

    def backward(self, d: Any) -> list[Any]:
        """Cotangents of the raw outputs of every layer from ``d``, that of the last one."""
        return self.kernels.network_cotangents(self.forward, d)

    def root(self) -> tuple[Any, Any]:
        """``(R, diagonal)`` with ``R'R + diag(diagonal)`` the matrix; R has a row a sample and
        output."""
        xp, weights = self.xp, self.xp.sqrt(self.omega)
        n, K = self.mean.shape
        parts = []
        for j in range(K):
            deltas = self.backward(weights * curvature_root(self.net.output, self.mean, j))
            coefs = [
                xp.reshape(a[:, :, None] * d[:, None, :], (n, -1))
                for a, d in zip(self.dense_layers(), deltas, strict=True)
            ]
            parts.append(xp.concat([*coefs, *deltas], axis=1))
        ones = xp.ones_like(parts[0][0, :])
        return xp.concat(parts), self.penalty_product(ones)

    def dense_layers(self) -> list[Any]:
        """The inputs of every layer as arrays."""
        first, *others = self.forward.given
        return [first.toarray() if hasattr(first, "toarray") else first, *others]
