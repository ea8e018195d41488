"""A network for regression on raw tables."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils import check_array
from sklearn.utils.validation import column_or_1d

from skopt_dl._sklearn.arrays import on_host
from skopt_dl.neural_network._tabular import Rows, TabularPerceptron


class TabularMLPRegressor(RegressorMixin, TabularPerceptron):
    r"""Regression on raw tables by a small ensemble of networks, good without tuning.

    Takes a frame or an array with categories and missing values as it is: `TableEncoder` makes the
    rows. Targets are standardised. Each member m is a network trained on the rows outside its part,
    to minimise

    .. math:: \frac1{2n} \sum_i |\hat y_m(x_i) - y_i|^2 + \frac{\alpha}{2n} \sum_l |W_l|^2

    and keeps the epoch with the smallest squared error on its part. The answer is their mean.

    Parameters
    ----------
    hidden_layer_sizes : int or array-like of int, default=(128, 128)
        Units of each hidden layer.
    activation : str, Activation or sequence of these, default="auto"
        What the hidden layers apply to their inputs, see `skopt_dl.activations`: one for all
        layers, or one a layer; "auto" is "relu". `Parametric` ones are trained with the weights.
    solver : str or Solver, default="auto"
        ``"auto"`` (Adam), the name of a solver or an instance with options of its own.
    alpha : float, default=0.0
        Strength of the L2 penalty.
    batch_size : int or "auto", default="auto"
        Samples per update of a solver given by name; "auto" is a power of two between 16 and 256
        with about 16 updates in an epoch.
    learning_rate_init : float or "auto", default="auto"
        Initial learning rate of a solver given by name; "auto" is 0.006, and 0.02 for Muon.
    schedule : "auto", str or Schedule, default="auto"
        How the rate of a solver given by name changes; "auto" falls on half a cosine to zero.
    max_iter : int or "auto", default="auto"
        Epochs of each member. All are done: the best one is kept. "auto" is 64, and 32 for Muon.
    initialisation : str, Initialisation or Pretraining, default="he"
        How the hidden weights are drawn: "glorot", "he", "lecun", "orthogonal", "sparse" or an
        instance, with a last layer of zeros; a `Pretraining` learns all of them first.
    dropout : float, default=0
        Probability with which a hidden unit is left out of an update, in [0, 1).
    decoupled_weight_decay : float, default=0
        Each update of a solver given by name, or of "auto", first shrinks the parameters by this
        times the rate; "adam" is then AdamW.
    max_grad_norm : float or None, default=None
        A longer gradient is shortened to this length, by such a solver.
    n_ensemble : int or "auto", default="auto"
        Members; "auto" is 12.
    validation_fraction : float, default=0.1
        Share of the rows that each member holds out, at most 1/2: members take turns, so that few
        members see all rows. 0, or fewer than 20 rows, holds nothing out: the last epoch is kept.
    categorical_features : "from_dtype" or array-like of int, str or bool, default="from_dtype"
        Which columns are categories, see `TableEncoder`.
    max_levels : int, default=64
        Categories with more levels are coded by signs, see `TableEncoder`.
    numerical_embedding : str or None, default="piecewise_linear"
        What else a number becomes: ``None``, "piecewise_linear" or "periodic", see `TableEncoder`.
    n_bins : int, default=32
        Columns of the numerical embedding of a number, at most.
    dtype : {"float32", "float64"}, default="float32"
        Precision of the networks.
    random_state : int, RandomState instance or None, default=None
        Decides the parts, the initial weights and the batches.
    verbose : bool, default=False
        Print a line per report.
    n_threads : int or None, default=None
        Threads of BLAS. ``None`` leaves BLAS as it is.
    max_time : float or None, default=None
        Seconds of solving per member at most; results then depend on the machine.

    Attributes
    ----------
    encoder_ : TableEncoder
        Makes the rows.
    members_ : list of array of shape (n_parameters,)
        The parameters of each member.
    target_mean_, target_scale_ : arrays of shape (n_outputs,)
        Mean and standard deviation of the targets.
    validation_losses_ : list of list of float
        Mean squared error of each member on its held-out part after each epoch, in units of the
        variance of the targets.
    n_features_in_ : int
        Number of columns of the table.
    feature_names_in_ : array of shape (n_features,)
        Their names, where they have names that are strings.
    n_iter_ : int
        Epochs.
    solver_ : str
        Name of the solver that ran.
    solve_report_ : list of SolveReport
        Status, settings, timings and history of each member's solve.

    See Also
    --------
    MLPRegressor : One network with scikit-learn's parameters and behaviour.
    TabularMLPClassifier : The same for classes.
    TableEncoder : The encoding alone, for a pipeline.

    References
    ----------
    D. Holzmüller, L. Grinsztajn, I. Steinwart, "Better by default: strong pre-tuned MLPs and
    boosted trees on tabular data", NeurIPS 2024.

    Examples
    --------
    >>> from skopt_dl.neural_network import TabularMLPRegressor
    >>> rows = [[area, kind] for area in range(40, 100) for kind in ("flat", "house")]
    >>> price = [3.0 * area + 50.0 * (kind == "house") for area, kind in rows]
    >>> model = TabularMLPRegressor((32,), random_state=0).fit(rows, price)
    >>> model.score(rows, price) > 0.95
    True
    """

    _output: ClassVar[str] = "identity"
    _auto_solvers: ClassVar[tuple[str, ...]] = ("adam",)
    _auto_activation: ClassVar[Any] = "relu"

    def __init__(
        self,
        hidden_layer_sizes: Any = (128, 128),
        activation: Any = "auto",
        *,
        solver: Any = "auto",
        alpha: float = 0.0,
        batch_size: int | str = "auto",
        learning_rate_init: float | str = "auto",
        schedule: Any = "auto",
        max_iter: int | str = "auto",
        initialisation: Any = "he",
        dropout: float = 0.0,
        decoupled_weight_decay: float = 0.0,
        max_grad_norm: float | None = None,
        n_ensemble: int | str = "auto",
        validation_fraction: float = 0.1,
        categorical_features: Any = "from_dtype",
        max_levels: int = 64,
        numerical_embedding: str | None = "piecewise_linear",
        n_bins: int = 32,
        dtype: str = "float32",
        random_state: Any = None,
        verbose: bool = False,
        n_threads: int | None = None,
        max_time: float | None = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.schedule = schedule
        self.max_iter = max_iter
        self.initialisation = initialisation
        self.dropout = dropout
        self.decoupled_weight_decay = decoupled_weight_decay
        self.max_grad_norm = max_grad_norm
        self.n_ensemble = n_ensemble
        self.validation_fraction = validation_fraction
        self.categorical_features = categorical_features
        self.max_levels = max_levels
        self.numerical_embedding = numerical_embedding
        self.n_bins = n_bins
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose
        self.n_threads = n_threads
        self.max_time = max_time

    def _check_target(self, y: Any) -> np.ndarray:
        y = on_host(y)
        y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y", ensure_min_samples=0)
        self._flat = y.ndim == 1 or y.shape[1] == 1
        return column_or_1d(y, warn=True)[:, None] if self._flat else y

    def _encode_target(self, y: np.ndarray, weights: Any) -> tuple[np.ndarray, np.ndarray]:
        self.target_mean_ = np.average(y, axis=0, weights=weights)
        spread = np.sqrt(np.average((y - self.target_mean_) ** 2, axis=0, weights=weights))
        # A constant target has no scale; neither has one whose spread is rounding.
        tiny = np.finfo(np.float64).eps * np.abs(self.target_mean_)
        self.target_scale_ = np.where(spread > tiny, spread, 1.0)
        return (y - self.target_mean_) / self.target_scale_, np.zeros(y.shape[0], np.intp)

    def _held_out_loss(self, z: np.ndarray, held: Rows) -> float:
        square = np.mean((z - held.targets) ** 2, axis=1)
        return float(np.average(square, weights=held.weights))

    def _learn_from_held_out(
        self, outputs: list[np.ndarray], held: list[np.ndarray], rows: Rows
    ) -> None:
        """Nothing: the mean of the members needs no calibration."""

    def predict(self, X: Any) -> np.ndarray:
        """Predict targets.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)
            A table with the columns of the one in `fit`.

        Returns
        -------
        array of shape (n_samples,) or (n_samples, n_outputs)
            Predictions, of float64.
        """
        z = self._outputs(X)
        y = self.target_mean_ + self.target_scale_ * (sum(z) / len(z))
        return y[:, 0] if self._flat else y

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
