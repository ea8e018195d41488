"""``solver="auto"`` certifies what it returns, on data of every kind, the worst ones included.

The gap is computed here, from the data and the fitted model alone.
"""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from skopt_dl.linear_model import ElasticNet, Lasso, alpha_max, lasso_path


def relative_gaps(X, y, alphas, W, l1_ratio=1.0):
    """Duality gaps of the columns of ``W``, with the best intercepts, over the null objective."""
    n, y = len(y), y.astype(np.float64)
    X = X.astype(np.float64)
    l1, l2 = np.asarray(alphas) * l1_ratio, np.asarray(alphas) * (1 - l1_ratio)
    yc, R = y - y.mean(), y[:, None] - X @ W
    R -= R.mean(axis=0)
    norm = np.sum(R**2, axis=0) / n + l2 * np.sum(W**2, axis=0)
    slopes = X.T @ R / n - l2 * W
    scale = np.minimum(l1 / np.abs(slopes).max(axis=0), yc @ R / n / norm)
    primal = norm / 2 + l1 * np.abs(W).sum(axis=0)
    dual = scale * (yc @ R / n) - scale**2 * norm / 2
    return (primal - dual) / (yc @ yc / n / 2)


def planted(X, rng, *, n_nonzero=20):
    y = X[:, :: max(1, X.shape[1] // n_nonzero)].sum(axis=1)
    y = np.ravel(y)
    return y + 0.3 * y.std() * rng.standard_normal(len(y)) + 3


def gaussian(n, p, rho=0.0):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p))
    for j in range(1, p if rho else 0):
        X[:, j] = rho * X[:, j - 1] + np.sqrt(1 - rho**2) * X[:, j]
    return X, planted(X, rng)


def words(n, p):
    rng = np.random.default_rng(0)
    share = 1 / np.arange(3, p + 3)
    columns = rng.choice(p, size=(n, 30), p=share / share.sum())
    X = sp.coo_array((rng.exponential(size=30 * n), (np.repeat(np.arange(n), 30), columns.ravel())))
    X.resize(n, p)
    X = X.tocsc()
    return X, planted(X, rng)


def spectra():
    """Smooth curves of a few components at a hundred wavelengths: neighbours are nearly equal."""
    rng = np.random.default_rng(0)
    at = np.linspace(0, 1, 100)
    peaks = np.exp(-((at - np.linspace(0, 1, 12)[:, None]) ** 2) / 0.02)
    mix = rng.standard_normal((215, 12)).cumsum(axis=1)
    X = mix @ peaks + 1e-3 * rng.standard_normal((215, 100)) + 5
    return X, mix[:, 3] + 0.1 * rng.standard_normal(215)


def polynomials(degree):
    X, y = load_diabetes(return_X_y=True)
    X = PolynomialFeatures(degree, include_bias=False).fit_transform(
        StandardScaler().fit_transform(X)
    )
    return StandardScaler().fit_transform(X), y


# Data, and what divides the largest useful alpha.
CASES = {
    "tall": (lambda: gaussian(2000, 40), 100),
    "square": (lambda: gaussian(300, 300), 100),
    "square, beyond the reach of one factorisation": (lambda: gaussian(1200, 1200), 30),
    "wide": (lambda: gaussian(60, 1500), 10),
    "wide, small alpha": (lambda: gaussian(60, 1500), 100),
    "correlated": (lambda: gaussian(100, 500, rho=0.99), 100),
    "words": (lambda: words(1000, 800), 30),
    "words, small alpha": (lambda: words(1000, 800), 200),
    "spectra": (spectra, 1000),
    "polynomials of degree 3": (lambda: polynomials(3), 100),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_lasso(name, dtype):
    make, divisor = CASES[name]
    X, y = (part.astype(dtype) for part in make())
    alpha = alpha_max(X, y) / divisor
    tol = 1e-10 if dtype == np.float64 else 1e-5
    model = Lasso(alpha, tol=tol, max_iter=10**5).fit(X, y)
    assert model.solve_report_.status == "converged", model.solve_report_
    gap = relative_gaps(X, y, [alpha], model.coef_.astype(np.float64)[:, None])[0]
    assert gap <= 1.01 * tol


@pytest.mark.parametrize("name", ["wide", "correlated", "words", "spectra"])
def test_elastic_net(name):
    X, y = CASES[name][0]()
    alpha = alpha_max(X, y) / 50
    model = ElasticNet(alpha, l1_ratio=0.5, tol=1e-10, max_iter=10**5).fit(X, y)
    assert relative_gaps(X, y, [alpha], model.coef_[:, None], 0.5)[0] <= 1.01e-10


@pytest.mark.parametrize("name", ["tall", "wide", "correlated"])
def test_path(name):
    X, y = CASES[name][0]()
    X, y = X - X.mean(axis=0), y - y.mean()
    alphas, W, _ = lasso_path(X, y, eps=1e-2, tol=1e-10, max_iter=10**5)
    assert relative_gaps(X, y, alphas, W).max() <= 1.01e-10


@pytest.mark.slow
@pytest.mark.parametrize("divisor", [100, 300])
def test_monomials_that_no_coordinate_descent_solves(divisor):
    # 442 x 3002, columns of every scale of dependence.
    X, y = polynomials(5)
    alpha = alpha_max(X, y) / divisor
    model = Lasso(alpha, tol=1e-10, max_iter=1000).fit(X, y)
    assert relative_gaps(X, y, [alpha], model.coef_[:, None])[0] <= 1.01e-10


@pytest.mark.slow
def test_sparse_text_at_a_small_alpha():
    X, y = words(20_000, 12_000)
    alpha = alpha_max(X, y) / 500
    model = Lasso(alpha, tol=1e-10, max_iter=10**5).fit(X, y)
    assert relative_gaps(X, y, [alpha], model.coef_[:, None])[0] <= 1.01e-10
