"""The networks: scikit-learn's training step by step, its attributes, and what goes beyond it."""

import inspect
import pickle
import warnings

import array_api_strict
import numpy as np
import pytest
import scipy.sparse as sp
import sklearn.neural_network as peer
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skopt_dl.neural_network as ours
from skopt_dl.activations import ELU, Activation, LeakyReLU
from skopt_dl.dispatch import ACTIVATIONS, fitting
from skopt_dl.engine import Oracle, Stopping, run
from skopt_dl.kernels import bind, generic_network
from skopt_dl.neural_network import MLPClassifier, MLPRegressor
from skopt_dl.neural_network.dropout import Dropout
from skopt_dl.neural_network.network import Network
from skopt_dl.neural_network.problem import NetworkProblem
from skopt_dl.solvers.stochastic.adam import Adam
from skopt_dl.solvers.stochastic.sgd import SGD

SCIKIT_LEARN_ACTIVATIONS = ("identity", "logistic", "tanh", "relu")
OUTPUTS = ("identity", "logistic", "softmax", "exp")
DIGITS, LABELS = load_digits(return_X_y=True)
DIGITS, LABELS = DIGITS[:300] / 16, LABELS[:300]
TARGETS = {
    "binary": ("MLPClassifier", LABELS > 4),
    "multiclass": ("MLPClassifier", np.array([f"digit {k}" for k in LABELS])),
    "multilabel": ("MLPClassifier", (DIGITS[:, [10, 20, 30]] > 0.5).astype(int)),
    "regression": ("MLPRegressor", LABELS / 3.0),
    "regressions": ("MLPRegressor", DIGITS[:, [10, 20, 30]]),
    "poisson": ("MLPRegressor", LABELS.astype(float)),
}
RULES = {
    "adam": {"solver": "adam", "learning_rate_init": 0.01},
    "nesterov": {"solver": "sgd", "learning_rate_init": 0.02},
    "momentum": {"solver": "sgd", "learning_rate_init": 0.02, "nesterovs_momentum": False},
    "plain": {"solver": "sgd", "learning_rate_init": 0.05, "momentum": 0},
    "invscaling": {"solver": "sgd", "learning_rate_init": 0.05, "learning_rate": "invscaling"},
    "adaptive": {
        "solver": "sgd",
        "learning_rate_init": 0.05,
        "learning_rate": "adaptive",
        "tol": 0.05,
        "n_iter_no_change": 1,
    },
    "early": {"solver": "adam", "early_stopping": True, "tol": 0.01, "n_iter_no_change": 4},
    "unshuffled": {"solver": "adam", "shuffle": False, "alpha": 0.1},
}
ATTRIBUTES = (
    "n_iter_",
    "t_",
    "n_layers_",
    "n_outputs_",
    "out_activation_",
    "n_features_in_",
)


def pair(target, X=DIGITS, dtype=np.float64, y=None, weights=None, **kwargs):
    """scikit-learn's network and ours, trained alike."""
    name, own = TARGETS[target]
    y = own if y is None else y
    kwargs = {"hidden_layer_sizes": (12, 7), "random_state": 3, "max_iter": 20} | kwargs
    if target == "poisson":
        kwargs["loss"] = "poisson"
    fitted = []
    for module in (peer, ours):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted.append(getattr(module, name)(**kwargs).fit(X.astype(dtype), y, weights))
    return fitted


def assert_same_training(theirs, mine, rtol):
    assert len(mine.loss_curve_) == len(theirs.loss_curve_)
    np.testing.assert_allclose(mine.loss_curve_, theirs.loss_curve_, rtol=rtol)
    assert mine.loss_ == mine.loss_curve_[-1]
    for name in ATTRIBUTES:
        assert getattr(mine, name) == getattr(theirs, name), name
    for name in ("best_loss_", "best_validation_score_", "validation_scores_"):
        if getattr(theirs, name) is None:
            assert getattr(mine, name) is None
        else:
            np.testing.assert_allclose(getattr(mine, name), getattr(theirs, name), rtol=rtol)


