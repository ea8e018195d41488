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
from abc import abstractmethod
from dataclasses import dataclass, field, replace
from math import inf
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils import check_random_state

from skopt_dl._sklearn.arrays import model_beside
from skopt_dl._sklearn.parameters import check_number
from skopt_dl.dask._base import DaskEstimator, whole_or_not
from skopt_dl.dask._collections import Cluster, Rows, add_arrays, rows_of, summed
from skopt_dl.dask._install import dask
from skopt_dl.dask._task_memory import network_bytes
from skopt_dl.engine import (
    Certificate,
    Needs,
    Oracle,
    Problem,
    Solver,
    State,
    Status,
    Trait,
    offers,
)
from skopt_dl.kernels import bind
from skopt_dl.kernels.namespace import namespace_of, to_numpy
from skopt_dl.neural_network._training import keep_progress
from skopt_dl.neural_network.plateau import Plateau, Progress
from skopt_dl.search.schedules import Constant


class LocalSGD(DaskEstimator):
    """What the two networks share."""

    hidden_layer_sizes: Any
    max_iter: int
    tol: float
    n_iter_no_change: float
    random_state: Any
    local_epochs: int
    batch_size: Any
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
        "solve_report_",
        "solver_",
    )

    @abstractmethod
    def _targets(self, cluster: Cluster, rows: Rows) -> tuple[Rows, Any]:
        """The rows with their blocks' lengths, and targets with every class among them."""

    @whole_or_not
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train the network.

        Parameters
        ----------
        X : dask array or dataframe of shape (n_samples, n_features)
            Training data in blocks of rows, dense or sparse: blocks of columns are joined. Each
            block should look like the whole: shuffle data that are sorted by their targets.
        y : dask array, series or dataframe of shape (n_samples,) or (n_samples, n_outputs)
            Labels, or 0 and 1 for each label where a row may have several; real numbers of a
            regressor, which may have several for a row too.
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
        rows = rows_of(self, X, y, sample_weight, labels=self._labels, outputs=True)
        cluster = self._cluster()
        if self.persist:
            rows = replace(rows, blocks=cluster.persist(rows.blocks))
        rng = check_random_state(self.random_state)
        network = self._new_plain(random_state=rng, tol=0.0, n_iter_no_change=inf)
        read = int(self._labels or rows.lengths is None)
        rows, targets = self._targets(cluster, rows)
        network._untrained(np.zeros((len(targets), rows.n_features), rows.dtype), targets)
        problem = AveragedBlocks(
            cluster,
            rows.blocks,
            network,
            seed=int(rng.randint(2**31 - 1)),
            description=f"{self!r} on {len(rows.blocks)} blocks of a Dask collection",
        )
        held = network_bytes(rows, network._net, self.batch_size)
        self._say(rows, held)
        plain, progress = self._new_plain(), Progress()
        result = plain._solve(
            problem,
            tol=None,
            max_iter=self.max_iter,
            unpack=problem.unpack,
            extra=(Plateau(progress, self.tol, self.n_iter_no_change),),
            solver=AverageEpochs(epochs=self.local_epochs),
        )
        settings = plain.get_params(deep=False)
        trained = vars(problem.network_at(result.w))
        vars(plain).update({k: v for k, v in trained.items() if k not in settings})
        keep_progress(plain, progress, best=False)
        plain.n_iter_ = max(1, result.n_iter)
        plain.solve_report_ = result.report()
        plain.solver_ = self.solver if isinstance(self.solver, str) else type(self.solver).__name__
        return self._adopt(plain, rows, passes=problem.passes + read, held=held)

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


