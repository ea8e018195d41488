r"""Single parameters of all rows or columns at their minimum, in turn.

With E the residual on the observed entries and f what the other side has for this parameter, all
rows go at once, each to its own minimum:

.. math::

    p_i \leftarrow p_i - \frac{\sum_j \omega_{ij} e_{ij} f_j + \alpha\rho_i p_i}
    {\sum_j \omega_{ij} f_j^2 + \alpha\rho_i}, \qquad
    e_{ij} \leftarrow e_{ij} + \Delta p_i f_j

cut at zero where parameters are non-negative. A visit costs O(q) for q entries, and a sweep over
all parameters O(q k), where solving the rows' systems costs O(q k^2) (A. Cichocki, A.-H. Phan,
"Fast local algorithms for large scale nonnegative matrix and tensor factorizations", IEICE Trans.
E92-A, 2009; H.-F. Yu, C.-J. Hsieh, S. Si, I. Dhillon, "Scalable coordinate descent approaches to
parallel matrix factorization for recommender systems", ICDM 2012).
"""

from __future__ import annotations

from typing import Any

from skopt_dl.kernels.namespace import to_float


class FactorCoordinates:
    """State and data of a coordinate descent over the parameters of a `FactorProblem`.

    Parameters
    ----------
    problem : FactorProblem
        With squared errors.
    w : array of shape (size,)
        The flat parameters, changed in place.

    Attributes
    ----------
    n_coordinates : int
        How many there are to visit: the parameters of a row, then those of a column.
    pairs : list of int
        The same component by component, the row's parameter before the column's.
    """

    def __init__(self, problem: Any, w: Any) -> None:
        self.problem, self.w = problem, w
        kp, kq, k = problem.kp, problem.kq, problem.k
        self.n_coordinates = kp + kq
        paired = [c for component in range(k) for c in (component, kp + component)]
        self.pairs = [*paired, *range(k, kp), *range(kp + k, kp + kq)]

    def epochs(self, order: Any, n: int, target: float) -> tuple[int, float]:
        """Up to ``n`` sweeps in place: ``(sweeps done, indicator)``.

        The indicator is the largest step of a sweep in the metric of the objective, a parameter's
        change times the root of its curvature. A sweep begins with the residual afresh, from the
        best of the equivalent points.
        """
        p, done, moved = self.problem, 0, float("inf")
        visits = [int(c) for c in order]
        for _ in range(n):
            p.balance(self.w)
            P, Q = (p.xp.asarray(part, copy=True) for part in p.unpack(self.w))
            E, steps = p.residual(self.w), []
            for c in visits:
                E, step = self._visit(c, P, Q, E)
                steps.append(step)
            self.w[...] = p.pack(P, Q)
            done, moved = done + 1, to_float(p.xp.max(p.xp.stack(steps)))
            if moved <= target:
                break
        return done, moved

    def _visit(self, c: int, P: Any, Q: Any, E: Any) -> tuple[Any, Any]:
        """One coordinate, in place; the residual after it, and the size of the step."""
        p, obs, xp = self.problem, self.problem.observed, self.problem.xp
        rows = c < p.kp
        if rows:
            own, weight, f = P, p.row_penalty, p.of_rows(p._right(Q, 1.0))[:, c]
            W, sums = obs.pattern, obs.matrix(E) @ f
        else:
            c -= p.kp
            own, weight, f = Q, p.col_penalty, p.of_cols(p._left(P, 1.0))[:, c]
            W, sums = obs.pattern_t, obs.matrix_t(E) @ f
        before, ridge = own[:, c], p.alpha * weight
        bend = W @ (f * f) + ridge
        # What nothing is known of stays where it is.
        known = bend > float(xp.finfo(p.dtype).smallest_normal)
        change = -(sums + ridge * before) / xp.where(known, bend, xp.ones_like(bend))
        change = xp.where(known, change, xp.zeros_like(change))
        if p.positive:
            change = xp.maximum(change, -before)
        own[:, c] = before + change
        pair = (change[:, None], f[:, None]) if rows else (f[:, None], change[:, None])
        return E + obs.products(*pair), xp.max(xp.abs(change) * xp.sqrt(bend / obs.total))
