"""Arrays that are made once and used from batch to batch, and formulas that need little more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from skopt_dl.kernels.namespace import device_of, is_numpy, namespace_of

# Numbers that a formula is applied to at a time: what it makes on the way stays in the cache.
PIECE = 4096


class Memory:
    """Arrays by name; what was in one is overwritten by whoever asks for it again.

    It pickles and copies as an empty one: nothing in it has to last.
    """

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __reduce__(self) -> tuple[type[Memory], tuple[()]]:
        return Memory, ()

    def array(self, name: str, shape: tuple[int, ...], like: Any) -> Any:
        """An array of this shape, of the namespace, dtype and device of ``like``.

        It is made anew only where there are fewer rows than asked for.
        """
        made = self._made.get(name)
        if (
            made is None
            or made.shape[0] < shape[0]
            or made.shape[1:] != shape[1:]
            or made.dtype != like.dtype
        ):
            xp = namespace_of(like)
            made = xp.empty(shape, dtype=like.dtype, device=device_of(like))
            self._made[name] = made
        return made if made.shape[0] == shape[0] else made[: shape[0], ...]

    def copied(self, name: str, a: Any) -> Any:
        """A copy of ``a``."""
        out = self.array(name, a.shape, a)
        out[...] = a
        return out

    def taken(self, name: str, a: Any, index: Any) -> Any:
        """The rows ``index`` of ``a``; of a sparse matrix a new one."""
        if hasattr(a, "tocsc"):
            return a[index]
        xp = namespace_of(a)
        if not is_numpy(xp):
            return xp.take(a, index, axis=0)
        out = self.array(name, (index.shape[0], *a.shape[1:]), a)
        # With bounds checked first NumPy would take the rows into memory of its own.
        if index.shape[0] and not (index.min() >= 0 and index.max() < a.shape[0]):
            raise IndexError(f"indices of {a.shape[0]} rows from {index.min()} to {index.max()}")
        return a.take(index, axis=0, out=out, mode="clip")


def in_pieces(formula: Callable[..., Any], out: Any, *arrays: Any) -> Any:
    """``out[...] = formula(*arrays)`` of arrays of as many rows, where rows do not depend on each
    other; ``out``, which may be one of them, is returned.

    On the host some rows are computed at a time, in memory that stays small.
    """
    if not is_numpy(namespace_of(out)):
        out[...] = formula(*arrays)
        return out
    n, each = out.shape[0], 1
    for length in out.shape[1:]:
        each *= length
    rows = max(1, PIECE // max(1, each))
    for low in range(0, n, rows):
        part = slice(low, low + rows)
        out[part] = formula(*(a[part] for a in arrays))
    return out
