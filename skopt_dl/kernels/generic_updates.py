"""Updates of the stochastic rules in plain array code, in place on the iterate and its moments.

Letters as in the rules: w the iterate, g the gradient on a batch, which is never written.
"""

from __future__ import annotations

import math
from typing import Any

from skopt_dl.kernels.generic_network import momentum_update
from skopt_dl.kernels.namespace import device_of, namespace_of


def gradient_update(w: Any, g: Any, rate: Any) -> None:
    """``w -= rate g``; ``rate`` is a number or an array of one entry."""
    w -= rate * g


def sign_update(w: Any, g: Any, rate: float) -> None:
    """``w -= rate sign(g)``."""
    w -= rate * namespace_of(w).sign(g)


def shifted(w: Any, d: Any, step: Any, out: Any) -> Any:
    """``w + step d`` in ``out``, which is returned; ``step``: a number or an array of one entry."""
    out[...] = w + step * d
    return out


def distance(a: Any, b: Any) -> Any:
    """The Euclidean distance of two vectors, of shape ``(1,)``: an array of their device."""
    xp = namespace_of(a)
    return xp.sqrt(xp.sum((a - b) ** 2, keepdims=True))


def row_products(V: Any, count: int) -> Any:
    """``U U'`` of the first ``count`` columns U of V, which has few rows and many columns."""
    U = V[:, :count]
    return U @ U.T


def over_root(g: Any, r: Any, epsilon: float) -> Any:
    """``g / (sqrt(r) + epsilon)``; 0 where that is 0/0, at a coordinate without slope so far."""
    xp = namespace_of(g)
    root = xp.sqrt(r) + epsilon
    return g / xp.where(root > 0, root, xp.ones_like(root))


def mean_update(mean: Any, new: Any, decay: float) -> None:
    """``mean = decay mean + (1 - decay) new``."""
    mean *= decay
    mean += (1 - decay) * new


def moments_update(g: Any, m: Any, v: Any, beta_1: float, beta_2: float) -> None:
    """Adam's two moments, without a step."""
    mean_update(m, g, beta_1)
    mean_update(v, g * g, beta_2)


def adagrad_update(w: Any, g: Any, r: Any, rate: float, epsilon: float) -> None:
    """``r += g^2``, then ``w -= rate g / (sqrt(r) + epsilon)``."""
    r += g * g
    w -= rate * over_root(g, r, epsilon)


def adagrad_norm_update(w: Any, g: Any, r: Any, rate: float) -> None:
    """``r += |g|^2``, then ``w -= rate g / sqrt(r)``; ``r`` has shape ``(1,)``."""
    r += g @ g
    w -= rate * over_root(g, r, 0.0)


def rmsprop_update(
    w: Any, g: Any, r: Any, m: Any, rate: float, decay: float, epsilon: float
) -> None:
    """The mean square ``r``, the mean ``m`` (``None``: not centred), then the scaled step."""
    mean_update(r, g * g, decay)
    second = r
    if m is not None:
        mean_update(m, g, decay)
        second = namespace_of(w).clip(r - m * m, 0, None)
    w -= rate * over_root(g, second, epsilon)


def rmsprop_nesterov_update(
    w: Any, g: Any, r: Any, v: Any, rate: float, momentum: float, decay: float, epsilon: float
) -> None:
    """The mean square ``r``, then Nesterov's step along the scaled gradient."""
    mean_update(r, g * g, decay)
    momentum_update(w, over_root(g, r, epsilon), v, rate, momentum, True)


def adadelta_update(w: Any, g: Any, r: Any, s: Any, decay: float, epsilon: float) -> None:
    """The mean square ``r``, the step, and only then the mean square ``s`` of the steps."""
    xp = namespace_of(w)
    mean_update(r, g * g, decay)
    step = xp.sqrt(s + epsilon) * over_root(g, r + epsilon, 0.0)
    w -= step
    mean_update(s, step * step, decay)


