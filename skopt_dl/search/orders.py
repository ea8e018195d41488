r"""Which samples an epoch sees: easy ones first, and more and more of them.

An order is given to a stochastic solver as its ``shuffle``. It starts from the permutation that the
epoch would have had without it and leaves samples out, or draws others: once it lets all of them
in, the epochs are exactly the plain ones.

Letters: n samples, k the epochs done, N the epochs until all samples are in, :math:`q_k` the share
that is in, :math:`\ell_i` the loss of sample i.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from numbers import Integral
from typing import Any, ClassVar

import numpy as np

from skopt_dl.engine.settings import Settings


class Order(Settings, ABC):
    """Chooses the samples of an epoch.

    Attributes
    ----------
    needs_losses : bool
        Whether `select` reads the losses of the samples.
    """

    needs_losses: ClassVar[bool] = False

    @abstractmethod
    def select(self, order: Any, epoch: int, rng: Any, losses: Any) -> Any:
        """The samples of the next epoch, in turn.

        Parameters
        ----------
        order : array of int of shape (n,)
            A permutation of all samples, on the host.
        epoch : int
            Epochs done.
        rng : Generator or RandomState
            Source of further draws.
        losses : array of shape (n,) or None
            Losses at the present point, on the host, if ``needs_losses``.
        """


class Curriculum(Order):
    r"""Samples in the order of their difficulty.

    Deterministic: epoch k has the easiest :math:`q_k n` samples, each once. Mixed: each of n draws
    is the plain one with probability :math:`q_k`, and else one of the easiest
    :math:`q_0 n` at random, so that hard samples occur from the start, ever more often.

    .. math:: q_k = \min(1,\ q_0 + (1 - q_0)\, k / N)

    Parameters
    ----------
    difficulty : array of shape (n_samples,)
        Any numbers that are larger for harder samples: their loss under a simple model, say.
    n_epochs : int
        N, at least 1.
    start : float
        :math:`q_0`, in (0, 1]; 1 is no curriculum.
    mixed : bool
        See above.

    References
    ----------
    Y. Bengio, J. Louradour, R. Collobert, J. Weston, "Curriculum learning", ICML 2009; W. Zaremba,
    I. Sutskever, "Learning to execute", 2014 (mixed).
    """

    def __init__(
        self, difficulty: Any, *, n_epochs: int = 10, start: float = 0.2, mixed: bool = False
    ) -> None:
        self.difficulty, self.n_epochs, self.start, self.mixed = difficulty, n_epochs, start, mixed

    def share(self, epoch: int) -> float:
        """:math:`q_k` after ``epoch`` epochs."""
        if not (isinstance(self.n_epochs, Integral) and int(self.n_epochs) >= 1):
            raise ValueError(
                f"Curriculum: n_epochs={self.n_epochs!r}, but it must be an integer >= 1"
            )
        if not 0 < self.start <= 1:
            raise ValueError(f"Curriculum: start={self.start!r}, but it must be > 0 and <= 1")
        return min(1.0, self.start + (1 - self.start) * epoch / self.n_epochs)

    def select(self, order: Any, epoch: int, rng: Any, losses: Any) -> Any:
        difficulty, n = np.asarray(self.difficulty), order.shape[0]
        if difficulty.shape != (n,):
            raise ValueError(
                f"Curriculum: difficulty has shape {difficulty.shape}, but there are {n} samples"
            )
        q = self.share(epoch)
        if q == 1:
            return order
        rank = np.empty(n, dtype=np.intp)
        rank[np.argsort(difficulty, kind="stable")] = np.arange(n)
        if not self.mixed:
            return order[rank[order] < max(1, round(q * n))]
        easy = np.flatnonzero(rank < max(1, round(self.start * n)))
        plain = rng.uniform(size=n) < q
        return np.where(plain, order, easy[(rng.uniform(size=n) * easy.shape[0]).astype(np.intp)])


class SelfPaced(Order):
    r"""The samples that the model finds easy at present: those with a loss below a threshold.

    The threshold :math:`\lambda_k` is the quantile of the present losses that lets the share
    :math:`q_k = \min(1, q_0\, \mu^k)` in: one in the units of the loss would have to be found anew
    for every data set. The losses are evaluated once an epoch.

    Parameters
    ----------
    start : float
        :math:`q_0`, share of the samples in the first epoch, in (0, 1].
    growth : float
        :math:`\mu`, above 1.

    References
    ----------
    M. P. Kumar, B. Packer, D. Koller, "Self-paced learning for latent variable models", NeurIPS
    2010.
    """

    needs_losses: ClassVar[bool] = True

    def __init__(self, *, start: float = 0.5, growth: float = 1.3) -> None:
        self.start, self.growth = start, growth

    def select(self, order: Any, epoch: int, rng: Any, losses: Any) -> Any:
        if not 0 < self.start <= 1:
            raise ValueError(f"SelfPaced: start={self.start!r}, but it must be > 0 and <= 1")
        if not self.growth > 1:
            raise ValueError(f"SelfPaced: growth={self.growth!r}, but it must be > 1")
        q = min(1.0, self.start * self.growth**epoch)
        if q == 1:
            return order
        return order[losses[order] <= np.quantile(losses, q)]
