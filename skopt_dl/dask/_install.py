"""Dask, or what to install."""

from __future__ import annotations

from importlib import import_module
from typing import Any

INSTALL = "pip install skopt_dl[dask]"


def _load(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(f"skopt_dl.dask needs Dask, which is not installed: {INSTALL}") from error


def dask() -> Any:
    """The module ``dask``."""
    return _load("dask")


def dask_array() -> Any:
    """The module ``dask.array``."""
    return _load("dask.array")
