"""Bad data, odd data, interrupts, threads: a clear error or a finite right answer, never harm."""

from __future__ import annotations

import signal
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from zoo import BY_NAME, KINDS, Kind, pairs, regression, solvers_of, sparse_solvers_of

from skopt_dl import Lasso
from skopt_dl.dispatch import SOLVERS
from skopt_dl.engine import Needs, Oracle, Solver, State, Status
from skopt_dl.solvers import CoordinateDescent

WEIGHTED = [k for k in KINDS if k.name != "MatrixCompletion"]
COMPLETION = BY_NAME["MatrixCompletion"]


def fit(model: Any, X: Any, y: Any, **kwargs: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, **kwargs) if y is None else model.fit(X, y, **kwargs)


def use(model: Any, X: Any) -> np.ndarray:
    return np.asarray(model.predict(X) if hasattr(model, "predict") else model.transform(X))


def finite(kind: Kind, model: Any, X: Any) -> None:
    assert all(np.all(np.isfinite(a)) for a in kind.answer(model))
    assert np.all(np.isfinite(use(model, X).astype(float)))


def with_entry(X: Any, value: float) -> Any:
    X = X.copy()
    X[5, 2] = value
    return X


# --- bad data -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_infinities_are_refused(kind: Kind, bad: float) -> None:
    X, y = kind.make_data(0)
    with pytest.raises(ValueError, match="infinity"):
        kind.make().fit(with_entry(X, bad), y)
    model = fit(kind.make(), X, y)
    with pytest.raises(ValueError, match="infinity"):
        use(model, with_entry(X, bad))


@pytest.mark.parametrize("kind", WEIGHTED, ids=str)
def test_nan_is_refused_in_X_and_y(kind: Kind) -> None:
    X, y = kind.make_data(0)
    with pytest.raises(ValueError, match="NaN"):
        kind.make().fit(with_entry(X, np.nan), y)
    with pytest.raises(ValueError, match="NaN"):
        kind.make().fit(sparse.csr_matrix(with_entry(X, np.nan)), y)
    y = y.astype(float)
    y[3] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        kind.make().fit(X, y)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda X: X[:0], r"0 sample\(s\)"),
        (lambda X: X[:, :0], r"0 feature\(s\)"),
        (lambda X: X[0], "Expected 2D array"),
        (lambda X: X[None], "dim 3"),
        (lambda X: X + 1j, "Complex"),
        (lambda X: np.full(X.shape, "seven"), "could not convert|Unable to convert|dtype"),
    ],
    ids=["no rows", "no columns", "1d", "3d", "complex", "strings"],
)
def test_wrong_shapes_and_types_are_refused(kind: Kind, spoil: Callable, match: str) -> None:
    X, y = kind.make_data(0)
    X = spoil(np.nan_to_num(X))
    with pytest.raises(ValueError, match=match):
        kind.make().fit(X, None if y is None else y[: X.shape[0] if X.shape[0] != 1 else None])


@pytest.mark.parametrize("kind", WEIGHTED, ids=str)
def test_lengths_must_agree(kind: Kind) -> None:
    X, y = kind.make_data(0)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        kind.make().fit(X, y[:-1])
    with pytest.raises(ValueError, match="features, but"):
        use(fit(kind.make(), X, y), X[:, :-1])


@pytest.mark.parametrize("kind", WEIGHTED, ids=str)
@pytest.mark.parametrize(
    ("weights", "match"),
    [
        (lambda n: np.zeros(n), "(?i)weight.*non-zero"),
        (lambda n: np.linspace(-1, 1, n), "(?i)negative.*weight"),
        (lambda n: np.full(n, np.nan), "(?i)sample_weight contains NaN"),
        (lambda n: np.ones(n - 1), r"sample_weight\.shape"),
        (lambda n: np.ones((n, 2)), "(?i)weights must be 1D"),
    ],
    ids=["zeros", "negative", "nan", "short", "2d"],
)
def test_bad_weights_are_refused(kind: Kind, weights: Callable, match: str) -> None:
    X, y = kind.make_data(0)
    with pytest.raises(ValueError, match=match):
        kind.make().fit(X, y, sample_weight=weights(len(y)))


