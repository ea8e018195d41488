"""What the networks have beyond scikit-learn: each option does what it says, and only that."""

import pickle
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics import balanced_accuracy_score, log_loss
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.preprocessing import StandardScaler

from skopt_dl import MLPClassifier, MLPRegressor
from skopt_dl.solvers import Adam, AdamW, Nesterov

pytestmark = pytest.mark.filterwarnings("ignore:MLP.* did not converge")
X, LABELS = load_digits(return_X_y=True)
X, LABELS = X[:300] / 16, LABELS[:300]
VALUES = LABELS / 3.0
BITS = (X[:, [10, 20, 30]] > 0.5).astype(int)


def classifier(**params):
    return MLPClassifier(**{"hidden_layer_sizes": (12,), "max_iter": 6, "random_state": 3} | params)


def regressor(**params):
    return MLPRegressor(**{"hidden_layer_sizes": (12,), "max_iter": 6, "random_state": 3} | params)


def same(one, two):
    assert one.loss_curve_ == two.loss_curve_
    for a, b in zip(one.coefs_ + one.intercepts_, two.coefs_ + two.intercepts_, strict=True):
        np.testing.assert_array_equal(a, b)


# --- the objective -------------------------------------------------------------------------------


def test_class_weights_are_sample_weights():
    y = np.minimum(LABELS, 2)
    counts = np.bincount(y)
    balanced = 300 / (3 * counts)[y]
    given = np.random.default_rng(0).uniform(0.5, 2, size=300)
    one = classifier(class_weight="balanced").fit(X, y, given)
    two = classifier().fit(X, y, given * balanced)
    np.testing.assert_allclose(one.coefs_[0], two.coefs_[0], rtol=1e-9, atol=1e-12)
    heavy, light = (
        classifier(class_weight={0: c, 1: 1.0, 2: 1.0}, learning_rate_init=0.01).fit(X, y)
        for c in (20.0, 0.01)
    )
    assert np.sum(heavy.predict(X) == 0) > np.sum(light.predict(X) == 0)


@pytest.mark.parametrize("target", [LABELS, LABELS > 4, BITS])
def test_label_smoothing_trains_on_mixed_targets(target):
    model = classifier(label_smoothing=0.2)
    problem, plain = model._build_problem(X, target), classifier()._build_problem(X, target)
    n_classes = 10 if target is LABELS else 2
    np.testing.assert_allclose(problem.y, 0.8 * plain.y + 0.2 / n_classes)
    sharp, soft = (classifier(label_smoothing=s, max_iter=300).fit(X, target) for s in (0, 0.4))
    assert np.max(soft.predict_proba(X)) < np.max(sharp.predict_proba(X))


def test_decoupled_decay_and_short_gradients_are_those_of_the_rules():
    for name, rule in [
        ("adam", AdamW(learning_rate=1e-3, weight_decay=0.3, max_grad_norm=0.5)),
        ("sgd", Nesterov(learning_rate=1e-3, weight_decay=0.3, max_grad_norm=0.5)),
    ]:
        one = classifier(solver=name, decoupled_weight_decay=0.3, max_grad_norm=0.5).fit(X, LABELS)
        same(one, classifier(solver=rule).fit(X, LABELS))
        assert one.solver_ == name
    # The decay alone: half the iterate in one update of rate 0.5, and a gradient of length 0.5.
    w = [
        np.concatenate([c.ravel() for c in m.coefs_ + m.intercepts_])
        for m in (
            classifier(
                solver="sgd",
                momentum=0,
                learning_rate_init=0.5,
                batch_size=300,
                max_iter=1,
                decoupled_weight_decay=d,
                max_grad_norm=0.5,
            ).fit(X, LABELS)
            for d in (0.0, 1.0)
        )
    ]
    start = classifier()._build_problem(X, LABELS).start()
    np.testing.assert_allclose(w[0] - w[1], 0.5 * start, atol=1e-14)
    assert np.linalg.norm(w[0] - start) == pytest.approx(0.25)


