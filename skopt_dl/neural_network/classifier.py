"""Multi-layer perceptron for classification."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import (
    _check_partial_fit_first_call,
    type_of_target,
    unique_labels,
)
from sklearn.utils.validation import column_or_1d

from skopt_dl._sklearn.arrays import on_host, put_beside
from skopt_dl._sklearn.base import fit_method
from skopt_dl._sklearn.parameters import check_number
from skopt_dl._sklearn.scores import DeviceClassifierMixin
from skopt_dl._sklearn.validation import check_X_y
from skopt_dl.kernels.namespace import namespace_of, to_numpy
from skopt_dl.neural_network._base import MultilayerPerceptron
from skopt_dl.neural_network._batches import BatchedClassifierMixin
from skopt_dl.neural_network._options import check_options, trains_by_epochs


class MLPClassifier(BatchedClassifierMixin, DeviceClassifierMixin, MultilayerPerceptron):
    r"""Classification by a multi-layer perceptron.

    .. math:: \min_{W, b}\ -\frac1n \sum_i \log p_{y_i}(x_i) + \frac{\alpha}{2n} \sum_l |W_l|^2

    with probabilities :math:`p` from a softmax, or from one sigmoid for two classes and one for
    each label of a multilabel problem. With sample weights the mean is the weighted one, and n the
    sum of the weights.

    Parameters
    ----------
    hidden_layer_sizes : int or array-like of int, default=(100,)
        Units of each hidden layer. An empty sequence gives a linear model.
    activation : str, Activation or list of these, default="relu"
        What the hidden layers apply to their inputs: "identity", "logistic", "tanh", "relu",
        "leaky_relu", "elu", "selu", "softplus", "gelu", "silu", "mish", a name that was registered,
        or an object of your own (`skopt_dl.activations.Activation`); a list has one a layer.
    solver : str or Solver, default="adam"
        ``"auto"``, the name of a solver or an instance with options of its own. "auto" takes K-FAC,
        which needs no rate, for a narrow network that can learn its samples by heart, and else
        Adam; also where a rate or another number of Adam's is given. "sgd" has the
        momentum given below, as in scikit-learn; "lbfgs", "nonlinear_cg" and "newton_cg" work on
        all samples at once.
    alpha : float, default=0.0001
        Strength of the L2 penalty, divided by the number of samples (of a batch, in a step on a
        batch).
    batch_size : int or "auto", default="auto"
        Samples per step of a stochastic solver given by name; "auto" is ``min(200, n_samples)``.
    learning_rate : {"constant", "invscaling", "adaptive"}, default="constant"
        Schedule of a stochastic solver given by name, other than "adam": the initial rate; divided
        by ``(samples seen + 1) ** power_t`` after each epoch; or divided by 5 whenever progress
        stops, until it is below 1e-6.
    learning_rate_init : float, default=0.001
        Initial learning rate of a stochastic solver given by name. Unless it is changed, rules
        that scikit-learn does not have keep their own; so with the decays and epsilon below.
    power_t : float, default=0.5
        Exponent of "invscaling".
    max_iter : int, default=200
        Epochs of a stochastic solver, iterations of the others.
    shuffle : bool, default=True
        Permute the samples before each epoch (of a solver given by name).
    random_state : int, RandomState instance or None, default=None
        Decides the initial weights, the validation part and the batches. The same seed gives the
        same training as in scikit-learn.
    tol : float, default=1e-4
        A stochastic solver ends when the loss (or the validation score) has not improved by
        ``tol`` for ``n_iter_no_change`` epochs, the others when no component of the gradient
        exceeds ``tol``.
    verbose : bool, default=False
        Print a line per report.
    warm_start : bool, default=False
        Start from the weights of the previous `fit`.
    momentum : float, default=0.9
        Momentum of "sgd", "momentum" and "nesterov", in [0, 1].
    nesterovs_momentum : bool, default=True
        Whether the momentum of "sgd" is Nesterov's.
    early_stopping : bool, default=False
        Hold out a part of the data, watch the score on it, and return the weights with the best
        one. Stochastic solvers only.
    validation_fraction : float, default=0.1
        Share of the data that ``early_stopping`` holds out.
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay rates of Adam's moments, in [0, 1).
    epsilon : float, default=1e-8
        Keeps Adam's steps finite.
    n_iter_no_change : int or inf, default=10
        Epochs without progress after which a stochastic solver ends.
    max_fun : int, default=15000
        Evaluations of the objective at most, of a solver on all samples.
    class_weight : dict, "balanced" or None, default=None
        Factors of the sample weights, by class; "balanced" makes the classes weigh the same.
    label_smoothing : float, default=0
        Share of each target that is spread evenly over the classes, in [0, 1).
    dropout : float, default=0
        Probability with which a hidden unit is left out of an update, in [0, 1). Stochastic solvers
        only.
    decoupled_weight_decay : float, default=0
        Each update of a solver given by name first shrinks the parameters by this times the rate;
        "adam" is then AdamW.
    max_grad_norm : float or None, default=None
        A longer gradient is shortened to this length, by a stochastic solver given by name.
    scaling : bool, default=False
        Standardise the features; sparse data are not centred. ``coefs_``
        and ``loss_curve_`` are then in those units, predictions in yours.
    restore_best : bool or None, default=None
        Return the parameters of the epoch with the best validation score or, without validation
        data, the smallest loss. ``None`` is scikit-learn's way: with ``early_stopping`` only.
    validation_metric : str, callable or None, default=None
        What validation data are scored by, larger is better: ``None`` is accuracy, "loss" minus the
        validation loss, others are scorers of scikit-learn (their names, or
        ``scorer(estimator, X, y)``).
    resume : bool, default=False
        `fit` with ``warm_start`` and `partial_fit` go on exactly where the last call stopped, with
        the solver's state, the generator and the order of the samples: two calls, a pickle between
        them, are one longer call, bit for bit. Without it both start the generator anew and
        ``warm_start`` the solver too, as in scikit-learn. Stochastic solvers only.
    n_ensemble : int, default=1
        Networks with seeds of their own, trained side by side; their mean probability is the
        prediction. They are in ``members_``, in the place of ``coefs_`` and the curves.
    dtype : {"float32", "float64"} or None, default=None
        Precision of the network; ``None`` is that of X.
    initialisation : None, str, Initialisation or Pretraining, default=None
        How the weights are drawn: ``None`` as in scikit-learn, "glorot", "he", "lecun",
        "orthogonal", "sparse" or an instance; a `Pretraining` learns them first
        (`skopt_dl.neural_network.pretraining`).
    n_threads : int or None, default=None
        Threads of BLAS, and members trained at the same time. ``None`` leaves BLAS as it is.
    device : str or None, default=None
        Where to compute: ``None`` is where X is, ``"cuda"`` copies host data to the GPU once.
    max_time : float or None, default=None
        Seconds of solving at most; results then depend on the machine.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
        The class labels.
    loss_ : float
        The last loss: its mean over the batches of the last epoch or, of a solver on all samples,
        its value at the answer.
    best_loss_ : float or None
        The smallest loss of an epoch; ``None`` with ``early_stopping``. Stochastic solvers only.
    loss_curve_ : list of float
        The loss of each epoch. Stochastic solvers only.
    validation_scores_ : list of float or None
        The validation score (accuracy) after each epoch, where there are validation data.
    validation_loss_curve_ : list of float or None
        The loss on the validation data after each epoch, without the penalty.
    best_validation_score_ : float or None
        The best of them.
    t_ : int
        Samples seen by a stochastic solver, over all epochs.
    coefs_ : list of array of shape (n_units, n_next_units)
        Weights of each layer.
    intercepts_ : list of array of shape (n_next_units,)
        Intercepts of each layer.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : array of shape (n_features,)
        Their names, where X has names that are strings.
    n_iter_ : int
        Epochs or iterations of the last fit.
    n_layers_ : int
        Number of layers, the input among them.
    n_outputs_ : int
        Number of outputs.
    out_activation_ : str
        Activation of the output layer.
    members_ : list of object
        The fitted networks of an ensemble.
    solver_ : str
        Name of the solver that ran.
    solve_report_ : SolveReport
        Status, settings, certificate, timings and history of the solve.

    See Also
    --------
    MLPRegressor : The same network for real targets.

    Notes
    -----
    The same seed gives scikit-learn's initial weights, batches and updates; the two loss curves
    differ by rounding. Where they differ: a fit whose parameters overflow returns the last finite
    ones with a ``ConvergenceWarning`` (scikit-learn raises); with ``warm_start`` and
    ``early_stopping`` the best weights of all fits are kept (scikit-learn overwrites those of the
    earlier ones); and a solver on all samples ends by the gradient alone.

    ``loss_`` and ``loss_curve_`` are scikit-learn's: probabilities are kept ``eps`` away from 0
    and 1, and the penalty of each batch is divided by the size of the batch. The objective above
    is in ``solve_report_``.

    References
    ----------
    X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", AISTATS 2010; D. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR
    2015.

    Examples
    --------
    >>> from skopt_dl.neural_network import MLPClassifier
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier((20,), "tanh", solver="lbfgs", max_iter=500, random_state=0)
    >>> model.fit(X, y).score(X, y) > 0.95
    True
    """

    _host_attributes: ClassVar[frozenset[str]] = frozenset({"classes_", "n_iter_", "loss_curve_"})

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: Any = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        class_weight: Any = None,
        label_smoothing: float = 0.0,
        dropout: float = 0.0,
        decoupled_weight_decay: float = 0.0,
        max_grad_norm: float | None = None,
        scaling: bool = False,
        restore_best: bool | None = None,
        validation_metric: Any = None,
        resume: bool = False,
        n_ensemble: int = 1,
        dtype: Any = None,
        initialisation: Any = None,
        n_threads: int | None = None,
        device: str | None = None,
        max_time: float | None = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.class_weight = class_weight
        self.label_smoothing = label_smoothing
        self.dropout = dropout
        self.decoupled_weight_decay = decoupled_weight_decay
        self.max_grad_norm = max_grad_norm
        self.scaling = scaling
        self.restore_best = restore_best
        self.validation_metric = validation_metric
        self.resume = resume
        self.n_ensemble = n_ensemble
        self.dtype = dtype
        self.initialisation = initialisation
        self.n_threads = n_threads
        self.device = device
        self.max_time = max_time

    @available_if(trains_by_epochs)
    @fit_method
    def partial_fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        classes: Any = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Self:
        """One epoch more over the given data, from the present weights and solver state.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Training data.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights.
        classes : array-like of shape (n_classes,), optional
            All classes that may ever occur; needed in the first call.
        X_val, y_val : array-like, optional
            Validation data. With ``early_stopping`` and without them, a part of the given data is
            held out, the same rows while their number stays. The fitted network is then the best so
            far, the training goes on from the last one, and ``solve_report_.status`` is "converged"
            when it is time to stop.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        known = on_host(classes)
        if _check_partial_fit_first_call(self, known):
            labels = on_host(y)
            multilabel = type_of_target(labels).startswith("multilabel")
            self._label_binarizer = LabelBinarizer().fit(labels if multilabel else known)
        return self._fit(X, y, sample_weight, X_val, y_val, incremental=True)

    def _check_parameters(self) -> None:
        check_options(self)
        check_number(self, "label_smoothing", low=0, high=np.nextafter(1, 0))

    def _check_target(self, X: Any, y: Any, reset: bool) -> tuple[Any, Any]:
        X, y = check_X_y(
            self,
            X,
            y,
            multi_output=True,
            accept_sparse=("csr",),
            labels=True,
            reset=reset,
            order="C",
        )
        return X, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _encode(self, y: Any, classes: str) -> tuple[Any, str, Any]:
        if classes == "new":
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
        else:
            self._check_classes(unique_labels(y), classes == "same")
        kind = self._label_binarizer.y_type_
        targets = self._label_binarizer.transform(y).astype(np.float64)
        factors = None
        if self.class_weight is not None:
            factors = compute_sample_weight(self.class_weight, y)
        return targets, "softmax" if kind == "multiclass" else "logistic", factors

    def _check_classes(self, found: Any, same: bool) -> None:
        if same and set(found) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit. Previously got {self.classes_}, `y` has {found}"
            )
        if len(np.setdiff1d(found, self.classes_)):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. "
                f"'y' has {found}."
            )

    def _decode(self, response: Any) -> Any:
        host, classes = to_numpy(response), self._label_binarizer.classes_
        kind = self._label_binarizer.y_type_
        if kind == "multiclass":
            return classes[host.argmax(axis=1)]
        chosen = (host > 0.5).astype(int)
        if kind.startswith("multilabel"):
            return chosen
        # "clip" for data of a single class.
        return classes.take(chosen[:, 0], mode="clip")

    def _validation_score(self, y: Any, predicted: Any, sample_weight: Any) -> float:
        return accuracy_score(y, predicted, sample_weight=sample_weight)

    def predict(self, X: Any) -> Any:
        """Predict classes.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        array of shape (n_samples,) or (n_samples, n_labels)
            Class labels, or the indicator matrix of a multilabel problem. Labels that are not
            numbers are on the host.
        """
        response = self._response(X, "predict")
        labels = self._decode(response)
        return put_beside(response, labels) if labels.dtype.kind in "fiub" else labels

    def predict_proba(self, X: Any) -> Any:
        """Probability of each class.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        array of shape (n_samples, n_classes)
            Columns in the order of ``classes_``; of a multilabel problem, the probability of each
            label.
        """
        p = self._response(X, "predict_proba")
        return namespace_of(p).concat([1 - p, p], axis=1) if p.shape[1] == 1 else p

    def predict_log_proba(self, X: Any) -> Any:
        """Logarithm of `predict_proba`.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        array of shape (n_samples, n_classes)
            Log-probabilities.
        """
        p = self.predict_proba(X)
        return namespace_of(p).log(p)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
