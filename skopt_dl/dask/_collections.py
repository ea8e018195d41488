"""Dask collections as aligned blocks of rows, and where they are computed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skopt_dl._sklearn.arrays import is_foreign, on_host, put_beside
from skopt_dl.dask._install import dask, dask_array
from skopt_dl.kernels.namespace import namespace_of

# Partial results that are added in one task.
FAN_IN = 8


@dataclass(frozen=True)
class Rows:
    """Blocks of rows whose tasks yield ``(X, y, weights)`` of the same samples.

    Attributes
    ----------
    blocks : list of Delayed
        Each yields a checked float64 or float32 array or CSR matrix, its targets, and its weights
        or ``None``, all of them in one place.
    n_features : int
        Columns of X.
    names : array of str, optional
        The columns' names where X has some.
    lengths : tuple of int, optional
        Rows of each block where they are known without a pass.
    dtype : numpy.dtype
        float32 or float64.
    n_outputs : int
        Targets of a row.
    """

    blocks: list[Any]
    n_features: int
    names: Any
    lengths: tuple[int, ...] | None
    dtype: Any
    n_outputs: int = 1


@dataclass(frozen=True)
class Parts:
    """Blocks of rows of one matrix; see `Rows` for what the attributes are."""

    parts: list[Any]
    n_features: int
    names: Any
    lengths: tuple[int, ...] | None
    dtype: Any


def is_dask(x: Any) -> bool:
    """Whether ``x`` is a Dask array, dataframe or series."""
    return hasattr(x, "__dask_graph__") and hasattr(x, "to_delayed")


def is_frame(x: Any) -> bool:
    """Whether ``x`` is a Dask dataframe or series."""
    return is_dask(x) and hasattr(x, "npartitions") and hasattr(x, "divisions")


def parts_of(owner: Any, X: Any) -> Parts:
    """The blocks of a validated matrix; nothing is computed.

    Raises
    ------
    TypeError
        For data that are not Dask collections: the plain estimator takes those.
    ValueError
        For other shapes, and for columns that hold no numbers.
    """
    name = type(owner).__name__
    if not is_dask(X):
        raise TypeError(
            f"skopt_dl.dask.{name} takes Dask arrays and dataframes, but X is a "
            f"{type(X).__module__}.{type(X).__name__}: use skopt_dl.{name} for data in memory, or "
            "dask.array.from_array"
        )
    if len(X.shape) != 2:
        raise ValueError(
            f"skopt_dl.dask.{name}: X has {len(X.shape)} dimension(s), but it must have 2; give "
            "X.reshape(-1, 1) for a single feature"
        )
    names = None
    if is_frame(X):
        columns = list(X.columns)
        if columns and all(isinstance(c, str) for c in columns):
            names = np.asarray(columns, dtype=object)
        wrong = [c for c, t in zip(columns, X.dtypes, strict=True) if not _is_numeric(t)]
        if wrong:
            raise ValueError(
                f"skopt_dl.dask.{name}: the columns {wrong} hold no numbers; encode them first, "
                "with dask.dataframe's categorize and get_dummies for example"
            )
        dtype = np.result_type(*[np.dtype(str(t)) for t in X.dtypes])
        parts, lengths = X.to_delayed(), None
    else:
        X = X.rechunk({1: -1}) if len(X.chunks[1]) > 1 else X
        dtype = X.dtype
        parts, lengths = list(X.to_delayed()[:, 0]), _known(X.chunks[0])
    p = int(X.shape[1])
    if p == 0:
        raise ValueError(f"skopt_dl.dask.{name}: X has 0 features, but at least 1 is required")
    dtype = np.dtype(np.float32 if dtype == np.float32 else np.float64)
    return Parts(list(parts), p, names, lengths, dtype)


def rows_of(
    owner: Any,
    X: Any,
    y: Any,
    sample_weight: Any,
    *,
    labels: bool = False,
    outputs: bool = False,
) -> Rows:
    """The blocks of validated collections; nothing is computed.

    ``labels`` says whether y has labels, ``outputs`` whether a row may have several targets.

    Raises
    ------
    TypeError
        For data that are not Dask collections: the plain estimator takes those.
    ValueError
        For shapes that do not belong together.
    """
    name = type(owner).__name__
    found = parts_of(owner, X)
    parts, lengths, dtype = found.parts, found.lengths, found.dtype
    targets = _beside(name, "y", y, len(parts), lengths, outputs=outputs)
    weights: Sequence[Any] = [None] * len(parts)
    if sample_weight is not None:
        weights = _beside(name, "sample_weight", sample_weight, len(parts), lengths)
    checked = dask().delayed(_checked, pure=True)
    blocks = [
        checked(name, i, dtype.str, labels, *part)
        for i, part in enumerate(zip(parts, targets, weights, strict=True))
    ]
    shape = y.shape if hasattr(y, "shape") else np.shape(y)
    n_outputs = int(shape[1]) if len(shape) == 2 else 1
    return Rows(blocks, found.n_features, found.names, lengths, dtype, n_outputs)


def values_beside(owner: Any, found: Parts, y: Any) -> Sequence[Any]:
    """The blocks of the values that belong to the pairs ``found``.

    Raises
    ------
    ValueError
        If these are no pairs, or the shapes do not belong together.
    """
    name = type(owner).__name__
    if found.n_features != 2:
        raise ValueError(
            f"skopt_dl.dask.{name}: with y X must hold pairs (row, column), an array of shape "
            f"(n_entries, 2), but it has {found.n_features} columns; leave y out for a matrix"
        )
    return _beside(name, "y", y, len(found.parts), found.lengths)


def _is_numeric(dtype: Any) -> bool:
    return np.dtype(str(dtype)).kind in "fiub" if _is_numpy(dtype) else False


def _is_numpy(dtype: Any) -> bool:
    try:
        np.dtype(str(dtype))
    except TypeError:
        return False
    return True


def _known(chunks: tuple[Any, ...]) -> tuple[int, ...] | None:
    return None if any(np.isnan(c) for c in chunks) else tuple(int(c) for c in chunks)


def _beside(
    name: str,
    what: str,
    a: Any,
    n_blocks: int,
    lengths: tuple[int, ...] | None,
    *,
    outputs: bool = False,
) -> Sequence[Any]:
    """The blocks of ``a`` that belong to those of X."""
    if a is None:
        raise ValueError(f"skopt_dl.dask.{name} requires {what} to be passed, but it is None")
    if not is_dask(a):
        if lengths is None:
            raise TypeError(
                f"skopt_dl.dask.{name}: {what} is a {type(a).__name__}, but the lengths of X's "
                "blocks are not known: give a Dask collection with the same partitions, or X with "
                "known chunks (X.to_dask_array(lengths=True))"
            )
        a = dask_array().from_array(np.asarray(a), chunks=-1)
    if len(a.shape) == 2 and a.shape[1] == 1:
        a = a.iloc[:, 0] if is_frame(a) else a[:, 0]
    if len(a.shape) != 1 and not (outputs and len(a.shape) == 2):
        raise ValueError(
            f"skopt_dl.dask.{name}: {what} has {len(a.shape)} dimensions, but it must have 1; fit "
            "one estimator per target"
        )
    if not is_frame(a) and lengths is not None and _known(a.chunks[0]) is not None:
        if sum(_known(a.chunks[0]) or ()) != sum(lengths):
            raise ValueError(
                f"skopt_dl.dask.{name}: X has {sum(lengths)} rows but {what} has {a.shape[0]}"
            )
        a = a.rechunk((lengths, *[-1] * (len(a.shape) - 1)))
    parts = list(np.ravel(a.to_delayed()))
    if len(parts) != n_blocks:
        raise ValueError(
            f"skopt_dl.dask.{name}: X has {n_blocks} blocks of rows but {what} has {len(parts)}, "
            "and their lengths are not known: give both the same partitions"
        )
    return parts


def converted(X: Any, dtype: str) -> tuple[Any, Any]:
    """A block as an array or a CSR matrix of a floating type, where it lives; its numbers."""
    if hasattr(X, "tocsr"):
        X = X.tocsr().astype(dtype, copy=False)
        return X, X.data
    if is_foreign(X):
        xp = namespace_of(X)
        X = xp.astype(X, getattr(xp, np.dtype(dtype).name), copy=False)
    else:
        X = np.ascontiguousarray(np.asarray(X), dtype=dtype)
    return X, X


def _checked(
    name: str, i: int, dtype: str, labels: bool, X: Any, y: Any, w: Any
) -> tuple[Any, ...]:
    """One block, converted and checked where it lives."""
    X, stored = converted(X, dtype)
    xp = namespace_of(stored)
    y = np.asarray(on_host(y)) if labels else _floats(y, stored)
    w = None if w is None else _floats(w, stored)
    for what, a in (("y", y), ("sample_weight", w)):
        if a is not None and a.shape[0] != X.shape[0]:
            raise ValueError(
                f"skopt_dl.dask.{name}: block {i} has {X.shape[0]} rows of X but {a.shape[0]} of "
                f"{what}"
            )
    for what, a in (("X", stored), ("y", y), ("sample_weight", w)):
        real = a is not None and "float" in str(a.dtype)
        if real and not bool(namespace_of(a).all(namespace_of(a).isfinite(a))):
            raise ValueError(
                f"skopt_dl.dask.{name}: {what} contains NaN or infinity in block {i}; impute or "
                "drop those rows first"
            )
    if w is not None and bool(xp.any(w < 0)):
        raise ValueError(
            f"skopt_dl.dask.{name}: sample_weight has negative values in block {i}; weights must "
            "be at least 0"
        )
    return X, y, w


def _floats(a: Any, stored: Any) -> Any:
    """``a`` in float64, where the entries of X are."""
    a = put_beside(stored, a if is_foreign(a) else np.asarray(a, dtype=np.float64))
    xp = namespace_of(a)
    return xp.astype(a, xp.float64, copy=False)


# --- computing ----------------------------------------------------------------------------------


class Cluster:
    """Where tasks run: a client's workers, or the scheduler that Dask is set to.

    Parameters
    ----------
    client : distributed.Client, optional
        Default: the current client if there is one, else Dask's scheduler.
    verbose : bool
        Whether to show a progress bar.
    """

    def __init__(self, client: Any = None, verbose: bool = False) -> None:
        if client is not None and not (hasattr(client, "compute") and hasattr(client, "persist")):
            raise TypeError(
                f"the parameter client={client!r} is not valid; it must be a "
                "distributed.Client or None (the current one)"
            )
        self.client, self.verbose = client, verbose

    def compute(self, *values: Any) -> tuple[Any, ...]:
        """The results of delayed values."""
        if self.client is None:
            with self._bar():
                return dask().compute(*values)  # type: ignore[no-any-return]
        futures = self.client.compute(list(values), optimize_graph=True)
        if self.verbose:
            from distributed import progress

            progress(futures, notebook=False)
        return tuple(self.client.gather(futures))

    def persist(self, values: list[Any]) -> list[Any]:
        """The same delayed values, computed and kept where they were."""
        if self.client is None:
            return list(dask().persist(*values))
        return list(self.client.persist(values))

    @contextlib.contextmanager
    def _bar(self) -> Iterator[None]:
        if not self.verbose:
            yield
            return
        from dask.diagnostics import ProgressBar

        with ProgressBar():
            yield


def counted(cluster: Cluster, rows: Rows, *values: Any) -> tuple[Rows, tuple[Any, ...]]:
    """The rows with the lengths of their blocks, and the results of delayed ``values``.

    Lengths that are not known come along with the values, so that no block is read for them alone;
    without values that takes a pass.
    """
    if rows.lengths is not None:
        return rows, cluster.compute(*values)
    length, n = dask().delayed(_length, pure=True), len(values)
    found = cluster.compute(*values, *map(length, rows.blocks))
    return replace(rows, lengths=found[n:]), found[:n]


def _length(block: tuple[Any, Any, Any]) -> int:
    return int(block[1].shape[0])


def summed(parts: list[Any], add: Callable[[list[Any]], Any]) -> Any:
    """One delayed value: ``add`` over the parts by a tree, so that few are held at once."""
    add_some = dask().delayed(add, pure=True)
    while len(parts) > 1:
        parts = [add_some(parts[i : i + FAN_IN]) for i in range(0, len(parts), FAN_IN)]
    return parts[0]


class BlockTotal:
    """Sums of a function over blocks by tasks: what a `BlockSum` asks for."""

    def __init__(self, cluster: Cluster, blocks: list[Any]) -> None:
        self.cluster, self.blocks = cluster, blocks

    def __call__(self, function: Callable[..., Any], *args: Any) -> Any:
        call = dask().delayed(function, pure=True)
        (total,) = self.cluster.compute(summed([call(b, *args) for b in self.blocks], add_arrays))
        return total

    @property
    def n_parts(self) -> int:
        """How many blocks there are."""
        return len(self.blocks)

    def step(self, function: Callable[..., Any], states: list[Any], *args: Any) -> tuple[Any, Any]:
        """New states, which stay with their workers, and the sum of what they contribute."""
        call = dask().delayed(function, pure=True, nout=2)
        pairs = [call(b, s, *args) for b, s in zip(self.blocks, states, strict=True)]
        pairs = self.cluster.persist(pairs)
        first, second = ([pair[k] for pair in pairs] for k in (0, 1))
        (total,) = self.cluster.compute(summed(second, add_arrays))
        return first, total


def add_arrays(parts: list[Any]) -> Any:
    """The sum of arrays of one shape; the parts are left as they are."""
    total = parts[0].copy()
    for part in parts[1:]:
        total += part
    return total
