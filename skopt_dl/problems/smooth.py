r"""A smooth function given by callables: what `minimize` and one's own models start from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from skopt_dl.engine import Certificate, Oracle, Point, Problem, Trait, offers
from skopt_dl.kernels import bind
from skopt_dl.kernels.namespace import device_of, namespace_of, to_float
from skopt_dl.problems.line import GradientLine


class SmoothProblem(Problem):
    r"""Minimise a differentiable :math:`F(w)`; it offers what was given and nothing else.

    Parameters
    ----------
    fun : callable, optional
        ``fun(w)``, the value, a number. Not needed beside ``value_and_grad`` or ``batch``.
    grad : callable, optional
        ``grad(w)``, the gradient, an array like ``w``.
    value_and_grad : callable, optional
        ``(value, gradient)`` in one call, instead of ``fun`` and ``grad``.
    start : array of shape (size,)
        Default starting point. Its namespace, floating dtype and device are the problem's.
    hvp : callable, optional
        ``hvp(w, d)``, the Hessian at ``w`` times ``d``.
    hessian : callable, optional
        ``hessian(w)``, the Hessian, of shape ``(size, size)``.
    batch : callable, optional
        ``batch(w, index) -> (value, gradient)`` of the mean over the samples ``index``, an integer
        array. F is the mean over all ``n_samples``.
    n_samples : int, optional
        Number of samples, together with ``batch``.
    convex : bool
        Whether F is convex; a promise that some methods rely on.
    description : str
        What messages call the problem.

    Notes
    -----
    The certificate is the largest component of the gradient, in its own units. Functions are given
    ``w`` itself and must not write to it. Their results are converted to the problem's dtype.

    Examples
    --------
    >>> import numpy as np
    >>> from skopt_dl.problems import SmoothProblem
    >>> from skopt_dl import minimize
    >>> bowl = SmoothProblem(lambda w: ((w - 1) ** 2).sum(), lambda w: 2 * (w - 1),
    ...                      start=np.zeros(3), convex=True)
    >>> minimize(bowl).w
    array([1., 1., 1.])
    """

    def __init__(
        self,
        fun: Callable[[Any], Any] | None = None,
        grad: Callable[[Any], Any] | None = None,
        *,
        value_and_grad: Callable[[Any], tuple[Any, Any]] | None = None,
        start: Any,
        hvp: Callable[[Any, Any], Any] | None = None,
        hessian: Callable[[Any], Any] | None = None,
        batch: Callable[[Any, Any], tuple[Any, Any]] | None = None,
        n_samples: int | None = None,
        convex: bool = False,
        description: str = "this smooth function",
    ) -> None:
        super().__init__()
        if value_and_grad is not None and (fun is not None or grad is not None):
            raise ValueError(
                "SmoothProblem: value_and_grad was given together with fun or grad; give either it "
                "or the two"
            )
        if (fun is None) != (grad is None):
            missing, given = ("grad", "fun") if grad is None else ("fun", "grad")
            raise ValueError(
                f"SmoothProblem: {missing} is missing; give both fun and grad, or value_and_grad, "
                f"not {given} alone"
            )
        if (batch is None) != (n_samples is None):
            raise ValueError(
                "SmoothProblem: batch and n_samples belong together; give both or neither"
            )
        if fun is None and value_and_grad is None and batch is None:
            raise ValueError(
                "SmoothProblem: there is no function; give fun and grad, value_and_grad, or batch"
            )
        if n_samples is not None and n_samples < 1:
            raise ValueError(f"SmoothProblem: n_samples={n_samples!r}, but it must be at least 1")
        xp = self.xp = namespace_of(start)
        if start.ndim != 1 or not xp.isdtype(start.dtype, "real floating"):
            raise ValueError(
                f"SmoothProblem: start has shape {start.shape} and dtype {start.dtype}, but it "
                "must be a flat array of a real floating dtype"
            )
        self.fun, self.grad, self.value_and_grad = fun, grad, value_and_grad
        self._hvp, self._hessian, self._batch = hvp, hessian, batch
        self._start = xp.asarray(start, copy=True)
        self.size, self.dtype, self.device = start.shape[0], start.dtype, device_of(start)
        self.kernels = bind(xp, self.dtype)
        self.blocks = {"w": slice(0, self.size)}
        self.n_samples, self.description = n_samples, description
        traits = {Trait.SMOOTH}
        if convex:
            traits.add(Trait.CONVEX)
        if batch is not None:
            traits.add(Trait.FINITE_SUM)
        self.traits = frozenset(traits)

    def start(self) -> Any:
        return self.xp.asarray(self._start, copy=True)

    # --- what the functions return, checked ---------------------------------------------------

    def _array(self, name: str, given: Any, shape: tuple[int, ...]) -> Any:
        array = self.xp.asarray(given, dtype=self.dtype, device=self.device)
        if array.shape != shape:
            raise ValueError(
                f"SmoothProblem: {name} returned an array of shape {array.shape} where {shape} was "
                "expected"
            )
        return array

    def _pair(self, name: str, pair: tuple[Any, Any]) -> tuple[Any, Any]:
        value, grad = pair
        return (
            self._array(f"the value of {name}", value, ()),
            self._array(f"the gradient of {name}", grad, (self.size,)),
        )

    def _evaluate(self, w: Any) -> tuple[Any, Any]:
        if self.fun is not None and self.grad is not None:
            value = self._array("fun", self.fun(w), ())
            return value, self._array("grad", self.grad(w), (self.size,))
        if self.value_and_grad is not None:
            return self._pair("value_and_grad", self.value_and_grad(w))
        return self._on_batch(w, self.xp.arange(self.n_samples, device=self.device))

    def _on_batch(self, w: Any, index: Any) -> tuple[Any, Any]:
        return self._pair("batch", self._batch(w, index))  # type: ignore[misc]

    def value(self, w: Any) -> Any:
        if self.fun is not None:
            return self._array("fun", self.fun(w), ())
        return self._evaluate(w)[0]

    def certificate(self, w: Any) -> Certificate:
        """The largest component of the gradient."""
        value, grad = self._evaluate(w)
        largest = to_float(self.xp.max(self.xp.abs(grad))) if self.size else 0.0
        return Certificate("stationarity", largest, to_float(value))

    # --- oracles ------------------------------------------------------------------------------

    @offers(Oracle.GRAD)
    def point(self, w: Any) -> Point:
        """Value and gradient at ``w``."""
        return Point(w, *self._evaluate(w))

    def along(self, point: Point, d: Any) -> GradientLine:
        """F along ``point.w + t d``; a trial costs a value and a gradient."""
        return GradientLine(self, point, d)

    def _no_hvp(self) -> str | None:
        return "hvp was not given" if self._hvp is None and self._hessian is None else None

    @offers(Oracle.HVP, lacks=_no_hvp)
    def hvp(self, point: Point) -> Callable[[Any], Any]:
        """A function ``d -> H d`` with the Hessian at ``point``."""
        if self._hvp is None:
            H = self.hessian(point)
            return lambda d: H @ d
        product = self._hvp
        return lambda d: self._array("hvp", product(point.w, d), (self.size,))

    def _no_hessian(self) -> str | None:
        return "hessian was not given" if self._hessian is None else None

    @offers(Oracle.HESSIAN, lacks=_no_hessian)
    def hessian(self, point: Point) -> Any:
        """The Hessian at ``point``."""
        return self._array("hessian", self._hessian(point.w), (self.size, self.size))  # type: ignore[misc]

    def _no_batch(self) -> str | None:
        return "batch was not given" if self._batch is None else None

    @offers(Oracle.SAMPLE_GRAD, lacks=_no_batch)
    def sample_grad(self, w: Any, index: Any) -> tuple[Any, Any]:
        """Value and gradient of the mean over the samples ``index``."""
        return self._on_batch(w, index)

    @offers(Oracle.SAMPLE_VALUE, lacks=_no_batch)
    def sample_value(self, w: Any, index: Any) -> Any:
        """The value that `sample_grad` has the gradient of; it costs one."""
        return self._on_batch(w, index)[0]
