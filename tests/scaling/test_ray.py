"""A search whose candidates are fitted by Ray's workers, where Ray is installed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.model_selection import GridSearchCV

import skopt_dl

ray = pytest.importorskip("ray")


@pytest.fixture
def rays(monkeypatch: Any) -> Iterator[None]:
    """Two workers that find this package where this process does."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    paths = os.environ.get("PYTHONPATH", "")
    home = os.path.dirname(os.path.dirname(skopt_dl.__file__))
    environment = {"env_vars": {"PYTHONPATH": os.pathsep.join([home, paths])}}
    ray.init(num_cpus=2, include_dashboard=False, runtime_env=environment)
    yield
    ray.shutdown()


@pytest.mark.peers
@pytest.mark.slow
@pytest.mark.parametrize("name", ["Lasso", "MLPRegressor"])
def test_a_search_by_ray_is_that_in_processes(name: str, rays: Any) -> None:
    from ray.util.joblib import register_ray

    register_ray()
    data, target = load_diabetes(return_X_y=True)
    model = skopt_dl.Lasso()
    if name == "MLPRegressor":
        model = skopt_dl.MLPRegressor(
            hidden_layer_sizes=(5,), solver="lbfgs", max_iter=20, random_state=0
        )
    search = GridSearchCV(model, {"alpha": [0.01, 0.1, 1.0]}, cv=3, n_jobs=2)
    by_loky = search.fit(data, target).cv_results_["mean_test_score"]
    with joblib.parallel_config(backend="ray"):
        by_ray = search.fit(data, target).cv_results_["mean_test_score"]
    assert len(np.unique(by_loky)) == 3
    np.testing.assert_allclose(by_ray, by_loky, rtol=1e-8)
