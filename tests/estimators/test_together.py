"""Networks trained together are those of one by one, to the last bit."""

import numpy as np
import pytest
import sklearn.model_selection as plain
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skopt_dl.model_selection as ours
from skopt_dl import MLPClassifier, MLPRegressor
from skopt_dl.dispatch import SOLVERS
from skopt_dl.kernels import bind, generic_network
from skopt_dl.neural_network import _together
from skopt_dl.neural_network.network import Network
from skopt_dl.solvers.stochastic.base import StochasticSolver

pytestmark = pytest.mark.filterwarnings("ignore:MLP.* did not converge")

rng = np.random.default_rng(0)
X = rng.standard_normal((120, 6))
LABELS = np.digitize(X[:, 0] + 0.3 * rng.standard_normal(120), [-0.5, 0.5])
COORDINATEWISE = [
    name
    for name in SOLVERS.names()
    if issubclass(SOLVERS.get(name), StochasticSolver) and SOLVERS.get(name).coordinatewise
]


def network(**params):
    return MLPClassifier(**{"hidden_layer_sizes": (8,), "solver": "adam", "max_iter": 6} | params)


@pytest.fixture
def stacks(monkeypatch):
    """The sizes of the stacks that are trained."""
    seen, train = [], _together.solve_together

    def spy(members):
        seen.append(len(members))
        train(members)

    monkeypatch.setattr(_together, "solve_together", spy)
    return seen


def assert_same(found, expected):
    assert found.loss_curve_ == expected.loss_curve_
    for a, b in zip(
        found.coefs_ + found.intercepts_, expected.coefs_ + expected.intercepts_, strict=True
    ):
        np.testing.assert_array_equal(a, b)
    assert found.validation_scores_ == expected.validation_scores_
    ours_, theirs = found.solve_report_, expected.solve_report_
    assert (ours_.status, ours_.n_iter, ours_.solver) == (
        theirs.status,
        theirs.n_iter,
        theirs.solver,
    )
    np.testing.assert_equal(ours_.certificate, theirs.certificate)
    assert ours_.oracle_calls == theirs.oracle_calls
    for column in theirs.history.keys() - {"seconds"}:
        np.testing.assert_array_equal(ours_.history[column], theirs.history[column])


def check(models, y=LABELS, **given):
    together = ours.fit_together([clone(m) for m in models], X, y, **given)
    rows = given.get("rows") or [np.arange(120)] * len(models)
    weights = given.get("sample_weight")
    for found, model, r in zip(together, models, rows, strict=True):
        more = {} if weights is None else {"sample_weight": weights[r]}
        assert_same(found, clone(model).fit(X[r], y[r], **more))


@pytest.mark.parametrize("name", COORDINATEWISE)
def test_every_coordinatewise_rule(name, stacks):
    check(
        [
            network(solver=name, learning_rate_init=0.02, alpha=a, random_state=k)
            for k, a in enumerate((0.0, 0.1, 10.0))
        ]
    )
    assert stacks == [3]


def test_the_rules_that_scikit_learn_has_are_coordinatewise():
    assert {"adam", "sgd", "momentum", "nesterov", "adamw"} <= set(COORDINATEWISE)
    assert not {"muon", "shampoo", "adagrad_norm", "dog", "sam"} & set(COORDINATEWISE)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_precisions_activations_weights_and_rows(dtype, activation, stacks):
    parts = [np.arange(0, 90), np.arange(30, 120)]
    models = [
        network(dtype=dtype, activation=activation, alpha=a, random_state=k, shuffle=k < 4)
        for k, a in enumerate((0.0, 0.01, 0.1, 1.0, 0.0, 0.1))
    ]
    check(models, rows=parts * 3, sample_weight=rng.uniform(0, 2, 120))
    assert stacks == [4, 2]


