r"""What the objective looks like around a point: its curvature, flatness, noise and sections.

Letters: w the point, g the gradient, H the Hessian (or the Gauss-Newton matrix) there, p the number
of parameters, n of samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from skopt_dl.engine import Oracle
from skopt_dl.kernels.namespace import to_float, to_numpy
from skopt_dl.linops.lanczos import Lanczos

# Halvings and doublings that find the size of a box, and turns of an ascent on a sphere.
BISECTIONS = 40
ASCENTS = 30


@dataclass(frozen=True)
class SpectralDensity:
    """Eigenvalues in distribution: ``weights`` of the total at ``nodes``.

    Attributes
    ----------
    nodes, weights : array of shape (k,)
        Sorted; the weights sum to one.
    size : int
        Number of eigenvalues they stand for.
    """

    nodes: np.ndarray
    weights: np.ndarray
    size: int

    def moment(self, power: int) -> float:
        """The mean of the eigenvalues' ``power``: times ``size``, the trace for 1."""
        return float(self.weights @ self.nodes**power)


@dataclass(frozen=True)
class Saddle:
    """Whether a point is a minimum as far as the second order tells.

    Attributes
    ----------
    slope : float
        Norm of the gradient.
    lowest : float
        The least eigenvalue found.
    direction : array of shape (p,)
        Its eigenvector.
    """

    slope: float
    lowest: float
    direction: Any

    @property
    def negative(self) -> bool:
        """Whether there is a direction of negative curvature, clear of rounding."""
        return self.lowest < -1e-8 * max(1.0, abs(self.lowest))


