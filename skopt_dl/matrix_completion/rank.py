"""The parameter ``n_components``: what it may be, and the rank that it stands for."""

from __future__ import annotations

from numbers import Integral
from typing import Any

# What "auto" is where the matrix has room for it.
RANK = 10


def check_rank(estimator: Any) -> None:
    """Raise unless ``estimator.n_components`` is "auto" or an integer of at least 1."""
    if not _is_auto(estimator.n_components) and not is_rank(estimator.n_components):
        raise ValueError(
            f"{type(estimator).__name__}: the parameter n_components={estimator.n_components!r} is "
            "not valid; it must be 'auto' or an integer of at least 1"
        )


def is_rank(value: Any) -> bool:
    """Whether ``value`` is an integer of at least 1."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1


def rank_for(name: str, n_components: Any, shape: tuple[int, int]) -> int:
    """The rank for a matrix of this shape: as asked for, or what fits. ``name`` is the asker's.

    Raises
    ------
    ValueError
        If a number is above the smaller side: no matrix of this shape has that rank.
    """
    largest = min(shape)
    if _is_auto(n_components):
        return min(RANK, largest)
    if n_components > largest:
        raise ValueError(
            f"{name}: n_components={n_components!r} is above the smaller side of the {shape[0]} x "
            f"{shape[1]} matrix, and no such matrix has a rank above {largest}. Use "
            f"n_components <= {largest}, or 'auto', which never is above it"
        )
    return int(n_components)


def _is_auto(value: Any) -> bool:
    return isinstance(value, str) and value == "auto"
