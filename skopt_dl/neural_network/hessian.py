r"""Products with the Hessian of a network's objective, and an estimate of its diagonal, each by one
pass forward and one back in memory that may be kept.

Differentiating the forward and the backward pass along a direction (the R-operator) gives the exact
product at about twice the cost of a gradient. The diagonal is passed back layer by layer. Letters
as in `skopt_dl.kernels.generic_network`; a dot on a name marks the derivative along the direction,
h is a second derivative.

Sources: B. Pearlmutter, "Fast exact multiplication by the Hessian", Neural Comput. 6 (1994);
S. Becker, Y. LeCun, "Improving the convergence of back-propagation learning with second order
methods", 1988; Y. LeCun, L. Bottou, G. Orr, K.-R. Müller, "Efficient BackProp", 1998.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from skopt_dl.kernels import kernels_of
from skopt_dl.kernels.generic_network import respond
from skopt_dl.kernels.generic_passes import output_curvature
from skopt_dl.kernels.generic_updates import matrix_product
from skopt_dl.kernels.memory import Memory, in_pieces
from skopt_dl.kernels.namespace import namespace_of


def _product(A: Any, B: Any, out: Any, **how: Any) -> Any:
    """`matrix_product`, A sparse too."""
    if hasattr(A, "tocsc"):
        return matrix_product(A, B, out, **how)
    return kernels_of(out).matrix_product(A, B, out, **how)


class Layers:
    """The pass forward, and names for what it and the passes from there leave in the memory.

    Attributes
    ----------
    given, raw : list of array
        What each layer is given, the data first, and its raw output.
    mean : array of shape (n, K)
        The mean response.
    """

    def __init__(self, net: Any, w: Any, X: Any, memory: Memory) -> None:
        self.net, self.w, self.memory, self.n = net, w, memory, X.shape[0]
        self.coefs, intercepts = net.unpack(w)
        self.given, self.raw = [X], []
        for k, (coef, intercept) in enumerate(zip(self.coefs, intercepts, strict=True)):
            z = _product(self.given[k], coef, self.of_layer("raw", k))
            z += intercept
            self.raw.append(z)
            if k < len(net.activations):
                a = self.of_layer("given", k)
                self.given.append(in_pieces(net.activations[k].value, a, z))
        self.mean = in_pieces(
            partial(respond, net.output), self.of_layer("mean", len(self.coefs) - 1), self.raw[-1]
        )

    def of_layer(self, name: str, k: int) -> Any:
        """Memory for a number for each sample and unit of layer k."""
        return self.memory.array(f"{name}{k}", (self.n, self.net.shapes[k][1]), self.w)

    def slope(self, k: int) -> Any:
        """The slopes of the activation of hidden layer k."""
        f, out = self.net.activations[k], self.of_layer("slope", k)
        return in_pieces(f.slope, out, self.raw[k], self.given[k + 1])

    def bend(self, k: int) -> Any:
        """Its second derivatives."""
        f, out = self.net.activations[k], self.of_layer("bend", k)
        return in_pieces(f.curvature, out, self.raw[k], self.given[k + 1])

    def block(self, k: int, flat: Any) -> Any:
        """The matrix of layer k in a flat array: a view."""
        return namespace_of(flat).reshape(flat[self.net.blocks[f"coef{k}"]], self.net.shapes[k])


class HessianProduct:
    """``d -> H d`` at one point; the passes forward and back there are done once.

    Parameters
    ----------
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
    memory : Memory, optional
        Of the passes and of the product: both are overwritten by what is made with it next.
    """

    def __init__(
        self, net: Any, w: Any, X: Any, y: Any, omega: Any, ridge: float, memory: Any = None
    ) -> None:
        self.kept = memory is not None
        self.passes = at = Layers(net, w, X, Memory() if memory is None else memory)
        self.omega, self.ridge, self.xp = omega[:, None], ridge, namespace_of(w)
        last = len(at.coefs) - 1
        self.slopes = [at.slope(k) for k in range(last)]
        # bends[k]: curvature of the activation times the derivative in what the next is given.
        self.bends = [at.bend(k) for k in range(last)]
        # deltas[k]: derivative in the raw output of layer k.
        delta = at.of_layer("delta", last)
        delta[...] = at.mean
        delta -= y
        delta *= self.omega
        self.deltas = [delta]
        for k in range(last, 0, -1):
            back = _product(self.deltas[0], at.coefs[k], at.of_layer("delta", k - 1), turn_b=True)
            self.bends[k - 1] *= back
            back *= self.slopes[k - 1]
            self.deltas.insert(0, back)

    def __call__(self, direction: Any) -> Any:
        at, net, last = self.passes, self.passes.net, len(self.deltas) - 1
        ways, raw_dots = self._forward(direction)
        out = (
            at.memory.array("product", direction.shape, direction)
            if self.kept
            else self.xp.empty_like(direction)
        )
        out[...] = direction
        out *= self.ridge
        out[net.n_coef :] = 0
        curved = partial(output_curvature, net.output)
        d_dot = in_pieces(curved, at.of_layer("turn", last), at.mean, raw_dots[last])
        d_dot *= self.omega
        for k in range(last, -1, -1):
            G = at.block(k, out)
            _product(at.given[k], d_dot, G, turn_a=True, keep=1.0)
            out[net.blocks[f"intercept{k}"]] = self.xp.sum(d_dot, axis=0)
            if k == 0:
                return out
            _product(ways[k], self.deltas[k], G, turn_a=True, keep=1.0)
            back = _product(d_dot, at.coefs[k], at.of_layer("turn", k - 1), turn_b=True)
            V = at.block(k, direction)
            _product(self.deltas[k], V, back, turn_b=True, keep=1.0)
            back *= self.slopes[k - 1]
            # Last used here.
            raw_dot = raw_dots[k - 1]
            raw_dot *= self.bends[k - 1]
            back += raw_dot
            d_dot = back
        return out

    def _forward(self, direction: Any) -> tuple[list[Any], list[Any]]:
        """Derivatives along ``direction``: of what each layer is given (``None`` for the data), and
        of the raw output of each."""
        at = self.passes
        coefs_dot, intercepts_dot = at.net.unpack(direction)
        ways: list[Any] = [None]
        raw_dots: list[Any] = []
        for k, coef in enumerate(at.coefs):
            z_dot = _product(at.given[k], coefs_dot[k], at.of_layer("raw_dot", k))
            z_dot += intercepts_dot[k]
            if k:
                _product(ways[k], coef, z_dot, keep=1.0)
            raw_dots.append(z_dot)
            if k < len(self.slopes):
                way = at.of_layer("way", k)
                way[...] = z_dot
                way *= self.slopes[k]
                ways.append(way)
        return ways, raw_dots


def diagonal_curvature(net: Any, w: Any, X: Any, omega: Any, ridge: Any, memory: Any = None) -> Any:
    r"""Second derivatives of a network's objective, one a parameter, passed back layer by layer.

    .. math:: h_z = f'(z)^2\, (h_{z'} (W \circ W)^T), \qquad
       h_W = (a \circ a)^T h_{z'} + \text{ridge}

    with :math:`z'` the raw outputs of the next layer: what couples two units of a layer and the
    curvature of the activation are left out, so that nothing is negative. Of a network without
    hidden layers it is the diagonal itself.

    Parameters
    ----------
    net, w, X, omega, memory
        As `HessianProduct` has them.
    ridge : float or 0-d array
        Curvature of the penalty on the coefficients.
    """
    xp, kept = namespace_of(w), memory is not None
    at = Layers(net, w, X, memory if kept else Memory())
    out = at.memory.array("diagonal", w.shape, w) if kept else xp.empty_like(w)
    last = len(at.coefs) - 1
    h = in_pieces(partial(_variance, net.output), at.of_layer("turn", last), at.mean)
    h *= omega[:, None]
    for k in range(last, -1, -1):
        G = at.block(k, out)
        _product(_square(at.given[k], f"square{k}", at.memory), h, G, turn_a=True)
        G += ridge
        out[net.blocks[f"intercept{k}"]] = xp.sum(h, axis=0)
        if k > 0:
            W2 = _square(at.coefs[k], f"square_coef{k}", at.memory)
            h, slope = _product(h, W2, at.of_layer("turn", k - 1), turn_b=True), at.slope(k - 1)
            h *= slope
            h *= slope
    return out


def _variance(output: str, mean: Any) -> Any:
    """The diagonal of the loss's Hessian in the raw outputs."""
    if output == "identity":
        return namespace_of(mean).ones_like(mean)
    return mean if output == "exp" else mean * (1 - mean)


def _square(a: Any, name: str, memory: Memory) -> Any:
    if hasattr(a, "tocsc"):
        return a.multiply(a)
    out = memory.copied(name, a)
    out *= a
    return out
