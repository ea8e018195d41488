r"""The nuclear-norm ball: the best matrix there, in factors or by what is linear in the matrix.

.. math::

    \min_Z\ \frac{1}{2\sum\omega} \sum_{ij} \omega_{ij} (z_{ij} - x_{ij})^2 \quad\text{subject to}
    \quad |Z|_* \le r \sqrt{mn}

With G the gradient, a sparse matrix, the gap
:math:`\langle G, Z\rangle + r\sqrt{mn}\,|G|_2` bounds the distance from the minimum at any Z of
the ball (M. Jaggi, "Revisiting Frank-Wolfe", ICML 2013), and at the minimum the penalised problem
with the strength :math:`|G|_2` has the same answer.

`BallFactors` keeps balanced factors, for proximal steps. A convex combination of matrices is none
of their factors, so `BallEntries` keeps what is linear in Z: its observed entries and two sketches,
from which a matrix of low rank is rebuilt (A. Yurtsever, M. Udell, J. Tropp, V. Cevher, "Sketchy
decisions: convex low-rank matrix optimization with optimal storage", AISTATS 2017; J. Tropp et al.,
"Practical sketching algorithms for low-rank matrix approximation", SIAM J. Matrix Anal. Appl. 38,
2017, algorithm 4).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from skopt_dl.engine import Certificate, Oracle, Problem, Trait, offers
from skopt_dl.kernels.namespace import to_float
from skopt_dl.matrix_completion.nuclear import (
    first_columns,
    nuclear_norm,
    spectral_norm,
    stepped,
    top_triplets,
)
from skopt_dl.matrix_completion.observed import ObservedMatrix
from skopt_dl.matrix_completion.problem import FactorProblem
from skopt_dl.penalties.simplex import simplex_threshold

# Turns of the subspace iteration of a start, and vectors and turns of that of a vertex.
START_TURNS = 12
VERTEX_WIDTH, VERTEX_TURNS = 6, 15
# Rounding that a matrix on the sphere may have.
SLACK = 64.0


class _Ball:
    """What both forms know of the data and the ball.

    Parameters
    ----------
    observed : ObservedMatrix
        The entries.
    radius : float
        The r above.
    """

    def __init__(self, observed: ObservedMatrix, radius: float) -> None:
        self.observed = observed
        m, n = observed.shape
        self.bound = radius * math.sqrt(m * n)
        null = to_float(observed.dot(observed.values, observed.values) / observed.total)
        self.unit = 0.5 * null if null > 0 else 1.0

    def misfit(self, z: Any) -> Any:
        """Half the mean square of the entry values ``z`` less the data."""
        obs = self.observed
        return 0.5 * obs.dot(z - obs.values, z - obs.values) / obs.total

    def certificate(self, z: Any) -> Certificate:
        """The duality gap of a matrix of the ball whose entry values are ``z``."""
        obs = self.observed
        E = (z - obs.values) / obs.total
        gap = max(0.0, to_float(obs.dot(E, z)) + self.bound * spectral_norm(obs, E))
        return Certificate("duality gap", gap / self.unit, to_float(self.misfit(z)), gap)

    def penalised(self, z: Any, rank: int, description: str) -> FactorProblem:
        """The penalised problem whose answer has the entry values ``z``, if that is the best."""
        obs, (m, n) = self.observed, self.observed.shape
        multiplier = spectral_norm(obs, (z - obs.values) / obs.total)
        total = to_float(obs.total)
        return FactorProblem(
            obs,
            rank,
            multiplier * math.sqrt(m * n),
            constants=(total / m, total / n),
            description=description,
        )


class BallProblem(Problem):
    """A matrix of the ball; a subclass says by which parameters it is known.

    Parameters
    ----------
    observed : ObservedMatrix
        The entries.
    n_components : int
        Rank of the matrix at most.
    radius : float
        Bound of the nuclear norm over the square root of ``m n``.
    description : str
        Names estimator and data in messages.
    """

    def __init__(
        self, observed: ObservedMatrix, n_components: int, radius: float, description: str
    ) -> None:
        super().__init__()
        self.observed, self.k, self.description = observed, n_components, description
        self.xp, self.kernels = observed.xp, observed.kernels
        self.dtype, self.device = observed.dtype, observed.device
        self.ball, self.seed = _Ball(observed, radius), 0
        self.n_samples = observed.n_entries


class BallFactors(BallProblem):
    """A matrix of the ball in balanced factors.

    Parameters are those of `BallProblem`.
    """

    def __init__(
        self, observed: ObservedMatrix, n_components: int, radius: float, description: str
    ) -> None:
        super().__init__(observed, n_components, radius, description)
        m, n = observed.shape
        self.shapes = {"rows": (m, self.k), "cols": (n, self.k)}
        self.blocks = {"rows": slice(0, m * self.k), "cols": slice(m * self.k, (m + n) * self.k)}
        self.size = (m + n) * self.k
        self.traits = frozenset({Trait.CONSTRAINED, Trait.ROUND})

    def unpack(self, w: Any) -> tuple[Any, Any]:
        """``(P, Q)`` as matrices."""
        parts = (w[s] for s in self.blocks.values())
        P, Q = (self.xp.reshape(a, s) for a, s in zip(parts, self.shapes.values(), strict=True))
        return P, Q

    def columns_of(self, w: Any) -> Any:
        """The columns' factors."""
        return self.unpack(w)[1]

    def from_triplets(self, U: Any, s: Any, V: Any) -> Any:
        """The flat parameters with ``P Q' = U diag(s) V'`` in equal parts."""
        root, reshape = self.xp.sqrt(s), self.xp.reshape
        return self.xp.concat([reshape(U * root, (-1,)), reshape(V * root, (-1,))])

    def start(self) -> Any:
        """The leading part of the zero-filled matrix, projected onto the ball."""
        return self._projected(first_columns(self.observed, self.k))

    def random_start(self) -> Any:
        """The same from random vectors."""
        host = np.random.default_rng(self.seed).standard_normal(self.shapes["cols"])
        V = self.xp.asarray(host, dtype=self.dtype, device=self.device)
        return self._projected(self.xp.linalg.qr(V).Q)

    def from_cols(self, Q: Any) -> Any:
        """The leading part of the zero-filled matrix near these columns, projected."""
        return self._projected(self.xp.linalg.qr(Q).Q)

    @property
    def column_shape(self) -> tuple[int, int]:
        """Shape of the columns' parameters."""
        return self.shapes["cols"]

    def _projected(self, V: Any) -> Any:
        U, s, V = top_triplets(self.observed, self.observed.values, V, START_TURNS)
        return self.from_triplets(U, self._inside(s), V)

    def _inside(self, s: Any) -> Any:
        """Singular values projected: less the least number that puts their sum into the ball."""
        return self.xp.clip(
            s - self.xp.clip(simplex_threshold(s, self.ball.bound), 0, None), 0, None
        )

    def value(self, w: Any) -> Any:
        P, Q = self.unpack(w)
        misfit = self.ball.misfit(self.observed.products(P, Q))
        slack = 1 + SLACK * self.k * float(self.xp.finfo(self.dtype).eps)
        inside = nuclear_norm(P, Q) <= slack * self.ball.bound
        return misfit if inside else self.xp.full_like(misfit, self.xp.inf)

    @offers(Oracle.SPECTRAL_PROX)
    def spectral_prox(self, before: Any, w: Any, beta: float, V: Any, turns: int) -> Any:
        """A projected gradient step from ``Z + beta (Z - Z before)``."""
        U, s, V = stepped(self, before, w, beta, V, turns)
        s, k = self._inside(s), self.k
        return self.from_triplets(U[:, :k], s[:k], V[:, :k]), V, self.xp.sum(s[k : k + 1])

    def certificate(self, w: Any) -> Certificate:
        return self.ball.certificate(self.observed.products(*self.unpack(w)))

    def as_factors(self, w: Any) -> tuple[FactorProblem, Any]:
        """The penalised problem with the same answer, and ``w`` as its parameters."""
        z = self.observed.products(*self.unpack(w))
        return self.ball.penalised(z, self.k, self.description), w


