"""Every CUDA source compiles for old and new devices, and its body, run on the host with a thread
for each of the block's, equals the array form; with a device the kernels do."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cuda_compile import TYPES, compilers, ptx, written
from scipy import sparse

from skopt_dl.kernels import generic_observed
from skopt_dl.kernels.cupy.observed import TILE
from skopt_dl.matrix_completion.groups import Groups

SOURCES = sorted(Path(str(files("skopt_dl.kernels.cupy"))).glob("*.cu"))
HERE = Path(__file__).parent
# Few threads, so that every loop over a block's threads goes round.
BLOCK = 4


COMPILERS = compilers()


def test_a_compiler_is_there() -> None:
    """Continuous integration must not pass because it has nothing to compile with."""
    if not COMPILERS and "CI" not in os.environ:
        pytest.skip("there is no nvcc and no NVRTC (pip install nvidia-cuda-nvrtc)")
    assert COMPILERS


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("device", ["sm_75", "sm_90"])
@pytest.mark.parametrize(
    "compiler", [*COMPILERS[:1], *(pytest.param(c, marks=pytest.mark.slow) for c in COMPILERS[1:])]
)
def test_compiles(compiler: str, source: Path, dtype: str, device: str, tmp_path: Path) -> None:
    text = ptx(compiler, written(source.stem, tmp_path), dtype, device, tmp_path)
    words = [line.split("//")[0] for line in text.splitlines()]
    assert ".visible .entry" in text and f".target {device}" in text
    if dtype == "float32":
        assert not any(".f64" in line for line in words), "float kernels compute in double"
    assert not any(word in line for line in words for word in ("atom.", "red.global"))


@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("device", ["sm_75", "sm_90"])
def test_registers_suffice(source: Path, dtype: str, device: str, tmp_path: Path) -> None:
    """No kernel keeps what it computes with in the device's memory."""
    if "nvcc" not in COMPILERS:
        pytest.skip("there is no nvcc, whose assembler counts registers")
    flags = ["-cubin", "-Xptxas", "-v", f"-DREAL={TYPES[dtype]}", f"-arch={device}"]
    path = written(source.stem, tmp_path)
    command = ["nvcc", *flags, "-o", str(tmp_path / "kernel.cubin"), str(path)]
    done = subprocess.run(command, check=True, timeout=120, capture_output=True, text=True)
    spills = re.findall(r"(\d+) bytes spill stores, (\d+) bytes spill loads", done.stderr)
    assert len(spills) == source.read_text(encoding="utf-8").count("__global__")
    assert set(spills) == {("0", "0")}


def test_what_does_not_compile_is_an_error_that_says_where(tmp_path: Path) -> None:
    source = tmp_path / "wrong.cu"
    source.write_text('extern "C" __global__ void f(REAL* x) {\n    x[0] = missing;\n}\n')
    for compiler in COMPILERS:
        with pytest.raises((AssertionError, subprocess.CalledProcessError)) as caught:
            ptx(compiler, source, "float32", "sm_75", tmp_path)
        if compiler == "nvrtc":
            assert "wrong.cu(2)" in str(caught.value) and "missing" in str(caught.value)


CALLS = """
extern "C" void call_entry_products(int blocks, int threads, long long q, int k, const int* rows,
        const int* cols, const REAL* L, const REAL* R, REAL* out) {
    launch(blocks, threads, [&] { entry_products(q, k, rows, cols, L, R, out); });
}
extern "C" void call_segment_sum(int blocks, int threads, long long m, int k,
        const long long* starts, const long long* order, const REAL* A, REAL* out) {
    launch(blocks, threads, [&] { segment_sum(m, k, starts, order, A, out); });
}
extern "C" void call_ridge_rows(int blocks, int threads, int k, const int* ptr, const int* cols,
        const REAL* w, const REAL* t, const REAL* F, const REAL* ridge, int ridges,
        const REAL* extra, REAL least, REAL* out) {
    launch(blocks, threads, [&] {
        ridge_rows(k, ptr, cols, w, t, F, ridge, ridges, extra, least, out);
    });
}
extern "C" void call_gram_rows(int blocks, int threads, int k, const int* ptr, const int* cols,
        const REAL* w, const REAL* F, REAL* out) {
    launch(blocks, threads, [&] { gram_rows(k, ptr, cols, w, F, out); });
}
extern "C" void call_masked_product(int blocks, int threads, int r, int k, const int* ptr,
        const int* cols, const REAL* w, const REAL* A, const REAL* B, const REAL* F, REAL* out) {
    launch(blocks, threads, [&] { masked_product(r, k, ptr, cols, w, A, B, F, out); });
}
"""