# --- scikit-learn's training --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_every_parameter_of_scikit_learn_is_there(name):
    theirs = inspect.signature(getattr(peer, name)).parameters
    mine = inspect.signature(getattr(ours, name)).parameters
    assert list(mine)[: len(theirs)] == list(theirs)
    added = list(mine)[len(theirs) :]
    assert {"dropout", "scaling", "resume", "device", "max_time"} <= set(added)
    assert all(mine[k].kind is inspect.Parameter.KEYWORD_ONLY for k in added)
    for key, parameter in theirs.items():
        assert mine[key].default == parameter.default, key
        assert mine[key].kind == parameter.kind, key


@pytest.mark.parametrize("activation", SCIKIT_LEARN_ACTIVATIONS)
@pytest.mark.parametrize("target", TARGETS)
def test_adam_trains_as_in_scikit_learn(target, activation):
    theirs, mine = pair(target, activation=activation)
    assert_same_training(theirs, mine, 1e-9)
    for blocks in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(theirs, blocks), getattr(mine, blocks), strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-7, atol=1e-9)
    if hasattr(mine, "classes_"):
        np.testing.assert_array_equal(mine.predict(DIGITS), theirs.predict(DIGITS))
    else:
        np.testing.assert_allclose(mine.predict(DIGITS), theirs.predict(DIGITS), rtol=1e-8)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("target", ["binary", "multiclass", "regression"])
def test_every_rule_trains_as_in_scikit_learn(target, rule):
    theirs, mine = pair(target, activation="tanh", **RULES[rule])
    assert_same_training(theirs, mine, 1e-9)


@pytest.mark.parametrize("rule", ["adam", "nesterov", "early"])
@pytest.mark.parametrize("target", TARGETS)
def test_single_precision_trains_as_in_scikit_learn(target, rule):
    theirs, mine = pair(target, dtype=np.float32, **RULES[rule])
    assert_same_training(theirs, mine, 1e-4)
    assert all(c.dtype == np.float32 for c in mine.coefs_ + mine.intercepts_)


def test_unscaled_data_are_reported_as_in_scikit_learn():
    # Saturated outputs: scikit-learn keeps probabilities eps away from 0 and 1.
    X, y = load_breast_cancer(return_X_y=True)
    theirs, mine = pair("binary", X=X, y=y)
    assert theirs.loss_curve_[0] > 5
    assert_same_training(theirs, mine, 1e-9)


@pytest.mark.parametrize("target", ["binary", "regressions"])
@pytest.mark.parametrize("early", [False, True])
def test_sample_weights_train_as_in_scikit_learn(target, early):
    weights = np.random.default_rng(0).uniform(0.1, 2, size=300)
    theirs, mine = pair(target, weights=weights, batch_size=64, early_stopping=early)
    assert_same_training(theirs, mine, 1e-9)


@pytest.mark.parametrize("make", [sp.csr_matrix, sp.csc_array])
def test_sparse_data_train_as_dense_ones(make):
    X = np.where(DIGITS > 0.6, DIGITS, 0)
    theirs, mine = pair("multiclass", X=make(X))
    assert_same_training(theirs, mine, 1e-9)
    dense = pair("multiclass", X=X)[1]
    np.testing.assert_allclose(mine.predict_proba(make(X)), dense.predict_proba(X), rtol=1e-8)


@pytest.mark.parametrize("rule", ["adam", "nesterov", "invscaling", "adaptive"])
def test_partial_fit_goes_on_as_in_scikit_learn(rule):
    theirs, mine = (
        module.MLPClassifier((12,), random_state=3, **RULES[rule]) for module in (peer, ours)
    )
    y = LABELS % 3
    for k in range(6):
        rows = slice(0, 250) if k % 2 else slice(100, 300)
        for model in (theirs, mine):
            model.partial_fit(DIGITS[rows], y[rows], classes=[0, 1, 2])
        mine = pickle.loads(pickle.dumps(mine))
    assert_same_training(theirs, mine, 1e-9)