class AveragedBlocks(Problem):
    """Copies of a network that train on blocks, as a function of where they all start.

    Parameters
    ----------
    cluster : Cluster
        Where the blocks are.
    blocks : list of Delayed
        Each yields ``(X, y, weights)``.
    network : MLPClassifier or MLPRegressor
        With the first parameters, and the settings that the copies train with.
    seed : int
        Of the copies' orders.
    description : str
        Names estimator and data in messages.

    Attributes
    ----------
    passes : int
        Rounds so far.
    """

    def __init__(
        self, cluster: Cluster, blocks: list[Any], network: Any, *, seed: int, description: str
    ) -> None:
        super().__init__()
        self.cluster, self.parts, self.network = cluster, blocks, network
        self.seed, self.description, self.passes = seed, description, 0
        self.xp, self.dtype, self.device = np, np.dtype(np.float64), "cpu"
        self.kernels = bind(np, self.dtype)
        self.size, self.traits = network._net.size, frozenset({Trait.FINITE_SUM})
        self.blocks = {"w": slice(0, self.size)}
        self.loss = inf

    def start(self) -> Any:
        return _flat(self.network)

    def value(self, w: Any) -> Any:
        """The mean loss of the last round: that at ``w`` would cost a pass of its own."""
        return np.asarray(self.loss)

    def certificate(self, w: Any) -> Certificate:
        """The mean loss of the last round, which says nothing of an optimum."""
        return Certificate("mean loss of the last round", self.loss, self.loss)

    def network_at(self, w: Any) -> Any:
        """The network with the parameters ``w``."""
        network = copy.copy(self.network)
        for name, value in self.unpack(w).items():
            setattr(network, name, value)
        return network

    def unpack(self, w: Any) -> dict[str, Any]:
        """``coefs_`` and ``intercepts_`` of flat parameters."""
        coefs, intercepts = self.network._net.unpack(w.astype(self.network.coefs_[0].dtype))
        return {"coefs_": coefs, "intercepts_": intercepts}

    @offers(Oracle.LOCAL_EPOCHS)
    def after_epochs(self, w: Any, epochs: int) -> tuple[Any, float]:
        """The mean of the copies that started at ``w``, and their mean loss: one pass."""
        train, start = dask().delayed(_trained), dask().delayed(self.network_at(w))
        each = [
            train(block, start, epochs, (self.seed, self.passes, k))
            for k, block in enumerate(self.parts)
        ]
        (total,) = self.cluster.compute(summed(each, add_arrays))
        if not total[0] > 0:
            raise ValueError(
                f"{self.description}: all sample weights are zero, or there are no rows; at least "
                "one row needs a positive weight"
            )
        self.passes += 1
        self.loss = float(total[1] / total[0])
        return total[2:] / total[0], self.loss


@dataclass
class RoundState(State):
    """Adds what a rule that watches the loss of a training asks for."""

    loss: float = inf
    rate: float = 1.0
    schedule: Any = field(default_factory=Constant)


class AverageEpochs(Solver):
    """Rounds of epochs on parts of the samples, averaged; see the formula of this module.

    Needs epochs on parts of the samples.

    Parameters
    ----------
    epochs : int
        Of a round.
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.LOCAL_EPOCHS)
    default_max_iter: ClassVar[int] = 200

    def __init__(self, *, epochs: int = 1) -> None:
        self.epochs = epochs

    def init(self, problem: Any, w: Any, rng: Any) -> RoundState:
        return RoundState(w=w)

    def advance(self, problem: Any, state: RoundState, n: int) -> Status:
        for _ in range(n):
            state.w, state.loss = problem.after_epochs(state.w, self.epochs)
            state.n_iter += 1
        return Status.RUNNING


def _flat(network: Any) -> Any:
    pieces = [np.ravel(to_numpy(a)) for a in (*network.coefs_, *network.intercepts_)]
    return np.concatenate(pieces, dtype=np.float64)


def _trained(
    block: tuple[Any, Any, Any], network: Any, epochs: int, seed: tuple[int, int, int]
) -> Any:
    """Weight of a block, then loss and parameters after its epochs, times that weight."""
    X, y, w = block
    size = float(y.shape[0] if w is None else namespace_of(w).sum(w))
    if size == 0:
        return np.zeros(2 + network._net.size)
    local = copy.copy(model_beside(X, network))
    # A generator, not a seed: the epochs of a round have orders of their own.
    local.random_state = np.random.RandomState(np.random.SeedSequence(seed).generate_state(4))
    for _ in range(epochs):
        local.partial_fit(X, y, sample_weight=w)
    return size * np.concatenate([[1.0, local.loss_], _flat(local)])
