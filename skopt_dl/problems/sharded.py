r"""A problem whose samples are shared out among threads or processes of this machine.

.. math:: F(w) = \sum_{k=1}^N a_k F_k(w), \qquad \sum_k a_k = 1

with the objective :math:`F_k` of the samples of shard k, a problem of the same kind. Every oracle
is asked of all shards at once, and the answers are added in the order of the shards: a repeated run
gives the same bits, whichever shard was the first to answer.
"""

from __future__ import annotations

import io
import os
import pickle
import tempfile
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from itertools import pairwise
from types import ModuleType
from typing import Any, Literal

import joblib
import numpy as np

from skopt_dl.engine import Certificate, Oracle, Point, Problem, Trait, offers
from skopt_dl.problems.line import GradientLine

# What a sum of objectives has in common with each of them.
KEPT = {Trait.CONVEX, Trait.QUADRATIC, Trait.SMOOTH, Trait.CONTINUOUS_CURVATURE}
# Memory that all processes see, where the system has it as files, and where arrays begin in it.
SHARED, ALIGNED = "/dev/shm", 64


def _inner(oracle: Oracle) -> Callable[[Any], str | None]:
    return lambda sharded: sharded.problem.why_not(oracle)


class ShardedProblem(Problem):
    """Values, gradients and curvature products of a problem by threads or processes.

    Parameters
    ----------
    problem : Problem
        With NumPy data: a `LinearProblem`, or that of a network.
    n_jobs : int
        Shards, one a thread or process.
    backend : {"threading", "loky"}
        joblib's threads, which share the data and take turns where Python computes; or its
        processes, which map the data from files in shared memory and get the parameters alone.

    Notes
    -----
    The gradient of all samples is that of the problem itself up to rounding. The certificate is
    the problem's own, computed here. BLAS may have threads of its own: with "threading" set it to
    one thread, joblib does so for processes.

    References
    ----------
    J. Dean et al., "Large scale distributed deep networks", NIPS 2012.

    Examples
    --------
    >>> import numpy as np
    >>> from skopt_dl import minimize
    >>> from skopt_dl.losses import Logistic
    >>> from skopt_dl.penalties import L2
    >>> from skopt_dl.problems import LinearProblem, ShardedProblem
    >>> X = np.arange(12.0).reshape(6, 2) % 5
    >>> whole = LinearProblem(X, X[:, 0] % 2, Logistic(), L2(0.1))
    >>> with ShardedProblem(whole, n_jobs=2) as problem:
    ...     result = minimize(problem, "newton_cg")
    >>> result.success
    True
    """

    def __init__(
        self, problem: Any, n_jobs: int = 2, backend: Literal["threading", "loky"] = "threading"
    ) -> None:
        super().__init__()
        if not hasattr(problem, "shards"):
            raise TypeError(
                f"ShardedProblem: {problem.description} cannot be shared out by its samples; "
                "linear problems and those of networks can"
            )
        if problem.xp is not np:
            raise TypeError("ShardedProblem: the data are on a device, but shards are NumPy arrays")
        if not isinstance(n_jobs, int) or isinstance(n_jobs, bool) or n_jobs < 1:
            raise ValueError(f"ShardedProblem: n_jobs={n_jobs!r}, but it must be an integer >= 1")
        if backend not in ("threading", "loky"):
            raise ValueError(
                f"ShardedProblem: backend={backend!r}, but it must be 'threading' or 'loky'"
            )
        self.problem, self.backend = problem, backend
        self.xp, self.dtype, self.device = problem.xp, problem.dtype, problem.device
        self.kernels, self.size, self.blocks = problem.kernels, problem.size, problem.blocks
        self.description = f"{problem.description}, in {n_jobs} shards"
        self.traits = frozenset(problem.traits & KEPT)
        n = problem.n_samples
        cuts = [k * n // n_jobs for k in range(n_jobs + 1)]
        parts = [np.arange(low, high) for low, high in pairwise(cuts)]
        shards = problem.shards([part for part in parts if part.size])
        self.shares = [share for share, _ in shards]
        self._folder: Any = None
        self._sources: list[Any] = [_Shard(local) for _, local in shards]
        if backend == "loky":
            self._sources = self._written([local for _, local in shards])
        self._pool = joblib.Parallel(n_jobs=len(shards), backend=backend).__enter__()

    def _written(self, shards: list[Any]) -> list[str]:
        """Files of the shards, whose arrays processes map."""
        place = SHARED if os.path.isdir(SHARED) else None
        self._folder = tempfile.TemporaryDirectory(prefix="skopt_dl-", dir=place)
        paths = [os.path.join(self._folder.name, str(k)) for k in range(len(shards))]
        for path, shard in zip(paths, shards, strict=True):
            _write(shard, path)
        return paths

    def __enter__(self) -> ShardedProblem:
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()

    def close(self) -> None:
        """Let threads or processes go, and the files of the data."""
        self._pool.__exit__(None, None, None)
        if self._folder is not None:
            self._folder.cleanup()

    def _sum(self, name: str, *args: Any) -> Any:
        """The weighted sum of what the shards answer, in their order."""
        tasks = (joblib.delayed(_ask)(source, name, *args) for source in self._sources)
        answers = self._pool(tasks)
        return sum(share * a for share, a in zip(self.shares, answers, strict=True))

    def start(self) -> Any:
        return self.problem.start()

    def value(self, w: Any) -> Any:
        return self._sum("value", w)

    def unpack(self, w: Any) -> Any:
        """The problem's own."""
        return self.problem.unpack(w)

    def certificate(self, w: Any) -> Certificate:
        return self.problem.certificate(w)

    def along(self, point: Point, d: Any) -> GradientLine:
        """The objective along ``point.w + t d``; a trial costs a gradient."""
        return GradientLine(self, point, d)

    @offers(Oracle.GRAD, lacks=_inner(Oracle.GRAD))
    def point(self, w: Any) -> Point:
        """Value and gradient of the whole objective."""
        both = self._sum("value_grad", w)
        return Point(w, both[-1], both[:-1])

    @offers(Oracle.HVP, lacks=_inner(Oracle.HVP))
    def hvp(self, point: Point) -> Callable[[Any], Any]:
        """A function ``d -> H d`` with the Hessian at ``point``."""
        return lambda d: self._sum("hvp", point.w, d)

    @offers(Oracle.GGN, lacks=_inner(Oracle.GGN))
    def ggn(self, point: Point) -> Callable[[Any], Any]:
        """The same for the Gauss-Newton matrix."""
        return lambda d: self._sum("ggn", point.w, d)

    @offers(Oracle.HESSIAN, lacks=_inner(Oracle.HESSIAN))
    def hessian(self, point: Point) -> Any:
        """The Hessian at ``point`` as an array."""
        return self._sum("hessian", point.w)


class _Shard:
    """The problem of a shard, and what it knows of the last point."""

    def __init__(self, problem: Any) -> None:
        self.problem = problem
        self._w: Any = None
        self._point: Any = None
        self._products: dict[str, Any] = {}

    def _at(self, w: Any) -> Any:
        if self._w is None or not np.array_equal(self._w, w):
            self._w, self._products = np.array(w), {}
            self._point = self.problem.point(self._w)
        return self._point

    def value(self, w: Any) -> Any:
        return np.asarray(self.problem.value(w))

    def value_grad(self, w: Any) -> Any:
        """The gradient and, last, the value."""
        point = self._at(w)
        return np.append(point.grad, point.value)

    def hvp(self, w: Any, d: Any) -> Any:
        return self._product("hvp", w)(d)

    def ggn(self, w: Any, d: Any) -> Any:
        return self._product("ggn", w)(d)

    def hessian(self, w: Any) -> Any:
        return self.problem.hessian(self._at(w))

    def _product(self, name: str, w: Any) -> Any:
        point = self._at(w)
        if name not in self._products:
            self._products[name] = getattr(self.problem, name)(point)
        return self._products[name]


class _Pickler(pickle.Pickler):
    """Keeps modules, such as a problem's array namespace, by their names."""

    def reducer_override(self, thing: Any) -> Any:
        if isinstance(thing, ModuleType):
            return import_module, (thing.__name__,)
        return NotImplemented


def _write(problem: Any, path: str) -> None:
    """The arrays in one file, aligned, and in another one all else and where the arrays are."""
    buffers: list[pickle.PickleBuffer] = []
    rest, places = io.BytesIO(), []
    _Pickler(rest, protocol=5, buffer_callback=buffers.append).dump(problem)
    with open(path, "wb") as file:
        for buffer in buffers:
            file.write(b"\0" * (-file.tell() % ALIGNED))
            raw = buffer.raw()
            places.append((file.tell(), raw.nbytes))
            file.write(raw)
        # A file of nothing cannot be mapped.
        file.write(b"\0")
    with open(f"{path}.rest", "wb") as file:
        pickle.dump((rest.getvalue(), places), file)


@lru_cache(maxsize=64)
def _mapped(path: str) -> _Shard:
    """The shard in a file, once a process; its arrays are read where they are."""
    with open(f"{path}.rest", "rb") as file:
        rest, places = pickle.load(file)
    # Pages that are written to, of working memory, become the process's own.
    whole = np.memmap(path, mode="c")
    return _Shard(pickle.loads(rest, buffers=[whole[at : at + size] for at, size in places]))


def _ask(source: Any, name: str, *args: Any) -> Any:
    shard = _mapped(source) if isinstance(source, str) else source
    return getattr(shard, name)(*args)
