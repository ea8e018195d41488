"""Updates of the stochastic rules on CuPy, one kernel each: the twins of ``generic_updates``.

An array that is not contiguous or has another dtype, and a rate that lives on the device, are
served by the array form: a kernel would need a copy, or the host a read.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import signature
from itertools import chain
from typing import Any

import numpy as np

from skopt_dl.kernels import generic_network, generic_updates
from skopt_dl.kernels.cupy.source import kernel

SOURCE = "updates"
THREADS = 256
# Blocks of a launch at most: threads go on to further entries.
BLOCKS = 1024
# Which scalars are decays b, of which a kernel takes b and 1 - b; yogi's beta_2 and adamax's are
# used one way only.
DECAYS = ("beta_1", "beta_2", "beta_3", "decay")
ONE_OF_TWO = {("yogi_update", "beta_2"): 1, ("adamax_update", "beta_2"): 0}


def _scalars(update: str, name: str, value: Any, real: Any) -> list[Any]:
    if isinstance(value, bool):
        return [np.int32(value)]
    if name not in DECAYS:
        return [real(value)]
    both = [real(value), real(1 - value)]
    used = ONE_OF_TWO.get((update, name))
    return both if used is None else [both[used]]


def _served(w: Any, values: dict[str, Any], arrays: frozenset[str]) -> bool:
    """Whether a kernel reads these arrays as they are and gets its numbers from the host."""
    for name, value in values.items():
        if name in arrays:
            if value is not None and not (
                getattr(value, "dtype", None) == w.dtype
                and value.shape == w.shape
                and value.flags.c_contiguous
            ):
                return False
        elif not isinstance(value, (bool, int, float)):
            return False
    return True


def _update(
    name: str,
    generic: Callable[..., None],
    arrays: frozenset[str],
    parameters: tuple[str, ...],
    *args: Any,
    **kwargs: Any,
) -> None:
    values = {**dict(zip(parameters, args, strict=False)), **kwargs}
    first = values[parameters[0]]
    if not _served(first, values, arrays):
        generic(**values)
        return
    if not first.size:
        return
    given: list[Any] = [
        # A null pointer where there is no array.
        [np.uintp(0) if values[p] is None else values[p]]
        if p in arrays
        else _scalars(name, p, values[p], first.dtype.type)
        for p in parameters
    ]
    blocks = min(BLOCKS, -(-first.size // THREADS))
    passed = (np.int64(first.size), *chain.from_iterable(given))
    kernel(SOURCE, name, first)((blocks,), (THREADS,), passed)


def _twin(module: Any, name: str, *arrays: str) -> Callable[..., None]:
    generic = getattr(module, name)
    twin = partial(_update, name, generic, frozenset(arrays), tuple(signature(generic).parameters))
    twin.__doc__ = f"See `{module.__name__}.{name}`."
    return twin


adam_update = _twin(generic_network, "adam_update", "w", "g", "m", "v")
momentum_update = _twin(generic_network, "momentum_update", "w", "g", "v")
mean_update = _twin(generic_updates, "mean_update", "mean", "new")
moments_update = _twin(generic_updates, "moments_update", "g", "m", "v")
adagrad_update = _twin(generic_updates, "adagrad_update", "w", "g", "r")
rmsprop_update = _twin(generic_updates, "rmsprop_update", "w", "g", "r", "m")
rmsprop_nesterov_update = _twin(generic_updates, "rmsprop_nesterov_update", "w", "g", "r", "v")
adadelta_update = _twin(generic_updates, "adadelta_update", "w", "g", "r", "s")
amsgrad_update = _twin(generic_updates, "amsgrad_update", "w", "g", "m", "v", "top")
nadam_update = _twin(generic_updates, "nadam_update", "w", "g", "m", "v")
adabelief_update = _twin(generic_updates, "adabelief_update", "w", "g", "m", "v")
yogi_update = _twin(generic_updates, "yogi_update", "w", "g", "m", "v")
adamax_update = _twin(generic_updates, "adamax_update", "w", "g", "m", "u")
adan_update = _twin(generic_updates, "adan_update", "w", "g", "last", "m", "d", "n")
ademamix_update = _twin(generic_updates, "ademamix_update", "w", "g", "m", "v", "slow")
lion_update = _twin(generic_updates, "lion_update", "w", "g", "m")
