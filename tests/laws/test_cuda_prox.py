"""Each CUDA proximal operator, its body compiled for the host, is the generic one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cuda_host import HostKernels

from skopt_dl.kernels import bind, generic_prox
from skopt_dl.kernels.cupy import prox

WRAPPERS = prox
N = 101
DTYPES = ["float32", "float64"]
# Of the penalty's own number, steps for which it is concave among them.
LAST = {"prox_elastic_net": (False, True), "prox_mcp": (3.0, 0.5), "prox_scad": (3.7, 1.2)}


def arguments(name: str, dtype: str, form: str) -> tuple[Any, ...]:
    """Coefficients on both sides of every threshold, and settings of one form each."""
    rng = np.random.default_rng(0)
    v = 3 * rng.standard_normal(N)
    v[:3] = 0, 1, -1
    many = 1 if name != "prox_elastic_net" else 2
    if form == "numbers":
        settings: list[Any] = [0.7] + many * [0.5]
    else:
        shape = () if form == "one on the device" else N
        settings = [np.asarray(rng.uniform(0.1, 2, shape), dtype) for _ in range(1 + many)]
    return v.astype(dtype), *settings


@pytest.mark.parametrize("form", ["numbers", "one on the device", "one for each"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LAST)
def test_a_prox_is_the_generic_one(name: str, dtype: str, form: str, host: HostKernels) -> None:
    tolerance = 2e-5 if dtype == "float32" else 1e-13
    for last in LAST[name]:
        given = arguments(name, dtype, form)
        before = [np.copy(a) for a in given]
        ours = getattr(prox, name)(*given, last)
        spec = getattr(generic_prox, name)(*given, last)
        assert ours.dtype == dtype and len(np.unique(ours)) > N / 3
        np.testing.assert_allclose(ours, spec, tolerance, tolerance)
        for a, b in zip(given, before, strict=True):
            np.testing.assert_array_equal(a, b)
    assert host.launched == {name: 2}


@pytest.mark.parametrize("name", LAST)
def test_what_is_not_a_number_stays_so(name: str, host: HostKernels) -> None:
    for last in LAST[name]:
        _, *settings = arguments(name, "float64", "numbers")
        out = getattr(prox, name)(np.asarray([np.nan, 1.0]), *settings, last)
        assert np.isnan(out).tolist() == [True, False]


def test_other_arrays_take_the_array_form(host: HostKernels) -> None:
    v, step, l1, l2 = arguments("prox_elastic_net", "float64", "one for each")
    spec = generic_prox.prox_elastic_net(v, step, l1, l2, False)
    strided = np.repeat(v, 2)[::2]
    np.testing.assert_array_equal(prox.prox_elastic_net(strided, step, l1, l2, False), spec)
    single = step.astype("float32")
    np.testing.assert_allclose(prox.prox_elastic_net(v, single, l1, l2, False), spec, atol=1e-6)
    assert host.launched == {}
    assert prox.prox_elastic_net(v[:0], 0.1, 1.0, 0.0, False).shape == (0,)


# Rows and groups of few and many coefficients; one by one, two and more of them a block of threads.
SHAPES = [(101, 1), (31, 2), (13, 3), (5, 9), (1, 40)]


def group_arguments(
    m: int, k: int, dtype: str, one_strength: bool
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Rows of k coefficients, and groups of one to k of them in no order; strengths on both sides
    of the norms, one of them 0, and one group of zeros."""
    rng = np.random.default_rng(1)
    V = rng.standard_normal((m, k)) * rng.uniform(0, 2, (m, 1))
    V[: m // 2 : 3] = 0
    strength: Any = 0.8 if one_strength else np.asarray(rng.uniform(0, 2, m) * np.sqrt(k), dtype)
    sizes = 1 + np.arange(m) % k
    p = int(np.sum(sizes))
    order = rng.permutation(p).astype(np.int64)
    members, present = np.zeros((m, k), np.int64), np.zeros((m, k), dtype)
    group, start = np.zeros(p, np.int64), 0
    for g, size in enumerate(sizes):
        mine = order[start : start + size]
        members[g, :size], present[g, :size], group[mine] = mine, 1, g
        start += size
    v = (3 * rng.standard_normal(p)).astype(dtype)
    v[members[: m // 2, 0]] = 0
    strengths = np.asarray(rng.uniform(0, 4, m) * np.sqrt(sizes), dtype)
    strengths[-1] = 0
    rows = (np.ravel(V).astype(dtype), k, 0.7, strength if one_strength else strength[:, None], 0.3)
    return rows, (v, 0.7, strengths, members, present, group)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_prox_of_rows_is_the_generic_one(shape: Any, dtype: str, host: HostKernels) -> None:
    tolerance = 2e-5 if dtype == "float32" else 1e-13
    (v, k, step, l1, l2), _ = group_arguments(*shape, dtype, True)
    for each in (step, np.asarray(step, dtype)):
        spec = generic_prox.prox_rows(v, k, each, l1, l2)
        ours = prox.prox_rows(v, k, each, l1, l2)
        assert ours.dtype == dtype and np.count_nonzero(spec)
        np.testing.assert_allclose(ours, spec, tolerance, tolerance)
    assert host.launched == {"prox_groups": 2}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_prox_of_groups_is_the_generic_one(shape: Any, dtype: str, host: HostKernels) -> None:
    tolerance = 2e-5 if dtype == "float32" else 1e-13
    _, given = group_arguments(*shape, dtype, True)
    before = [np.copy(a) for a in given]
    for step in (0.7, np.asarray(0.7, dtype), float("inf")):
        spec = generic_prox.prox_groups(given[0], step, *given[2:])
        ours = prox.prox_groups(given[0], step, *given[2:])
        np.testing.assert_allclose(ours, spec, tolerance, tolerance)
        # Of the last group the strength is 0, unless it is asked for an infinite time.
        assert ours.dtype == dtype and (np.isinf(step) or np.count_nonzero(ours))
    for a, b in zip(given, before, strict=True):
        np.testing.assert_array_equal(a, b)
    assert host.launched == {"prox_groups": 3}


def test_groups_and_rows_keep_what_is_not_a_number(host: HostKernels) -> None:
    v = np.asarray([np.nan, 1.0, 2.0, 3.0])
    spec = generic_prox.prox_rows(v, 2, 0.1, 1.0, 0.0)
    ours = prox.prox_rows(v, 2, 0.1, 1.0, 0.0)
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(spec))
    assert np.isnan(ours[0]) and ours[3] > 2


def test_other_groups_and_rows_take_the_array_form(host: HostKernels) -> None:
    (v, k, step, l1, l2), given = group_arguments(13, 3, "float64", False)
    spec = generic_prox.prox_rows(v, k, step, l1, l2)
    np.testing.assert_array_equal(prox.prox_rows(v, k, step, l1, l2), spec)
    spec = generic_prox.prox_groups(*given)
    narrow = given[3].astype(np.int32)
    mine = prox.prox_groups(*given[:3], narrow, *given[4:])
    np.testing.assert_array_equal(mine, spec)
    assert host.launched == {}
    assert prox.prox_rows(v[:0], k, step, 1.0, l2).shape == (0,)
    assert host.launched == {}


def test_they_are_bound_on_cupy_alone() -> None:
    space: Any = SimpleNamespace(__name__="cupy")
    for name in (*LAST, "prox_rows", "prox_groups"):
        assert getattr(bind(space, np.dtype("float32")), name) is getattr(prox, name)
    assert bind(np, np.dtype("float32")).prox_scad is generic_prox.prox_scad


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LAST)
def test_gpu_prox(name: str, dtype: str, cupy: Any) -> None:
    tolerance = 2e-5 if dtype == "float32" else 1e-12
    for form in ("numbers", "one on the device", "one for each"):
        given = arguments(name, dtype, form)
        there = [cupy.asarray(a) if isinstance(a, np.ndarray) else a for a in given]
        for last in LAST[name]:
            spec = getattr(generic_prox, name)(*given, last)
            ours = getattr(prox, name)(*there, last)
            np.testing.assert_allclose(ours.get(), spec, tolerance, tolerance)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [*SHAPES, (70_000, 5), (3, 2000)])
def test_gpu_prox_of_groups(shape: Any, dtype: str, cupy: Any) -> None:
    tolerance = 2e-5 if dtype == "float32" else 1e-12
    pairs = zip(("prox_rows", "prox_groups"), group_arguments(*shape, dtype, True), strict=True)
    for name, given in pairs:
        there = [cupy.asarray(a) if isinstance(a, np.ndarray) else a for a in given]
        ours, again = (getattr(prox, name)(*there) for _ in "ab")
        spec = getattr(generic_prox, name)(*given)
        np.testing.assert_allclose(ours.get(), spec, tolerance, tolerance)
        np.testing.assert_array_equal(ours.get(), again.get())
