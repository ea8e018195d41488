"""Rows that come in batches: `MatrixCompletion.partial_fit`."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone

from skopt_dl.matrix_completion import MatrixCompletion
from skopt_dl.solvers import Gibbs

BIASES = [False, "rows", "cols", "both"]


def noisy(m=90, n=20, rank=2, noise=0.3, share=0.4, seed=0):
    rng = np.random.default_rng(seed)
    full = rng.standard_normal((m, rank)) @ rng.standard_normal((rank, n))
    X = full + noise * rng.standard_normal((m, n)) + 1.0
    return np.where(rng.random((m, n)) < share, np.nan, X), full + 1.0


X, FULL = noisy()
GAPS = np.isnan(X)
BATCHES = [X[:40], X[40:60], X[60:]]


def penalised(rank=2, alpha=0.05, **options):
    options.setdefault("random_state", 0)
    return MatrixCompletion(rank, alpha=alpha, **options)


def features(factors, row_bias, fit_bias):
    """What multiplies a column's parameters, and what its entries have beside them."""
    if fit_bias in ("cols", "both"):
        factors = np.column_stack([factors, np.ones(len(factors))])
    return factors, row_bias if fit_bias in ("rows", "both") else np.zeros(len(factors))


@pytest.mark.parametrize("make", [np.asarray, "sparse"], ids=["dense", "sparse"])
@pytest.mark.parametrize(
    ("fit_bias", "penalty"), [*((bias, "ridge") for bias in BIASES), (False, "nuclear")]
)
@pytest.mark.filterwarnings("ignore:.*duality gap:sklearn.exceptions.ConvergenceWarning")
def test_the_columns_solve_the_equations_of_all_rows(fit_bias, penalty, make):
    def given(rows):
        if make != "sparse":
            return rows
        seen = ~np.isnan(rows)
        return sparse.coo_array((rows[seen], np.nonzero(seen)), shape=rows.shape).tocsr()

    model = penalised(fit_bias=fit_bias, penalty=penalty).partial_fit(given(BATCHES[0]))
    plain = clone(model).fit(given(BATCHES[0]))
    np.testing.assert_array_equal(model.components_, plain.components_)
    folded = [features(model.row_factors_, model.row_bias_, fit_bias)]
    mean = model.mean_ if fit_bias else 0.0
    for batch in BATCHES[1:]:
        now = model._columns.fold_in(model._entries(given(batch)))
        folded.append(features(now.P[:, :2], now.P[:, 2:].sum(axis=1), fit_bias))
        model.partial_fit(given(batch))
    F, beside = (np.concatenate(parts) for parts in zip(*folded, strict=True))
    for j in range(X.shape[1]):
        seen = ~GAPS[:, j]
        weight = seen.sum() if penalty == "ridge" else (~GAPS).sum() / X.shape[1]
        G = F[seen].T @ F[seen] + 0.05 * weight * np.eye(F.shape[1])
        q = np.linalg.solve(G, F[seen].T @ (X[seen, j] - mean - beside[seen]))
        np.testing.assert_allclose(model.components_[:, j], q[:2], rtol=1e-9, atol=1e-12)
        if F.shape[1] > 2:
            np.testing.assert_allclose(model.col_bias_[j], q[2], rtol=1e-9, atol=1e-12)
    assert model.row_factors_.shape == (90, 2)
    # The last rows are those that transform would compute.
    np.testing.assert_allclose(model.row_factors_[60:], model.row_factors(given(X[60:])))
    assert model.mean_ == plain.mean_ and model.n_features_in_ == X.shape[1]


def test_an_exact_matrix_stays_exact():
    rng = np.random.default_rng(3)
    full = rng.standard_normal((80, 3)) @ rng.standard_normal((3, 25))
    given = np.where(rng.random(full.shape) < 0.5, full, np.nan)
    model = MatrixCompletion(3, alpha=0, tol=1e-13, random_state=0)
    for rows in (slice(0, 50), slice(50, 65), slice(65, 80)):
        model.partial_fit(given[rows])
    np.testing.assert_allclose(model.transform(given), full, atol=1e-9)
    pairs = np.argwhere(np.isnan(given))
    np.testing.assert_allclose(model.predict_entries(pairs), full[np.isnan(given)], atol=1e-9)


@pytest.mark.parametrize("options", [{"alpha": 0.02}, {"alpha": "auto"}], ids=["als", "vb"])
@pytest.mark.parametrize("first", ["partial_fit", "fit"])
def test_more_rows_help_nearly_as_much_as_a_fit_on_all(options, first):
    """The errors on rows that no fit has seen, after 20, 200 and all rows."""
    rows, full = noisy(m=500, n=40, rank=3, noise=0.5, share=0.6, seed=1)
    test, gaps = rows[400:], np.isnan(rows[400:])

    def error(model):
        return np.sqrt(np.mean((model.transform(test) - full[400:])[gaps] ** 2))

    model = MatrixCompletion(3, fit_bias="cols", random_state=0, **options)
    getattr(model, first)(rows[:40])
    begun = error(model)
    for start in range(40, 400, 40):
        model.partial_fit(rows[start : start + 40])
    whole = error(clone(model).fit(rows[:400]))
    assert whole < error(model) < whole + 0.25 * (begun - whole)


