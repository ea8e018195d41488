"""CUDA sources compiled for the host, so that their Python wrappers run there on NumPy arrays.

`cuda_host.h` has CUDA's words; what `launch` needs to call a kernel is read off its signature.
"""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import sys
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cuda_compile import TYPES, written

from skopt_dl.kernels import bind

HEADER = Path(__file__).parent / "laws" / "cuda_host.h"
FOLDER = Path(str(files("skopt_dl.kernels.cupy")))
SIGNATURE = re.compile(
    r'extern "C" __global__ void\s+(__launch_bounds__\(\w+\)\s+)?(\w+)\(([^)]*)\)'
)
# Few threads and blocks, so that every loop over them goes round.
THREADS, BLOCKS = 4, 3


def require_bound_on_cupy_alone(twin: Any, *names: str) -> None:
    """The kernels ``names`` of the module ``twin`` serve CuPy's arrays, and not NumPy's."""
    space: Any = SimpleNamespace(__name__="cupy")
    for name in names:
        assert getattr(bind(space, np.dtype("float32")), name) is getattr(twin, name)
        assert getattr(bind(np, np.dtype("float32")), name) is not getattr(twin, name)


def library_of(path: Path, real: str) -> ctypes.CDLL:
    """A source's kernels for the type ``real``: functions ``call_<name>(blocks, threads, ...)``."""
    compiler = shutil.which("g++") or shutil.which("c++")
    if compiler is None:
        pytest.skip("there is no C++ compiler")
    calls = ""
    for _, name, parameters in SIGNATURE.findall(path.read_text(encoding="utf-8")):
        names = ", ".join(re.findall(r"(\w+)\s*(?:,|$)", parameters))
        calls += f'extern "C" void call_{name}(int blocks, int threads, {parameters}) {{\n'
        calls += f"    launch(blocks, threads, [&] {{ {name}({names}); }});\n}}\n"
    text, library = path.with_suffix(".cpp"), path.with_name(f"{path.stem}_{real}.so")
    text.write_text(f'#include "{HEADER}"\n#include "{path}"\n{calls}')
    flags = ["-O1", "-std=c++17", "-shared", "-fPIC", "-pthread", f"-DREAL={real}"]
    subprocess.run([compiler, *flags, "-o", str(library), str(text)], check=True, timeout=120)
    return ctypes.CDLL(str(library))


@cache
def bounded(source: str, name: str) -> bool:
    """Whether a kernel says how many threads it has."""
    found = SIGNATURE.findall((FOLDER / f"{source}.cu").read_text(encoding="utf-8"))
    (bounds,) = (bounds for bounds, each, _ in found if each == name)
    return bool(bounds)


def argument(value: Any) -> Any:
    kinds = {"float32": ctypes.c_float, "float64": ctypes.c_double, "int32": ctypes.c_int}
    kinds |= {"int64": ctypes.c_longlong, "uint32": ctypes.c_uint, "uint64": ctypes.c_void_p}
    if isinstance(value, np.ndarray):
        return ctypes.c_void_p(value.ctypes.data)
    # A Python number would be passed as the wrong type on a device.
    assert isinstance(value, np.generic), value
    return kinds[str(value.dtype)](value.item())


class HostKernels:
    """What `skopt_dl.kernels.cupy.source.kernel` is replaced by; counts the launches by name.

    While there is a ``tape``, launches are put on it, with the addresses that they were given, and
    nothing runs: that is what recording a CUDA graph does.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.launched = folder, dict[str, int]()
        self.tape: list[Any] | None = None
        self._libraries: dict[tuple[str, str], ctypes.CDLL] = {}

    def __call__(self, source: str, name: str, like: Any) -> Any:
        key = source, str(like.dtype)
        if key not in self._libraries:
            self._libraries[key] = library_of(written(source, self.folder), TYPES[key[1]])
        function = getattr(self._libraries[key], f"call_{name}")
        exact = bounded(source, name)

        def launch(grid: Any, block: Any, args: Any, shared_mem: int = 0) -> None:
            self.launched[name] = self.launched.get(name, 0) + 1
            threads = block[0] if exact else min(block[0], THREADS)
            given = (min(grid[0], BLOCKS), threads, *map(argument, args))
            if self.tape is None:
                function(*given)
            else:
                self.tape.append(lambda: function(*given))

        return launch


def on_the_host(monkeypatch: Any, module: Any, kernels: HostKernels) -> HostKernels:
    """Let a module of wrappers launch ``kernels`` and take NumPy for CuPy."""
    kernels.launched.clear()
    monkeypatch.setattr(module, "kernel", kernels)
    monkeypatch.setitem(sys.modules, "cupy", np)
    return kernels
