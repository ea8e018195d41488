"""Models that were saved on a GPU load without one and say the same."""

from __future__ import annotations

import importlib.util
import pickle
import warnings
from pathlib import Path
from typing import Any

import array_api_strict as strict
import numpy as np
import pytest
from make_gpu_pickle import TARGET, answer, cases, write

from skopt_dl._sklearn import arrays
from skopt_dl.kernels.namespace import to_numpy

# One that is written here, and the one from a GPU once it is committed.
FILES = ["simulated", *(["from a GPU"] if TARGET.exists() else [])]


def simulated(folder: Path, monkeypatch: Any) -> Path:
    """Models of a device that refuses conversions, under the name of a GPU."""
    path, packed = folder / "models.pkl", arrays.packed

    def as_if_on_a_gpu(estimator: Any, state: dict[str, Any]) -> dict[str, Any]:
        state = packed(estimator, state)
        _, _, names = state[arrays._PLACE]
        return {**state, arrays._PLACE: ("cupy", "cuda:0", names)}

    device = strict.Device("device1")
    with monkeypatch.context() as patched:
        patched.setattr("skopt_dl._sklearn.base.packed", as_if_on_a_gpu)
        write(path, lambda a: strict.asarray(a, device=device), to_numpy)
    return path


def _has_gpu() -> bool:
    if importlib.util.find_spec("cupy") is None:
        return False
    import cupy

    return bool(cupy.is_available())


@pytest.mark.parametrize("origin", FILES)
def test_models_saved_on_a_gpu_load_without_one(
    origin: str, tmp_path: Path, monkeypatch: Any
) -> None:
    path = simulated(tmp_path, monkeypatch) if origin == "simulated" else TARGET
    saved = pickle.loads(path.read_bytes())
    # A model whose class has gained a parameter since leaves the file until a GPU writes it again.
    assert saved and saved.keys() <= cases().keys()
    assert origin != "simulated" or saved.keys() == cases().keys()
    for name, (model_bytes, X, expected) in saved.items():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model = pickle.loads(model_bytes)
        told = [w for w in caught if "saved on cupy on cuda:0" in str(w.message)]
        assert len(told) == (0 if _has_gpu() else 1), name
        model = model.to_device("cpu")
        np.testing.assert_allclose(answer(model, X), expected, rtol=1e-6, atol=1e-8)