@pytest.mark.parametrize("rule", ["adam", "invscaling", "early"])
def test_warm_start_goes_on_as_in_scikit_learn(rule):
    theirs, mine = (
        module.MLPClassifier((12,), random_state=3, max_iter=4, warm_start=True, **RULES[rule])
        for module in (peer, ours)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        # In a third fit scikit-learn has overwritten the best weights that it meant to keep.
        for _ in range(2 if rule == "early" else 3):
            for model in (theirs, mine):
                model.fit(DIGITS, LABELS)
    assert len(theirs.loss_curve_) > 4
    assert_same_training(theirs, mine, 1e-9)


def test_probabilities_of_all_kinds_are_scikit_learns():
    for target in ("binary", "multiclass", "multilabel"):
        theirs, mine = pair(target)
        np.testing.assert_allclose(mine.predict_proba(DIGITS), theirs.predict_proba(DIGITS))
        np.testing.assert_allclose(mine.predict_log_proba(DIGITS), theirs.predict_log_proba(DIGITS))
        np.testing.assert_array_equal(mine.classes_, theirs.classes_)
        assert mine.score(DIGITS, TARGETS[target][1]) == theirs.score(DIGITS, TARGETS[target][1])


# --- stopping -----------------------------------------------------------------------------------


def test_the_plateau_converges_and_the_budget_warns():
    model = MLPClassifier((12,), random_state=0, tol=0.1, n_iter_no_change=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(DIGITS, LABELS)
    assert model.solve_report_.status == "converged"
    assert model.n_iter_ < 200
    with pytest.warns(ConvergenceWarning, match="'max_iter' after 3 iterations"):
        clone(model).set_params(max_iter=3).fit(DIGITS, LABELS)


def test_early_stopping_returns_the_best_weights():
    kwargs = {"early_stopping": True, "max_iter": 30, "learning_rate_init": 0.05, "random_state": 1}
    theirs, mine = pair("multiclass", **kwargs)
    for a, b in zip(theirs.coefs_, mine.coefs_, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-7, atol=1e-9)
    assert mine.best_validation_score_ == max(mine.validation_scores_)


@pytest.mark.parametrize("solver", ["lbfgs", "nonlinear_cg", "newton_cg"])
def test_solvers_on_all_samples_reach_a_stationary_point(solver):
    model = MLPRegressor(
        hidden_layer_sizes=(8,),
        activation="tanh",
        solver=solver,
        max_iter=2000,
        tol=1e-4,
        random_state=0,
        alpha=1.0,
    ).fit(DIGITS, LABELS / 3)
    assert model.solve_report_.status == "converged"
    problem = model._build_problem(DIGITS, LABELS / 3)
    w = np.concatenate([c.ravel() for c in model.coefs_ + model.intercepts_])
    assert np.max(np.abs(problem.point(w).grad)) <= 1e-4
    assert model.loss_ == pytest.approx(model.solve_report_.objective)
    assert not hasattr(model, "loss_curve_")


def test_lbfgs_is_as_good_as_scikit_learns():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        theirs, mine = (
            module.MLPClassifier((20,), solver="lbfgs", random_state=0, max_iter=300).fit(
                DIGITS, LABELS
            )
            for module in (peer, ours)
        )
    assert mine.loss_ <= 1.2 * theirs.loss_
    assert mine.score(DIGITS, LABELS) == 1.0


def test_max_fun_bounds_the_evaluations():
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        model = MLPClassifier(solver="lbfgs", max_fun=5, random_state=0).fit(DIGITS, LABELS)
    assert model.n_iter_ <= 5


# --- the problem --------------------------------------------------------------------------------


def small_problem(activation, output, seed=0, weights=True):
    rng = np.random.default_rng(seed)
    net = Network((6, 5, 4, 3), activation, output)
    X, y = rng.normal(size=(40, 6)), np.eye(3)[rng.integers(0, 3, 40)]
    s = rng.uniform(size=40) if weights else None
    return NetworkProblem(net, X, y, alpha=0.3, sample_weight=s), 0.5 * rng.normal(size=net.size)


@pytest.mark.parametrize("activation", ACTIVATIONS.names())
@pytest.mark.parametrize("output", OUTPUTS)
def test_gradient_and_hessian_products_are_differences(activation, output):
    problem, w = small_problem(activation, output)
    d, h = np.random.default_rng(1).normal(size=w.shape), 1e-5
    point = problem.point(w)
    rise = (problem.value(w + h * d) - problem.value(w - h * d)) / (2 * h)
    assert point.grad @ d == pytest.approx(float(rise), rel=1e-6)
    bend = (problem.point(w + h * d).grad - problem.point(w - h * d).grad) / (2 * h)
    product = problem.hvp(point)(d)
    np.testing.assert_allclose(product, bend, atol=1e-6 * np.abs(bend).max())
    e = np.random.default_rng(2).normal(size=w.shape)
    assert e @ product == pytest.approx(d @ problem.hvp(point)(e), rel=1e-10)


def test_the_line_function_is_the_objective_along_a_direction():
    problem, w = small_problem("tanh", "softmax")
    point, d = problem.point(w), np.random.default_rng(1).normal(size=w.shape)
    line = problem.along(point, d)
    for t in (0.0, 0.3, 1.0):
        value, slope = line(t)
        there = problem.point(w + t * d)
        assert (value, slope) == pytest.approx((float(there.value), float(there.grad @ d)))
    before = problem.n_evaluations
    np.testing.assert_array_equal(line.accept(1.0).grad, there.grad)
    assert problem.n_evaluations == before


def test_batches_of_all_samples_have_the_full_gradient():
    for output in OUTPUTS:
        problem, w = small_problem("relu", output)
        _, g = problem.sample_grad(w, np.arange(40))
        np.testing.assert_allclose(g, problem.point(w).grad, rtol=1e-12, atol=1e-15)


class Quadratic(Activation):
    """Without a curvature, and unknown to the compiled kernels."""

    def value(self, z):
        return z + 0.1 * z * z

    def slope(self, z, a):
        return 1 + 0.2 * z


def test_an_activation_of_the_users_own_runs_on_the_generic_kernels():
    problem, w = small_problem(["relu", Quadratic()], "softmax")
    d, h = np.random.default_rng(1).normal(size=w.shape), 1e-6
    rise = (problem.value(w + h * d) - problem.value(w - h * d)) / (2 * h)
    assert problem.point(w).grad @ d == pytest.approx(float(rise), rel=1e-5)
    assert "the activation Quadratic() has no curvature" in problem.why_not(Oracle.HVP)
    model = MLPClassifier((5,), activation=Quadratic(), max_iter=3, random_state=0)
    with pytest.warns(ConvergenceWarning):
        model.fit(DIGITS, LABELS)
    assert model.solve_report_.kernel == "generic"
    with pytest.raises(ValueError, match=r"the activation Quadratic\(\) has no curvature"):
        model.set_params(solver="newton_cg").fit(DIGITS, LABELS)
    np.testing.assert_array_equal(clone(model).activation.value(DIGITS), DIGITS + 0.1 * DIGITS**2)


def test_dropout_keeps_the_masks_of_a_batch_and_the_mean_of_a_unit():
    problem, w = small_problem("relu", "softmax")
    problem.dropout = Dropout(0.4, np.random.RandomState(0))
    index, other = np.arange(30), np.arange(30)
    same = [problem.sample_grad(w, index)[0] for _ in range(2)]
    assert same[0] == same[1] == pytest.approx(float(problem.sample_value(w, index)))
    assert problem.sample_grad(w, other)[0] != same[0]
    masks = problem.dropout.masks(Network((6, 400, 3), "relu", "softmax"), np.arange(100), w)
    assert set(np.round(np.unique(masks[0]), 12)) == {0.0, round(1 / 0.6, 12)}
    # 40 000 draws: five standard errors.
    assert abs(masks[0].mean() - 1) < 5 * np.sqrt(0.4 / 0.6 / 40_000)
    assert "dropout" in problem.why_not(Oracle.GRAD)


def test_a_batch_without_weight_moves_nothing():
    problem, w = small_problem("relu", "softmax")
    problem.sample_weight[:10] = 0
    value, g = problem.sample_grad(w, np.arange(10))
    assert value == 0
    assert not np.any(g)


def compare_gradients(net, dtype, masked, seed=0):
    """The compiled gradient against the generic one, on all samples and on batches."""
    rng, tol = np.random.default_rng(seed), 1e-12 if dtype is np.float64 else 1e-4
    n, size = 1500, net.sizes[-1]
    X = rng.normal(size=(n, net.sizes[0])).astype(dtype)
    y = np.eye(size)[rng.integers(0, size, n)].astype(dtype)
    # Raw outputs up to about 30: saturated units and outputs.
    w = (rng.normal(size=net.size) * (0.5 if net.output == "exp" else 3)).astype(dtype)
    kernels = bind(np, np.dtype(dtype))
    assert kernels.network_gradient is not generic_network.network_gradient
    work = kernels.network_workspace(net, np.dtype(dtype))
    for weights in (None, rng.uniform(size=n).astype(dtype)):
        for index in (None, rng.permutation(n)[:1100], np.arange(3)):
            rows, masks = n if index is None else len(index), None
            if masked:
                masks = [2 * (rng.random((rows, u)) > 0.5).astype(dtype) for u in net.sizes[1:-1]]
            for floor in (0.0, 1e-3):
                one, two = np.empty_like(w), np.empty_like(w)
                given = (X, y, weights, index, masks, 0.3, floor)
                a = kernels.network_gradient(net, work, w, *given, one)
                b = generic_network.network_gradient(net, None, w, *given, two)
                np.testing.assert_allclose(a, b, rtol=tol)
                np.testing.assert_allclose(one, two, rtol=0, atol=tol * np.abs(two).max())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", ACTIVATIONS.names())
def test_compiled_gradient_equals_the_generic_one(activation, dtype):
    for masked in (False, True):
        compare_gradients(Network((7, 13, 5, 3), activation, "softmax"), dtype, masked)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("output", OUTPUTS)
def test_compiled_gradient_of_each_output_and_of_mixed_layers(output, dtype):
    mixed = [LeakyReLU(0.2), "tanh", ELU(0.5)]
    compare_gradients(Network((7, 13, 9, 5, 3), mixed, output), dtype, masked=False)


def test_soft_labels_have_the_same_loss_in_both_kernels():
    problem, w = small_problem("gelu", "softmax")
    problem.y = np.random.default_rng(0).dirichlet(np.ones(3), size=40)
    one, two = np.empty_like(w), np.empty_like(w)
    for floor in (0.0, 1e-16):
        given = (w, problem.X, problem.y, None, None, None, 0.1, floor)
        a = problem.kernels.network_gradient(problem.net, problem._work, *given, one)
        b = generic_network.network_gradient(problem.net, None, *given, two)
        np.testing.assert_allclose(a, b, rtol=1e-12)
        np.testing.assert_allclose(one, two, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("output", OUTPUTS)
def test_networks_train_on_any_array_namespace(output):
    xp, rng = array_api_strict, np.random.default_rng(0)
    device = xp.Device("device1")
    net = Network((6, 5, 3), "tanh", output)
    X, y = rng.normal(size=(40, 6)), np.eye(3)[rng.integers(0, 3, 40)]
    w = 0.5 * rng.normal(size=net.size)
    results = []
    for place in (np.asarray, lambda a: xp.asarray(a, device=device)):
        problem = NetworkProblem(net, place(X), place(y), alpha=0.1, initial=place(w))
        results.append(
            run(
                problem,
                Adam(batch_size=16, learning_rate=0.01),
                stopping=Stopping(tol=None, max_iter=3),
                rng=np.random.RandomState(0),
            )
        )
        point = problem.point(problem.start())
        assert problem.hvp(point)(point.grad).shape == (net.size,)
    host, there = results
    assert there.w.device == device
    moved = np.from_dlpack(there.w.to_device(xp.Device("CPU_DEVICE")))
    np.testing.assert_allclose(moved, host.w, rtol=1e-9)


# --- the estimators -----------------------------------------------------------------------------


def test_solver_takes_auto_names_and_instances():
    problem = MLPClassifier()._build_problem(DIGITS, LABELS)
    assert {"adam", "sgd", "momentum", "nesterov", "lbfgs", "newton_cg"} <= set(fitting(problem))
    # So few parameters for so many targets are Adam's.
    model = MLPClassifier((2,), max_iter=2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        adam = clone(model).fit(DIGITS, LABELS)
        auto = clone(model).set_params(solver="auto").fit(DIGITS, LABELS)
        given = clone(model).set_params(solver=Adam(learning_rate=0.001)).fit(DIGITS, LABELS)
        free = clone(model).set_params(solver=SGD()).fit(DIGITS, LABELS)
    assert (adam.solver_, auto.solver_, given.solver_, free.solver_) == ("adam",) * 3 + ("sgd",)
    assert adam.loss_curve_ == auto.loss_curve_ == given.loss_curve_
    assert "non-convex" in auto.solve_report_.reason
    wide = MLPClassifier((30,), max_iter=2, random_state=0, solver="auto")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        heart = clone(wide).fit(DIGITS, LABELS)
        rate = clone(wide).set_params(learning_rate_init=0.01).fit(DIGITS, LABELS)
        parts = clone(wide).partial_fit(DIGITS, LABELS, classes=np.unique(LABELS))
        half = clone(wide).set_params(dropout=0.5).fit(DIGITS, LABELS)
    assert heart.solver_ == "kfac" and "by heart" in heart.solve_report_.reason
    # Adam's numbers ask for Adam, a part tells nothing of the whole, dropout has no factors.
    assert (rate.solver_, parts.solver_, half.solver_) == ("adam",) * 3
    # A rate from the curvature at the start: no setting, and the loss falls.
    assert free.loss_curve_[1] < free.loss_curve_[0]


def test_an_instance_says_which_settings_of_the_estimator_it_does_not_read():
    model = MLPClassifier(solver=Adam(), batch_size=50, learning_rate_init=0.1, n_iter_no_change=1)
    model.set_params(tol=10.0)
    with pytest.warns(UserWarning, match="learning_rate_init, batch_size configure a solver given"):
        model.fit(DIGITS, LABELS)


def test_grid_search_over_solvers_and_their_settings():
    model = make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(5,), max_iter=5))
    grid = [
        {"mlpregressor__solver": [Adam()], "mlpregressor__solver__learning_rate": [1e-3, 1e-1]},
        {"mlpregressor__solver": ["lbfgs"], "mlpregressor__alpha": [1.0]},
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        search = GridSearchCV(model, grid, cv=2).fit(DIGITS, LABELS / 3)
    assert len(set(search.cv_results_["mean_test_score"])) == 3


def test_partial_fit_is_there_for_stochastic_solvers_only():
    for solver in ("adam", "sgd", "auto", "nesterov", Adam()):
        assert hasattr(MLPClassifier(solver=solver), "partial_fit")
    for solver in ("lbfgs", "newton_cg", "no such solver", 3):
        assert not hasattr(MLPClassifier(solver=solver), "partial_fit")
    with pytest.raises(AttributeError):
        _ = MLPRegressor(solver="lbfgs").partial_fit


def test_a_pickled_model_predicts_and_goes_on():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = MLPRegressor(hidden_layer_sizes=(5,), max_iter=3, random_state=0)
        model.fit(DIGITS, LABELS / 3)
    other = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(other.predict(DIGITS), model.predict(DIGITS))
    for m in (model, other):
        m.partial_fit(DIGITS, LABELS / 3)
    assert other.loss_curve_ == model.loss_curve_


def test_an_empty_hidden_layer_is_a_convex_linear_model():
    model = MLPClassifier((), solver="lbfgs", alpha=1.0, tol=1e-6, max_iter=1000, random_state=0)
    one, two = (clone(model).set_params(random_state=s).fit(DIGITS, LABELS) for s in (0, 1))
    np.testing.assert_allclose(one.predict_proba(DIGITS), two.predict_proba(DIGITS), atol=1e-4)


def test_overflow_warns_and_returns_the_last_finite_weights():
    model = MLPRegressor(
        hidden_layer_sizes=(5,),
        activation="identity",
        solver="sgd",
        learning_rate_init=1e3,
        random_state=0,
    )
    with np.errstate(all="ignore"), pytest.warns(ConvergenceWarning, match="nonfinite"):
        model.fit(DIGITS, LABELS / 3)
    assert all(np.all(np.isfinite(c)) for c in model.coefs_)


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"hidden_layer_sizes": (5, 0)}, "hidden_layer_sizes must be > 0"),
        ({"activation": "relus"}, "unknown activation 'relus'. Did you mean 'relu'?"),
        ({"activation": ["relu", "tanh"]}, "has 2 entries, but the network has 1 hidden"),
        ({"activation": 3}, "activation=3"),
        ({"activation": LeakyReLU(2)}, "LeakyReLU: negative_slope=2"),
        ({"alpha": -1.0}, "alpha=-1.0"),
        ({"learning_rate": "cosine"}, "learning_rate='cosine'"),
        ({"learning_rate_init": 0.0}, "learning_rate_init=0.0"),
        ({"momentum": 2}, "momentum=2"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"max_iter": 0}, "max_iter=0"),
        ({"n_iter_no_change": 0}, "n_iter_no_change=0"),
        ({"shuffle": "yes"}, "shuffle='yes'"),
        ({"solver": "cd"}, "solver 'cd' cannot fit"),
        ({"solver": "adm"}, "Did you mean 'adam'|Did you mean 'admm'"),
        ({"solver": 3}, "solver=3"),
    ],
)
def test_bad_parameters_are_named(kwargs, words):
    with pytest.raises((ValueError, TypeError), match=words):
        MLPClassifier(**kwargs).fit(DIGITS, LABELS)