def test_the_posterior_of_the_columns_sharpens():
    model = MatrixCompletion(3, random_state=0).partial_fit(X[:40])
    before = model._columns.spread.copy()
    cell = model.predict_entries([[0, 0]], return_std=True)[1]
    model.partial_fit(X[40:])
    assert np.all(model._columns.spread < before)
    assert model.predict_entries([[0, 0]], return_std=True)[1] < cell
    factors, std = model.row_factors(X[60:], return_std=True)
    np.testing.assert_allclose(model.row_factors_[60:], factors[:], rtol=1e-10)
    assert std.shape == factors.shape


@pytest.mark.parametrize("alpha", [0.05, "auto"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_weights_repeat_rows(alpha):
    rng = np.random.default_rng(0)
    first, second = (rng.integers(0, 3, 45) for _ in range(2))
    weighted, repeated = (penalised(alpha=alpha, tol=1e-10) for _ in range(2))
    for part, counts in ((X[:45], first), (X[45:], second)):
        weighted.partial_fit(part, sample_weight=counts)
        repeated.partial_fit(np.repeat(part, counts, axis=0))
    np.testing.assert_allclose(weighted.transform(X), repeated.transform(X), rtol=1e-5)


def test_factors_that_are_not_negative_stay_so():
    rng = np.random.default_rng(0)
    full = rng.random((90, 2)) @ rng.random((2, 20))
    rows = np.where(GAPS, np.nan, full)
    model = penalised(alpha=1e-4, positive=True, tol=1e-3, max_iter=2000)
    model.partial_fit(rows[:50]).partial_fit(rows[50:])
    assert model.components_.min() >= 0 and model.row_factors_.min() >= 0
    assert np.abs(model.transform(rows) - full).max() < 0.1


# --- pairs --------------------------------------------------------------------------------------


def test_pairs_are_the_same_model_and_bring_new_columns():
    keep = X.copy()
    # The last two columns appear with the second batch.
    keep[:40, 18:] = np.nan
    order, model, same = 1000 - np.arange(90), penalised(), penalised()
    for rows in (slice(0, 40), slice(40, 90)):
        i, j = np.nonzero(~np.isnan(keep[rows]))
        pairs = np.column_stack([order[rows][i], j])
        model.partial_fit(pairs, keep[rows][i, j])
        same.partial_fit(keep[rows])
    np.testing.assert_array_equal(model.col_ids_, np.arange(20))
    np.testing.assert_array_equal(model.row_ids_, np.sort(order))
    i, j = np.nonzero(GAPS)
    np.testing.assert_allclose(
        model.predict(np.column_stack([order[i], j])),
        same.predict_entries(np.column_stack([i, j])),
        rtol=1e-4,
        atol=1e-4,
    )


def test_a_known_row_cannot_come_again():
    model = penalised(1).partial_fit([[0, 0], [3, 1]], [1.0, 2.0])
    before = model.components_.copy()
    with pytest.raises(ValueError, match=r"row 3 is known already.*all entries of a row in one"):
        model.partial_fit([[5, 1], [3, 0]], [1.0, 2.0])
    np.testing.assert_array_equal(model.components_, before)


# --- the contract -------------------------------------------------------------------------------


def test_rows_of_another_width_are_an_error():
    model = penalised().partial_fit(X[:40])
    with pytest.raises(ValueError, match="19 features, but MatrixCompletion is expecting 20"):
        model.partial_fit(X[40:, :19])


def test_a_robust_loss_has_no_equations():
    model = penalised(loss="huber")
    assert not hasattr(model, "partial_fit")
    with pytest.raises(AttributeError, match="partial_fit") as error:
        _ = model.partial_fit
    assert "loss='huber' has weights that change" in str(error.value.__cause__)
    # The parameter may have been set anew since the fit.
    model.fit(X).set_params(loss="squared")
    with pytest.raises(ValueError, match="a robust loss, whose weights change with the columns"):
        model.partial_fit(X)


@pytest.mark.parametrize("first", ["fit", "partial_fit"])
def test_draws_have_no_equations(first):
    model = MatrixCompletion(2, solver=Gibbs(n_warm=2, n_burn=2, n_draws=3), random_state=0)
    if first == "fit":
        model.fit(X)
    with pytest.raises(ValueError, match="solver='gibbs', which keeps draws of the columns"):
        model.partial_fit(X)
    assert hasattr(model, "components_") == (first == "fit")


def test_a_fit_forgets_what_came_before():
    model = penalised().partial_fit(X[:40]).partial_fit(X[40:])
    again = model.fit(X[:40]).components_.copy()
    np.testing.assert_array_equal(again, penalised().fit(X[:40]).components_)
    assert not hasattr(model, "_equations")


def test_range_and_gaps_grow_with_the_rows():
    rows = X.copy()
    rows[:40, 0] = 0.0
    model = penalised(clip="data", add_indicator=True).partial_fit(rows[:40])
    n = model.indicator_features_.size
    assert 0 not in model.indicator_features_
    model.partial_fit(rows[40:])
    assert model.indicator_features_.size == n + 1
    assert model._range == (np.nanmin(rows), np.nanmax(rows))


def test_float32_stays():
    model = penalised().partial_fit(X[:40].astype(np.float32)).partial_fit(X[40:])
    assert model.components_.dtype == np.float32 and model.row_factors_.dtype == np.float32
