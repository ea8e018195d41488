"""Descent on single entries of the coefficients of several classes: compiled = generic, and what it
does to the model."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from skopt_dl.engine import Stopping, run
from skopt_dl.kernels import generic_entries
from skopt_dl.kernels.cython import _cd_entries
from skopt_dl.losses import Multinomial
from skopt_dl.penalties import ElasticNet
from skopt_dl.problems import LinearProblem
from skopt_dl.problems.entries import EntryModel
from skopt_dl.solvers import FISTA, ProxNewton

ARRAYS = ("v", "D", "s", "b")


def problem(dtype=np.float64, *, intercept=True, positive=False, l2=1e-3, l1=2e-3, density=0.2):
    """120 sparse rows of 40 columns, one of them empty, in 4 classes, the last of which is rare."""
    rng = np.random.default_rng(0)
    X = sparse.random_array((120, 40), density=density, rng=rng, dtype=np.float64, format="csr")
    X = sparse.csr_array(X * (np.arange(40) != 7))
    scores = X @ rng.standard_normal((40, 4)) * 3 + np.array([0, 0, 0, -4.0])
    y = np.argmax(scores + rng.gumbel(size=scores.shape), axis=1)
    y[:2] = 3
    weights = rng.uniform(0.2, 2, 120).astype(dtype)
    return LinearProblem(
        X.astype(dtype),
        np.eye(4, dtype=dtype)[y],
        Multinomial(),
        ElasticNet(l1, l2, positive),
        sample_weight=weights,
        fit_intercept=intercept,
        criterion="stationarity",
    )


def somewhere(q):
    rng = np.random.default_rng(1)
    w = np.where(rng.random(q.size) < 0.3, rng.standard_normal(q.size), 0.0)
    return np.abs(w).astype(q.dtype)


def model_value(model):
    """The model by its definition, from the coefficients alone."""
    q, K = model.problem, model.P.shape[1]
    end = model.w.copy()
    end[model.at] = model.v
    if model.b is not None:
        end[q.n_coef :] += model.b
    d = end - model.w
    D = q.map.matvec(q.matrix(d))
    np.testing.assert_allclose(model.D, D, atol=1e-10)
    np.testing.assert_allclose(model.s, np.sum(model.P * D, axis=1), atol=1e-10)
    bends = np.stack([np.diag(p) - np.outer(p, p) for p in model.P])
    bend = np.einsum("i,ik,ikl,il->", model.Q[:, 0] / model.P[:, 0], D, bends, D)
    assert K == 4
    return model.g @ d + bend / 2 + q.nonsmooth_value(end)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("positive", [True, False])
def test_the_compiled_kernel_is_the_generic_one(dtype, index, intercept, positive):
    q = problem(dtype, intercept=intercept, positive=positive)
    columns = q.base.columns
    columns.indices, columns.indptr = (a.astype(index) for a in (columns.indices, columns.indptr))
    tol = 1e-4 if dtype == np.float32 else 1e-10
    for epochs in (1, 2, 7, 40):
        compiled, generic = (EntryModel(q, somewhere(q), 1.5) for _ in range(2))
        found = _cd_entries.entry_epochs(compiled, epochs, 1e-3)
        expected = generic_entries.entry_epochs(generic, epochs, 1e-3)
        assert found[0] == expected[0]
        assert found[1] == pytest.approx(expected[1], rel=100 * tol, abs=tol)
        for name in ARRAYS[: 4 if intercept else 3]:
            got, want = getattr(compiled, name), getattr(generic, name)
            np.testing.assert_allclose(got, want, rtol=tol, atol=10 * tol)


@pytest.mark.parametrize("damping", [1.0, 4.0])
def test_every_epoch_lowers_the_model_and_its_end_is_stationary(damping):
    q = problem()
    model, values = EntryModel(q, somewhere(q), damping), []
    for _ in range(60):
        values.append(model_value(model))
        model.epochs(None, 1, 0.0)
    assert np.all(np.diff(values) <= 1e-14)
    model.epochs(None, 3000, 1e-13)
    bends = np.stack([np.diag(p) - np.outer(p, p) for p in model.P])
    A = q.map.to_dense()
    change = np.einsum("ij,i,ikl,il->jk", A, damping * q.omega, bends, model.D)
    g = (model.g + change.ravel())[model.at]
    l1, l2 = model.l1, model.l2
    left = np.where(model.v != 0, g + l1 * np.sign(model.v) + l2 * model.v, 0.0)
    left += np.where(model.v == 0, np.maximum(np.abs(g) - l1, 0), 0.0)
    assert np.max(np.abs(left)) < 1e-9
    assert np.max(np.abs(change[-1] + model.g[q.n_coef :])) < 1e-9


@pytest.mark.parametrize(
    ("l1", "l2", "density"),
    [(2e-3, 0.0, 0.2), (2e-2, 1e-3, 0.05), (1e-4, 0.0, 0.2), (1e-5, 1e-5, 0.9)],
)
@pytest.mark.parametrize("intercept", [True, False])
def test_proximal_newton_ends_at_the_optimum(l1, l2, density, intercept):
    """Of a few columns, of all, and where the classes can be told apart."""
    q = problem(l1=l1, l2=l2, density=density, intercept=intercept)
    found = run(q, ProxNewton(), stopping=Stopping(tol=1e-10, max_iter=100))
    assert found.success
    known = run(q, FISTA(), stopping=Stopping(tol=1e-7, max_iter=60_000))
    assert found.certificate.objective <= known.certificate.objective + 1e-9
    if known.success:
        assert known.certificate.objective == pytest.approx(found.certificate.objective, rel=1e-5)
