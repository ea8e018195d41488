"""A fit that a device has no room for says so before it starts, with the numbers."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import array_api_strict as strict
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from zoo import classification, regression

from skopt_dl import Lasso, LogisticRegression, Ridge
from skopt_dl._sklearn import arrays, memory
from skopt_dl._sklearn.arrays import Place
from skopt_dl._sklearn.memory import floating_bytes, in_words
from skopt_dl.dispatch import SOLVERS

AWAY = Place("array_api_strict", str(strict.Device("device1")))


@pytest.fixture
def room(monkeypatch: Any) -> Any:
    """Sets how many bytes are free on the device that "cuda" stands for."""
    original = arrays.device_place
    for module in (arrays, sys.modules["skopt_dl._sklearn.base"]):
        monkeypatch.setattr(module, "device_place", lambda d: AWAY if d == "cuda" else original(d))

    def of(free: int) -> None:
        monkeypatch.setattr(memory, "free_bytes", lambda place: free)

    return of


def test_data_that_do_not_fit_are_not_copied(room: Any, monkeypatch: Any) -> None:
    X, y = regression(0)
    room(X.nbytes - 1)
    monkeypatch.setattr(Place, "put", lambda self, x: pytest.fail("something was copied"))
    model = Lasso(device="cuda")
    message = r"Lasso needs at least 1\.875 KiB on array_api_strict.*a copy of X 1\.875 KiB"
    with pytest.raises(MemoryError, match=message) as raised:
        model.fit(X, y)
    assert "1.874 KiB are free" in str(raised.value) and "float32" in str(raised.value)
    assert not hasattr(model, "coef_")


@pytest.mark.parametrize(
    ("model", "solver"),
    [(Ridge(), "cholesky"), (LogisticRegression(), "newton_cholesky"), (Ridge(), "bfgs")],
)
def test_a_matrix_that_does_not_fit_is_not_made(room: Any, model: Any, solver: str) -> None:
    X, y = classification(0)
    X, y = (strict.asarray(a, device=strict.Device("device1")) for a in (X, y.astype(float)))
    if isinstance(model, LogisticRegression):
        y = np.asarray(y.to_device(strict.Device("CPU_DEVICE")))
    assert SOLVERS.get(solver).matrix is not None
    model = model.set_params(solver=solver)
    room(10**9)
    model.fit(X, y)
    room(1000)
    with pytest.raises(MemoryError, match=r"its (\d+) x \1 matrix .*1000 bytes are free"):
        model.fit(X, y)


def test_the_host_is_not_asked(room: Any) -> None:
    X, y = regression(0)
    room(0)
    Lasso().fit(X, y)


def test_memory_of_other_libraries_is_not_known() -> None:
    assert arrays.free_bytes(AWAY) is None


@pytest.mark.parametrize("limit", [0, 5000])
def test_free_bytes_read_the_device_and_leave_the_pool(limit: int, monkeypatch: Any) -> None:
    # A pool that has these readings and no other method: whatever else is called would raise.
    pool = SimpleNamespace(
        free_bytes=lambda: 2000, get_limit=lambda: limit, used_bytes=lambda: 1500
    )

    class Device:
        mem_info = (10_000, 50_000)

        def __init__(self, index: int) -> None:
            assert index == 1

        def __enter__(self) -> Device:
            return self

        def __exit__(self, *_: Any) -> None: ...

    fake = SimpleNamespace(
        cuda=SimpleNamespace(Device=Device), get_default_memory_pool=lambda: pool
    )
    monkeypatch.setitem(sys.modules, "cupy", fake)
    assert arrays.free_bytes(Place("cupy", "cuda:1")) == (3500 if limit else 12_000)


def test_bytes_of_data() -> None:
    X = np.zeros((3, 4))
    assert floating_bytes(X) == 96
    assert floating_bytes(X.astype(np.float32)) == 48
    assert floating_bytes(X.astype(np.int8)) == 96
    assert floating_bytes(X.tolist()) == 96
    assert floating_bytes(pd.DataFrame(X)) == 96
    assert floating_bytes(pd.DataFrame(X.astype(np.float32))) == 48
    assert floating_bytes(sparse.csr_matrix(np.eye(3))) == 3 * 12 + 16
    assert [in_words(s) for s in (1000, 2**20, 3 * 2**40)] == ["1000 bytes", "1 MiB", "3 TiB"]


@pytest.mark.gpu
def test_gpu_room_is_read_and_the_pool_stays(cupy: Any) -> None:
    pool = cupy.get_default_memory_pool()
    kept = cupy.zeros(2**20)
    free = arrays.free_bytes(Place("cupy", "cuda:0"))
    assert free is not None and 0 < free <= cupy.cuda.Device(0).mem_info[1]
    before = pool.total_bytes()
    # A view of one row as many: as large as no device, and no memory at all.
    huge = np.broadcast_to(np.zeros(1000), (10**9, 1000))
    with pytest.raises(MemoryError, match=r"Lasso needs at least .* TiB on cupy on cuda:0"):
        Lasso(device="cuda").fit(huge, np.zeros(3))
    assert pool.total_bytes() == before and pool.get_limit() == 0
    del kept
