"""The exact active-set method: optimality conditions of its kernel, answers of the solver."""

import array_api_strict as strict
import numpy as np
import pytest
import scipy.sparse as sp
from skopt_dl.kernels.cython._gram_lasso import GramLasso as Compiled

from skopt_dl.engine import Stopping, run
from skopt_dl.kernels.cupy.gram_lasso import GramLasso as OnHost
from skopt_dl.kernels.generic_gram import GramLasso as Generic
from skopt_dl.kernels.namespace import scatter, to_numpy
from skopt_dl.linops import design
from skopt_dl.losses import Squared
from skopt_dl.penalties import L1, ElasticNet
from skopt_dl.problems import LinearProblem
from skopt_dl.problems.working_columns import DenseColumns, SparseColumns
from skopt_dl.problems.working_set import WorkingSet
from skopt_dl.solvers.active_set import ActiveSet
from skopt_dl.solvers.coordinate_descent import CoordinateDescent


def gram_problem(seed):
    """A small Gram problem; every third has duplicate columns, every fifth dependent ones."""
    rng = np.random.default_rng(seed)
    n, p = int(rng.integers(3, 40)), int(rng.integers(1, 40))
    X = rng.normal(size=(n, p))
    if seed % 3 == 0:
        X[:, rng.integers(p)] = X[:, 0]
    if seed % 5 == 0:
        X = np.round(X)
    y = X @ (rng.normal(size=p) * (rng.random(p) < 0.3)) + rng.normal(size=n)
    q = X.T @ y
    ridge = rng.choice([0.0, 0.1]) * np.sum(X**2) / p
    strength = np.max(np.abs(q)) * 10 ** rng.uniform(-3, 0)
    return X.T @ X, q, np.full(p, strength), np.full(p, ridge), seed % 4 == 0


def violation(G, q, a, b, w, positive):
    c = q - G @ w - b * w
    at_zero = np.maximum((c if positive else np.abs(c)) - a, 0)
    return np.max(np.where(w != 0, np.abs(c - a * np.sign(w)), at_zero)) / np.max(a)


@pytest.mark.parametrize("kernel", [Compiled, Generic, OnHost])
@pytest.mark.parametrize("seed", range(60))
def test_gram_lasso_meets_the_optimality_conditions(kernel, seed):
    G, q, a, b, positive = gram_problem(seed)
    w, c = np.zeros_like(q), q.copy()
    solver = kernel(len(q), positive)
    solver.bind(G, b, w, c)
    solver.solve(a)
    assert violation(G, q, a, b, w, positive) < 1e-8
    assert not positive or np.all(w >= 0)
    np.testing.assert_allclose(c, q - G @ w, atol=1e-9 * np.max(np.abs(q)))


@pytest.mark.parametrize("kernel", [Compiled, Generic, OnHost])
def test_slope_is_the_derivative_of_the_path(kernel):
    G, q, a, b, positive = gram_problem(1)
    w, c = np.zeros_like(q), q.copy()
    solver = kernel(len(q), positive)
    solver.bind(G, b, w, c)
    solver.solve(a)
    before, slope, h = w.copy(), solver.slope(a), 1e-6
    solver.solve((1 + h) * a)
    np.testing.assert_allclose((w - before) / h, slope, atol=1e-6 * np.max(np.abs(slope)))


def test_scatter_is_the_same_in_every_namespace():
    index, values = np.asarray([3, 0, 5]), np.asarray([1.0, 2.0, 3.0])
    expected = np.asarray([2.0, 0.0, 0.0, 1.0, 0.0, 3.0])
    np.testing.assert_array_equal(scatter(index, values, 6), expected)
    other = scatter(strict.asarray(index), strict.asarray(values), 6)
    np.testing.assert_array_equal(to_numpy(other), expected)


