"""The two terms of an objective, from what a user wrote in ``loss=`` and ``penalty=``."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from skopt_dl._sklearn.arrays import host_dtype, put_beside
from skopt_dl._sklearn.parameters import check_number
from skopt_dl.dispatch import LOSSES, PENALTIES
from skopt_dl.losses import Loss
from skopt_dl.penalties import Penalty


def loss_of(owner: Any) -> Loss:
    """A loss of its own for a fit of ``owner``, whose parameter is a name or an instance."""
    return _part(owner, "loss", LOSSES)


def penalty_of(owner: Any, X: Any) -> Penalty:
    """A penalty of its own for a fit of ``owner`` on ``X``, its strengths times ``owner.alpha``.

    Settings that are floating arrays are brought to where X is.

    Raises
    ------
    ValueError
        If there are no strengths to multiply.
    """
    penalty = _part(owner, "penalty", PENALTIES)
    check_number(owner, "alpha", low=0)
    if owner.alpha != 1.0:
        if not penalty.strengths:
            own = ", ".join(f"penalty__{name}" for name in penalty.get_params(deep=False))
            raise ValueError(
                f"{type(owner).__name__}: alpha={owner.alpha!r} multiplies the strength of the "
                f"penalty, but {penalty.label} has none; leave alpha=1.0 and set "
                f"{own or 'the penalty itself'}"
            )
        penalty = penalty.scaled(owner.alpha)
    for name, setting in penalty.get_params(deep=False).items():
        if isinstance(setting, np.ndarray) and setting.dtype.kind == "f":
            setattr(penalty, name, put_beside(X, setting.astype(host_dtype(X), copy=False)))
    return penalty


def _part(owner: Any, name: str, registry: Any) -> Any:
    given = getattr(owner, name)
    if isinstance(given, str):
        return registry.get(given)()
    if not isinstance(given, registry.base):
        raise ValueError(
            f"{type(owner).__name__}: the parameter {name}={given!r} is not valid; it must be the "
            f"name of a {name} ({', '.join(map(repr, registry.names()))}) or a "
            f"{registry.base.__name__} instance"
        )
    return copy.copy(given)