def test_a_rule_that_cannot_do_it_says_who_can():
    with pytest.raises(ValueError, match=r"'adagrad' cannot do that\. Solvers that can: .*'adamw'"):
        classifier(solver="adagrad", decoupled_weight_decay=0.1).fit(X, LABELS)
    with pytest.raises(ValueError, match="max_grad_norm=1, but solver='lbfgs' cannot"):
        classifier(solver="lbfgs", max_grad_norm=1).fit(X, LABELS)
    with pytest.raises(ValueError, match="dropout makes it another one on every batch"):
        classifier(solver="lbfgs", dropout=0.1).fit(X, LABELS)
    with pytest.warns(UserWarning, match="max_grad_norm configure a solver given by name"):
        classifier(solver=Adam(), max_grad_norm=1).fit(X, LABELS)


def test_dropout_is_drawn_from_the_seed_and_absent_in_predictions():
    one, two = (classifier(dropout=0.5).fit(X, LABELS) for _ in range(2))
    same(one, two)
    assert one.loss_curve_ != classifier().fit(X, LABELS).loss_curve_
    np.testing.assert_array_equal(one.predict_proba(X), two.predict_proba(X))
    a = np.maximum(X @ one.coefs_[0] + one.intercepts_[0], 0) @ one.coefs_[1] + one.intercepts_[1]
    np.testing.assert_allclose(
        one.predict_proba(X), np.exp(a) / np.exp(a).sum(1, keepdims=True), rtol=1e-10
    )


# --- scales and precision ------------------------------------------------------------------------


def test_scaling_is_a_scaler_in_front():
    shifted = 100 * X[:, 20:40] + 50 * np.arange(20)
    one = classifier(scaling=True).fit(shifted, LABELS)
    scaler = StandardScaler().fit(shifted)
    two = classifier().fit(scaler.transform(shifted), LABELS)
    np.testing.assert_allclose(one.loss_curve_, two.loss_curve_, rtol=1e-6)
    np.testing.assert_array_equal(one.predict(shifted), two.predict(scaler.transform(shifted)))
    # A large batch takes scikit-learn's checks, a single row does not.
    np.testing.assert_allclose(one.predict_proba(shifted[:1]), one.predict_proba(shifted)[:1])


def test_scaling_of_a_regressor_has_the_targets_too():
    one = regressor(scaling=True, solver="lbfgs", max_iter=200).fit(X, 1e6 + 1e4 * VALUES)
    assert one.score(X, 1e6 + 1e4 * VALUES) > 0.95
    several = regressor(scaling=True, early_stopping=True, max_iter=40).fit(X, 1e3 * X[:, 20:22])
    assert several.predict(X).shape == (300, 2)
    assert several.best_validation_score_ > 0
    counts = regressor(scaling=True, loss="poisson").fit(X, LABELS)
    assert np.all(counts.predict(X) >= 0)


def test_scaling_of_sparse_data_keeps_them_sparse():
    data = sp.csr_matrix(np.where(X > 0.6, 30 * X, 0))
    model = classifier(scaling=True).fit(data, LABELS)
    assert model._scale.mean is None
    deviation = np.std(data.toarray(), axis=0)
    np.testing.assert_allclose(model._scale.deviation, np.where(deviation > 0, deviation, 1))
    np.testing.assert_allclose(
        model.predict_proba(data), model.predict_proba(data.toarray()), rtol=1e-9
    )


def test_precision_by_name():
    single = classifier(dtype="float32").fit(X, LABELS)
    assert {c.dtype for c in single.coefs_} == {np.dtype("float32")}
    assert single.predict_proba(X).dtype == np.float32
    same(single, classifier().fit(X.astype(np.float32), LABELS))
    double = classifier(dtype=np.float64).fit(X.astype(np.float32), LABELS)
    assert double.coefs_[0].dtype == np.float64


# --- validation ----------------------------------------------------------------------------------


