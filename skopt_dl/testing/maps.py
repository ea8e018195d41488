"""The laws of a linear map."""

from __future__ import annotations

import numpy as np

from skopt_dl.kernels.namespace import device_of
from skopt_dl.linops import LinearMap, largest_eigenvalue
from skopt_dl.testing.law import host, require, require_close


def check_linear_map(A: LinearMap, *, seed: int = 0) -> None:
    """Check that every method of ``A`` agrees with its dense form.

    Parameters
    ----------
    A : LinearMap
        A small instance of your class.
    seed : int
        Of the random vectors.

    Raises
    ------
    AssertionError
        Naming the broken law.
    """
    xp, (n, p) = A.xp, A.shape
    rng = np.random.default_rng(seed)
    like = A.to_dense()
    M = np.asarray(host(like))
    rtol = 100 * float(np.finfo(M.dtype).eps)

    def put(a: np.ndarray) -> object:
        return xp.asarray(a.astype(M.dtype), device=device_of(like))

    require("to_dense has the shape of the map", M.shape == (n, p), f"{M.shape} for {(n, p)}")
    size = float(np.linalg.norm(M)) + 1.0
    for columns in ((), (3,)):
        w, r = rng.standard_normal((p, *columns)), rng.standard_normal((n, *columns))
        Aw, Atr = A.matvec(put(w)), A.rmatvec(put(r))
        require_close("matvec = dense product", Aw, M @ w, rtol, rtol * size)
        require_close("rmatvec = dense transposed product", Atr, M.T @ r, rtol, rtol * size)
        left, right = float(np.sum(host(Aw) * r)), float(np.sum(w * host(Atr)))
        require_close("adjointness: <A w, r> = <w, A' r>", left, right, rtol, rtol * size * size)
        asked: list[object] = []

        def respond(z: object, rows: object, asked: list[object] = asked) -> object:
            asked.append(z)
            return z * (1 + z)  # type: ignore[operator]

        there, back = A.there_and_back(put(w), respond)
        require_close("there_and_back goes there by matvec", there, Aw, rtol, rtol * size)
        response = put(host(Aw) * (1 + host(Aw)))
        scale = rtol * size * float(np.linalg.norm(host(response)) + 1.0)
        require_close("... and back by rmatvec", back, A.rmatvec(response), rtol, scale)
        seen = np.concatenate([host(z) for z in asked])
        require_close("... asking once for each row, in order", seen, host(Aw), rtol, rtol * size)
        require("float type is kept", host(Aw).dtype == M.dtype, f"{host(Aw).dtype}")
    weights = rng.random(n) + 0.1
    weights[0] = 0.0
    h, square = put(weights), size * size
    gram = M.T @ (weights[:, None] * M)
    require_close("gram = A' diag(weights) A", A.gram(h), gram, rtol, rtol * square)
    signed = rng.standard_normal(n)
    signed_gram = M.T @ (signed[:, None] * M)
    require_close(
        "gram takes weights of any sign", A.gram(put(signed)), signed_gram, rtol, rtol * square
    )
    require_close(
        "column_squares = diagonal of gram", A.column_squares(h), np.diag(gram), rtol, rtol * square
    )
    pair = put(np.stack([weights, 2 * weights], axis=1))
    require_close(
        "... of several weights, one a column",
        A.column_squares(pair),
        np.diag(gram)[:, None] * [1, 2],
        rtol,
        2 * rtol * square,
    )
    require_close("row_gram = A A'", A.row_gram(), M @ M.T, rtol, rtol * square)
    index = np.asarray([n - 1, 0, n // 2, 0])
    rows = A.take_rows(xp.asarray(index, device=device_of(like)))
    require_close(
        "take_rows = the rows of the dense form", rows.to_dense(), M[index], 0, rtol * size
    )
    bound = float(largest_eigenvalue(A, h))
    top = float(np.linalg.eigvalsh(gram)[-1]) if p else 0.0
    require(
        "largest_eigenvalue is an upper bound",
        bound >= top * (1 - rtol) - rtol * square,
        f"{bound:.6g} < {top:.6g}",
    )
