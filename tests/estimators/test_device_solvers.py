"""No solver is left out of fits on a device: those of special forms of a completion are here."""

from __future__ import annotations

import warnings
from typing import Any

import array_api_strict as strict
import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from zoo import pairs

from skopt_dl import MatrixCompletion
from skopt_dl.dispatch import SOLVERS
from skopt_dl.kernels.namespace import to_numpy

DEVICE = strict.Device("device1")
SHAPE = 31, 19
FORMS: dict[str, dict[str, Any]] = {
    "gibbs": {"noise": "rows"},
    "irls": {"alpha": 0},
    "lbfgsb": {"alpha": 0.1, "positive": True},
    "riemannian_cg": {"alpha": 0},
    "riemannian_trust_region": {"alpha": 0},
    "soft_impute": {"alpha": 0.05, "penalty": "nuclear"},
    "spectral_admm": {"alpha": 0.05, "penalty": "nuclear"},
    "svt": {"alpha": 0},
    "vb": {"noise": "rows"},
}
# Its blocks lie on a device in scaling/test_device_blocks.py.
ON_BLOCKS = {"consensus_admm"}


def test_every_solver_is_fitted_on_a_device() -> None:
    elsewhere = {case.values[1] if hasattr(case, "values") else case[1] for case in pairs()}
    assert set(SOLVERS.names()) == elsewhere | set(FORMS) | ON_BLOCKS


@pytest.mark.parametrize("solver", FORMS)
def test_forms_of_a_completion_fit_there(solver: str, left: list[tuple[int, ...]]) -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((SHAPE[0], 2)) @ rng.standard_normal((2, SHAPE[1]))
    X += 0.05 * rng.standard_normal(SHAPE)
    X[rng.random(SHAPE) < 0.3] = np.nan
    model = MatrixCompletion(2, solver=solver, random_state=0, max_iter=8, **FORMS[solver])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        host = model.__sklearn_clone__().fit(X)
        device = model.fit(strict.asarray(X, device=DEVICE))
        gone = list(left)
    assert device.solver_ == solver and device.components_.device == DEVICE
    # Neither entries nor factors leave it: scalars, and of draws a number a row.
    assert all(len(shape) < 2 and shape[:1] != (SHAPE[0] * SHAPE[1],) for shape in gone)
    filled = device.transform(strict.asarray(X, device=DEVICE))
    assert filled.device == DEVICE
    np.testing.assert_allclose(to_numpy(filled), host.transform(X), rtol=1e-7, atol=1e-9)
