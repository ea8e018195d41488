"""Searches over networks: settings of a solver, halving over epochs, workers that share cores."""

import os
import warnings

import numpy as np
import pytest
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_info

from skopt_dl import MLPClassifier, MLPRegressor, Ridge
from skopt_dl.solvers import Adam, Nesterov

pytestmark = pytest.mark.filterwarnings("ignore:MLP.* did not converge")
X, LABELS = load_digits(return_X_y=True)
X, LABELS = X[:240] / 16, LABELS[:240]


def network(**params):
    return MLPClassifier(**{"hidden_layer_sizes": (12,), "max_iter": 8, "random_state": 0} | params)


def test_a_grid_over_the_rate_of_a_solver_is_its_fits_one_by_one():
    grid = {"solver__learning_rate": [1e-4, 1e-2, 0.1], "solver__beta_1": [0.5, 0.9]}
    model, own = network(solver=Adam()), Adam()
    search = GridSearchCV(model, grid, cv=3).fit(X, LABELS)
    assert model.solver == own  # The user's instance is left as it is.
    assert search.best_params_["solver__learning_rate"] != 1e-4
    again = clone(model).set_params(**search.best_params_).fit(X, LABELS)
    np.testing.assert_array_equal(search.best_estimator_.coefs_[0], again.coefs_[0])


def test_a_random_search_over_two_rules_in_a_pipeline():
    model = make_pipeline(StandardScaler(), network())
    space = [
        {
            "mlpclassifier__solver": [rule],
            "mlpclassifier__solver__learning_rate": loguniform(1e-3, 1e-1),
        }
        for rule in (Adam(), Nesterov())
    ]
    search = RandomizedSearchCV(model, space, n_iter=4, cv=2, random_state=0).fit(X, LABELS)
    rates = [p["mlpclassifier__solver__learning_rate"] for p in search.cv_results_["params"]]
    assert len(set(rates)) == 4


def test_halving_spends_epochs_on_the_better_half():
    grid = {"learning_rate_init": [1e-4, 1e-3, 1e-2, 3e-2]}
    search = HalvingGridSearchCV(
        network(), grid, resource="max_iter", min_resources=4, max_resources=16, factor=2, cv=2
    ).fit(X, LABELS)
    assert search.n_resources_ == [4, 8, 16]
    assert search.n_candidates_ == [4, 2, 1]
    assert search.best_estimator_.n_iter_ == 16
    # A round begins with the epochs of the one before; clones have no start that is warm.
    first = network(**search.best_params_ | {"max_iter": 4}).fit(X, LABELS)
    assert search.best_estimator_.loss_curve_[:4] == first.loss_curve_
    warm = clone(search).set_params(estimator__warm_start=True).fit(X, LABELS)
    scores = "mean_test_score"
    np.testing.assert_array_equal(warm.cv_results_[scores], search.cv_results_[scores])
    assert search.best_params_["learning_rate_init"] >= 1e-2


def most_threads():
    """How many threads BLAS would take here."""
    return float(max(pool["num_threads"] for pool in threadpool_info()))


@pytest.mark.slow
def test_workers_do_not_take_more_threads_than_there_are_cores():
    n_jobs = 2

    # A function of a test goes to the workers by its code: they cannot import this file.
    def score(model, X, y):
        return float(max(pool["num_threads"] for pool in threadpool_info()))

    search = GridSearchCV(
        network(max_iter=2), {"alpha": [0.0, 1.0]}, cv=2, n_jobs=n_jobs, scoring=score
    ).fit(X, LABELS)
    threads = search.cv_results_["mean_test_score"]
    assert np.all(threads * n_jobs <= max(n_jobs, os.cpu_count()))


def test_threads_are_bounded_during_the_fit_alone():
    before = most_threads()
    seen = []

    class Watching(Adam):
        def _start(self, problem, w):
            seen.append(most_threads())
            return super()._start(problem, w)

    network(solver=Watching(), n_threads=1).fit(X, LABELS)
    assert seen == [1.0]
    assert most_threads() == before


def test_pruning_by_partial_fit_keeps_the_best_candidate():
    """Epochs in turns, the worse half dropped: what a pruner does, on models that go on."""
    models = [
        MLPRegressor(
            hidden_layer_sizes=(8,), learning_rate_init=r, random_state=0, resume=True, max_iter=12
        )
        for r in (1e-4, 1e-3, 1e-2, 5e-2)
    ]
    alive = list(models)
    while len(alive) > 1:
        for model in alive:
            for _ in range(4):
                model.partial_fit(X, LABELS / 3)
        alive = sorted(alive, key=lambda m: m.loss_)[: len(alive) // 2]
    whole = clone(alive[0]).fit(X, LABELS / 3)
    assert whole.loss_curve_[:8] == alive[0].loss_curve_
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert alive[0].score(X, LABELS / 3) > models[0].score(X, LABELS / 3)


def test_options_of_a_solver_by_name_are_refused_with_what_to_give() -> None:
    search = GridSearchCV(MLPClassifier(solver="adam"), {"solver__learning_rate": [0.1]}, cv=2)
    with pytest.raises(ValueError, match="solver='adam' is a name, which has no parameters"):
        search.fit(X, LABELS)
    model = Ridge().set_params(solver__learning_rate=0.1, solver=Adam())
    assert model.solver.learning_rate == 0.1
