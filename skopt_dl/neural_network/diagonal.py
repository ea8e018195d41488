r"""An estimate of the diagonal of a network's Hessian, by one pass back of second derivatives.

Letters as in `skopt_dl.kernels.generic_network`; h is a second derivative.

Sources: S. Becker, Y. LeCun, "Improving the convergence of back-propagation learning with second
order methods", 1988; Y. LeCun, L. Bottou, G. Orr, K.-R. Müller, "Efficient BackProp", 1998.
"""

from __future__ import annotations

from typing import Any

from skopt_dl.kernels.generic_network import network_layers, respond
from skopt_dl.kernels.namespace import namespace_of


def diagonal_curvature(net: Any, w: Any, X: Any, omega: Any, ridge: Any) -> Any:
    r"""Second derivatives of a network's objective, one a parameter, passed back layer by layer.

    .. math:: h_z = f'(z)^2\, (h_{z'} (W \circ W)^T), \qquad
       h_W = (a \circ a)^T h_{z'} + \text{ridge}

    with :math:`z'` the raw outputs of the next layer: what couples two units of a layer and the
    curvature of the activation are left out, so that nothing is negative. Of a network without
    hidden layers it is the diagonal itself.

    Parameters
    ----------
    net : Network
        The layout.
    w : array of shape (size,)
        The point.
    X : array or sparse matrix of shape (n, p)
        The samples.
    omega : array of shape (n,)
        Their weights, which sum to one.
    ridge : float or 0-d array
        Curvature of the penalty on the coefficients.
    """
    xp = namespace_of(w)
    given, raw = network_layers(net, w, X)
    mean = respond(net.output, raw[-1])
    if net.output == "identity":
        h = xp.ones_like(mean)
    else:
        h = mean if net.output == "exp" else mean * (1 - mean)
    h = omega[:, None] * h
    coefs, _ = net.unpack(w)
    out = xp.zeros_like(w)
    for k in range(len(coefs) - 1, -1, -1):
        a = given[k]
        square = a.multiply(a) if hasattr(a, "tocsc") else a * a
        out[net.blocks[f"coef{k}"]] = xp.reshape(square.T @ h + ridge, (-1,))
        out[net.blocks[f"intercept{k}"]] = xp.sum(h, axis=0)
        if k > 0:
            slope = net.activations[k - 1].slope(raw[k - 1], a)
            h = (h @ (coefs[k] * coefs[k]).T) * slope * slope
    return out