def test_validation_data_are_scored_and_change_nothing():
    train, held, y, y_held = train_test_split(X, LABELS, random_state=0)
    plain, watched = classifier().fit(train, y), classifier().fit(train, y, None, held, y_held)
    same(plain, watched)
    assert len(watched.validation_scores_) == len(watched.validation_loss_curve_) == 6
    assert watched.validation_scores_[-1] == watched.score(held, y_held)
    expected = log_loss(y_held, watched.predict_proba(held), labels=range(10))
    assert watched.validation_loss_curve_[-1] == pytest.approx(expected)
    assert plain.validation_scores_ is None and plain.validation_loss_curve_ is None


def test_validation_data_decide_with_early_stopping():
    train, held, y, y_held = train_test_split(X, VALUES, random_state=0)
    model = regressor(early_stopping=True, max_iter=60, learning_rate_init=0.05, tol=0)
    model.fit(train, y, X_val=held, y_val=y_held)
    assert model.score(held, y_held) == pytest.approx(model.best_validation_score_)
    assert model.best_validation_score_ == max(model.validation_scores_)
    # All rows are trained on: the losses are those without validation.
    assert model.loss_curve_[:6] == regressor(learning_rate_init=0.05).fit(train, y).loss_curve_
    with pytest.raises(ValueError, match="X_val and y_val belong together"):
        model.fit(train, y, X_val=held)


def test_the_best_epoch_comes_back_where_it_is_asked_for():
    params = {"learning_rate_init": 0.2, "max_iter": 25, "solver": "sgd", "batch_size": 30}
    last = regressor(**params).fit(X, VALUES)
    best = regressor(**params, restore_best=True).fit(X, VALUES)
    assert last.loss_curve_ == best.loss_curve_
    k = int(np.argmin(best.loss_curve_))
    assert k < 24
    until = regressor(**params | {"max_iter": k + 1}).fit(X, VALUES)
    np.testing.assert_array_equal(best.coefs_[0], until.coefs_[0])
    early = {"early_stopping": True, "max_iter": 12, "learning_rate_init": 0.05}
    kept, dropped = (classifier(**early, restore_best=b).fit(X, LABELS) for b in (None, False))
    assert kept.validation_scores_ == dropped.validation_scores_
    assert not np.array_equal(kept.coefs_[0], dropped.coefs_[0])


def test_validation_metrics_are_scorers_or_the_loss():
    train, held, y, y_held = train_test_split(X, np.minimum(LABELS, 3), random_state=0)
    data = (train, y, None, held, y_held)
    named = classifier(validation_metric="balanced_accuracy").fit(*data)
    expected = balanced_accuracy_score(y_held, named.predict(held))
    assert named.validation_scores_[-1] == pytest.approx(expected)
    loss = classifier(validation_metric="loss").fit(*data)
    np.testing.assert_allclose(loss.validation_scores_, -np.array(loss.validation_loss_curve_))

    def own(model, X_held, labels):
        assert X_held.shape == held.shape
        return -float(np.mean(model.predict(X_held) != labels))

    mine = classifier(validation_metric=own, scaling=True).fit(*data)
    assert mine.validation_scores_[-1] == pytest.approx(mine.score(held, y_held) - 1)


# --- going on ------------------------------------------------------------------------------------


GOING_ON = [
    {},
    {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.1},
    {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.05, "n_iter_no_change": 1},
    {"dropout": 0.3, "scaling": True},
    {"early_stopping": True, "learning_rate_init": 0.02, "n_iter_no_change": 50},
    {"solver": Adam(learning_rate=0.01, average="ema"), "random_state": None},
    {"solver": "soap", "random_state": np.random.RandomState(0)},
    {"solver": "prodigy", "batch_size": 50},
]


@pytest.mark.parametrize("params", GOING_ON)
def test_a_stop_with_a_pickle_is_no_stop(params):
    if params.get("random_state", 0) is None:
        params = params | {"random_state": np.random.RandomState(5)}
    seed = params.get("random_state", 3)
    again = pickle.loads(pickle.dumps(seed))
    whole = classifier(max_iter=7, **params).fit(X, LABELS)
    part = classifier(max_iter=3, warm_start=True, resume=True, **params | {"random_state": again})
    part = pickle.loads(pickle.dumps(part.fit(X, LABELS)))
    part.set_params(max_iter=4).fit(X, LABELS)
    same(part, whole)
    assert part.validation_scores_ == whole.validation_scores_
    assert part.t_ == whole.t_


