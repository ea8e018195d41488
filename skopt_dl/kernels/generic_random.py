"""Draws of training: which units are kept, and in which order samples come. The host draws here.

A device may draw for itself, from a key that the host draws: one number of the host's stream then
stands for all numbers of the device's, and a fit that goes on after a pickle goes on alike.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skopt_dl.kernels.namespace import device_of, namespace_of


def keep_mask(rng: Any, shape: tuple[int, int], share: float, like: Any) -> Any:
    """Zeros with probability ``share`` and else ``1 / (1 - share)``, beside ``like``."""
    xp, scale = namespace_of(like), 1 / (1 - share)
    kept = rng.random_sample(shape) >= share
    return xp.asarray(scale * kept, dtype=like.dtype, device=device_of(like))


def permuted(order: Any, rng: Any) -> Any:
    """``order`` (an array of int on the host) in a random order.

    A generator that stands for several draws a column for each of them; ``order`` then has, or
    gets, as many.
    """
    turned = rng.permutation(order.shape[0])
    return order[turned] if order.ndim == 1 else np.take_along_axis(order, turned, axis=0)


def drawn_with_replacement(n: int, rng: Any) -> Any:
    """``n`` independent indices below ``n``."""
    return rng.choice(n, size=n)
