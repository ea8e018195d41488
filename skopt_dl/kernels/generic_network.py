r"""Kernels of a multi-layer perceptron and of the stochastic updates, in plain array code.

A network is anything with ``unpack(w) -> (coefs, intercepts)``, ``sizes``, ``activations`` (one
object a hidden layer), ``activations_at(w)`` (the same with their trained shares; ``trained`` says
which layers have any) and ``output`` (the name of the last one's). Letters: a the outputs of a
layer, z what an activation is applied to, d the derivative of the loss with respect to z.
"""

from __future__ import annotations

from typing import Any

from skopt_dl.kernels.generic_losses import sigmoid, softmax
from skopt_dl.kernels.namespace import namespace_of


def adam_update(
    w: Any, g: Any, m: Any, v: Any, step: float, beta_1: float, beta_2: float, epsilon: float
) -> None:
    """One update of Adam, in place on ``w``, ``m`` and ``v``.

    ``step`` is the learning rate with both bias corrections in it.
    """
    m *= beta_1
    m += (1 - beta_1) * g
    v *= beta_2
    v += (1 - beta_2) * (g * g)
    w -= step * m / (namespace_of(w).sqrt(v) + epsilon)


def momentum_update(w: Any, g: Any, v: Any, rate: float, momentum: float, nesterov: bool) -> None:
    """``v = momentum v - rate g``, then ``w += v`` or, of Nesterov, ``w += momentum v - rate g``.

    In place on ``w`` and ``v``.
    """
    move = rate * g
    v *= momentum
    v -= move
    w += momentum * v - move if nesterov else v


def respond(name: str, z: Any) -> Any:
    """The mean response of the output ``name`` to raw outputs ``z``."""
    if name == "logistic":
        return sigmoid(z)
    if name == "softmax":
        return softmax(z)
    return namespace_of(z).exp(z) if name == "exp" else z


def output_loss(name: str, y: Any, z: Any, floor: float) -> Any:
    """Loss of each sample from the raw outputs ``z``, of the kind that fits the output ``name``.

    "identity": half the squared error; "logistic" and "softmax": minus the log-likelihood; "exp":
    half the Poisson deviance. Several outputs are summed.

    With ``floor`` above 0 the likelihood is scikit-learn's report of it, from probabilities that
    are rounded and kept within ``[floor, 1 - floor]``; with 0 it is exact however large ``z``.
    """
    xp = namespace_of(z)
    if name == "identity":
        return 0.5 * xp.sum((z - y) ** 2, axis=1)
    if name in ("logistic", "softmax") and floor > 0:
        p = xp.clip(respond(name, z), floor, 1 - floor)
        others = (1 - y) * xp.log(1 - p) if name == "logistic" else 0.0
        return -xp.sum(y * xp.log(p) + others, axis=1)
    if name == "logistic":
        return xp.sum(xp.log1p(xp.exp(-xp.abs(z))) + xp.clip(z, 0, None) - y * z, axis=1)
    if name == "softmax":
        z = z - xp.max(z, axis=1, keepdims=True)
        return xp.sum(y * (xp.log(xp.sum(xp.exp(z), axis=1, keepdims=True)) - z), axis=1)
    log_y = xp.log(xp.where(y > 0, y, xp.ones_like(y)))
    return xp.sum(y * (log_y - z - 1) + xp.exp(z), axis=1)


def network_layers(net: Any, w: Any, X: Any, masks: Any = None) -> tuple[list[Any], list[Any]]:
    """What each layer is given (the data, then the hidden outputs), and the raw output of each.

    ``masks`` multiply the hidden outputs, one a hidden layer.
    """
    given, raw, activations = [X], [], net.activations_at(w)
    for k, (coef, intercept) in enumerate(zip(*net.unpack(w), strict=True)):
        z = given[k] @ coef
        z += intercept
        raw.append(z)
        if k < len(activations):
            a = activations[k].value(z)
            given.append(a if masks is None else a * masks[k])
    return given, raw


def network_response(net: Any, coefs: Any, intercepts: Any, X: Any) -> Any:
    """The mean response to ``X`` of the given blocks, shape ``(n, outputs)``."""
    a = X
    for k, (coef, intercept) in enumerate(zip(coefs, intercepts, strict=True)):
        z = a @ coef
        z += intercept
        a = net.activations[k].value(z) if k < len(net.activations) else z
    return respond(net.output, a)


