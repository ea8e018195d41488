"""Linear maps: dense = CSC = CSR = centred explicitly, in every namespace."""

from __future__ import annotations

import array_api_strict
import numpy as np
import pytest
import scipy.sparse as sp

from skopt_dl.linops import (
    Centred,
    Dense,
    Doubled,
    GraphProjection,
    PositiveFactor,
    WithIntercept,
    design,
)
from skopt_dl.linops.factor import NotPositiveDefiniteError, PseudoInverse
from skopt_dl.linops.graph import FACTOR_BELOW
from skopt_dl.linops.products import by_columns
from skopt_dl.losses import Logistic
from skopt_dl.penalties import L2
from skopt_dl.problems import LinearProblem
from skopt_dl.testing import check_linear_map

rng = np.random.default_rng(0)
X = rng.standard_normal((12, 5)) + 1.0
X[rng.random(X.shape) < 0.3] = 0.0

DESIGNS = {
    "C": X,
    "Fortran": np.asfortranarray(X),
    "wide": X.T.copy(),
    "float32": X.astype(np.float32),
    "CSC": sp.csc_array(X),
    "CSR": sp.csr_array(X),
    "CSC float32": sp.csc_array(X.astype(np.float32)),
    "sparse matrix": sp.csr_matrix(X),
    "strict": array_api_strict.asarray(X),
    "strict device1": array_api_strict.asarray(X, device=array_api_strict.Device("device1")),
}


def centred(A):
    n = A.shape[0]
    like = A.X.data if hasattr(A.X, "tocsc") else A.X
    weights = A.xp.full(n, 1 / n, dtype=like.dtype, device=getattr(like, "device", None))
    return Centred(A, A.column_sums(weights))


@pytest.mark.parametrize("wrap", [lambda A: A, WithIntercept, centred], ids=["X", "ones", "mean"])
@pytest.mark.parametrize("name", DESIGNS)
def test_map(name, wrap):
    check_linear_map(wrap(design(DESIGNS[name])))


@pytest.mark.parametrize(
    "name", [name for name in DESIGNS if "CS" not in name and "sp" not in name]
)
def test_single_precision_is_doubled_by_blocks(name, monkeypatch):
    A = DESIGNS[name]
    xp = design(A).xp
    single = xp.astype(A, xp.float32)
    origin = xp.arange(A.shape[1], dtype=xp.float64, device=A.device)
    # Blocks of 2 p rows, the fewest that there are, and so of 10 of 12.
    monkeypatch.setattr("skopt_dl.linops.doubled.GRAM_PART", 1)
    for map_ in (Doubled(single), Doubled(single).moved(origin)):
        check_linear_map(map_)
        assert map_.to_dense().dtype == xp.float64
        assert bool(xp.all(map_.block(slice(3, 5)) == map_.to_dense()[3:5, :]))


def test_centring_is_exact():
    explicit = X - X.mean(axis=0)
    for name in ("C", "CSC", "CSR"):
        np.testing.assert_allclose(centred(design(DESIGNS[name])).to_dense(), explicit, atol=1e-14)


def test_a_broken_map_is_caught():
    class Shifted(Dense):
        def rmatvec(self, r):
            return super().rmatvec(r) + 1e-6

    with pytest.raises(AssertionError, match=r"rmatvec|adjoint"):
        check_linear_map(Shifted(X))


