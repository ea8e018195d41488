"""CUDA sources compiled for devices that need not be there, by NVRTC or by nvcc.

NVRTC is what CuPy compiles with; as a library of one wheel (``nvidia-cuda-nvrtc``) it is there on
machines without CUDA's tools.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from skopt_dl.kernels.cupy.source import whole

TYPES = {"float32": "float", "float64": "double"}


@cache
def nvrtc() -> ctypes.CDLL | None:
    """NVRTC of an installed wheel, or of the system; ``None`` where there is none."""
    spec = find_spec("nvidia")
    folders = [] if spec is None else list(spec.submodule_search_locations or ())
    for path in sorted(path for f in folders for path in Path(f).glob("*/lib/libnvrtc.so.*")):
        # What NVRTC opens by its bare name has to be there before it asks.
        for builtins in path.parent.glob("libnvrtc-builtins.so.*"):
            ctypes.CDLL(str(builtins))
        return ctypes.CDLL(str(path))
    try:
        return ctypes.CDLL("libnvrtc.so")
    except OSError:
        return None


def written(name: str, folder: Path) -> Path:
    """The whole source ``name`` of the package as a file."""
    path = folder / f"{name}.cu"
    path.write_text(whole(name), encoding="utf-8")
    return path


def compilers() -> list[str]:
    """What can compile here, the quickest first."""
    found = [] if nvrtc() is None else ["nvrtc"]
    return found if shutil.which("nvcc") is None else [*found, "nvcc"]


def ptx(compiler: str, source: Path, dtype: str, device: str, folder: Path) -> str:
    """The device code of ``source``; anything that the compiler has to say is an error."""
    by = _by_nvrtc if compiler == "nvrtc" else _by_nvcc
    return by(source, TYPES[dtype], device, folder)


def _by_nvcc(source: Path, real: str, device: str, folder: Path) -> str:
    out = folder / "kernel.ptx"
    flags = ["-Werror", "all-warnings", f"-DREAL={real}", f"-arch={device}", "-ptx"]
    subprocess.run(["nvcc", *flags, "-o", str(out), str(source)], check=True, timeout=120)
    return out.read_text()


def _by_nvrtc(source: Path, real: str, device: str, folder: Path) -> str:
    library = nvrtc()
    assert library is not None
    program = ctypes.c_void_p()
    text = source.read_bytes()
    _check(
        library.nvrtcCreateProgram(
            ctypes.byref(program), text, source.name.encode(), 0, None, None
        ),
        "nvrtcCreateProgram",
    )
    try:
        flags = [f"-DREAL={real}", f"-arch={device.replace('sm', 'compute')}", "-std=c++17"]
        given = (ctypes.c_char_p * len(flags))(*(flag.encode() for flag in flags))
        failed = library.nvrtcCompileProgram(program, len(flags), given)
        said = _text(library, program, "ProgramLog")
        if failed or said:
            raise AssertionError(f"{source.name} for {device}, REAL={real}:\n{said}")
        return _text(library, program, "PTX")
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))


def _text(library: ctypes.CDLL, program: ctypes.c_void_p, what: str) -> str:
    size = ctypes.c_size_t()
    _check(getattr(library, f"nvrtcGet{what}Size")(program, ctypes.byref(size)), what)
    text = ctypes.create_string_buffer(size.value)
    _check(getattr(library, f"nvrtcGet{what}")(program, text), what)
    return text.value.decode()


def _check(code: int, what: str) -> None:
    if code:
        raise AssertionError(f"{what} failed with NVRTC's error {code}")
