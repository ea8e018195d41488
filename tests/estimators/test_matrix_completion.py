"""MatrixCompletion: objective, recovery by every solver, three kinds of data, robustness."""

from __future__ import annotations

import pickle
import tracemalloc

import array_api_strict
import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from zoo import is_stochastic

from skopt_dl.dispatch import IncompatibleSolverError, fitting
from skopt_dl.matrix_completion import MatrixCompletion
from skopt_dl.matrix_completion.entries import Entries, sorted_entries
from skopt_dl.matrix_completion.masked import Masked
from skopt_dl.matrix_completion.observe import observe
from skopt_dl.matrix_completion.problem import FactorProblem
from skopt_dl.solvers.quasi_newton import LBFGS

BIASES = [False, "rows", "cols", "both"]


def penalised(n_components="auto", **params):
    """The estimator with a given penalty, whatever solver it takes."""
    return MatrixCompletion(n_components, **{"alpha": 0.05, **params})


def low_rank(m=40, n=30, rank=3, noise=0.0, seed=0):
    """A full matrix of standard deviation one."""
    rng = np.random.default_rng(seed)
    full = rng.standard_normal((m, rank)) @ rng.standard_normal((rank, n))
    return full / full.std() + noise * rng.standard_normal((m, n))


def with_gaps(full, share=0.4, seed=1):
    """``full`` with a share of its cells missing."""
    missing = np.random.default_rng(seed).random(full.shape) < share
    return np.where(missing, np.nan, full)


def error(model, X, full):
    """Relative error of the filled cells."""
    missing = np.isnan(X)
    return np.linalg.norm((model.transform(X) - full)[missing]) / np.linalg.norm(full[missing])


def as_pairs(X):
    """``(pairs, values)`` of the cells of ``X`` that are not missing."""
    rows, cols = np.nonzero(~np.isnan(X))
    return np.column_stack([rows, cols]), X[rows, cols]


FULL = low_rank()
GAPPY = with_gaps(FULL)
SOLVERS = fitting(penalised(3)._build_problem(GAPPY))
# A vote of four agents has no size, and its steps shrink: an error of 0.115 after 600 of them.
BUDGETS = {"majority_vote": 800}


# --- the problem --------------------------------------------------------------------------------


def problem_on(layout, row_bias, col_bias):
    rng = np.random.default_rng(0)
    X = with_gaps(low_rank(12, 9, 2, seed=3), 0.5)
    X[1], X[:, 2] = np.nan, np.nan
    weights = rng.integers(1, 4, 12).astype(float)
    if layout == "entries":
        rows, cols = np.nonzero(~np.isnan(X))
        observed = Entries(*sorted_entries(rows, cols, X[rows, cols], weights[rows], X.shape))
    elif layout == "masked":
        mask = ~np.isnan(X)
        observed = Masked(np.where(mask, X, 0.0), mask * weights[:, None])
    else:
        observed = observe(array_api_strict.asarray(X), np.nan, array_api_strict.asarray(weights))
    problem = FactorProblem(observed, 2, 0.1, row_bias=row_bias, col_bias=col_bias)
    return problem, X, weights