class BallEntries(BallProblem):
    r"""The observed entries z of a matrix Z of the ball, and the sketches ``Z A`` and ``B Z``.

    All of them are linear in Z, and the objective knows z alone.

    Parameters
    ----------
    observed, n_components, radius, description
        As in `BallProblem`; the rank is that of the matrix rebuilt.
    """

    def __init__(
        self, observed: ObservedMatrix, n_components: int, radius: float, description: str
    ) -> None:
        super().__init__(observed, n_components, radius, description)
        m, n = observed.shape
        # Widths of the sketches: twice the rank, and twice that again for the other side.
        right, left = min(2 * n_components + 1, m, n), min(4 * n_components + 3, m)
        rng = np.random.default_rng(0)
        self.A, self.B = (
            self.xp.asarray(rng.standard_normal(shape), dtype=self.dtype, device=self.device)
            for shape in ((n, right), (left, m))
        )
        self._entries_shape = tuple(observed.values.shape)
        n_values = math.prod(self._entries_shape)
        ends = (0, n_values, n_values + m * right, n_values + m * right + left * n)
        names = ("entries", "columns", "rows")
        self.blocks = {name: slice(ends[i], ends[i + 1]) for i, name in enumerate(names)}
        self.size = ends[3]
        self.traits = frozenset({Trait.CONVEX, Trait.QUADRATIC, Trait.CONSTRAINED, Trait.ROUND})
        self._V = first_columns(observed, VERTEX_WIDTH)

    def entries_of(self, w: Any) -> Any:
        """The entry values z."""
        return self.xp.reshape(w[self.blocks["entries"]], self._entries_shape)

    def start(self) -> Any:
        """The matrix zero; from here vertices are looked for as in any run before."""
        self._V = first_columns(self.observed, VERTEX_WIDTH)
        return self.xp.zeros(self.size, dtype=self.dtype, device=self.device)

    def random_start(self) -> Any:
        """The same: the problem is convex."""
        return self.start()

    def value(self, w: Any) -> Any:
        """The objective; the points of a method that forms convex combinations are all inside."""
        return self.ball.misfit(self.entries_of(w))

    @offers(Oracle.SMOOTH_GRAD)
    def smooth_value_grad(self, w: Any) -> tuple[Any, Any]:
        """Value and gradient, which is zero along the sketches."""
        xp, obs, z = self.xp, self.observed, self.entries_of(w)
        g = xp.zeros_like(w)
        slope = obs.weights * (z - obs.values) / obs.total
        g[self.blocks["entries"]] = xp.reshape(slope, (-1,))
        return self.ball.misfit(z), g

    @offers(Oracle.LIPSCHITZ)
    def lipschitz(self) -> Any:
        """The largest weight as a share of all, a 0-d array."""
        return self.xp.max(self.observed.weights) / self.observed.total

    @offers(Oracle.LMO)
    def linear_minimiser(self, g: Any) -> Any:
        """``- r sqrt(mn) u v'`` with the leading singular vectors of the gradient."""
        xp, obs = self.xp, self.observed
        E = self.entries_of(g) / xp.where(obs.weights > 0, obs.weights, xp.ones_like(obs.weights))
        # The vectors of the last gradient are near those of this one. From far off, few turns find
        # too small a singular value, which passes for a point without a better vertex.
        U, _, V = top_triplets(obs, E, self._V, VERTEX_TURNS)
        self._V = V
        u, v = -self.ball.bound * U[:, :1], V[:, :1]
        parts = obs.products(u, v), u @ (v.T @ self.A), (self.B @ u) @ v.T
        return xp.concat([xp.reshape(a, (-1,)) for a in parts])

    def certificate(self, w: Any) -> Certificate:
        return self.ball.certificate(self.entries_of(w))

    def as_factors(self, w: Any) -> tuple[FactorProblem, Any]:
        """The penalised problem with the same answer, and the matrix of ``w`` in its parameters."""
        xp, problem = self.xp, self.ball.penalised(self.entries_of(w), self.k, self.description)
        Y = xp.reshape(w[self.blocks["columns"]], (self.observed.shape[0], -1))
        W = xp.reshape(w[self.blocks["rows"]], (-1, self.observed.shape[1]))
        base = xp.linalg.qr(Y).Q
        inner, s, Vt = xp.linalg.svd(xp.linalg.pinv(self.B @ base) @ W, full_matrices=False)
        U, V, k = base @ inner, Vt.T, min(self.k, s.shape[0])
        P, Q = (xp.sqrt(s[:k]) * a[:, :k] for a in (U, V))
        if k < self.k:
            P, Q = (xp.concat([a, xp.zeros_like(a[:, : self.k - k])], axis=1) for a in (P, Q))
        return problem, problem.pack(P, Q)
