r"""Chosen columns of a least-squares problem and their Gram block, for exact active-set methods.

With :math:`B = \Omega^{1/2} (X - 1 m')` and :math:`t = \Omega^{1/2} y` the smooth part is
:math:`\tfrac12 |t - B w|^2`. Only the columns of the working set are gathered (in float64, whatever
X's dtype); X itself is read in whole passes, is never copied, centred or densified.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from skopt_dl.kernels.namespace import device_of, scatter, to_numpy
from skopt_dl.linops import Centred
from skopt_dl.linops.products import blocks_of, gram
from skopt_dl.penalties import ElasticNet
from skopt_dl.problems.coordinates import CoordinateModel
from skopt_dl.problems.working_columns import DenseColumns, SparseColumns, columns_in_place

# Largest p for which all of X'X is formed (benchmarks/lasso_thresholds.py).
GRAM_BELOW = 2000
# Where that is possible, all columns are taken at once up to this p, and else once the set would
# exceed this share of them: the whole Gram then costs hardly more than the passes that it spares.
# Up to FORESEEN_BELOW columns, those that violate their condition at the start count as the set:
# with more of them a wrong guess costs more than the first passes (benchmarks/lasso_thresholds.py
# --gram).
WHOLE_BELOW = 64
FORESEEN_BELOW = 300
WHOLE_SHARE = 0.15


class WorkingSet:
    """The Gram block of a growing set of columns.

    Parameters
    ----------
    map_ : LinearMap
        The map of the problem (centred where an intercept is eliminated).
    base : Dense or Sparse
        Its raw design.
    omega, y : arrays of shape (n,)
        Sample weights and (centred) targets.
    l1, l2 : arrays of shape (p,)
        Penalty strengths.
    positive : bool
        Whether coefficients are restricted to be non-negative.
    kernels : KernelSet
        Where ``GramLasso`` comes from.
    gradient : callable
        The gradient of the smooth part at zero, which may be known already.

    Attributes
    ----------
    index : array of int, shape (m,)
        Columns in the set, in the order of the Gram block.
    G, q : arrays of shape (m, m) and (m,)
        ``B_W' B_W`` and ``B_W' t`` in float64.
    """

    def __init__(
        self,
        map_: Any,
        base: Any,
        omega: Any,
        y: Any,
        *,
        l1: Any,
        l2: Any,
        positive: bool,
        kernels: Any,
        gradient: Callable[[], Any],
    ) -> None:
        xp = self.xp = base.xp
        self._gradient = gradient
        self.map, self.base, self.kernels, self.positive = map_, base, kernels, positive
        self.dtype, self.device = y.dtype, device_of(y)
        self.omega = omega
        self.y = y
        self.l1, self.l2 = (xp.astype(strength, xp.float64, copy=False) for strength in (l1, l2))
        self.mean = getattr(map_, "mean", None)
        self.n_features = base.shape[1]
        self.index = xp.zeros(0, dtype=xp.int64, device=self.device)
        self.inside = xp.zeros(self.n_features, dtype=xp.bool, device=self.device)
        self._room, self._everything = 0, False
        self._G: Any = xp.zeros((0, 0), dtype=xp.float64, device=self.device)
        self._q: Any = xp.zeros(0, dtype=xp.float64, device=self.device)

    @cached_property
    def root(self) -> Any:
        """Square roots of the sample weights."""
        return self.xp.sqrt(self.xp.astype(self.omega, self.xp.float64, copy=False))

    @cached_property
    def target(self) -> Any:
        """``t``, the weighted target."""
        return self.root * self.xp.astype(self.y, self.xp.float64, copy=False)

    @cached_property
    def _columns(self) -> Any:
        gathered = SparseColumns if self.base.layout == "sparse" else DenseColumns
        return gathered(self.base, self.root, self.mean)

    @cached_property
    def positive_l1(self) -> Any:
        """A divisor for strengths: 1 where nothing is charged."""
        return self.xp.where(self.l1 > 0, self.l1, self.xp.ones_like(self.l1))

    def of(self, values: Any) -> Any:
        """What belongs to the set of an array with an entry for each of the p columns."""
        return values if self._everything else self.xp.take(values, self.index)

    @property
    def size(self) -> int:
        """Number of columns in the set."""
        return int(self.index.shape[0])

    @property
    def complete(self) -> bool:
        """Whether the block is that of all columns in their own order: X need not be read."""
        return self._everything

    @property
    def prefers_everything(self) -> bool:
        """Whether one Gram of all columns is cheaper than passes over X: tall dense data."""
        n, p = self.base.shape
        return self.base.layout == "dense" and n >= 2 * p and p <= GRAM_BELOW

    def outgrown(self, size: int) -> bool:
        """Whether a set of ``size`` columns is better replaced by all of them."""
        p = self.n_features
        return self.prefers_everything and (p <= WHOLE_BELOW or size > WHOLE_SHARE * p)

    def outgrown_from(self, c: Any) -> bool:
        """The same for the set that the correlations ``c`` at the start foretell, if they can."""
        if self.n_features > FORESEEN_BELOW or not self.prefers_everything:
            return False
        foreseen = (self.size_of(c) > self.l1) | self.inside
        return self.outgrown(int(self.xp.count_nonzero(foreseen)))

    def size_of(self, c: Any) -> Any:
        """What is compared with the l1 strengths: ``|c|``, or ``c`` where only w >= 0 counts."""
        return c if self.positive else self.xp.abs(c)

    @property
    def G(self) -> Any:  # noqa: N802
        return self._G[: self.size, : self.size]

    @property
    def q(self) -> Any:
        return self._q

    def add(self, chosen: Any) -> None:
        """Take the columns ``chosen`` (none of them inside yet) into the set."""
        xp, m, k = self.xp, self.size, int(chosen.shape[0])
        if k == 0:
            return
        self._reserve(m + k)
        cross = self._columns.append(chosen)
        self._G[: m + k, m : m + k] = cross
        self._G[m : m + k, : m + k] = cross.T
        self._q = self._columns.inner(self.target)
        self.index = xp.concat([self.index, xp.astype(chosen, xp.int64)])
        self.inside = scatter(self.index, xp.ones_like(self.index), self.n_features) > 0

    def add_all(self) -> None:
        """Take every column: one Gram of the whole matrix, copied in blocks of rows if at all.

        The design keeps it for the other targets of the same fit.
        """
        xp, p = self.xp, self.n_features
        kept, centred = self.base.kept_gram, self.mean is not None
        known = kept is not None and kept[1] == centred and bool(xp.all(kept[0] == self.omega))
        G, self._q = self._moments_of_all(kept[2] if known else None)
        self._G = G
        self.base.kept_gram = (self.omega, centred, G)
        self._everything = True
        self.index = xp.arange(p, dtype=xp.int64, device=self.device)
        self.inside = ~self.inside | self.inside

    def _moments_of_all(self, G: Any) -> tuple[Any, Any]:
        """``B'B``, unless it is known, and ``B't`` with all columns in B."""
        xp, X = self.xp, self.base.X
        if self.dtype == xp.float64:
            return self.map.gram(self.omega) if G is None else G, -self._gradient()
        root, y = self.root, self.target
        # In double precision, by blocks of rows.
        known, p = G is not None, self.n_features
        if not known:
            G = xp.zeros((p, p), dtype=xp.float64, device=self.device)
        q = xp.zeros(p, dtype=xp.float64, device=self.device)
        for part in blocks_of(*X.shape):
            B = xp.astype(X[part, :], xp.float64)
            if self.mean is not None:
                B -= self.mean
            B *= root[part][:, None]
            if not known:
                G += gram(B)
            q += B.T @ y[part]
        return G, q

    def thinned(self, chosen: Any, strength: Any, level: float) -> Any:
        """Those of ``chosen`` that one sweep of coordinate descent makes nonzero.

        The sweep starts at the last residual and goes from the strongest correlation (``strength``)
        down: of several columns that could explain the same thing it keeps the first.
        """
        xp = self.xp
        block = self.base.take_columns(chosen)
        m = int(chosen.shape[0])
        penalty = ElasticNet(
            xp.astype(level * xp.take(self.l1, chosen), self.dtype),
            xp.astype(xp.take(self.l2, chosen), self.dtype),
            self.positive,
        )
        model = CoordinateModel(
            block,
            xp.zeros(m, dtype=self.dtype, device=self.device),
            xp.asarray(self._u, copy=True),
            self.omega,
            centre=self.mean is not None,
            penalty=penalty,
            kernels=self.kernels,
        )
        order = to_numpy(xp.argsort(-xp.take(strength, chosen))).astype("intp")
        model.epochs(order, 1, 0.0)
        return chosen[model.w != 0]

    def _reserve(self, size: int) -> None:
        """Room for ``size`` columns in the Gram block; doubled when it runs out."""
        if size <= self._room:
            return
        xp, m = self.xp, self.size
        self._room = min(self.n_features, max(64, size, 2 * self._room))
        G = xp.zeros((self._room, self._room), dtype=xp.float64, device=self.device)
        if m:
            G[:m, :m] = self._G[:m, :m]
        self._G = G

    def part(self, columns: Any) -> Any:
        """The map of ``columns`` alone; `correlations` can be asked among them."""
        part = columns_in_place(self.base, columns)
        return part if self.mean is None else Centred(part, self.xp.take(self.mean, columns))

    def correlations(self, w: Any, *directions: Any, among: Any = None) -> list[Any]:
        """``B'(t - B w)`` and ``-B'B d`` for each direction, over all p columns, in one pass.

        Arguments are coefficients on the set, of shape (m,); ``among`` a `part`, to whose columns
        the answer is limited then.
        """
        if self.complete:
            return [self.q - self.G @ w, *(-(self.G @ d) for d in directions)]
        if self.size == 0 and not directions and among is None:
            self._u = self.xp.astype(self.root * self.target, self.dtype)
            return [-self.xp.astype(self._gradient(), self.xp.float64)]
        R = self._residuals(self.xp.stack([w, *directions], axis=1), 1)
        R *= self.root[:, None]
        C = self._inner(R, self.map if among is None else among)
        return [C[:, k] for k in range(C.shape[1])]

    def block_correlations(self, W: Any, direction: Any) -> tuple[Any, Any, Any]:
        """The same for several solutions, the columns of ``W``, and one direction (the last).

        Also ``|t - B w|^2`` and ``t'(t - B w)`` of each solution.
        """
        xp, k = self.xp, W.shape[1]
        R = self._residuals(xp.concat([W, direction[:, None]], axis=1), k)
        C, R = self._inner(self.root[:, None] * R, self.map), R[:, :k]
        return C, xp.sum(R**2, axis=0), self.target @ R

    def _residuals(self, W: Any, n_solutions: int) -> Any:
        """``t 1' - B W``, without t beyond ``n_solutions``."""
        xp = self.xp
        R = xp.zeros((self.base.shape[0], W.shape[1]), dtype=xp.float64, device=self.device)
        R[:, :n_solutions] = self.target[:, None]
        used = xp.nonzero(xp.any(W != 0, axis=1))[0]
        if used.shape[0]:
            R -= self._columns.product(used, xp.take(W, used, axis=0))
        return R

    def _inner(self, weighted: Any, columns: Any) -> Any:
        """The inner products of ``columns`` with weighted residuals, of which the first is kept."""
        weighted = self.xp.astype(weighted, self.dtype, copy=False)
        self._u = weighted[:, 0]
        return self.xp.astype(columns.rmatvec(weighted), self.xp.float64, copy=False)

    def full(self, w: Any) -> Any:
        """Coefficients on the set as an array of all p, in the problem's dtype."""
        if self.complete:
            return self.xp.asarray(w, dtype=self.dtype, copy=True)
        return scatter(self.index, self.xp.astype(w, self.dtype), self.n_features)

    def solver(self, kernels: Any = None) -> Any:
        """A fresh `GramLasso` for this set, of the problem's kernels or of ``kernels``."""
        room = min(self.n_features, self.base.shape[0] + 1)
        if not self.complete and bool(self.xp.any(self.l2 > 0)):
            room = self.n_features
        return (kernels or self.kernels).GramLasso(room, self.positive)
