"""A small symmetric matrix that grows on a device, seen from the host."""

from __future__ import annotations

from typing import Any

import numpy as np

from skopt_dl.kernels.namespace import namespace_of, to_numpy


class Mirror:
    """The host's copy of a Gram block that gets more columns: each leaves the device once."""

    def __init__(self) -> None:
        self._size, self._block = 0, np.zeros((0, 0))

    def of(self, G: Any) -> Any:
        """The block ``G`` of shape (m, m) in float64; itself where it is on the host.

        What was seen of it before must not have changed.
        """
        if isinstance(G, np.ndarray):
            return G
        known, m = self._size, G.shape[0]
        if m > self._block.shape[0]:
            block = np.zeros((max(m, 2 * known),) * 2)
            block[:known, :known] = self._block[:known, :known]
            self._block = block
        if m > known:
            new = to_numpy(namespace_of(G).asarray(G[:, known:], copy=True))
            self._block[:m, known:m] = new
            self._block[known:m, :m] = new.T
        self._size = m
        return self._block[:m, :m]
