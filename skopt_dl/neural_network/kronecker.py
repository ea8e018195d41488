r"""A network's Fisher matrix, layer by layer, as Kronecker products.

With the inputs :math:`a` of a layer (a one appended, for the intercept) and the derivatives
:math:`d` of the log-likelihood in its raw outputs, at targets drawn from the model itself,

.. math:: F_l = E[a a' \otimes d d'] \approx E[a a'] \otimes E[d d'] = A_l \otimes G_l

Source: J. Martens, R. Grosse, "Optimizing neural networks with Kronecker-factored approximate
curvature", ICML 2015.
"""

from __future__ import annotations

from typing import Any

from skopt_dl.kernels.namespace import device_of, namespace_of, to_numpy
from skopt_dl.neural_network.curvature import GaussNewtonProduct, curvature_root
from skopt_dl.problems.kronecker import Layer


class KroneckerModel:
    """The Fisher matrix of a batch: its layers, and products of vectors with all of it.

    Parameters
    ----------
    passes : GaussNewtonProduct
        The pass forward on the batch.
    unit, floor : float
        The reported loss is the one with this ``floor`` (see `output_loss`) times ``unit``.
    """

    def __init__(self, passes: GaussNewtonProduct, unit: float = 1.0, floor: float = 0.0) -> None:
        self.passes, self.ridge, self.unit, self.floor = passes, passes.ridge, unit, floor

    def first(self, count: int) -> KroneckerModel:
        """That of the first ``count`` samples of the batch."""
        return KroneckerModel(self.passes.first(count), self.unit, self.floor)

    def value_grad(self) -> tuple[Any, Any]:
        """What `NetworkProblem.sample_grad` returns, by the pass back alone."""
        passes = self.passes
        loss, penalty, d = passes.loss(self.floor)
        out = passes.kept.array("gradient", passes.w.shape, passes.w)
        return self.unit * loss + penalty, passes.pullback(d, passes.penalty_product(passes.w, out))

    def layers(self, rng: Any = None) -> list[Layer]:
        """What the samples say of each layer; exactly (a pass back an output) without ``rng``."""
        passes, xp, net = self.passes, self.passes.xp, self.passes.net
        if rng is None:
            K = passes.mean.shape[1]
            roots = [curvature_root(net.output, passes.mean, k) for k in range(K)]
        else:
            roots = [passes.mean - drawn(net.output, passes.mean, rng)]
        ones, weights = xp.ones_like(passes.omega), xp.sqrt(passes.omega)
        per_root = [passes.backward(weights * root) for root in roots]
        return [
            Layer(
                net.blocks[f"coef{k}"],
                net.blocks[f"intercept{k}"],
                xp.concat([a, ones], axis=1),
                # A view where there is one root, as there is of drawn targets.
                per_root[0][k][None, :, :]
                if len(per_root) == 1
                else xp.stack([deltas[k] for deltas in per_root]),
                weights,
            )
            for k, a in enumerate(passes.dense_layers())
        ]

    def value(self) -> Any:
        """The objective on the batch."""
        return self.passes.value()

    def value_at(self, w: Any) -> Any:
        """The objective on the batch at ``w``, by a pass forward in this model's memory: the last
        thing to ask it."""
        return self.passes.at(w).value()

    def products(self, vectors: Any) -> Any:
        """``u' (F + ridge) v`` for each pair of rows of ``vectors``, shape ``(m, m)``."""
        return self.passes.products(vectors)


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