@pytest.mark.parametrize("centre", [True, False])
def test_sparse_columns_have_the_inner_products_of_dense_ones(centre):
    rng = np.random.default_rng(0)
    X = sp.random_array((30, 12), density=0.3, rng=rng, format="csc")
    root = np.sqrt(rng.random(30))
    mean = (root**2 @ X.toarray()) / np.sum(root**2) if centre else None
    dense = DenseColumns(design(X.toarray()), root, mean)
    sparse = SparseColumns(design(X), root, mean)
    for chosen in (np.asarray([4, 1]), np.asarray([7, 0, 11])):
        np.testing.assert_allclose(sparse.append(chosen), dense.append(chosen), atol=1e-12)
    v, used = rng.normal(size=30), np.asarray([0, 3])
    np.testing.assert_allclose(sparse.inner(v), dense.inner(v), atol=1e-12)
    W = rng.normal(size=(2, 2))
    np.testing.assert_allclose(sparse.product(used, W), dense.product(used, W), atol=1e-12)


PENALTIES = [L1(0.05), ElasticNet(0.05, 0.1), ElasticNet(0.05, 0.0, positive=True)]
LAYOUTS = ["C", "F", "csc", "csr", "float32", "strict", "device1"]


def laid_out(X, y, layout):
    if layout in ("C", "F"):
        return np.asarray(X, order=layout), y
    if layout in ("csc", "csr"):
        return sp.csr_array(X).asformat(layout), y
    if layout == "float32":
        return X.astype(np.float32), y.astype(np.float32)
    device = strict.Device("device1" if layout == "device1" else "CPU_DEVICE")
    return strict.asarray(X, device=device), strict.asarray(y, device=device)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("penalty", PENALTIES, ids=["l1", "enet", "positive"])
@pytest.mark.parametrize("shape", [(60, 20), (30, 60)])
def test_answer_is_that_of_coordinate_descent(layout, penalty, shape):
    rng = np.random.default_rng(0)
    X = rng.normal(size=shape)
    y = X[:, :5] @ np.ones(5) + rng.normal(size=shape[0])
    weights = rng.random(shape[0])
    kwargs = {"fit_intercept": True}
    if layout in ("C", "csc"):
        kwargs["sample_weight"] = weights
    reference = LinearProblem(X, y, Squared(), penalty, **kwargs)
    expected = run(reference, CoordinateDescent(), stopping=Stopping(tol=1e-13, max_iter=100_000)).w
    problem = LinearProblem(*laid_out(X, y, layout), Squared(), penalty, **kwargs)
    tol = 1e-5 if layout == "float32" else 1e-10
    result = run(problem, ActiveSet(), stopping=Stopping(tol=tol, max_iter=50))
    assert result.success
    assert result.w.dtype == problem.dtype
    np.testing.assert_allclose(to_numpy(result.w), expected, atol=1e-6)
    again = run(problem, ActiveSet(), start=result.w, stopping=Stopping(tol=tol, max_iter=50))
    assert again.success
    assert again.n_iter <= 1