def amsgrad_update(
    w: Any,
    g: Any,
    m: Any,
    v: Any,
    top: Any,
    step: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> None:
    """Adam's moments, the largest second moment ``top``, and the step by that."""
    moments_update(g, m, v, beta_1, beta_2)
    top[...] = namespace_of(w).maximum(top, v)
    w -= step * over_root(m, top, epsilon)


def nadam_update(
    w: Any,
    g: Any,
    m: Any,
    v: Any,
    step_m: float,
    step_g: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> None:
    """Adam's moments, then ``w -= (step_m m + step_g g) / (sqrt(v) + epsilon)``."""
    moments_update(g, m, v, beta_1, beta_2)
    w -= over_root(step_m * m + step_g * g, v, epsilon)


def adabelief_update(
    w: Any,
    g: Any,
    m: Any,
    v: Any,
    step: float,
    correction: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> None:
    """``v`` averages ``(g - m)^2`` with the new ``m``; ``correction`` multiplies it in the step."""
    mean_update(m, g, beta_1)
    surprise = g - m
    mean_update(v, surprise * surprise, beta_2)
    v += epsilon
    w -= step * over_root(m, correction * v, epsilon)


def yogi_update(
    w: Any, g: Any, m: Any, v: Any, step: float, beta_1: float, beta_2: float, epsilon: float
) -> None:
    """``v`` moves towards ``g^2`` by ``(1 - beta_2) g^2``; then Adam's step."""
    mean_update(m, g, beta_1)
    square = g * g
    v -= (1 - beta_2) * namespace_of(w).sign(v - square) * square
    w -= step * over_root(m, v, epsilon)


def adamax_update(
    w: Any, g: Any, m: Any, u: Any, rate: float, beta_1: float, beta_2: float, epsilon: float
) -> None:
    """The mean ``m``, the largest faded size ``u``, then ``w -= rate m / u``."""
    xp = namespace_of(w)
    mean_update(m, g, beta_1)
    u[...] = xp.maximum(beta_2 * u, xp.abs(g) + epsilon)
    w -= rate * m / xp.where(u > 0, u, xp.ones_like(u))


def adan_update(
    w: Any,
    g: Any,
    last: Any,
    m: Any,
    d: Any,
    n: Any,
    step_m: float,
    step_d: float,
    correction: float,
    beta_1: float,
    beta_2: float,
    beta_3: float,
    epsilon: float,
) -> None:
    """The means of gradient, change and square, then the step; ``last`` becomes the gradient."""
    change = g - last
    mean_update(m, g, beta_1)
    mean_update(d, change, beta_2)
    mean_update(n, (g + beta_2 * change) ** 2, beta_3)
    w -= over_root(step_m * m + step_d * d, n / correction, epsilon)
    last[...] = g


def schedule_free_update(
    w: Any,
    z: Any,
    y: Any,
    g: Any,
    v: Any,
    rate: float,
    scale: float,
    weight_decay: float,
    share: float,
    beta: float,
    decay: float,
    epsilon: float,
) -> None:
    """``z`` moves along the gradient at ``y``, ``w`` averages it with ``share``, and ``y`` becomes
    ``z + beta (w - z)``.

    With a mean square ``v`` the gradient is ``scale g / (sqrt(v) + epsilon)``; ``None``: ``g``.
    """
    if v is not None:
        mean_update(v, g * g, decay)
        g = scale * over_root(g, v, epsilon)
    z -= rate * (g + weight_decay * y)
    w += share * (z - w)
    y[...] = z + beta * (w - z)


def prodigy_update(
    w: Any,
    g: Any,
    origin: Any,
    s: Any,
    m: Any,
    v: Any,
    distance: Any,
    rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> tuple[Any, Any]:
    """Prodigy's sums and moments and its step, all by ``distance`` (a number or an array of one).

    Returns ``g'(origin - w)`` before the step and ``sum |s|`` after it, each of shape ``(1,)``.
    """
    xp, keep = namespace_of(w), math.sqrt(beta_2)
    slope = xp.sum(g * (origin - w), keepdims=True)
    s *= keep
    s += (1 - keep) * rate * distance**2 * g
    moments_update(distance * g, m, v, beta_1, beta_2)
    w -= rate * distance * over_root(m, v, distance * epsilon)
    return slope, xp.sum(xp.abs(s), keepdims=True)


def d_adaptation_update(
    w: Any,
    g: Any,
    s: Any,
    m: Any,
    v: Any,
    length: Any,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> tuple[Any, Any]:
    """D-Adaptation's moments, step and weighted mean ``s`` of gradients, with the rate ``length``.

    Returns ``g's`` in the metric of the step, before ``s`` changes, and ``sum |s|`` after
    it, each of shape ``(1,)``.
    """
    xp, keep = namespace_of(w), math.sqrt(beta_2)
    mean_update(m, length * g, beta_1)
    mean_update(v, g * g, beta_2)
    w -= over_root(m, v, epsilon)
    slope = xp.sum(g * over_root(s, v, epsilon), keepdims=True)
    mean_update(s, length * g, keep)
    return slope, xp.sum(xp.abs(s), keepdims=True)


def ademamix_update(
    w: Any,
    g: Any,
    m: Any,
    v: Any,
    slow: Any,
    step: float,
    slow_step: float,
    beta_1: float,
    beta_2: float,
    beta_3: float,
    epsilon: float,
) -> None:
    """Adam's moments, the slow mean, then ``w -= (step m + slow_step slow) / (sqrt(v) + eps)``."""
    moments_update(g, m, v, beta_1, beta_2)
    mean_update(slow, g, beta_3)
    w -= over_root(step * m + slow_step * slow, v, epsilon)


def lion_update(
    w: Any, g: Any, m: Any, rate: float, beta_1: float, beta_2: float, weight_decay: float
) -> None:
    """``w`` by the sign of the mean with ``beta_1``, then the mean ``m`` itself with ``beta_2``."""
    w -= rate * (namespace_of(w).sign(beta_1 * m + (1 - beta_1) * g) + weight_decay * w)
    mean_update(m, g, beta_2)


def clipped_newton_update(
    w: Any, m: Any, d: Any, rate: float, scale: float, epsilon: float, weight_decay: float
) -> None:
    """``w`` shrunk, and moved by ``m`` over ``max(scale d, epsilon)``, no coordinate further than
    ``rate``."""
    xp = namespace_of(w)
    move = xp.clip(m / xp.clip(scale * d, epsilon, None), -1, 1)
    w *= 1 - rate * weight_decay
    w -= rate * move


def fista_update(w: Any, last: Any, z: Any, t: Any, restart: bool) -> tuple[Any, Any]:
    """The point extrapolated from ``last`` over ``w`` and the next counter, new arrays.

    With d = w - last, ``t`` of shape () becomes 1 where ``(z - w)'d > 0`` and ``restart`` is set;
    then t+ = (1 + sqrt(1 + 4 t^2)) / 2 and z+ = w + (t - 1) / t+ d.
    """
    xp, d = namespace_of(w), w - last
    if restart:
        t = xp.where(xp.sum((z - w) * d) > 0, xp.ones_like(t), t)
    after = (1 + xp.sqrt(1 + 4 * t * t)) / 2
    return w + ((t - 1) / after) * d, after


def factored_scale(G: Any, rows: Any, columns: Any, decay: float, epsilon: float, out: Any) -> Any:
    """``G`` over the root of the rank-one second moment, in ``out``, which is returned; ``rows``
    (n, 1) and ``columns`` (1, m) are the running means of its squares."""
    xp = namespace_of(G)
    square = G * G + epsilon
    mean_update(rows, xp.mean(square, axis=1, keepdims=True), decay)
    mean_update(columns, xp.mean(square, axis=0, keepdims=True), decay)
    out[...] = G / (xp.sqrt(rows / xp.mean(rows)) * xp.sqrt(columns))
    return out


def polar_factor(G: Any, n_steps: int) -> Any:
    """The orthogonal polar factor of ``G``, roughly: ``n_steps`` of a quintic Newton-Schulz
    iteration, whose coefficients make small singular values grow as fast as possible."""
    a, b, c = 3.4445, -4.7750, 2.0315
    xp = namespace_of(G)
    length = xp.linalg.matrix_norm(G)
    X = G / xp.where(length > 0, length, xp.ones_like(length))
    wide = G.shape[0] <= G.shape[1]
    X = X if wide else X.T
    for _ in range(n_steps):
        A = X @ X.T
        X = a * X + (b * A + c * (A @ A)) @ X
    return X if wide else X.T


def matrix_workspace(w: Any, shapes: Any) -> Any:
    """Memory in which `orthogonalised` works on matrices of these shapes and of the dtype of ``w``;
    array code needs none."""
    return None


def orthogonalised(G: Any, n_steps: int, work: Any) -> Any:
    """`polar_factor` of ``G`` in its place: it is overwritten and returned."""
    G[...] = polar_factor(G, n_steps)
    return G


def matrix_product(
    A: Any,
    B: Any,
    out: Any,
    turn_a: bool = False,
    turn_b: bool = False,
    share: float = 1.0,
    keep: float = 0.0,
) -> Any:
    """``out = share A B + keep out``, A and B as they are or transposed; ``out`` is returned."""
    product = share * ((A.T if turn_a else A) @ (B.T if turn_b else B))
    # What is not kept is not read either.
    out[...] = product + keep * out if keep else product
    return out


def damped_inverse(M: Any, gamma: Any) -> Any:
    """``(M + gamma I)^-1`` of a symmetric M without negative eigenvalues."""
    xp = namespace_of(M)
    return xp.linalg.inv(M + gamma * xp.eye(M.shape[0], dtype=M.dtype, device=device_of(M)))


def layer_matrix(v: Any, block: Any) -> Any:
    """The matrix of a layer in a flat vector, an intercept its last row; a new array.

    ``block`` has the slices of the coefficients and of the intercept, which may be empty, and the
    number of columns.
    """
    xp, (coef, intercept, columns) = namespace_of(v), block
    V = xp.reshape(v[coef], (-1, columns))
    return xp.concat([V, v[intercept][None, :]]) if intercept.stop > intercept.start else V


def put_layer(V: Any, block: Any, out: Any) -> None:
    """Write such a matrix into the flat vector ``out``."""
    coef, intercept, columns = block
    rows = (coef.stop - coef.start) // columns
    out[coef] = namespace_of(V).reshape(V[:rows, :], (-1,))
    if intercept.stop > intercept.start:
        out[intercept] = V[rows, :]


def two_sided(v: Any, blocks: Any, pairs: Any, share: float, out: Any, memory: Any) -> Any:
    """``share L V R`` in ``out`` for the matrix V of each layer and its pair of matrices.

    A compiled twin works in a `skopt_dl.kernels.memory.Memory`.
    """
    for block, (L, R) in zip(blocks, pairs, strict=True):
        put_layer(share * (L @ layer_matrix(v, block) @ R), block, out)
    return out


def inverse_root(S: Any, power: int, floor: float) -> Any:
    """``S ** (-1 / power)`` of a symmetric matrix with eigenvalues of at least ``floor``."""
    xp = namespace_of(S)
    values, vectors = xp.linalg.eigh(S)
    return (vectors * xp.clip(values, floor, None) ** (-1 / power)) @ vectors.T
