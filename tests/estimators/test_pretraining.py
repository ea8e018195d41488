"""Learnt starts of a network: layer by layer, from the inputs, from hints, from a teacher."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from scipy.linalg import subspace_angles
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from skopt_dl import MLPClassifier, MLPRegressor
from skopt_dl.neural_network.initialisation import He
from skopt_dl.neural_network.pretraining import (
    GreedyAutoencoder,
    GreedySupervised,
    Hints,
    middle,
)
from skopt_dl.solvers import Adam


def fit(model: Any, X: Any, y: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, y)


def digits(n: int = 600) -> tuple[Any, Any]:
    X, y = load_digits(return_X_y=True)
    return X[:n] / 16, y[:n]


def problem_of(model: Any, X: Any, y: Any) -> Any:
    return clone(model)._build_problem(X, y)


def test_greedy_layers_improve_stage_by_stage_and_hand_over_their_loss() -> None:
    X, y = digits(300)
    model = MLPClassifier((16, 16, 16), alpha=0.0, random_state=0)
    problem = problem_of(model, X, y)
    found = GreedySupervised("lbfgs", max_iter=15).start(problem, np.random.RandomState(0))
    assert len(found.losses) == 3
    # ReLU on ReLU: each stage starts as the one before it ended.
    assert np.all(np.diff(found.losses) <= 1e-12)
    assert found.losses[-1] < 0.5 * found.losses[0]
    # The whole network computes what the last stage did.
    assert float(problem.value(found.w)) == pytest.approx(found.losses[-1], rel=1e-10)


def test_without_an_identity_the_stages_start_anew_and_still_hand_over() -> None:
    X, y = digits(300)
    model = MLPClassifier((16, 8), "tanh", alpha=0.0, random_state=0)
    problem = problem_of(model, X, y)
    found = GreedySupervised("lbfgs", max_iter=30).start(problem, np.random.RandomState(0))
    assert float(problem.value(found.w)) == pytest.approx(found.losses[-1], rel=1e-10)
    assert found.losses[-1] < 0.3


def test_a_linear_autoencoder_spans_the_principal_subspace() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 8)) * [5.0, 4.0, 3.0, 1.0, 0.8, 0.5, 0.3, 0.1]
    X = (X - X.mean(axis=0)) @ np.linalg.qr(rng.normal(size=(8, 8)))[0]
    model = MLPRegressor(hidden_layer_sizes=(3,), activation="identity", alpha=0.0)
    problem = problem_of(model, X, X[:, 0])
    found = GreedyAutoencoder("lbfgs", max_iter=500).start(problem, np.random.RandomState(0))
    W = problem.net.unpack(found.w)[0][0]
    principal = np.linalg.svd(X)[2][:3].T
    assert subspace_angles(W, principal).max() < 1e-4
    rest = np.linalg.svd(X, compute_uv=False)[3:]
    assert found.losses[0] == pytest.approx(0.5 * np.sum(rest**2) / 200, rel=1e-6)


def test_corruption_hides_inputs_and_asks_for_them_back() -> None:
    X, y = digits(200)
    problem = problem_of(MLPClassifier((30, 10), random_state=0), X, y)
    seen = []

    class Watch(GreedyAutoencoder):
        def _train(self, *args: Any, **kwargs: Any) -> Any:
            seen.append(args[4:6])
            return super()._train(*args, **kwargs)

    found = Watch("lbfgs", corruption=0.4, max_iter=20).start(problem, np.random.RandomState(0))
    assert len(found.losses) == 2
    (shown, wanted), (shown_2, wanted_2) = seen
    np.testing.assert_array_equal(wanted, X)
    share = np.mean(shown[X > 0] == 0)
    assert 0.35 < share < 0.45
    np.testing.assert_array_equal(shown[shown != 0], X[shown != 0])
    assert shown_2.shape == wanted_2.shape == (200, 30)


def test_hints_move_the_layers_below_and_no_other() -> None:
    X, y = digits(200)
    model = MLPClassifier((12, 9, 7), random_state=0)
    problem = problem_of(model, X, y)
    hints = np.column_stack([y % 2, y > 4])
    found = Hints(hints, layer=2, solver="lbfgs").start(problem, np.random.RandomState(3))
    drawn = GreedyAutoencoder("lbfgs", max_iter=1).start(problem, np.random.RandomState(3))
    mine, other = problem.net.unpack(found.w)[0], problem.net.unpack(drawn.w)[0]
    np.testing.assert_array_equal(mine[3], other[3])
    coefs, intercepts = problem.net.unpack(found.w)
    H = X
    for k in range(2):
        H = np.maximum(H @ coefs[k] + intercepts[k], 0)
    A = np.column_stack([H, np.ones(200)])
    residual = hints - A @ np.linalg.lstsq(A, hints, rcond=None)[0]
    assert np.mean(residual**2) < 0.2 * np.mean((hints - hints.mean(axis=0)) ** 2)


@pytest.mark.slow
def test_hints_make_a_composed_problem_learnable() -> None:
    # The parity of three detectors, each of which sees a pair of bits.
    solved = {"hints": 0, "plain": 0}
    solver = Adam(learning_rate=0.01, batch_size=50)
    for seed in range(10):
        rng = np.random.default_rng(seed)
        X = rng.choice([-1.0, 1.0], (1500, 16))
        seen = X[:, [0, 2, 4]] * X[:, [1, 3, 5]]
        y = (seen.prod(axis=1) > 0).astype(int)
        train, test = np.arange(1000), np.arange(1000, 1500)
        for name, start in (
            ("plain", None),
            ("hints", Hints(seen[train], solver=solver, max_iter=60)),
        ):
            model = MLPClassifier(
                (48, 24),
                initialisation=start,
                max_iter=60,
                learning_rate_init=0.003,
                batch_size=50,
                random_state=seed,
            )
            fit(model, X[train], y[train])
            solved[name] += model.score(X[test], y[test]) > 0.9
    assert solved["hints"] >= 9
    assert solved["plain"] <= 2


@pytest.mark.slow
def test_a_thin_deep_student_learns_its_teacher_s_middle_first() -> None:
    X, y = load_digits(return_X_y=True)
    X = X / 16
    train, test = np.arange(1200), np.arange(1200, 1797)
    teacher = fit(MLPClassifier((100,), max_iter=60, random_state=0), X[train], y[train])
    hints = middle(teacher, X[train], 1)
    scores = {"plain": [], "fitnet": []}
    shape = (30, 30, 30)
    for seed in range(10):
        start = Hints(hints, layer=2, max_iter=60)
        for name, given in (("plain", None), ("fitnet", start)):
            model = MLPClassifier(shape, initialisation=given, max_iter=60, random_state=seed)
            scores[name].append(fit(model, X[train], y[train]).score(X[test], y[test]))
    assert np.mean(scores["fitnet"]) >= np.mean(scores["plain"]) - 0.005
    problem = problem_of(MLPClassifier(shape, alpha=0.0, random_state=0), X[train], y[train])
    losses = [
        Hints(hints, layer=2, max_iter=k).start(problem, np.random.RandomState(0)).losses[0]
        for k in (1, 150)
    ]
    assert losses[1] < 0.1 * losses[0]


@pytest.mark.parametrize("given", ["he", He("uniform"), "orthogonal", "sparse"], ids=repr)
def test_networks_start_as_they_are_told(given: Any) -> None:
    X, y = digits(100)
    model = MLPClassifier((20,), initialisation=given, random_state=0)
    w = problem_of(model, X, y).start()
    assert not w[64 * 20 + 20 * 10 :].any()
    plain = problem_of(MLPClassifier((20,), random_state=0), X, y).start()
    assert w.shape == plain.shape and not np.allclose(w, plain)
    assert fit(model.set_params(max_iter=60, learning_rate_init=0.02), X, y).score(X, y) > 0.8


def test_a_pretraining_is_a_parameter_as_any_other() -> None:
    X, y = digits(150)
    pre = GreedyAutoencoder(corruption=0.2, max_iter=5)
    model = MLPClassifier(
        (20, 10), initialisation=pre, max_iter=40, learning_rate_init=0.02, random_state=0
    )
    model.set_params(initialisation__corruption=0.1)
    assert clone(model).initialisation == GreedyAutoencoder(corruption=0.1, max_iter=5)
    first = fit(clone(model), X, y)
    np.testing.assert_array_equal(fit(clone(model), X, y).coefs_[0], first.coefs_[0])
    held = fit(clone(model).set_params(early_stopping=True, solver="adam"), X, y)
    assert held.score(X, y) > 0.5
    assert fit(clone(model).set_params(solver="lbfgs"), X, y).score(X, y) > 0.8


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("heh", "initialisation='heh'"),
        (GreedyAutoencoder(corruption=1.0), "corruption=1.0"),
        (Hints(np.zeros(100), layer=3), "layer=3, but the network has 1"),
        (Hints(np.zeros(7)), "hints for 7 samples, but the network is trained on 100"),
    ],
)
def test_bad_starts_are_named(given: Any, message: str) -> None:
    X, y = digits(100)
    with pytest.raises(ValueError, match=message):
        MLPClassifier((8,), initialisation=given).fit(X, y)
    with pytest.raises(ValueError, match="middle: layer=2"):
        middle(fit(MLPClassifier((4,), max_iter=1), X, y), X, 2)
