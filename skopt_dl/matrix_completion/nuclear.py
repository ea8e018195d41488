r"""The nuclear norm of a matrix in factors: certificate and proximal step, never a full matrix.

.. math::

    F(Z) = \frac{1}{2\sum\omega} \sum_{ij} \omega_{ij} (z_{ij} - x_{ij})^2 + \lambda |Z|_*,
    \qquad \lambda = \alpha / \sqrt{mn}

Its dual is

.. math::

    \max_{|\Theta|_2 \le \lambda} \langle \Theta, x \rangle
    - \frac{\sum\omega}{2} \sum_{ij} \theta_{ij}^2 / \omega_{ij}

over matrices that vanish where nothing is observed: a multiple of the weighted residual is
feasible, and its value bounds the minimum from below.
"""

from __future__ import annotations

import math
from typing import Any

from skopt_dl.kernels.namespace import namespace_of, to_float
from skopt_dl.matrix_completion.tangent import leading_triplets

# Singular vectors and turns of the iteration for a spectral norm.
WIDTH = 8
TURNS = 30


def strength(problem: Any) -> float:
    """The factor of the nuclear norm: the mean weights of both penalties, as shares."""
    total = to_float(problem.observed.total)
    rows, cols = (to_float(problem.xp.max(a)) for a in (problem.row_penalty, problem.col_penalty))
    return problem.alpha * math.sqrt(rows * cols) / total


def duality_gap(problem: Any, P: Any, Q: Any) -> tuple[float, float]:
    """Objective at ``P Q'`` and an upper bound of its distance from the minimum."""
    obs = problem.observed
    E = obs.values - obs.products(P, Q)
    loss = to_float(obs.dot(E, E) / obs.total)
    norm = nuclear_norm(P, Q)
    penalty = strength(problem)
    objective = 0.5 * loss + penalty * norm
    # The best multiple c of the residual among the feasible ones.
    along = to_float(obs.dot(E, obs.values) / obs.total)
    bound = spectral_norm(obs, E / obs.total)
    c = along / loss if loss > 0 else 0.0
    if bound > 0:
        c = min(c, penalty / bound)
    return objective, max(0.0, objective - c * along + 0.5 * c * c * loss)


def nuclear_norm(P: Any, Q: Any) -> float:
    """The sum of the singular values of ``P Q'``."""
    xp = namespace_of(P)
    return to_float(xp.sum(xp.linalg.svdvals(xp.linalg.qr(P).R @ xp.linalg.qr(Q).R.T)))


def spectral_norm(obs: Any, E: Any) -> float:
    """The largest singular value of the entries ``E``, and what the iteration may lack of it."""
    U, s, V = top_triplets(obs, E, first_columns(obs, WIDTH), TURNS)
    left = obs.matrix_t(E) @ U[:, :1] - s[0] * V[:, :1]
    right = obs.matrix(E) @ V[:, :1] - s[0] * U[:, :1]
    norm = obs.xp.linalg.vector_norm
    return to_float(s[0]) + to_float(norm(left)) + to_float(norm(right))


def first_columns(obs: Any, width: int) -> Any:
    """Orthonormal columns to start a subspace iteration from, ``width`` of them if there is room.

    Cosines of irrational frequencies: without symmetry, and without a random state.
    """
    xp, (m, n) = obs.xp, obs.shape
    rows = xp.arange(1, n + 1, dtype=obs.dtype, device=obs.device)[:, None]
    each = xp.arange(1, min(width, m, n) + 1, dtype=obs.dtype, device=obs.device)[None, :]
    return xp.linalg.qr(xp.cos(1.6180339887 * rows * each)).Q


def top_triplets(obs: Any, E: Any, V: Any, turns: int) -> tuple[Any, Any, Any]:
    """Leading singular triplets of the entries ``E`` alone."""
    left, right = (obs.xp.zeros((a, 0), dtype=obs.dtype, device=obs.device) for a in obs.shape)
    return leading_triplets(obs, left, right, E, V, turns)


def shrunk(problem: Any, before: Any, w: Any, beta: float, V: Any, turns: int) -> Any:
    r"""Singular values of ``Y - (Y - x) / L`` less :math:`\lambda / L`, in balanced factors.

    Parameters
    ----------
    problem : FactorProblem
        With the nuclear norm.
    before, w : arrays of shape (size,)
        The last two points; Y is ``Z + beta (Z - Z before)``.
    beta : float
        Momentum.
    V : array of shape (n, h)
        First guess of the right singular vectors.
    turns : int
        Subspace iterations.

    Returns
    -------
    w, V : arrays
        The new point and its right singular vectors.
    cut : 0-d array
        The largest singular value that the rank leaves out.
    """
    obs, k = problem.observed, problem.k
    U, s, V = stepped(problem, before, w, beta, V, turns)
    threshold = strength(problem) * obs.total / problem.xp.max(obs.weights)
    s = problem.xp.clip(s - threshold, 0.0, None)
    return problem.from_triplets(U[:, :k], s[:k], V[:, :k]), V, problem.xp.sum(s[k : k + 1])


def stepped(problem: Any, before: Any, w: Any, beta: float, V: Any, turns: int) -> Any:
    """Leading singular triplets of ``Y - (Y - x) / L``, as in `shrunk`."""
    xp, obs = problem.xp, problem.observed
    (P0, Q0), (P, Q) = problem.unpack(before), problem.unpack(w)
    left = xp.concat([(1 + beta) * P, -beta * P0], axis=1)
    right = xp.concat([Q, Q0], axis=1)
    # The curvature of the loss is the largest weight's, over their sum; `matrix` has the weights.
    E = (obs.values - obs.products(left, right)) / xp.max(obs.weights)
    return leading_triplets(obs, left, right, E, V, turns)


def shrunk_sum(problem: Any, w: Any, E: Any, threshold: float, V: Any, turns: int) -> Any:
    """Singular values of ``P Q'`` plus the entries ``E`` less ``threshold``, in balanced factors.

    ``E`` are entry values that count as they are, whatever the weights. Returns the new point and
    its right singular vectors.
    """
    xp, obs, k = problem.xp, problem.observed, problem.k
    E = E / xp.where(obs.weights > 0, obs.weights, xp.ones_like(obs.weights))
    P, Q = problem.unpack(w)
    U, s, V = leading_triplets(obs, P, Q, E, V, turns)
    s = xp.clip(s - threshold, 0.0, None)
    return problem.from_triplets(U[:, :k], s[:k], V[:, :k]), V
