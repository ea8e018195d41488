"""Networks on batches read one after the other: `partial_fit` in a loop, and its memory."""

from __future__ import annotations

import tracemalloc
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from skopt_dl import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
N, P, PASSES = 600, 5, 4
rng = np.random.default_rng(0)
X = rng.standard_normal((N, P))
LABELS = np.array(["a", "b", "c"])[np.digitize(X[:, 0] + X[:, 1], [-0.5, 0.5])]
LABELS[:150][LABELS[:150] == "c"] = "a"
MANY = (X[:, :3] > 0).astype(int)
WEIGHTS = rng.random(N)
NUMBERS = np.c_[X[:, 0] * X[:, 1], X[:, 2]]
KINDS = {
    "classes": (MLPClassifier, LABELS, {}),
    "labels": (MLPClassifier, MANY, {}),
    "numbers": (MLPRegressor, NUMBERS, {}),
    "members": (MLPClassifier, LABELS, {"n_ensemble": 2}),
    "resumed": (MLPRegressor, NUMBERS, {"resume": True, "dropout": 0.1}),
    "adaptive": (MLPClassifier, LABELS, {"solver": "sgd", "learning_rate": "adaptive"}),
}


def split(*arrays: Any, size: int = 150) -> list[tuple[Any, ...]]:
    return [tuple(a[i : i + size] for a in arrays) for i in range(0, N, size)]


def parameters(model: Any) -> list[Any]:
    nets = getattr(model, "members_", [model])
    return [a for net in nets for a in (*net.coefs_, *net.intercepts_)]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_passes_are_partial_fits_in_a_loop(kind: str, weighted: bool) -> None:
    make, y, settings = KINDS[kind]
    batches = split(X, y, WEIGHTS) if weighted else split(X, y)
    model = make(hidden_layer_sizes=(6,), max_iter=PASSES, random_state=0, **settings)
    known = make(**model.get_params())
    more = {"classes": np.unique(LABELS) if y is LABELS else [0, 1, 2]}
    more = {} if make is MLPRegressor else more
    losses = []
    for _ in range(PASSES):
        total = weight = 0.0
        for batch in batches:
            known.partial_fit(*batch, **more)
            size = sum(batch[2]) if weighted else len(batch[1])
            total, weight = total + size * known.loss_, weight + size
        losses.append(total / weight)
    model.fit_batches(batches)
    for found, expected in zip(parameters(model), parameters(known), strict=True):
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(model.loss_, losses[-1], rtol=1e-12)
    if kind != "members":
        np.testing.assert_allclose(model.loss_curve_, losses, rtol=1e-12)
        assert model.t_ == PASSES * N
        assert model.solve_report_.status == "max_iter"
    assert model.n_iter_ == PASSES
    np.testing.assert_array_equal(model.predict(X), known.predict(X))


def test_a_generator_is_one_pass() -> None:
    known = MLPRegressor(hidden_layer_sizes=(6,), random_state=0, max_iter=1).fit_batches(
        split(X, NUMBERS)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        once = MLPRegressor(hidden_layer_sizes=(6,), random_state=0).fit_batches(
            iter(split(X, NUMBERS))
        )
        named = MLPClassifier(hidden_layer_sizes=(6,), random_state=0).fit_batches(
            iter(split(X, LABELS)), classes=["a", "b", "c"]
        )
    np.testing.assert_array_equal(once.coefs_[0], known.coefs_[0])
    assert once.n_iter_ == 1
    assert once.solve_report_.status == "stopped"
    assert list(named.classes_) == ["a", "b", "c"]


def test_it_starts_anew_or_goes_on() -> None:
    batches = split(X, NUMBERS)
    model = MLPRegressor(hidden_layer_sizes=(6,), random_state=0, max_iter=2)
    first = model.fit_batches(batches).coefs_[0]
    np.testing.assert_array_equal(model.fit_batches(batches).coefs_[0], first)
    whole = MLPRegressor(hidden_layer_sizes=(6,), random_state=0, max_iter=4).fit_batches(batches)
    np.testing.assert_array_equal(
        model.set_params(warm_start=True).fit_batches(batches).coefs_[0], whole.coefs_[0]
    )


def test_passes_end_where_the_loss_stays() -> None:
    model = MLPRegressor(
        hidden_layer_sizes=(6,), random_state=0, tol=1e9, n_iter_no_change=2, max_iter=50
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        model.fit_batches(split(X, NUMBERS))
    assert model.n_iter_ == 4
    assert model.solve_report_.status == "converged"
    with pytest.warns(ConvergenceWarning, match="max_iter=2"):
        MLPRegressor(hidden_layer_sizes=(6,), random_state=0, max_iter=2).fit_batches(
            split(X, NUMBERS)
        )


@pytest.mark.parametrize(
    ("model", "batches", "error", "message"),
    [
        (MLPRegressor(), [], ValueError, "no batch"),
        (MLPClassifier(), [], ValueError, "no batch"),
        (MLPRegressor(), [1], ValueError, r"a batch is a tuple \(X, y\)"),
        (MLPRegressor(), [(X, NUMBERS), (X[:, :2], NUMBERS)], ValueError, "2 features"),
        (MLPRegressor(early_stopping=True), [(X, NUMBERS)], ValueError, "early_stopping=False"),
        (MLPClassifier(), iter([(X, LABELS)]), TypeError, "classes="),
        (MLPRegressor(solver="lbfgs"), [(X, NUMBERS)], AttributeError, "fit_batches"),
    ],
    ids=["none", "no_class", "no_tuple", "columns", "early", "generator", "lbfgs"],
)
def test_bad_batches_leave_nothing(model: Any, batches: Any, error: Any, message: str) -> None:
    before = dict(vars(model))
    with pytest.raises(error, match=message):
        model.fit_batches(batches)
    assert vars(model) == before


# --- memory ---------------------------------------------------------------------------------------

ROWS, COLUMNS, BATCH = 60_000, 50, 4_000


class Batches:
    """Slices of a file, from the beginning at each iteration."""

    def __init__(self, path: Path, y: Any) -> None:
        self.path, self.y = path, y

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        rows = np.memmap(self.path, dtype=np.float64, mode="r", shape=(ROWS, COLUMNS))
        for i in range(0, ROWS, BATCH):
            yield np.array(rows[i : i + BATCH]), self.y[i : i + BATCH]


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_batches_need_the_memory_of_three(tmp_path: Path, kind: Any) -> None:
    path = tmp_path / "rows"
    written = np.memmap(path, dtype=np.float64, mode="w+", shape=(ROWS, COLUMNS))
    written[:] = np.random.default_rng(0).standard_normal((ROWS, COLUMNS))
    written.flush()
    y = (np.asarray(written[:, 0]) > 0) * 1.0
    model = kind(hidden_layer_sizes=(20,), max_iter=2, random_state=0)
    model.fit_batches([(np.array(written[:100]), y[:100])])  # what is imported at the first use
    tracemalloc.start()
    try:
        model.fit_batches(Batches(path, y))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 3 * 8 * BATCH * COLUMNS
