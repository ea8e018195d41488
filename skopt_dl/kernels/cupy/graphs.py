"""Steps on a fixed set of arrays, recorded as CUDA graphs and launched as a whole.

A step of a small network is some twenty kernels of a few microseconds each: the host needs longer
to launch them one by one. CuPy refuses cuBLAS, allocations and host reads while it records, so a
step that is to be recorded consists of this package's kernels alone.

Nothing is recorded unless the environment variable ``SKOPT_DL_CUDA_GRAPHS`` is 1.
"""

from __future__ import annotations

import os
import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

VARIABLE = "SKOPT_DL_CUDA_GRAPHS"
# Where launching costs more than a slower product: small batches of narrow layers.
ROWS, WIDTH = 512, 2048
# A step is recorded when its arrays come for the third time, and the last few records are kept.
SEEN, KEPT = 3, 8


class Recorded:
    """The records of one workspace.

    Attributes
    ----------
    enabled : bool
        Whether steps are recorded; false after one could not be.
    n_recorded, n_launched : int
        Records made, and steps launched from them.
    """

    def __init__(self) -> None:
        self.enabled = os.environ.get(VARIABLE) == "1"
        self.n_recorded = self.n_launched = 0
        # By what is fixed in a step: how often it was seen, its arrays (whose memory must stay
        # theirs), and the record.
        self._steps: OrderedDict[Any, list[Any]] = OrderedDict()

    def serves(self, rows: int, width: int) -> bool:
        """Whether a step of this size is worth a record."""
        return self.enabled and rows <= ROWS and width <= WIDTH

    def forget(self) -> None:
        """Drop all records: the memory of their owner has moved."""
        self._steps.clear()

    def run(
        self, fixed: tuple[Any, ...], arrays: tuple[Any, ...], step: Callable[[], None]
    ) -> None:
        """Do ``step``, which launches kernels on ``arrays`` and on the memory of its owner.

        Parameters
        ----------
        fixed : tuple
            Numbers that are part of the step.
        arrays : tuple of array or None
            What the step reads and writes besides.
        step : callable
            Launches kernels, and does nothing else.
        """
        key = fixed, tuple(None if a is None else _place(a) for a in arrays)
        found = self._steps.setdefault(key, [0, arrays, None])
        self._steps.move_to_end(key)
        while len(self._steps) > KEPT:
            self._steps.popitem(last=False)
        found[0] += 1
        if found[2] is None and found[0] >= SEEN:
            found[2] = self._record(step)
        if found[2] is None:
            step()
        else:
            found[2].launch()
            self.n_launched += 1

    def _record(self, step: Callable[[], None]) -> Any:
        import cupy

        stream = cupy.cuda.Stream(non_blocking=True)
        try:
            with stream:
                stream.begin_capture()
                try:
                    step()
                finally:
                    # A stream must not stay in this mode, whatever went wrong.
                    graph = stream.end_capture()
        except (NotImplementedError, RuntimeError) as error:
            self.enabled = False
            warnings.warn(
                f"the step is launched kernel by kernel, as it could not be recorded: {error}",
                RuntimeWarning,
                stacklevel=2,
            )
            return None
        self.n_recorded += 1
        return graph


def _place(a: Any) -> tuple[int, tuple[int, ...]]:
    """Where an array begins, and its shape."""
    face = getattr(a, "__cuda_array_interface__", None) or a.__array_interface__
    return face["data"][0], a.shape
