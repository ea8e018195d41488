"""Checks of the parameters of `MatrixCompletion`, made in ``fit``."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

from skopt_dl._sklearn.parameters import check_choice, check_flag, check_number, check_running
from skopt_dl._sklearn.validation import check_X
from skopt_dl.matrix_completion.rank import check_rank


def check_parameters(estimator: Any) -> None:
    """Raise unless each parameter is valid and they go together.

    Raises
    ------
    ValueError
        Naming the parameter, its value and what would do.
    """
    check_rank(estimator)
    _check_number_or_auto(estimator, "alpha")
    _check_number_or_auto(estimator, "delta", open_low=True)
    if estimator.dtype is not None:
        check_choice(estimator, "dtype", ("float32", "float64"))
    check_clip(estimator)
    check_choice(estimator, "loss", ("squared", "huber", "absolute"))
    check_choice(estimator, "penalty", ("ridge", "nuclear", "nuclear_ball"))
    check_number(estimator, "radius", low=0, open_low=True, optional=True)
    check_choice(estimator, "fit_bias", (False, "rows", "cols", "both"))
    check_choice(estimator, "noise", ("auto", "common", "rows"))
    check_choice(estimator, "input", ("auto", "matrix", "pairs"))
    check_number(estimator, "max_iter", Integral, low=1, optional=True)
    check_number(estimator, "max_time", low=0, open_low=True, optional=True)
    check_number(estimator, "tol", low=0)
    check_number(estimator, "n_init", Integral, low=1)
    flags = ("scale", "positive", "add_indicator", "keep_empty_features", "warm_start")
    check_flag(estimator, *flags)
    check_running(estimator)
    missing = estimator.missing_values
    if not isinstance(missing, Real) or isinstance(missing, bool) or math.isinf(missing):
        raise ValueError(
            f"MatrixCompletion: the parameter missing_values={missing!r} is not valid; it must "
            "be nan or a finite number. None and pd.NA count as nan; other marks than numbers have "
            "to be replaced by nan before"
        )
    _check_together(estimator)


def _check_number_or_auto(estimator: Any, name: str, open_low: bool = False) -> None:
    value = getattr(estimator, name)
    if not isinstance(value, str):
        check_number(estimator, name, low=0, open_low=open_low)
    elif value != "auto":
        least = "a positive number" if open_low else "a number of at least 0"
        raise ValueError(
            f"MatrixCompletion: the parameter {name}={value!r} is not valid; it must be 'auto' or "
            f"{least}"
        )


def _check_together(estimator: Any) -> None:
    nuclear = estimator.penalty != "ridge"
    gaussian = not (nuclear or estimator.positive) and estimator.loss == "squared"
    if estimator.noise == "rows" and not (gaussian and isinstance(estimator.alpha, str)):
        raise ValueError(
            "MatrixCompletion: noise='rows' is part of a posterior, which alpha='auto' has with "
            "the squared loss, penalty='ridge' and positive=False; use these, or noise='auto'"
        )
    if estimator.penalty == "nuclear_ball" and estimator.radius is None:
        raise ValueError(
            "MatrixCompletion: penalty='nuclear_ball' needs a radius, but radius=None; give the "
            "bound of the nuclear norm over sqrt(n_rows * n_columns)"
        )
    if estimator.penalty == "nuclear_ball" and not isinstance(estimator.alpha, str):
        raise ValueError(
            "MatrixCompletion: penalty='nuclear_ball' finds the strength from the radius, but "
            f"alpha={estimator.alpha!r}; use alpha='auto', or penalty='nuclear' for a strength"
        )
    if estimator.positive and (estimator.fit_bias or nuclear):
        raise ValueError(
            "MatrixCompletion: positive=True has neither biases nor a nuclear norm, but "
            f"fit_bias={estimator.fit_bias!r} and penalty={estimator.penalty!r}"
        )
    if nuclear and estimator.fit_bias:
        raise ValueError(
            f"MatrixCompletion: penalty={estimator.penalty!r} has no biases, but fit_bias="
            f"{estimator.fit_bias!r}; use fit_bias=False, or centre the columns of X before"
        )
    if nuclear and estimator.loss != "squared":
        raise ValueError(
            f"MatrixCompletion: penalty={estimator.penalty!r} has the squared loss alone, but "
            f"loss={estimator.loss!r}; use penalty='ridge', or loss='squared'"
        )


def check_rows(estimator: Any, X: Any, *, method: str, reset: bool = False) -> Any:
    """Validated rows of a matrix, where only what ``missing_values`` marks may be missing.

    Raises
    ------
    ValueError
        For NaN beside another mark, with both ways out.
    """
    mark = estimator.missing_values
    nan = math.isnan(mark)
    try:
        return check_X(
            estimator, X, reset=reset, method=method, accept_sparse=("csr",), allow_nan=nan
        )
    except ValueError as error:
        if nan or "contains NaN" not in str(error):
            raise
        raise ValueError(
            f"Input X contains NaN, but {type(estimator).__name__}(missing_values={mark!r}) takes "
            f"nothing else than {mark!r} for missing; put {mark!r} in the place of NaN, or NaN in "
            f"the place of {mark!r} and missing_values=nan"
        ) from error


def check_clip(estimator: Any) -> None:
    """Raise unless ``estimator.clip`` is None, "data" or a pair of increasing numbers."""
    clip = estimator.clip
    fits = clip is None or (isinstance(clip, str) and clip == "data")
    if not fits and isinstance(clip, (tuple, list)) and len(clip) == 2:
        numbers = all(isinstance(c, Real) and not isinstance(c, bool) for c in clip)
        fits = numbers and clip[0] <= clip[1]
    if not fits:
        raise ValueError(
            f"{type(estimator).__name__}: the parameter clip={clip!r} is not valid; it must be "
            "None, 'data' or a pair (low, high) with low <= high"
        )
