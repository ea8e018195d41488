"""The fit template of the multi-layer perceptrons: validate, build the problem, train, store."""

from __future__ import annotations

import copy
import inspect
import math
import warnings
from abc import abstractmethod
from numbers import Integral
from typing import Any, Self

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skopt_dl._sklearn.arrays import put_beside
from skopt_dl._sklearn.base import EngineEstimator, fit_method
from skopt_dl._sklearn.parameters import check_choice, check_flag, check_number
from skopt_dl._sklearn.validation import check_weights, check_X
from skopt_dl.dispatch import SOLVERS, UnknownNameError, resolve
from skopt_dl.engine import Oracle, Solver, SolveResult
from skopt_dl.kernels.namespace import device_of, namespace_of, to_float, to_numpy
from skopt_dl.neural_network.network import Network, activations_of
from skopt_dl.neural_network.plateau import MaxEvaluations, OneEpoch, Plateau, Progress
from skopt_dl.neural_network.problem import NetworkProblem
from skopt_dl.search.schedules import InverseScaling, schedule_of

# Parameters that configure a solver given by name, and what they are called there.
RULE_PARAMETERS = {
    "learning_rate_init": "learning_rate",
    "momentum": "momentum",
    "beta_1": "beta_1",
    "beta_2": "beta_2",
    "epsilon": "epsilon",
    "batch_size": "batch_size",
    "shuffle": "shuffle",
}
# The rules whose defaults are scikit-learn's; the others keep their own where the estimator's
# parameter has not been changed.
SCIKIT_LEARN_RULES = ("auto", "adam", "sgd", "momentum", "nesterov")


def is_stochastic(solver: Any) -> bool:
    """Whether a solver (or its class) works on batches."""
    return Oracle.SAMPLE_GRAD in solver.needs.oracles


def trains_by_epochs(estimator: Any) -> bool:
    """Whether ``estimator.solver`` can go on from epoch to epoch, as ``partial_fit`` does.

    Raises
    ------
    AttributeError
        If it cannot: the method is then not there.
    """
    solver = estimator.solver
    if isinstance(solver, str) and solver != "auto":
        try:
            solver = SOLVERS.get(solver)
        except UnknownNameError as error:
            raise AttributeError(str(error)) from error
    if solver == "auto" or (hasattr(solver, "needs") and is_stochastic(solver)):
        return True
    raise AttributeError(
        f"partial_fit is only available for stochastic solvers; {estimator.solver!r} is not"
    )


