r"""The second-order model of a loss whose Hessian is at hand, plus a penalty of coefficients.

Of the loss's Hessian :math:`H` and gradient :math:`g`, with the intercepts eliminated,

.. math:: G = H_{cc} - H_{cb} H_{bb}^+ H_{bc}, \qquad q = -(g_c - H_{cb} H_{bb}^+ g_b),

and a root :math:`R'R = G`, the model is a least-squares problem with as many columns as
coefficients, of one output, which coordinate descent takes; see `second_order` for one on the rows.
"""

from __future__ import annotations

from typing import Any

from skopt_dl.kernels import bind
from skopt_dl.kernels.namespace import to_float
from skopt_dl.linops import design, root_of
from skopt_dl.problems.coordinates import CoordinateModel


class DenseModel:
    """The model at ``w``, in float64; its methods are those of `SecondOrderModel`.

    Parameters
    ----------
    problem : Problem
        Has ``value``, ``nonsmooth_value`` and ``n_coef``, behind which the intercepts stand.
    w : array of shape (size,)
        Where the model is made; never written.
    value, g, H : number, arrays of shape (size,) and (size, size)
        Value, gradient and Hessian of the loss at ``w``.
    """

    def __init__(self, problem: Any, w: Any, value: Any, g: Any, H: Any) -> None:
        xp, n = problem.xp, problem.n_coef
        self.start = to_float(value + problem.nonsmooth_value(w))
        w, g, H = (xp.astype(a, xp.float64, copy=False) for a in (w, g, H))
        self.problem, self.w, self.g = problem, w, g
        G, q = H[:n, :n], -g[:n]
        inverse = xp.linalg.pinv(H[n:, n:]) if problem.size > n else H[n:, n:]
        self.to_intercept, self.shift = -(inverse @ H[n:, :n]), -(inverse @ g[n:])
        G, q = G + H[:n, n:] @ self.to_intercept, q - H[:n, n:] @ self.shift
        R, u = root_of((G + G.T) / 2, q[:, None])
        self.model = CoordinateModel(
            design(R),
            xp.asarray(w[:n], copy=True),
            xp.asarray(u[:, 0], copy=True),
            xp.ones_like(u[:, 0]),
            centre=False,
            penalty=problem.penalty,
            kernels=bind(xp, w.dtype, "dense"),
        )
        self.d: Any = None
        self.end: Any = None
        self.decrease = 0.0

    def epochs(self, order: Any, n: int, target: float) -> tuple[int, float]:
        """Up to ``n`` epochs of coordinate descent on the model: ``(epochs done, indicator)``."""
        return self.model.epochs(order, n, target)

    def subspace_step(self, most: int) -> None:
        """The minimum over the nonzero coefficients; see `CoordinateModel.subspace_step`."""
        self.model.subspace_step(most)

    def close(self) -> None:
        """End the minimisation: fix the step ``d`` and what it promises."""
        p, xp, n = self.problem, self.problem.xp, self.problem.n_coef
        coef = self.model.w
        d = coef - self.w[:n]
        self.d = xp.concat([d, self.shift + self.to_intercept @ d])
        self.end = xp.astype(xp.concat([coef, self.w[n:] + self.d[n:]]), p.dtype, copy=False)
        change = to_float(p.nonsmooth_value(self.end)) - to_float(p.nonsmooth_value(self.point(0)))
        self.decrease = to_float(self.g @ self.d) + change

    def point(self, t: float) -> Any:
        """``w + t d``; at ``t = 1`` the model's own minimiser, which rounding must not move."""
        if t == 1:
            return self.end
        return self.problem.xp.astype(self.w + t * self.d, self.problem.dtype, copy=False)

    def value(self, t: float) -> float:
        """The true objective at ``w + t d``."""
        return self.start if t == 0 else to_float(self.problem.value(self.point(t)))