class Host:
    """The kernels of a source on the host."""

    def __init__(self, dtype: str, library: Path) -> None:
        self.dtype, self._library = np.dtype(dtype), ctypes.CDLL(str(library))

    def __call__(self, name: str, blocks: int, *args: Any) -> None:
        real = ctypes.c_float if self.dtype == np.float32 else ctypes.c_double
        passed: list[Any] = []
        for arg in args:
            if arg is None:
                passed.append(ctypes.c_void_p())
            elif isinstance(arg, np.ndarray):
                passed.append(ctypes.c_void_p(arg.ctypes.data))
            elif isinstance(arg, float):
                passed.append(real(arg))
            else:
                passed.append(
                    ctypes.c_longlong(arg) if isinstance(arg, np.int64) else ctypes.c_int(arg)
                )
        getattr(self._library, f"call_{name}")(blocks, BLOCK, *passed)


@pytest.fixture(scope="module", params=list(TYPES))
def host(request: Any, tmp_path_factory: Any) -> Host:
    compiler = shutil.which("g++") or shutil.which("c++")
    if compiler is None:
        pytest.skip("there is no C++ compiler")
    folder = tmp_path_factory.mktemp("cuda")
    text = folder / "host.cpp"
    source = written("observed", folder)
    text.write_text(f'#include "{HERE / "cuda_host.h"}"\n#include "{source}"\n{CALLS}')
    library = folder / "host.so"
    flags = ["-O1", "-std=c++17", "-shared", "-fPIC", "-pthread", f"-DREAL={TYPES[request.param]}"]
    subprocess.run([compiler, *flags, "-o", str(library), str(text)], check=True, timeout=120)
    return Host(request.param, library)


def observed(dtype: Any, m: int = 7, n: int = 50, k: int = 5) -> tuple[Any, ...]:
    """Weights and targets with one structure, and factors; row 3 is empty, others exceed a tile."""
    rng = np.random.default_rng(0)
    W = rng.random((m, n)) * (rng.random((m, n)) < 0.6)
    W[3] = 0
    assert np.max(np.count_nonzero(W, axis=1)) > TILE
    T = W * rng.standard_normal((m, n))
    W, T = sparse.csr_matrix(W), sparse.csr_matrix(T)
    L, R = rng.standard_normal((m, k)), rng.standard_normal((n, k))
    return W.astype(dtype), T.astype(dtype), L.astype(dtype), R.astype(dtype)


