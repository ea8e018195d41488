"""Batches of rows as users hand them over: tuples."""

from __future__ import annotations

from typing import Any


def split_batch(model: Any, batch: Any) -> tuple[Any, Any, Any]:
    """``X``, ``y`` and the weights, which may be ``None``, of a batch that is not yet validated.

    Raises
    ------
    ValueError
        If it is no tuple of two or three.
    """
    if not isinstance(batch, tuple) or len(batch) not in (2, 3):
        raise ValueError(
            f"{type(model).__name__}: a batch is a tuple (X, y) or (X, y, sample_weight), but here "
            f"is a {type(batch).__name__}"
        )
    return batch if len(batch) == 3 else (*batch, None)  # type: ignore[return-value]
