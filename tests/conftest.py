"""Settings of the whole suite."""

from __future__ import annotations

import os
from typing import Any

import pytest

# Before SciPy is imported: scikit-learn's array-API checks ask for it.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
# Before NumPy is imported: the matrices of the tests are small, and workers share the cores.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")


@pytest.fixture
def cupy() -> Any:
    """CuPy where it finds a device, or its stand-in where ``tests/standin`` is on the path."""
    module = pytest.importorskip("cupy")
    if not module.is_available():
        pytest.skip("CuPy finds no CUDA device")
    return module


@pytest.fixture
def left(monkeypatch: Any) -> list[tuple[int, ...]]:
    """Shapes of the arrays that left array_api_strict's second device, by the one way out of it."""
    import array_api_strict as strict
    import numpy as np
    from array_api_strict._array_object import Array

    from skopt_dl.kernels.namespace import to_numpy

    shapes: list[tuple[int, ...]] = []
    original = Array.to_device

    def to_device(self: Any, device: Any, /, stream: Any = None) -> Any:
        shapes.append(self.shape)
        return original(self, device, stream=stream)

    monkeypatch.setattr(Array, "to_device", to_device)
    there = strict.asarray([1.0, 2.0], device=strict.Device("device1"))
    with pytest.raises(RuntimeError, match="convert"):
        np.asarray(there)
    to_numpy(there)
    assert shapes == [(2,)]
    shapes.clear()
    return shapes


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: Any) -> Any:
    """The CUDA sources compiled for the host, as far as they are asked for."""
    from cuda_host import HostKernels

    return HostKernels(tmp_path_factory.mktemp("sources"))


@pytest.fixture
def host(request: Any, compiled: Any, monkeypatch: Any) -> Any:
    """The same, launched by the wrappers in the test module's ``WRAPPERS``."""
    from cuda_host import on_the_host

    return on_the_host(monkeypatch, request.module.WRAPPERS, compiled)