def close(a: Any, b: Any) -> None:
    tolerance = 2e-4 if np.asarray(b).dtype == np.float32 else 1e-11
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def test_entry_products(host: Host) -> None:
    W, _, L, R = observed(host.dtype)
    rows, cols = (a.astype(np.int32) for a in W.nonzero())
    out = np.full(rows.shape, np.nan, host.dtype)
    host("entry_products", -(-len(rows) // BLOCK), np.int64(len(rows)), 5, rows, cols, L, R, out)
    close(out, generic_observed.entry_products(rows, cols, L, R))


def test_segment_sum(host: Host) -> None:
    rng = np.random.default_rng(1)
    A, index = rng.standard_normal((30, 3)).astype(host.dtype), rng.integers(0, 6, 30)
    order = np.argsort(index, kind="stable").astype(np.int64)
    starts = np.searchsorted(index[order], np.arange(9)).astype(np.int64)
    out = np.full((8, 3), np.nan, host.dtype)
    host("segment_sum", -(-out.size // BLOCK), np.int64(8), 3, starts, order, A, out)
    close(out, generic_observed.segment_sum(A, index, 8))


@pytest.mark.parametrize("ridges", [1, 5])
@pytest.mark.parametrize("with_extra", [False, True])
def test_ridge_rows(host: Host, ridges: int, with_extra: bool) -> None:
    W, T, L, R = observed(host.dtype)
    rng = np.random.default_rng(2)
    ridge = rng.random((7, ridges)).astype(host.dtype)
    ridge[1] = 0  # the floor
    extra = rng.standard_normal((7, 5)).astype(host.dtype) if with_extra else None
    out = np.full(L.shape, np.nan, host.dtype)
    least = float(4 * 5 * np.finfo(host.dtype).eps)
    shapes = (W.indptr, W.indices, W.data, T.data)
    host("ridge_rows", 7, 5, *shapes, R, ridge, ridges, extra, least, out)
    spec = generic_observed.ridge_rows(W, T, R, ridge[:, 0] if ridges == 1 else ridge, extra)
    close(out, spec)


def test_gram_rows(host: Host) -> None:
    W, _, _, R = observed(host.dtype)
    out = np.full((7, 5, 5), np.nan, host.dtype)
    host("gram_rows", 7, 5, W.indptr, W.indices, W.data, R, out)
    close(out, generic_observed.gram_rows(W, R))


def test_masked_product(host: Host) -> None:
    W, _, L, R = observed(host.dtype)
    F = np.random.default_rng(3).standard_normal((50, 3)).astype(host.dtype)
    out = np.full((7, 3), np.nan, host.dtype)
    host("masked_product", 7, 5, 3, W.indptr, W.indices, W.data, L, R, F, out)
    close(out, generic_observed.masked_product(W, L, R, F))


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("k", [1, 5, 32, 90])
def test_on_the_device(dtype: str, k: int, cupy: Any) -> None:
    import cupyx.scipy.sparse

    from skopt_dl.kernels.cupy import observed as twin

    W, T, L, R = observed(dtype, m=40, n=300, k=k)
    ridge, rng = np.full(40, 0.5, dtype), np.random.default_rng(0)
    A, index = rng.standard_normal((500, k)).astype(dtype), rng.integers(0, 20, 500)
    entries = index, rng.random(500).astype(dtype), rng.standard_normal(500).astype(dtype)
    groups = Groups(*entries, 40), Groups(*map(cupy.asarray, entries), 40)
    there = [cupyx.scipy.sparse.csr_matrix(a) for a in (W, T)]
    there += [cupy.asarray(a) for a in (L, R, ridge)]
    rows, cols = (a.astype(np.int32) for a in W.nonzero())
    pairs = {
        "ridge_rows": ((W, T, R, ridge), (there[0], there[1], there[3], there[4])),
        "ridge_groups": ((groups[0], A, ridge), (groups[1], cupy.asarray(A), there[4])),
        "gram_rows": ((W, R), (there[0], there[3])),
        "masked_product": ((W, L, R, R), (there[0], there[2], there[3], there[3])),
        "entry_products": ((rows, cols, L, R), (*map(cupy.asarray, (rows, cols)), *there[2:4])),
        "segment_sum": ((A, index, 25), (cupy.asarray(A), cupy.asarray(index), 25)),
    }
    for name, (args, on_device) in pairs.items():
        ours = getattr(twin, name)(*on_device)
        spec = getattr(generic_observed, name)(*args)
        scale = np.max(np.abs(spec))
        close(ours.get() / scale, spec / scale)
        # Factors beyond the shared memory take the array form, whose sparse products are
        # cuSPARSE's: they add in no fixed order.
        if k < 90 or name not in ("ridge_rows", "gram_rows"):
            again = getattr(twin, name)(*on_device)
            np.testing.assert_array_equal(ours.get(), again.get(), err_msg=name)