class MultilayerPerceptron(EngineEstimator):
    """What the classifier and the regressor share."""

    @abstractmethod
    def _check_target(self, X: Any, y: Any, reset: bool) -> tuple[Any, Any]:
        """Validated ``X`` and ``y``."""

    @abstractmethod
    def _encode(self, y: Any, keep: bool) -> tuple[Any, str]:
        """Targets of shape ``(n, K)`` and the name of the output; ``keep`` the earlier classes."""

    @abstractmethod
    def _decode(self, response: Any) -> Any:
        """Predictions from the mean response, as ``predict`` returns them."""

    @abstractmethod
    def _validation_score(self, y: Any, predicted: Any, sample_weight: Any) -> float:
        """Accuracy or R2."""

    # --- parameters -----------------------------------------------------------------------------

    def _check_parameters(self) -> None:
        for activation in activations_of(self.activation, len(self._hidden_sizes())):
            check_number(activation, "strength", low=-math.inf)
        check_choice(self, "learning_rate", ("constant", "invscaling", "adaptive"))
        for name in ("alpha", "power_t", "tol"):
            check_number(self, name, low=0)
        for name in ("learning_rate_init", "epsilon"):
            check_number(self, name, low=0, open_low=True)
        for name in ("momentum", "validation_fraction", "beta_1", "beta_2"):
            check_number(self, name, low=0, high=1)
        for name in ("max_iter", "max_fun"):
            check_number(self, name, Integral, low=1)
        if self.n_iter_no_change != np.inf:
            check_number(self, "n_iter_no_change", Integral, low=1)
        if not (isinstance(self.batch_size, str) and self.batch_size == "auto"):
            check_number(self, "batch_size", Integral, low=1)
        check_number(self, "max_time", low=0, open_low=True, optional=True)
        check_flag(self, "shuffle", "warm_start", "nesterovs_momentum", "early_stopping")
        if isinstance(self.solver, Solver):
            self._warn_of_unused()

    def _warn_of_unused(self) -> None:
        """A solver instance has its own settings: say which of the estimator's are not read."""
        signature = inspect.signature(type(self)).parameters
        names = [*RULE_PARAMETERS, "learning_rate", "power_t", "nesterovs_momentum"]
        unused = [k for k in names if getattr(self, k) != signature[k].default]
        if unused:
            warnings.warn(
                f"{type(self).__name__}: {', '.join(unused)} configure a solver given by name and "
                f"are not read with solver={self.solver!r}; set them there",
                UserWarning,
                stacklevel=4,
            )

    def _solver_defaults(self) -> dict[str, Any]:
        signature = inspect.signature(type(self)).parameters
        given = {
            theirs: getattr(self, ours)
            for ours, theirs in RULE_PARAMETERS.items()
            if self.solver in SCIKIT_LEARN_RULES or getattr(self, ours) != signature[ours].default
        }
        # scikit-learn's Adam follows no schedule.
        if self.solver not in ("adam", "auto"):
            given["schedule"] = (
                InverseScaling(self.power_t)
                if self.learning_rate == "invscaling"
                else schedule_of(self.learning_rate)
            )
        return given

    def _solver_of_name(self) -> Any:
        """``solver``, with scikit-learn's "sgd" spelt out: it has the estimator's momentum."""
        if isinstance(self.solver, str) and self.solver == "sgd" and self.momentum > 0:
            return "nesterov" if self.nesterovs_momentum else "momentum"
        return self.solver

    def _hidden_sizes(self) -> list[int]:
        given = self.hidden_layer_sizes
        sizes: list[Any] = list(given) if hasattr(given, "__iter__") else [given]
        if not all(isinstance(s, Integral) and int(s) > 0 for s in sizes):
            raise ValueError(
                f"hidden_layer_sizes must be > 0, got {given!r}: {type(self).__name__} takes an "
                "integer or a sequence of integers >= 1"
            )
        return [int(s) for s in sizes]

    # --- fitting --------------------------------------------------------------------------------

    @fit_method
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the network.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Training data; float64 and float32 keep their precision. Never written.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class labels, or real numbers of a regressor.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        return self._fit(X, y, sample_weight, incremental=False)

    def _build_problem(self, X: Any, y: Any, sample_weight: Any = None) -> NetworkProblem:
        """The problem that `fit` would solve on these raw data.

        Validation sets ``n_features_in_`` and the classes: ask a clone, not an estimator in use.
        """
        self._check_parameters()
        X, y, weights, net, targets = self._data(X, y, sample_weight, first=True, keep=False)
        rng = check_random_state(self.random_state)
        return self._problem(X, targets, weights, net, self._initial(net, targets, rng))

    def _data(self, X: Any, y: Any, sample_weight: Any, *, first: bool, keep: bool) -> Any:
        X, y = self._check_target(X, y, reset=first)
        weights = check_weights(sample_weight, X)
        targets, output = self._encode(y, keep)
        beside = X.data if hasattr(X, "tocsc") else X
        targets = put_beside(beside, targets)
        targets = namespace_of(targets).astype(targets, X.dtype, copy=False)
        sizes = [X.shape[1], *self._hidden_sizes(), targets.shape[1]]
        return X, y, weights, Network(sizes, self.activation, output), targets

    def _problem(
        self, X: Any, targets: Any, weights: Any, net: Network, w: Any, certified: bool = True
    ) -> NetworkProblem:
        kind = f"{X.format.upper()} matrix" if hasattr(X, "format") else "array"
        return NetworkProblem(
            net,
            X,
            targets,
            alpha=self.alpha,
            sample_weight=weights,
            initial=w,
            certified=certified,
            description=f"{self!r} on this {X.dtype} {kind}",
        )

    def _initial(self, net: Network, like: Any, rng: Any) -> Any:
        """A random start of ``like``'s dtype, beside it."""
        return self._packed(net.initial(rng), like)

    @staticmethod
    def _packed(pieces: list[Any], like: Any) -> Any:
        xp = namespace_of(like)
        flat = [
            xp.reshape(xp.asarray(a, dtype=like.dtype, device=device_of(like)), (-1,))
            for a in pieces
        ]
        return xp.concat(flat)

    def _start(self, net: Network, like: Any, rng: Any, first: bool) -> Any:
        if first:
            return self._initial(net, like, rng)
        fitted = (self.coefs_[0].shape[0], *(c.shape[1] for c in self.coefs_))
        if fitted != net.sizes:
            raise ValueError(
                f"{type(self).__name__} cannot go on from its earlier fit: that network has layers "
                f"of {fitted} units, this one {net.sizes}. Use warm_start=False or keep the shapes."
            )
        return self._packed([*self.coefs_, *self.intercepts_], like)

    def _fit(self, X: Any, y: Any, sample_weight: Any, *, incremental: bool) -> Self:
        self._check_parameters()
        if incremental and self.early_stopping:
            raise ValueError(
                "partial_fit does not support early_stopping=True: it has no epochs to compare"
            )
        first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        X, y, weights, net, targets = self._data(
            X, y, sample_weight, first=first, keep=incremental or not first
        )
        rng = check_random_state(self.random_state)
        w = self._start(net, targets, rng, first)
        solver = self._solver_of_name()
        problem = self._problem(X, targets, weights, net, w, certified=not incremental)
        chosen, _ = resolve(solver, problem, self._solver_defaults())

        def unpack(w: Any) -> dict[str, Any]:
            coefs, intercepts = net.unpack(w)
            return {
                "coefs_": coefs,
                "intercepts_": intercepts,
                "n_layers_": len(net.sizes),
                "n_outputs_": net.sizes[-1],
                "out_activation_": net.output,
            }

        if is_stochastic(chosen):
            result, answer = self._train(
                problem, chosen, solver, w, rng, y, unpack, first=first, incremental=incremental
            )
        else:
            limit = MaxEvaluations(problem, self.max_fun)
            result = self._solve(
                problem,
                start=w,
                tol=self.tol,
                max_iter=self.max_iter,
                unpack=unpack,
                extra=(limit,),
                rng=rng,
                solver=solver,
            )
            answer = result.w
            self.loss_, self.t_ = to_float(problem.reported_loss(answer)), 0
        for name, value in unpack(answer).items():
            setattr(self, name, value)
        self.n_iter_ = max(1, result.n_iter)
        self.solve_report_ = result.report()
        named = isinstance(self.solver, str) and self.solver != "auto"
        self.solver_ = self.solver if named else SOLVERS.name_of(result.solver)
        return self

    def _train(
        self,
        problem: NetworkProblem,
        chosen: Any,
        solver: Any,
        w: Any,
        rng: Any,
        y: Any,
        unpack: Any,
        *,
        first: bool,
        incremental: bool,
    ) -> tuple[SolveResult, Any]:
        """Epochs of a stochastic rule with scikit-learn's stopping; the result and the answer."""
        progress = self._earlier_progress(first)
        score = None
        if self.early_stopping:
            problem, score = self._hold_out(problem, y, rng)
            if progress.best_w is None:
                progress.best_w = w
        if self.batch_size != "auto" and self.batch_size > problem.n_samples:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be "
                f"clipped: batch_size={self.batch_size}, n_samples={problem.n_samples}",
                UserWarning,
                stacklevel=4,
            )
        seen = 0 if first else self.t_
        state = chosen.init(problem, problem.start(), rng)
        state.n_samples = seen
        earlier: Any = getattr(self, "_state", None)
        if incremental and not first and type(earlier) is type(state):
            earlier = copy.deepcopy(earlier)
            earlier.w, earlier.rng = state.w, rng
            state = earlier
        plateau = Plateau(progress, self.tol, self.n_iter_no_change, score)
        result = self._solve(
            problem,
            tol=None,
            max_iter=self.max_iter,
            unpack=unpack,
            extra=(plateau, OneEpoch()) if incremental else (plateau,),
            rng=rng,
            state=state,
            solver=solver,
        )
        self._keep_progress(progress)
        self.t_ = seen + result.n_iter * problem.n_samples
        # The permutation and the generator start anew with the next call, as in scikit-learn.
        kept: Any = copy.copy(result.state)
        kept.order = kept.rng = kept.w = None
        self._state = kept
        return result, result.w if score is None else progress.best_w

    def _earlier_progress(self, first: bool) -> Progress:
        if first or not hasattr(self, "loss_curve_"):
            return Progress()
        known = Progress(losses=list(self.loss_curve_), stale=self._stale)
        if self.best_loss_ is not None:
            known.best_loss = self.best_loss_
        if self.validation_scores_ is not None and self.best_validation_score_ is not None:
            known.scores = list(self.validation_scores_)
            known.best_score, known.best_w = self.best_validation_score_, self._best_w
        return known

    def _keep_progress(self, progress: Progress) -> None:
        self.loss_curve_ = progress.losses
        # Without one finite epoch (data that overflow at once) there is no loss to tell.
        self.loss_ = progress.losses[-1] if progress.losses else math.nan
        self._stale = progress.stale
        early = self.early_stopping
        self.best_loss_ = None if early else progress.best_loss
        self.validation_scores_ = progress.scores if early else None
        self.best_validation_score_ = progress.best_score if early else None
        self._best_w = progress.best_w if early else None

    def _hold_out(self, problem: NetworkProblem, y: Any, rng: Any) -> Any:
        """The problem of the training part, and the score on the validation part."""
        xp, n, net = problem.xp, problem.n_samples, problem.net
        # scikit-learn stratifies binary problems only.
        stratify = to_numpy(problem.y) if net.output == "logistic" and net.sizes[-1] == 1 else None
        train, held = train_test_split(
            np.arange(n), random_state=rng, test_size=self.validation_fraction, stratify=stratify
        )
        if held.shape[0] < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of "
                f"your dataset: {held.shape[0]} of {n} samples were held out."
            )

        def rows(a: Any, index: Any) -> Any:
            if a is None:
                return None
            if hasattr(a, "tocsc"):
                return a[index]
            index = xp.asarray(index, device=problem.device)
            return xp.take(a, index, axis=0)

        X_held, weights_held = rows(problem.X, held), rows(problem.sample_weight, held)
        y_held = to_numpy(y)[held]
        if weights_held is not None:
            weights_held = to_numpy(weights_held)

        def score(w: Any) -> float:
            response = net.predict(w, X_held)
            if not bool(xp.all(xp.isfinite(response))):
                return float("nan")
            return self._validation_score(y_held, self._decode(response), weights_held)

        part = self._problem(
            rows(problem.X, train),
            rows(problem.y, train),
            rows(problem.sample_weight, train),
            net,
            problem.initial,
        )
        return part, score

    # --- prediction -----------------------------------------------------------------------------

    def _response(self, X: Any, method: str) -> Any:
        """The network's mean response, shape ``(n, outputs)``."""
        check_is_fitted(self)
        X = check_X(self, X, method=method)
        sizes = [self.coefs_[0].shape[0], *(c.shape[1] for c in self.coefs_)]
        net = Network(sizes, self.activation, self.out_activation_)
        return net.respond(self.coefs_, self.intercepts_, X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
