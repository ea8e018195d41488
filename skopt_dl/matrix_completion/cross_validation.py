"""Matrix completion with rank and penalty chosen on entries that a fit does not see."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from sklearn.utils import check_random_state

from skopt_dl._sklearn.base import fit_method
from skopt_dl._sklearn.parameters import check_choice, check_number
from skopt_dl.dispatch import resolve
from skopt_dl.engine import Stopping, run
from skopt_dl.kernels.namespace import to_float
from skopt_dl.matrix_completion._base import CompletionModel
from skopt_dl.matrix_completion.building import factor_problem
from skopt_dl.matrix_completion.estimator import MatrixCompletion
from skopt_dl.matrix_completion.pilot import Pilot
from skopt_dl.matrix_completion.prepared import Prepared
from skopt_dl.matrix_completion.rank import is_rank, rank_for
from skopt_dl.matrix_completion.robust import RobustLoss, deviation
from skopt_dl.matrix_completion.training import training_data

# The default ranks.
RANKS = (2, 5, 10)
# The default strengths, in units of the entries' standard deviation.
ALPHAS = tuple(float(a) for a in np.geomspace(1e-3, 1.0, 7))


class MatrixCompletionCV(CompletionModel):
    r"""Matrix completion whose rank and penalty have the least error on hidden entries.

    The entries of each row are spread over ``cv`` folds; for each rank and fold the strengths are
    tried from the smallest to the largest, each from the answer of the one before (the other way
    round no component that has vanished would return). The best pair is fitted to all entries.
    ``MatrixCompletion(alpha="auto")`` needs no such search. Gross errors among the hidden entries
    must not decide: with a robust loss that loss is what is compared, with one ``delta`` for all.

    Parameters
    ----------
    n_components : int, sequence of int or "auto", default="auto"
        Ranks to try, at most the smaller side of the matrix: a number above it is an error. "auto"
        is 2, 5 and 10, or those of them that fit.
    alphas : sequence of float or None, default=None
        Strengths to try. ``None`` is 7 of them from 0.001 to 1 times the standard deviation of the
        entries (beside the absolute loss they have no unit).
    cv : int, default=5
        Number of folds.
    penalty : {"ridge", "nuclear"}, default="ridge"
        As in `MatrixCompletion`.
    solver, loss, delta, fit_bias, scale, positive, input, missing_values, clip, add_indicator
        As in `MatrixCompletion`.
    keep_empty_features, max_iter, tol, random_state, device, dtype, n_jobs, max_time, verbose
        As in `MatrixCompletion`.

    Attributes
    ----------
    mse_path_ : array of shape (n_ranks, n_alphas, cv)
        Mean squared errors of the hidden entries; for a robust loss twice its mean.
    alphas_ : array of shape (n_alphas,)
        The strengths tried, in increasing order.
    alpha_, n_components_ : float, int
        The best of them.
    components_, row_factors_, ... : arrays
        Those of `MatrixCompletion`.

    Examples
    --------
    >>> import numpy as np
    >>> from skopt_dl.matrix_completion import MatrixCompletionCV
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(60, 2)) @ rng.normal(size=(2, 30)) + 0.1 * rng.normal(size=(60, 30))
    >>> X[rng.random(X.shape) < 0.3] = np.nan
    >>> MatrixCompletionCV(n_components=(1, 2, 4), random_state=0).fit(X).n_components_
    2
    """

    def __init__(
        self,
        n_components: Any = "auto",
        *,
        alphas: Any = None,
        cv: int = 5,
        solver: Any = "auto",
        loss: str = "squared",
        delta: Any = "auto",
        penalty: str = "ridge",
        fit_bias: Any = False,
        scale: bool = False,
        positive: bool = False,
        input: str = "auto",
        missing_values: float = np.nan,
        clip: Any = None,
        add_indicator: bool = False,
        keep_empty_features: bool = True,
        max_iter: int | None = None,
        tol: float = 1e-4,
        random_state: Any = None,
        device: Any = None,
        dtype: Any = None,
        n_jobs: int | None = None,
        max_time: float | None = None,
        verbose: bool = False,
    ) -> None:
        self.n_components = n_components
        self.alphas = alphas
        self.cv = cv
        self.solver = solver
        self.loss = loss
        self.delta = delta
        self.penalty = penalty
        self.fit_bias = fit_bias
        self.scale = scale
        self.positive = positive
        self.input = input
        self.missing_values = missing_values
        self.clip = clip
        self.add_indicator = add_indicator
        self.keep_empty_features = keep_empty_features
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state
        self.device = device
        self.dtype = dtype
        self.n_jobs = n_jobs
        self.max_time = max_time
        self.verbose = verbose

    @fit_method
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Choose rank and penalty, then fit the model to all observed entries.

        Parameters
        ----------
        X, y, sample_weight
            As in `MatrixCompletion.fit`.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a rank or a strength is not valid.
        """
        check_number(self, "cv", Integral, low=2)
        check_choice(self, "penalty", ("ridge", "nuclear"))
        given, alphas = self._ranks(), self._alphas()
        model = self._model(given[0], 1.0)
        model._check_parameters()
        data = Prepared.of(training_data(self, X, y, sample_weight), model)
        shape = data.observed.shape
        ranks = [rank_for(type(self).__name__, rank, shape) for rank in given]
        if self._is_auto:
            ranks = [rank for rank in RANKS if rank <= min(shape)] or [min(shape)]
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        robust = None
        if self.loss != "squared":
            robust = Pilot(self._model(max(ranks), "auto"), data, seed).loss()
        if alphas is None:
            alphas = self._unit(data) * np.asarray(ALPHAS)
        errors = np.empty((len(ranks), len(alphas), self.cv))
        folds = data.observed.folds(self.cv, seed)
        for k in range(self.cv):
            hidden = data.observed.xp.where(
                folds == k, data.observed.weights, data.observed.xp.zeros_like(folds)
            )
            for r, rank in enumerate(ranks):
                errors[r, :, k] = self._path(data, hidden, rank, alphas, seed, robust)
        means = np.mean(errors, axis=2)
        r, a = divmod(int(np.argmin(means)), len(alphas))
        best = self._model(ranks[r], float(alphas[a])).fit(X, y, sample_weight)
        for name in ("row_ids_", "col_ids_", "indicator_features_", "loss_delta_"):
            if hasattr(self, name):
                delattr(self, name)
        fitted = {n: v for n, v in vars(best).items() if n not in best.get_params(deep=False)}
        for name, value in fitted.items():
            setattr(self, name, value)
        self.mse_path_, self.alphas_ = errors, np.asarray(alphas)
        return self

    def _unit(self, data: Prepared) -> float:
        """What the default strengths are multiples of."""
        if self.loss == "absolute":
            return 1.0
        E = data.centred(True)
        if self.loss == "huber":
            unit = deviation(E.values, E.weights)
        else:
            unit = to_float(E.dot(E.values, E.values) / E.total) ** 0.5
        return unit if unit > 0 else 1.0

    def _path(
        self,
        data: Prepared,
        hidden: Any,
        rank: int,
        alphas: Any,
        seed: int,
        robust: RobustLoss | None,
    ) -> list[float]:
        """Errors on the hidden entries from the smallest strength to the largest."""
        part, model = data.without(hidden, self.loss), self._model(rank, 1.0)
        kept, w, errors = part.observed, None, []
        pilot = None
        if robust is not None and not self.positive:
            pilot = Pilot(model, part, seed)
        for alpha in alphas:
            problem = factor_problem(model, part, float(alpha), robust)
            problem.seed = seed
            if w is None:
                w = problem.start() if pilot is None else pilot.start(problem)
            solver = resolve(self.solver, problem)[0]
            budget = solver.default_max_iter if self.max_iter is None else self.max_iter
            result = run(
                problem,
                solver,
                start=w,
                stopping=Stopping(tol=self.tol, max_iter=budget, max_time=self.max_time),
                rng=np.random.default_rng(seed),
            )
            w = result.w
            predicted = kept.products(*problem.factors(w))
            if self.fit_bias:
                predicted = predicted + part.mean
            E = predicted - data.observed.values
            each = E * E if robust is None else 2 * robust.value(E)
            total = to_float(kept.xp.sum(hidden))
            errors.append(to_float(kept.xp.sum(hidden * each)) / max(total, 1e-300))
        return errors

    def _model(self, rank: Any, alpha: Any) -> MatrixCompletion:
        own: Mapping[str, Any] = self.get_params(deep=False)
        shared = {k: v for k, v in own.items() if k not in ("n_components", "alphas", "cv")}
        return MatrixCompletion(rank, alpha=alpha, **shared)

    @property
    def _is_auto(self) -> bool:
        return isinstance(self.n_components, str) and self.n_components == "auto"

    def _ranks(self) -> list[Any]:
        given = self.n_components
        if self._is_auto:
            return [given]
        ranks: list[Any] = [given] if isinstance(given, (Integral, str)) else list(given)
        if not ranks or not all(is_rank(r) for r in ranks):
            raise ValueError(
                f"MatrixCompletionCV: the parameter n_components={given!r} is not valid; it must "
                "be 'auto', an integer of at least 1, or several"
            )
        return [int(r) for r in ranks]

    def _alphas(self) -> Any:
        if self.alphas is None:
            return None
        alphas: list[Any] = list(self.alphas)
        if not alphas or not all(isinstance(a, Real) and 0 <= float(a) < np.inf for a in alphas):
            raise ValueError(
                f"MatrixCompletionCV: the parameter alphas={self.alphas!r} is not valid; it must "
                "be None or numbers of at least 0"
            )
        return sorted(float(a) for a in alphas)
