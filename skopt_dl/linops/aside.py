"""Calls of LAPACK and of NumPy that take seconds, beside a main thread that listens.

Python sees an interrupt after a call alone. The main thread therefore waits for a long call instead
of making it, and hears an interrupt at once; what was begun ends in the background, and its answer
is thrown away.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

import numpy as np

from skopt_dl.kernels.namespace import is_numpy, namespace_of

# Numbers times the smaller side from which a decomposition takes a quarter of a second.
LONG = 2**27
# Numbers that are sorted in a quarter of a second.
MANY = 2**22
# Seconds between two looks, where waiting itself cannot be interrupted.
LOOK = 0.1


def aside(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """``call(*args, **kwargs)`` in a thread of its own, for a call that gives up the GIL.

    Interrupts reach the main thread alone: in any other the call is made as it is.
    """
    if threading.current_thread() is not threading.main_thread():
        return call(*args, **kwargs)
    answers: list[Any] = []
    errors: list[BaseException] = []
    done, context = threading.Event(), copy_context()

    def work() -> None:
        try:
            answers.append(context.run(call, *args, **kwargs))
        except BaseException as error:  # noqa: BLE001 (raised by the thread that waits)
            errors.append(error)
        finally:
            done.set()

    # A daemon: the process does not wait for what was interrupted.
    threading.Thread(target=work, daemon=True).start()
    while not done.wait(LOOK):
        pass
    if errors:
        raise errors[0]
    return answers[0]


def eigh(A: Any) -> Any:
    """Eigenvalues in ascending order and eigenvectors of a symmetric matrix."""
    return decomposed(namespace_of(A).linalg.eigh, A)


def thin_svd(A: Any) -> Any:
    """Singular value decomposition, with as many vectors as values."""
    return decomposed(namespace_of(A).linalg.svd, A, full_matrices=False)


def thin_qr(A: Any) -> Any:
    """Orthonormal columns, as many as A has or as its rows if these are fewer, and a triangle."""
    return decomposed(namespace_of(A).linalg.qr, A)


def argsort(keys: Any) -> Any:
    """The order of ``keys``; on the host equal ones stay in theirs."""
    xp = namespace_of(keys)
    return _sorted(xp.argsort, keys, stable=True) if is_numpy(xp) else xp.argsort(keys)


def distinct(ids: Any) -> tuple[Any, Any]:
    """The distinct ``ids`` of the host in ascending order, and the place of each among them."""
    values, places = _sorted(np.unique, ids, return_inverse=True)
    return values, places


def _sorted(call: Callable[..., Any], keys: Any, **options: Any) -> Any:
    return aside(call, keys, **options) if keys.shape[0] > MANY else call(keys, **options)


def decomposed(call: Callable[..., Any], A: Any, *args: Any, **options: Any) -> Any:
    """``call(A, ...)`` of a matrix, aside where numbers times the smaller side are many."""
    if is_numpy(namespace_of(A)) and A.size * min(A.shape) > LONG:
        return aside(call, A, *args, **options)
    return call(A, *args, **options)