@pytest.mark.parametrize("row_bias", [False, True])
@pytest.mark.parametrize("col_bias", [False, True])
@pytest.mark.parametrize("layout", ["entries", "masked", "strict"])
class TestProblem:
    def point(self, p, seed=5):
        w = p.xp.asarray(np.random.default_rng(seed).standard_normal(p.size))
        return w, p.point(w)

    def test_the_objective_is_the_documented_formula(self, layout, row_bias, col_bias):
        p, X, weights = problem_on(layout, row_bias, col_bias)
        w, point = self.point(p)
        P, Q = (np.asarray(a) for a in p.unpack(w))
        total = 0.0
        for i, j in zip(*np.nonzero(~np.isnan(X)), strict=True):
            predicted = P[i, :2] @ Q[j, :2] + P[i, 2:].sum() + Q[j, 2:].sum()
            penalty = P[i] @ P[i] + Q[j] @ Q[j]
            total += weights[i] * (0.5 * (predicted - X[i, j]) ** 2 + 0.1 / 2 * penalty)
        expected = total / (weights[:, None] * ~np.isnan(X)).sum()
        np.testing.assert_allclose(float(p.value(w)), expected, rtol=1e-12)
        np.testing.assert_allclose(float(point.value), expected, rtol=1e-12)
        np.testing.assert_allclose(p.certificate(w).objective, expected, rtol=1e-12)

    def test_slopes_and_curvatures_are_differences(self, layout, row_bias, col_bias):
        p, *_ = problem_on(layout, row_bias, col_bias)
        w, point = self.point(p)
        d, _ = self.point(p, seed=6)
        h = 1e-6
        slope = float(p.value(w + h * d) - p.value(w - h * d)) / (2 * h)
        np.testing.assert_allclose(float(point.grad @ d), slope, rtol=1e-7)
        curved = (p.point(w + h * d).grad - p.point(w - h * d).grad) / (2 * h)
        np.testing.assert_allclose(np.asarray(p.hvp(point)(d)), np.asarray(curved), atol=1e-8)

    def test_a_line_is_a_quartic(self, layout, row_bias, col_bias):
        p, *_ = problem_on(layout, row_bias, col_bias)
        w, point = self.point(p)
        d, _ = self.point(p, seed=6)
        line = p.along(point, d)
        for t in (0.0, 0.3, -1.7):
            there = p.point(w + t * d)
            value, slope = line(t)
            np.testing.assert_allclose(value, float(there.value), rtol=1e-12)
            np.testing.assert_allclose(slope, float(there.grad @ d), rtol=1e-10)
            accepted = line.accept(t)
            np.testing.assert_allclose(
                np.asarray(accepted.grad), np.asarray(there.grad), atol=1e-12
            )
            np.testing.assert_allclose(float(accepted.value), float(there.value), rtol=1e-12)

    def test_batches_average_to_the_whole(self, layout, row_bias, col_bias):
        p, *_ = problem_on(layout, row_bias, col_bias)
        w, point = self.point(p)
        order = np.random.default_rng(0).permutation(p.n_samples)
        value, grad, size = 0.0, 0.0, 7
        for low in range(0, p.n_samples, size):
            index = order[low : low + size]
            v, g = p.sample_grad(w, p.xp.asarray(index))
            value, grad = value + len(index) * float(v), grad + len(index) * np.asarray(g)
        np.testing.assert_allclose(value / p.n_samples, float(point.value), rtol=1e-12)
        np.testing.assert_allclose(grad / p.n_samples, np.asarray(point.grad), atol=1e-13)

    def test_the_start_is_seeded_and_no_saddle(self, layout, row_bias, col_bias):
        p, *_ = problem_on(layout, row_bias, col_bias)
        start = p.start()
        np.testing.assert_array_equal(np.asarray(start), np.asarray(p.start()))
        assert float(p.value(start)) < float(p.value(0 * start))
        assert p.certificate(0 * start).value == 0.0  # the saddle that a start must avoid
        assert np.abs(np.asarray(p.unpack(start)[1]))[:, 0].max() > 0.1


def test_the_certificate_has_no_unit_and_does_not_count_rows():
    w = np.random.default_rng(0).standard_normal
    one = FactorProblem(observe(GAPPY, np.nan), 3, 0.05)
    point = w(one.size)
    P, Q = one.unpack(point)
    twice = FactorProblem(observe(np.vstack([GAPPY, GAPPY]), np.nan), 3, 0.05)
    reference = one.certificate(point).value
    repeated = twice.certificate(twice.pack(np.vstack([P, P]), Q)).value
    np.testing.assert_allclose(repeated, reference, rtol=1e-12)
    # Entries times 9 go with factors times 3 and alpha times 9.
    scaled = FactorProblem(observe(9 * GAPPY, np.nan), 3, 9 * 0.05)
    np.testing.assert_allclose(scaled.certificate(3 * point).value, reference, rtol=1e-12)


# --- recovery by every solver -------------------------------------------------------------------


def test_the_declared_solvers_are_those_of_smooth_sums_and_blocks():
    assert {"als", "cd", "hals", "lbfgs", "nonlinear_cg", "newton_cg", "adam", "sgd"} <= set(
        SOLVERS
    )
    assert not {"anderson_cd", "fista", "cholesky", "saga"} & set(SOLVERS)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_every_solver_finds_a_low_rank_matrix(solver):
    if is_stochastic(solver):
        # Rules without a line search take many short steps at their own rates: what they must do
        # in this budget is find the matrix (the mean of the cells has an error of one).
        budget = BUDGETS.get(solver, 600)
        model = penalised(3, alpha=1e-3, solver=solver, max_iter=budget, random_state=0)
        assert error(model.fit(GAPPY), GAPPY, FULL) < 0.1
        return
    model = penalised(3, alpha=1e-3, solver=solver, random_state=0).fit(GAPPY)
    best = penalised(3, alpha=1e-3, tol=1e-8).fit(GAPPY).loss_curve_[-1]
    assert model.loss_curve_[-1] <= best * (1 + 1e-3)
    assert error(model, GAPPY, FULL) < 0.01
    assert model.solve_report_.status == "converged"
    assert model.solve_report_.certificate <= model.tol