@pytest.mark.parametrize("shape", [(30, 8), (8, 30)])
@pytest.mark.parametrize("factorised", [True, False])
def test_graph_projection_solves_its_normal_equations(shape, factorised, monkeypatch):
    monkeypatch.setattr("skopt_dl.linops.graph.FACTOR_BELOW", FACTOR_BELOW if factorised else 0)
    A, omega = rng.standard_normal(shape), rng.random(shape[0])
    c, d = rng.standard_normal((shape[1], 2)), rng.standard_normal((shape[0], 2))
    project = GraphProjection(design(A), omega)
    w, z = project(c, d)
    sigma = np.mean(np.sum(omega[:, None] * A**2, axis=0))
    H = A.T @ (omega[:, None] * A) + sigma * np.eye(shape[1])
    expected = np.linalg.solve(H, A.T @ (omega[:, None] * d) + sigma * c)
    np.testing.assert_allclose(w, expected, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(z, A @ expected, rtol=1e-9, atol=1e-10)


def test_a_factor_sees_dependence_not_units():
    units = 10.0 ** np.arange(-8, 8, 4)
    B = rng.standard_normal((20, 4)) * units
    G, b = B.T @ B, rng.standard_normal(4)
    x = PositiveFactor(G).solve(b)
    backward_error = np.abs(G @ x - b) / (np.abs(G) @ np.abs(x) + np.abs(b))
    assert np.max(backward_error) < 1e-14
    B[:, 3] = B[:, 0] + B[:, 1]
    with pytest.raises(NotPositiveDefiniteError):
        PositiveFactor(B.T @ B)


def test_a_ridge_of_rounding_solves_with_parallel_columns():
    B = np.random.default_rng(0).standard_normal((20, 4)) * [1.0, 1e3, 1e-3, 1.0]
    B = B[:, [0, 1, 2, 3, 1]]
    t = np.arange(20.0)
    x = PositiveFactor(B.T @ B, ridge=1e-13).solve(B.T @ t)
    expected = B[:, :4] @ np.linalg.lstsq(B[:, :4], t)[0]
    np.testing.assert_allclose(B @ x, expected, rtol=1e-9)
    assert x[1] == pytest.approx(x[4], rel=1e-2)


def test_pseudo_inverse_is_of_least_norm():
    B = rng.standard_normal((3, 6))
    b = B.T @ rng.standard_normal(3)
    expected = np.linalg.pinv(B.T @ B) @ b
    np.testing.assert_allclose(PseudoInverse(B.T @ B).solve(b), expected, rtol=1e-8)


@pytest.mark.parametrize("wrap", [lambda A: A, WithIntercept, centred], ids=["X", "ones", "mean"])
def test_rows_that_are_read_once_by_parts(wrap, monkeypatch):
    """Parts of four rows, the last one shorter, of a matrix that counts as large."""
    monkeypatch.setattr("skopt_dl.linops.products.FAR", 0)
    monkeypatch.setattr("skopt_dl.linops.products.THERE_AND_BACK", 4 * X[0].nbytes)
    A = wrap(design(X[:11]))
    assert A.reads_once(np.zeros(A.shape[1]))
    assert not A.reads_once(np.zeros((A.shape[1], 2)))
    assert not wrap(design(np.asfortranarray(X))).reads_once(np.zeros(A.shape[1]))
    parts = []

    def respond(z, rows):
        parts.append(rows)
        return z

    A.there_and_back(np.ones(A.shape[1]), respond)
    assert parts == [slice(0, 4), slice(4, 8), slice(8, 11)]
    check_linear_map(A)


def test_the_objective_is_the_same_whether_x_is_read_once_or_twice(monkeypatch):
    y = (np.arange(12) % 3 == 0).astype(float)
    d = np.linspace(-1, 1, 6)
    found = []
    for size in (2**40, 0):
        monkeypatch.setattr("skopt_dl.linops.products.FAR", size)
        monkeypatch.setattr("skopt_dl.linops.products.THERE_AND_BACK", 4 * X[0].nbytes)
        problem = LinearProblem(X, y, Logistic(), L2(0.1), fit_intercept=True)
        assert problem.map.reads_once(d) == (size == 0)
        point = problem.point(0.1 * d)
        line = problem.along(point, d)
        tried, after = line(0.5), line.accept(0.5)
        again = problem.along(point, d)
        again(0.2)
        found.append([point.value, point.grad, *tried, after.value, after.grad, after.cache])
        np.testing.assert_allclose(after.grad, problem.point(after.w).grad, rtol=1e-12)
        np.testing.assert_allclose(again.accept(0.7).grad, problem.point(0.1 * d + 0.7 * d).grad)
    for once, twice in zip(*found, strict=True):
        np.testing.assert_allclose(once, twice, rtol=1e-12)


@pytest.mark.parametrize("shape", [(1100, 7), (3, 4), (0, 2), (5, 1)])
def test_columns_are_the_same_entries_in_fortran_order(shape):
    A = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    for given in (A, A[::-1], np.repeat(A, 2, axis=1)[:, ::2]):
        columns = by_columns(given)
        assert columns.flags.f_contiguous
        assert columns.dtype == A.dtype
        np.testing.assert_array_equal(columns, given)
    given = np.asfortranarray(A)
    assert by_columns(given) is given
