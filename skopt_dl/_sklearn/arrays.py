"""Data decide the device: where arrays live, how they move, and where results go.

- Host data (NumPy, pandas, polars, SciPy sparse, lists) are worked on by NumPy.
- Arrays of another namespace (CuPy, or any that has ``__array_namespace__``) are worked on where
  they live, without scikit-learn's array-API dispatch: ``y`` and weights follow ``X``, and the
  results stay there.
- ``device="cuda"`` copies host data to the GPU once per fit; the fitted attributes come back, so
  that pipelines, searches and scorers go on as before.

Labels (``classes_``) stay NumPy arrays everywhere: they may be strings.
"""

from __future__ import annotations

import copy
import dataclasses
import multiprocessing
import re
import warnings
from collections.abc import Iterable
from importlib import import_module
from typing import Any

import numpy as np

from skopt_dl.kernels.namespace import namespace_of, to_numpy

# Under this key a pickle keeps where the arrays lived.
_PLACE = "_skopt_dl_place"
INSTALL = "pip install skopt_dl[gpu-cuda12x] (or gpu-cuda13x)"


class PlaceUnavailableError(RuntimeError):
    """Arrays cannot be put where they were asked to be: no such library, driver or device."""


def is_gpu_sparse(x: Any) -> bool:
    """Whether ``x`` is a CuPy sparse matrix (found by name: CuPy need not be importable)."""
    return type(x).__module__.startswith("cupyx.scipy.sparse")


def is_cupy(x: Any) -> bool:
    """Whether ``x`` is a CuPy array or sparse matrix."""
    return type(x).__module__.split(".")[0] == "cupy" or is_gpu_sparse(x)


def is_foreign(x: Any) -> bool:
    """Whether ``x`` is an array of a namespace other than NumPy's."""
    if isinstance(x, (np.ndarray, np.generic)):
        return False
    return is_cupy(x) or hasattr(x, "__array_namespace__")


def refuse_foreign(name: str, X: Any, *, takes: str, instead: str) -> None:
    """Raise if ``X`` is not host data, for those that take nothing else.

    Raises
    ------
    TypeError
        Saying what ``name`` takes, and what to take instead.
    """
    if is_foreign(X):
        raise TypeError(
            f"{name} takes {takes}, but X is a {type(X).__module__}.{type(X).__name__}: pass a "
            f"copy on the host, X.get() of CuPy's, or take {instead}"
        )


@dataclasses.dataclass(frozen=True)
class Place:
    """Where an array lives: a namespace and a device, as plain strings (so it can be pickled)."""

    namespace: str = "numpy"
    device: str = "cpu"

    @classmethod
    def of(cls, x: Any) -> Place:
        """The place of ``x``; everything that is not a foreign array counts as host data."""
        if not is_foreign(x):
            return HOST
        if is_cupy(x):
            return cls("cupy", f"cuda:{(x.data if is_gpu_sparse(x) else x).device.id}")
        return cls(namespace_of(x).__name__, str(x.device))

    def __str__(self) -> str:
        return f"{self.namespace} on {self.device}"

    def check(self) -> None:
        """Raise unless arrays can be put here.

        Raises
        ------
        PlaceUnavailableError
            Saying what is missing and what to install.
        """
        if self.namespace == "cupy":
            _check_gpu(int(self.device.partition(":")[2]))
        elif self != HOST:
            self._namespace_and_device()

    def put(self, x: Any) -> Any:
        """``x`` here; the same object if it is here already."""
        if Place.of(x) == self:
            return x
        if is_gpu_sparse(x):
            host = x.get()
        else:
            # A number comes back as a number, not as an array of no dimensions.
            host = to_numpy(x)[()] if is_foreign(x) else x
        if self == HOST:
            return host
        self.check()
        if self.namespace == "cupy":
            return _to_gpu(host, int(self.device.partition(":")[2]))
        xp, device = self._namespace_and_device()
        return xp.asarray(np.asarray(host), device=device)

    def csr(self) -> Any:
        """The class of sparse matrices by rows of arrays here: SciPy's or CuPy's."""
        if self.namespace == "cupy":
            return import_module("cupyx.scipy.sparse").csr_matrix
        return import_module("scipy.sparse").csr_array

    def _namespace_and_device(self) -> tuple[Any, Any]:
        try:
            xp = import_module(self.namespace)
        except ImportError as error:
            raise PlaceUnavailableError(f"{self.namespace} is not installed") from error
        for device in xp.__array_namespace_info__().devices():
            if str(device) == self.device:
                return xp, device
        raise PlaceUnavailableError(f"{self.namespace} has no device {self.device!r} here")


HOST = Place()


def _check_gpu(index: int) -> None:
    try:
        import cupy
    except ImportError as error:
        raise PlaceUnavailableError(
            f"a CUDA device was asked for, but CuPy is not installed: {INSTALL}"
        ) from error
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise PlaceUnavailableError(
            f"a CUDA device was asked for, but CuPy finds no usable one ({error}). It needs an "
            f"NVIDIA GPU, its driver, and the CuPy of the driver's CUDA version: {INSTALL}"
        ) from error
    if index >= count:
        raise PlaceUnavailableError(f"there is no device 'cuda:{index}': {count} found")


