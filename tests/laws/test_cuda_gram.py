"""Epochs of coordinate descent on the device, their body compiled for the host, are the generic
ones: iterate, residual, indicator and the count of active sweeps."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cuda_host import HostKernels
from scipy import sparse

from skopt_dl.kernels import generic, generic_rows
from skopt_dl.kernels.bind import PLAIN
from skopt_dl.kernels.cupy import gram
from skopt_dl.linops import design
from skopt_dl.penalties import ElasticNet, GroupLasso, RowElasticNet
from skopt_dl.problems.blocks import BlockModel
from skopt_dl.problems.coordinates import CoordinateModel
from skopt_dl.problems.rows import RowModel

WRAPPERS = gram


def model(
    dtype: str,
    *,
    centre: bool = True,
    positive: bool = False,
    scattered: bool = False,
    l1: float = 0.05,
    xp: Any = np,
) -> CoordinateModel:
    """40 weighted samples of 9 columns far from zero; one is constant, another all zeros."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 9)) + 0.5
    X[:, 3], X[:, 5] = 2.0, 0.0
    if scattered:
        X = np.where(np.abs(X) > 0.8, X, 0.0)
    h = rng.random(40)
    h /= np.sum(h)
    y = X @ (rng.standard_normal(9) * (rng.random(9) < 0.5)) + 0.1 * rng.standard_normal(40)
    w = rng.standard_normal(9) * (rng.random(9) < 0.4)
    r = y - X @ w
    u = h * (r - h @ r if centre else r)
    X, w, u, h = (a.astype(dtype) for a in (X, w, u, h))
    matrix = xp.asarray(X) if xp is not np else sparse.csr_matrix(X) if scattered else X
    penalty = ElasticNet(l1, 0.02, positive)
    arrays = (xp.asarray(a) for a in (w, u, h))
    return CoordinateModel(design(matrix), *arrays, centre=centre, penalty=penalty, kernels=PLAIN)


CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "raw": {"centre": False},
    "positive": {"positive": True},
    "sparse": {"scattered": True},
    "ridge": {"l1": 0.0},
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES)
def test_epochs_are_the_generic_ones(case: str, dtype: str, host: HostKernels) -> None:
    tolerance = 2e-4 if dtype == "float32" else 1e-11
    ours, spec = (model(dtype, **CASES[case]) for _ in "ab")
    order = np.random.default_rng(1).permutation(9)
    # Sweeps over all coordinates and over the active ones, in calls that end within either; and no
    # target, which few nonzero coordinates would reach to the last digit.
    for n_epochs in (1, 2, 7, 5):
        done, indicator = gram.cd_epochs(ours, order, n_epochs, -1.0)
        expected = generic.cd_epochs(spec, order, n_epochs, -1.0)
        assert done == expected[0]
        # Where nothing moves any more, the last digit decides which sweeps follow.
        if expected[1] > tolerance:
            assert ours.active_left == spec.active_left
        assert indicator == pytest.approx(expected[1], rel=50 * tolerance, abs=tolerance)
        np.testing.assert_allclose(ours.w, spec.w, atol=tolerance)
        np.testing.assert_allclose(ours.u, spec.u, atol=tolerance)
        assert float(ours.c) == pytest.approx(float(spec.c), abs=10 * tolerance)
        assert ours.w.dtype == ours.u.dtype == dtype
    assert host.launched == {"cd_gram": 4}


def test_they_end_at_the_target(host: HostKernels) -> None:
    ours, spec = (model("float64") for _ in "ab")
    done, indicator = gram.cd_epochs(ours, np.arange(9), 1000, 1e-6)
    assert (done, pytest.approx(indicator, rel=1e-4)) == generic.cd_epochs(
        spec, np.arange(9), 1000, 1e-6
    )
    assert done < 1000 and indicator <= 1e-6


def test_a_gram_matrix_without_room_is_not_formed(host: HostKernels, monkeypatch: Any) -> None:
    monkeypatch.setattr(gram, "LARGEST", 9 * 9 * 8 - 1)
    ours, spec = model("float64"), model("float64")
    assert gram.cd_epochs(ours, np.arange(9), 3, 0.0) == generic.cd_epochs(
        spec, np.arange(9), 3, 0.0
    )
    assert "gram" not in vars(ours) and host.launched == {}


