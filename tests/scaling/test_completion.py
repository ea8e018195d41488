"""Matrix completion on Dask collections: the turns of alternating least squares in memory."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

import skopt_dl

da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")
import skopt_dl.dask as ours  # noqa: E402


def matrix(m: int = 90, n: int = 25, missing: float = 0.5) -> Any:
    """Rank 3 with noise; a row and a column without any entry."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((m, 3)) @ rng.standard_normal((3, n))
    X += 0.1 * rng.standard_normal((m, n))
    X[rng.random((m, n)) < missing] = np.nan
    X[4], X[:, 3] = np.nan, np.nan
    return X


@pytest.mark.parametrize("turns", [1, 2, 7])
def test_turn_by_turn_the_factors_in_memory(turns: int) -> None:
    X = matrix()
    params: dict[str, Any] = {"alpha": 0.05, "solver": "als", "max_iter": turns, "tol": 0.0}
    known = skopt_dl.MatrixCompletion(4, random_state=1, **params)
    model = ours.MatrixCompletion(4, random_state=1, **params)
    with pytest.warns(ConvergenceWarning, match="did not converge"):
        known.fit(X)
    with pytest.warns(ConvergenceWarning, match="did not converge"):
        model.fit(da.from_array(X, chunks=(40, 10)))
    np.testing.assert_allclose(model.components_, known.components_, rtol=1e-8, atol=1e-9)
    report, its = model.solve_report_, known.solve_report_
    np.testing.assert_allclose(report.certificate, its.certificate, rtol=1e-6)
    objectives = [r.history["objective"][-1] for r in (report, its)]
    np.testing.assert_allclose(*objectives, rtol=1e-10)
    np.testing.assert_allclose(model.noise_variance_, known.noise_variance_, rtol=1e-8)
    # Sizes, four for the start, one for the first point and for each turn, one for the noise.
    assert model.n_passes_ == 7 + turns


def test_completion_is_lazy_and_that_of_the_plain_estimator() -> None:
    X = matrix()
    there = da.from_array(X, chunks=(40, 25))
    known = skopt_dl.MatrixCompletion(3, alpha=0.05, solver="als", tol=1e-10, random_state=0).fit(X)
    model = ours.MatrixCompletion(3, alpha=0.05, tol=1e-10, random_state=0).fit(there)
    lazy = model.transform(there)
    assert lazy.shape == X.shape and isinstance(lazy, da.Array)
    np.testing.assert_allclose(lazy.compute(), known.transform(X), atol=1e-8)
    np.testing.assert_allclose(model.row_factors(there).compute(), known.row_factors_, atol=1e-7)
    plain = model.to_local()
    assert type(plain) is skopt_dl.MatrixCompletion
    np.testing.assert_array_equal(plain.transform(X), lazy.compute())
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.components_, model.components_)
    assert clone(model).get_params() == model.get_params()


def test_frames_and_single_precision() -> None:
    pd = pytest.importorskip("pandas")
    X = matrix(40, 6, 0.3)
    frame = pd.DataFrame(X, columns=list("abcdef"))
    model = ours.MatrixCompletion(2, random_state=0).fit(dd.from_pandas(frame, npartitions=3))
    assert list(model.feature_names_in_) == list("abcdef")
    single = da.from_array(X.astype(np.float32), chunks=(15, 6))
    known = ours.MatrixCompletion(2, random_state=0).fit(single)
    np.testing.assert_allclose(model.components_, known.components_, rtol=1e-4, atol=1e-5)
    assert known.transform(single).compute().dtype == np.float32