@pytest.mark.parametrize("fit_bias", BIASES)
@pytest.mark.parametrize("solver", ["als", "lbfgs", "newton_cg"])
def test_noiseless_recovery_with_hardly_any_penalty(solver, fit_bias):
    full = FULL + 5.0 if fit_bias else FULL
    X = with_gaps(full)
    model = penalised(3, alpha=1e-7, solver=solver, fit_bias=fit_bias, tol=1e-5)
    assert error(model.fit(X), X, full) < 1e-3


def test_alpha_zero_is_plain_least_squares():
    model = penalised(3, alpha=0, tol=1e-6).fit(GAPPY)
    assert error(model, GAPPY, FULL) < 1e-4


def test_biases_model_an_additive_matrix():
    rows, cols = np.random.default_rng(0).standard_normal((2, 25))
    full = 3.0 + rows[:, None] + cols
    X = with_gaps(full)
    both = penalised(1, alpha=1e-4, fit_bias="both").fit(X)
    assert error(both, X, full) < 0.01
    np.testing.assert_allclose(np.corrcoef(both.row_bias_, rows)[0, 1], 1, atol=0.01)
    only_rows = penalised(1, fit_bias="rows").fit(X)
    assert only_rows.row_bias_.any() and not only_rows.col_bias_.any()


def test_a_solver_that_does_not_fit_gives_the_reason_and_the_others():
    with pytest.raises(IncompatibleSolverError, match=r"columns of X.*'als'.*'lbfgs'"):
        penalised(solver="anderson_cd").fit(GAPPY)


def test_a_solver_instance_carries_its_options():
    model = penalised(3, solver=LBFGS()).fit(GAPPY)
    assert model.solver_ == "lbfgs"


# --- the transformer ----------------------------------------------------------------------------


@pytest.mark.parametrize("fit_bias", BIASES)
def test_observed_cells_stay_and_fit_transform_is_fit_then_transform(fit_bias):
    model = penalised(3, fit_bias=fit_bias)
    filled = model.fit_transform(GAPPY)
    observed = ~np.isnan(GAPPY)
    np.testing.assert_array_equal(filled[observed], GAPPY[observed])
    assert np.isfinite(filled).all()
    np.testing.assert_allclose(model.transform(GAPPY), filled, atol=1e-12)
    np.testing.assert_allclose(model.transform(GAPPY[5:8]), filled[5:8], atol=1e-12)


def test_row_factors_are_those_of_the_transform_whatever_solver_ran():
    model = penalised(3, solver="lbfgs", tol=1e-2).fit(GAPPY)
    values = model.row_factors_ @ model.components_
    missing = np.isnan(GAPPY)
    np.testing.assert_allclose(model.transform(GAPPY)[missing], values[missing], atol=1e-10)


def test_new_rows_are_ridge_regressions_on_the_column_factors():
    model = penalised(3, alpha=0.2).fit(GAPPY)
    new = with_gaps(low_rank(1, seed=9))
    seen = ~np.isnan(new[0])
    V = model.components_.T[seen]
    u = np.linalg.solve(V.T @ V + 0.2 * seen.sum() * np.eye(3), V.T @ new[0, seen])
    np.testing.assert_allclose(
        model.transform(new)[0, ~seen], (u @ model.components_)[~seen], atol=1e-12
    )


def test_components_are_orthogonal_and_ordered():
    model = penalised(3, solver="lbfgs").fit(GAPPY)
    counts = (~np.isnan(GAPPY)).sum(axis=0)
    gram = (model.components_ * counts) @ model.components_.T
    sizes = np.diag(gram)
    assert np.all(np.diff(sizes) < 0)
    assert abs(gram - np.diag(sizes)).max() < 1e-10 * sizes[0]


def test_parameters_set_after_the_fit_wait_for_the_next_fit():
    model = penalised(3).fit(GAPPY)
    before = model.transform(GAPPY)
    model.set_params(alpha=10.0, fit_bias="both", n_components=1)
    np.testing.assert_array_equal(model.transform(GAPPY), before)


