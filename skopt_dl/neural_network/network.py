r"""A multi-layer perceptron on one flat parameter array.

.. math:: a_0 = X, \qquad a_{l+1} = f(a_l W_l + b_l), \qquad
   \hat y = h(a_{L-1} W_{L-1} + b_{L-1})
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt
from typing import Any

from skopt_dl.kernels.generic_network import activate
from skopt_dl.kernels.namespace import namespace_of

ACTIVATIONS = ("identity", "logistic", "tanh", "relu")


class Network:
    """The layout of a network: sizes, activations, and where each block lies in the flat array.

    All coefficients come first, layer by layer, then all intercepts (scikit-learn's packing), so
    that the penalty acts on one piece.

    Parameters
    ----------
    sizes : sequence of int
        Units of each layer, from the features to the outputs.
    activation : {"identity", "logistic", "tanh", "relu"}
        Of the hidden layers.
    output : {"identity", "logistic", "softmax", "exp"}
        Of the last layer.

    Attributes
    ----------
    size, n_coef : int
        Length of the flat array, and of its part that holds coefficients.
    blocks : dict of str to slice
        ``coef0``, ``coef1``, ... and ``intercept0``, ...
    """

    def __init__(self, sizes: Sequence[int], activation: str, output: str) -> None:
        self.sizes = tuple(int(s) for s in sizes)
        self.activation, self.output = activation, output
        self.shapes = list(pairwise(self.sizes))
        self.blocks: dict[str, slice] = {}
        end = 0
        for k, (rows, columns) in enumerate(self.shapes):
            self.blocks[f"coef{k}"] = slice(end, end + rows * columns)
            end += rows * columns
        self.n_coef = end
        for k, (_, columns) in enumerate(self.shapes):
            self.blocks[f"intercept{k}"] = slice(end, end + columns)
            end += columns
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
        factor = 2.0 if self.activation == "logistic" else 6.0
        coefs, intercepts = [], []
        for rows, columns in self.shapes:
            bound = sqrt(factor / (rows + columns))
            coefs.append(rng.uniform(-bound, bound, (rows, columns)).reshape(-1))
            intercepts.append(rng.uniform(-bound, bound, columns))
        return coefs + intercepts

    def respond(self, coefs: Sequence[Any], intercepts: Sequence[Any], X: Any) -> Any:
        """Mean response to ``X`` of the given blocks, shape ``(n, outputs)``."""
        a = X
        for k, (coef, intercept) in enumerate(zip(coefs, intercepts, strict=True)):
            z = a @ coef
            z += intercept
            a = activate(self.activation if k < len(self.shapes) - 1 else self.output, z)
        return a

    def predict(self, w: Any, X: Any) -> Any:
        """Mean response to ``X`` of the flat parameters ``w``."""
        return self.respond(*self.unpack(w), X)
