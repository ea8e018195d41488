"""What the networks for raw tables share: encode, train members on different rows, average."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import cycle
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils import _safe_indexing, check_consistent_length, check_random_state
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import _num_samples, check_is_fitted
from threadpoolctl import threadpool_limits

from skopt_dl._sklearn.base import EngineEstimator, fit_method
from skopt_dl._sklearn.parameters import check_choice, check_number, check_running
from skopt_dl._sklearn.tables import is_frame
from skopt_dl._sklearn.validation import check_weights
from skopt_dl.dispatch import SOLVERS
from skopt_dl.neural_network._options import asked_options, warn_of_unused
from skopt_dl.neural_network.dropout import Dropout
from skopt_dl.neural_network.held_out import BestEpoch, parts
from skopt_dl.neural_network.network import Network, activations_of
from skopt_dl.neural_network.pretraining import check_start, drawn, learn, packed
from skopt_dl.neural_network.problem import NetworkProblem
from skopt_dl.neural_network.table_encoder import TableEncoder
from skopt_dl.search.schedules import Cosine

# Members of "auto".
MEMBERS = 12
# Fewer rows than this are few: Muon is slow on them, and what has many parameters learns noise.
FEW_ROWS = 1500
# Fewer rows than this are all trained on: a held-out part would be too small to choose by.
TOO_FEW_TO_HOLD_OUT = 20
# Batches of "auto": so small that an epoch has about this many updates, within bounds.
UPDATES, SMALLEST_BATCH, LARGEST_BATCH = 16, 16, 256
# Learning rate and epochs of "auto", and those of Muon, whose steps have a length of their own. Its
# products cost the same however small a batch is: on small tables it takes several times as long as
# Adam, and its log-loss is worse there. On larger ones it is better where there is little noise and
# worse where there is much (``python -m benchmarks.tabular``).
PLAN, PLAN_OF_MUON = (0.006, 64), (0.02, 32)

# What numbers become with "auto" for every other member, besides their scaled selves. Either is
# better on some tables, and the two err differently.
EMBEDDING = "piecewise_linear"

ENCODER_PARAMETERS = (
    "categorical_features",
    "max_levels",
    "n_bins",
    "dtype",
    "random_state",
)


@dataclass
class Rows:
    """Encoded training rows, their targets in the form of the output, labels and weights."""

    X: np.ndarray
    targets: np.ndarray
    labels: np.ndarray
    weights: np.ndarray | None

    def __getitem__(self, index: np.ndarray) -> Rows:
        weights = None if self.weights is None else self.weights[index]
        return Rows(self.X[index], self.targets[index], self.labels[index], weights)

    @property
    def n_rows(self) -> int:
        return self.X.shape[0]


class TabularPerceptron(EngineEstimator):
    """What the classifier and the regressor share."""

    _output: ClassVar[str]
    # The automatic solvers of tables that are not small, where members take turns, and their
    # automatic activation.
    _auto_solvers: ClassVar[tuple[str, ...]]
    _auto_activation: ClassVar[Any]
    # Of those that have classes.
    class_weight: Any = None
    _embeddings: ClassVar[tuple[str | None, ...]] = (None, "piecewise_linear", "periodic")

    @abstractmethod
    def _check_target(self, y: Any) -> np.ndarray:
        """Validated ``y`` as a NumPy array."""

    @abstractmethod
    def _encode_target(self, y: np.ndarray, weights: Any) -> tuple[np.ndarray, np.ndarray]:
        """Targets of shape ``(n, K)``, and one label per row by which the parts are balanced."""

    @abstractmethod
    def _held_out_loss(self, z: np.ndarray, held: Rows) -> float:
        """Loss of raw outputs ``z`` for held-out rows."""

    @abstractmethod
    def _learn_from_held_out(
        self, outputs: list[np.ndarray], held: list[np.ndarray], rows: Rows
    ) -> None:
        """Set what is fitted on the raw outputs of each member for those of the ``rows`` that it
        held out; both lists are empty where none are."""

    # --- parameters -----------------------------------------------------------------------------

    def _check_parameters(self) -> None:
        if not self._is_auto("activation"):
            activations_of(self.activation, len(self._hidden_sizes()))
        check_number(self, "alpha", low=0)
        if not self._is_auto("learning_rate_init"):
            check_number(self, "learning_rate_init", low=0, open_low=True)
        check_number(self, "validation_fraction", low=0, high=0.5)
        check_choice(self, "numerical_embedding", self._embeddings)
        check_choice(self, "dtype", ("float32", "float64"))
        check_number(self, "dropout", low=0, high=np.nextafter(1, 0))
        check_number(self, "decoupled_weight_decay", low=0)
        check_number(self, "max_grad_norm", low=0, open_low=True, optional=True)
        check_number(self, "n_threads", Integral, low=1, optional=True)
        check_start(self.initialisation)
        check_running(self)
        warn_of_unused(self)
        check_number(self, "max_time", low=0, open_low=True, optional=True)
        for name in ("batch_size", "max_iter", "n_ensemble"):
            if not self._is_auto(name):
                check_number(self, name, Integral, low=1)

    def _is_auto(self, name: str) -> bool:
        given = getattr(self, name)
        return isinstance(given, str) and given == "auto"

    def _set_plan(self, n: int, k: int = 0) -> None:
        """Solver, rate and epochs of member ``k`` on a table of ``n`` rows."""
        self._rule = self.solver
        if self._is_auto("solver"):
            turns = self._auto_solvers if n >= FEW_ROWS else ("adam",)
            # Each view of the table has each solver.
            self._rule = turns[k // len(self._views) % len(turns)]
        if self._rule == "adam" and self.decoupled_weight_decay > 0:
            self._rule = "adamw"
        rate, epochs = PLAN_OF_MUON if self._rule == "muon" else PLAN
        self._rate = rate if self._is_auto("learning_rate_init") else self.learning_rate_init
        self._epochs = epochs if self._is_auto("max_iter") else self.max_iter

    def _hidden_sizes(self) -> list[int]:
        given = self.hidden_layer_sizes
        sizes: list[Any] = list(given) if hasattr(given, "__iter__") else [given]
        if not all(isinstance(s, Integral) and int(s) > 0 for s in sizes):
            raise ValueError(
                f"{type(self).__name__}: hidden_layer_sizes={given!r}, but it must be an integer "
                "or a sequence of integers >= 1"
            )
        return [int(s) for s in sizes]

    def _solver_defaults(self) -> dict[str, Any]:
        schedule = Cosine(self._epochs) if self.schedule == "auto" else self.schedule
        asked = asked_options(self, self._rule) if isinstance(self._rule, str) else {}
        return {
            "learning_rate": self._rate,
            "schedule": schedule,
            "batch_size": self._batch_size,
            **asked,
        }

    def _auto_batch(self, n: int) -> int:
        """Samples per update of a solver given by name."""
        if self.batch_size != "auto":
            return self.batch_size
        power = 2 ** round(np.log2(max(1, n / UPDATES)))
        return int(min(max(power, SMALLEST_BATCH), LARGEST_BATCH))

    # --- fitting --------------------------------------------------------------------------------

    @fit_method
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the networks.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)
            A pandas or polars frame, or an array: numbers, strings, categories; values may be
            missing. Never written.
        y : array-like of shape (n_samples,)
            Class labels, or real numbers of a regressor (then also several columns).
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights; rows of weight 0 are left out.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        self._check_parameters()
        rows = self._read(X, y, sample_weight)
        self._set_layers(rows)
        with threadpool_limits(self.n_threads) if self.n_threads else nullcontext():
            self._train(rows)
        return self

    def _train(self, rows: Rows) -> None:
        """Train the members, and learn from what they held out."""
        rng = check_random_state(self.random_state)
        n_parts = self._n_parts(rows.n_rows)
        n_members = self._n_members()
        self.members_: list[np.ndarray] = []
        self.validation_losses_: list[list[float]] = []
        reports, outputs, held_rows, n_iter, solvers = [], [], [], 0, []
        for k in range(n_members):
            train, held = rows, None
            self._set_plan(rows.n_rows, k)
            if n_parts:
                # Two half parts each, one of which the next member holds out too: what two say
                # together about rows that neither has seen tells how sure all may be.
                if k % (2 * n_parts) == 0:
                    half = parts(rows.labels, 2 * n_parts, rng)
                out = (half - k) % (2 * n_parts) < 2
                held_rows.append(np.flatnonzero(out))
                train, held = rows[np.flatnonzero(~out)], rows[held_rows[-1]]
            train, held = self._seen(train, k), None if held is None else self._seen(held, k)
            raw = self._raws[k % len(self._views)]
            problem, best = self._member(raw, train, held, rng)
            result = self._solve(
                problem,
                tol=None,
                max_iter=self._epochs,
                unpack=self._unpack,
                extra=(best,),
                rng=rng,
                part=(k, n_members),
                part_name="member",
                solver=self._rule,
            )
            w = result.w if best.w is None else best.w
            self.members_.append(w)
            self.validation_losses_.append(best.losses)
            reports.append(result.report())
            solvers.append(SOLVERS.name_of(result.solver))
            n_iter = max(n_iter, result.n_iter)
            if held is not None:
                outputs.append(raw.predict(w, held.X))
        self._learn_from_held_out(outputs, held_rows, rows)
        self.n_iter_ = n_iter
        self.solve_report_ = reports
        named = isinstance(self.solver, str) and self.solver != "auto"
        self.solver_ = self.solver if named else ", ".join(dict.fromkeys(solvers))

    def _build_problem(self, X: Any, y: Any, sample_weight: Any = None) -> NetworkProblem:
        """The problem of the first member on all rows.

        Validation sets ``n_features_in_`` and the classes: ask a clone, not an estimator in use.
        """
        self._check_parameters()
        rows = self._read(X, y, sample_weight)
        self._set_layers(rows)
        rng = check_random_state(self.random_state)
        self._set_plan(rows.n_rows)
        return self._member(self._raws[0], self._seen(rows, 0), None, rng)[0]

    def _read(self, X: Any, y: Any, sample_weight: Any) -> Rows:
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None"
            )
        weights = None
        if sample_weight is not None:
            X = X if is_frame(X) or isinstance(X, list) else np.asarray(X)
            n = _num_samples(X)
            weights = check_weights(sample_weight, np.empty((n, 1), self.dtype))
            check_consistent_length(X, y)
            used = np.flatnonzero(weights)
            y = np.asarray(y)
            X, y, weights = _safe_indexing(X, used), y[used], weights[used]
        embedding = EMBEDDING if self._is_auto("numerical_embedding") else self.numerical_embedding
        known = {name: getattr(self, name) for name in ENCODER_PARAMETERS}
        encoder = TableEncoder(numerical_embedding=embedding, **known)
        Z = encoder.fit_transform(X)
        self.encoder_ = encoder
        every = np.arange(Z.shape[1])
        self._views = [every]
        if self._is_auto("numerical_embedding") and encoder.embedded.shape[0]:
            self._views.append(np.setdiff1d(every, encoder.embedded))
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(encoder, name):
                setattr(self, name, getattr(encoder, name))
            elif hasattr(self, name):
                delattr(self, name)
        y = self._check_target(y)
        check_consistent_length(Z, y)
        if self.class_weight is not None:
            factors = compute_sample_weight(self.class_weight, y).astype(Z.dtype)
            weights = factors if weights is None else weights * factors
        targets, labels = self._encode_target(y, weights)
        return Rows(Z, np.ascontiguousarray(targets, dtype=Z.dtype), labels, weights)

    def _seen(self, rows: Rows, k: int) -> Rows:
        """The columns that member ``k`` is given."""
        if len(self._views) == 1:
            return rows
        X = rows.X[:, self._views[k % len(self._views)]]
        return Rows(np.ascontiguousarray(X), rows.targets, rows.labels, rows.weights)

    def _set_layers(self, rows: Rows) -> None:
        """Sizes of the layers above the inputs, and what the hidden ones apply."""
        self._layers = [*self._hidden_sizes(), rows.targets.shape[1]]
        self._activation = self._chosen_activation([rows.X.shape[1], *self._layers], rows)
        # Raw outputs are what the held-out loss, the temperature and the average start from.
        self._raws = [
            Network([len(view), *self._layers], self._activation, "identity")
            for view in self._views
        ]

    def _chosen_activation(self, sizes: list[int], rows: Rows) -> Any:
        if not self._is_auto("activation"):
            return self.activation
        # On few rows the shares of a trained one learn the noise.
        if rows.n_rows < FEW_ROWS:
            return "relu"
        if not self._is_auto("solver"):
            # Solvers that want curvature have none of shares.
            one = Network(sizes, self._auto_activation, self._output)
            problem = NetworkProblem(one, rows.X[:1], rows.targets[:1])
            named = isinstance(self.solver, str)
            rule = SOLVERS.get(self.solver)() if named else self.solver
            if rule.needs.missing(problem):
                return "relu"
        return self._auto_activation

    def _member(self, raw: Network, train: Rows, held: Rows | None, rng: Any) -> Any:
        """The problem of one member, whose raw outputs are ``raw``'s, and the rule that keeps its
        best epoch."""
        net = Network(raw.sizes, self._activation, self._output)
        self._batch_size = self._auto_batch(train.n_rows)
        w = packed(drawn(self.initialisation, net, rng), train.X)
        # The first outputs say nothing: no member has to unlearn a random answer.
        w[net.blocks[f"coef{len(net.shapes) - 1}"]] = 0
        problem = NetworkProblem(
            net,
            train.X,
            train.targets,
            alpha=self.alpha,
            sample_weight=train.weights,
            initial=w,
            dropout=Dropout(self.dropout, rng) if self.dropout > 0 else None,
            certified=False,
            description=lambda: f"{self!r} on a table of {train.n_rows} rows",
        )
        learn(self.initialisation, problem, rng)
        loss: Callable[[Any], float] | None = None
        if held is not None:
            loss = lambda w: self._held_out_loss(raw.predict(w, held.X), held)  # noqa: E731
        return problem, BestEpoch(self._epochs, loss)

    def _n_parts(self, n: int) -> int:
        """Parts of the rows, of which each member holds as much as one out; 0 where none is."""
        if self.validation_fraction == 0 or n < TOO_FEW_TO_HOLD_OUT:
            return 0
        return max(2, round(1 / self.validation_fraction))

    def _n_members(self) -> int:
        return MEMBERS if self._is_auto("n_ensemble") else self.n_ensemble

    def _unpack(self, w: Any) -> dict[str, Any]:
        return {"members_": [*self.members_, w]}

    # --- prediction -----------------------------------------------------------------------------

    def _outputs(self, X: Any) -> list[np.ndarray]:
        """Raw outputs of each member, shape ``(n, K)``."""
        check_is_fitted(self)
        # In double precision a row's answer does not depend, to seven digits, on its neighbours.
        Z = self.encoder_.transform(X).astype(np.float64)
        seen = [Z[:, columns] for columns in self._views] if len(self._views) > 1 else [Z]
        views = cycle(zip(self._raws, seen, strict=True))
        return [
            raw.predict(w.astype(np.float64), X)
            for w, (raw, X) in zip(self.members_, views, strict=False)
        ]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.non_deterministic = False
        return tags
