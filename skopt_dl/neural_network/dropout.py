"""Dropout: units of the hidden layers left out at random, anew for each batch."""

from __future__ import annotations

from typing import Any

from skopt_dl.kernels import kernels_of


class Dropout:
    """Draws the masks.

    A unit is dropped with probability ``share`` and otherwise multiplied by ``1 / (1 - share)``, so
    that its mean is kept and nothing changes in a prediction.

    Parameters
    ----------
    share : float
        In [0, 1).
    rng : Generator or RandomState
        Source of the masks.

    Notes
    -----
    A batch that is asked for again in the same update (by a line search, say) has the same masks:
    otherwise two of its values could not be compared. A CUDA device draws for itself, by a counter
    and a key from ``rng``.

    References
    ----------
    N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever, R. Salakhutdinov, "Dropout: a simple way
    to prevent neural networks from overfitting", JMLR 15 (2014).
    """

    def __init__(self, share: float, rng: Any) -> None:
        self.share, self.rng = share, rng
        self._index: Any = None
        self._drawn: list[Any] = []

    def masks(self, net: Any, index: Any, like: Any) -> list[Any]:
        """One mask of shape ``(len(index), units)`` a hidden layer, beside ``like``."""
        if index is not self._index or not self._drawn:
            shapes = [(index.shape[0], units) for units in net.sizes[1:-1]]
            draw = kernels_of(like).keep_mask
            self._index = index
            self._drawn = [draw(self.rng, shape, self.share, like) for shape in shapes]
        return self._drawn
