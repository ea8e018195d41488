r"""A network's Fisher matrix, layer by layer, as Kronecker products.

With the inputs :math:`a` of a layer (a one appended, for the intercept) and the derivatives
:math:`d` of the log-likelihood in its raw outputs, at targets drawn from the model itself,

.. math:: F_l = E[a a' \otimes d d'] \approx E[a a'] \otimes E[d d'] = A_l \otimes G_l

Source: J. Martens, R. Grosse, "Optimizing neural networks with Kronecker-factored approximate
curvature", ICML 2015.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from skopt_dl.kernels.namespace import device_of, namespace_of, to_numpy
from skopt_dl.neural_network.curvature import (
    GaussNewtonProduct,
    curvature_root,
    output_curvature,
)


@dataclass(frozen=True)
class Layer:
    """One layer: where it lies in the flat array, and what the samples of a batch say of it.

    Attributes
    ----------
    coef, intercept : slice
        Its blocks.
    a : array of shape (n, rows + 1)
        Inputs, with a column of ones.
    d : array of shape (m, n, columns)
        Derivatives of the loss of single samples in its raw outputs; :math:`E[d d']` sums over the
        first axis.
    omega, root : array of shape (n, 1)
        Weights of the samples, which sum to one, and their roots.
    """

    coef: slice
    intercept: slice
    a: Any
    d: Any
    omega: Any
    root: Any


class KroneckerModel:
    """The Fisher matrix of a batch: its layers, and products of vectors with all of it.

    Parameters
    ----------
    passes : GaussNewtonProduct
        The pass forward on the batch.
    """

    def __init__(self, passes: GaussNewtonProduct) -> None:
        self.passes, self.ridge = passes, passes.ridge

    def first(self, count: int) -> KroneckerModel:
        """That of the first ``count`` samples of the batch."""
        return KroneckerModel(self.passes.first(count))

    def layers(self, rng: Any = None) -> list[Layer]:
        """What the samples say of each layer; exactly (a pass back an output) without ``rng``."""
        passes, xp, net = self.passes, self.passes.xp, self.passes.net
        if rng is None:
            K = passes.mean.shape[1]
            roots = [curvature_root(net.output, passes.mean, k) for k in range(K)]
        else:
            roots = [passes.mean - drawn(net.output, passes.mean, rng)]
        per_root = [passes.backward(root) for root in roots]
        ones, weights = xp.ones_like(passes.omega), xp.sqrt(passes.omega)
        return [
            Layer(
                net.blocks[f"coef{k}"],
                net.blocks[f"intercept{k}"],
                xp.concat([a, ones], axis=1),
                # A view where there is one root, as there is of drawn targets.
                per_root[0][k][None, :, :]
                if len(per_root) == 1
                else xp.stack([deltas[k] for deltas in per_root]),
                passes.omega,
                weights,
            )
            for k, a in enumerate(passes.dense_layers())
        ]

    def value(self) -> Any:
        """The objective on the batch."""
        return self.passes.value()

    def inner(self, vectors: list[Any]) -> list[list[Any]]:
        """``u' (F + ridge) v`` for each pair of ``vectors``; a pass forward each."""
        passes, xp = self.passes, self.passes.xp
        dots = [passes.tangent(v) for v in vectors]
        curved = [
            passes.omega * output_curvature(passes.net.output, passes.mean, dot) for dot in dots
        ]
        n = passes.net.n_coef
        return [
            [
                xp.sum(z * c) + self.ridge * (u[:n] @ v[:n])
                for c, v in zip(curved, vectors, strict=True)
            ]
            for z, u in zip(dots, vectors, strict=True)
        ]


def drawn(name: str, mean: Any, rng: Any) -> Any:
    """Targets drawn from the model whose mean response is ``mean``; draws on the host."""
    xp = namespace_of(mean)

    def there(a: Any) -> Any:
        return xp.asarray(a, dtype=mean.dtype, device=device_of(mean))

    n, K = mean.shape
    if name == "identity":
        return mean + there(rng.standard_normal((n, K)))
    if name == "logistic":
        return xp.astype(there(rng.random((n, K))) < mean, mean.dtype)
    if name == "exp":
        return there(rng.poisson(to_numpy(mean)))
    u, above = there(rng.random((n, 1))), xp.cumulative_sum(mean, axis=1)
    # The class whose part of the unit interval u falls into; the last one takes what rounding left.
    past = xp.astype(u >= above[:, :-1], mean.dtype)
    reached = xp.concat([xp.ones_like(u), past], axis=1)
    left = xp.concat([past, xp.zeros_like(u)], axis=1)
    return reached - left
