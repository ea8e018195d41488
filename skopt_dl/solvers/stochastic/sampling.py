"""Which samples a stochastic step sees: batches of a permutation, or of independent draws."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral
from typing import Any

from skopt_dl.kernels.generic_random import permuted
from skopt_dl.kernels.namespace import to_numpy
from skopt_dl.search.batch_sizes import BatchSize
from skopt_dl.search.orders import Order

AUTO_BATCH = 200


def batch_size(setting: Any, n_samples: int) -> int:
    """The number of samples in a batch; ``"auto"`` is at most 200, and none exceeds the data.

    Of a size that grows it is the first one.

    Raises
    ------
    ValueError
        If ``setting`` is neither ``"auto"`` nor a positive integer.
    """
    if isinstance(setting, BatchSize):
        setting = setting.start
    if isinstance(setting, str) and setting == "auto":
        setting = AUTO_BATCH
    elif not isinstance(setting, Integral) or isinstance(setting, bool) or setting < 1:
        raise ValueError(f"batch_size={setting!r}: expected 'auto', an integer >= 1 or a BatchSize")
    return max(1, min(int(setting), n_samples))


def reshuffled(order: Any, rng: Any) -> Any:
    """``order`` (on the host) permuted once more.

    Permutations are composed, not drawn from the identity: this is what scikit-learn's networks
    do, so the same seed visits the same batches.
    """
    return permuted(order, rng)


def check_shuffle(setting: Any) -> None:
    """Raise unless ``setting`` names an order of the samples.

    Raises
    ------
    ValueError
        With the known ones.
    """
    if not isinstance(setting, Order) and setting not in (True, False, "once", "iid"):
        raise ValueError(f"shuffle={setting!r}: expected True, False, 'once', 'iid' or an Order")


def next_order(setting: Any, order: Any, n: int, rng: Any, kernels: Any) -> Any:
    """The order of the samples in the next epoch, after ``order`` in the last one.

    It is on the host, or where the kernels draw one of many samples.

    Parameters
    ----------
    setting : bool, {"once", "iid"} or Order
        A fresh permutation each epoch (also of an `Order`, which then chooses from it); none; one
        at the start; independent draws with replacement.
    order : array of shape (n,) or None
        ``None`` before the first epoch.
    """
    if setting == "iid":
        return kernels.drawn_with_replacement(n, rng)
    fresh = order is None or order.shape[0] != n
    if fresh:
        order = kernels.index_range(n)
    anew = setting is True or (setting == "once" and fresh)
    if isinstance(setting, Order):
        # It chooses on the host.
        return reshuffled(order, rng)
    return kernels.permuted(order, rng) if anew else order


def chosen(setting: Any, problem: Any, state: Any) -> Any:
    """The samples of the next epoch, on the host: what an `Order` takes of ``state.order``."""
    if not isinstance(setting, Order):
        return state.order
    losses = to_numpy(problem.sample_losses(state.w)) if setting.needs_losses else None
    return setting.select(state.order, state.n_iter, state.rng, losses)


def next_size(setting: Any, problem: Any, state: Any, index: Any) -> int:
    """The size of the batches of the next epoch, which has the samples ``index``."""
    n = problem.n_samples
    first = batch_size(setting, n)
    if not isinstance(setting, BatchSize):
        return first

    def gradient(low: int, high: int) -> Any:
        return problem.sample_grad(state.w, index[low:high])[1]

    size = setting.next(state.batch_size or first, state.n_iter, index.shape[0], gradient)
    return max(1, min(int(size), n))


def batches(order: Any, size: int) -> Iterator[Any]:
    """Consecutive pieces of ``order``; the last one may be smaller."""
    n = order.shape[0]
    for low in range(0, n, size):
        yield order[low : min(low + size, n)]


def probe(problem: Any, size: int, count: int) -> list[Any]:
    """Up to ``count`` batches of evenly spaced samples, to look at the data before the start."""
    n = problem.n_samples
    stride = max(1, n // size)
    index = stride * problem.kernels.index_range(min(size, n // stride))
    return [on_device(problem, index + k) for k in range(min(count, stride))]


def on_device(problem: Any, order: Any) -> Any:
    """A permutation as an index array of the problem: from the host one transfer an epoch."""
    return problem.xp.asarray(order, device=problem.device)