def test_the_epochs_are_bound_on_cupy_alone() -> None:
    from skopt_dl.kernels import bind

    space: Any = SimpleNamespace(__name__="cupy")
    assert bind(space, np.dtype("float32")).cd_epochs is gram.cd_epochs
    assert bind(space, np.dtype("int64")).cd_epochs is generic.cd_epochs
    assert bind(space, np.dtype("float32")).row_epochs is gram.row_epochs
    assert bind(space, np.dtype("float32")).block_epochs is gram.block_epochs
    assert bind(space, np.dtype("float32")).gram_row_epochs is gram.gram_row_epochs


def rows_model(
    dtype: str, *, centre: bool = True, l1: float = 0.05, scattered: bool = False, xp: Any = np
) -> RowModel:
    """The same data with 3 targets."""
    one = model(dtype, centre=centre, scattered=scattered)
    rng = np.random.default_rng(1)
    W = (rng.standard_normal((9, 3)) * (rng.random((9, 1)) < 0.4)).astype(dtype)
    R = rng.standard_normal((40, 3)).astype(dtype) + np.asarray(one.map.matvec(W)) * 0.5
    U = one.h[:, None] * (R - (one.h @ R if centre else 0))
    X = one.map.X if xp is np else xp.asarray(one.map.to_dense())
    w, U, h = (xp.asarray(a.astype(dtype)) for a in (W.ravel(), U, one.h))
    penalty = RowElasticNet(3, l1, 0.02)
    return RowModel(design(X), w, U, h, centre=centre, penalty=penalty, kernels=PLAIN)


