r"""Products of a network's Hessian with directions, by one pass forward and one back.

Differentiating the forward and the backward pass along a direction (the R-operator) gives the exact
product at about twice the cost of a gradient. Letters as in `skopt_dl.kernels.generic_network`; a
dot on a name marks the derivative along the direction.

Source: B. Pearlmutter, "Fast exact multiplication by the Hessian", Neural Comput. 6 (1994).
"""

from __future__ import annotations

from typing import Any

from skopt_dl.kernels.generic_network import network_layers, respond
from skopt_dl.kernels.namespace import namespace_of


def output_curvature(name: str, mean: Any, z_dot: Any) -> Any:
    """The loss's Hessian in the raw outputs, times ``z_dot``; ``mean`` is the response there."""
    if name == "identity":
        return z_dot
    if name == "logistic":
        return mean * (1 - mean) * z_dot
    if name == "exp":
        return mean * z_dot
    xp = namespace_of(mean)
    return mean * (z_dot - xp.sum(mean * z_dot, axis=1, keepdims=True))


class HessianProduct:
    """``d -> H d`` of a network's objective at one point; the forward pass is done once.

    Parameters
    ----------
    net : Network
        The layout.
    w : array of shape (size,)
        The point.
    X, y : arrays of shape (n, p) and (n, K)
        All the data.
    omega : array of shape (n,)
        Weights that sum to one.
    ridge : float
        Curvature of the penalty on the coefficients.
    """

    def __init__(self, net: Any, w: Any, X: Any, y: Any, omega: Any, ridge: float) -> None:
        self.net, self.xp, self.omega, self.ridge = net, namespace_of(w), omega[:, None], ridge
        self.coefs, _ = net.unpack(w)
        self.layers, raw = network_layers(net, w, X)
        self.mean = respond(net.output, raw[-1])
        units = list(zip(net.activations, raw[:-1], self.layers[1:], strict=True))
        self.slopes = [None, *(f.slope(z, a) for f, z, a in units)]
        self.curvatures = [None, *(f.curvature(z, a) for f, z, a in units)]
        # deltas[k]: derivative in the raw output of layer k + 1; backs[k]: in its activation.
        d = self.omega * (self.mean - y)
        self.deltas, self.backs = [d], [None]
        for k in range(len(self.coefs) - 1, 0, -1):
            back = d @ self.coefs[k].T
            d = back * self.slopes[k]
            self.deltas.insert(0, d)
            self.backs.insert(0, back)

    def __call__(self, direction: Any) -> Any:
        net, xp, layers = self.net, self.xp, self.layers
        coefs_dot, intercepts_dot = net.unpack(direction)
        last = len(self.coefs) - 1
        dots: list[Any] = [None]
        raw_dots: list[Any] = []
        for k in range(last + 1):
            z_dot = layers[k] @ coefs_dot[k] + intercepts_dot[k]
            if k > 0:
                z_dot = z_dot + dots[k] @ self.coefs[k]
            raw_dots.append(z_dot)
            dots.append(self.slopes[k + 1] * z_dot if k < last else z_dot)
        out = self.ridge * direction
        out[net.n_coef :] = 0 * out[net.n_coef :]
        d_dot = self.omega * output_curvature(net.output, self.mean, dots[-1])
        for k in range(last, -1, -1):
            coef = layers[k].T @ d_dot
            if k > 0:
                coef = coef + dots[k].T @ self.deltas[k]
            out[net.blocks[f"coef{k}"]] += xp.reshape(coef, (-1,))
            out[net.blocks[f"intercept{k}"]] += xp.sum(d_dot, axis=0)
            if k > 0:
                back_dot = d_dot @ self.coefs[k].T + self.deltas[k] @ coefs_dot[k].T
                bend = self.curvatures[k] * raw_dots[k - 1]
                d_dot = back_dot * self.slopes[k] + self.backs[k - 1] * bend
        return out
