"""Loops over samples by CUDA kernels, their body compiled for the host, are the generic ones:
coefficients, intercepts, tables, averages and dual variables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cuda_host import HostKernels, require_bound_on_cupy_alone
from scipy import sparse

from skopt_dl.kernels import generic
from skopt_dl.kernels.cupy import samples
from skopt_dl.losses import Logistic, Multinomial, Squared
from skopt_dl.penalties import L2, ElasticNet
from skopt_dl.problems import LinearProblem

WRAPPERS = samples
DTYPES = ["float32", "float64"]
LOSSES = {"squared": Squared, "logistic": Logistic, "multinomial": Multinomial}
N, P = 23, 6


def problem(
    loss: str, penalty: Any, dtype: str, *, form: Any = np.asarray, **options: Any
) -> LinearProblem:
    """Rows of which one is long, so that draws and steps are uneven; several outputs of two."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, P)) + 0.5
    X[4] *= 10
    if form is sparse.csr_matrix:
        X = np.where(np.abs(X) > 0.7, X, 0.0)
    y = X @ rng.standard_normal((P, 3)) + rng.standard_normal((N, 3))
    if loss == "multinomial":
        y = np.eye(3)[np.argmax(y, axis=1)]
    elif loss == "logistic":
        y = (y[:, 0] > 0).astype(float)
    else:
        y = y[:, 0]
    X, y = X.astype(dtype), y.astype(dtype)
    weights = rng.uniform(0.2, 2, N).astype(dtype)
    weights[7] = 0.0
    return LinearProblem(form(X), y, LOSSES[loss](), penalty, sample_weight=weights, **options)


def start(q: LinearProblem) -> Any:
    return np.random.default_rng(1).standard_normal(q.size).astype(q.dtype) * 0.3


PENALTIES = {
    "elastic net": ElasticNet(0.02, 0.05),
    "positive": ElasticNet(0.01, 0.0, positive=True),
    "ridge": L2(0.1),
}


@pytest.mark.parametrize("name", ["saga_steps", "svrg_steps", "sag_steps"])
@pytest.mark.parametrize("loss", list(LOSSES))
@pytest.mark.parametrize("penalty", list(PENALTIES))
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("dtype", DTYPES)
def test_steps_are_the_generic_ones(
    dtype: str,
    form: Any,
    intercept: bool,
    penalty: str,
    loss: str,
    name: str,
    host: HostKernels,
    monkeypatch: Any,
) -> None:
    if name == "sag_steps" and penalty != "ridge":
        pytest.skip("SAG takes smooth penalties")
    monkeypatch.setattr(samples, "STEPS", 20)
    models = []
    for kind in (dtype, "float64"):
        q = problem(loss, PENALTIES[penalty], kind, form=form, fit_intercept=intercept)
        model = q.samples(start(q).astype(kind))
        model.set_step(0.3 / model.lipschitz)
        # A point away from that of the table.
        model.W += 0.1
        models.append(model)
    ours, spec = models
    order = np.random.default_rng(2).integers(0, N, 50)
    getattr(samples, name)(ours, order)
    getattr(generic, name)(spec, order)
    tolerance = 2e-3 if dtype == "float32" else 1e-11
    for held in ("W", "b", "table", "average", "average_b"):
        a, b = getattr(ours, held), getattr(spec, held)
        assert a.dtype == dtype
        np.testing.assert_allclose(
            a, b, rtol=tolerance, atol=tolerance * (1 + np.max(np.abs(b))), err_msg=held
        )
    assert host.launched == {"sample_steps": 3}


@pytest.mark.parametrize("loss", ["squared", "logistic"])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_dual_epochs_are_the_generic_ones(
    dtype: str, positive: bool, form: Any, loss: str, host: HostKernels
) -> None:
    ours, spec = (
        q.dual_coordinates(start(q))
        for q in (
            problem(loss, ElasticNet(0.02, 0.3, positive), kind, form=form, fit_intercept=False)
            for kind in (dtype, "float64")
        )
    )
    order = np.random.default_rng(2).permutation(N)
    tolerance = 1e-3 if dtype == "float32" else 1e-10
    for _ in range(2):
        found, expected = samples.dual_epoch(ours, order), generic.dual_epoch(spec, order)
        assert found == pytest.approx(expected, rel=tolerance) and type(found) is float
        np.testing.assert_allclose(ours.u, spec.u, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(ours.v, spec.v, rtol=tolerance, atol=10 * tolerance)
    assert found > 0 and ours.u.dtype == dtype
    assert host.launched == {"dual_steps": 2}


def test_centred_targets_of_several_outputs(host: HostKernels) -> None:
    rng = np.random.default_rng(3)
    X, Y = rng.standard_normal((N, P)), rng.standard_normal((N, 2))
    ours, spec = (
        LinearProblem(X, Y, Squared(), L2(0.5), fit_intercept=True).dual_coordinates(
            np.zeros(2 * P)
        )
        for _ in "ab"
    )
    assert samples.dual_epoch(ours, np.arange(N)) == pytest.approx(
        generic.dual_epoch(spec, np.arange(N))
    )
    np.testing.assert_allclose(ours.v, spec.v, rtol=1e-10, atol=1e-12)
    assert np.any(ours.mean != 0) and host.launched == {"dual_steps": 1}


def test_others_take_the_array_form(host: HostKernels, monkeypatch: Any) -> None:
    q = problem("squared", L2(0.1), "float64", form=sparse.csr_matrix)
    q.base.rows.indices = q.base.rows.indices.astype(np.int64)
    model = q.samples(start(q))
    model.set_step(0.01)
    before = model.W.copy()
    samples.saga_steps(model, np.arange(N))
    assert np.any(before != model.W)
    q = problem("squared", L2(0.1), "float64", form=np.asfortranarray)
    model = q.samples(start(q))
    model.set_step(0.01)
    before = model.W.copy()
    samples.svrg_steps(model, np.arange(N))
    assert np.any(before != model.W)
    monkeypatch.setattr(samples, "SHARED", 8 * (samples.THREADS + 1))
    q = problem("squared", L2(0.1), "float64", fit_intercept=False)
    assert samples.dual_epoch(q.dual_coordinates(start(q)), np.arange(N)) > 0
    assert host.launched == {}


def test_they_are_bound_on_cupy_alone() -> None:
    require_bound_on_cupy_alone(samples, "saga_steps", "svrg_steps", "sag_steps", "dual_epoch")


@pytest.mark.gpu
@pytest.mark.parametrize("loss", list(LOSSES))
@pytest.mark.parametrize("dtype", DTYPES)
def test_gpu_steps(dtype: str, loss: str, cupy: Any) -> None:
    tolerance = 1e-2 if dtype == "float32" else 1e-9
    host = problem(loss, L2(0.1), "float64")
    spec = host.samples(start(host))
    spec.set_step(0.3 / spec.lipschitz)
    order = np.random.default_rng(2).integers(0, N, 50)
    generic.saga_steps(spec, order)
    found = []
    for _ in "ab":
        q = LinearProblem(
            *(cupy.asarray(a, dtype) for a in (host.base.X, problem(loss, L2(0.1), dtype).y)),
            LOSSES[loss](),
            L2(0.1),
            sample_weight=cupy.asarray(host.omega, dtype),
        )
        model = q.samples(cupy.asarray(start(host), dtype))
        model.set_step(spec.step)
        samples.saga_steps(model, order)
        found.append(model.W.get())
    np.testing.assert_allclose(found[0], spec.W, rtol=tolerance, atol=tolerance)
    np.testing.assert_array_equal(*found)