# --- odd data -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "solver"), pairs(), ids=str)
def test_constant_and_duplicate_columns(kind: Kind, solver: str) -> None:
    X, y = kind.make_data(0)
    X = np.column_stack([X, np.ones(len(X)), np.zeros(len(X)), X[:, 0]])
    model = fit(kind.make(solver=solver, max_iter=30), X, y)
    finite(kind, model, X)


@pytest.mark.parametrize("kind", [k for k in KINDS if k.name != "MatrixCompletion"], ids=str)
def test_one_column_and_few_rows(kind: Kind) -> None:
    X, y = kind.make_data(0)
    finite(kind, fit(kind.make(), X[:, :1], y), X[:, :1])
    wide = X[:8].T.repeat(5, axis=0).T + 0.01 * np.arange(30)
    finite(kind, fit(kind.make(), wide, y[:8]), wide)


@pytest.mark.parametrize("kind", [k for k in WEIGHTED if not k.is_classifier], ids=str)
def test_one_row_and_a_constant_target(kind: Kind) -> None:
    X, y = kind.make_data(0)
    model = fit(kind.make(), X[:1], y[:1])
    finite(kind, model, X)
    constant = fit(kind.make(), X, np.full(len(y), 3.0))
    if kind.name != "MLPRegressor":
        np.testing.assert_allclose(constant.predict(X), 3.0, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("scale", [1e300, 1e-300, 1e150])
def test_extreme_scales(kind: Kind, scale: float) -> None:
    """Finite, or an error or warning that says so: never a silent NaN."""
    X, y = kind.make_data(0)
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        try:
            model = fit(kind.make(max_iter=50), X * scale, y)
        except (ValueError, FloatingPointError, OverflowError):
            return
    assert all(np.all(np.isfinite(a)) for a in kind.answer(model))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_float32_data_far_from_zero(kind: Kind) -> None:
    X, y = kind.make_data(0)
    X = (X + 1000).astype(np.float32)
    finite(kind, fit(kind.make(), X, y), X)


# --- inputs are never written ---------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "solver"), pairs(), ids=str)
def test_read_only_inputs_are_read_only(kind: Kind, solver: str) -> None:
    X, y = kind.make_data(0)
    for data in (np.asfortranarray(X), np.ascontiguousarray(X)):
        before = data.copy()
        data.setflags(write=False)
        model = fit(kind.make(solver=solver, max_iter=5), data, y)
        use(model, data)
        np.testing.assert_array_equal(data, before)


@pytest.mark.parametrize(("kind", "solver"), pairs(WEIGHTED[:5]), ids=str)
def test_sparse_inputs_are_not_changed(kind: Kind, solver: str) -> None:
    X, y = kind.make_data(0)
    X = np.where(np.abs(X) > 0.5, X, 0.0)
    if solver not in sparse_solvers_of(kind.name):
        pytest.skip("the solver needs dense data")
    for form in ("csr", "csc", "coo"):
        for make in (sparse.csr_array, sparse.csr_matrix):
            data = make(X).asformat(form)
            before = data.copy()
            for part in ("data", "indices", "indptr", "row", "col"):
                if hasattr(data, part):
                    getattr(data, part).setflags(write=False)
            fit(kind.make(solver=solver, max_iter=5), data, y)
            assert (data != before).nnz == 0


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_memory_mapped_inputs(kind: Kind, tmp_path: Any) -> None:
    X, y = kind.make_data(0)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    for a, b in zip(
        kind.answer(fit(kind.make(), mapped, y)),
        kind.answer(fit(kind.make(), X, y)),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


# --- failing and interrupted fits -----------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_failing_refit_keeps_the_earlier_model(kind: Kind) -> None:
    X, y = kind.make_data(0)
    model = fit(kind.make(), X, y)
    before, expected = dict(vars(model)), use(model, X)
    with pytest.raises(ValueError):
        model.fit(with_entry(X[:, :-1], np.inf), y)
    assert vars(model).keys() == before.keys()
    np.testing.assert_array_equal(use(model, X), expected)
    fresh = kind.make()
    with pytest.raises(ValueError):
        fresh.fit(with_entry(X, np.inf), y)
    assert vars(fresh).keys() == vars(kind.make()).keys()


class Endless(Solver):
    """Goes on until it is interrupted, or fails."""

    needs = Needs.of(Oracle.PROX)

    def __init__(self, *, raises: Any = None) -> None:
        self.raises = raises

    def init(self, problem: Any, w: Any, rng: Any) -> State:
        return State(w=w)

    def advance(self, problem: Any, state: State, n: int) -> Status:
        if self.raises is not None:
            raise self.raises
        state.n_iter += 1
        time.sleep(0.001)
        return Status.RUNNING


@pytest.mark.parametrize("error", [MemoryError("no room"), KeyboardInterrupt()])
def test_an_error_inside_a_solver_undoes_the_fit(error: BaseException) -> None:
    X, y = regression(0)
    model = Lasso(alpha=0.01).fit(X, y)
    coef = model.coef_
    model.set_params(solver=Endless(raises=error))
    with pytest.raises(type(error)):
        model.fit(X[:, :3], y)
    assert model.coef_ is coef
    assert model.n_features_in_ == X.shape[1]


def interrupt_after(seconds: float) -> threading.Timer:
    timer = threading.Timer(seconds, signal.raise_signal, (signal.SIGINT,))
    timer.start()
    return timer


def large_problem(kind: Kind) -> tuple[Any, Any]:
    """Data on which an iteration is short but a fit is long: columns of very unlike scales."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2000, 50)) @ rng.standard_normal((50, 200))
    X *= np.geomspace(1.0, 1e-6, 200)
    if kind.name == "MatrixCompletion":
        X[rng.random(X.shape) < 0.5] = np.nan
        return X, None
    y = X @ rng.standard_normal(200) + rng.standard_normal(2000)
    return X, (y > np.median(y)).astype(int) if kind.is_classifier else y / np.std(y)


INTERRUPTED = [
    ("Lasso", "cd"),
    ("Lasso", "fista"),
    ("Lasso", "saga"),
    ("LogisticRegression", "nonlinear_cg"),
    ("LogisticRegression", "saga"),
    ("MLPRegressor", "adam"),
    ("MatrixCompletion", "als"),
]


@pytest.mark.parametrize(("name", "solver"), INTERRUPTED)
def test_ctrl_c_ends_a_fit_soon_and_leaves_it_undone(name: str, solver: str) -> None:
    kind = BY_NAME[name]
    if solver not in solvers_of(name):
        pytest.fail(f"{solver} no longer solves {name}")
    X, y = large_problem(kind)
    params = {"tol": 0.0, "max_iter": 10**6, "n_iter_no_change": 10**6, "alpha": 1e-6, "C": 1e6}
    known = kind.make().get_params()
    # By its exact finish it would be done before the interrupt.
    chosen = CoordinateDescent(newton=False) if solver == "cd" else solver
    model = kind.make(solver=chosen, **{k: v for k, v in params.items() if k in known})
    before = vars(model).keys()
    timer = interrupt_after(0.3)
    start = time.perf_counter()
    try:
        with pytest.raises(KeyboardInterrupt):
            fit(model, X, y)
    finally:
        timer.cancel()
        timer.join()
    # A generous bound: the point is that it ends at all, long before its budget.
    assert time.perf_counter() - start < 20
    assert vars(model).keys() == before


# --- threads --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "solver"), pairs(), ids=str)
def test_threads_that_share_data_agree(kind: Kind, solver: str) -> None:
    X, y = kind.make_data(0)
    X.setflags(write=False)

    def answer(_: int) -> list[np.ndarray]:
        return kind.answer(kind.make(solver=solver, max_iter=5).fit(X, y))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        expected = answer(0)
        with ThreadPoolExecutor(8) as pool:
            for other in pool.map(answer, range(8)):
                for a, b in zip(other, expected, strict=True):
                    np.testing.assert_array_equal(a, b)


# --- parameters ----------------------------------------------------------------------------------

WRONG: dict[str, tuple[Any, ...]] = {
    "alpha": (-1.0, "much"),
    "C": (-1.0, 0.0, "much"),
    "radius": (-1.0, 0.0, None),
    "l1_ratio": (-0.1, 1.5),
    "tol": (-1e-3, "small"),
    "max_iter": (0, -1, 1.5, "many"),
    "max_time": (-1.0, 0.0, "soon"),
    "fit_intercept": ("yes",),
    "warm_start": ("yes",),
    "selection": ("sorted",),
    "positive": ("yes",),
    "rank": (0, -1, 1.5),
    "activation": ("step",),
    "momentum": (-0.1, 1.5),
    "learning_rate_init": (0.0, -1.0),
    "batch_size": (0, -3, 1.5),
    "validation_fraction": (-0.1, 1.5),
    "device": ("tpu",),
    "n_jobs": (1.5, "many"),
    "verbose": (-1, "loud"),
    "precompute": ("yes", {}),
}

# scikit-learn's class of the same name takes them too.
RIGHT = [("LogisticRegression", "max_iter", 0), ("LogisticRegressionCV", "max_iter", 0)]


def wrong_parameters() -> list[tuple[Kind, str, Any]]:
    return [
        (kind, name, value)
        for kind in KINDS
        for name, given in sorted(kind.make().get_params(deep=False).items())
        for value in WRONG.get(name, ())
        if value is not None or given is not None
        if (kind.name, name, value) not in RIGHT
    ]


@pytest.mark.parametrize(("kind", "name", "value"), wrong_parameters(), ids=str)
def test_a_wrong_parameter_is_named_with_its_value(kind: Kind, name: str, value: Any) -> None:
    X, y = kind.make_data(0)
    with pytest.raises((ValueError, TypeError)) as caught:
        fit(kind.make(**{name: value}), X, y)
    message = str(caught.value)
    assert name in message
    assert repr(value) in message


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_unknown_solvers_get_the_closest_name(kind: Kind) -> None:
    X, y = kind.make_data(0)
    name = solvers_of(kind.name)[0]
    with pytest.raises(ValueError, match=f"unknown solver '{name}x'. Did you mean '{name}'"):
        fit(kind.make(solver=name + "x"), X, y)
    with pytest.raises(TypeError, match="solver=3"):
        fit(kind.make(solver=3), X, y)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_solver_that_cannot_names_those_that_can(kind: Kind) -> None:
    X, y = kind.make_data(0)
    can = solvers_of(kind.name)
    cannot = next(name for name in SOLVERS.names() if name not in can)
    with pytest.raises(ValueError, match=f"solver '{cannot}' cannot fit") as caught:
        fit(kind.make(solver=cannot), X, y)
    assert all(repr(name) in str(caught.value) for name in can)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_not_converged_warns_with_what_to_do(kind: Kind) -> None:
    X, y = kind.make_data(0)
    params = {"tol": 1e-12, "max_iter": 1}
    if kind.name in ("Ridge", "Lasso", "ElasticNet"):  # "auto" is exact in one iteration
        params["solver"] = "fista"
    with pytest.warns(ConvergenceWarning, match="max_iter") as seen:
        kind.make(**params).fit(X, y)
    assert seen[0].filename == __file__
