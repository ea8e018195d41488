"""Several networks of one layout as one problem: a batch of all of them is one compiled call.

Networks that do not meet in the objective are trained by a rule that does not mix parameters as if
each were alone; what a call costs in Python is then shared by all of them.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from skopt_dl.engine import Certificate, Oracle, Problem, Trait, offers
from skopt_dl.neural_network.problem import NetworkProblem


class NetworkStack(Problem):
    r"""The sum of the objectives of M networks, on the parameters of all of them.

    Parameters
    ----------
    problems : sequence of NetworkProblem
        On NumPy arrays, with compiled activations and without dropout; their layouts, precisions
        and numbers of samples are the same, their data, penalties and targets need not be.

    Notes
    -----
    Parameters and gradients lie network by network. The value of a batch is an array of M, and its
    indices have a column for each network (one for all does too).
    """

    n_samples: int

    def __init__(self, problems: Sequence[NetworkProblem]) -> None:
        super().__init__()
        one = problems[0]
        self.problems, self.net = list(problems), one.net
        self.xp, self.dtype, self.device, self.kernels = one.xp, one.dtype, one.device, one.kernels
        self.n_samples, self.traits = one.n_samples, frozenset({Trait.FINITE_SUM, Trait.SMOOTH})
        self._work, self._floor, self._mean = one._work, one._floor, one._mean
        self.X, self._first = rows_once([p.X for p in problems])
        targets = [p.y for p in problems]
        self._weights = None
        if one.sample_weight is not None:
            # Rows of y and their weights stay together.
            targets = [np.column_stack([p.y, p.sample_weight]) for p in problems]
        self.y, self._targets_first = rows_once(targets)
        if one.sample_weight is not None:
            self._weights = np.ascontiguousarray(self.y[:, -1])
            self.y = np.ascontiguousarray(self.y[:, :-1])
        self._set_members()

    def _set_members(self) -> None:
        count, length = len(self.problems), self.net.size
        self.size, self.blocks = count * length, {}
        self.description = f"{count} networks"
        self._alphas = np.array([p.alpha for p in self.problems], dtype=np.float64)
        self._grad, self._losses = np.empty((count, length), self.dtype), np.empty((count, 2))

    def only(self, members: Sequence[int]) -> Self:
        """The stack of some of the networks; the data are shared."""
        other, chosen = copy.copy(self), list(members)
        other.problems = [self.problems[k] for k in chosen]
        other._first, other._targets_first = self._first[chosen], self._targets_first[chosen]
        other._set_members()
        return other

    def start(self) -> Any:
        return np.concatenate([p.start() for p in self.problems])

    def value(self, w: Any) -> Any:
        return sum(p.value(each) for p, each in zip(self.problems, self._each(w), strict=True))

    def certificate(self, w: Any) -> Certificate:
        """None: each network has its own."""
        return Certificate("not evaluated", float("nan"), float("nan"))

    @offers(Oracle.SAMPLE_GRAD)
    def sample_grad(self, w: Any, index: Any) -> tuple[Any, Any]:
        """The values of the networks, shape ``(M,)``, and all their gradients, one after the other.

        Both are those of `NetworkProblem.sample_grad`, to the last bit.
        """
        count = len(self.problems)
        if index.ndim == 1:
            index = np.broadcast_to(index[:, None], (index.shape[0], count))
        # Column by column: sums over a batch are then made in the order of a network alone.
        index = np.asfortranarray(index)
        self.kernels.network_gradients(
            self.net,
            self._work,
            self._each(w),
            self.X,
            self.y,
            self._weights,
            self._first,
            self._targets_first,
            index,
            self._alphas,
            self._floor,
            self._grad,
            self._losses,
        )
        return self._mean * self._losses[:, 0] + self._losses[:, 1], self._grad.reshape(-1)

    def _each(self, w: Any) -> Any:
        return w.reshape(len(self.problems), -1)


class Generators:
    """The generators of several networks as one: what it draws has a column for each of them."""

    def __init__(self, members: Sequence[Any]) -> None:
        self.members = list(members)

    def permutation(self, n: int) -> np.ndarray:
        """Permutations, shape ``(n, M)``."""
        return np.stack([rng.permutation(n) for rng in self.members], axis=1)

    def choice(self, n: int, size: int) -> np.ndarray:
        """Draws with replacement, shape ``(size, M)``."""
        return np.stack([rng.choice(n, size=size) for rng in self.members], axis=1)


def rows_once(arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Arrays of rows, one below the other but equal ones once, and where each begins."""
    kept: list[np.ndarray] = []
    begins: list[int] = []
    first, end = [], 0
    for a in arrays:
        known = (k for k, b in enumerate(kept) if a is b or np.array_equal(a, b))
        k = next(known, len(kept))
        if k == len(kept):
            kept.append(a)
            begins.append(end)
            end += a.shape[0]
        first.append(begins[k])
    rows = kept[0] if len(kept) == 1 else np.concatenate(kept)
    return np.ascontiguousarray(rows), np.array(first, dtype=np.intp)


def joined(states: Sequence[Any]) -> Any:
    """The state of a stack from those of its members, which are at the same update."""
    whole, shape = copy.copy(states[0]), states[0].w.shape
    for name, value in vars(states[0]).items():
        if isinstance(value, np.ndarray) and value.shape == shape:
            setattr(whole, name, np.concatenate([getattr(s, name) for s in states]))
    whole.rng = Generators([s.rng for s in states])
    if states[0].order is not None:
        whole.order = np.stack([s.order for s in states], axis=1)
    whole.loss = np.array([s.loss for s in states])
    return whole


def parted(state: Any, k: int, count: int) -> Any:
    """The state of network k of ``count`` in that of their stack; its arrays are views."""
    own, shape = copy.copy(state), state.w.shape
    for name, value in vars(state).items():
        if isinstance(value, np.ndarray) and value.shape == shape:
            setattr(own, name, value.reshape(count, -1)[k])
    own.rng, own.loss = state.rng.members[k], float(state.loss[k])
    if state.order is not None and state.order.ndim == 2:
        own.order = np.ascontiguousarray(state.order[:, k])
    return own
