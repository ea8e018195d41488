"""A network for the classification of raw tables."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import check_array
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from skopt_dl._sklearn.arrays import on_host
from skopt_dl._sklearn.parameters import check_flag, check_number
from skopt_dl.activations import SELU, Parametric
from skopt_dl.kernels.generic_network import respond
from skopt_dl.neural_network._tabular import Rows, TabularPerceptron
from skopt_dl.neural_network.held_out import (
    fitted_share,
    fitted_sharpness,
    fitted_temperature,
    log_loss,
    seen_by_two,
    sharpened,
)


class TabularMLPClassifier(ClassifierMixin, TabularPerceptron):
    r"""Classification of raw tables by a small ensemble of networks, good without tuning.

    Takes a frame or an array with categories and missing values as it is: `TableEncoder` makes the
    rows. Each member m is a network trained on the rows outside its part, to minimise

    .. math:: -\frac1n \sum_i \sum_k q_{ik} \log p_{mk}(x_i) + \frac{\alpha}{2n} \sum_l |W_l|^2,
       \qquad q_{ik} = (1 - \epsilon) [y_i = k] + \epsilon / K

    and keeps the epoch with the smallest log-loss on its part, at the best temperature there. One
    temperature T is fitted to what all members say about the rows they have not seen. A mean of
    members that err differently is more cautious than each: the answer is

    .. math:: p_k \propto \Big( \sum_m s_m \operatorname{softmax}(z_m / T)_k \Big)^c,
       \qquad \log c = 2 \Big(1 - \sum_m s_m^2 \Big) \log c_2

    where :math:`c_2` is the best power for the mean of two, fitted to rows that both held out.
    Members with an even number are given the embedded numbers too, the others not; the shares
    :math:`s_m` of these two kinds are fitted to rows that one of each held out.

    Parameters
    ----------
    hidden_layer_sizes : int or array-like of int, default=(128, 128)
        Units of each hidden layer.
    activation : str, Activation or sequence of these, default="auto"
        What the hidden layers apply to their inputs, see `skopt_dl.activations`: one for all
        layers, or one a layer. `Parametric` ones are trained with the weights; "auto" is
        ``Parametric(SELU())``, and "relu" below 1500 rows and for solvers that need curvature.
    solver : str or Solver, default="auto"
        ``"auto"`` (Muon and Adam in turns, and Adam alone below 1500 rows), the name of a solver
        or an instance with options of its own.
    alpha : float, default=0.0
        Strength of the L2 penalty.
    batch_size : int or "auto", default="auto"
        Samples per update of a solver given by name; "auto" is a power of two between 16 and 256
        with about 16 updates in an epoch.
    learning_rate_init : float or "auto", default="auto"
        Initial learning rate of a solver given by name; "auto" is 0.02 for Muon and 0.006 for
        others.
    schedule : "auto", str or Schedule, default="auto"
        How the rate of a solver given by name changes; "auto" falls on half a cosine to zero.
    max_iter : int or "auto", default="auto"
        Epochs of each member. All are done: the best one is kept. "auto" is 32 for Muon and 64 for
        others.
    initialisation : str, Initialisation or Pretraining, default="he"
        How the hidden weights are drawn: "glorot", "he", "lecun", "orthogonal", "sparse" or an
        instance, with a last layer of zeros; a `Pretraining` learns all of them first.
    class_weight : dict, "balanced" or None, default=None
        Factors of the sample weights, by class; "balanced" makes the classes weigh the same.
    label_smoothing : float, default=0.1
        The share :math:`\epsilon` of each target that is spread over all classes.
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
        Share of the rows that each member holds out, at most 1/2: members take turns, and two in
        succession share half. 0, or fewer than 20 rows, holds nothing out: the last epoch is kept,
        and no temperature fitted.
    calibrate : bool, default=True
        Fit temperatures and the power; without, they are 1.
    categorical_features : "from_dtype" or array-like of int, str or bool, default="from_dtype"
        Which columns are categories, see `TableEncoder`.
    max_levels : int, default=64
        Categories with more levels are coded by signs, see `TableEncoder`.
    numerical_embedding : str or None, default="auto"
        What else a number becomes: ``None``, "piecewise_linear" or "periodic", see `TableEncoder`;
        "auto" is "piecewise_linear" for half of the members and nothing for the others, in turns.
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
    classes_ : array of shape (n_classes,)
        The class labels.
    encoder_ : TableEncoder
        Makes the rows.
    members_ : list of array of shape (n_parameters,)
        The parameters of each member.
    shares_ : array of shape (n_members,)
        The part :math:`s_m` of each member in the answer; they sum to one.
    temperature_ : float
        What the raw outputs are divided by.
    sharpness_ : float
        The power c, at least 1.
    validation_losses_ : list of list of float
        Log-loss of each member on its held-out part after each epoch, at the best temperature.
    n_features_in_ : int
        Number of columns of the table.
    feature_names_in_ : array of shape (n_features,)
        Their names, where they have names that are strings.
    n_iter_ : int
        Epochs.
    solver_ : str
        Name of the solver that ran, or names.
    solve_report_ : list of SolveReport
        Status, settings, timings and history of each member's solve.

    See Also
    --------
    MLPClassifier : One network with scikit-learn's parameters and behaviour.
    TabularMLPRegressor : The same for real targets.
    TableEncoder : The encoding alone, for a pipeline.

    Notes
    -----
    A level that `fit` has not seen is unknown, and no error. Constant columns and columns without
    any value are left out. Networks trained by Muon are better where there is little noise, those
    by Adam where there is much, and so it is with embedded numbers and plain ones, on other tables:
    a quarter of the members of each kind have most of all.

    References
    ----------
    D. Holzmüller, L. Grinsztajn, I. Steinwart, "Better by default: strong pre-tuned MLPs and
    boosted trees on tabular data", NeurIPS 2024; C. Szegedy and others, "Rethinking the Inception
    architecture for computer vision", CVPR 2016 (label smoothing); K. Jordan et al., "Muon: an
    optimizer for hidden layers in neural networks", 2024; C. Guo, G. Pleiss, Y. Sun, K.
    Weinberger, "On calibration of modern neural networks", ICML 2017.

    Examples
    --------
    >>> from skopt_dl.neural_network import TabularMLPClassifier
    >>> rows = [[22.0, "male"], [38.0, "female"], [None, "female"], [35.0, "male"]] * 10
    >>> survived = [0, 1, 1, 0] * 10
    >>> model = TabularMLPClassifier((16,), random_state=0).fit(rows, survived)
    >>> [int(label) for label in model.predict([[30.0, "female"], [None, "male"]])]
    [1, 0]
    """

    _output: ClassVar[str] = "softmax"
    _auto_solvers: ClassVar[tuple[str, ...]] = ("muon", "adam")
    _auto_activation: ClassVar[Any] = Parametric(SELU())
    _embeddings: ClassVar[tuple[str | None, ...]] = ("auto", *TabularPerceptron._embeddings)
    _host_attributes: ClassVar[frozenset[str]] = frozenset({"classes_"})

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
        class_weight: Any = None,
        label_smoothing: float = 0.1,
        dropout: float = 0.0,
        decoupled_weight_decay: float = 0.0,
        max_grad_norm: float | None = None,
        n_ensemble: int | str = "auto",
        validation_fraction: float = 0.1,
        calibrate: bool = True,
        categorical_features: Any = "from_dtype",
        max_levels: int = 64,
        numerical_embedding: str | None = "auto",
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
        self.class_weight = class_weight
        self.label_smoothing = label_smoothing
        self.dropout = dropout
        self.decoupled_weight_decay = decoupled_weight_decay
        self.max_grad_norm = max_grad_norm
        self.n_ensemble = n_ensemble
        self.validation_fraction = validation_fraction
        self.calibrate = calibrate
        self.categorical_features = categorical_features
        self.max_levels = max_levels
        self.numerical_embedding = numerical_embedding
        self.n_bins = n_bins
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose
        self.n_threads = n_threads
        self.max_time = max_time

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_number(self, "label_smoothing", low=0, high=0.9)
        check_flag(self, "calibrate")

    def _check_target(self, y: Any) -> np.ndarray:
        y = on_host(y)
        y = column_or_1d(
            check_array(y, ensure_2d=False, dtype=None, input_name="y", ensure_min_samples=0),
            warn=True,
        )
        check_classification_targets(y)
        return y

    def _encode_target(self, y: np.ndarray, weights: Any) -> tuple[np.ndarray, np.ndarray]:
        self.classes_, codes = np.unique(y, return_inverse=True)
        K = self.classes_.shape[0]
        return (1 - self.label_smoothing) * np.eye(K)[codes] + self.label_smoothing / K, codes

    def _held_out_loss(self, z: np.ndarray, held: Rows) -> float:
        # Smoothed labels and few rows make the raw loss prefer early, timid epochs to better ones
        # that a temperature would put right.
        T = fitted_temperature(z, held.labels, held.weights) if self.calibrate else 1.0
        return log_loss(z / T, held.labels, held.weights)

    def _learn_from_held_out(
        self, outputs: list[np.ndarray], held: list[np.ndarray], rows: Rows
    ) -> None:
        self.temperature_ = self.sharpness_ = 1.0
        self.shares_ = np.full(len(self.members_), 1 / len(self.members_))
        if not (self.calibrate and outputs):
            return
        known = rows[np.concatenate(held)]
        T = fitted_temperature(np.concatenate(outputs), known.labels, known.weights)
        self.temperature_ = T
        even, odd, at = seen_by_two([respond("softmax", z / T) for z in outputs], held)
        if not at.shape[0]:
            return
        known, n_members = rows[at], len(outputs)
        if len(self._views) == 2:
            share = fitted_share(even, odd, known.labels, known.weights)
            sees = np.arange(n_members) % 2
            self.shares_ = np.where(sees, share / np.sum(sees), (1 - share) / np.sum(1 - sees))
        self.sharpness_ = fitted_sharpness(
            (even + odd) / 2,
            known.labels,
            known.weights,
            n_members=1 / float(np.sum(self.shares_**2)),
        )

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probability of each class.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)
            A table with the columns of the one in `fit`.

        Returns
        -------
        array of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        outputs = self._outputs(X)
        mean = sum(
            share * respond("softmax", z / self.temperature_)
            for share, z in zip(self.shares_, outputs, strict=True)
        )
        return sharpened(mean, self.sharpness_)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithm of `predict_proba`.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)
            A table with the columns of the one in `fit`.

        Returns
        -------
        array of shape (n_samples, n_classes)
            Log-probabilities.
        """
        return np.log(self.predict_proba(X))

    def predict(self, X: Any) -> np.ndarray:
        """Predict classes.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)
            A table with the columns of the one in `fit`.

        Returns
        -------
        array of shape (n_samples,)
            Class labels.
        """
        best = np.argmax(self.predict_proba(X), axis=1)
        return self.classes_[best]
