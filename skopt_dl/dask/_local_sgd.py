r"""Local SGD: blocks train copies of the network for some epochs, then the copies are averaged.

.. math:: w^{t+1} = \sum_b \frac{n_b}{n}\, \text{epochs}_b(w^t)

with the weight :math:`n_b` of the rows of block b. A round is one pass over the blocks, whatever
the number of local epochs. The rule's own memory (moments, momentum) begins anew in each round: a
task is then a function of its block, the weights and a seed, and can be run again anywhere.

References
----------
S. Stich, "Local SGD converges fast and communicates little", ICLR 2019; H. B. McMahan et al.,
"Communication-efficient learning of deep networks from decentralized data", AISTATS 2017.
"""

from __future__ import annotations

import copy
import warnings
from abc import abstractmethod
from dataclasses import replace
from math import inf
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from skopt_dl._sklearn.parameters import check_number
from skopt_dl.dask._base import DaskEstimator
from skopt_dl.dask._collections import Cluster, Rows, rows_of, summed
from skopt_dl.dask._install import dask
from skopt_dl.neural_network._training import keep_progress
from skopt_dl.neural_network.plateau import Progress


class LocalSGD(DaskEstimator):
    """What the two networks share."""

    hidden_layer_sizes: Any
    max_iter: int
    tol: float
    n_iter_no_change: float
    random_state: Any
    local_epochs: int
    persist: bool

    # Whether y are labels.
    _labels: ClassVar[bool]
    _copied: ClassVar[tuple[str, ...]] = (
        "coefs_",
        "intercepts_",
        "n_layers_",
        "n_outputs_",
        "out_activation_",
        "classes_",
        "loss_",
        "best_loss_",
        "loss_curve_",
        "n_iter_",
        "solver_",
    )

    @abstractmethod
    def _targets(self, cluster: Cluster, rows: Rows) -> Any:
        """Two targets or more with every class among them."""

    def _new_plain(self, **changes: Any) -> Any:
        own = {"client", "verbose", "persist", "local_epochs"}
        given = {k: v for k, v in self.get_params(deep=False).items() if k not in own}
        return self._plain(**{**given, **changes})

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train the network.

        Parameters
        ----------
        X : dask array or dataframe of shape (n_samples, n_features)
            Training data in blocks of rows: blocks of columns are joined. Each block should look
            like the whole: shuffle data that are sorted by their targets.
        y : dask array or series of shape (n_samples,)
            Labels, or real numbers of a regressor.
        sample_weight : dask array or series of shape (n_samples,), optional
            Non-negative weights.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        TypeError
            For data that are not Dask collections.
        ValueError
            For invalid data or parameters, and for a solver that works on all samples at once.
        """
        self._check()
        rows, cluster = rows_of(self, X, y, sample_weight, labels=self._labels), self._cluster()
        if self.persist:
            rows = replace(rows, blocks=cluster.persist(rows.blocks))
        rng = check_random_state(self.random_state)
        network = self._new_plain(random_state=rng, tol=0.0, n_iter_no_change=inf)
        targets = self._targets(cluster, rows)
        network._untrained(np.zeros((len(targets), rows.n_features), rows.dtype), targets)
        progress, network = self._rounds(cluster, rows, network, int(rng.randint(2**31 - 1)))
        plain = self._new_plain()
        settings = plain.get_params(deep=False)
        vars(plain).update({k: v for k, v in vars(network).items() if k not in settings})
        keep_progress(plain, progress, best=False)
        plain.n_iter_ = len(progress.losses)
        plain.solver_ = self.solver if isinstance(self.solver, str) else type(self.solver).__name__
        return self._adopt(plain, rows, passes=plain.n_iter_ + int(self._labels))

    def _check(self) -> None:
        self._new_plain()._check_parameters()
        self._check_solver()
        check_number(self, "local_epochs", Integral, low=1)
        if not hasattr(self._new_plain(), "partial_fit"):
            raise ValueError(
                f"skopt_dl.dask.{type(self).__name__}: solver={self.solver!r} works on all samples "
                "at once, but the blocks train by themselves; take a stochastic one, 'adam' or "
                "'sgd' for example"
            )

    def _rounds(
        self, cluster: Cluster, rows: Rows, network: Any, seed: int
    ) -> tuple[Progress, Any]:
        """Rounds until the mean loss of the blocks no longer falls."""
        delayed, progress = dask().delayed, Progress()
        train = delayed(_trained)
        for turn in range(self.max_iter):
            start = delayed(network)
            parts = [
                train(block, start, self.local_epochs, (seed, turn, k))
                for k, block in enumerate(rows.blocks)
            ]
            (total,) = cluster.compute(summed(parts, _added))
            weight, loss, flat = total[0], total[1], total[2:]
            if not weight > 0:
                raise ValueError(
                    f"skopt_dl.dask.{type(self).__name__}: all sample weights are zero, or there "
                    "are no rows; at least one row needs a positive weight"
                )
            if not np.all(np.isfinite(total)):
                self._warn(f"the parameters overflowed in round {turn + 1}; lower the rate")
                break
            network = _with(network, flat / weight)
            progress.losses.append(float(loss / weight))
            fresh = progress.losses[-1] <= progress.best_loss - self.tol
            progress.best_loss = min(progress.best_loss, progress.losses[-1])
            progress.stale = 0 if fresh else progress.stale + 1
            if progress.stale > self.n_iter_no_change:
                break
        else:
            self._warn(f"the loss still falls after max_iter={self.max_iter} rounds; allow more")
        return progress, network

    def _warn(self, what: str) -> None:
        name = f"skopt_dl.dask.{type(self).__name__}"
        warnings.warn(f"{name}: {what}", ConvergenceWarning, stacklevel=4)


def _with(network: Any, flat: Any) -> Any:
    """The network with other parameters."""
    network = copy.copy(network)
    like = network.coefs_[0].dtype
    network.coefs_, network.intercepts_ = network._net.unpack(flat.astype(like))
    return network


def _trained(
    block: tuple[Any, Any, Any], network: Any, epochs: int, seed: tuple[int, int, int]
) -> Any:
    """Weight of a block, then loss and parameters after its epochs, times that weight."""
    X, y, w = block
    size = float(len(X) if w is None else np.sum(w))
    if size == 0:
        return np.zeros(2 + network._net.size)
    local = copy.copy(network)
    # A generator, not a seed: the epochs of a round have orders of their own.
    local.random_state = np.random.RandomState(np.random.SeedSequence(seed).generate_state(4))
    for _ in range(epochs):
        local.partial_fit(X, y, sample_weight=w)
    pieces = [np.ravel(a) for a in (*local.coefs_, *local.intercepts_)]
    return size * np.concatenate([[1.0, local.loss_], *pieces], dtype=np.float64)


def _added(parts: list[Any]) -> Any:
    return np.sum(parts, axis=0)