def test_a_pipeline_with_a_scaler_goes_forth_and_back():
    full = low_rank() * np.linspace(1, 50, 30) + 100
    X = with_gaps(full)
    pipe = make_pipeline(StandardScaler(), penalised(3, alpha=1e-4, fit_bias="cols")).fit(X)
    filled = pipe.inverse_transform(pipe.transform(X))
    observed = ~np.isnan(X)
    np.testing.assert_allclose(filled[observed], X[observed], rtol=1e-10)
    wrong = ((filled - full) / full.std(axis=0))[~observed]
    assert np.sqrt(np.mean(wrong**2)) < 0.01


@pytest.mark.parametrize("frame", ["pandas", "polars"])
def test_frames_keep_their_names(frame):
    names = [f"f{j}" for j in range(30)]
    make = {
        "pandas": lambda a: pd.DataFrame(a, columns=names, index=range(7, 47)),
        "polars": lambda a: pl.DataFrame(a, schema=names),
    }[frame]
    X = make(GAPPY)
    model = penalised(3, random_state=0).set_output(transform=frame)
    out = model.fit_transform(X)
    assert list(out.columns) == names == list(model.get_feature_names_out())
    if frame == "pandas":
        assert list(out.index) == list(range(7, 47))
    expected = penalised(3, random_state=0).fit_transform(GAPPY)
    np.testing.assert_allclose(out.to_numpy(), expected, atol=1e-12)
    with pytest.raises(ValueError, match="feature names"):
        model.transform(X[names[::-1]])


def test_float32_stays_float32():
    model = penalised(3, alpha=1e-3).fit(GAPPY.astype(np.float32))
    assert {a.dtype for a in (model.components_, model.row_factors_)} == {np.dtype("float32")}
    filled = model.transform(GAPPY.astype(np.float32))
    assert filled.dtype == np.float32
    reference = penalised(3, alpha=1e-3).fit_transform(GAPPY)
    np.testing.assert_allclose(filled, reference, atol=5e-3)


def test_pickle_and_clone():
    model = penalised(3, fit_bias="both").fit(GAPPY)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.transform(GAPPY), model.transform(GAPPY))
    with pytest.raises(NotFittedError):
        clone(model).transform(GAPPY)


@pytest.mark.parametrize("fit_bias", [False, "both"])
@pytest.mark.parametrize("device", ["CPU_DEVICE", "device1"])
def test_other_namespaces_give_the_same_answer(device, fit_bias):
    device = array_api_strict.Device(device)
    X = array_api_strict.asarray(GAPPY, device=device)
    params = {"fit_bias": fit_bias, "random_state": 0}
    model = penalised(3, **params).fit(X)
    host = penalised(3, **params).fit(GAPPY)
    filled = model.transform(X)
    assert filled.device == device
    cpu = array_api_strict.Device("CPU_DEVICE")
    np.testing.assert_allclose(np.asarray(filled.to_device(cpu)), host.transform(GAPPY), atol=1e-10)
    assert model.score(X) == pytest.approx(host.score(GAPPY), abs=1e-10)
    values = model.predict_entries([[0, 1], [99, 3]])
    np.testing.assert_allclose(
        np.asarray(values.to_device(cpu)), host.predict_entries([[0, 1], [99, 3]]), atol=1e-10
    )


# --- sparse data and pairs ----------------------------------------------------------------------


@pytest.mark.parametrize("fit_bias", BIASES)
def test_stored_entries_are_the_observed_ones_zeros_too(fit_bias):
    X = with_gaps(np.round(low_rank(seed=4)))
    observed = ~np.isnan(X)
    assert (X[observed] == 0).sum() > 100
    stored = sparse.coo_array((X[observed], np.nonzero(observed)), shape=X.shape)
    params = {"fit_bias": fit_bias, "random_state": 0}
    dense = penalised(3, **params).fit(X)
    for data in (stored.tocsr(), stored.tocsc()):
        model = penalised(3, **params).fit(data)
        np.testing.assert_allclose(model.transform(data), dense.transform(X), atol=1e-9)
        assert model.score(data) == pytest.approx(dense.score(X), abs=1e-9)


@pytest.mark.parametrize("fit_bias", BIASES)
def test_pairs_are_the_same_model_in_any_order(fit_bias):
    pairs, values = as_pairs(GAPPY)
    shuffled = np.random.default_rng(0).permutation(len(values))
    model = penalised(3, fit_bias=fit_bias, random_state=0)
    model.fit(pairs[shuffled], values[shuffled])
    matrix = penalised(3, fit_bias=fit_bias, random_state=0).fit(GAPPY)
    cells = np.argwhere(np.isnan(GAPPY))
    np.testing.assert_allclose(
        model.predict(cells), matrix.transform(GAPPY)[tuple(cells.T)], atol=1e-9
    )
    np.testing.assert_allclose(model.predict(cells), matrix.predict_entries(cells), atol=1e-9)
    assert model.n_features_in_ == 2


