"""The fit template of the multi-layer perceptrons: validate, build the problem, train, store."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator
from contextlib import nullcontext
from typing import Any, Self

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from skopt_dl._sklearn.arrays import put_beside
from skopt_dl._sklearn.base import EngineEstimator, fit_method
from skopt_dl._sklearn.validation import check_weights, check_X
from skopt_dl.dispatch import SOLVERS, resolve
from skopt_dl.kernels.namespace import device_of, namespace_of, to_float
from skopt_dl.neural_network._members import fit_members, mean_response
from skopt_dl.neural_network._options import (
    hidden_sizes,
    is_stochastic,
    rule_settings,
    solver_of,
)
from skopt_dl.neural_network._training import (
    Data,
    Solve,
    finished,
    held_out,
    train,
    validation_of,
)
from skopt_dl.neural_network.dropout import Dropout
from skopt_dl.neural_network.network import Network
from skopt_dl.neural_network.plateau import MaxEvaluations
from skopt_dl.neural_network.pretraining import drawn, learn
from skopt_dl.neural_network.problem import NetworkProblem
from skopt_dl.neural_network.scale import Scale

# Numbers in a prediction that is answered without scikit-learn's checks of its container.
FEW = 4096


class MultilayerPerceptron(EngineEstimator):
    """What the classifier and the regressor share."""

    _held: Any

    @abstractmethod
    def _check_target(self, X: Any, y: Any, reset: bool) -> tuple[Any, Any]:
        """Validated ``X`` and ``y``."""

    @abstractmethod
    def _encode(self, y: Any, classes: str) -> tuple[Any, str, Any]:
        """Targets of shape ``(n, K)``, the name of the output, factors of the weights or ``None``.

        ``classes`` are "new", the "same" as in the earlier fit, or some of those "known" from it.
        """

    @abstractmethod
    def _decode(self, response: Any) -> Any:
        """Predictions from the mean response, as ``predict`` returns them."""

    @abstractmethod
    def _validation_score(self, y: Any, predicted: Any, sample_weight: Any) -> float:
        """Accuracy or R2."""

    @abstractmethod
    def _check_parameters(self) -> None:
        """Raise unless every parameter is valid."""

    def _solver_defaults(self) -> dict[str, Any]:
        return rule_settings(self)

    # --- fitting --------------------------------------------------------------------------------

    @fit_method
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, X_val: Any = None, y_val: Any = None
    ) -> Self:
        """Fit the network.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Training data; float64 and float32 keep their precision. Never written.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class labels, or real numbers of a regressor.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights.
        X_val, y_val : array-like, optional
            Validation data. They are scored after each epoch of a stochastic solver; with
            ``early_stopping`` they decide in the place of a part of the training data.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        return self._fit(X, y, sample_weight, X_val, y_val, incremental=False)

    def _build_problem(self, X: Any, y: Any, sample_weight: Any = None) -> NetworkProblem:
        """The problem that `fit` would solve on these raw data.

        Validation sets ``n_features_in_`` and the classes: ask a clone, not an estimator in use.
        """
        self._check_parameters()
        data, net = self._data(X, y, sample_weight, first=True, classes="new")
        rng = check_random_state(self.random_state)
        return self._problem(
            data, net, self._packed(drawn(self.initialisation, net, rng), data.targets), rng
        )

    def _data(
        self, X: Any, y: Any, sample_weight: Any, *, first: bool, classes: str
    ) -> tuple[Data, Network]:
        X, y = self._check_target(X, y, reset=first)
        if self.dtype is not None:
            X = _as_dtype(X, self.dtype)
        plain = weights = check_weights(sample_weight, X)
        targets, output, factors = self._encode(y, classes)
        if factors is not None:
            factors = put_beside(X.data if hasattr(X, "tocsc") else X, factors)
            factors = namespace_of(factors).astype(factors, X.dtype, copy=False)
            weights = factors if weights is None else weights * factors
        beside = X.data if hasattr(X, "tocsc") else X
        targets = put_beside(beside, targets)
        targets = namespace_of(targets).astype(targets, X.dtype, copy=False)
        if first:
            self._scale = Scale.of(X) if self.scaling else None
            standard = self.scaling and output == "identity"
            self._target_scale = Scale.of(targets) if standard else None
        seen = X if self._scale is None else self._scale.apply(X)
        if self._target_scale is not None:
            targets = self._target_scale.apply(targets)
        sizes = [X.shape[1], *hidden_sizes(self), targets.shape[1]]
        net = Network(sizes, self.activation, output)
        if net.trained:
            raise ValueError(
                f"{type(self).__name__}: activation={self.activation!r} is trained, but coefs_ and "
                "intercepts_ have no place for its shares; TabularMLPClassifier and "
                "TabularMLPRegressor take it"
            )
        return Data(X, seen, y, targets, weights, plain), net

    def _problem(
        self, data: Data, net: Network, w: Any, rng: Any, certified: bool = True
    ) -> NetworkProblem:
        X = data.X
        kind = f"{X.format.upper()} matrix" if hasattr(X, "format") else "array"
        return NetworkProblem(
            net,
            X,
            smoothed(data.targets, net.output, getattr(self, "label_smoothing", 0.0)),
            alpha=self.alpha,
            sample_weight=data.weights,
            initial=w,
            dropout=Dropout(self.dropout, rng) if self.dropout > 0 else None,
            certified=certified,
            description=lambda: f"{self!r} on this {X.dtype} {kind}",
        )

    @staticmethod
    def _packed(pieces: list[Any], like: Any) -> Any:
        """One flat array of ``like``'s dtype, beside it."""
        xp = namespace_of(like)
        flat = [
            xp.reshape(xp.asarray(a, dtype=like.dtype, device=device_of(like)), (-1,))
            for a in pieces
        ]
        return xp.concat(flat)

    def _start(self, net: Network, like: Any, rng: Any, first: bool) -> Any:
        if first:
            return self._packed(drawn(self.initialisation, net, rng), like)
        fitted = (self.coefs_[0].shape[0], *(c.shape[1] for c in self.coefs_))
        if fitted != net.sizes:
            raise ValueError(
                f"{type(self).__name__} cannot go on from its earlier fit: that network has layers "
                f"of {fitted} units, this one {net.sizes}. Use warm_start=False or keep the shapes."
            )
        return self._packed([*self.coefs_, *self.intercepts_], like)

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, X_val: Any, y_val: Any, *, incremental: bool
    ) -> Self:
        self._check_parameters()
        if (X_val is None) != (y_val is None):
            raise ValueError(
                f"{type(self).__name__}: X_val and y_val belong together, but only one was given"
            )
        limits = threadpool_limits(self.n_threads) if self.n_threads else nullcontext()
        with limits:
            if self.n_ensemble > 1:
                return self._fit_members(X, y, sample_weight, X_val, y_val, incremental)
            return self._fit_one(X, y, sample_weight, X_val, y_val, incremental)

    def _fit_one(
        self, X: Any, y: Any, sample_weight: Any, X_val: Any, y_val: Any, incremental: bool
    ) -> Self:
        steps = self._training(X, y, sample_weight, X_val, y_val, incremental)
        asked = next(steps)
        return finished(steps, self._solve(asked.problem, **asked.settings))

    def _training(
        self, X: Any, y: Any, sample_weight: Any, X_val: Any, y_val: Any, incremental: bool
    ) -> Generator[Solve, Any, Self]:
        """One fit: it asks for its solve, is sent the result, and returns the fitted estimator."""
        first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        classes = self._expected_classes(first, incremental)
        data, net = self._data(X, y, sample_weight, first=first, classes=classes)
        rng = check_random_state(self.random_state)
        w = self._start(net, data.targets, rng, first)
        solver = solver_of(self)
        if incremental and isinstance(solver, str) and solver == "auto":
            # A part says nothing of how many samples there will be, and the rule must stay.
            solver = "adam"
        whole = self._problem(data, net, w, rng, certified=not incremental)
        chosen, _ = resolve(solver, whole, self._solver_defaults())

        def unpack(w: Any) -> dict[str, Any]:
            return _attributes(net, w)

        if is_stochastic(chosen):
            held = None
            if X_val is not None:
                held, _ = self._data(X_val, y_val, None, first=False, classes="known")
            elif self.early_stopping:
                goes_on = not first and (incremental or self.resume)
                kept = getattr(self, "_held", None) if goes_on else None
                train_rows, held_rows = self._held = held_out(self, net, data, rng, kept)
                held = data.rows(held_rows, whole.xp, whole.device)
                data = data.rows(train_rows, whole.xp, whole.device)
                whole = self._problem(data, net, w, rng, certified=not incremental)
            if first:
                learn(self.initialisation, whole, rng)
            validation = None if held is None else validation_of(self, net, held, unpack)
            result, answer = yield from train(
                self,
                whole,
                chosen,
                solver,
                rng,
                validation,
                unpack,
                first=first,
                incremental=incremental,
            )
        else:
            if first:
                learn(self.initialisation, whole, rng)
            limit = MaxEvaluations(whole, self.max_fun)
            result = yield Solve(
                whole,
                {
                    "start": whole.start(),
                    "tol": self.tol,
                    "max_iter": self.max_iter,
                    "unpack": unpack,
                    "extra": (limit,),
                    "rng": rng,
                    "solver": solver,
                },
            )
            answer = result.w
            self.loss_, self.t_ = to_float(whole.reported_loss(answer)), 0
        for name, value in unpack(answer).items():
            setattr(self, name, value)
        self.n_iter_ = max(1, result.n_iter)
        self.solve_report_ = result.report()
        named = isinstance(self.solver, str) and self.solver != "auto"
        self.solver_ = self.solver if named else SOLVERS.name_of(result.solver)
        return self

    def _untrained(self, X: Any, y: Any) -> Self:
        """Draw the weights for data like these, whose ``y`` has every class, without training."""
        self._check_parameters()
        data, net = self._data(X, y, None, first=True, classes="new")
        w = self._start(net, data.targets, check_random_state(self.random_state), True)
        for name, value in _attributes(net, w).items():
            setattr(self, name, value)
        self.t_ = 0
        return self

    def _expected_classes(self, first: bool, incremental: bool) -> str:
        if first and not incremental:
            return "new"
        return "same" if self.warm_start else "known"

    def _fit_members(
        self, X: Any, y: Any, sample_weight: Any, X_val: Any, y_val: Any, incremental: bool
    ) -> Self:
        first = not hasattr(self, "members_") or not (self.warm_start or incremental)
        _, target = self._check_target(X, y, reset=first)
        self._encode(target, self._expected_classes(first, incremental))
        more: dict[str, Any] = {"X_val": X_val, "y_val": y_val}
        if incremental and hasattr(self, "classes_"):
            more["classes"] = self.classes_
        method = "partial_fit" if incremental else "fit"
        self.members_ = fit_members(self, method, X, y, sample_weight, **more)
        one = self.members_[0]
        self.n_layers_, self.n_outputs_ = one.n_layers_, one.n_outputs_
        self.out_activation_, self.solver_ = one.out_activation_, one.solver_
        self.loss_ = float(np.mean([m.loss_ for m in self.members_]))
        self.n_iter_ = max(m.n_iter_ for m in self.members_)
        self.t_ = max(m.t_ for m in self.members_)
        self.solve_report_ = [m.solve_report_ for m in self.members_]
        return self

    # --- prediction -----------------------------------------------------------------------------

    def _response(self, X: Any, method: str) -> Any:
        """The network's mean response, shape ``(n, outputs)``."""
        if hasattr(self, "members_") and self.n_ensemble > 1:
            return mean_response(self.members_, X, method)
        if not self._is_plain(X):
            check_is_fitted(self)
            X = check_X(self, X, method=method)
            if self.dtype is not None:
                X = _as_dtype(X, self.coefs_[0].dtype)
        if self._scale is not None:
            X = self._scale.apply(X)
        net = self._net
        if net.activation != self.activation:
            net = Network(net.sizes, self.activation, net.output)
        return self._restored(net.respond(self.coefs_, self.intercepts_, X))

    def _restored(self, response: Any) -> Any:
        """A network's response in the user's units."""
        return response if self._target_scale is None else self._target_scale.undo(response)

    def _is_plain(self, X: Any) -> bool:
        """Whether ``X`` is a few rows that would pass every check; the checks cost more than they
        do."""
        return (
            type(X) is np.ndarray
            and hasattr(self, "coefs_")
            and X.ndim == 2
            and X.dtype == self.coefs_[0].dtype
            and X.shape[1] == self.n_features_in_
            and 0 < X.size <= FEW
            and type(self.coefs_[0]) is np.ndarray
            and not hasattr(self, "feature_names_in_")
            and bool(np.isfinite(X).all())
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _attributes(net: Network, w: Any) -> dict[str, Any]:
    """The fitted attributes of a network with the flat parameters ``w``."""
    coefs, intercepts = net.unpack(w)
    return {
        "coefs_": coefs,
        "intercepts_": intercepts,
        "n_layers_": len(net.sizes),
        "n_outputs_": net.sizes[-1],
        "out_activation_": net.output,
        "_net": net,
    }


def smoothed(targets: Any, output: str, share: float) -> Any:
    """Probabilities in the place of 0 and 1: ``share`` of each is spread over all classes."""
    if not share:
        return targets
    n_classes = targets.shape[1] if output == "softmax" else 2
    return (1 - share) * targets + share / n_classes


def _as_dtype(X: Any, dtype: Any) -> Any:
    """``X`` in the precision ``dtype``, a name, a NumPy type or a dtype of its namespace."""
    if hasattr(X, "tocsc"):
        return X.astype(dtype, copy=False)
    xp = namespace_of(X)
    if isinstance(dtype, (str, type)):
        dtype = getattr(xp, np.dtype(dtype).name)
    return xp.astype(X, dtype, copy=False)