@pytest.mark.parametrize("case", ["plain", "raw", "sparse", "ridge"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_epochs_over_rows_are_the_generic_ones(dtype: str, case: str, host: HostKernels) -> None:
    tolerance = 1e-4 if dtype == "float32" else 1e-10
    ours, spec = rows_model(dtype, **CASES[case]), rows_model(dtype, **CASES[case])
    order = np.random.default_rng(2).permutation(9)
    for n_epochs in (1, 2, 7):
        done, indicator = gram.row_epochs(ours, order, n_epochs, -1.0)
        expected = generic_rows.row_epochs(spec, order, n_epochs, -1.0)
        assert done == expected[0]
        assert indicator == pytest.approx(expected[1], rel=50 * tolerance, abs=tolerance)
        np.testing.assert_allclose(ours.W, spec.W, atol=tolerance)
        np.testing.assert_allclose(ours.U, spec.U, atol=tolerance)
        np.testing.assert_allclose(ours.c, spec.c, atol=10 * tolerance)
        assert ours.W.dtype == ours.U.dtype == dtype
    assert host.launched == {"cd_rows": 3}
    assert (l1 := CASES[case].get("l1", 0.05)) == 0 or np.any(ours.W == 0), l1


def test_epochs_on_inner_products_are_the_generic_ones(host: HostKernels) -> None:
    rng = np.random.default_rng(0)
    B, T = rng.standard_normal((30, 7)), rng.standard_normal((30, 3))
    B[:, 2] = 0.0
    given = [B.T @ B, np.ascontiguousarray(T.T @ B), np.zeros((7, 3))]
    ours, spec = ([a.copy() for a in given] for _ in "ab")
    for n_epochs, target in ((1, 0.0), (3, 0.0), (1000, 1e-8)):
        found = gram.gram_row_epochs(*ours, 4.0, 0.5, n_epochs, target)
        expected = generic_rows.gram_row_epochs(*spec, 4.0, 0.5, n_epochs, target)
        assert found[0] == expected[0] and found[1] == pytest.approx(expected[1], abs=1e-10)
        for a, b in zip(ours, spec, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-10)
    assert found[0] < 1000 and np.any(ours[2]) and host.launched == {"cd_rows": 3}


def test_rows_that_no_block_shares_take_the_array_form(host: HostKernels, monkeypatch: Any) -> None:
    monkeypatch.setattr(gram, "SHARED", 3 * 8 - 1)
    ours, spec = rows_model("float64"), rows_model("float64")
    assert gram.row_epochs(ours, np.arange(9), 3, 0.0) == generic_rows.row_epochs(
        spec, np.arange(9), 3, 0.0
    )
    assert host.launched == {}


GROUPS = [[0, 4, 2], [3, 5], [1], [6, 8, 7]]


def blocks_model(
    dtype: str, *, centre: bool = True, free: bool = False, scattered: bool = False, xp: Any = np
) -> BlockModel:
    """The same data in groups, of which one does not bend; one may be free of the penalty."""
    one = model(dtype, centre=centre, scattered=scattered)
    weights = [2.0, 1.0, 0.0 if free else 1.0, 300.0]
    matrix = one.map.X if xp is np else xp.asarray(one.map.to_dense())
    w, u, h = (xp.asarray(a) for a in (one.w, one.u, one.h))
    w[3] = 0.5
    penalty = GroupLasso(GROUPS, 0.05, weights)
    return BlockModel(design(matrix), w, u, h, centre=centre, penalty=penalty, kernels=PLAIN)


BLOCKS: dict[str, dict[str, Any]] = {
    "plain": {},
    "raw": {"centre": False},
    "free": {"free": True},
    "sparse": {"scattered": True},
}


@pytest.mark.parametrize("case", list(BLOCKS))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_epochs_over_blocks_are_the_generic_ones(dtype: str, case: str, host: HostKernels) -> None:
    tolerance = 1e-4 if dtype == "float32" else 1e-10
    ours, spec = blocks_model(dtype, **BLOCKS[case]), blocks_model(dtype, **BLOCKS[case])
    for n_epochs in (1, 2, 7):
        done, indicator = gram.block_epochs(ours, [2, 0, 3, 1], n_epochs, -1.0)
        expected = generic_rows.block_epochs(spec, [2, 0, 3, 1], n_epochs, -1.0)
        assert done == expected[0]
        assert indicator == pytest.approx(expected[1], rel=50 * tolerance, abs=tolerance)
        np.testing.assert_allclose(ours.w, spec.w, atol=tolerance)
        np.testing.assert_allclose(ours.u, spec.u, atol=tolerance)
        assert float(ours.c) == pytest.approx(float(spec.c), abs=10 * tolerance)
        assert ours.w.dtype == ours.u.dtype == dtype
    assert np.all(ours.w[GROUPS[3]] == 0) and np.any(ours.w[GROUPS[0]] != 0)
    assert host.launched == {"cd_blocks": 3}


def test_other_penalties_of_blocks_take_the_array_form(host: HostKernels) -> None:
    ours, spec = blocks_model("float64"), blocks_model("float64")
    ours.strengths = None
    assert gram.block_epochs(ours, range(4), 3, 0.0) == generic_rows.block_epochs(
        spec, range(4), 3, 0.0
    )
    assert host.launched == {}


# What is swept, where it begins, its epochs on the device and by array operations, the order of a
# sweep, and the state that they leave.
SWEEPS: dict[str, tuple[Any, Any, Any, Any, str]] = {
    "coefficients": (model, gram.cd_epochs, generic.cd_epochs, np.arange(9), "w"),
    "rows": (rows_model, gram.row_epochs, generic_rows.row_epochs, np.arange(9), "W"),
    "blocks": (blocks_model, gram.block_epochs, generic_rows.block_epochs, range(4), "w"),
}


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sweep", SWEEPS)
def test_gpu_epochs(sweep: str, dtype: str, cupy: Any) -> None:
    make, epochs, specification, order, state = SWEEPS[sweep]
    tolerance = 2e-4 if dtype == "float32" else 1e-10
    ours, again, spec = (make(dtype, xp=xp) for xp in (cupy, cupy, np))
    for n_epochs in (1, 2, 7):
        done, _ = epochs(ours, order, n_epochs, 0.0)
        epochs(again, order, n_epochs, 0.0)
        assert done == specification(spec, order, n_epochs, 0.0)[0]
        found = getattr(ours, state).get()
        np.testing.assert_allclose(found, getattr(spec, state), atol=tolerance)
        np.testing.assert_array_equal(found, getattr(again, state).get())