def test_each_stops_by_itself(stacks):
    models = [
        network(
            alpha=a,
            early_stopping=k != 1,
            n_iter_no_change=2,
            max_iter=40,
            tol=t,
            random_state=k,
            learning_rate_init=0.02,
        )
        for k, (a, t) in enumerate([(0, 1e-4), (1, 0.05), (10, 1e-3), (0, 0.01)])
    ]
    check(models)
    assert sorted(stacks) == [1, 3]
    fitted = ours.fit_together(models, X, LABELS)
    assert len({m.n_iter_ for m in fitted}) > 1


def test_one_that_diverges_leaves_the_others_alone(stacks):
    # The penalty alone makes the first explode.
    models = [network(solver="sgd", alpha=a, learning_rate_init=0.5) for a in (1e300, 0.0, 0.1)]
    for k, model in enumerate(models):
        model.set_params(random_state=k, max_iter=4)
    check(models)
    assert stacks == [3]
    assert [m.solve_report_.status for m in ours.fit_together(models, X, LABELS)] == [
        "nonfinite",
        "max_iter",
        "max_iter",
    ]


def test_regressors_with_several_targets(stacks):
    y = X[:, :2] @ np.array([[1.0, 0.5], [0.0, 2.0]])
    check(
        [
            MLPRegressor(
                hidden_layer_sizes=(8, 4),
                solver="adam",
                alpha=a,
                max_iter=6,
                random_state=k,
                scaling=True,
            )
            for k, a in enumerate((0.0, 0.1, 1.0))
        ],
        y=y,
    )
    assert stacks == [3]


@pytest.mark.parametrize(
    "params",
    [
        {"solver": "muon"},
        {"max_grad_norm": 0.1},
        {"dropout": 0.2},
        {"solver": "sgd", "learning_rate": "adaptive"},
        {"solver": "lbfgs"},
        {"hidden_layer_sizes": (800,), "batch_size": 100},
    ],
    ids=str,
)
def test_what_a_stack_cannot_train_or_gains_nothing_by_is_fitted_alone(params, stacks):
    models = ours.fit_together([network(random_state=k, **params) for k in (0, 1)], X, LABELS)
    assert stacks == []
    for k, model in enumerate(models):
        again = network(random_state=k, **params).fit(X, LABELS)
        np.testing.assert_array_equal(model.coefs_[0], again.coefs_[0])


def test_other_estimators_and_different_layers_in_one_list(stacks):
    models = [Ridge(), network(random_state=0), network(hidden_layer_sizes=(4,), random_state=0)]
    ridge, one, two = ours.fit_together(models, X, LABELS)
    assert stacks == [1, 1]  # Which is no stack.
    np.testing.assert_array_equal(ridge.coef_, Ridge().fit(X, LABELS).coef_)
    assert_same(one, network(random_state=0).fit(X, LABELS))
    assert_same(two, network(hidden_layer_sizes=(4,), random_state=0).fit(X, LABELS))


def test_a_failure_leaves_every_model_as_it_was():
    good, bad = network(random_state=0), network(alpha=-1.0)
    with pytest.raises(ValueError, match="alpha"):
        ours.fit_together([good, bad], X, LABELS)
    assert not hasattr(good, "coefs_")
    with pytest.raises(ValueError, match="rows has 1 entries, but there are 2 models"):
        ours.fit_together([good, good], X, LABELS, rows=[np.arange(9)])


def test_members_of_an_ensemble_are_their_fits_alone(stacks):
    model = network(n_ensemble=3, random_state=0).fit(X, LABELS)
    assert stacks == [3]
    for member in model.members_:
        assert_same(member, clone(member).fit(X, LABELS))
    apart = network(n_ensemble=3, random_state=0, n_threads=2).fit(X, LABELS)
    assert stacks == [3]
    np.testing.assert_array_equal(model.predict_proba(X), apart.predict_proba(X))