def network_workspace(net: Any, dtype: Any) -> Any:
    """Memory that `network_gradient` reuses from call to call; array code needs none."""
    return None


def network_gradient(
    net: Any,
    work: Any,
    w: Any,
    X: Any,
    y: Any,
    weights: Any,
    index: Any,
    masks: Any,
    alpha: float,
    floor: float,
    grad: Any,
) -> tuple[Any, Any]:
    r"""Loss, penalty and gradient of :math:`\frac1S (\sum_i s_i \ell_i + \frac\alpha2 |W|^2)`.

    S is the sum of the weights over the samples ``index``. Without weight in them everything is 0.

    Parameters
    ----------
    net, work : Network and what `network_workspace` made for it
        The layout.
    w : array of shape (size,)
        Parameters: all coefficients, then all intercepts.
    X, y : array or sparse matrix of shape (n, p), array of shape (n, K)
        Data; y in the form of the output.
    weights : array of shape (n,), optional
        Sample weights s; ones without.
    index : array of int, optional
        The samples to use; all of them without.
    masks : list of array of shape (n or len(index), units), optional
        What the outputs of each hidden layer are multiplied by (dropout).
    alpha, floor : float
        Strength of the penalty on the coefficients; see `output_loss`.
    grad : array of shape (size,)
        Overwritten by the gradient of the exact loss and of the penalty.

    Returns
    -------
    loss, penalty : float or 0-d array
        The two terms of the value.
    """
    xp = namespace_of(w)
    if index is not None:
        X = X[index] if hasattr(X, "tocsc") else xp.take(X, index, axis=0)
        y = xp.take(y, index, axis=0)
        weights = None if weights is None else xp.take(weights, index)
    given, raw = network_layers(net, w, X, masks)
    z = raw[-1]
    each, d = output_loss(net.output, y, z, floor), respond(net.output, z) - y
    share: Any = 1 / X.shape[0]
    if weights is None:
        loss, d = share * xp.sum(each), share * d
    else:
        total = xp.sum(weights)
        share = xp.where(total > 0, 1 / xp.where(total > 0, total, xp.ones_like(total)), 0 * total)
        loss, d = share * (weights @ each), (share * weights)[:, None] * d
    coefs, _ = net.unpack(w)
    activations = net.activations_at(w)
    for k in range(len(coefs) - 1, -1, -1):
        each_coef = given[k].T @ d + (alpha * share) * coefs[k]
        grad[net.blocks[f"coef{k}"]] = xp.reshape(each_coef, (-1,))
        grad[net.blocks[f"intercept{k}"]] = xp.sum(d, axis=0)
        if k > 0:
            d = d @ coefs[k].T
            if masks is None:
                a = given[k]
            else:
                d, a = d * masks[k - 1], activations[k - 1].value(raw[k - 1])
            if k - 1 in net.trained:
                of_shares = activations[k - 1].share_slope(raw[k - 1], d)
                grad[net.blocks[f"share{k - 1}"]] = of_shares
            d = d * activations[k - 1].slope(raw[k - 1], a)
    coef = w[: net.n_coef]
    return loss, 0.5 * alpha * share * (coef @ coef)


def network_gradients(
    net: Any,
    work: Any,
    w: Any,
    X: Any,
    y: Any,
    weights: Any,
    first: Any,
    targets_first: Any,
    index: Any,
    alphas: Any,
    floor: float,
    grad: Any,
    losses: Any,
) -> None:
    """`network_gradient` of several networks of one layout, each on its own rows.

    Parameters
    ----------
    net, work, floor
        As there.
    w, grad : arrays of shape (M, size)
        Parameters of M networks; overwritten by their gradients.
    X, y, weights : arrays of shape (N, p), (N', K) and (N',), the weights optional
        Rows of all networks.
    first, targets_first : arrays of int, shape (M,)
        The rows of X, and of y and the weights, at which those of each network begin.
    index : array of int, shape (m, M)
        The samples to use: a column for each network, counted from its first row; in column-major
        order.
    alphas : array of shape (M,)
        Strengths of the penalties, in double precision.
    losses : array of shape (M, 2)
        Overwritten by loss and penalty of each, in double precision.
    """
    for k in range(w.shape[0]):
        rows, targets = first[k] + index[:, k], targets_first[k] + index[:, k]
        some = None if weights is None else weights[targets]
        losses[k] = network_gradient(
            net, work, w[k], X[rows], y[targets], some, None, None, alphas[k], floor, grad[k]
        )