def test_bad_targets_are_named():
    with pytest.raises(ValueError, match="loss='poisson' needs y >= 0"):
        MLPRegressor(loss="poisson").fit(DIGITS, LABELS - 5.0)
    model = MLPClassifier((5,), warm_start=True, solver="lbfgs", random_state=0).fit(DIGITS, LABELS)
    with pytest.raises(ValueError, match="same classes"):
        model.fit(DIGITS, LABELS % 3)
    with pytest.raises(ValueError, match="cannot go on from its earlier fit"):
        model.set_params(hidden_layer_sizes=(6,)).fit(DIGITS, LABELS)


def test_a_clipped_batch_size_warns_as_in_scikit_learn():
    with pytest.warns(UserWarning, match="is going to be clipped"):
        MLPClassifier((5,), batch_size=1000, n_iter_no_change=1, tol=10.0).fit(DIGITS, LABELS)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", ACTIVATIONS.names())
def test_compiled_response_equals_the_generic_one(activation, dtype):
    rng = np.random.default_rng(0)
    for output in OUTPUTS:
        for hidden in ((), (9,), (4, 7, 6)):
            net = Network((5, *hidden, 3), activation, output)
            coefs, intercepts = net.unpack((0.4 * rng.normal(size=net.size)).astype(dtype))
            for n in (0, 1, 2500):
                X = rng.normal(size=(n, 5)).astype(dtype)
                compiled = bind(np, np.dtype(dtype)).network_response(net, coefs, intercepts, X)
                expected = generic_network.network_response(net, coefs, intercepts, X)
                assert compiled.dtype == dtype
                tol = 1e-12 if dtype is np.float64 else 1e-4
                np.testing.assert_allclose(compiled, expected, rtol=tol, atol=tol)


