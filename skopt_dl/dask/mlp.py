"""The multi-layer perceptrons on Dask collections."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from skopt_dl.dask._base import ClassificationMixin, RegressionMixin
from skopt_dl.dask._collections import Cluster, Rows, counted, summed
from skopt_dl.dask._install import dask
from skopt_dl.dask._local_sgd import LocalSGD
from skopt_dl.neural_network import (
    MLPClassifier as PlainMLPClassifier,
    MLPRegressor as PlainMLPRegressor,
)


class MLPClassifier(ClassificationMixin, LocalSGD):
    r"""Classification by a multi-layer perceptron, trained by local SGD on blocks of rows.

    .. math:: \min_{W, b}\ -\frac1n \sum_i \log p_{y_i}(x_i) + \frac{\alpha}{2n} \sum_l |W_l|^2

    Each round every block trains a copy of the network for ``local_epochs`` epochs; the next round
    starts from the mean of the copies.

    Parameters
    ----------
    hidden_layer_sizes : int or array-like of int, default=(100,)
        Units of each hidden layer.
    activation : str, Activation or list of these, default="relu"
        What the hidden layers apply to their inputs.
    solver : str or Solver, default="adam"
        Any stochastic rule of `skopt_dl.MLPClassifier`.
    alpha : float, default=0.0001
        Strength of the L2 penalty, divided by the number of samples of a batch.
    batch_size : int or "auto", default="auto"
        Samples per step; "auto" is ``min(200, n)`` for n rows of a block.
    learning_rate_init : float, default=0.001
        Initial learning rate of a solver given by name, in each round.
    max_iter : int, default=200
        Rounds at most.
    random_state : int, RandomState instance or None, default=None
        Decides the initial weights and the batches. With an integer the fit is the same for any
        number of workers.
    tol : float, default=1e-4
        Training ends when the loss has not improved by ``tol`` for ``n_iter_no_change`` rounds.
    n_iter_no_change : int or inf, default=10
        Rounds without progress after which training ends.
    dropout : float, default=0
        Probability with which a hidden unit is left out of an update, in [0, 1).
    max_grad_norm : float or None, default=None
        A longer gradient is shortened to this length.
    dtype : {"float32", "float64"} or None, default=None
        Precision of the network; ``None`` is that of X.
    local_epochs : int, default=1
        Epochs of a block between two averages: more of them save passes, and let the copies drift
        apart where blocks differ.
    persist : bool, default=True
        Keep the blocks in the workers' memory between rounds. Without it each round reads and
        checks the data again.
    client : distributed.Client, optional
        Whose workers compute. Default: the current client, else Dask's scheduler.
    verbose : bool, default=False
        Whether to show the progress of each round.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
        The labels, sorted; numbers of the columns where a row may have several labels.
    coefs_, intercepts_ : list of array
        Weights and intercepts of each layer.
    loss_curve_ : list of float
        Mean loss of the blocks in each round, during their last epoch.
    loss_, best_loss_ : float
        The last and the smallest of these.
    n_iter_ : int
        Rounds.
    n_layers_, n_outputs_ : int
        Layers, the input among them, and outputs.
    out_activation_ : str
        Activation of the output layer.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : array of shape (n_features,)
        Their names, where X is a dataframe.
    solve_report_ : SolveReport
        Status, timings and history of the rounds.
    solver_ : str
        Name of the solver that ran.
    task_bytes_ : int
        What a task holds at most, beside blocks that are kept.
    n_blocks_, n_passes_ : int
        Blocks of the training data, and how often each was asked for something.

    Notes
    -----
    The rule's moments begin anew in each round, and only weights travel. With one block and one
    round this is the training of `skopt_dl.MLPClassifier`, epoch by epoch. Unlike there, the answer
    depends on how the rows are cut into blocks.

    References
    ----------
    S. Stich, "Local SGD converges fast and communicates little", ICLR 2019; H. B. McMahan et al.,
    "Communication-efficient learning of deep networks from decentralized data", AISTATS 2017.

    Examples
    --------
    >>> import dask.array as da
    >>> from skopt_dl.dask import MLPClassifier
    >>> X = da.random.default_rng(0).normal(size=(2000, 2), chunks=(500, 2))
    >>> y = (X[:, 0] * X[:, 1] > 0).astype(int)
    >>> model = MLPClassifier((20,), learning_rate_init=0.02, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.95
    True
    """

    _labels: ClassVar[bool] = True

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: Any = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate_init: float = 0.001,
        max_iter: int = 200,
        random_state: Any = None,
        tol: float = 1e-4,
        n_iter_no_change: float = 10,
        dropout: float = 0.0,
        max_grad_norm: float | None = None,
        dtype: Any = None,
        local_epochs: int = 1,
        persist: bool = True,
        client: Any = None,
        verbose: bool = False,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.random_state = random_state
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.dropout = dropout
        self.max_grad_norm = max_grad_norm
        self.dtype = dtype
        self.local_epochs = local_epochs
        self.persist = persist
        self.client = client
        self.verbose = verbose

    @property
    def _plain(self) -> type[PlainMLPClassifier]:
        return PlainMLPClassifier

    def _targets(self, cluster: Cluster, rows: Rows) -> tuple[Rows, Any]:
        labels = dask().delayed(_distinct)
        distinct = summed([labels(b) for b in rows.blocks], _union)
        rows, (classes,) = counted(cluster, rows, distinct)
        if rows.n_outputs > 1:
            if not set(classes.tolist()) <= {0, 1}:
                raise ValueError(
                    f"skopt_dl.dask.MLPClassifier: y has {rows.n_outputs} columns, of which each "
                    "must say by 0 and 1 which rows have its label, but there are values "
                    f"{classes[:10].tolist()}; fit one estimator per target for other classes"
                )
            return rows, np.stack([np.zeros(rows.n_outputs, int), np.ones(rows.n_outputs, int)])
        if len(classes) < 2:
            raise ValueError(
                "skopt_dl.dask.MLPClassifier needs samples of at least 2 classes, but the data "
                f"hold {classes.tolist()}"
            )
        return rows, classes


class MLPRegressor(RegressionMixin, LocalSGD):
    r"""Regression by a multi-layer perceptron, trained by local SGD on blocks of rows.

    .. math:: \min_{W, b}\ \frac1n \sum_i \ell(y_i, z(x_i)) + \frac{\alpha}{2n} \sum_l |W_l|^2

    Each round every block trains a copy of the network for ``local_epochs`` epochs; the next round
    starts from the mean of the copies.

    Parameters
    ----------
    loss : {"squared_error", "poisson"}, default="squared_error"
        The loss, as in `skopt_dl.MLPRegressor`.
    hidden_layer_sizes : int or array-like of int, default=(100,)
        Units of each hidden layer.
    activation : str, Activation or list of these, default="relu"
        What the hidden layers apply to their inputs.
    solver : str or Solver, default="adam"
        Any stochastic rule of `skopt_dl.MLPRegressor`.
    alpha : float, default=0.0001
        Strength of the L2 penalty, divided by the number of samples of a batch.
    batch_size : int or "auto", default="auto"
        Samples per step; "auto" is ``min(200, n)`` for n rows of a block.
    learning_rate_init : float, default=0.001
        Initial learning rate of a solver given by name, in each round.
    max_iter : int, default=200
        Rounds at most.
    random_state : int, RandomState instance or None, default=None
        Decides the initial weights and the batches. With an integer the fit is the same for any
        number of workers.
    tol : float, default=1e-4
        Training ends when the loss has not improved by ``tol`` for ``n_iter_no_change`` rounds.
    n_iter_no_change : int or inf, default=10
        Rounds without progress after which training ends.
    dropout : float, default=0
        Probability with which a hidden unit is left out of an update, in [0, 1).
    max_grad_norm : float or None, default=None
        A longer gradient is shortened to this length.
    dtype : {"float32", "float64"} or None, default=None
        Precision of the network; ``None`` is that of X.
    local_epochs : int, default=1
        Epochs of a block between two averages: more of them save passes, and let the copies drift
        apart where blocks differ.
    persist : bool, default=True
        Keep the blocks in the workers' memory between rounds. Without it each round reads and
        checks the data again.
    client : distributed.Client, optional
        Whose workers compute. Default: the current client, else Dask's scheduler.
    verbose : bool, default=False
        Whether to show the progress of each round.

    Attributes
    ----------
    coefs_, intercepts_ : list of array
        Weights and intercepts of each layer.
    loss_curve_ : list of float
        Mean loss of the blocks in each round, during their last epoch.
    loss_, best_loss_ : float
        The last and the smallest of these.
    n_iter_ : int
        Rounds.
    n_layers_, n_outputs_ : int
        Layers, the input among them, and outputs.
    out_activation_ : str
        Activation of the output layer.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : array of shape (n_features,)
        Their names, where X is a dataframe.
    solve_report_ : SolveReport
        Status, timings and history of the rounds.
    solver_ : str
        Name of the solver that ran.
    task_bytes_ : int
        What a task holds at most, beside blocks that are kept.
    n_blocks_, n_passes_ : int
        Blocks of the training data, and how often each was asked for something.

    Notes
    -----
    The rule's moments begin anew in each round, and only weights travel. With one block and one
    round this is the training of `skopt_dl.MLPRegressor`, epoch by epoch. Unlike there, the answer
    depends on how the rows are cut into blocks.

    References
    ----------
    S. Stich, "Local SGD converges fast and communicates little", ICLR 2019; H. B. McMahan et al.,
    "Communication-efficient learning of deep networks from decentralized data", AISTATS 2017.

    Examples
    --------
    >>> import dask.array as da
    >>> from skopt_dl.dask import MLPRegressor
    >>> X = da.random.default_rng(0).normal(size=(2000, 2), chunks=(500, 2))
    >>> model = MLPRegressor(hidden_layer_sizes=(20,), learning_rate_init=0.02, random_state=0)
    >>> model.fit(X, X[:, 0] * X[:, 1]).score(X, X[:, 0] * X[:, 1]) > 0.9
    True
    """

    _labels: ClassVar[bool] = False

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: Any = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate_init: float = 0.001,
        max_iter: int = 200,
        random_state: Any = None,
        tol: float = 1e-4,
        n_iter_no_change: float = 10,
        dropout: float = 0.0,
        max_grad_norm: float | None = None,
        dtype: Any = None,
        local_epochs: int = 1,
        persist: bool = True,
        client: Any = None,
        verbose: bool = False,
    ) -> None:
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.random_state = random_state
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.dropout = dropout
        self.max_grad_norm = max_grad_norm
        self.dtype = dtype
        self.local_epochs = local_epochs
        self.persist = persist
        self.client = client
        self.verbose = verbose

    @property
    def _plain(self) -> type[PlainMLPRegressor]:
        return PlainMLPRegressor

    def _targets(self, cluster: Cluster, rows: Rows) -> tuple[Rows, Any]:
        rows = rows if rows.lengths else counted(cluster, rows)[0]
        return rows, np.zeros(2 if rows.n_outputs == 1 else (2, rows.n_outputs))


def _distinct(block: tuple[Any, Any, Any]) -> Any:
    return np.unique(block[1])


def _union(parts: list[Any]) -> Any:
    return np.unique(np.concatenate(parts))
