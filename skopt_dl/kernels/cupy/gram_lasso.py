"""The exact active-set method where X is on the device: the small problem is solved on the host.

Its Newton steps have supports of tens or hundreds and a decision after each, for which a device
would be asked again and again. What travels is the Gram block, each column once, and two vectors of
the working set a pass; X and the correlations of all columns stay where they are.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skopt_dl.kernels import cython
from skopt_dl.kernels.mirror import Mirror
from skopt_dl.kernels.namespace import device_of, namespace_of, to_numpy


class GramLasso:
    """See `skopt_dl.kernels.generic_gram.GramLasso`.

    Notes
    -----
    As there, ``bind`` may grow the set; the block of the columns known so far stays as it was, so
    it is not copied again.
    """

    def __init__(self, capacity: int, positive: bool = False) -> None:
        self._host = cython.GRAM.GramLasso(capacity, positive)
        self._block = Mirror()

    def bind(self, G: Any, b: Any, w: Any, c: Any) -> None:
        """Attach the block ``G``, ridge ``b``, and ``w`` and ``c = q - G w``, changed in place."""
        self.w, self.c = w, c
        self._w, self._c = (np.array(to_numpy(a), np.float64) for a in (w, c))
        self._host.bind(self._block.of(G), to_numpy(b), self._w, self._c)

    def _return(self) -> None:
        xp = namespace_of(self.w)
        for there, here in ((self.w, self._w), (self.c, self._c)):
            there[...] = xp.asarray(here, dtype=there.dtype, device=device_of(there))

    def refresh(self) -> None:
        """Rebuild the factor after ``w`` or ``b`` were set from outside."""
        self._host.refresh()
        self._return()

    def solve(self, a: Any, max_turns: int = 1000) -> int:
        """Minimise for strengths ``a`` from the present ``w``; returns the turns taken."""
        turns = int(self._host.solve(to_numpy(a), max_turns))
        self._return()
        return turns

    def slope(self, a: Any) -> Any:
        """``d w / d t`` for strengths ``t a``."""
        xp, slope = namespace_of(self.w), self._host.slope(to_numpy(a))
        return xp.asarray(np.asarray(slope), dtype=self.w.dtype, device=device_of(self.w))