def _to_gpu(host: Any, index: int) -> Any:
    import cupy
    import cupyx.scipy.sparse

    with cupy.cuda.Device(index):
        if hasattr(host, "tocsr"):
            host = host if host.format in ("csr", "csc") else host.tocsr()
            return getattr(cupyx.scipy.sparse, f"{host.format}_matrix")(host)
        return cupy.asarray(host)


def free_bytes(place: Place) -> int | None:
    """Bytes that can still be had at ``place``, those in CuPy's pool too; ``None``: not known."""
    if place.namespace != "cupy":
        return None
    import cupy

    with cupy.cuda.Device(int(place.device.partition(":")[2])) as device:
        pool = cupy.get_default_memory_pool()
        free = int(device.mem_info[0]) + int(pool.free_bytes())
        limit = int(pool.get_limit())
        return min(free, limit - int(pool.used_bytes())) if limit else free


# --- the rules of an estimator ------------------------------------------------------------------


def device_place(device: str) -> Place:
    """The place that ``device="cpu"``, ``"cuda"`` or ``"cuda:1"`` names.

    Raises
    ------
    ValueError
        For any other word.
    """
    if device == "cpu":
        return HOST
    if isinstance(device, str) and re.fullmatch(r"cuda(:\d+)?", device):
        return Place("cupy", device if ":" in device else "cuda:0")
    raise ValueError(
        f"the parameter device={device!r} is not valid; it must be None (the data decide), 'cpu', "
        "'cuda' or 'cuda:1'"
    )


def refuse_dask(estimator: Any, X: Any) -> None:
    """Raise a `TypeError` for a Dask collection, which NumPy would gather in one place."""
    if not hasattr(X, "__dask_graph__"):
        return
    # By its name: what stands above this layer is asked only for what to recommend.
    theirs, name = import_module("skopt_dl.dask").__all__, type(estimator).__name__
    there = f"use skopt_dl.dask.{name}" if name in theirs else f"skopt_dl.dask has {theirs}"
    raise TypeError(
        f"{name} works on data in memory, but X is a {type(X).__module__}.{type(X).__name__}: "
        f"{there}; or pass X.compute(), which gathers it here"
    )


def refuse_device_tensors(estimator: Any, X: Any) -> None:
    """Raise a `TypeError` for PyTorch's tensor on another device, which NumPy cannot read."""
    if type(X).__module__ == "torch" and X.device.type != "cpu":
        raise TypeError(
            f"{type(estimator).__name__} takes PyTorch's tensors on the host, but X is on "
            f"{X.device.type}: pass cupy.from_dlpack(X), which shares its memory, or X.cpu()"
        )


def shared(X: Any) -> Any:
    """``X``; a tensor of PyTorch on the host as the NumPy array that shares its memory and type.

    scikit-learn's checks do not know the types of tensors, and make float64 of them all.
    """
    return np.asarray(X) if type(X).__module__ == "torch" else X


def workplace(estimator: Any, X: Any) -> Place:
    """Where a fit of ``estimator`` on ``X`` computes.

    Raises
    ------
    TypeError
        For ``device="cpu"`` with GPU data, for Dask collections, and for PyTorch's tensors that
        are not on the host.
    PlaceUnavailableError
        For ``device="cuda"`` without CuPy, driver or GPU.
    """
    refuse_dask(estimator, X)
    refuse_device_tensors(estimator, X)
    here, device = Place.of(X), getattr(estimator, "device", None)
    if device is None:
        return here
    place = device_place(device)
    if place == HOST:
        if is_cupy(X):
            raise TypeError(
                f"{type(estimator).__name__} has device='cpu' but X is a CuPy array on "
                f"{here.device}: pass X.get(), or device=None to compute where X lives"
            )
        return here
    place.check()
    return place


def warn_in_worker(estimator: Any, place: Place) -> None:
    """Warn where one of joblib's processes works on a device that the others use too."""
    if place != HOST and multiprocessing.current_process().name.startswith("LokyProcess"):
        warnings.warn(
            f"{type(estimator).__name__} is fitted on {place} in one of several processes "
            "(n_jobs > 1): each holds its own copy of the data and its own context there. "
            "n_jobs=1 is usually faster, and joblib's threading backend shares the data",
            UserWarning,
            stacklevel=2,
        )


def put_beside(X: Any, a: Any) -> Any:
    """``a`` on the host or device where ``X`` lives."""
    return Place.of(X).put(a)


def on_host(a: Any) -> Any:
    """``a`` itself, or its copy on the host if it is an array of another namespace."""
    return to_numpy(a) if is_foreign(a) else a


