r"""Batches that grow: large ones only when the small ones say too little.

A batch size is given to a stochastic solver as its ``batch_size``; it is asked before each epoch.

Letters: n samples, k the epochs done, B the batch size, :math:`g_i` the gradient of sample i, g
that of a batch.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from skopt_dl.engine.settings import Settings
from skopt_dl.kernels.namespace import to_float


class BatchSize(Settings, ABC):
    """The number of samples in a batch as a function of progress.

    Parameters
    ----------
    start : int
        Size in the first epoch, at least 1.
    """

    start: int

    @abstractmethod
    def next(self, size: int, epoch: int, n: int, gradient: Callable[[int, int], Any]) -> int:
        """The size for the next epoch; the solver keeps it within 1 and n.

        Parameters
        ----------
        size : int
            The present size.
        epoch : int
            Epochs done.
        n : int
            Number of samples.
        gradient : callable
            ``gradient(low, high)``: that of the samples ``low <= i < high`` of the coming epoch, at
            the present point; overwritten by the next call.
        """


class GeometricGrowth(BatchSize):
    r""":math:`B_k = \lceil B_0\, \rho^k \rceil`.

    Parameters
    ----------
    start : int
        :math:`B_0`.
    factor : float
        :math:`\rho`, at least 1.

    References
    ----------
    M. Friedlander, M. Schmidt, "Hybrid deterministic-stochastic methods for data fitting", SIAM J.
    Sci. Comput. 34 (2012).
    """

    def __init__(self, start: int = 32, factor: float = 1.2) -> None:
        self.start, self.factor = start, factor

    def next(self, size: int, epoch: int, n: int, gradient: Callable[[int, int], Any]) -> int:
        if not self.factor >= 1:
            raise ValueError(f"GeometricGrowth: factor={self.factor!r}, but it must be >= 1")
        # Beyond n the power is not needed, and could overflow.
        steps = math.log(max(n / self.start, 1)) / math.log(self.factor) if self.factor > 1 else 0
        power = min(epoch, math.ceil(steps)) if self.factor > 1 else epoch
        return min(n, math.ceil(self.start * self.factor**power - 1e-9))


class NormTest(BatchSize):
    r"""Batches grow when the noise of their gradient exceeds a share of the gradient itself.

    .. math::

        \frac{v}{B} \cdot \frac{n - B}{n - 1} > \theta^2 \|g\|^2 \quad\Rightarrow\quad
        B \leftarrow \Big\lceil \frac{v}{\theta^2 \|g\|^2} \Big\rceil, \qquad
        v = \frac{1}{m - 1} \sum_{i=1}^{m} \|g_i - g\|^2

    with the variance v and the mean g of the gradients of m samples.

    Parameters
    ----------
    start : int
        Size in the first epoch.
    theta : float
        :math:`\theta`, positive.
    n_probes : int
        m, at least 2: gradients of single samples that are evaluated before each epoch.

    References
    ----------
    R. Byrd, G. Chin, J. Nocedal, Y. Wu, "Sample size selection in optimization methods for machine
    learning", Math. Program. 134 (2012).
    """

    def __init__(self, start: int = 32, *, theta: float = 0.9, n_probes: int = 32) -> None:
        self.start, self.theta, self.n_probes = start, theta, n_probes

    def next(self, size: int, epoch: int, n: int, gradient: Callable[[int, int], Any]) -> int:
        if not self.theta > 0:
            raise ValueError(f"NormTest: theta={self.theta!r}, but it must be > 0")
        if not self.n_probes >= 2:
            raise ValueError(f"NormTest: n_probes={self.n_probes!r}, but it must be >= 2")
        m = min(self.n_probes, n)
        if m < 2 or epoch == 0:
            return size
        total: Any = 0.0
        squares = 0.0
        for i in range(m):
            g = gradient(i, i + 1)
            total, squares = total + g, squares + to_float(g @ g)
        mean = total / m
        signal = to_float(mean @ mean)
        variance = (squares - m * signal) / (m - 1)
        # The mean of m noisy gradients is longer than the gradient: take its own noise off.
        signal = max(signal - variance / m, 0.0)
        if variance / size * (n - size) / max(n - 1, 1) <= self.theta**2 * signal:
            return size
        if signal == 0:
            return n
        return max(size, min(n, math.ceil(variance / (self.theta**2 * signal))))
