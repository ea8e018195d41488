"""scikit-learn's contract on `TensorCompletion`, whose X are positions: no array of floats fits."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.base import clone, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import KFold, cross_val_score
from sklearn.utils import estimator_checks as checks

import skopt_dl
from skopt_dl import MatrixCompletion, TensorCompletion
from skopt_dl.inspection import solver_table

# Those of scikit-learn's checks that bring no data of their own, or data to be refused.
WITHOUT_DATA = (
    checks.check_estimator_sparse_array,
    checks.check_estimator_sparse_matrix,
    checks.check_do_not_raise_errors_in_init_or_set_params,
    checks.check_estimator_cloneable,
    checks.check_estimator_repr,
    checks.check_estimator_tags_renamed,
    checks.check_get_params_invariance,
    checks.check_mixin_order,
    checks.check_no_attributes_set_in_init,
    checks.check_parameters_default_constructible,
    checks.check_set_params,
    checks.check_valid_tag_types,
)


def ratings(dtype="float64", seed=0):
    """Positions of three modes with ids that are no numbers of rows, and their values."""
    rng = np.random.default_rng(seed)
    factors = [rng.uniform(0.5, 1.5, (size, 2)) for size in (9, 8, 7)]
    full = np.einsum("ia,ja,ka->ijk", *factors)
    X = np.argwhere(rng.random(full.shape) < 0.6)
    return 10 * X - 5, full[tuple(X.T)].astype(dtype)


@pytest.mark.parametrize("form", ["cp", "tucker"])
@pytest.mark.parametrize("check", WITHOUT_DATA, ids=lambda c: c.__name__)
def test_checks_that_bring_no_data(check, form):
    check("TensorCompletion", TensorCompletion(2, form=form))


def test_it_stands_at_the_top():
    assert skopt_dl.TensorCompletion is TensorCompletion and is_regressor(TensorCompletion())


@pytest.mark.parametrize("form", ["cp", "tucker"])
def test_fits_are_repeatable_leave_data_alone_and_survive_a_pickle(form):
    X, y = ratings()
    before = X.copy(), y.copy()
    model = TensorCompletion(2, form=form, alpha=1e-3, n_init=2, random_state=0)
    assert model.fit(X, y) is model
    for given, kept in zip((X, y), before, strict=True):
        np.testing.assert_array_equal(given, kept)
    known = model.predict(X)
    for other in (clone(model).fit(X, y), pickle.loads(pickle.dumps(model)), model.fit(X, y)):
        np.testing.assert_array_equal(other.predict(X), known)
    assert model.n_features_in_ == 3 and model.n_iter_ >= 1
    assert model.score(X, y) > 0.99
    assert cross_val_score(model, X, y, cv=KFold(3, shuffle=True, random_state=0)).min() > 0.9
    # One position at a time or the others' order makes no difference.
    one = np.concatenate([model.predict(X[i : i + 1]) for i in range(20)])
    np.testing.assert_allclose(one, known[:20], rtol=1e-12)
    order = np.random.default_rng(1).permutation(len(X))
    np.testing.assert_allclose(model.predict(X[order]), known[order], rtol=1e-12)


def test_lists_columns_of_y_and_frames():
    pd = pytest.importorskip("pandas")
    X, y = ratings()
    model = TensorCompletion(2, alpha=1e-3, n_init=1, random_state=0)
    known = model.fit(X, y).predict(X)
    np.testing.assert_array_equal(clone(model).fit(X.tolist(), y.tolist()).predict(X), known)
    frame = pd.DataFrame(X, columns=["user", "item", "week"])
    named = clone(model).fit(frame, y)
    assert list(named.feature_names_in_) == ["user", "item", "week"]
    np.testing.assert_array_equal(named.predict(frame), known)
    with pytest.raises(ValueError, match="feature names should match"):
        named.predict(frame.rename(columns={"week": "day"}))


def test_frames_of_pairs_keep_their_names():
    pd = pytest.importorskip("pandas")
    X, y = ratings()
    frame = pd.DataFrame(X[:, :2], columns=["user", "item"])
    model = MatrixCompletion(1, alpha=0.1, fit_bias="both", random_state=0).fit(frame, y)
    assert list(model.feature_names_in_) == ["user", "item"]
    with pytest.raises(ValueError, match="feature names should match"):
        model.partial_fit(frame.rename(columns={"item": "film"}), y)


@pytest.mark.parametrize("form", ["cp", "tucker"])
def test_the_table_of_solvers_knows_it(form):
    table = solver_table(TensorCompletion(2, form=form), *ratings())
    assert {"als", "lbfgs"} <= {row.name for row in table if row.fits}


def test_errors():
    X, y = ratings()
    with pytest.raises(NotFittedError):
        TensorCompletion().predict(X)
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match=r"NaN|infinity"):
            TensorCompletion().fit(X, np.where(y == y[0], bad, y))
    with pytest.raises(ValueError, match="inconsistent"):
        TensorCompletion().fit(X, y[:-1])
    with pytest.raises(ValueError, match="y"):
        TensorCompletion().fit(X, None)