def test_ill_conditioned_polynomials_are_certified():
    """Degree-3 monomials of nearly collinear columns: coordinate descent crawls here."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(200, 4))
    z[:, 1] = z[:, 0] + 1e-2 * z[:, 1]
    columns = [
        z[:, i] * z[:, j] * z[:, k] for i in range(4) for j in range(i, 4) for k in range(j, 4)
    ]
    X = np.stack(columns, axis=1)
    X = np.hstack([X, X[:, :5]])
    X = X / X.std(axis=0)
    y = X @ rng.normal(size=X.shape[1]) + rng.normal(size=200)
    strongest = np.max(np.abs((X - X.mean(axis=0)).T @ (y - y.mean()))) / 200
    problem = LinearProblem(X, y, Squared(), L1(strongest / 1e4), fit_intercept=True)
    result = run(problem, ActiveSet(), stopping=Stopping(tol=1e-10, max_iter=100))
    assert result.success


@pytest.mark.parametrize("seed", [0, 6, 14])
def test_set_that_grows_to_all_columns_one_by_one(seed, monkeypatch):
    monkeypatch.setattr("skopt_dl.problems.working_set.GRAM_BELOW", 0)
    rng = np.random.default_rng(seed)
    X = np.cumsum(rng.normal(size=(400, 20)), axis=1)
    y = X @ rng.normal(size=20) + rng.normal(size=400)
    problem = LinearProblem(X, y, Squared(), L1(1e-3), fit_intercept=True)
    result = run(problem, ActiveSet(), stopping=Stopping(tol=1e-10, max_iter=50))
    assert result.success


def steps_of_a_walk(rng):
    """Neighbouring columns are alike; the truth needs most of them."""
    X = np.cumsum(rng.normal(size=(400, 60)), axis=1)
    return X, X @ rng.normal(size=60) + rng.normal(size=400)


@pytest.mark.parametrize("kernel", [Compiled, Generic, OnHost])
def test_a_large_set_is_replaced_by_all_columns_on_the_way(kernel, monkeypatch):
    monkeypatch.setattr("skopt_dl.problems.working_set.WHOLE_BELOW", 0)
    monkeypatch.setattr("skopt_dl.problems.working_set.FORESEEN_BELOW", 0)
    monkeypatch.setattr("skopt_dl.problems.working_set.WHOLE_SHARE", 0.8)
    problem = LinearProblem(
        *steps_of_a_walk(np.random.default_rng(0)), Squared(), L1(1e-3), fit_intercept=True
    )
    monkeypatch.setattr(problem.kernels, "GramLasso", kernel)
    wholes = []
    whole = WorkingSet.add_all
    monkeypatch.setattr(WorkingSet, "add_all", lambda work: (wholes.append(work.size), whole(work)))
    result = run(problem, ActiveSet(), stopping=Stopping(tol=1e-10, max_iter=10))
    assert result.success
    assert len(wholes) == 1 and 0 < wholes[0] < 60


@pytest.mark.parametrize(("share", "wholes"), [(0.9, []), (0.02, [0])])
def test_the_whole_gram_is_formed_at_once_where_the_start_foretells_a_large_set(
    share, wholes, monkeypatch
):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 100))
    y = X[:, :10].sum(axis=1) + 0.1 * rng.normal(size=400)
    X, y = X - X.mean(axis=0), y - y.mean()
    # All but this share of the columns violate their condition at zero.
    problem = LinearProblem(X, y, Squared(), L1(float(np.quantile(np.abs(X.T @ y), share) / 400)))
    sizes = []
    whole = WorkingSet.add_all
    monkeypatch.setattr(WorkingSet, "add_all", lambda work: (sizes.append(work.size), whole(work)))
    assert run(problem, ActiveSet(), stopping=Stopping(tol=1e-10, max_iter=10)).success
    assert sizes == wholes


def tall_columns(rho):
    """900 rows of 300 columns, neighbours correlated by ``rho``; 60 of them count."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(900, 300))
    for j in range(1, 300):
        X[:, j] = rho * X[:, j - 1] + np.sqrt(1 - rho**2) * X[:, j]
    return X, X[:, ::5] @ rng.normal(size=60) + rng.normal(size=900)


@pytest.mark.parametrize(
    ("rho", "positive", "grams"), [(0.0, False, 0), (0.0, True, 0), (0.99, False, 1)]
)
def test_sweeps_spare_the_gram_matrix_where_columns_have_little_in_common(
    rho, positive, grams, monkeypatch
):
    X, y = tall_columns(rho)
    problem = LinearProblem(X, y, Squared(), L1(0.02, positive), fit_intercept=True)
    formed, whole = [], WorkingSet.add_all
    monkeypatch.setattr(WorkingSet, "add_all", lambda work: (formed.append(1), whole(work)))
    stopping = Stopping(tol=1e-10, max_iter=100)
    swept = run(problem, ActiveSet(), stopping=stopping)
    assert swept.success
    assert len(formed) == grams
    exact = run(problem, ActiveSet(sweeps=False), stopping=stopping)
    assert exact.success
    assert len(formed) == grams + 1
    np.testing.assert_allclose(swept.w, exact.w, atol=1e-4)
    assert abs(swept.certificate.objective - exact.certificate.objective) <= (
        1e-10 * exact.certificate.objective
    )


