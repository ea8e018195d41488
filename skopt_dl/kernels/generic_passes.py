r"""Passes through a network from which its curvature is made, in plain array code.

A pass forward leaves what each layer was given and the slopes of the activations there; derivatives
along directions of the parameters go forward from that (tangents), those of a function of the
outputs go back (cotangents). Letters as in `skopt_dl.kernels.generic_network`; a dot on a name
marks the derivative along a direction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from skopt_dl.kernels.generic_network import network_layers, output_loss, respond
from skopt_dl.kernels.namespace import namespace_of


@dataclass
class Forward:
    """What a pass forward leaves.

    Attributes
    ----------
    net : Network
        The layout.
    w : array of shape (size,)
        The point.
    given : list of array of shape (n, units)
        What each layer is given: the data, then the hidden outputs.
    slopes : list of array of shape (n, units)
        Of the activations of each hidden layer. A compiled twin does not show them.
    raw : array of shape (n, K)
        The raw output of the last layer.
    """

    net: Any
    w: Any
    given: list[Any]
    slopes: list[Any]
    raw: Any

    def first(self, count: int) -> Forward:
        """That of the first ``count`` samples."""
        given, slopes = ([a[:count, :] for a in part] for part in (self.given, self.slopes))
        return Forward(self.net, self.w, given, slopes, self.raw[:count, :])


def network_forward(net: Any, w: Any, X: Any, memory: list[Any] | None = None) -> Any:
    """The pass forward on ``X``.

    ``memory`` is a list, empty at first, in which a compiled twin keeps what it made in one call
    for the next, of the same network: it is overwritten then.
    """
    given, raw = network_layers(net, w, X)
    units = zip(net.activations, raw[:-1], given[1:], strict=True)
    return Forward(net, w, given, [f.slope(z, a) for f, z, a in units], raw[-1])


def network_tangents(forward: Any, directions: Any) -> Any:
    """Derivatives of the raw output along the rows of ``directions``, shape ``(m, n, K)``."""
    net, slopes, outs = forward.net, forward.slopes, []
    coefs = net.unpack(forward.w)[0]
    for i in range(directions.shape[0]):
        coefs_dot, intercepts_dot = net.unpack(directions[i, :])
        z_dot = None
        for k, a in enumerate(forward.given):
            before = None if z_dot is None else slopes[k - 1] * z_dot
            z_dot = a @ coefs_dot[k]
            z_dot += intercepts_dot[k]
            if before is not None:
                z_dot += before @ coefs[k]
        outs.append(z_dot)
    return namespace_of(forward.w).stack(outs)


def network_cotangents(forward: Any, d: Any) -> list[Any]:
    """Derivatives in the raw outputs of each layer, where ``d`` is that in those of the last."""
    coefs, deltas = forward.net.unpack(forward.w)[0], [d]
    for k in range(len(coefs) - 1, 0, -1):
        deltas.insert(0, (deltas[0] @ coefs[k].T) * forward.slopes[k - 1])
    return deltas


def network_pullback(forward: Any, d: Any, out: Any) -> Any:
    """Add to ``out``, in place, the gradient whose derivative in the raw outputs is ``d``."""
    xp, blocks = namespace_of(forward.w), forward.net.blocks
    for k, delta in enumerate(network_cotangents(forward, d)):
        out[blocks[f"coef{k}"]] += xp.reshape(forward.given[k].T @ delta, (-1,))
        out[blocks[f"intercept{k}"]] += xp.sum(delta, axis=0)
    return out


def output_terms(name: str, y: Any, z: Any, omega: Any, floor: float) -> tuple[Any, Any]:
    """The losses of the raw outputs ``z`` (see `output_loss`) times ``omega``, summed, and their
    derivative in ``z``, that of the exact loss."""
    each = output_loss(name, y, z, floor)
    return omega @ each, omega[:, None] * (respond(name, z) - y)


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


def output_products(name: str, mean: Any, omega: Any, dots: Any) -> Any:
    """``sum_i omega_i u_i' H_i v_i`` with the loss's Hessian in the raw outputs of each sample, for
    each pair of ``dots`` (of shape ``(m, n, K)``): an array of shape ``(m, m)``."""
    xp, m = namespace_of(mean), dots.shape[0]
    curved = [omega[:, None] * output_curvature(name, mean, dots[i, :, :]) for i in range(m)]
    return xp.reshape(dots, (m, -1)) @ xp.reshape(xp.stack(curved), (m, -1)).T
