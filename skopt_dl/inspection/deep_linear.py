r"""What gradient descent prefers in deep linear networks: products of low rank, balanced layers.

Letters: :math:`W_l` and :math:`b_l` the coefficients and intercepts of layer l, of shapes
``(inputs, outputs)`` and ``(outputs,)``, P their product, :math:`s_i` its singular values,
:math:`D_l` the imbalance between two layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, reduce
from itertools import pairwise
from typing import Any

import numpy as np

from skopt_dl.activations import Identity
from skopt_dl.kernels.namespace import to_numpy
from skopt_dl.neural_network.network import activations_of


class DeepLinear:
    r"""A network without activations, and what is known of it as one linear map.

    Parameters
    ----------
    coefs : sequence of arrays of shape (inputs, outputs)
        One a layer; copied to the host.
    intercepts : sequence of arrays of shape (outputs,), optional
        One a layer; zeros without.

    Notes
    -----
    Gradient flow on a loss of the product alone conserves

    .. math:: D_l = W_l' W_l + b_l b_l' - W_{l+1} W_{l+1}'

    so layers that start small stay balanced: all have the singular values
    :math:`s_i^{1/L}` of the product. Large values then grow first, and the product is of low rank
    for long, which is the bias of depth.

    References
    ----------
    A. Saxe, J. McClelland, S. Ganguli, "Exact solutions to the nonlinear dynamics of learning in
    deep linear neural networks", ICLR 2014; S. Arora, N. Cohen, E. Hazan, "On the optimization of
    deep networks: implicit acceleration by overparameterization", ICML 2018; S. Arora, N. Cohen,
    W. Hu, Y. Luo, "Implicit regularization in deep matrix factorization", NeurIPS 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from skopt_dl.inspection import DeepLinear
    >>> net = DeepLinear([np.diag([2.0, 0.0]), np.diag([3.0, 1.0])])
    >>> net.singular_values
    array([6., 0.])
    >>> net.rank(), net.stable_rank
    (1, 1.0)
    """

    def __init__(self, coefs: Sequence[Any], intercepts: Sequence[Any] | None = None) -> None:
        self.coefs = [np.array(to_numpy(W), dtype=np.float64) for W in coefs]
        if not self.coefs or any(W.ndim != 2 for W in self.coefs):
            raise ValueError("DeepLinear: coefs must be matrices, one a layer and one at least")
        sizes = [W.shape for W in self.coefs]
        if any(left[1] != right[0] for left, right in pairwise(sizes)):
            raise ValueError(f"DeepLinear: the shapes {sizes} do not make a product")
        given = [np.zeros(n) for _, n in sizes] if intercepts is None else intercepts
        self.intercepts = [np.array(to_numpy(b), dtype=np.float64) for b in given]

    @classmethod
    def of(cls, estimator: Any) -> DeepLinear:
        """A fitted network all of whose hidden layers have the activation "identity".

        Raises
        ------
        ValueError
            If one has another.
        """
        coefs, intercepts = estimator.coefs_, estimator.intercepts_
        return cls._checked(activations_of(estimator.activation, len(coefs) - 1), coefs, intercepts)

    @classmethod
    def at(cls, problem: Any, w: Any) -> DeepLinear:
        """The network of a problem at the flat parameters ``w``; raises as `of` does."""
        return cls._checked(problem.net.activations, *problem.net.unpack(w))

    @classmethod
    def _checked(cls, activations: Any, coefs: Any, intercepts: Any) -> DeepLinear:
        for k, f in enumerate(activations):
            if not isinstance(f, Identity):
                raise ValueError(
                    f"DeepLinear: hidden layer {k} has the activation {f!r}, but a deep linear "
                    "network has 'identity' in all"
                )
        return cls(coefs, intercepts)

    # --- the product --------------------------------------------------------------------------

    @cached_property
    def product(self) -> np.ndarray:
        """:math:`P = W_1 W_2 \\cdots W_L`, of shape ``(inputs, outputs)``."""
        return reduce(np.matmul, self.coefs)

    @cached_property
    def singular_values(self) -> np.ndarray:
        """Of the product, the largest first."""
        return np.linalg.svd(self.product, compute_uv=False)

    def rank(self, rel: float = 1e-6) -> int:
        """Singular values above ``rel`` times the largest."""
        s = self.singular_values
        return int(np.sum(s > rel * s[0])) if s[0] > 0 else 0

    @property
    def stable_rank(self) -> float:
        r""":math:`\sum_i s_i^2 / s_1^2`; 0 of a product that is zero."""
        s = self.singular_values
        return float(np.sum((s / s[0]) ** 2)) if s[0] > 0 else 0.0

    @property
    def effective_rank(self) -> float:
        r""":math:`\exp(-\sum_i p_i \log p_i)` with :math:`p_i = s_i / \sum_j s_j`; from 1 to the
        number of singular values.

        References
        ----------
        O. Roy, M. Vetterli, "The effective rank: a measure of effective dimensionality", EUSIPCO
        2007.
        """
        s = self.singular_values[self.singular_values > 0]
        if not len(s):
            return 0.0
        share = s / s.sum()
        return float(np.exp(-np.sum(share * np.log(share))))

    @property
    def nuclear_norm(self) -> float:
        r""":math:`\sum_i s_i`."""
        return float(self.singular_values.sum())

    # --- balance ------------------------------------------------------------------------------

    @property
    def imbalances(self) -> list[np.ndarray]:
        """:math:`D_l` for each pair of layers that follow each other."""
        pairs = zip(self.coefs, self.intercepts, self.coefs[1:], strict=False)
        return [W.T @ W + np.outer(b, b) - V @ V.T for W, b, V in pairs]

    @property
    def imbalance(self) -> float:
        """The largest spectral norm of the :math:`D_l`, over that of all :math:`W_l' W_l`."""
        if len(self.coefs) < 2:
            return 0.0
        scale = max(np.linalg.norm(W, 2) ** 2 for W in self.coefs)
        worst = max(np.linalg.norm(D, 2) for D in self.imbalances)
        return float(worst / scale) if scale > 0 else 0.0

    def balanced(self) -> DeepLinear:
        """A network of the same shapes and product, balanced: each layer has the same singular
        values, on the first hidden units. The intercepts are gathered in the last layer.

        Raises
        ------
        ValueError
            If a hidden layer has fewer units than the product has singular values above rounding.
        """
        if len(self.coefs) == 1:
            return self
        U, s, Vt = np.linalg.svd(self.product, full_matrices=False)
        k = self.rank(1e-14)
        narrow = min(W.shape[1] for W in self.coefs[:-1])
        if narrow < k:
            raise ValueError(
                f"DeepLinear: the product has rank {k}, but a hidden layer has {narrow} units"
            )
        root = s[:k] ** (1 / len(self.coefs))
        coefs = [np.zeros_like(W) for W in self.coefs]
        for W in coefs:
            W[range(k), range(k)] = root
        coefs[0][:] = 0.0
        coefs[0][:, :k] = U[:, :k] * root
        coefs[-1][k:] = 0.0
        coefs[-1][:k, :] = coefs[-1][:k, :k] @ Vt[:k, :]
        shift = self.intercepts[0]
        for W, b in zip(self.coefs[1:], self.intercepts[1:], strict=True):
            shift = shift @ W + b
        zeros = [np.zeros_like(b) for b in self.intercepts[:-1]]
        return DeepLinear(coefs, [*zeros, shift])

    def path_to(self, other: DeepLinear) -> list[DeepLinear]:
        """Corners of a polyline to ``other`` whose products lie between the two: no convex loss of
        the product rises above its ends.

        It leads from `balanced` to the balanced form of ``other`` on units of its own: first these
        are filled in, before the last layer sees them; then the last layer goes over; then the
        others are emptied.

        Raises
        ------
        ValueError
            If a hidden layer has no room for the two ranks side by side.

        References
        ----------
        L. Venturi, A. Bandeira, J. Bruna, "Spurious valleys in one-hidden-layer neural network
        optimization landscapes", JMLR 20 (2019).
        """
        a, b = self.balanced(), other.balanced()
        if [W.shape for W in a.coefs] != [W.shape for W in b.coefs]:
            raise ValueError("DeepLinear.path_to: the two networks have other shapes")
        room = min((W.shape[1] for W in a.coefs[:-1]), default=0)
        needed = a.rank(1e-14) + b.rank(1e-14)
        if len(a.coefs) > 1 and room < needed:
            raise ValueError(
                f"DeepLinear.path_to: the two products have ranks that add up to {needed}, but a "
                f"hidden layer has {room} units"
            )
        far = b._on_the_last_units()
        both = [x + y for x, y in zip(a.coefs, far.coefs, strict=True)]
        return [
            a,
            DeepLinear([*both[:-1], a.coefs[-1]], a.intercepts),
            DeepLinear([*both[:-1], far.coefs[-1]], far.intercepts),
            far,
        ]

    def _on_the_last_units(self) -> DeepLinear:
        """The same with the units of each hidden layer in the opposite order."""
        last = len(self.coefs) - 1
        coefs = [
            W[:: 1 if k == 0 else -1, :: 1 if k == last else -1] for k, W in enumerate(self.coefs)
        ]
        return DeepLinear(coefs, self.intercepts)

    def flat(self) -> np.ndarray:
        """The parameters in the order of a network's flat array."""
        return np.concatenate([part.reshape(-1) for part in [*self.coefs, *self.intercepts]])


class DeepLinearTrace:
    """Follows the product of a deep linear network while it is trained: an observer of `run`.

    Attributes
    ----------
    epochs : list of float
        Passes over the data, or iterations, at each report.
    singular_values : list of arrays
        Of the product.
    imbalance, effective_rank : list of float
        As `DeepLinear` has them.
    """

    def __init__(self, problem: Any) -> None:
        self.problem = problem
        self.epochs: list[float] = []
        self.singular_values: list[np.ndarray] = []
        self.imbalance: list[float] = []
        self.effective_rank: list[float] = []

    def on_report(self, report: Any) -> bool:
        """Note where the solve stands."""
        net = DeepLinear.at(self.problem, report.state.w)
        self.epochs.append(report.n_epochs or report.n_iter)
        self.singular_values.append(net.singular_values)
        self.imbalance.append(net.imbalance)
        self.effective_rank.append(net.effective_rank)
        return False
