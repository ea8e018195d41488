"""Devices, memory, streams, and sources compiled for the host."""

from __future__ import annotations

import os
import tempfile
import threading
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cuda_host import BLOCKS, SIGNATURE, THREADS, argument, library_of


class CUDARuntimeError(RuntimeError):
    """What the driver has to say."""


def _count() -> int:
    """One device, unless CUDA is told to see none."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        raise CUDARuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")
    return 1


runtime = SimpleNamespace(getDeviceCount=_count, CUDARuntimeError=CUDARuntimeError)


class Device:
    """The one device, number 0, with 4 GiB."""

    def __init__(self, device: Any = 0) -> None:
        self.id = int(getattr(device, "id", device))
        self.mem_info = (2**32, 2**32)

    def __enter__(self) -> Device:
        if self.id:
            raise CUDARuntimeError("cudaErrorInvalidDevice: invalid device ordinal")
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and other.id == self.id

    def __hash__(self) -> int:
        return self.id

    def __str__(self) -> str:
        return f"<CUDA Device {self.id}>"

    def synchronize(self) -> None:
        pass


class Stream:
    """One that records nothing."""

    def __init__(self, *, non_blocking: bool = False) -> None:
        pass

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def begin_capture(self, *args: Any) -> None:
        raise NotImplementedError("the stand-in of CuPy records no graph")

    def synchronize(self) -> None:
        pass


@cache
def get_default_memory_pool() -> Any:
    """A pool that holds nothing."""
    nothing = dict.fromkeys(("free_bytes", "used_bytes", "total_bytes", "get_limit"), lambda: 0)
    return SimpleNamespace(**nothing, set_limit=lambda **limit: None, free_all_blocks=lambda: None)


ONE_AT_A_TIME = threading.Lock()


class RawModule:
    """A source whose kernels run on the host, by blocks of few threads."""

    def __init__(self, *, code: str, options: tuple[str, ...] = ()) -> None:
        (real,) = (o.removeprefix("-DREAL=") for o in options if o.startswith("-DREAL="))
        path = Path(tempfile.mkdtemp(prefix="cupy-standin-")) / "source.cu"
        path.write_text(code, encoding="utf-8")
        self._library = library_of(path, real)
        # Where a block is a row all of them have to run; elsewhere they stride.
        self._most = None if "= blockIdx.x;" in code else BLOCKS
        self._exact = {name: bool(bounds) for bounds, name, _ in SIGNATURE.findall(code)}

    def get_function(self, name: str) -> Any:
        call, exact = getattr(self._library, f"call_{name}"), self._exact[name]

        def launch(grid: Any, block: Any, args: Any, shared_mem: int = 0) -> None:
            threads = block[0] if exact else min(block[0], THREADS)
            given = (argument(getattr(a, "_host", a)) for a in args)
            # Which block is running is one number, for all threads of this process.
            with ONE_AT_A_TIME:
                call(min(grid[0], self._most or grid[0]), threads, *given)

        return launch