def test_a_few_rows_are_answered_as_many_and_refused_as_many():
    model = MLPClassifier((5,), max_iter=3, random_state=0)
    with pytest.raises(NotFittedError):
        model.predict(DIGITS[:1])
    with pytest.warns(ConvergenceWarning):
        model.fit(DIGITS, LABELS)
    every = model.predict_proba(DIGITS)
    np.testing.assert_allclose(model.predict_proba(DIGITS[:1]), every[:1], rtol=1e-12)
    np.testing.assert_allclose(model.predict_proba(DIGITS[:2].tolist()), every[:2], rtol=1e-12)
    turned = np.asfortranarray(DIGITS[:3])
    np.testing.assert_allclose(model.predict_proba(turned), every[:3], rtol=1e-12)
    for wrong, words in [
        (np.full((1, 64), np.nan), "NaN"),
        (DIGITS[:1, :5], "5 features"),
        (DIGITS[0], "Expected 2D array"),
        (DIGITS[:0], "0 sample"),
    ]:
        with pytest.raises(ValueError, match=words):
            model.predict(wrong)


def test_data_mapped_from_a_file_train_as_data_in_memory(tmp_path):
    for name, array in (("X", DIGITS), ("y", LABELS)):
        np.save(tmp_path / f"{name}.npy", array)
    mapped = [np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in ("X", "y")]
    model = MLPClassifier((5,), max_iter=3, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        one, two = clone(model).fit(*mapped), clone(model).fit(DIGITS, LABELS)
    assert one.loss_curve_ == two.loss_curve_
    problem = clone(model)._build_problem(*mapped)
    assert np.shares_memory(problem.X, mapped[0])  # Nothing is read before its batch.