def test_ids_are_any_integers_and_unseen_ones_get_what_is_known():
    pairs, values = as_pairs(GAPPY + 3.0)
    ids = pairs * [1000, -7] + [10**12, 5]
    # The columns are numbered backwards now: another start, the same solution.
    model = penalised(3, fit_bias="both", tol=1e-10).fit(ids, values)
    plain = penalised(3, fit_bias="both", tol=1e-10).fit(pairs, values)
    np.testing.assert_allclose(model.predict(ids), plain.predict(pairs), atol=1e-7)
    unseen = plain.predict([[999, 4], [4, 999], [999, 999]])
    expected = [plain.mean_ + plain.col_bias_[4], plain.mean_ + plain.row_bias_[4], plain.mean_]
    np.testing.assert_allclose(unseen, expected)
    no_bias = penalised(3).fit(pairs, values)
    np.testing.assert_allclose(no_bias.predict([[999, 4], [-1, -1]]), values.mean())


@pytest.mark.parametrize("fit_bias", [False, "both"])
def test_weights_repeat_pairs(fit_bias):
    pairs, values = as_pairs(low_rank(12, 9, 2, noise=0.3))
    weights = np.random.default_rng(0).integers(0, 4, len(values))
    params = {"fit_bias": fit_bias, "tol": 1e-9, "random_state": 0}
    weighted = penalised(2, **params).fit(pairs, values, sample_weight=weights)
    repeated = penalised(2, **params)
    repeated.fit(np.repeat(pairs, weights, axis=0), np.repeat(values, weights))
    np.testing.assert_allclose(weighted.predict(pairs), repeated.predict(pairs), atol=1e-8)
    assert weighted.mean_ == pytest.approx(np.average(values, weights=weights))


def test_weights_repeat_rows():
    X = with_gaps(low_rank(12, 9, 2, noise=0.3))
    weights = np.random.default_rng(0).integers(0, 4, 12)
    weighted = penalised(2, random_state=0).fit(X, sample_weight=weights)
    repeated = penalised(2, random_state=0).fit(np.repeat(X, weights, axis=0))
    np.testing.assert_allclose(weighted.transform(X), repeated.transform(X), atol=1e-8)


def test_ratings_can_be_cross_validated_and_searched():
    pairs, values = as_pairs(with_gaps(low_rank(noise=0.1) + 4.0))
    folds = KFold(3, shuffle=True, random_state=0)
    model = penalised(3, fit_bias="both", alpha=0.01)
    assert cross_val_score(model, pairs, values, cv=folds).min() > 0.8
    # cross_val_predict wants to see predict before the fit.
    model.set_params(input="pairs")
    assert cross_val_predict(model, pairs, values, cv=folds).shape == values.shape
    # Folds of whole rows: nothing is known of them but the biases of the columns.
    assert np.isfinite(cross_val_score(model, pairs, values, cv=3)).all()
    grid = {"n_components": [1, 3], "solver": ["als", "lbfgs"]}
    search = GridSearchCV(penalised(fit_bias="both", alpha=0.01), grid, cv=folds)
    search.fit(pairs, values)
    assert search.best_params_["n_components"] == 3
    assert search.predict(pairs[:4]).shape == (4,)


def test_a_grid_search_on_a_matrix_finds_the_rank():
    grid = {"n_components": [1, 3], "solver": ["als", LBFGS()]}
    search = GridSearchCV(penalised(alpha=1e-3), grid, cv=3).fit(with_gaps(low_rank(80)))
    assert search.best_params_["n_components"] == 3
    assert search.best_score_ > 0.95


def test_input_settles_what_two_integer_columns_mean():
    X, y = np.array([[0, 1], [1, 1], [2, 0]]), np.array([1.0, 2.0, 3.0])
    assert hasattr(penalised(1).fit(X, y), "row_ids_")
    assert not hasattr(penalised(1).fit(X), "row_ids_")
    assert not hasattr(penalised(1).fit(X.astype(float), y), "row_ids_")
    assert not hasattr(penalised(1, input="matrix").fit(X, y), "row_ids_")
    model = penalised(1, input="pairs").fit(X.astype(float), y)
    assert hasattr(model, "row_ids_")
    model.set_params(input="matrix").fit(X, y)
    assert not hasattr(model, "row_ids_")


