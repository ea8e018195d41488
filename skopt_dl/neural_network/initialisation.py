r"""Random starts of a network, chosen by what its activation does to the variance of a signal.

A weight matrix of shape (m, k) takes m inputs to k units. Weights of variance :math:`g^2/m` keep
the mean square of a signal from layer to layer if the gain g undoes what the activation does to it.

Letters: W a weight matrix, m its inputs (fan in), k its units (fan out), g the gain.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import inf, sqrt
from numbers import Integral, Real
from typing import Any

import numpy as np

from skopt_dl.activations import SELU, Activation, Identity, Logistic, ReLU, Tanh
from skopt_dl.engine.settings import Settings

# 1 / f'(0) where the activation is smooth at 0; for ReLU the mean square that it keeps is a half.
GAINS: dict[type[Activation], float] = {
    Identity: 1.0,
    Tanh: 1.0,
    Logistic: 4.0,
    ReLU: sqrt(2.0),
    SELU: 1.0,
}


def gain_of(activation: Activation) -> float:
    r"""What undoes an activation: from the table, else :math:`(E f(z)^2)^{-1/2}` for a normal z."""
    if type(activation) in GAINS:
        return GAINS[type(activation)]
    # The integrand vanishes at both ends, where sums on a grid are exact integrals but for kinks.
    z = np.linspace(-10, 10, 20_001)
    weight = np.exp(-0.5 * z**2)
    square = activation.value(z[:, None].copy())[:, 0] ** 2
    return 1 / sqrt(float(weight @ square / weight.sum()))


class Initialisation(Settings, ABC):
    """How the weights of a layer are drawn; intercepts start at zero."""

    def __call__(self, rows: int, columns: int, gain: float, rng: Any) -> np.ndarray:
        """A float64 matrix of shape (rows, columns), drawn from ``rng``.

        Raises
        ------
        ValueError
            If a setting is out of range.
        """
        check_settings(self)
        return self._draw(rows, columns, gain, rng)

    @abstractmethod
    def _draw(self, rows: int, columns: int, gain: float, rng: Any) -> np.ndarray:
        """The matrix, from checked settings."""


class Glorot(Initialisation):
    r"""Variance :math:`2 g^2 / (m + k)`: between what forward and backward signals ask for.

    Parameters
    ----------
    distribution : {"uniform", "normal"}
        Shape of the draws.

    References
    ----------
    X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", AISTATS 2010.
    """

    def __init__(self, distribution: str = "uniform") -> None:
        self.distribution = distribution

    def _draw(self, rows: int, columns: int, gain: float, rng: Any) -> np.ndarray:
        return _matrix(self.distribution, gain * sqrt(2 / (rows + columns)), rows, columns, rng)


class He(Initialisation):
    r"""Variance :math:`g^2 / m`, which for ReLU is :math:`2 / m`.

    Parameters
    ----------
    distribution : {"normal", "uniform"}
        Shape of the draws.

    References
    ----------
    K. He, X. Zhang, S. Ren, J. Sun, "Delving deep into rectifiers", ICCV 2015.
    """

    def __init__(self, distribution: str = "normal") -> None:
        self.distribution = distribution

    def _draw(self, rows: int, columns: int, gain: float, rng: Any) -> np.ndarray:
        return _matrix(self.distribution, gain / sqrt(rows), rows, columns, rng)


class LeCun(Initialisation):
    r"""Variance :math:`1 / m` whatever the activation: for those that normalise themselves.

    Parameters
    ----------
    distribution : {"normal", "uniform"}
        Shape of the draws.

    References
    ----------
    Y. LeCun, L. Bottou, G. Orr, K.-R. Müller, "Efficient BackProp", 1998.
    """

    def __init__(self, distribution: str = "normal") -> None:
        self.distribution = distribution

    def _draw(self, rows: int, columns: int, gain: float, rng: Any) -> np.ndarray:
        return _matrix(self.distribution, 1 / sqrt(rows), rows, columns, rng)


class Orthogonal(Initialisation):
    r""":math:`W'W = g^2 I` or, of more units than inputs, :math:`WW' = g^2 I`, evenly distributed.

    The orthogonal factor of a Gaussian matrix, with the signs of the triangular factor's diagonal:
    without them it would not be evenly distributed (Haar) over the orthogonal matrices.

    References
    ----------
    A. Saxe, J. McClelland, S. Ganguli, "Exact solutions to the nonlinear dynamics of learning in
    deep linear neural networks", ICLR 2014; F. Mezzadri, "How to generate random matrices from the
    classical compact groups", Notices AMS 54 (2007).
    """

    def __init__(self) -> None:
        pass

    def _draw(self, rows: int, columns: int, gain: float, rng: Any) -> np.ndarray:
        tall = rng.standard_normal((max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(tall)
        q *= np.where(np.diag(r) < 0, -1.0, 1.0)
        return gain * (q if rows >= columns else q.T)


class Sparse(Initialisation):
    """A fixed number of normal weights into each unit, the others zero.

    A unit then neither saturates nor looks like its neighbours, however many inputs there are.

    Parameters
    ----------
    n_nonzero : int
        Weights into a unit; all of them where it has fewer inputs.
    scale : float
        Standard deviation of the weights, positive.

    References
    ----------
    J. Martens, "Deep learning via Hessian-free optimization", ICML 2010.
    """

    def __init__(self, n_nonzero: int = 15, scale: float = 1.0) -> None:
        self.n_nonzero, self.scale = n_nonzero, scale

    def _draw(self, rows: int, columns: int, gain: float, rng: Any) -> np.ndarray:
        W = np.zeros((rows, columns))
        count = min(self.n_nonzero, rows)
        for k in range(columns):
            W[rng.permutation(rows)[:count], k] = self.scale * rng.standard_normal(count)
        return W


INITIALISATIONS: dict[str, type[Initialisation]] = {
    "glorot": Glorot,
    "he": He,
    "lecun": LeCun,
    "orthogonal": Orthogonal,
    "sparse": Sparse,
}


def initialisation_of(given: Any) -> Initialisation:
    """The initialisation of a name or an instance.

    Raises
    ------
    ValueError
        With the known names.
    """
    if isinstance(given, Initialisation):
        return given
    if isinstance(given, str) and given in INITIALISATIONS:
        return INITIALISATIONS[given]()
    raise ValueError(
        f"initialisation={given!r}: expected one of {', '.join(map(repr, INITIALISATIONS))} or an "
        "Initialisation"
    )


def initial_pieces(net: Any, given: Any, rng: Any) -> list[np.ndarray]:
    """Weights of every layer, zero intercepts, shares: the order of a `Network`'s blocks.

    The gain is that of the layer's activation, and 1 for the last layer.

    Parameters
    ----------
    net : Network
        The layout.
    given : str or Initialisation
        How to draw.
    rng : Generator or RandomState
        Source of the draws.

    Returns
    -------
    list of arrays
        Flat float64 arrays on the host.
    """
    draw, last = initialisation_of(given), len(net.shapes) - 1
    coefs = [
        draw(rows, columns, gain_of(net.activations[k]) if k < last else 1.0, rng).reshape(-1)
        for k, (rows, columns) in enumerate(net.shapes)
    ]
    return [*coefs, *(np.zeros(columns) for _, columns in net.shapes), *net.initial_shares()]


def check_settings(draw: Initialisation) -> None:
    """Raise unless the settings of ``draw`` can be used.

    Raises
    ------
    ValueError
        Naming the class, the setting and its value.
    """
    rules: dict[str, tuple[Any, str]] = {
        "distribution": (lambda v: v in ("normal", "uniform"), "'normal' or 'uniform'"),
        "n_nonzero": (
            lambda v: isinstance(v, Integral) and not isinstance(v, bool) and int(v) >= 1,
            "an integer >= 1",
        ),
        "scale": (lambda v: isinstance(v, Real) and 0 < float(v) < inf, "a number > 0"),
    }
    for name, value in draw.get_params(deep=False).items():
        if name in rules and not rules[name][0](value):
            raise ValueError(
                f"{type(draw).__name__}: {name}={value!r}, but it must be {rules[name][1]}"
            )


def _matrix(distribution: str, spread: float, rows: int, columns: int, rng: Any) -> np.ndarray:
    if distribution == "normal":
        return spread * rng.standard_normal((rows, columns))
    bound = sqrt(3.0) * spread
    return rng.uniform(-bound, bound, (rows, columns))
