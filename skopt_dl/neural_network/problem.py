r"""The training problem of a network: a finite sum over samples plus a ridge on the coefficients.

.. math:: F(w) = \frac1S \Big( \sum_i s_i\, \ell(y_i, z_i(w)) + \frac{\alpha}{2} \sum_l |W_l|^2
   \Big), \qquad S = \sum_i s_i
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

from skopt_dl.engine import Certificate, Oracle, Point, Problem, Trait, offers
from skopt_dl.kernels import bind
from skopt_dl.kernels.generic_network import network_layers, output_loss
from skopt_dl.kernels.memory import Memory
from skopt_dl.kernels.namespace import device_of, is_numpy, namespace_of, to_float
from skopt_dl.neural_network.curvature import GaussNewtonProduct
from skopt_dl.neural_network.dropout import Dropout
from skopt_dl.neural_network.hessian import HessianProduct, diagonal_curvature
from skopt_dl.neural_network.kronecker import KroneckerModel
from skopt_dl.neural_network.network import Network
from skopt_dl.problems.agents import SmoothAgents
from skopt_dl.problems.formed import formed_hessian, too_many_columns

# Probabilities are not rounded where the objective itself is asked for.
EXACT = 0.0


def _trained(problem: NetworkProblem) -> str | None:
    return "its activations are trained too" if problem.net.trained else None


def _no_curvature(problem: NetworkProblem) -> str | None:
    if problem.net.trained:
        return _trained(problem)
    for f in problem.net.activations:
        if not hasattr(f, "curvature"):
            return f"the activation {f!r} has no curvature"
    return None


def _dropped(problem: NetworkProblem) -> str | None:
    return None if problem.dropout is None else "dropout makes it another one on every batch"


def _no_gauss_newton(problem: NetworkProblem) -> str | None:
    return _trained(problem) or _dropped(problem)


def _no_matrix(problem: NetworkProblem) -> str | None:
    return _no_curvature(problem) or too_many_columns(problem)


def _no_batch_curvature(problem: NetworkProblem) -> str | None:
    return _dropped(problem) or _no_curvature(problem)


class NetworkProblem(Problem):
    """Loss of a `Network` on data, with the gradients that first- and second-order methods ask for.

    Parameters
    ----------
    net : Network
        The layout; its output decides the loss (`skopt_dl.kernels.generic_network.output_loss`).
    X : array or CSR matrix of shape (n, p)
        Validated floating data; never written.
    y : array of shape (n, K)
        Targets in the form of the output (one-hot rows for "softmax"), of X's dtype.
    alpha : float
        Strength of the ridge, divided by the sum of the weights.
    sample_weight : array of shape (n,), optional
        Non-negative weights.
    initial : array of shape (size,), optional
        The default start; zeros, a saddle point of every network with hidden layers, without.
    dropout : Dropout, optional
        Drops units in batch gradients. The objective is then their mean, which nothing here can
        compute: values, points and certificates are those of the whole network.
    certified : bool
        False leaves the certificate out (it costs a pass over the data).
    description : str or callable
        Names estimator and data in messages; one that has to be put together costs a small fit
        much of its time, and may be a function that does it when it is asked for.

    Notes
    -----
    The value that goes with a batch gradient is scikit-learn's report of it, made for reading and
    for its stopping rule: probabilities are kept ``eps`` away from 0 and 1, and the squared error
    is a mean over the outputs. A batch carries the whole penalty, divided by its own weight, as in
    scikit-learn: smaller batches are regularised more. The value of a `Point` is the objective
    itself.
    """

    n_samples: int

    def __init__(
        self,
        net: Network,
        X: Any,
        y: Any,
        *,
        alpha: float = 0.0,
        sample_weight: Any = None,
        initial: Any = None,
        dropout: Dropout | None = None,
        certified: bool = True,
        description: str | Callable[[], str] = "this network",
    ) -> None:
        super().__init__()
        sparse = hasattr(X, "tocsc")
        self.xp = xp = namespace_of(y)
        if is_numpy(xp):
            # The compiled kernels read rows; a copy only of what has another order.
            X, y = X if sparse else xp.ascontiguousarray(X), xp.ascontiguousarray(y)
        self.net, self.X, self.y, self.alpha = net, X, y, alpha
        self.sample_weight, self.initial, self.certified = sample_weight, initial, certified
        self.dropout = dropout
        self._description = description
        self.dtype, self.device = y.dtype, device_of(y)
        self.kernels = bind(xp, self.dtype, "sparse" if sparse else "dense")
        self.n_samples, self.size, self.blocks = X.shape[0], net.size, net.blocks
        self.shapes = {f"coef{k}": shape for k, shape in enumerate(net.shapes)}
        traits = {Trait.FINITE_SUM, Trait.SMOOTH, Trait.MATRICES}
        # Without hidden layers it is a generalised linear model.
        self.traits = frozenset(traits | {Trait.CONVEX} if len(net.shapes) == 1 else traits)
        self.n_evaluations = 0
        self._work = self.kernels.serving(net.compiled).network_workspace(net, self.dtype)
        self._batch_grad = self.start()
        self._spare_grad: Any = None
        self._passes_memory: list[Any] = []
        self._batch_memory = Memory()
        self._floor = float(xp.finfo(self.dtype).eps)
        self._mean = 1 / y.shape[1] if net.output == "identity" else 1.0

    @property
    def description(self) -> str:  # type: ignore[override]
        return self._description() if callable(self._description) else self._description

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        # The memory of the passes is made anew.
        known = {
            "alpha": self.alpha,
            "sample_weight": self.sample_weight,
            "initial": self.initial,
            "dropout": self.dropout,
            "certified": self.certified,
            "description": self.description,
        }
        return partial(NetworkProblem, **known), (self.net, self.X, self.y)

    def start(self) -> Any:
        if self.initial is not None:
            return self.xp.asarray(self.initial, copy=True)
        return self.xp.zeros(self.size, dtype=self.dtype, device=self.device)

    def _evaluate(
        self, w: Any, index: Any, floor: float, grad: Any, masks: Any = None
    ) -> tuple[Any, Any]:
        return self.kernels.serving(self.net.compiled).network_gradient(
            self.net,
            self._work,
            w,
            self.X,
            self.y,
            self.sample_weight,
            index,
            masks,
            self.alpha,
            floor,
            grad,
        )

    def value(self, w: Any) -> Any:
        return self._point(w).value

    def reported_loss(self, w: Any) -> Any:
        """The value at ``w`` as scikit-learn reports it, see the notes."""
        loss, penalty = self._evaluate(w, None, self._floor, self.xp.empty_like(w))
        return self._mean * loss + penalty

    def _point(self, w: Any) -> Point:
        self.n_evaluations += 1
        grad = self.xp.empty_like(w)
        loss, penalty = self._evaluate(w, None, EXACT, grad)
        return Point(w, self.xp.asarray(loss + penalty, dtype=self.dtype), grad)

    @offers(Oracle.GRAD, lacks=_dropped)
    def point(self, w: Any) -> Point:
        """Value and gradient of the whole objective."""
        return self._point(w)

    def along(self, point: Point, d: Any) -> NetworkLine:
        """The objective along ``point.w + t d``; a trial costs a gradient."""
        return NetworkLine(self, point, d)

    @offers(Oracle.SAMPLE_GRAD)
    def sample_grad(self, w: Any, index: Any) -> tuple[Any, Any]:
        """Reported value and gradient of the mean over the samples ``index``, with the penalty.

        The gradient is overwritten by the next call.
        """
        loss, penalty = self._evaluate(w, index, self._floor, self._batch_grad, self._masks(index))
        return self._mean * loss + penalty, self._batch_grad

    @offers(Oracle.SAMPLE_VALUE)
    def sample_value(self, w: Any, index: Any) -> Any:
        """The exact value that `sample_grad` has the gradient of; it costs one."""
        if self._spare_grad is None:
            self._spare_grad = self.xp.empty_like(w)
        masks = self._masks(index)
        loss, penalty = self._evaluate(w, index, EXACT, self._spare_grad, masks)
        return self.xp.asarray(loss + penalty, dtype=self.dtype)

    @offers(Oracle.SAMPLE_LOSSES)
    def sample_losses(self, w: Any) -> Any:
        """The loss of each sample, shape ``(n,)``, without weights and penalty."""
        _, raw = network_layers(self.net, w, self.X)
        return output_loss(self.net.output, self.y, raw[-1], EXACT)

    @offers(Oracle.TARGETS)
    def with_targets(self, change: Any) -> NetworkProblem:
        """This problem with the targets ``change(y)``, of the same shape; all else is shared."""
        other = copy.copy(self)
        other.y = change(self.y)
        return other

    @offers(Oracle.AGENTS, lacks=_dropped)
    def agents(self, parts: list[Any], w: Any) -> SmoothAgents:
        """The mean over agents that the objective is, agent i with the samples ``parts[i]``."""
        return SmoothAgents([self._share(part, len(parts)) for part in parts], w)

    def shards(self, parts: list[Any]) -> list[tuple[float, NetworkProblem]]:
        """Weights, which sum to one, and problems of parts of the samples: their mean is this one.

        A part without weight is left out.
        """
        found = [(self._weight(part), part) for part in parts]
        found = [(weight, part) for weight, part in found if weight > 0]
        total = sum(weight for weight, _ in found)
        # A problem divides its penalty by its own weight.
        alpha = self.alpha / max(len(found), 1)
        return [(weight / total, self._part(part, alpha)) for weight, part in found]

    def _weight(self, index: Any) -> float:
        s = self.sample_weight
        return float(index.shape[0]) if s is None else to_float(self.xp.sum(self.xp.take(s, index)))

    def _part(self, index: Any, alpha: float) -> NetworkProblem:
        """The problem of the samples ``index`` alone, with a penalty of its own."""
        xp, s = self.xp, self.sample_weight
        X = self.X[index] if hasattr(self.X, "tocsc") else xp.take(self.X, index, axis=0)
        own = None if s is None else xp.take(s, index)
        y = xp.take(self.y, index, axis=0)
        return NetworkProblem(
            self.net, X, y, alpha=alpha, sample_weight=own, certified=False, description="a part"
        )

    def _share(self, index: Any, n_agents: int) -> Callable[[Any], Any]:
        """Gradient of ``n_agents`` times what the samples ``index`` add to the mean, with the
        whole penalty."""
        total = (
            self.n_samples
            if self.sample_weight is None
            else to_float(self.xp.sum(self.sample_weight))
        )
        local, share = self._part(index, 0.0), n_agents * self._weight(index) / total
        ridge, n_coef = self.alpha / total, self.net.n_coef

        def gradient(v: Any) -> Any:
            g = share * local.point(v).grad if share else self.xp.zeros_like(v)
            g[:n_coef] += ridge * v[:n_coef]
            return g

        return gradient

    @offers(Oracle.SAMPLE_CURVATURE, lacks=_trained)
    def sample_curvature(self, w: Any, index: Any, memory: Memory | None = None) -> Any:
        """An estimate, never negative, of the diagonal of the Hessian on the samples ``index``.

        See `skopt_dl.neural_network.hessian.diagonal_curvature`.
        """
        X, _, omega, ridge = self._samples(index, None, memory)
        return diagonal_curvature(self.net, w, X, omega, ridge, memory)

    def _masks(self, index: Any) -> Any:
        return None if self.dropout is None else self.dropout.masks(self.net, index, self.y)

    @offers(Oracle.HVP, lacks=_no_curvature)
    def hvp(self, point: Point) -> HessianProduct:
        """A function ``d -> H d`` with the exact Hessian at ``point`` (of ReLU, almost everywhere).

        The outputs of all layers are kept for it.
        """
        return HessianProduct(self.net, point.w, *self._samples())

    @offers(Oracle.HESSIAN, lacks=_no_matrix)
    def hessian(self, point: Point) -> Any:
        """The Hessian at ``point`` as an array, a product a column."""
        return formed_hessian(self, point)

    @offers(Oracle.GGN, lacks=_no_gauss_newton)
    def ggn(self, point: Point) -> GaussNewtonProduct:
        """The same for the Gauss-Newton matrix, which is the Fisher information here."""
        return GaussNewtonProduct(*self._passes(point.w))

    @offers(Oracle.GGN_ROOT, lacks=_no_gauss_newton)
    def ggn_root(self, point: Point) -> tuple[Any, Any]:
        """``(J, diagonal)`` with the Gauss-Newton matrix ``J'J + diag(diagonal)``.

        J has a row for each sample and output: it is an array of shape ``(n K, size)``.
        """
        return GaussNewtonProduct(*self._passes(point.w)).root()

    @offers(Oracle.SAMPLE_HVP, lacks=_no_batch_curvature)
    def sample_hvp(
        self, w: Any, index: Any, weights: Any = None, memory: Memory | None = None
    ) -> HessianProduct:
        """``d -> H d`` of what `sample_grad` differentiates, each sample times its weight.

        What is made with a ``memory`` is overwritten by what is made with it next: the function by
        another one, its products by each other.
        """
        return HessianProduct(self.net, w, *self._samples(index, weights, memory), memory)

    @offers(Oracle.SAMPLE_GGN, lacks=_no_gauss_newton)
    def sample_ggn(self, w: Any, index: Any, weights: Any = None) -> GaussNewtonProduct:
        """The same for the Gauss-Newton matrix."""
        return GaussNewtonProduct(*self._passes(w, index, weights))

    @offers(Oracle.KRONECKER, lacks=_no_gauss_newton)
    def kronecker(self, w: Any, index: Any) -> KroneckerModel:
        """The Fisher matrix on the samples ``index``, layer by layer.

        Its memory is that of the next call's, which overwrites it.
        """
        kept = self._batch_memory
        passes = GaussNewtonProduct(*self._passes(w, index, memory=kept), self._passes_memory, kept)
        return KroneckerModel(passes, self._mean, self._floor)

    def _passes(
        self, w: Any, index: Any = None, weights: Any = None, memory: Memory | None = None
    ) -> tuple[Any, Any, Any, Any, Any, Any, float]:
        """What a `GaussNewtonProduct` at ``w`` on the samples ``index`` starts from."""
        kernels = self.kernels.serving(self.net.compiled)
        return kernels, self.net, w, *self._samples(index, weights, memory)

    def _samples(
        self, index: Any = None, weights: Any = None, memory: Memory | None = None
    ) -> tuple[Any, Any, Any, float]:
        """Data and targets of the samples ``index`` (all without), their weights, which sum to
        one, and the curvature of the penalty."""
        xp, X, y, s = self.xp, self.X, self.y, self.sample_weight
        n, kept = self.n_samples, Memory() if memory is None else memory
        if index is not None:
            n = index.shape[0]
            X, y = kept.taken("X", X, index), kept.taken("y", y, index)
            s = None if s is None else kept.taken("weights", s, index)
        omega = kept.array("omega", (n,), y)
        if s is None:
            share = xp.asarray(1 / max(n, 1), dtype=self.dtype, device=self.device)
            omega[...] = share
        else:
            total = xp.sum(s)
            # Without weight in the batch everything is 0, as the gradient is.
            some = xp.where(total > 0, total, xp.ones_like(total))
            share = xp.where(total > 0, 1 / some, 0 * total)
            omega[...] = s
            omega *= share
        if weights is not None:
            omega *= weights
        return X, y, omega, self.alpha * to_float(share)

    def certificate(self, w: Any) -> Certificate:
        """The largest component of the gradient; ``nan`` where the problem is not certified."""
        if not self.certified:
            return Certificate("not evaluated", float("nan"), float("nan"))
        point = self._point(w)
        slope = to_float(self.xp.max(self.xp.abs(point.grad)))
        return Certificate("stationarity", slope, to_float(point.value))


class NetworkLine:
    """``phi(t) = F(w + t d)``: value and slope of a trial from one gradient, kept for `accept`."""

    def __init__(self, problem: NetworkProblem, point: Point, d: Any) -> None:
        self.problem, self.point, self.d = problem, point, d
        self._t, self._trial = 0.0, point

    def _at(self, t: float) -> Point:
        if t != self._t:
            self._t, self._trial = t, self.problem._point(self.point.w + t * self.d)
        return self._trial

    def __call__(self, t: float) -> tuple[float, float]:
        trial = self._at(t)
        return to_float(trial.value), to_float(trial.grad @ self.d)

    def accept(self, t: float) -> Point:
        """The point at ``t``, without a new evaluation if it was the last trial."""
        return self._at(t)