def test_sweeps_start_where_a_warm_start_has_a_large_support():
    X, y = tall_columns(0.0)
    at = [LinearProblem(X, y, Squared(), L1(s), fit_intercept=True) for s in (0.02, 0.018)]
    stopping = Stopping(tol=1e-10, max_iter=100)
    start = run(at[0], ActiveSet(), stopping=stopping).w
    warm = run(at[1], ActiveSet(), start=start, stopping=stopping)
    assert warm.success
    assert at[1].base.kept_gram is None
    np.testing.assert_array_equal(start, run(at[0], ActiveSet(), stopping=stopping).w)


@pytest.mark.parametrize("whole_below", [0, 300])
def test_a_warm_start_goes_on_from_its_support(whole_below, monkeypatch):
    monkeypatch.setattr("skopt_dl.problems.working_set.WHOLE_BELOW", whole_below)
    X, y = steps_of_a_walk(np.random.default_rng(1))
    at = [LinearProblem(X, y, Squared(), L1(s), fit_intercept=True) for s in (1e-2, 8e-3)]
    stopping = Stopping(tol=1e-10, max_iter=10)
    start = run(at[0], ActiveSet(), stopping=stopping).w
    warm = run(at[1], ActiveSet(), start=start, stopping=stopping)
    cold = run(at[1], ActiveSet(), stopping=stopping)
    assert warm.success
    np.testing.assert_allclose(warm.w, cold.w, atol=1e-8)


def test_shrinkage_out_of_range_is_named():
    problem = LinearProblem(np.eye(3), np.arange(3.0), Squared(), L1(0.1))
    with pytest.raises(ValueError, match="shrinkage=2"):
        run(problem, ActiveSet(shrinkage=2))


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_data_stay_on_a_device_and_each_column_of_the_block_leaves_it_once(dtype, positive, left):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 300)).astype(dtype)
    y = (X[:, :20] @ rng.normal(size=20) + rng.normal(size=50)).astype(dtype)
    penalty = ElasticNet(0.02, 0.001, positive)
    away = strict.Device("device1")
    results = []
    for place, kernel in ((np.asarray, Compiled), (strict.asarray, OnHost)):
        keywords = {"device": away} if place is strict.asarray else {}
        data = (place(a, **keywords) for a in (X, y))
        problem = LinearProblem(*data, Squared(), penalty, fit_intercept=True)
        problem.kernels.GramLasso = kernel
        result = run(problem, ActiveSet(), stopping=Stopping(tol=1e-6, max_iter=100))
        assert result.success
        results.append(result)
    known, ours = results
    assert ours.w.device == away
    # Beside the columns of the block, vectors of the set; X never.
    blocks, vectors = ([s for s in left if len(s) == k] for k in (2, 1))
    size = max(s[0] for s in vectors)
    assert 0 < size < 300
    assert sum(columns for _, columns in blocks) == size == max(rows for rows, _ in blocks)
    np.testing.assert_allclose(to_numpy(ours.w), known.w, atol=1e-4 if dtype == "float32" else 1e-9)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gpu_the_small_problem_is_solved_on_the_host(dtype, cupy):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 1500)).astype(dtype)
    y = (X[:, :20] @ rng.normal(size=20) + rng.normal(size=200)).astype(dtype)
    problems = [
        LinearProblem(place(X), place(y), Squared(), L1(0.05), fit_intercept=True)
        for place in (np.asarray, cupy.asarray)
    ]
    assert problems[1].kernels.GramLasso is OnHost
    results = [run(q, ActiveSet(), stopping=Stopping(tol=1e-6)) for q in problems]
    assert all(result.success for result in results)
    tolerance = 1e-4 if dtype == "float32" else 1e-9
    np.testing.assert_allclose(results[1].w.get(), results[0].w, atol=tolerance)
