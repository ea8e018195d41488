r"""A linear model seen one sample at a time, for methods that keep a slope per sample.

The objective is the mean :math:`\frac1n \sum_i f_i(W, b) + \Omega(W)` of

.. math:: f_i(W, b) = n\,\omega_i\, \ell\big(y_i,\ (x_i - m)'W + b\big)

so the gradient of :math:`f_i` is :math:`(x_i - m)\, s_i'` with the K slopes :math:`s_i` of one
sample: a table of slopes replaces a table of gradients.

Dense rows are shifted by the weighted column means :math:`m` as they are read (an intercept absorbs
the shift, and steps get longer). Sparse rows are not, as that would fill them: their intercept is a
coordinate, also for the squared loss, where the certificate eliminates it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skopt_dl.kernels import generic
from skopt_dl.kernels.namespace import is_numpy, to_float
from skopt_dl.linops import along_rows

if TYPE_CHECKING:
    from skopt_dl.problems.linear import LinearProblem

# Rows are drawn by their Lipschitz constants, not evenly, where the largest constant is this many
# times their mean: half of the draws stay even, so the step then grows by at least two.
UNEVEN = 4.0
# Curvatures that change by no more than this factor from one look to the next have settled; those
# below this share of the loss's bound count as that share.
SETTLED, LEAST_CURVATURE = 2.0, 1e-2


class SampleModel:
    """State and data of a pass over single samples.

    Parameters
    ----------
    problem : LinearProblem
        Where data, weights, loss and penalty come from.
    w : array of shape (size,)
        The problem's flat point; `write_back` changes it in place.

    Attributes
    ----------
    W, b : arrays of shape (p, K) and (K,)
        Coefficients and the intercepts of the shifted rows, changed in place.
    table : array of shape (n, K)
        Last slope seen of each sample, times :math:`n \\omega_i`.
    average, average_b : arrays of shape (p, K) and (K,)
        Mean over the samples of the gradients that the table stands for.
    y, scale : arrays of shape (n, K) and (n,)
        Targets and :math:`n \\omega_i`.
    mean : array of shape (p,)
        The shift m; zeros for sparse rows and without intercept.
    boost : array of shape (n,)
        :math:`1 / (n q_i)` for draws with probabilities q.
    reach : array of shape (p,)
        One over the probability that a drawn row touches column j: 1 for dense rows.
    gaps : bool
        Whether rows leave columns out, so that ``reach`` is not 1 everywhere.
    lipschitz : float
        Bound of :math:`L_i / (n q_i)` over i, with :math:`L_i` the Lipschitz constant of the
        gradient of :math:`f_i`.
    l1, l2 : arrays of shape (p, K)
        Strengths of an elastic-net penalty, zeros for another.
    step : float
        Length of a step, set by the solver through `set_step`.
    threshold, shrink : arrays of shape (p, K)
        The elastic net's prox of one step: shrink (v - clip(v, -threshold, threshold)).
    """

    def __init__(self, problem: LinearProblem, w: Any) -> None:
        xp = self.xp = problem.xp
        self.w, self.problem, self.penalty = w, problem, problem.penalty
        self.kernels, self.loss = problem.kernels, problem.loss
        self.base = problem.base
        n, p = self.base.shape
        self.n, K = n, problem.n_outputs
        self.sparse = problem.base.layout == "sparse"
        self.y = xp.reshape(problem.y, (n, K))
        self.scale = n * problem.omega
        shifted = problem.fit_intercept and not self.sparse
        zeros = xp.zeros(p, dtype=problem.dtype, device=problem.device)
        self.mean = problem.base.column_sums(problem.omega) if shifted else zeros
        self.intercept = problem.fit_intercept and (self.sparse or not problem.centred)
        self._read(w)
        self._measure()
        penalty = problem.penalty
        self.elastic = hasattr(penalty, "elastic_net")
        self.l1 = self.l2 = xp.zeros_like(self.W)
        self.positive = False
        if self.elastic:
            l1, l2, self.positive = penalty.elastic_net(  # type: ignore[attr-defined]
                p * K, xp, problem.dtype, problem.device
            )
            self.l1, self.l2 = self._layout(l1, (p, K)), self._layout(l2, (p, K))
        # Read from the class itself: a subclass with another slope must not inherit the number.
        self.loss_id = vars(type(self.loss)).get("kernel_id")
        self.compiled = self.elastic and self.loss_id is not None
        self.snapshot()

    def _layout(self, flat: Any, shape: tuple[int, int]) -> Any:
        """A matrix in the order in which the compiled kernels run through it."""
        matrix = self.xp.reshape(flat, shape)
        if not is_numpy(self.xp):
            return self.xp.asarray(matrix, copy=True)
        return self.xp.array(matrix, order="C" if self.sparse else "F")

    def _read(self, w: Any) -> None:
        xp, problem = self.xp, self.problem
        p, K = problem.n_features, problem.n_outputs
        rows = xp.reshape(w, (-1, K))
        self.W = self._layout(rows[:p, :], (p, K))
        self.b = xp.zeros(K, dtype=problem.dtype, device=problem.device)
        if problem.intercept_in_map:
            self.b = rows[p, :] + self.mean @ self.W
        elif self.intercept:
            # The best intercept of a squared loss on sparse rows, whose targets are centred.
            self.b = -(problem.map.mean @ self.W)

    def write_back(self) -> None:
        """Bring the problem's flat ``w`` up to date."""
        p, K = self.W.shape
        self.w[: p * K] = self.xp.reshape(self.W, (-1,))
        if self.problem.intercept_in_map:
            self.w[p * K :] = self.b - self.mean @ self.W

    def _measure(self) -> None:
        """Lipschitz constants of the samples and the probabilities that go with them."""
        self.squares = self.base.row_squares(self.mean) + (1.0 if self.intercept else 0.0)
        self.lazy = self.sparse and hasattr(self.penalty, "elastic_net")
        self.seen: Any = None
        self._weigh(self.loss.smoothness)
        self.uneven = self.cumulative is not None

    def remeasure(self) -> bool:
        """Take the constants from the curvatures here, where those have settled; a product with X.

        Where rows are unlike, the longest set the step, and a bound of the curvature is far above
        what theirs is: their predictions are certain. If no curvature has changed by more than
        `SETTLED` since the last call, so many times the present ones are the bounds until the
        next; else the loss's own. Whether it has looked.
        """
        xp, loss = self.xp, self.loss
        if not self.uneven or loss.quadratic or not hasattr(loss, "curvature"):
            return False
        z = xp.reshape(self.base.matvec(self.W) + (self.b - self.mean @ self.W), (-1,))
        low = LEAST_CURVATURE * loss.smoothness
        now = xp.clip(loss.curvature(self.problem.y, z), low, None)
        last, self.seen = self.seen, now
        settled = last is not None and bool(
            xp.all((now <= SETTLED * last) & (last <= SETTLED * now))
        )
        self._weigh(xp.clip(SETTLED * now, None, loss.smoothness) if settled else loss.smoothness)
        return True

    def _weigh(self, curvature: Any) -> None:
        """Constants and probabilities for bounds of the samples' curvatures."""
        xp, n = self.xp, self.n
        each = curvature * self.scale * self.squares
        mean = to_float(xp.mean(each)) if n else 0.0
        even = xp.ones_like(self.scale) / n
        if to_float(xp.max(each)) > UNEVEN * mean > 0:
            q = 0.5 * even + 0.5 * each / (n * mean)
            self.cumulative = xp.cumulative_sum(q) / xp.sum(q)
        else:
            q, self.cumulative = even, None
        self.boost = 1 / (n * q)
        self.lipschitz = to_float(xp.max(each * self.boost))
        # An elastic net acts on single coordinates, so only the columns of the row need a prox.
        self.reach = xp.ones_like(self.mean)
        self.gaps = False
        if self.lazy:
            rows = self.base.rows
            seen = xp.bincount(
                rows.indices, weights=xp.repeat(q, xp.diff(rows.indptr)), minlength=self.reach.size
            )
            self.reach = xp.where(seen > 0, 1 / xp.where(seen > 0, seen, 1), 1).astype(q.dtype)
            self.gaps = rows.nnz < self.n * self.reach.size

    def _slopes(self) -> Any:
        """The slopes of all samples at ``W, b``, times their scale."""
        z = self.base.matvec(self.W) + (self.b - self.mean @ self.W)
        slopes = self.loss.slope(self.problem.y, self.xp.reshape(z, self.problem.y.shape))
        return self.xp.reshape(along_rows(self.scale, slopes), self.y.shape)

    def snapshot(self) -> None:
        """Fill the table with the slopes at the present point: one pass."""
        self.table = self._slopes()
        self.refresh()

    def refresh(self) -> None:
        """Recompute the average from the table, so that rounding does not pile up in it."""
        total = self.xp.sum(self.table, axis=0)
        average = (self.base.rmatvec(self.table) - self.mean[:, None] * total) / self.n
        self.average = self._layout(average, self.W.shape)
        self.average_b = total / self.n if self.intercept else self.xp.zeros_like(total)

    def draw(self, rng: Any) -> Any:
        """Sample indices of one epoch: n independent draws."""
        return generic.draw_indices(rng, self.n, self.cumulative)

    def row(self, i: int) -> tuple[Any, Any]:
        """``(columns, values)`` of the shifted row i; the columns are a slice where it is dense."""
        if not self.sparse:
            return slice(None), self.base.X[i, :] - self.mean
        if not self.lazy:
            return slice(None), self.base.rows[[i], :].toarray()[0, :]
        rows = self.base.rows
        part = slice(int(rows.indptr[i]), int(rows.indptr[i + 1]))
        return rows.indices[part], rows.data[part]

    def slope(self, i: int, z: Any) -> Any:
        """The slopes of sample i at its raw predictions ``z`` of shape (K,), times its scale."""
        y = self.problem.y[i : i + 1, ...]
        return self.scale[i] * self.xp.reshape(
            self.loss.slope(y, self.xp.reshape(z, y.shape)), z.shape
        )

    def set_step(self, step: float) -> None:
        """Fix the step and what follows from it."""
        each = step * self.reach[:, None]
        self.step = step
        self.threshold = self._layout(each * self.l1, self.W.shape)
        self.shrink = self._layout(1 / (1 + each * self.l2), self.W.shape)

    def penalty_lipschitz(self) -> float:
        """Largest curvature of a smooth penalty."""
        flat = self.xp.reshape(self.W, (-1,))
        if not flat.shape[0] or not hasattr(self.penalty, "curvature"):
            return 0.0
        return to_float(self.xp.max(self.penalty.curvature(flat)))

    def prox(self, V: Any, columns: Any) -> Any:
        """Prox of the penalty for the rows ``columns`` of the coefficients."""
        xp = self.xp
        if not self.elastic:
            flat = self.penalty.prox(xp.reshape(V, (-1,)), self.step)
            return xp.reshape(flat, V.shape)
        threshold = self.threshold[columns, :]
        high = xp.clip(V - threshold, 0, None)
        low = xp.zeros_like(V) if self.positive else xp.clip(V + threshold, None, 0)
        return (high + low) * self.shrink[columns, :]

    def penalty_grad(self) -> Any:
        """Gradient of a smooth penalty at ``W``."""
        flat = self.penalty.grad(self.xp.reshape(self.W, (-1,)))  # type: ignore[attr-defined]
        return self.xp.reshape(flat, self.W.shape)

    def saga(self, order: Any) -> None:
        """SAGA steps on the samples ``order``, in place."""
        self.kernels.serving(self.compiled).saga_steps(self, order)

    def svrg(self, order: Any) -> None:
        """SVRG steps on the samples ``order``, in place."""
        self.kernels.serving(self.compiled).svrg_steps(self, order)

    def sag(self, order: Any) -> None:
        """SAG steps on the samples ``order``, in place."""
        self.kernels.serving(self.compiled).sag_steps(self, order)