class Landscape:
    """The objective of a problem around one point.

    Parameters
    ----------
    problem : Problem
        With a gradient of the whole objective and, for what looks at the curvature, Hessian-vector
        or Gauss-Newton products.
    w : array of shape (size,)
        The point. Default: the problem's start.
    curvature : {"hessian", "gauss_newton"}
        The matrix that is meant by H.
    random_state : int
        Seed of random directions; they are drawn on the host, equal on every device.

    Examples
    --------
    >>> import numpy as np
    >>> from skopt_dl.inspection import Landscape
    >>> from skopt_dl.problems import SmoothProblem
    >>> bowl = SmoothProblem(lambda w: (w @ w) / 2, lambda w: w, hvp=lambda w, d: d,
    ...                      start=np.zeros(5))
    >>> round(Landscape(bowl).trace(), 6)
    5.0
    """

    def __init__(
        self,
        problem: Any,
        w: Any = None,
        *,
        curvature: Literal["hessian", "gauss_newton"] = "hessian",
        random_state: int = 0,
    ) -> None:
        if curvature not in ("hessian", "gauss_newton"):
            raise ValueError(
                f"Landscape: curvature={curvature!r}, but it must be 'hessian' or 'gauss_newton'"
            )
        if problem.why_not(Oracle.GRAD) is not None:
            raise ValueError(
                f"Landscape: {problem.description} has no {Oracle.GRAD[2:]}: "
                f"{problem.why_not(Oracle.GRAD)}"
            )
        self.problem: Any = problem
        self.w: Any = problem.start() if w is None else w
        self.curvature = curvature
        self.rng = np.random.default_rng(random_state)
        self.point = self.problem.point(self.w)
        self._product: Callable[[Any], Any] | None = None

    @classmethod
    def of(cls, estimator: Any, X: Any, y: Any = None, **kwargs: Any) -> Landscape:
        """The objective of a fitted estimator on the data ``X, y``, at what it has found.

        Raises
        ------
        TypeError
            If the estimator keeps no parameters that a point can be made of.
        """
        from skopt_dl.inspection.table import problem_of

        problem: Any = problem_of(estimator, X, y, None)
        if hasattr(estimator, "coefs_") and hasattr(problem, "net"):
            parts = [*estimator.coefs_, *estimator.intercepts_]
            w = problem.xp.concat([problem.xp.reshape(part, (-1,)) for part in parts])
        elif hasattr(estimator, "coef_") and hasattr(problem, "pack"):
            coef = estimator.coef_
            if coef.ndim == 2:
                coef = coef[0, :] if problem.n_outputs == 1 else coef.T
            w = problem.pack(coef, estimator.intercept_)
        else:
            raise TypeError(
                f"Landscape.of: {type(estimator).__name__} keeps no parameters that are a point of "
                "its problem; give a Problem and a point to Landscape"
            )
        return cls(problem, problem.xp.astype(w, problem.dtype), **kwargs)

    # --- curvature ----------------------------------------------------------------------------

    def product(self, d: Any) -> Any:
        """``H d``."""
        if self._product is None:
            gauss_newton = self.curvature == "gauss_newton"
            oracle = Oracle.GGN if gauss_newton else Oracle.HVP
            reason = self.problem.why_not(oracle)
            if reason is not None:
                raise ValueError(
                    f"Landscape: {self.problem.description} has no {oracle}"
                    + (f": {reason}" if reason else "")
                )
            method = self.problem.ggn if gauss_newton else self.problem.hvp
            self._product = method(self.point)
        return self._product(d)

    def spectrum(self, *, probes: int = 4, steps: int = 40) -> SpectralDensity:
        """The distribution of the eigenvalues of H, by stochastic Lanczos quadrature.

        From each of ``probes`` random unit vectors a Krylov space of ``steps`` dimensions gives
        nodes and weights that are exact for the first ``2 steps`` moments of that vector's
        spectral measure; with random vectors the mean is the distribution.

        References
        ----------
        B. Ghorbani, S. Krishnan, Y. Xiao, "An investigation into neural net optimization via
        Hessian eigenvalue density", ICML 2019; G. Golub, G. Meurant, "Matrices, Moments and
        Quadrature" (2010).
        """
        nodes, weights = [], []
        for _ in range(probes):
            lanczos = Lanczos(self.product, self._random())
            lanczos.extend(steps)
            values, S = lanczos.ritz()
            nodes.append(to_numpy(values))
            weights.append(to_numpy(S[0, :] ** 2) / probes)
        every, shares = np.concatenate(nodes), np.concatenate(weights)
        order = np.argsort(every)
        return SpectralDensity(every[order], shares[order], self.problem.size)

    def trace(self, *, products: int = 60) -> float:
        """The trace of H from about ``products`` products (Hutch++).

        A third of them sketches the large eigenvalues, whose part is exact; what is left is
        estimated with random signs, at an error of 1/products for a semi-definite H, where plain
        random signs have its root.

        References
        ----------
        R. Meyer, C. Musco, C. Musco, D. Woodruff, "Hutch++: optimal stochastic trace estimation",
        SOSA 2021.
        """
        xp, k = self.problem.xp, min(max(1, products // 3), self.problem.size)
        Q, _ = xp.linalg.qr(self._products(self._signs(k)))
        large = xp.linalg.trace(Q.T @ self._products(Q))
        if k == self.problem.size:
            return to_float(large)
        G = self._signs(k)
        G = G - Q @ (Q.T @ G)
        return to_float(large) + to_float(xp.sum(G * self._products(G))) / k

    def top(self, k: int = 1, *, steps: int | None = None) -> tuple[np.ndarray, Any]:
        """The ``k`` largest eigenvalues, the largest first, and their vectors as columns."""
        lanczos = Lanczos(self.product, self._random())
        lanczos.extend(min(self.problem.size, steps or max(30, 4 * k)))
        values, S = lanczos.ritz()
        xp = self.problem.xp
        order = xp.flip(xp.argsort(values))[:k]
        Q = xp.stack(lanczos.basis[: values.shape[0]], axis=1)
        return to_numpy(xp.take(values, order)), Q @ xp.take(S, order, axis=1)

    def saddle(self, *, steps: int = 60) -> Saddle:
        """The least eigenvalue found in a random Krylov space of ``steps`` dimensions."""
        lanczos = Lanczos(self.product, self._random())
        lanczos.extend(min(self.problem.size, steps))
        values, S = lanczos.ritz()
        xp = self.problem.xp
        Q = xp.stack(lanczos.basis[: values.shape[0]], axis=1)
        slope = to_float(xp.linalg.vector_norm(self.point.grad))
        return Saddle(slope, to_float(values[0]), Q @ S[:, 0])

    def diagonal(self, *, probes: int | None = None) -> Any:
        """The diagonal of H: exact by one product a parameter, or from ``probes`` random signs."""
        xp, p = self.problem.xp, self.problem.size
        if probes is None:
            eye = xp.eye(p, dtype=self.problem.dtype, device=self.problem.device)
            return xp.stack([self.product(eye[:, j])[j] for j in range(p)])
        Z = self._signs(probes)
        return xp.mean(Z * self._products(Z), axis=1)

    # --- flatness -----------------------------------------------------------------------------

    def box(self, rise: float, *, corners: int = 20, probes: int | None = None) -> Any:
        r"""Half the sides of a large box around w in which the objective rises by ``rise`` at most.

        The sides are in the ratios :math:`1/\sqrt{|h_i|}` of the curvatures along the axes, which
        give the largest box of a quadratic, and as long as the values at random corners allow: of
        a quadratic with diagonal H, at its minimum, :math:`\sqrt{2\,\text{rise} / (p h_i)}`.

        Notes
        -----
        A measure of flatness by boxes changes when the parameters are rescaled, though the model
        does not (L. Dinh et al., "Sharp minima can generalize for deep nets", ICML 2017).

        References
        ----------
        S. Hochreiter, J. Schmidhuber, "Flat minima", Neural Comput. 9 (1997).
        """
        if not rise > 0:
            raise ValueError(f"Landscape.box: rise={rise!r}, but it must be positive")
        xp = self.problem.xp
        h = xp.abs(self.diagonal(probes=probes))
        top = xp.max(h)
        # A direction without curvature would be endless: it is as long as rounding allows.
        least = xp.where(top > 0, 1e-12 * top, xp.ones_like(top))
        unit = 1 / xp.sqrt(xp.where(h > least, h, least))
        signs, start = self._signs(corners), to_float(self.point.value)

        def fits(size: float) -> bool:
            values = [self.value(self.w + size * unit * signs[:, j]) for j in range(corners)]
            return max(values) <= start + rise

        low, high = 0.0, math.sqrt(2 * rise / self.problem.size)
        while fits(high) and high < 1e12:
            low, high = high, 2 * high
        for _ in range(BISECTIONS):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if fits(middle) else (low, middle)
        return low * unit

    def sharpness(self, radius: float, *, norm: Literal["l2", "max"] = "l2") -> float:
        r""":math:`\max_{|\delta| \le \text{radius}} F(w + \delta) - F(w)`, by ascent from several
        starts; at a minimum of a quadratic, :math:`\tfrac12 \lambda_{\max} \text{radius}^2` in the
        Euclidean norm.

        References
        ----------
        P. Foret et al., "Sharpness-aware minimization for efficiently improving generalization",
        ICLR 2021; N. Keskar et al., "On large-batch training for deep learning: generalization gap
        and sharp minima", ICLR 2017.
        """
        if not radius > 0:
            raise ValueError(f"Landscape.sharpness: radius={radius!r}, but it must be positive")
        if norm not in ("l2", "max"):
            raise ValueError(f"Landscape.sharpness: norm={norm!r}, but it must be 'l2' or 'max'")
        xp = self.problem.xp

        def onto(v: Any) -> Any:
            if norm == "max":
                return radius * xp.sign(v)
            return v * (radius / xp.linalg.vector_norm(v))

        starts = [self.point.grad, self._random(), self._random()]
        if self.problem.why_not(Oracle.HVP) is None:
            vector = self.top()[1][:, 0]
            starts += [vector, -vector]
        best = 0.0
        for v in starts:
            if not bool(xp.any(v != 0)):
                continue
            delta = onto(v)
            for _ in range(ASCENTS):
                there = self.problem.point(self.w + delta)
                if not bool(xp.any(there.grad != 0)):
                    break
                delta = onto(there.grad)
            best = max(best, self.value(self.w + delta) - to_float(self.point.value))
        return best

    # --- noise --------------------------------------------------------------------------------

    def noise_scale(self, *, batch_size: int = 1) -> float:
        r""":math:`\operatorname{tr} \Sigma / |g|^2`: the batch size up to which more samples pay.

        :math:`\Sigma` is the covariance of the gradients of single samples; it is found from the
        spread of the gradients of all batches of one permutation, exactly for ``batch_size=1``.

        References
        ----------
        S. McCandlish, J. Kaplan, D. Amodei, "An empirical model of large-batch training" (2018).
        """
        reason = self.problem.why_not(Oracle.SAMPLE_GRAD)
        if reason is not None:
            raise ValueError(
                f"Landscape.noise_scale: {self.problem.description} has no {Oracle.SAMPLE_GRAD}"
            )
        xp, n = self.problem.xp, self.problem.n_samples
        if not 1 <= batch_size < n:
            raise ValueError(
                f"Landscape.noise_scale: batch_size={batch_size!r}, but it must be from 1 to "
                f"{n - 1}"
            )
        order = self.rng.permutation(n)
        count = n // batch_size
        grads = []
        for k in range(count):
            part = order[k * batch_size : (k + 1) * batch_size]
            index = xp.asarray(part, device=self.problem.device)
            grads.append(xp.asarray(self.problem.sample_grad(self.w, index)[1], copy=True))
        mean = sum(grads[1:], start=grads[0]) / count
        spread = sum(to_float((g - mean) @ (g - mean)) for g in grads) / count
        # Batches without repetition vary less than independent ones, by (count - 1) / count here.
        variance = spread * batch_size * count / max(count - 1, 1) * (n - 1) / n
        square = to_float(mean @ mean)
        return variance / square if square > 0 else math.inf

    # --- sections -----------------------------------------------------------------------------

    def value(self, w: Any) -> float:
        """The objective at ``w``."""
        return to_float(self.problem.value(w))

    def random_direction(self) -> Any:
        """A random direction whose blocks are as long as those of w.

        Rescaling layers of a network then changes no picture (H. Li et al., "Visualizing the loss
        landscape of neural nets", NeurIPS 2018).
        """
        xp, d = self.problem.xp, self._random()
        norm = xp.linalg.vector_norm
        for part in self.problem.blocks.values():
            if part.stop > part.start:
                d[part] = d[part] * (norm(self.w[part]) / norm(d[part]))
        return d

    def line(self, d: Any, ts: Sequence[float]) -> np.ndarray:
        """The objective at ``w + t d``."""
        return np.array([self.value(self.w + float(t) * d) for t in ts])

    def towards(self, other: Any, ts: Sequence[float]) -> np.ndarray:
        """The objective on the straight line to ``other``, which is at 1."""
        return self.line(other - self.w, ts)

    def plane(self, d: Any, e: Any, ts: Sequence[float], us: Sequence[float]) -> np.ndarray:
        """The objective at ``w + t d + u e``, a row for each ``t``."""
        return np.array([self.line_from(self.w + float(t) * d, e, us) for t in ts])

    def line_from(self, w: Any, d: Any, ts: Sequence[float]) -> np.ndarray:
        """The objective at ``w + t d`` from any ``w``."""
        return np.array([self.value(w + float(t) * d) for t in ts])

    # --- random vectors -----------------------------------------------------------------------

    def _there(self, a: np.ndarray) -> Any:
        return self.problem.xp.asarray(a, dtype=self.problem.dtype, device=self.problem.device)

    def _random(self) -> Any:
        return self._there(self.rng.standard_normal(self.problem.size))

    def _signs(self, k: int) -> Any:
        return self._there(2.0 * self.rng.integers(0, 2, (self.problem.size, k)) - 1.0)

    def _products(self, V: Any) -> Any:
        return self.problem.xp.stack([self.product(V[:, j]) for j in range(V.shape[1])], axis=1)