@pytest.mark.parametrize("bias", ["rows", "cols", "both"])
@pytest.mark.parametrize("turns", [1, 4])
def test_turn_by_turn_with_biases(bias: str, turns: int) -> None:
    X = matrix() + np.linspace(3, 5, 25)
    params: dict[str, Any] = {"alpha": 0.05, "solver": "als", "max_iter": turns, "tol": 0.0}
    known = skopt_dl.MatrixCompletion(4, random_state=1, fit_bias=bias, **params)
    model = ours.MatrixCompletion(4, random_state=1, fit_bias=bias, **params)
    blocks = da.from_array(X, chunks=(40, 10))
    with pytest.warns(ConvergenceWarning, match="did not converge"):
        known.fit(X)
    with pytest.warns(ConvergenceWarning, match="did not converge"):
        model.fit(blocks)
    np.testing.assert_allclose(model.components_, known.components_, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(model.col_bias_, known.col_bias_, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(model.noise_variance_, known.noise_variance_, rtol=1e-8)
    report, its = model.solve_report_, known.solve_report_
    np.testing.assert_allclose(report.certificate, its.certificate, rtol=1e-6)
    objectives = [r.history["objective"][-1] for r in (report, its)]
    np.testing.assert_allclose(*objectives, rtol=1e-10)
    np.testing.assert_allclose(model.transform(blocks).compute(), known.transform(X), atol=1e-7)


@pytest.mark.parametrize("bias", [False, "cols", "both"])
@pytest.mark.parametrize("turns", [1, 2, 6])
@pytest.mark.parametrize("noise", ["common", "rows"])
def test_turn_by_turn_what_is_learned_in_memory(bias: Any, turns: int, noise: str) -> None:
    X = matrix() + (3.0 if bias else 0.0)
    X[::7] += np.random.default_rng(2).standard_normal(X[::7].shape)
    params: dict[str, Any] = {"max_iter": turns, "tol": 0.0, "fit_bias": bias, "random_state": 1}
    params["noise"] = noise
    known, model = skopt_dl.MatrixCompletion(5, **params), ours.MatrixCompletion(5, **params)
    blocks = da.from_array(X, chunks=(40, 10))
    with pytest.warns(ConvergenceWarning, match="did not converge"):
        known.fit(X)
    with pytest.warns(ConvergenceWarning, match="did not converge"):
        model.fit(blocks)
    assert model.solver_ == known.solver_ == "vb"
    np.testing.assert_allclose(model.components_, known.components_, rtol=1e-7, atol=1e-8)
    for name in ("alpha_", "noise_variance_", "mean_"):
        np.testing.assert_allclose(getattr(model, name), getattr(known, name), rtol=1e-7)
    reports = model.solve_report_, known.solve_report_
    np.testing.assert_allclose(*(r.certificate for r in reports), rtol=1e-5)
    np.testing.assert_allclose(*(r.history["objective"][-1] for r in reports), rtol=1e-9)
    np.testing.assert_allclose(model.transform(blocks).compute(), known.transform(X), atol=1e-7)
    # The pass of a turn that the certificate has looked at is not made again.
    start, turns = 5 if bias is False else 9, turns + 1
    # Where rows differ: their weights, and each turn once more with the precisions it has found.
    assert model.n_passes_ == start + 1 + turns + (turns + 1 if noise == "rows" else 0)


@pytest.mark.parametrize("noise", ["auto", "rows"])
def test_another_solver_at_the_strength_that_was_learned(noise: str) -> None:
    X = matrix()
    params: dict[str, Any] = {"solver": "als", "random_state": 0, "tol": 1e-6, "noise": noise}
    known = skopt_dl.MatrixCompletion(3, **params).fit(X)
    model = ours.MatrixCompletion(3, **params).fit(da.from_array(X, chunks=(40, 25)))
    assert model.solver_ == "als"
    np.testing.assert_allclose(model.alpha_, known.alpha_, rtol=1e-5)
    np.testing.assert_allclose(model.components_, known.components_, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("alpha", "noise"), [(0.05, "auto"), ("auto", "auto"), ("auto", "rows")])
def test_sparse_blocks_hold_the_entries(alpha: Any, noise: str) -> None:
    X = matrix()
    rows, cols = np.nonzero(~np.isnan(X))
    entries = sparse.csr_matrix((X[rows, cols], (rows, cols)), shape=X.shape)
    blocks = da.from_array(X, chunks=(40, 25))
    # Blocks of a lazy collection, each made where it lives.
    starts = da.from_array(np.arange(len(X)), chunks=40)
    thin = da.map_blocks(
        lambda i: entries[i[0] : i[0] + len(i)],
        starts,
        dtype=float,
        new_axis=1,
        chunks=blocks.chunks,
        meta=entries[:0],
    )
    params: dict[str, Any] = {"alpha": alpha, "random_state": 0, "fit_bias": "rows", "noise": noise}
    model = ours.MatrixCompletion(3, **params).fit(thin)
    known = ours.MatrixCompletion(3, **params).fit(blocks)
    np.testing.assert_allclose(model.components_, known.components_, rtol=1e-8, atol=1e-9)
    filled = model.transform(thin).compute()
    np.testing.assert_allclose(filled, known.transform(blocks).compute(), atol=1e-8)


def ratings() -> tuple[Any, Any]:
    """Pairs of ids that are no positions, in any order, and their values."""
    X = matrix() + 3
    rows, cols = np.nonzero(~np.isnan(X))
    values = X[rows, cols]
    pairs = np.stack([1000 + 7 * rows, 5 * cols - 50], axis=1)
    order = np.random.default_rng(1).permutation(len(pairs))
    return pairs[order], values[order]


@pytest.mark.parametrize("bias", [False, "both"])
@pytest.mark.parametrize(("alpha", "noise"), [(0.05, "auto"), ("auto", "auto"), ("auto", "rows")])
@pytest.mark.parametrize("form", ["array", "frame"])
def test_pairs_are_brought_together_by_rows(bias: Any, alpha: Any, noise: str, form: str) -> None:
    pairs, values = ratings()
    params: dict[str, Any] = {"alpha": alpha, "fit_bias": bias, "random_state": 1, "max_iter": 5}
    params["noise"] = noise
    known, model = skopt_dl.MatrixCompletion(3, **params), ours.MatrixCompletion(3, **params)
    if form == "array":
        X: Any = da.from_array(pairs, chunks=(200, 1))
        y: Any = da.from_array(values, chunks=170)
    else:
        pd = pytest.importorskip("pandas")
        frame = pd.DataFrame({"row": pairs[:, 0], "column": pairs[:, 1], "value": values})
        table = dd.from_pandas(frame, npartitions=4)
        X, y = table[["row", "column"]], table["value"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        known.fit(pairs, values)
        model.fit(X, y)
    for name in ("row_ids_", "col_ids_"):
        np.testing.assert_array_equal(getattr(model, name), getattr(known, name))
    for name in ("components_", "row_factors_", "row_bias_", "col_bias_"):
        mine, its = getattr(model, name), getattr(known, name)
        np.testing.assert_allclose(mine, its, rtol=1e-6, atol=1e-7, err_msg=name)
    asked = np.concatenate([pairs[:50], [[1000, 99_999], [-1, -50], [-1, -1]]])
    lazy = model.predict(da.from_array(asked, chunks=(20, 2)))
    assert isinstance(lazy, da.Array)
    np.testing.assert_allclose(lazy.compute(), known.predict(asked), rtol=1e-6)
    plain = pickle.loads(pickle.dumps(model)).to_local()
    np.testing.assert_array_equal(plain.predict(asked), lazy.compute())
    if alpha == "auto":
        deviations = (m.predict(asked, return_std=True)[1] for m in (plain, known))
        np.testing.assert_allclose(*deviations, rtol=1e-5)


def test_pairs_that_are_none() -> None:
    pairs, values = ratings()
    X, y = da.from_array(pairs, chunks=(200, 2)), da.from_array(values, chunks=200)
    with pytest.raises(ValueError, match="with y X must hold pairs"):
        ours.MatrixCompletion().fit(da.ones((20, 3), chunks=10), da.ones(20, chunks=10))
    with pytest.raises(ValueError, match="must be integers"):
        ours.MatrixCompletion().fit(X + 0.5, y)
    with pytest.raises(ValueError, match="y contains NaN or infinity"):
        ours.MatrixCompletion().fit(X, da.where(y > 3, np.nan, y))


def test_steady_rows_count_for_more() -> None:
    rng = np.random.default_rng(0)
    full = rng.standard_normal((300, 2)) @ rng.standard_normal((2, 60))
    X = full + np.exp(rng.standard_normal(300))[:, None] * rng.standard_normal(full.shape)
    X[rng.random(full.shape) < 0.6] = np.nan
    # Blocks whose rows have no entries, and a block of none.
    blocks = da.concatenate(
        [da.from_array(X, chunks=(90, 60)), da.full((5, 60), np.nan), da.zeros((0, 60))]
    )
    errors = {}
    for noise in ("common", "rows"):
        model = ours.MatrixCompletion(4, noise=noise, random_state=0).fit(blocks)
        filled = model.transform(blocks)[: len(X)].compute()
        errors[noise] = np.sqrt(np.mean((filled - full)[np.isnan(X)] ** 2))
        known = skopt_dl.MatrixCompletion(4, noise=noise, random_state=0).fit(X)
        np.testing.assert_allclose(filled, known.transform(X), atol=1e-6)
    assert errors["rows"] < 0.85 * errors["common"]


def test_errors_name_the_way_out() -> None:
    X = da.from_array(matrix(), chunks=(40, 25))
    with pytest.raises(ValueError, match="noise='rows' is part of a posterior"):
        ours.MatrixCompletion(alpha=0.1, noise="rows").fit(X)
    with pytest.raises(ValueError, match="alpha=0"):
        ours.MatrixCompletion(alpha=0).fit(X)
    with pytest.raises(ValueError, match="n_components=0"):
        ours.MatrixCompletion(0).fit(X)
    with pytest.raises(ValueError, match="n_components=26 is above the smaller side"):
        ours.MatrixCompletion(26).fit(X)
    with pytest.raises(ValueError, match="no observed entry"):
        ours.MatrixCompletion().fit(da.full((20, 3), np.nan, chunks=(10, 3)))
    with pytest.raises(ValueError, match="infinity in block"):
        ours.MatrixCompletion().fit(da.full((20, 3), np.inf, chunks=(10, 3)))
    with pytest.raises(skopt_dl.IncompatibleSolverError, match="'als'"):
        ours.MatrixCompletion(solver="lbfgs").fit(X)
    with pytest.raises(TypeError, match=r"use skopt_dl\.MatrixCompletion for data in memory"):
        ours.MatrixCompletion().fit(X.compute())
