"""Second derivatives of a linear problem whose loss and penalty have them: of all samples, or of a
batch. The predictions are linear in the parameters, so the Gauss-Newton matrix is the Hessian."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from skopt_dl.engine import Point, Trait
from skopt_dl.linops import along_rows
from skopt_dl.linops.factor import with_diagonal

if TYPE_CHECKING:
    from skopt_dl.problems.linear import LinearProblem


def hessian_product(problem: LinearProblem, point: Point) -> Callable[[Any], Any]:
    """A function ``d -> H d`` with the Hessian at ``point``; the curvature is cached."""
    return _product(problem, point.w, problem.map, problem.y, problem.omega, point.cache)


def batch_product(problem: LinearProblem, w: Any, index: Any, weights: Any) -> Callable[[Any], Any]:
    """The same for the mean over the samples ``index``, each times its weight."""
    rows, y, omega = _batch(problem, index, weights)
    return _product(problem, w, rows, y, omega, rows.matvec(problem.matrix(w)))


def batch_hessian(problem: LinearProblem, w: Any, index: Any, weights: Any) -> Any:
    """The matrix of `batch_product`."""
    rows, y, omega = _batch(problem, index, weights)
    return _with_penalty(problem, w, _gram(problem, rows, y, omega, rows.matvec(problem.matrix(w))))


def _batch(problem: LinearProblem, index: Any, weights: Any) -> tuple[Any, Any, Any]:
    """Rows, targets and weights of the samples ``index``, whose mean is that of a batch."""
    xp = problem.xp
    rows, y = problem.map.take_rows(index), xp.take(problem.y, index, axis=0)
    omega = xp.take(problem.omega, index) * (problem.n_samples / index.shape[0])
    return rows, y, omega if weights is None else omega * weights


def _product(
    problem: LinearProblem, w: Any, rows: Any, y: Any, omega: Any, z: Any
) -> Callable[[Any], Any]:
    # A penalty without a gradient is left to the prox, as it is by the gradients of batches.
    smooth = Trait.SMOOTH in problem.traits
    diagonal = problem.on_coef(problem.penalty.curvature, w) if smooth else 0.0  # type: ignore[attr-defined]
    loss: Any = problem.loss
    if problem.y.ndim == 1:
        h = omega * loss.curvature(y, z)

        def product(d: Any) -> Any:
            return rows.rmatvec(h * rows.matvec(d)) + diagonal * d

    else:
        curve = loss.curvature_map(y, z)

        def product(d: Any) -> Any:
            ad = along_rows(omega, curve(rows.matvec(problem.matrix(d))))
            return problem.flat(rows.rmatvec(ad)) + diagonal * d

    return product


def curvature_scores(problem: LinearProblem, point: Point) -> Any:
    r"""``omega_i |l''_i| |x_i|^2``, a bound of what sample i adds to the Hessian; shape ``(n,)``.

    Of several outputs the diagonal of :math:`\ell''` is summed.
    """
    xp, z, loss = problem.xp, point.cache, problem.loss
    zero = xp.zeros(problem.n_features, dtype=problem.dtype, device=problem.device)
    squares = problem.base.row_squares(zero)
    if problem.centred:
        # |x - m|^2 without the differences, which would fill a sparse row.
        m = problem.map.mean
        squares = xp.clip(squares - 2 * problem.base.matvec(m) + m @ m, 0, None)
    elif problem.intercept_in_map:
        squares = squares + 1.0
    if problem.y.ndim == 1:
        bend = xp.abs(loss.curvature(problem.y, z))  # type: ignore[attr-defined]
    else:
        bend = xp.sum(xp.abs(_diagonals(problem, problem.y, z)), axis=1)
    return problem.omega * bend * squares


def gauss_newton_root(problem: LinearProblem, w: Any) -> tuple[Any, Any]:
    """``(J, diagonal)`` with ``J'J + diag(diagonal)`` the Hessian; J of shape ``(n, size)``."""
    xp, z = problem.xp, problem.predict_raw(w)
    bend = problem.loss.curvature(problem.y, z)  # type: ignore[attr-defined]
    root = xp.sqrt(problem.omega * bend)
    diagonal = problem.on_coef(problem.penalty.curvature, w)  # type: ignore[attr-defined]
    return root[:, None] * problem.map.to_dense(), diagonal


def _unit(xp: Any, z: Any, k: int) -> Any:
    unit = xp.zeros_like(z)
    unit[:, k] = 1
    return unit


def hessian_matrix(problem: LinearProblem, point: Point) -> Any:
    """The Hessian at ``point`` as an array of shape ``(size, size)``."""
    return _with_penalty(problem, point.w, loss_hessian(problem, point.cache))


def _with_penalty(problem: LinearProblem, w: Any, H: Any) -> Any:
    return with_diagonal(H, problem.on_coef(problem.penalty.curvature, w))  # type: ignore[attr-defined]


def loss_hessian(problem: LinearProblem, z: Any) -> Any:
    """The Hessian of the loss term where the predictions are ``z``; several outputs have one of
    ``z``'s type."""
    return _gram(problem, problem.map, problem.y, problem.omega, z)


def _gram(problem: LinearProblem, rows: Any, y: Any, omega: Any, z: Any) -> Any:
    """``A' diag(omega l'') A`` of some rows A with their targets, weights and predictions."""
    xp, loss = problem.xp, problem.loss
    if y.ndim == 1:
        return rows.gram(omega * loss.curvature(y, z))  # type: ignore[attr-defined]
    K, width = problem.n_outputs, rows.shape[1]
    curve: Any = loss.curvature_map(y, z)  # type: ignore[attr-defined]
    blocks: list[list[Any]] = [[None] * K for _ in range(K)]
    omega = xp.astype(omega, z.dtype, copy=False)
    for k in range(K):
        column = curve(_unit(xp, z, k))
        for i in range(k + 1):
            block = rows.gram(omega * column[:, i])
            blocks[k][i] = blocks[i][k] = block
    # (K, K, width, width) -> rows (feature, output), columns (feature, output).
    H = xp.stack([xp.stack(row) for row in blocks])
    return xp.reshape(xp.permute_dims(H, (2, 1, 3, 0)), (width * K, width * K))


def _diagonals(problem: LinearProblem, y: Any, z: Any) -> Any:
    """The diagonals of the second derivatives of several outputs, one a row."""
    xp, loss = problem.xp, problem.loss
    if hasattr(loss, "softmax_curvature"):
        p = loss.softmax_curvature(y, z)
        return p * (1 - p)
    curve = loss.curvature_map(y, z)  # type: ignore[attr-defined]
    return xp.stack([curve(_unit(xp, z, k))[:, k] for k in range(problem.n_outputs)], axis=1)


def sample_curvature(problem: LinearProblem, w: Any, rows: Any, y: Any, omega: Any, z: Any) -> Any:
    """Diagonal of the Hessian on a batch: its ``rows``, targets, weights and predictions."""
    loss = problem.loss
    if y.ndim == 1:
        diagonal = rows.column_squares(omega * loss.curvature(y, z))  # type: ignore[attr-defined]
    else:
        diagonal = problem.flat(rows.column_squares(omega[:, None] * _diagonals(problem, y, z)))
    return diagonal + problem.on_coef(problem.penalty.curvature, w)  # type: ignore[attr-defined]
