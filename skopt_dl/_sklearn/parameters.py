"""Checks of constructor parameters, made in ``fit``; an error names the parameter and its value."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

import numpy as np


def _refuse(owner: Any, name: str, wanted: str) -> ValueError:
    return ValueError(
        f"{type(owner).__name__}: the parameter {name}={getattr(owner, name)!r} is not valid; it "
        f"must be {wanted}"
    )


def check_number(
    owner: Any,
    name: str,
    kind: type = Real,
    *,
    low: float,
    high: float = math.inf,
    open_low: bool = False,
    infinite: bool = False,
    optional: bool = False,
) -> None:
    """Raise unless parameter ``name`` of ``owner`` is a ``kind`` within its range.

    Parameters
    ----------
    owner : object
        The estimator.
    name : str
        Its parameter.
    kind : type
        ``numbers.Real`` or ``numbers.Integral``. Booleans are neither here.
    low, high : float
        Range, closed at both ends.
    open_low : bool
        Exclude ``low`` itself.
    infinite : bool
        Allow ``inf``.
    optional : bool
        Allow ``None``.

    Raises
    ------
    ValueError
        Naming the class, the parameter, its value and what would do.
    """
    value = getattr(owner, name)
    if optional and value is None:
        return
    fits = isinstance(value, kind) and not isinstance(value, bool)
    if fits:
        fits = low < value <= high if open_low else low <= value <= high
        fits = fits and (infinite or value != math.inf)
    if not fits:
        what = "an integer" if kind is Integral else "a number"
        bounds = f" {'>' if open_low else '>='} {low:g}" if low > -math.inf else ""
        if high < math.inf:
            bounds += f" and <= {high:g}"
        raise _refuse(owner, name, f"{what}{bounds}{' or None' if optional else ''}")


def check_flag(owner: Any, *names: str) -> None:
    """Raise unless each parameter is a boolean.

    Raises
    ------
    ValueError
        Naming the class, the parameter and its value.
    """
    for name in names:
        if not isinstance(getattr(owner, name), (bool, np.bool_)):
            raise _refuse(owner, name, "True or False")


def check_choice(owner: Any, name: str, choices: tuple[Any, ...]) -> None:
    """Raise unless the parameter is one of ``choices``.

    Raises
    ------
    ValueError
        Naming the class, the parameter, its value and the choices.
    """
    value = getattr(owner, name)
    if not any(value is c or (isinstance(c, str) and value == c) for c in choices):
        raise _refuse(owner, name, f"one of {', '.join(map(repr, choices))}")


def check_running(owner: Any) -> None:
    """Raise unless ``n_jobs`` and ``verbose``, of an owner that has them, are as scikit-learn's.

    Raises
    ------
    ValueError
        Naming the class, the parameter and its value.
    """
    if hasattr(owner, "n_jobs"):
        check_number(owner, "n_jobs", Integral, low=-math.inf, optional=True)
    if not isinstance(getattr(owner, "verbose", False), (bool, np.bool_)):
        check_number(owner, "verbose", Integral, low=0)


def check_gram(owner: Any, name: str, *names: str) -> None:
    """Raise unless the parameter is a boolean, an array or one of ``names``.

    Raises
    ------
    ValueError
        Naming the class, the parameter and its value.
    """
    value = getattr(owner, name)
    if isinstance(value, str) and value in names:
        return
    if not (isinstance(value, (bool, np.bool_, list, tuple)) or hasattr(value, "shape")):
        raise _refuse(owner, name, ", ".join((*map(repr, names), "True, False or a Gram matrix")))
