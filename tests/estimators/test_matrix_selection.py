"""Rank and penalty of a matrix completion, chosen on entries that the fit does not see."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from skopt_dl.matrix_completion import EntryKFold, MatrixCompletion, MatrixCompletionCV
from skopt_dl.matrix_completion.observe import observe


def noisy(m=60, n=40, rank=2, noise=0.3, share=0.4, seed=0):
    rng = np.random.default_rng(seed)
    full = rng.standard_normal((m, rank)) @ rng.standard_normal((rank, n))
    X = full + noise * rng.standard_normal((m, n))
    return np.where(rng.random((m, n)) < share, np.nan, X), full


def test_folds_spread_every_row():
    rng = np.random.default_rng(0)
    pairs = np.column_stack([rng.integers(0, 12, 200), rng.integers(0, 50, 200)])
    folds = list(EntryKFold(4, random_state=0).split(pairs))
    tests = np.concatenate([test for _, test in folds])
    np.testing.assert_array_equal(np.sort(tests), np.arange(200))
    for train, test in folds:
        assert not set(train) & set(test)
        for row in range(12):
            count = np.sum(pairs[:, 0] == row)
            assert np.sum(pairs[test, 0] == row) in (count // 4, -(-count // 4))
    again = [test for _, test in EntryKFold(4, random_state=0).split(pairs)]
    np.testing.assert_array_equal(np.concatenate(again), tests)
    other = [test for _, test in EntryKFold(4, random_state=1).split(pairs)]
    assert not np.array_equal(np.concatenate(other), tests)


@pytest.mark.parametrize("n_splits", [1, 2.0, True])
def test_bad_numbers_of_folds(n_splits):
    with pytest.raises(ValueError, match=f"n_splits={n_splits!r}"):
        list(EntryKFold(n_splits).split([[0, 0], [1, 1]]))


def test_more_folds_than_entries():
    with pytest.raises(ValueError, match="n_splits=3 folds of 2 entries"):
        list(EntryKFold(3).split([[0, 0], [1, 1]]))


def test_folds_serve_scikit_learns_tools():
    X, _ = noisy()
    pairs = np.argwhere(~np.isnan(X))
    model = MatrixCompletion(2, random_state=0)
    scores = cross_val_score(model, pairs, X[tuple(pairs.T)], cv=EntryKFold(3, random_state=0))
    assert scores.min() > 0.9


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_parts_of_the_entries(share):
    X, _ = noisy(share=share)
    observed = observe(X, np.nan)
    folds, seen = observed.folds(3, seed=5), observed.weights > 0
    assert set(np.unique(folds[seen])) == {0, 1, 2}
    for k in range(3):
        rows = observed._per_row(((folds == k) & seen).astype(float))
        assert np.all(np.abs(rows - (~np.isnan(X)).sum(axis=1) / 3) < 1)
    assert not np.array_equal(folds, observed.folds(3, seed=6))


@pytest.mark.parametrize("form", ["matrix", "pairs"])
def test_the_rank_is_found(form):
    X, full = noisy()
    model = MatrixCompletionCV((1, 2, 5), cv=3, random_state=0)
    cells = np.argwhere(np.isnan(X))
    if form == "matrix":
        values = model.fit(X).transform(X)[tuple(cells.T)]
    else:
        pairs = np.argwhere(~np.isnan(X))
        values = model.fit(pairs, X[tuple(pairs.T)]).predict(cells)
    assert model.n_components_ == 2
    assert model.mse_path_.shape == (3, 7, 3)
    means = model.mse_path_.mean(axis=2)
    assert model.alpha_ == model.alphas_[np.argmin(means[1])]
    assert means.min() == means[1].min() < 1.5 * 0.3**2
    best = MatrixCompletion(2, alpha=model.alpha_, random_state=0).fit(X)
    np.testing.assert_allclose(values, best.transform(X)[tuple(cells.T)], atol=1e-3)
    assert np.linalg.norm(values - full[tuple(cells.T)]) < 0.2 * np.linalg.norm(values)


def test_biases_and_given_strengths():
    X, _ = noisy()
    model = MatrixCompletionCV(2, alphas=[1.0, 1e-3], cv=2, fit_bias="both", random_state=0)
    model.fit(X + 5.0)
    assert model.alpha_ == 1e-3 and list(model.alphas_) == [1e-3, 1.0]
    assert clone(model).fit(X + 5.0).alpha_ == 1e-3


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_components": ()}, r"n_components=\(\)"),
        ({"n_components": (2, 0)}, r"n_components=\(2, 0\)"),
        ({"n_components": "all"}, "n_components='all'"),
        ({"n_components": (2, 99)}, "n_components=99 is above the smaller side"),
        ({"alphas": []}, r"alphas=\[\]"),
        ({"alphas": [-1.0]}, r"alphas=\[-1.0\]"),
        ({"cv": 1}, "cv=1"),
    ],
)
def test_bad_parameters(params, message):
    with pytest.raises(ValueError, match=message):
        MatrixCompletionCV(**params).fit(noisy()[0])


def _not_promised(estimator):
    reason = "which entries are hidden depends on the positions of the rows"
    names = ("on_dense_data", "on_sparse_data")
    return {f"check_sample_weight_equivalence_{name}": reason for name in names}


def test_the_ranks_tried_by_default_are_those_that_fit():
    X, _ = noisy()
    for width, ranks in ((1, 1), (7, 2)):
        model = MatrixCompletionCV(alphas=[0.1], cv=2, random_state=0).fit(X[:, :width])
        assert model.mse_path_.shape == (ranks, 1, 2)


@pytest.mark.slow
@parametrize_with_checks(
    [MatrixCompletionCV(2, alphas=[0.1], cv=2, random_state=0)],
    expected_failed_checks=_not_promised,
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_gross_errors_do_not_choose():
    """Every twentieth entry is wrong by thirty deviations of the noise."""
    X, full = noisy(m=80, n=50, seed=4)
    wrong = np.random.default_rng(4).random(X.shape) < 0.05
    X[wrong] += 9.0
    search = {"n_components": (1, 2, 4), "alphas": (0.01, 0.1), "cv": 3, "random_state": 0}
    robust = MatrixCompletionCV(loss="huber", **search).fit(X)
    plain = MatrixCompletionCV(**search).fit(X)
    assert robust.n_components_ == 2
    assert robust.mse_path_.shape == (3, 2, 3) and np.all(robust.mse_path_ > 0)
    # What is compared is the loss: far below the mean of the squares.
    assert robust.mse_path_[1].max() < 0.5 * plain.mse_path_[1].min()
    gaps = np.isnan(X)
    errors = [np.linalg.norm((m.transform(X) - full)[gaps]) for m in (robust, plain)]
    assert errors[0] < 0.5 * errors[1]
    # The best pair is the model of these parameters.
    own = MatrixCompletion(2, alpha=robust.alpha_, loss="huber", random_state=0).fit(X)
    np.testing.assert_allclose(robust.components_, own.components_, rtol=1e-6)
    assert robust.loss_delta_ == own.loss_delta_ > 0


def test_the_absolute_loss_is_searched_too():
    X, _ = noisy()
    model = MatrixCompletionCV(2, alphas=(0.01, 0.1), loss="absolute", cv=2, random_state=0).fit(X)
    assert model.alpha_ in (0.01, 0.1) and model.score(X) > 0.8
    given = MatrixCompletionCV(2, alphas=(0.1,), loss="huber", delta=0.7, cv=2, random_state=0)
    assert given.fit(X).loss_delta_ == 0.7
    again = given.set_params(loss="squared").fit(X)
    assert not hasattr(again, "loss_delta_")


def test_a_search_has_no_radius():
    with pytest.raises(ValueError, match="penalty='nuclear_ball'"):
        MatrixCompletionCV(2, penalty="nuclear_ball").fit(noisy()[0])
