r"""A loss of a linear model plus a penalty: what nearly every linear estimator solves.

.. math:: F(w) = \sum_i \omega_i\, \ell(y_i, (A w)_i) + \Omega(w_{\text{coef}})

``A`` carries the intercept: eliminated by centring where the loss is quadratic, a column of ones
behind the design otherwise. Several outputs make ``w`` a flattened ``(p, K)`` array.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from skopt_dl.engine import Certificate, Oracle, Point, Problem, offers
from skopt_dl.kernels import bind
from skopt_dl.kernels.namespace import device_of
from skopt_dl.linops import (
    Centred,
    GraphProjection,
    WithIntercept,
    along_rows,
    design,
    largest_eigenvalue,
)
from skopt_dl.linops.design import limit_of
from skopt_dl.losses import Loss
from skopt_dl.penalties import Penalty
from skopt_dl.problems import certificates, parameters
from skopt_dl.problems.by_columns import ByColumns
from skopt_dl.problems.by_samples import BySamples
from skopt_dl.problems.certificates import GAP
from skopt_dl.problems.curvature import (
    batch_hessian,
    batch_product,
    curvature_scores,
    gauss_newton_root,
    hessian_matrix,
    hessian_product,
    sample_curvature,
)
from skopt_dl.problems.line import LinearModelLine
from skopt_dl.problems.reasons import (
    no_batch_gauss_newton,
    no_bounds,
    no_curvature,
    no_gauss_newton,
    no_gradient,
    no_least_squares,
    no_linear_minimiser,
    no_lipschitz,
    no_root,
    no_smooth_loss,
    no_split,
    no_subgradient,
    not_dense,
    traits_of,
)


class LinearProblem(ByColumns, BySamples, Problem):
    """``sum_i omega_i loss(y_i, (A w)_i) + penalty(coef)``.

    Parameters
    ----------
    X : array or sparse matrix of shape (n, p)
        Validated floating data in one namespace; never written.
    y : array of shape (n,) or (n, K)
        Targets in the loss's form.
    loss, penalty : Loss, Penalty
        The two terms.
    sample_weight : array of shape (n,), optional
        Non-negative weights, normalised here to sum to one.
    fit_intercept : bool
        Whether there is an unpenalised intercept (one per output).
    criterion : {"duality gap", "stationarity"}
        What the certificate's scaled value measures: the gap relative to the objective of the null
        model, or the largest component of the minimal subgradient divided by ``scale``.
    scale : float or "null"
        Unit of the stationarity criterion: a number, or the gradient at zero.
    description : str or callable
        Names estimator and data in messages; a callable is asked when there is one to write.
    """

    def __init__(
        self,
        X: Any,
        y: Any,
        loss: Loss,
        penalty: Penalty,
        *,
        sample_weight: Any = None,
        fit_intercept: bool = False,
        criterion: str = GAP,
        scale: float | str = 1.0,
        description: str | Callable[[], str] = "this linear problem",
    ) -> None:
        super().__init__()
        self.loss, self.penalty, self._description = loss, penalty, description
        self.base = design(X)
        xp = self.xp = self.base.xp
        self.dtype, self.device = y.dtype, device_of(y)
        self.kernels = bind(xp, self.dtype, self.base.layout)
        n, p = self.base.shape
        self.n_samples, self.n_features = n, p
        self.n_outputs = 1 if y.ndim == 1 else y.shape[1]
        self.n_coef = p * self.n_outputs
        if hasattr(loss, "check"):
            loss.check(y)
        if hasattr(penalty, "check"):
            penalty.check(self.n_coef, self.n_outputs)
        self.fit_intercept = fit_intercept
        if sample_weight is None:
            self.omega = xp.full(n, 1.0 / n, dtype=self.dtype, device=self.device)
        else:
            self.omega = sample_weight / xp.sum(sample_weight)
        self.centred = fit_intercept and loss.quadratic
        self.y_mean: Any = None
        r = product = None
        if self.centred:
            self.y_mean = self.omega @ y
            y = y - self.y_mean
            if y.ndim == 1:
                # The gradient at zero, for which X need not be read again.
                r = self.omega * loss.slope(y, xp.zeros_like(y))
                product = self.base.beside_means(self.omega, r)
        # An intercept makes room to move columns that are far from zero: see `parameters`.
        self.shift: Any = None
        if fit_intercept:
            limit = limit_of(self.dtype, xp, centred=self.centred)
            self.base, self.shift = self.base.near_zero(self.omega, limit)
        if self.centred:
            self.map: Any = Centred(self.base, self.base.column_means(self.omega))
        else:
            self.map = WithIntercept(self.base) if fit_intercept else self.base
        self.intercept_in_map = fit_intercept and not self.centred
        self.y = y
        width = self.map.shape[1]
        self.size = width * self.n_outputs
        self.blocks = {
            "coef": slice(0, self.n_coef),
            "intercept": slice(self.n_coef, self.size),
        }
        self.shapes = {"coef": (p, self.n_outputs)}
        self.traits = traits_of(self)
        self.criterion, self.scale = criterion, scale
        self._known: tuple[Any, Any, Any, Any] | None = None
        self._units: dict[str, float] = {}
        self._at_zero: tuple[Any, Any] | None = None
        if product is not None and self.shift is None:
            gradient = product - self.base.column_means(self.omega) * xp.sum(r)
            self._at_zero = self.loss_value(xp.zeros_like(y)), gradient
        self._lipschitz: Any = None

    @property
    def description(self) -> str:  # type: ignore[override]
        """Completes "cannot fit ..." in messages."""
        return self._description() if callable(self._description) else self._description

    # --- parameters ---------------------------------------------------------------------------

    def start(self) -> Any:
        return parameters.start(self)

    def matrix(self, w: Any) -> Any:
        """``w`` in the shape the map takes."""
        return w if self.y.ndim == 1 else self.xp.reshape(w, (-1, self.n_outputs))

    def flat(self, g: Any) -> Any:
        """The inverse of `matrix`."""
        return g if self.y.ndim == 1 else self.xp.reshape(g, (-1,))

    def predict_raw(self, w: Any) -> Any:
        """``A w``, the raw predictions (of the centred data where the intercept is eliminated)."""
        return self.map.matvec(self.matrix(w))

    def unpack(self, w: Any) -> tuple[Any, Any]:
        """``(coef, intercept)`` of shapes ``(p,)`` and ``()``, or ``(p, K)`` and ``(K,)``."""
        return parameters.unpack(self, w)

    def pack(self, coef: Any, intercept: Any) -> Any:
        """The flat start from ``coef`` and ``intercept`` (an eliminated intercept is not kept)."""
        return parameters.pack(self, coef, intercept)

    # --- values -------------------------------------------------------------------------------

    def loss_value(self, z: Any) -> Any:
        """The loss term at the predictions ``z``."""
        return self.omega @ self.loss.value(self.y, z)

    def value_slope(self, z: Any, rows: Any = None) -> tuple[Any, Any]:
        """The loss term at the predictions ``z``, and the weighted slope of each sample's loss; of
        the samples ``rows`` alone, if they are given as a slice."""
        y, omega = self.y, self.omega
        if rows is not None:
            y, omega = y[rows, ...], omega[rows]
        if hasattr(self.loss, "value_slope"):
            value, slope = self.loss.value_slope(y, z)
        else:
            value, slope = self.loss.value(y, z), self.loss.slope(y, z)
        return omega @ value, along_rows(omega, slope)

    def loss_at(self, w: Any) -> tuple[Any, Any, Any]:
        """Predictions at ``w``, value and gradient of the loss term."""
        z, _, loss_value, g = self.loss_through(w, lambda z, rows: z)
        return z, loss_value, g

    def loss_through(self, d: Any, predict: Callable[[Any, Any], Any]) -> tuple[Any, ...]:
        """``A d``; weighted slopes, value and gradient of the loss at the predictions
        ``predict(A d, rows)`` of some rows after the others. X is read once if it can be."""
        values, slopes = [], []

        def respond(ad: Any, rows: Any) -> Any:
            value, r = self.value_slope(predict(ad, rows), rows)
            values.append(value)
            slopes.append(r)
            return r

        ad, g = self.map.there_and_back(self.matrix(d), respond)
        r = slopes[0] if len(slopes) == 1 else self.xp.concat(slopes)
        return ad, r, sum(values[1:], values[0]), self.flat(g)

    def loss_grad(self, z: Any) -> Any:
        """Gradient in ``w`` of the loss term, at the predictions ``z``."""
        return self.flat(self.map.rmatvec(along_rows(self.omega, self.loss.slope(self.y, z))))

    def on_coef(self, function: Any, w: Any) -> Any:
        """``function`` of the coefficients, continued by zeros over the intercept."""
        if self.n_coef == self.size:
            return function(w)
        tail = self.xp.zeros_like(w[self.n_coef :])
        return self.xp.concat([function(w[: self.n_coef]), tail])

    def nonsmooth_value(self, w: Any) -> Any:
        """The penalty at ``w``."""
        return self.penalty.value(w[: self.n_coef])

    def value(self, w: Any) -> Any:
        return self.loss_value(self.predict_raw(w)) + self.nonsmooth_value(w)

    # --- oracles ------------------------------------------------------------------------------

    @offers(Oracle.SMOOTH_GRAD, lacks=no_smooth_loss)
    def smooth_value_grad(self, w: Any) -> tuple[Any, Any]:
        """Value and gradient of the loss term."""
        return self.loss_at(w)[1:]

    @offers(Oracle.LIPSCHITZ, lacks=no_lipschitz)
    def lipschitz(self) -> Any:
        """Bound of the Lipschitz constant of the loss term's gradient, a 0-d array."""
        if self._lipschitz is None:
            self._lipschitz = self.loss.smoothness * largest_eigenvalue(self.map, self.omega)
        return self._lipschitz

    @offers(Oracle.PROX)
    def prox(self, v: Any, step: Any) -> Any:
        """Prox of the penalty; the intercept is left alone."""
        if self.n_coef == self.size:
            return self.penalty.prox(v, step)
        coef = self.penalty.prox(v[: self.n_coef], step)
        return self.xp.concat([coef, v[self.n_coef :]])

    @offers(Oracle.LMO, lacks=no_linear_minimiser)
    def linear_minimiser(self, g: Any) -> Any:
        """``argmin_s g's`` over the constraint set."""
        return self.penalty.linear_minimiser(g)  # type: ignore[attr-defined]

    @offers(Oracle.GRAD, lacks=no_gradient)
    def point(self, w: Any) -> Point:
        """Value and gradient of the whole objective; the cache is ``z = A w``."""
        z, g, loss_value = self.terms_at(w)
        return self.point_from(w, z, loss_value, g, self.nonsmooth_value(w))

    def point_of(self, w: Any, z: Any) -> Point:
        """The point ``w`` whose prediction ``z = A w`` is known."""
        loss_value, r = self.value_slope(z)
        g = self.flat(self.map.rmatvec(r))
        return self.point_from(w, z, loss_value, g, self.nonsmooth_value(w))

    def point_from(self, w: Any, z: Any, loss_value: Any, g: Any, penalty_value: Any) -> Point:
        """The point ``w`` with its prediction, the values of loss and penalty, and the gradient
        ``g`` of the loss there."""
        self.keep(w, z, g, loss_value)
        grad = self.xp.asarray(g, copy=True)
        grad[: self.n_coef] += self.penalty.grad(w[: self.n_coef])  # type: ignore[attr-defined]
        return Point(w, loss_value + penalty_value, grad, z)

    def at_zero(self) -> tuple[Any, Any]:
        """Value and gradient of the loss term at zero, kept."""
        if self._at_zero is None:
            z = self.xp.zeros_like(self.y)
            self._at_zero = self.loss_value(z), self.loss_grad(z)
        return self._at_zero

    def keep(self, w: Any, z: Any = None, g: Any = None, loss_value: Any = None) -> None:
        """Remember the prediction, and gradient and value of the loss at ``w``, for `known_at`."""
        self._known = (self.xp.asarray(w, copy=True), z, g, loss_value)

    def known_at(self, w: Any) -> tuple[Any, Any, Any]:
        """Prediction at ``w``, gradient and value of the loss; ``None`` where it is not known.

        A certificate asks for what the solver has just computed.
        """
        if self._known is None or not bool(self.xp.all(self._known[0] == w)):
            return None, None, None
        return self._known[1:]

    def terms_at(self, w: Any) -> tuple[Any, Any, Any]:
        """What `known_at` has, computed where any of it is not known."""
        z, g, loss_value = self.known_at(w)
        if z is None or g is None or loss_value is None:
            z, loss_value, g = self.loss_at(w)
        return z, g, loss_value

    @offers(Oracle.SUBGRADIENT, lacks=no_subgradient)
    def subgradient(self, w: Any) -> tuple[Any, Any]:
        """Value and a subgradient of the whole objective."""
        _, loss_value, g = self.loss_at(w)
        penalty = self.penalty
        of_penalty = penalty.grad if hasattr(penalty, "grad") else penalty.subgradient  # type: ignore[attr-defined]
        return loss_value + self.nonsmooth_value(w), g + self.on_coef(of_penalty, w)

    @offers(Oracle.BOUNDS, lacks=no_bounds)
    def bounded_point(self, w: Any) -> Point:
        """Value and gradient at a ``w`` within `bounds`, where the objective is smooth."""
        z, loss_value, g = self.loss_at(w)
        inside = self.penalty.grad_inside  # type: ignore[attr-defined]
        value = loss_value + self.nonsmooth_value(w)
        return Point(w, value, g + self.on_coef(inside, w), z)

    def bounds(self) -> tuple[Any, Any]:
        """The least and the largest values of the parameters; an intercept has none."""
        xp = self.xp
        of_coef = xp.arange(self.size, device=self.device) < self.n_coef
        free = xp.full(self.size, xp.inf, dtype=self.dtype, device=self.device)
        known = getattr(self.penalty, "bounds", None)
        if known is None:
            return xp.where(of_coef, xp.zeros_like(free), -free), free
        lower, upper = (self.on_coef(lambda c, k=k: known(c)[k], free) for k in (0, 1))
        return xp.where(of_coef, lower, -free), xp.where(of_coef, upper, free)

    def along(self, point: Point, d: Any) -> LinearModelLine:
        """The objective along ``point.w + t d``; ``A d`` is computed once."""
        return LinearModelLine(self, point, d)

    def curvature_map(self, z: Any) -> Callable[[Any], Any]:
        """The second derivative of each sample's loss at ``z``, as a function of predictions."""
        if self.y.ndim == 1:
            curvature = self.loss.curvature(self.y, z)  # type: ignore[attr-defined]
            return lambda az: curvature * az
        return self.loss.curvature_map(self.y, z)  # type: ignore[attr-defined]

    @offers(Oracle.HVP, lacks=no_curvature)
    def hvp(self, point: Point) -> Any:
        """A function ``d -> H d`` with the Hessian at ``point``; the curvature is cached."""
        return hessian_product(self, point)

    @offers(Oracle.HESSIAN, lacks=no_curvature)
    def hessian(self, point: Point) -> Any:
        """The Hessian at ``point`` as an array of shape ``(size, size)``."""
        return hessian_matrix(self, point)

    @offers(Oracle.HESSIAN_DIAGONAL, lacks=no_curvature)
    def hessian_diagonal(self, point: Point) -> Any:
        """The diagonal of the Hessian at ``point``, of shape ``(size,)``."""
        return sample_curvature(self, point.w, self.map, self.y, self.omega, point.cache)

    @offers(Oracle.GGN, lacks=no_gauss_newton)
    def ggn(self, point: Point) -> Any:
        """The Hessian product: of a model that is linear in its parameters it is the same."""
        return hessian_product(self, point)

    @offers(Oracle.GGN_ROOT, lacks=no_root)
    def ggn_root(self, point: Point) -> tuple[Any, Any]:
        """``(J, diagonal)`` with the Gauss-Newton matrix ``J'J + diag(diagonal)``."""
        return gauss_newton_root(self, point.w)

    @offers(Oracle.SAMPLE_HVP, lacks=no_curvature)
    def sample_hvp(self, w: Any, index: Any, weights: Any = None, memory: Any = None) -> Any:
        """``d -> H d`` of what `sample_grad` differentiates, each sample times its weight."""
        return batch_product(self, w, index, weights)

    @offers(Oracle.SAMPLE_GGN, lacks=no_batch_gauss_newton)
    def sample_ggn(self, w: Any, index: Any, weights: Any = None) -> Any:
        """The same: the model is linear in its parameters. A penalty without a gradient is left
        out, as it is by `sample_grad`."""
        return batch_product(self, w, index, weights)

    @offers(Oracle.SAMPLE_HESSIAN, lacks=no_curvature)
    def sample_hessian(self, w: Any, index: Any, weights: Any = None) -> Any:
        """The matrix whose products `sample_hvp` makes."""
        return batch_hessian(self, w, index, weights)

    @offers(Oracle.CURVATURE_SCORES, lacks=no_curvature)
    def curvature_scores(self, point: Point) -> Any:
        """``|l''_i| |x_i|^2`` with the sample's weight, shape ``(n,)``."""
        return curvature_scores(self, point)

    @offers(Oracle.SPLIT, lacks=no_split)
    def loss_prox(self, v: Any, step: Any) -> Any:
        """``argmin_z sum_i omega_i [loss(y_i, z_i) + |z_i - v_i|^2 / (2 step)]`` over predictions.

        The distance has the weights of the samples, as `graph_projection` has: all take one step.
        """
        return self.loss.prox(self.y, v, step)  # type: ignore[attr-defined]

    def loss_slope(self, z: Any) -> Any:
        """Slope of each sample's loss at the predictions ``z``: the multipliers of a split."""
        return self.loss.slope(self.y, z)

    @offers(Oracle.GRAPH)
    def graph_projection(self) -> GraphProjection:
        """The projection onto ``{(w, z): z = A w}``; one factorisation serves every call."""
        return GraphProjection(self.map, self.omega)

    @offers(Oracle.LEAST_SQUARES, lacks=no_least_squares)
    def least_squares(self) -> tuple[Any, Any, Any, Any]:
        """``(A, omega, Y, ridge)`` of ``1/2 sum omega |A w - Y|^2 + 1/2 sum ridge w^2``.

        ``Y`` has shape ``(n, K)`` and ``ridge`` shape ``(width, K)``; the loss's constant
        curvature is in ``omega``.
        """
        xp = self.xp
        zero = xp.zeros(self.size, dtype=self.dtype, device=self.device)
        ridge = self.on_coef(self.penalty.curvature, zero)  # type: ignore[attr-defined]
        Y = xp.reshape(self.y, (self.n_samples, self.n_outputs))
        ridge = xp.reshape(ridge, (self.map.shape[1], self.n_outputs))
        return self.map, self.loss.smoothness * self.omega, Y, ridge

    @offers(Oracle.MATRIX, lacks=not_dense)
    def dense_matrix(self) -> Any:
        """The matrix of the map as an array of shape ``(n, width)``."""
        return self.map.to_dense()

    def base_rmatvec(self, r: Any) -> Any:
        """``X' r`` of the coefficients alone (centred where the intercept is eliminated)."""
        return self.map.rmatvec(r) if self.centred else self.base.rmatvec(r)

    def certificate(self, w: Any) -> Certificate:
        """Duality gap and stationarity at ``w``; see `skopt_dl.problems.certificates`."""
        return certificates.certify(self, w, self._units)