def test_the_methods_say_what_form_of_data_they_need():
    pairs, values = as_pairs(GAPPY)
    model = penalised(3).fit(pairs, values)
    with pytest.raises(ValueError, match=r"fitted on pairs.*predict\(pairs\)"):
        model.transform(GAPPY)
    with pytest.raises(ValueError, match="need their true values y"):
        model.score(pairs)
    matrix = penalised(3).fit(GAPPY)
    assert not hasattr(matrix, "predict")
    with pytest.raises(AttributeError) as raised:
        matrix.predict(pairs)
    assert "predict_entries" in str(raised.value.__cause__)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        ([[0.5, 1], [1, 2]], [1.0, 2.0], "must be integers"),
        ([[0.0, np.inf], [1, 2]], [1.0, 2.0], "contain NaN or infinity"),
        ([[0.0, 1], [np.nan, 2]], [1.0, 2.0], "contain NaN or infinity"),
        ([["a", "b"], ["c", "d"]], [1.0, 2.0], "must be integers"),
        ([[0, 1, 2]], [1.0], "shape"),
        ([[0, 1], [1, 2]], None, "need their values y"),
        ([[0, 1], [1, 2]], [1.0], "inconsistent"),
        ([[0, 1], [1, 2]], [1.0, np.nan], "NaN"),
    ],
)
def test_bad_pairs(X, y, message):
    with pytest.raises(ValueError, match=message):
        penalised(input="pairs").fit(X, y)


@pytest.mark.parametrize("kind", ["array", "frame"])
def test_names_are_pairs_and_are_told_how_to_become_numbers(kind):
    X = np.array([["ann", "tea"], ["bob", "milk"], ["ann", "milk"]])
    X = X if kind == "array" else pd.DataFrame(X, columns=["who", "what"])
    with pytest.raises(ValueError, match="OrdinalEncoder"):
        penalised(1).fit(X, [1.0, 2.0, 3.0])


# --- robustness ---------------------------------------------------------------------------------


@pytest.mark.parametrize("fit_bias", BIASES)
@pytest.mark.parametrize("solver", ["als", "lbfgs"])
def test_rows_and_columns_without_entries(solver, fit_bias):
    X = GAPPY + 2.0
    X[3], X[:, 7] = np.nan, np.nan
    model = penalised(3, solver=solver, fit_bias=fit_bias).fit(X)
    assert not model.components_[:, 7].any() and not model.row_factors_[3].any()
    filled = model.transform(X)
    assert np.isfinite(filled).all()
    np.testing.assert_allclose(filled[3, 7], model.mean_)
    if not fit_bias:
        np.testing.assert_allclose(filled[3], model.mean_)
        np.testing.assert_allclose(filled[:, 7], model.mean_)
    pairs = np.argwhere(np.isnan(X))
    np.testing.assert_allclose(model.predict_entries(pairs), filled[tuple(pairs.T)], atol=1e-10)