@pytest.mark.parametrize("target", [LABELS, BITS])
@pytest.mark.parametrize("early", [False, True])
def test_partial_fits_that_resume_are_one_fit(target, early):
    params = {"early_stopping": early, "learning_rate_init": 0.02, "n_iter_no_change": 50}
    whole = classifier(**params).fit(X, target)
    part = classifier(resume=True, **params)
    for _ in range(6):
        part.partial_fit(X, target, classes=range(10 if target is LABELS else 3))
        part = pickle.loads(pickle.dumps(part))
    same(part, whole)
    assert part.validation_scores_ == whole.validation_scores_


@pytest.mark.parametrize("target", [LABELS, BITS])
def test_partial_fit_stops_early_by_saying_so(target):
    train, held, y, y_held = train_test_split(X, target, random_state=0)
    model = classifier(early_stopping=True, learning_rate_init=0.05, n_iter_no_change=3)
    for _ in range(200):
        model.partial_fit(
            train, y, classes=range(10 if target is LABELS else 3), X_val=held, y_val=y_held
        )
        if model.solve_report_.status == "converged":
            break
    k = len(model.loss_curve_) - 1
    assert 3 < k < 199
    assert len(model.validation_scores_) == k + 1
    assert (
        model.score(held, y_held) == model.best_validation_score_ == max(model.validation_scores_)
    )


# --- ensembles -----------------------------------------------------------------------------------


def test_an_ensemble_is_the_mean_of_its_members():
    model = classifier(n_ensemble=3, n_threads=2).fit(X, LABELS)
    mean = np.mean([m.predict_proba(X) for m in model.members_], axis=0)
    np.testing.assert_allclose(model.predict_proba(X), mean, rtol=1e-12)
    np.testing.assert_array_equal(model.predict(X), model.classes_[mean.argmax(axis=1)])
    assert len({m.random_state for m in model.members_}) == 3
    again = clone(model).fit(X, LABELS)
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    alone = clone(model).set_params(n_ensemble=1, random_state=model.members_[1].random_state)
    same(alone.fit(X, LABELS), model.members_[1])
    other = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(other.predict(X), model.predict(X))


def test_an_ensemble_goes_on_and_regresses():
    model = regressor(n_ensemble=2, scaling=True, max_iter=4)
    for _ in range(3):
        model.partial_fit(X, VALUES)
    mean = np.mean([m.predict(X) for m in model.members_], axis=0)
    np.testing.assert_allclose(model.predict(X), mean, rtol=1e-12)
    assert [len(m.loss_curve_) for m in model.members_] == [3, 3]
    labels = classifier(n_ensemble=2).partial_fit(X, LABELS, classes=range(11))
    assert labels.predict_proba(X).shape == (300, 11)


# --- searches ------------------------------------------------------------------------------------


def test_a_grid_over_the_options():
    grid = {"dropout": [0.0, 0.2], "activation": ["relu", ["gelu"]], "scaling": [True]}
    search = GridSearchCV(classifier(max_iter=3), grid, cv=2).fit(X, LABELS)
    assert len(set(search.cv_results_["mean_test_score"])) > 1


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"label_smoothing": -0.1}, "label_smoothing=-0.1"),
        ({"decoupled_weight_decay": -1}, "decoupled_weight_decay=-1"),
        ({"max_grad_norm": 0}, "max_grad_norm=0"),
        ({"scaling": "yes"}, "scaling='yes'"),
        ({"restore_best": 1.5}, "restore_best=1.5"),
        ({"n_ensemble": 0}, "n_ensemble=0"),
        ({"dtype": "float16"}, "dtype='float16'"),
        ({"n_threads": 0}, "n_threads=0"),
        ({"resume": None}, "resume=None"),
        ({"validation_metric": "accuracies", "early_stopping": True}, "accuracies"),
        ({"class_weight": "even"}, "class_weight"),
    ],
)
def test_bad_options_are_named(kwargs, words):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=words):
            classifier(**kwargs).fit(X, LABELS)
