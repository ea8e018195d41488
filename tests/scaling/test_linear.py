"""Linear models on Dask collections: the answers of the models in memory, in few passes."""

from __future__ import annotations

import pickle
import sys
import tracemalloc
import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

import skopt_dl
from skopt_dl import IncompatibleSolverError

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")
import skopt_dl.dask as ours  # noqa: E402
from skopt_dl.dask._base import DaskEstimator  # noqa: E402

N, P = 801, 8


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    """Raw columns of sizes from 0.1 to 1000, far from zero, and weights of which some are 0."""
    rng = np.random.default_rng(0)
    scales = np.logspace(-1, 3, P)
    X = scales * (rng.standard_normal((N, P)) + 3)
    z = (X / scales) @ rng.standard_normal(P)
    y = z + rng.standard_normal(N) + 100
    noisy = z + rng.logistic(size=N)
    two = np.where(noisy > np.median(noisy), "yes", "no")
    return {
        "X": X,
        "y": y,
        "two": two,
        "three": np.digitize(noisy, np.quantile(noisy, [0.3, 0.6])),
        "w": rng.integers(0, 3, N).astype(float),
    }


def there(a: Any, rows: int = 250) -> Any:
    """In blocks of rows, and of columns where there are some."""
    return da.from_array(a, chunks=(rows, 3) if a.ndim == 2 else rows)


