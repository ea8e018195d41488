r"""A multi-layer perceptron on one flat parameter array.

.. math:: a_0 = X, \qquad a_{l+1} = f_l(a_l W_l + b_l), \qquad
   \hat y = h(a_{L-1} W_{L-1} + b_{L-1})
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from math import sqrt
from typing import Any

import numpy as np

from skopt_dl.activations import Activation, Parametric
from skopt_dl.activations.trained import Mixed
from skopt_dl.dispatch import ACTIVATIONS
from skopt_dl.kernels import KernelSet, bind
from skopt_dl.kernels.generic_network import network_layers, respond
from skopt_dl.kernels.namespace import namespace_of


@cache
def _bound(xp: Any, dtype: Any, layout: str) -> KernelSet:
    """The kernels of predictions: one set for all, because a call may last microseconds."""
    return bind(xp, dtype, layout)


def activations_of(given: Any, n_hidden: int) -> list[Activation]:
    """One activation for each of ``n_hidden`` layers.

    Parameters
    ----------
    given : str, Activation or sequence of these
        One for all layers, or one a layer.
    n_hidden : int
        Number of hidden layers.

    Raises
    ------
    UnknownNameError
        For an unknown name, with the closest one.
    ValueError
        If a sequence has another length.
    TypeError
        If something is neither a name nor an `Activation`.
    """
    if isinstance(given, (str, Activation)):
        return [_activation(given)] * n_hidden
    if not isinstance(given, (list, tuple)):
        raise TypeError(
            f"activation={given!r}: expected the name of an activation, an Activation, or a list "
            "of these, one a hidden layer"
        )
    if len(given) != n_hidden:
        raise ValueError(
            f"activation={given!r} has {len(given)} entries, but the network has {n_hidden} hidden "
            "layers; give one for all, or one a layer"
        )
    return [_activation(one) for one in given]


def _activation(given: Any) -> Activation:
    if isinstance(given, Activation):
        return given
    if not isinstance(given, str):
        raise TypeError(f"activation={given!r}: expected the name of an activation, or one")
    return ACTIVATIONS.get(given)()


class Network:
    """The layout of a network: sizes, activations, and where each block lies in the flat array.

    All coefficients come first, layer by layer, then all intercepts (scikit-learn's packing), so
    that the penalty acts on one piece; then the shares of activations that are trained.

    Parameters
    ----------
    sizes : sequence of int
        Units of each layer, from the features to the outputs.
    activation : str, Activation or sequence of these
        Of the hidden layers: one for all, or one a layer.
    output : {"identity", "logistic", "softmax", "exp"}
        Of the last layer.

    Attributes
    ----------
    activations : list of Activation
        One a hidden layer.
    compiled : bool
        Whether the compiled kernels know all of them.
    size, n_coef : int
        Length of the flat array, and of its part that holds coefficients.
    blocks : dict of str to slice
        ``coef0``, ``coef1``, ... and ``intercept0``, ...; ``share0``, ... of the hidden layers
        whose activation is trained.
    trained : list of int
        These layers.
    """

    def __init__(self, sizes: Sequence[int], activation: Any, output: str) -> None:
        self.sizes = tuple(int(s) for s in sizes)
        self.activation, self.output = activation, output
        self.shapes = list(pairwise(self.sizes))
        self.activations = activations_of(activation, len(self.shapes) - 1)
        self.compiled = all(f.kernel_id is not None for f in self.activations)
        self.blocks: dict[str, slice] = {}
        end = 0
        for k, (rows, columns) in enumerate(self.shapes):
            self.blocks[f"coef{k}"] = slice(end, end + rows * columns)
            end += rows * columns
        self.n_coef = end
        for k, (_, columns) in enumerate(self.shapes):
            self.blocks[f"intercept{k}"] = slice(end, end + columns)
            end += columns
        self.trained = [k for k, f in enumerate(self.activations) if isinstance(f, Parametric)]
        for k in self.trained:
            self.blocks[f"share{k}"] = slice(end, end + self.sizes[k + 1])
            end += self.sizes[k + 1]
        self.size = end

    def unpack(self, w: Any) -> tuple[list[Any], list[Any]]:
        """Views of the coefficient matrices and of the intercept vectors in ``w``."""
        xp = namespace_of(w)
        coefs, intercepts = [], []
        for k, shape in enumerate(self.shapes):
            coefs.append(xp.reshape(w[self.blocks[f"coef{k}"]], shape))
            intercepts.append(w[self.blocks[f"intercept{k}"]])
        return coefs, intercepts

    def initial(self, rng: Any) -> list[Any]:
        """Glorot's uniform start, on the host and in float64: pieces in the order of the blocks.

        The draws are made layer by layer, a matrix and its intercept at a time, as scikit-learn
        makes them: the same seed gives the same network.
        """
        coefs, intercepts = [], []
        for k, (rows, columns) in enumerate(self.shapes):
            bound = sqrt(self._glorot_factor(k) / (rows + columns))
            coefs.append(rng.uniform(-bound, bound, (rows, columns)).reshape(-1))
            intercepts.append(rng.uniform(-bound, bound, columns))
        return coefs + intercepts + self.initial_shares()

    def initial_shares(self) -> list[Any]:
        """Where trained activations start: the last pieces, none of most networks."""
        shares = [(self.activations[k].share, self.sizes[k + 1]) for k in self.trained]  # type: ignore[attr-defined]
        return [np.full(units, share, np.float64) for share, units in shares]

    def activations_at(self, w: Any) -> list[Any]:
        """The activations of the hidden layers at the flat parameters ``w``."""
        found: list[Any] = list(self.activations)
        for k in self.trained:
            found[k] = Mixed(found[k], w[self.blocks[f"share{k}"]])
        return found

    def _glorot_factor(self, k: int) -> float:
        # The output counts with the layer before it: scikit-learn has one factor for a network.
        if isinstance(self.activation, (str, Activation)):
            return _activation(self.activation).glorot_factor
        n_hidden = len(self.activations)
        return self.activations[min(k, n_hidden - 1)].glorot_factor if n_hidden else 6.0

    def respond(self, coefs: Sequence[Any], intercepts: Sequence[Any], X: Any) -> Any:
        """Mean response to ``X`` of the given blocks, shape ``(n, outputs)``."""
        dense = not hasattr(X, "tocsc")
        kernels = _bound(namespace_of(coefs[0]), coefs[0].dtype, "dense" if dense else "sparse")
        served = self.compiled and dense and X.dtype == coefs[0].dtype
        return kernels.serving(served).network_response(self, coefs, intercepts, X)

    def predict(self, w: Any, X: Any) -> Any:
        """Mean response to ``X`` of the flat parameters ``w``."""
        if self.trained:
            return respond(self.output, network_layers(self, w, X)[1][-1])
        return self.respond(*self.unpack(w), X)
