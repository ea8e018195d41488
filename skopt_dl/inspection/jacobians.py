"""What a network makes of small changes of its inputs: whether signals vanish or explode in it."""

from __future__ import annotations

from typing import Any

import numpy as np

from skopt_dl.kernels.generic_network import network_layers
from skopt_dl.kernels.namespace import to_numpy


def input_jacobians(problem: Any, w: Any = None, samples: Any = None) -> Any:
    r"""The derivatives of a network's raw outputs in its inputs, one matrix a sample.

    .. math:: J_i = W_1 D_{i1} W_2 D_{i2} \cdots W_L, \qquad D_{il} = \operatorname{diag} f'(z_{il})

    A signal that passes back through the layers is multiplied by these matrices. It vanishes where
    all singular values fall with the depth and explodes where the largest grows; their product, the
    determinant, says neither.

    Parameters
    ----------
    problem : Problem
        Of a network: with its layout ``net`` and its data ``X``.
    w : array of shape (size,), optional
        Parameters; the problem's start without.
    samples : array of int, optional
        Rows of the data; all without.

    Returns
    -------
    J : array of shape (n, n_features, n_outputs)
        On the problem's device; `skopt_dl.inspection.log_gains` has its singular values.

    References
    ----------
    S. Hochreiter, "Untersuchungen zu dynamischen neuronalen Netzen" (1991); Y. Bengio, P. Simard,
    P. Frasconi, "Learning long-term dependencies with gradient descent is difficult", IEEE Trans.
    Neural Networks 5 (1994); B. Hanin, "Which neural net architectures give rise to exploding and
    vanishing gradients?", NeurIPS 2018.
    """
    if not hasattr(problem, "net"):
        raise TypeError(f"input_jacobians: {problem.description} is not the problem of a network")
    xp, net, X = problem.xp, problem.net, problem.X
    w = problem.start() if w is None else w
    if samples is not None:
        X = X[samples] if hasattr(X, "tocsc") else xp.take(X, samples, axis=0)
    given, raw = network_layers(net, w, X)
    coefs, _ = net.unpack(w)
    J = xp.broadcast_to(coefs[0], (raw[0].shape[0], *coefs[0].shape))
    for k, f in enumerate(net.activations):
        J = (J * f.slope(raw[k], given[k + 1])[:, None, :]) @ coefs[k + 1]
    return J


def log_gains(problem: Any, w: Any = None, samples: Any = None) -> Any:
    """Natural logarithms of the singular values of `input_jacobians`, largest first.

    Parameters
    ----------
    problem, w, samples
        As for `input_jacobians`.

    Returns
    -------
    logs : NumPy array of shape (n, min(n_features, n_outputs))
        Minus infinity where a direction is lost.
    """
    values = np.linalg.svd(to_numpy(input_jacobians(problem, w, samples)), compute_uv=False)
    with np.errstate(divide="ignore"):
        return np.log(values)