LINES = [
    ("Ridge", {"alpha": 10.0}),
    ("Ridge", {"fit_intercept": False, "solver": "svd"}),
    ("Lasso", {"alpha": 0.05, "tol": 1e-10}),
    ("Lasso", {"alpha": 0.05, "tol": 1e-10, "positive": True, "solver": "cd"}),
    ("ElasticNet", {"alpha": 0.05, "l1_ratio": 0.3, "tol": 1e-10}),
    ("LassoCV", {"tol": 1e-8, "alphas": 20}),
    ("ElasticNetCV", {"l1_ratio": [0.3, 0.9], "cv": 3, "alphas": 10}),
    ("RidgeCV", {"alphas": np.logspace(-2, 4, 7), "cv": 4}),
]
CLASSIFIERS = [
    {},
    {"solver": "newton_cg", "fit_intercept": False},
    {"class_weight": "balanced"},
    {"class_weight": {"yes": 2.0}},
    {"l1_ratio": 0.5, "C": 0.05},
]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("name", "params"), LINES, ids=lambda v: str(v)[:40])
def test_the_answer_in_memory_in_one_pass(
    data: dict[str, Any], name: str, params: dict[str, Any], weighted: bool
) -> None:
    X, y, w = data["X"], data["y"], data["w"] if weighted else None
    model = getattr(ours, name)(**params)
    assert model.fit(there(X), there(y, 300), None if w is None else there(w, 111)) is model
    known = getattr(skopt_dl, name)(**params).fit(X, y, w)
    np.testing.assert_allclose(model.coef_ * X.std(0), known.coef_ * X.std(0), rtol=0, atol=1e-8)
    np.testing.assert_allclose(model.intercept_, known.intercept_, rtol=1e-9)
    for attribute in ("alpha_", "l1_ratio_", "mse_path_", "alphas_", "best_score_"):
        if hasattr(known, attribute):
            np.testing.assert_allclose(
                getattr(model, attribute), getattr(known, attribute), rtol=1e-8
            )
    assert model.n_passes_ == 1
    assert model.n_blocks_ == 4
    assert model.solve_report_.status == "converged"
    lazy = model.predict(there(X))
    assert isinstance(lazy, da.Array)
    expected = known.predict(X)
    np.testing.assert_allclose(lazy.compute(), expected, rtol=1e-9)
    np.testing.assert_allclose(model.to_local().predict(X), lazy.compute(), rtol=1e-13)
    assert model.score(there(X), there(y)) == pytest.approx(known.score(X, y), rel=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("labels", ["two", "three"])
@pytest.mark.parametrize("params", CLASSIFIERS, ids=str)
def test_logistic_regression_in_memory(
    data: dict[str, Any], params: dict[str, Any], labels: str, weighted: bool
) -> None:
    if labels == "three" and isinstance(params.get("class_weight"), dict):
        params = {"class_weight": {0: 2.0}}
    X, y, w = data["X"], data[labels], data["w"] if weighted else None
    model = ours.LogisticRegression(tol=1e-9, max_iter=200, **params)
    model.fit(there(X), there(y), None if w is None else there(w))
    params = {**params, "solver": "prox_newton" if "l1_ratio" in params else "newton_cholesky"}
    known = skopt_dl.LogisticRegression(tol=1e-11, max_iter=200, **params)
    with warnings.catch_warnings():
        # 1e-11 is where rounding may end it.
        warnings.simplefilter("ignore", ConvergenceWarning)
        known.fit(X, y, w)
    np.testing.assert_allclose(model.coef_ * X.std(0), known.coef_ * X.std(0), atol=1e-7)
    np.testing.assert_allclose(model.intercept_, known.intercept_, atol=1e-6)
    assert model.coef_.shape == known.coef_.shape
    assert model.solver_ in ("newton_cholesky", "newton_cg", "prox_newton")
    np.testing.assert_array_equal(model.classes_, known.classes_)
    np.testing.assert_allclose(
        model.predict_proba(there(X)).compute(), known.predict_proba(X), atol=1e-8
    )
    np.testing.assert_array_equal(model.predict(there(X)).compute(), known.predict(X))
    np.testing.assert_allclose(
        model.decision_function(there(X)).compute(), known.decision_function(X), atol=1e-6
    )
    assert model.score(there(X), there(y)) == pytest.approx(known.score(X, y))
    assert model.n_passes_ < 40 or params["solver"] == "newton_cg" or "fit_intercept" in params


def test_blocks_that_are_not_kept_are_read_again(data: dict[str, Any]) -> None:
    X, y = there(data["X"]), there(data["two"])
    kept = ours.LogisticRegression(tol=1e-8).fit(X, y)
    again = ours.LogisticRegression(tol=1e-8, persist=False).fit(X, y)
    np.testing.assert_array_equal(kept.coef_, again.coef_)


def test_frames_of_unknown_lengths(data: dict[str, Any]) -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(data["X"], columns=[f"c{j}" for j in range(P)])
    X = dd.from_pandas(frame, npartitions=3)
    y = dd.from_pandas(pd.Series(data["y"]), npartitions=3)
    assert X.to_dask_array().shape[0] != X.to_dask_array().shape[0]  # NaN: not known
    model = ours.Ridge().fit(X, y)
    assert list(model.feature_names_in_) == list(frame.columns)
    known = skopt_dl.Ridge().fit(frame, data["y"])
    np.testing.assert_allclose(model.predict(X).compute(), known.predict(frame), rtol=1e-10)
    np.testing.assert_allclose(model.to_local().predict(frame), known.predict(frame), rtol=1e-10)
    counted = ours.LassoCV(alphas=5, cv=3).fit(X, y)
    assert counted.n_passes_ == 2
    known = skopt_dl.LassoCV(alphas=5, cv=3).fit(frame, data["y"])
    np.testing.assert_allclose(counted.mse_path_, known.mse_path_, rtol=1e-9)
    labels = dd.from_pandas(pd.Series(data["two"]), npartitions=3)
    classifier = ours.LogisticRegression().fit(X, labels)
    assert set(classifier.predict(X).compute()) == {"no", "yes"}


def test_errors_that_cancel_are_measured_on_the_rows(data: dict[str, Any]) -> None:
    X = data["X"]
    y = X[:, 0] + X[:, 7]
    model = ours.LassoCV(alphas=10, eps=1e-6, tol=1e-9).fit(there(X), there(y))
    known = skopt_dl.LassoCV(alphas=10, eps=1e-6, tol=1e-9).fit(X, y)
    assert model.n_passes_ == 2
    np.testing.assert_allclose(model.mse_path_, known.mse_path_, rtol=1e-6)


def test_float32_is_kept(data: dict[str, Any]) -> None:
    X = there(data["X"].astype(np.float32))
    assert ours.Lasso(0.1).fit(X, there(data["y"])).coef_.dtype == np.float32
    model = ours.LogisticRegression().fit(X, there(data["two"]))
    assert model.coef_.dtype == model.intercept_.dtype == np.float32
    assert model.predict_proba(X).dtype == np.float32


@pytest.mark.parametrize("name", [n for n in ours.__all__ if not n.startswith("M")])
def test_what_scikit_learn_does_with_estimators(name: str) -> None:
    model = getattr(ours, name)(verbose=False)
    assert set(model.get_params()) >= {"client", "verbose", "fit_intercept", "solver"}
    copied = clone(model)
    assert copied.get_params() == model.get_params()
    assert name in repr(model) and name in model._repr_html_()
    X = there(np.random.default_rng(0).standard_normal((60, 3)), 20)
    model.fit(X, (X[:, 0] > 0).astype(int))
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X).compute(), model.predict(X).compute())
    plain = model.to_local()
    assert not type(plain).__module__.startswith("skopt_dl.dask")
    np.testing.assert_array_equal(plain.coef_, model.coef_)
    assert "dask" not in {type(v).__module__.split(".")[0] for v in vars(plain).values()}