def test_a_model_goes_on_from_where_it_stopped_together():
    one, two = (network(random_state=3, resume=True, warm_start=False) for _ in range(2))
    ours.fit_together([one, network(random_state=4, resume=True)], X, LABELS)
    two.fit(X, LABELS)
    for model in (one, two):
        model.set_params(warm_start=True).fit(X, LABELS)
    assert_same(one, two)


GRID = {"alpha": [0.0, 0.1, 1.0], "learning_rate_init": [1e-3, 1e-2]}


@pytest.mark.parametrize("name", ["GridSearchCV", "RandomizedSearchCV"])
def test_a_search_has_the_results_of_scikit_learns(name, stacks):
    settings = {"cv": 3, "return_train_score": True, "scoring": "neg_log_loss"}
    if name == "RandomizedSearchCV":
        space = {"alpha": loguniform(1e-4, 1)}
        settings |= {"n_iter": 4, "random_state": 0}
    else:
        space = GRID
    found = getattr(ours, name)(network(random_state=0), space, **settings).fit(X, LABELS)
    known = getattr(plain, name)(network(random_state=0), space, **settings).fit(X, LABELS)
    assert sum(stacks) == 3 * len(known.cv_results_["params"])
    assert list(found.cv_results_) == list(known.cv_results_)
    for key, value in known.cv_results_.items():
        if not key.endswith("_time"):
            np.testing.assert_array_equal(found.cv_results_[key], value)
    assert found.best_params_ == known.best_params_
    assert (found.best_index_, found.best_score_) == (known.best_index_, known.best_score_)
    np.testing.assert_array_equal(found.predict_proba(X), known.predict_proba(X))
    assert found.score(X, LABELS) == known.score(X, LABELS)
    assert found.n_features_in_ == 6


def test_a_pipeline_and_two_scores_are_searched_one_by_one(stacks):
    model = make_pipeline(StandardScaler(), network(random_state=0))
    found = ours.GridSearchCV(model, {"mlpclassifier__alpha": [0.0, 1.0]}, cv=3).fit(X, LABELS)
    both = ours.GridSearchCV(
        network(random_state=0), GRID, cv=3, scoring=["accuracy", "neg_log_loss"], refit="accuracy"
    ).fit(X, LABELS)
    assert stacks == []
    assert found.best_score_ > 0.3
    assert "mean_test_neg_log_loss" in both.cv_results_


@pytest.mark.filterwarnings("ignore")
def test_a_candidate_that_fails_scores_what_error_score_says():
    search = ours.GridSearchCV(
        network(random_state=0), {"alpha": [0.1, -1.0]}, cv=3, error_score=-7.0
    ).fit(X, LABELS)
    assert search.cv_results_["mean_test_score"][1] == -7.0
    assert search.best_params_ == {"alpha": 0.1}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_compiled_gradients_are_the_specification(dtype, weighted):
    net = Network((6, 5, 3), "tanh", "softmax")
    kernels = bind(np, np.dtype(dtype), "dense")
    w = rng.standard_normal((2, net.size)).astype(dtype)
    A, y = X.astype(dtype), np.eye(3, dtype=dtype)[LABELS]
    s = rng.uniform(0, 2, 120).astype(dtype) if weighted else None
    index = np.asfortranarray(rng.integers(0, 40, (16, 2)))
    first, below = np.array([0, 60]), np.array([50, 10])
    answers = []
    for module, work in (
        (kernels, kernels.network_workspace(net, np.dtype(dtype))),
        (generic_network, None),
    ):
        grad, losses = np.empty_like(w), np.empty((2, 2))
        module.network_gradients(
            net, work, w, A, y, s, first, below, index, np.array([0.0, 0.5]), 0.0, grad, losses
        )
        answers.append((grad, losses))
    close = {"rtol": 500 * np.finfo(dtype).eps, "atol": 500 * np.finfo(dtype).eps}
    for found, expected in zip(*answers, strict=True):
        np.testing.assert_allclose(found, expected, **close)
    assert answers[1][1][0, 1] == 0 < answers[1][1][1, 1]
