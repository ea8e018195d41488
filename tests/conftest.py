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
    """CuPy where it finds a device."""
    module = pytest.importorskip("cupy")
    if not module.is_available():
        pytest.skip("CuPy finds no CUDA device")
    return module


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