@pytest.mark.parametrize("fit_bias", BIASES)
@pytest.mark.parametrize(
    "X",
    [
        [[1.0, np.nan, 3.0]],
        [[1.0], [np.nan], [3.0]],
        [[2.0]],
        [[np.nan, 2.0], [np.nan, np.nan]],
        np.zeros((4, 3)),
        np.where(np.eye(5) > 0, np.nan, 7.0),
        np.arange(12).reshape(4, 3),
    ],
    ids=["row", "column", "cell", "one entry", "zeros", "constant", "integers, all observed"],
)
def test_degenerate_matrices(X, fit_bias):
    model = penalised(fit_bias=fit_bias)
    filled = model.fit_transform(X)
    assert np.isfinite(filled).all()
    assert model.n_components_ == min(10, *np.shape(X))
    observed = ~np.isnan(np.asarray(X, dtype=float))
    np.testing.assert_array_equal(filled[observed], np.asarray(X)[observed])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "options",
    [
        {"alpha": "auto"},
        {"alpha": "auto", "solver": "gibbs"},
        {"alpha": 0},
        {"alpha": 0, "solver": "irls"},
        {"alpha": 0, "solver": "svt"},
        {"alpha": 0, "solver": "riemannian_cg"},
        {"alpha": 0.1, "solver": "scaled_gd"},
        {"alpha": 0.1, "penalty": "nuclear", "solver": "fista"},
        {"penalty": "nuclear_ball", "radius": 1.0, "solver": "frank_wolfe"},
        {"loss": "huber"},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_zeros_are_completed_by_zeros(options, dtype):
    X = with_gaps(np.zeros((20, 15)), 0.6).astype(dtype)
    model = MatrixCompletion(3, random_state=0, **options)
    np.testing.assert_array_equal(model.fit(X).transform(X), np.zeros_like(X))


def test_a_constant_matrix_is_completed_by_its_constant():
    filled = penalised(fit_bias="both").fit_transform(np.where(np.eye(5) > 0, np.nan, 7.0))
    np.testing.assert_allclose(filled, 7.0)


def test_the_data_are_not_written():
    X, kept = GAPPY.copy(), GAPPY.copy()
    X.setflags(write=False)
    penalised(3, fit_bias="both").fit(X).transform(X)
    np.testing.assert_array_equal(X, kept)


def test_the_rank_is_what_was_asked_for_or_an_error():
    assert penalised(tol=1.0).fit(low_rank(30, 4, 2)).n_components_ == 4
    assert penalised(tol=1.0).fit(low_rank(30, 20)).n_components_ == 10
    for data in (low_rank(30, 4, 2), sparse.csr_array(low_rank(4, 30, 2))):
        assert penalised(4, max_iter=2, tol=1.0).fit(data).n_components_ == 4
        with pytest.raises(ValueError, match=r"n_components=5 is above .* Use n_components <= 4"):
            penalised(5).fit(data)
    pairs, values = as_pairs(low_rank(3, 9, 2))
    with pytest.raises(ValueError, match="n_components=5 is above the smaller side of the 3 x 9"):
        penalised(5).fit(pairs, values)


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
def test_nothing_observed_is_an_error(make):
    with pytest.raises(ValueError, match="no observed entry"):
        penalised().fit(make(np.full((4, 3), np.nan)))


def test_infinite_entries_are_an_error():
    with pytest.raises(ValueError, match="infinity"):
        penalised().fit([[1.0, np.inf], [2.0, 3.0]])


def test_another_mark_of_missing_cells():
    X = np.where(np.isnan(GAPPY), -99.0, GAPPY)
    model = penalised(3, missing_values=-99, random_state=0)
    filled = model.fit_transform(X)
    expected = penalised(3, random_state=0).fit_transform(GAPPY)
    np.testing.assert_array_equal(filled, expected)
    assert not get_tags(model).input_tags.allow_nan
    assert get_tags(penalised()).input_tags.allow_nan
    with pytest.raises(ValueError, match="NaN"):
        model.fit(GAPPY)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_components", 0),
        ("n_components", 2.0),
        ("n_components", True),
        ("n_components", "all"),
        ("alpha", -1),
        ("alpha", np.inf),
        ("alpha", "learned"),
        ("scale", 1),
        ("clip", "range"),
        ("clip", (2, 1)),
        ("add_indicator", None),
        ("keep_empty_features", "yes"),
        ("dtype", "float16"),
        ("fit_bias", True),
        ("fit_bias", "columns"),
        ("input", "triples"),
        ("missing_values", None),
        ("missing_values", np.inf),
        ("max_iter", 0),
        ("max_time", 0),
        ("tol", -1.0),
        ("n_init", 0),
        ("warm_start", 1),
        ("verbose", "yes"),
        ("device", "tpu"),
    ],
)
def test_bad_parameters_are_named_with_their_value(name, value):
    with pytest.raises(ValueError) as raised:
        penalised(**{name: value}).fit(GAPPY)
    assert f"{name}={value!r}" in str(raised.value)


def test_a_matrix_that_is_not_determined_warns():
    with pytest.warns(ConvergenceWarning, match=r"are fewer than the 60 degrees of freedom"):
        penalised(2, alpha=0, max_iter=5).fit(with_gaps(low_rank(20, 12, 2), 0.9))
    X = with_gaps(low_rank(20, 12, 2), 0.3)
    X[4, 1:], X[4, 0] = np.nan, 1.0
    with pytest.warns(ConvergenceWarning, match=r"1 rows have fewer entries than the rank"):
        penalised(2, alpha=0).fit(X)


# --- score, starts, reports ---------------------------------------------------------------------


def test_the_score_predicts_cells_it_does_not_see():
    X = with_gaps(low_rank(60))
    model = penalised(3, alpha=1e-4).fit(X)
    assert model.score(X) > 0.999
    assert model.score(X) == model.score(X)
    noise = np.random.default_rng(0).standard_normal((60, 30))
    # On noise, seen cells are fitted well, hidden ones cannot be.
    assert penalised(10, alpha=1e-3).fit(noise).score(noise[:, ::-1]) < 0.2