def host_dtype(a: Any) -> type[np.floating]:
    """NumPy's name for the floating dtype of ``a`` (each namespace has its own dtype objects)."""
    return np.float32 if str(a.dtype).endswith("float32") else np.float64


def _arrays_in(value: Any) -> Iterable[Any]:
    if is_foreign(value):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _arrays_in(item)
    elif isinstance(value, (list, tuple)):
        # A list is of one kind: a loss curve is not searched for arrays.
        if value and not isinstance(value[0], (bool, int, float, str)):
            for item in value:
                yield from _arrays_in(item)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from _arrays_in(getattr(value, field.name))


def moved(value: Any, place: Place, *, host_arrays: bool = False) -> Any:
    """``value`` with every foreign array in it put at ``place``; containers are looked into.

    With ``host_arrays`` NumPy arrays of numbers move too.
    """
    if is_foreign(value):
        return place.put(value)
    numeric = isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "fiub"
    if host_arrays and numeric:
        return place.put(value)
    if isinstance(value, dict):
        return {key: moved(item, place, host_arrays=host_arrays) for key, item in value.items()}
    if isinstance(value, (list, tuple)) and any(_is_array(item) for item in value):
        return type(value)(moved(item, place, host_arrays=host_arrays) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changes = {
            f.name: moved(getattr(value, f.name), place, host_arrays=host_arrays)
            for f in dataclasses.fields(value)
            if f.init
        }
        return dataclasses.replace(value, **changes)
    return value


def _is_array(value: Any) -> bool:
    return is_foreign(value) or isinstance(value, np.ndarray)


def _state_names(estimator: Any, attributes: dict[str, Any]) -> list[str]:
    """What a fit has left: everything but the parameters, the labels and scikit-learn's names."""
    kept = {*estimator.get_params(deep=False), *estimator._host_attributes}
    return [name for name in attributes if name not in kept and not name.startswith("_skl")]


def foreign_attributes(estimator: Any) -> dict[str, Place]:
    """Fitted attributes that hold arrays of another namespace, with their place."""
    attributes, found = vars(estimator), {}
    for name in _state_names(estimator, attributes):
        array = next(iter(_arrays_in(attributes[name])), None)
        if array is not None:
            found[name] = Place.of(array)
    return found


def fitted_place(estimator: Any) -> Place:
    """Where the fitted attributes live."""
    return next(iter(foreign_attributes(estimator).values()), HOST)


def bring_home(estimator: Any, place: Place) -> None:
    """After a fit that worked elsewhere: move its arrays to ``place``, in place."""
    attributes = vars(estimator)
    for name in foreign_attributes(estimator):
        attributes[name] = moved(attributes[name], place)


def send(estimator: Any, place: Place) -> None:
    """Move every fitted array of ``estimator``, NumPy's too, to ``place``, in place."""
    attributes = vars(estimator)
    for name in _state_names(estimator, attributes):
        attributes[name] = moved(attributes[name], place, host_arrays=True)


def model_beside(X: Any, estimator: Any) -> Any:
    """``estimator``, which is fitted on the host, or a copy of it on the device of ``X``."""
    place = Place.of(X)
    if place != HOST:
        estimator = copy.copy(estimator)
        send(estimator, place)
    return estimator


def packed(estimator: Any, state: dict[str, Any]) -> dict[str, Any]:
    """``state`` for a pickle that loads anywhere: NumPy arrays and the place they came from."""
    places = foreign_attributes(estimator)
    if not places:
        return state
    place = next(iter(places.values()))
    hosted = {name: moved(state[name], HOST) for name in places}
    return {**state, **hosted, _PLACE: (place.namespace, place.device, list(places))}


def unpacked(state: dict[str, Any], owner: str) -> dict[str, Any]:
    """The inverse of `packed`. Where the place is not available, the arrays stay NumPy's, with one
    warning."""
    if _PLACE not in state:
        return state
    state = dict(state)
    namespace, device, names = state.pop(_PLACE)
    place = Place(namespace, device)
    try:
        place.check()
    except PlaceUnavailableError as error:
        warnings.warn(
            f"this {owner} was saved on {place}, which is not available ({error}); it is restored "
            "with NumPy arrays",
            UserWarning,
            stacklevel=3,
        )
        return state
    return {**state, **{name: moved(state[name], place, host_arrays=True) for name in names}}


def check_same_place(estimator: Any, X: Any, method: str) -> None:
    """Raise unless ``X`` lives where the fitted attributes do.

    Raises
    ------
    ValueError
        In scikit-learn's words, with the way out.
    """
    refuse_dask(estimator, X)
    here, fitted = Place.of(X), fitted_place(estimator)
    if here != fitted:
        name = type(estimator).__name__
        target = "cuda" if here.namespace == "cupy" else "cpu"
        raise ValueError(
            f"Inputs passed to {name}.{method}() must use the same namespace and the same device "
            f"as those passed to fit(): the model is {fitted}, the input is {here}. Convert the "
            f"input, or the model with to_device({target!r})."
        )
