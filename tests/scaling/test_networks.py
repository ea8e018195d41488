"""Networks on Dask collections, by local SGD on blocks of rows."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

import skopt_dl

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")
import skopt_dl.dask as ours  # noqa: E402


def digits() -> tuple[Any, ...]:
    X, y = load_digits(return_X_y=True)
    return train_test_split(X / 16.0, y, random_state=0)  # type: ignore[no-any-return]


def quietly(model: Any, *data: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(*data)


def smooth(n: int = 400) -> tuple[Any, Any]:
    X = np.random.default_rng(0).uniform(-1, 1, (n, 2))
    return X, X[:, 0] * X[:, 1] + X[:, 0]


def test_one_block_is_the_training_in_memory() -> None:
    X, y = smooth()
    params: dict[str, Any] = {"hidden_layer_sizes": (7,), "random_state": 3, "solver": "adam"}
    model = ours.MLPRegressor(**params, max_iter=1, local_epochs=3)
    quietly(model, da.from_array(X, chunks=(400, 2)), da.from_array(y, chunks=400))

    rng = np.random.RandomState(3)
    plain = skopt_dl.MLPRegressor(**{**params, "random_state": rng})._untrained(X, y)
    seed = (rng.randint(2**31 - 1), 0, 0)
    state = np.random.SeedSequence(seed).generate_state(4)
    plain.random_state = np.random.RandomState(state)
    for _ in range(3):
        plain.partial_fit(X, y)
    for mine, known in zip(model.coefs_, plain.coefs_, strict=True):
        np.testing.assert_allclose(mine, known, rtol=1e-14)
    np.testing.assert_allclose(model.loss_, plain.loss_)
    assert model.n_passes_ == 1


def test_a_point_of_the_accuracy_in_memory() -> None:
    X, X_test, y, y_test = digits()
    params: dict[str, Any] = {"hidden_layer_sizes": (40,), "random_state": 0, "batch_size": 50}
    known = quietly(skopt_dl.MLPClassifier(**params, max_iter=40), X, y).score(X_test, y_test)
    model = ours.MLPClassifier(**params, max_iter=20, local_epochs=4, learning_rate_init=0.003)
    blocks = da.from_array(X, chunks=(340, 20))
    quietly(model, blocks, y)
    there = da.from_array(X_test, chunks=(100, 64))
    score = model.score(there, da.from_array(y_test, chunks=100))
    assert score > known - 0.01
    assert model.n_blocks_ == 4 and model.n_passes_ == model.n_iter_ + 1
    assert model.solve_report_.n_iter == model.n_iter_ == len(model.loss_curve_)

    local = model.to_local()
    assert type(local) is skopt_dl.MLPClassifier and local.score(X_test, y_test) == score
    np.testing.assert_array_equal(model.predict(there).compute(), local.predict(X_test))
    p = model.predict_proba(there)
    assert p.shape == (len(X_test), 10)
    np.testing.assert_array_equal(p.compute(), local.predict_proba(X_test))
    local.partial_fit(X, y)  # goes on in memory
    assert pickle.loads(pickle.dumps(model)).n_iter_ == model.n_iter_


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_schedule_of_tasks_does_not_matter(dtype: Any) -> None:
    X, y = smooth()
    X = da.from_array(X.astype(dtype), chunks=(60, 2))
    fits = []
    for scheduler in ("synchronous", "threads"):
        with dask.config.set(scheduler=scheduler):
            model = ours.MLPRegressor(hidden_layer_sizes=(5,), max_iter=4, random_state=0)
            fits.append(quietly(model, X, y))
    assert fits[0].coefs_[0].dtype == dtype
    np.testing.assert_array_equal(fits[0].coefs_[0], fits[1].coefs_[0])
    assert fits[0].loss_curve_ == fits[1].loss_curve_
    clone(fits[0])


def test_frames_weights_and_blocks_that_count_nothing() -> None:
    pd = pytest.importorskip("pandas")
    X, y = smooth(300)
    frame = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "y": y})
    frame["w"] = np.where(np.arange(300) < 100, 0.0, 1.0)
    table = dd.from_pandas(frame, npartitions=3)
    model = ours.MLPRegressor(
        hidden_layer_sizes=(20,), learning_rate_init=0.02, local_epochs=3, random_state=0
    )
    quietly(model, table[["a", "b"]], table["y"], table["w"])
    assert list(model.feature_names_in_) == ["a", "b"]
    assert model.score(table[["a", "b"]], table["y"], table["w"]) > 0.95
    assert len(model.predict(table[["a", "b"]]).compute()) == 300
    # The first third has weight zero: its block must not have moved anything.
    wrong = table["y"].where(table["w"] > 0, 1e6)
    again = quietly(clone(model), table[["a", "b"]], wrong, table["w"])
    np.testing.assert_array_equal(again.coefs_[0], model.coefs_[0])


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_what_scikit_learn_does_with_estimators(name: str) -> None:
    model = getattr(ours, name)(hidden_layer_sizes=(3,), batch_size=10, max_iter=1)
    assert set(model.get_params()) >= {"client", "verbose", "local_epochs", "solver"}
    assert clone(model).get_params() == model.get_params()
    assert name in repr(model) and name in model._repr_html_()
    X = da.from_array(np.random.default_rng(0).standard_normal((60, 3)), chunks=(20, 3))
    quietly(model, X, (X[:, 0] > 0).astype(int))
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X).compute(), model.predict(X).compute())
    plain = model.to_local()
    assert not type(plain).__module__.startswith("skopt_dl.dask")
    for mine, its in zip(model.coefs_, plain.coefs_, strict=True):
        np.testing.assert_array_equal(mine, its)
    assert "dask" not in {type(v).__module__.split(".")[0] for v in vars(plain).values()}


@pytest.mark.filterwarnings("ignore:MLPRegressor did not converge")
def test_errors_name_the_way_out() -> None:
    X, y = smooth(40)
    X, y = da.from_array(X, chunks=(20, 2)), da.from_array(y, chunks=20)
    with pytest.raises(ValueError, match="solver='lbfgs' works on all samples at once"):
        ours.MLPRegressor(solver="lbfgs").fit(X, y)
    with pytest.raises(ValueError, match="local_epochs"):
        ours.MLPRegressor(local_epochs=0).fit(X, y)
    with pytest.raises(ValueError, match="alpha"):
        ours.MLPRegressor(alpha=-1.0).fit(X, y)
    with pytest.raises(ValueError, match="at least 2 classes"):
        ours.MLPClassifier().fit(X, da.zeros(40, chunks=20, dtype=int))
    with pytest.raises(ValueError, match="all sample weights are zero"):
        ours.MLPRegressor().fit(X, y, da.zeros(40, chunks=20))
    with pytest.raises(TypeError, match=r"use skopt_dl\.MLPRegressor for data in memory"):
        ours.MLPRegressor().fit(X.compute(), y.compute())
    with pytest.raises(TypeError, match=r"skopt_dl\.dask\.MLPRegressor"):
        skopt_dl.MLPRegressor().fit(X, y)
    with pytest.warns(ConvergenceWarning, match="'max_iter' after 1 iterations"):
        ours.MLPRegressor(max_iter=1, batch_size=10).fit(X, y)
    with pytest.warns(ConvergenceWarning, match="iterates overflowed"):
        ours.MLPRegressor(
            solver="sgd", learning_rate_init=1e200, batch_size=10, random_state=0
        ).fit(X, 1e200 * y)


@pytest.mark.parametrize("form", ["array", "frame"])
def test_several_targets_are_those_of_memory(form: str) -> None:
    pd = pytest.importorskip("pandas")
    X, y = smooth()
    Y = np.stack([y, -2 * y, X[:, 1]], axis=1)
    params: dict[str, Any] = {"hidden_layer_sizes": (20,), "random_state": 3, "solver": "adam"}
    if form == "array":
        rows: Any = da.from_array(X, chunks=(400, 2))
        targets: Any = da.from_array(Y, chunks=(150, 2))
    else:
        rows = dd.from_pandas(pd.DataFrame(X, columns=list("ab")), npartitions=1)
        targets = dd.from_pandas(pd.DataFrame(Y, columns=list("uvw")), npartitions=1)
    model = ours.MLPRegressor(**params, max_iter=1, local_epochs=3)
    quietly(model, rows, targets)
    assert model.n_outputs_ == 3

    rng = np.random.RandomState(3)
    plain = skopt_dl.MLPRegressor(**{**params, "random_state": rng})._untrained(X, Y)
    state = np.random.SeedSequence((rng.randint(2**31 - 1), 0, 0)).generate_state(4)
    plain.random_state = np.random.RandomState(state)
    for _ in range(3):
        plain.partial_fit(X, Y)
    for mine, known in zip(model.coefs_, plain.coefs_, strict=True):
        np.testing.assert_allclose(mine, known, rtol=1e-14)
    lazy = model.predict(rows)
    assert form == "frame" or lazy.shape == (400, 3)
    np.testing.assert_allclose(np.asarray(lazy.compute()), plain.predict(X), rtol=1e-12)
    assert model.score(rows, targets) == pytest.approx(plain.score(X, Y), rel=1e-10)


def test_sparse_blocks_train_as_dense_ones_do() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    X, y = smooth()
    X = np.where(np.abs(X) > 0.4, X, 0.0)
    dense = da.from_array(X, chunks=(100, 1))
    thin = dense.rechunk({1: -1}).map_blocks(sparse.csc_matrix)
    labels = da.from_array((y > 0).astype(int), chunks=100)
    for name, target in (("MLPRegressor", da.from_array(y, chunks=100)), ("MLPClassifier", labels)):
        model = getattr(ours, name)(hidden_layer_sizes=(7,), max_iter=3, random_state=0)
        known = quietly(clone(model), dense, target)
        quietly(model, thin, target)
        np.testing.assert_allclose(model.coefs_[0], known.coefs_[0], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(model.predict(thin).compute(), known.predict(dense).compute())
        assert model.score(thin, target) == pytest.approx(known.score(dense, target))
    wrong = thin.map_blocks(lambda b: b * np.inf)
    with pytest.raises(ValueError, match="X contains NaN or infinity in block"):
        ours.MLPRegressor().fit(wrong, da.from_array(y, chunks=100))


def several() -> tuple[Any, Any]:
    """Three labels a row, of which the last is rare: some blocks have none of it."""
    X = np.random.default_rng(1).uniform(-1, 1, (600, 2))
    rare = (X[:, 0] > 0.5) & (np.arange(600) < 150)
    return X, np.stack([X[:, 0] > 0, X[:, 0] * X[:, 1] > 0, rare], axis=1)


@pytest.mark.parametrize("kind", [np.int64, bool, np.float64])
def test_several_labels_of_a_row(kind: Any) -> None:
    X, y = several()
    y = y.astype(kind)
    model = ours.MLPClassifier((20,), learning_rate_init=0.03, local_epochs=3, random_state=0)
    there, labels = da.from_array(X, chunks=(150, 2)), da.from_array(y, chunks=(100, 2))
    quietly(model, there, labels)
    assert model.out_activation_ == "logistic" and model.n_outputs_ == 3
    np.testing.assert_array_equal(model.classes_, np.arange(3))
    local = model.to_local()
    lazy = model.predict(there)
    assert isinstance(lazy, da.Array) and lazy.shape == (600, 3)
    np.testing.assert_array_equal(lazy.compute(), local.predict(X))
    p = model.predict_proba(there)
    assert p.shape == (600, 3)
    np.testing.assert_array_equal(p.compute(), local.predict_proba(X))
    # Rows with all labels right, as in memory; by chance an eighth.
    assert model.score(there, labels) == pytest.approx(local.score(X, y.astype(int)))
    assert model.score(there, labels) > 0.8
    local.partial_fit(X, y.astype(int))


def test_one_block_of_several_labels_is_the_training_in_memory() -> None:
    X, y = several()
    model = ours.MLPClassifier((7,), random_state=3, max_iter=1)
    quietly(model, da.from_array(X, chunks=(600, 2)), da.from_array(y, chunks=(600, 3)))
    rng = np.random.RandomState(3)
    plain = skopt_dl.MLPClassifier((7,), random_state=rng)._untrained(X, y)
    seed = (rng.randint(2**31 - 1), 0, 0)
    plain.random_state = np.random.RandomState(np.random.SeedSequence(seed).generate_state(4))
    plain.partial_fit(X, y)
    for mine, known in zip(model.coefs_, plain.coefs_, strict=True):
        np.testing.assert_allclose(mine, known, rtol=1e-14)


def test_several_labels_from_a_frame() -> None:
    pd = pytest.importorskip("pandas")
    X, y = several()
    columns = {"a": X[:, 0], "b": X[:, 1], "one": y[:, 0], "two": y[:, 1]}
    table = dd.from_pandas(pd.DataFrame(columns), npartitions=3)
    model = ours.MLPClassifier((10,), learning_rate_init=0.03, local_epochs=3, random_state=0)
    quietly(model, table[["a", "b"]], table[["one", "two"]])
    assert model.predict(table[["a", "b"]]).compute().shape == (600, 2)
    assert model.score(table[["a", "b"]], table[["one", "two"]]) > 0.8


def test_columns_that_are_no_labels() -> None:
    X = da.from_array(smooth(60)[0], chunks=(20, 2))
    wrong = da.from_array(np.arange(120).reshape(60, 2) % 3, chunks=(20, 2))
    with pytest.raises(ValueError, match=r"by 0 and 1 which rows have its label.*\[0, 1, 2\]"):
        ours.MLPClassifier().fit(X, wrong)
    with pytest.raises(ValueError, match="y has 2 dimensions"):
        ours.LogisticRegression().fit(X, wrong)