@pytest.mark.parametrize("layout", ["dense", "entries"])
def test_a_fifth_of_each_row_is_hidden(layout):
    X = with_gaps(low_rank(20, 40))
    X[0] = np.nan
    X[1, 1:], X[1, 0] = np.nan, 1.0
    observed = observe(X, np.nan)
    if layout == "entries":
        rows, cols = np.nonzero(~np.isnan(X))
        observed = Entries(*sorted_entries(rows, cols, X[rows, cols], np.ones(len(rows)), X.shape))
    kept, hidden = observed.hide(0.2)
    count = (~np.isnan(X)).sum(axis=1)
    expected = np.where(count > 1, np.maximum(1, np.round(0.2 * count)), 0)
    np.testing.assert_array_equal(observed._per_row(hidden), expected)
    np.testing.assert_array_equal(kept.row_weight, count - expected)


def test_too_few_cells_to_score():
    model = penalised(1).fit(GAPPY)
    one = np.full((1, 30), np.nan)
    one[0, 0] = 1.0
    with pytest.raises(ValueError, match="two hidden cells"):
        model.score(one)


def test_warm_start_goes_on_from_the_column_factors():
    model = penalised(3, warm_start=True, tol=1e-8)
    cold = model.fit(GAPPY).n_iter_
    warm = model.fit(GAPPY).n_iter_
    assert warm < cold / 2
    with pytest.raises(ValueError, match="warm_start=True"):
        model.set_params(n_components=2).fit(GAPPY)
    with pytest.raises(ValueError, match="warm_start=True"):
        model.set_params(n_components=3).fit(GAPPY[:, :20])


def test_warm_start_on_pairs_keeps_known_columns_and_adds_new_ones():
    pairs, values = as_pairs(GAPPY)
    early = pairs[:, 1] < 25
    model = penalised(3, warm_start=True, alpha=1e-3, tol=1e-6)
    model.fit(pairs[early], values[early])
    model.fit(pairs, values)
    assert model.components_.shape == (3, 30)
    cells = np.argwhere(np.isnan(GAPPY))
    filled = model.predict(cells)
    assert np.linalg.norm(filled - FULL[tuple(cells.T)]) < 0.01 * np.linalg.norm(filled)


def test_the_best_of_several_starts_is_kept():
    X = with_gaps(low_rank(15, 12, 3, noise=0.5, seed=3), 0.5)
    one = penalised(3, alpha=0.05, random_state=0).fit(X)
    many = penalised(3, alpha=0.05, random_state=0, n_init=6).fit(X)
    assert many.loss_curve_[-1] < 0.999 * one.loss_curve_[-1]
    again = penalised(3, alpha=0.05, random_state=0, n_init=6).fit(X)
    np.testing.assert_array_equal(many.components_, again.components_)


def test_the_report_and_the_loss_curve():
    model = penalised(3, tol=1e-6).fit(GAPPY)
    assert np.all(np.diff(model.loss_curve_) <= 1e-12)
    report = model.solve_report_
    assert report.certificate_kind == "stationarity" and report.certificate <= 1e-6
    assert report.objective == model.loss_curve_[-1]
    assert report.kernel == "cython"
    assert model.n_iter_ == report.n_iter


def test_budgets_warn():
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        penalised(3, max_iter=1, tol=1e-9).fit(GAPPY)
    with pytest.warns(ConvergenceWarning, match="max_time"):
        penalised(3, max_time=1e-9, tol=1e-9).fit(GAPPY)


def test_verbose_prints_a_line_per_report(capsys):
    penalised(3, verbose=True).fit(GAPPY)
    assert "stationarity" in capsys.readouterr().out


def test_sparse_entries_are_kept_once():
    """What a fit allocates, over the triplets: weights, an order by columns, and two passes."""
    rng = np.random.default_rng(0)
    m, n, q = 4000, 2000, 400_000
    where = np.sort(rng.choice(m * n, q, replace=False))
    values = rng.standard_normal(q)
    X = sparse.csr_array((values, (where // n, where % n)), shape=(m, n))
    model = MatrixCompletion(2, alpha=0.1, solver="als", tol=1e-2, random_state=0)
    model.fit(X[:100])  # lazy imports are not the fit's
    tracemalloc.start()
    model.fit(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2.5 * 16 * q