@pytest.mark.parametrize("model", [ours.Ridge(verbose=True), ours.LassoCV(cv=3, verbose=True)])
def test_a_task_holds_what_is_said(model: Any, capsys: pytest.CaptureFixture[str]) -> None:
    X = da.random.default_rng(0).normal(size=(60_000, 40), chunks=(10_000, 40))
    y = da.random.default_rng(1).normal(size=60_000, chunks=10_000)
    with dask.config.set(scheduler="synchronous"):
        model.fit(X, y)
        tracemalloc.start()
        clone(model).fit(X, y)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    said = f"6 blocks of 40 columns; memory of a task: {model.task_bytes_ / 2**20:.1f} MiB"
    assert said in capsys.readouterr().out
    # One task at a time, and small results. These blocks need no second copy to be checked.
    assert most < model.task_bytes_ < 2 * most


# --- refusals -----------------------------------------------------------------------------------


def test_plain_estimators_name_the_class_to_use(data: dict[str, Any]) -> None:
    X, y = there(data["X"]), there(data["y"])
    with pytest.raises(TypeError, match=r"use skopt_dl\.dask\.Lasso; or pass X\.compute\(\)"):
        skopt_dl.Lasso().fit(X, y)
    with pytest.raises(TypeError, match=r"skopt_dl\.dask has \['ElasticNet'"):
        skopt_dl.ConstrainedLasso().fit(X, y)
    with pytest.raises(TypeError, match=r"use skopt_dl\.dask\.Lasso"):
        skopt_dl.Lasso().fit(data["X"], data["y"]).predict(X)
    for model in (skopt_dl.MatrixCompletion(), skopt_dl.TableEncoder()):
        with pytest.raises(TypeError, match="works on data in memory"):
            model.fit(X)
    with pytest.raises(TypeError, match=r"use skopt_dl\.Ridge for data in memory"):
        ours.Ridge().fit(data["X"], data["y"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": lambda y: y[:-1]}, "801 rows but y has 800"),
        ({"y": lambda y: None}, "requires y to be passed"),
        ({"y": lambda y: da.stack([y, y], axis=1)}, "y has 2 dimensions"),
        ({"X": lambda X: X[:, :0]}, "0 features"),
        ({"X": lambda X: X[:, 0]}, r"X has 1 dimension\(s\)"),
        ({"X": lambda X: da.where(X > 3000, np.nan, X)}, "X contains NaN or infinity in block "),
        ({"w": lambda w: w - 1}, "negative values in block "),
        ({"w": lambda w: 0 * w}, "no rows with a positive weight"),
        ({"alpha": -1.0}, "alpha=-1.0"),
        ({"solver": "fisto"}, "Did you mean"),
        ({"client": "tcp://here"}, "client='tcp://here' is not valid"),
    ],
    ids=lambda v: str(v)[:30],
)
def test_bad_input_is_named_and_leaves_nothing(
    data: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    parts = {k: there(data[k]) for k in ("X", "y", "w")}
    params = {k: v for k, v in change.items() if k not in parts}
    for key, edit in change.items():
        if key in parts:
            parts[key] = edit(parts[key])
    model = ours.Lasso(**params)
    before = dict(vars(model))
    with pytest.raises((ValueError, TypeError), match=message):
        model.fit(parts["X"], parts["y"], parts["w"])
    assert vars(model) == before


@pytest.mark.parametrize("name", ours.__all__)
def test_an_interrupt_at_the_last_moment_leaves_the_earlier_fit(
    name: str, data: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = getattr(ours, name)()
    settings = {"max_iter": 1, "alphas": 3, "random_state": 0}
    model.set_params(**{k: v for k, v in settings.items() if k in model.get_params()})
    X, y = (
        there(data["X"][:400]),
        there((data["y"][:400] > np.median(data["y"][:400])).astype(float)),
    )

    def fit(X: Any) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X, None if name == "MatrixCompletion" else y)

    fit(X)
    before = dict(vars(model))

    def interrupted(self: Any, *args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(DaskEstimator, "_adopt", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit(X[:, :3])
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[key] is value for key, value in before.items())


def test_folds_and_labels_that_cannot_be(data: dict[str, Any]) -> None:
    X, y = there(data["X"]), there(data["y"])
    with pytest.raises(ValueError, match="cv=1"):
        ours.LassoCV(cv=1).fit(X, y)
    with pytest.raises(ValueError, match="cv='five'"):
        ours.RidgeCV(cv="five").fit(X, y)
    for alphas in ([0.0], [], [1.0, np.inf], "all"):
        with pytest.raises(ValueError, match=r"alphas=.* is not valid; it must hold numbers above"):
            ours.RidgeCV(alphas=alphas).fit(X, y)
    assert ours.RidgeCV(alphas=3).fit(X, y).alpha_ == 3.0
    with pytest.raises(ValueError, match="l1_ratio=0 no strength"):
        ours.ElasticNetCV(l1_ratio=0.0).fit(X, y)
    with pytest.raises(ValueError, match="at least 2 classes"):
        ours.LogisticRegression().fit(X, da.ones(N, chunks=250))
    with pytest.raises(IncompatibleSolverError, match="Solvers that can: 'newton_cholesky'"):
        ours.LogisticRegression(solver="saga").fit(X, there(data["two"]))


def test_without_dask_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from skopt_dl.dask import _install

    monkeypatch.setitem(sys.modules, "dask", None)
    with pytest.raises(ImportError, match=r"pip install skopt_dl\[dask\]"):
        _install.dask()


@pytest.mark.parametrize("name", ["Ridge", "Lasso", "LassoCV", "RidgeCV"])
def test_sparse_blocks_have_the_moments_of_dense_ones(name: str, monkeypatch: Any) -> None:
    from scipy import sparse

    # Several parts of each block.
    monkeypatch.setattr("skopt_dl.dask._moments.BLOCK", 100)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((240, 6)) * (rng.random((240, 6)) < 0.3)
    y = X @ np.arange(6.0) + 0.1 * rng.standard_normal(240) + 3
    dense, target = da.from_array(X, chunks=(80, 6)), da.from_array(y, chunks=80)
    thin = dense.map_blocks(sparse.csr_matrix)
    weights = da.from_array(rng.random(240), chunks=80)
    model, known = (getattr(ours, name)() for _ in "ab")
    with dask.config.set(scheduler="synchronous"):
        model.fit(thin, target, weights), known.fit(dense, target, weights)
        np.testing.assert_allclose(model.coef_, known.coef_, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(model.intercept_, known.intercept_)
        np.testing.assert_allclose(model.predict(thin).compute(), known.predict(dense).compute())
        assert model.score(thin, target) == pytest.approx(known.score(dense, target))


@pytest.mark.parametrize("solver", ["newton_cholesky", "lbfgs", "prox_newton", "consensus_admm"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_sparse_blocks_have_the_logistic_sums_of_dense_ones(
    solver: str, n_classes: int, monkeypatch: Any
) -> None:
    from scipy import sparse

    monkeypatch.setattr("skopt_dl.problems.block_terms.FILLED", 100)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((240, 6)) * (rng.random((240, 6)) < 0.3)
    y = np.argmax(X[:, :n_classes] + 0.5 * rng.standard_normal((240, n_classes)), axis=1)
    dense, target = da.from_array(X, chunks=(80, 6)), da.from_array(y, chunks=80)
    thin = dense.map_blocks(sparse.csr_matrix)
    settings: dict[str, Any] = {"solver": solver, "C": 0.1, "tol": 1e-6}
    if solver in ("prox_newton", "consensus_admm"):
        settings["l1_ratio"] = 0.5
    model, known = (ours.LogisticRegression(**settings) for _ in "ab")
    with dask.config.set(scheduler="synchronous"):
        model.fit(thin, target), known.fit(dense, target)
        assert np.any(model.coef_ != 0)
        np.testing.assert_allclose(model.coef_, known.coef_, rtol=1e-6, atol=1e-9)
        lazy = model.predict_proba(thin).compute()
        np.testing.assert_allclose(lazy, known.predict_proba(X), rtol=1e-6)
        np.testing.assert_array_equal(model.predict(thin).compute(), known.predict(X))
        assert model.score(thin, target) == known.score(dense, target)
