"""The matrix completion estimator."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import OneToOneFeatureMixin, TransformerMixin
from sklearn.metrics import r2_score
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from skopt_dl._sklearn.arrays import is_foreign, put_beside
from skopt_dl._sklearn.base import EngineEstimator, fit_method
from skopt_dl._sklearn.parameters import check_choice, check_flag, check_number
from skopt_dl._sklearn.validation import check_X
from skopt_dl.dispatch import SOLVERS
from skopt_dl.engine import SolveResult
from skopt_dl.kernels.namespace import namespace_of, to_float, to_numpy
from skopt_dl.matrix_completion.observed import ObservedMatrix, observe
from skopt_dl.matrix_completion.pairs import check_pairs, positions
from skopt_dl.matrix_completion.problem import FactorProblem
from skopt_dl.matrix_completion.training import Training, training_data

# Share of each row's entries that `score` hides.
HIDDEN_SHARE = 0.2


def _works_on_pairs(estimator: Any) -> bool:
    """Whether X means pairs, after a fit or by ``input``: only then does ``predict`` exist."""
    fitted = hasattr(estimator, "components_")
    if hasattr(estimator, "row_ids_") or (estimator.input == "pairs" and not fitted):
        return True
    raise AttributeError(
        "MatrixCompletion has predict after a fit on pairs (or with input='pairs') only; "
        "transform(X) fills the missing cells of a matrix, and predict_entries(pairs) gives the "
        "values at its (row, column) positions"
    )


class MatrixCompletion(OneToOneFeatureMixin, TransformerMixin, EngineEstimator):
    r"""Fill the missing entries of a matrix by a low-rank model of the observed ones.

    .. math::

        \min_{U, V, a, c}\ \frac{1}{\sum \omega_{ij}} \sum_{(i,j)\ \text{observed}} \omega_{ij}
        \Big[ \tfrac12 (\mu + u_i'v_j + a_i + c_j - x_{ij})^2
        + \tfrac\alpha2 \big(|u_i|^2 + |v_j|^2 + a_i^2 + c_j^2\big) \Big]

    with biases a and c and the mean :math:`\mu` of the observed entries only if ``fit_bias`` asks
    for them, and without weights all :math:`\omega = 1`. It is a mean over observed entries, the
    penalty included, so ``alpha`` means the same for few and for many entries.

    Three kinds of data are understood:

    - an array or data frame, where ``missing_values`` (NaN) marks the missing cells;
    - a sparse matrix, where the stored entries are the observed ones (stored zeros too);
    - pairs (row, column) with values ``y``, as ratings come, which can be split into folds.

    Parameters
    ----------
    n_components : int, default=10
        Rank of ``U V'``; at most the smaller side of the matrix is used.
    alpha : float, default=0.05
        Strength of the penalty per observed entry, ``>= 0``. It competes with squared errors
        through products of factors, so it scales as the entries do: scale these to about one.
    solver : str or Solver, default="auto"
        ``"auto"``, the name of a solver or an instance with options of its own.
    fit_bias : {False, "rows", "cols", "both"}, default=False
        Model the mean of the observed entries and a bias of each row, each column, or both.
    input : {"auto", "matrix", "pairs"}, default="auto"
        What `fit` is given. "auto" takes X for pairs if it has exactly two columns of an integer
        type and there is a ``y``, else for a matrix (and then ignores ``y``).
    missing_values : float, default=nan
        What marks a missing cell. Stored entries of a sparse matrix that equal it are missing too.
    max_iter : int or None, default=None
        Iterations at most, in the solver's unit; ``None`` is the solver's own budget.
    tol : float, default=1e-4
        Bound on the stationarity :math:`\|\nabla F\| \|w\| / F(0)` of all parameters w: the
        first-order decrease that a step as long as w could promise, relative to the objective
        without any factors. It means this for every solver.
    n_init : int, default=1
        Number of starts, the first from leading singular vectors, the others random; the solution
        with the least objective is kept. The problem is not convex.
    warm_start : bool, default=False
        Start from the column factors of the previous `fit`, which must have had the same features
        (with pairs: those ids that are known).
    random_state : int, RandomState instance or None, default=None
        Randomness of the starts and of stochastic solvers.
    device : str or None, default=None
        Where to compute. ``None`` is where X is.
    max_time : float or None, default=None
        Seconds of each solve at most; results then depend on the machine.
    verbose : bool, default=False
        Print a line per report.

    Attributes
    ----------
    components_ : array of shape (n_components, n_columns)
        Column factors ``V'``, orthogonal (columns count by their entries) and in decreasing order
        of size. Columns without any entry have zeros.
    row_factors_ : array of shape (n_rows, n_components)
        Row factors ``U`` of the training data: those that `transform` would compute.
    row_bias_, col_bias_ : arrays of shape (n_rows,) and (n_columns,)
        Biases ``a`` and ``c``; zeros where they are not fitted.
    mean_ : float
        Weighted mean of the observed entries.
    n_components_ : int
        The rank used.
    row_ids_, col_ids_ : arrays of int
        The distinct ids of a fit on pairs, in the order of the factors.
    loss_curve_ : list of float
        The objective wherever it was evaluated (after 1, 2, 4 ... iterations and at the end).
    n_iter_ : int
        Iterations of the solve that was kept.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : array of shape (n_features,)
        Their names, where X has names that are strings.
    solver_ : str
        Name of the solver that ran.
    solve_report_ : SolveReport
        Status, settings, certificate, timings and history of the solve that was kept.

    See Also
    --------
    sklearn.decomposition.TruncatedSVD : Low rank without missing entries.
    sklearn.impute.IterativeImputer : Fills by regressions of each feature on the others.

    Notes
    -----
    "als", what "auto" takes, solves ridge regressions of all rows and all columns in turn.
    Every row is completed from its own entries and the column factors alone: the result does not
    depend on which other rows are transformed with it.

    A cell whose row or column has no observed entry at all is filled by ``mean_`` plus the biases
    that are known, never by NaN.

    `cross_val_predict` and tools like it look for ``predict`` before a fit: give them an estimator
    with ``input="pairs"``. Without it, ``predict`` appears with a fit on pairs.

    Weights: one per row of a matrix or one per pair. An integer weight counts as the row (or pair)
    repeated, and weight zero as the row (or pair) left out.

    Counting the penalty per entry amounts to a weighted trace norm, which suits entries that are
    spread unevenly [2]_.

    References
    ----------
    .. [1] Y. Koren, R. Bell, C. Volinsky, "Matrix factorization techniques for recommender
       systems", IEEE Computer 42 (2009).
    .. [2] R. Salakhutdinov, N. Srebro, "Collaborative filtering in a non-uniform world: learning
       with the weighted trace norm", NIPS (2010).

    Examples
    --------
    >>> import numpy as np
    >>> from skopt_dl.matrix_completion import MatrixCompletion
    >>> X = np.outer([1.0, 2.0, 3.0, 4.0], [1.0, 0.5, 2.0])
    >>> X[1, 2] = np.nan
    >>> model = MatrixCompletion(n_components=1, alpha=1e-5)
    >>> model.fit_transform(X).round(2)
    array([[1. , 0.5, 2. ],
           [2. , 1. , 4. ],
           [3. , 1.5, 6. ],
           [4. , 2. , 8. ]])
    >>> model.solver_
    'als'

    Ratings: pairs (user, item) with their values, and a user that was never seen.

    >>> pairs, ratings = [[0, 0], [0, 1], [1, 0], [2, 1]], [5.0, 3.0, 4.0, 1.0]
    >>> model = MatrixCompletion(n_components=1, fit_bias="both", alpha=0.1)
    >>> model.fit(pairs, ratings).predict([[1, 1], [7, 0]]).round(1)
    array([2.3, 4.1])
    """

    _host_attributes: ClassVar[frozenset[str]] = EngineEstimator._host_attributes | {
        "row_ids_",
        "col_ids_",
    }

    def __init__(
        self,
        n_components: int = 10,
        *,
        alpha: float = 0.05,
        solver: Any = "auto",
        fit_bias: Any = False,
        input: str = "auto",
        missing_values: float = np.nan,
        max_iter: int | None = None,
        tol: float = 1e-4,
        n_init: int = 1,
        warm_start: bool = False,
        random_state: Any = None,
        device: Any = None,
        max_time: float | None = None,
        verbose: bool = False,
    ) -> None:
        self.n_components = n_components
        self.alpha = alpha
        self.solver = solver
        self.fit_bias = fit_bias
        self.input = input
        self.missing_values = missing_values
        self.max_iter = max_iter
        self.tol = tol
        self.n_init = n_init
        self.warm_start = warm_start
        self.random_state = random_state
        self.device = device
        self.max_time = max_time
        self.verbose = verbose

    # --- fit ----------------------------------------------------------------------------------

    @fit_method
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the model to the observed entries.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_rows, n_columns), or (n_entries, 2)
            A matrix with missing entries, or pairs (row, column). Never written.
        y : array-like of shape (n_entries,), optional
            Values of the pairs; ignored for a matrix.
        sample_weight : array-like of shape (n_rows,) or (n_entries,), optional
            Non-negative weights of the rows, or of the pairs.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        self._check_parameters()
        training = training_data(self, X, y, sample_weight)
        mean = to_float(training.observed.mean())
        rng = check_random_state(self.random_state)
        problem = self._problem(training.observed, mean)

        def unpack(w: Any) -> dict[str, Any]:
            return self._attributes(problem, w, training, mean)

        results = []
        for k in range(self.n_init):
            problem.seed = int(rng.randint(2**31 - 1))
            start = self._start(problem, training) if k == 0 else problem.random_start()
            results.append(
                self._solve(
                    problem,
                    start=start,
                    tol=self.tol,
                    max_iter=self.max_iter,
                    unpack=unpack,
                    rng=rng,
                    part=(k, self.n_init),
                )
            )
        best = min(results, key=lambda r: r.certificate.objective)
        # End with the row solve of `transform`, whatever solver ran.
        fitted = unpack(problem.ordered(best.w))
        for name in ("row_ids_", "col_ids_"):
            if hasattr(self, name):
                delattr(self, name)
        for name, value in fitted.items():
            setattr(self, name, value)
        self._store_report(best)
        return self

    def _store_report(self, result: SolveResult) -> None:
        curve = [float(v) for v in result.history["objective"] if not math.isnan(v)]
        if not curve or curve[-1] != result.certificate.objective:
            curve.append(result.certificate.objective)
        self.loss_curve_ = curve
        self.n_iter_ = max(1, result.n_iter)
        self.solver_ = SOLVERS.name_of(result.solver)
        self.solve_report_ = result.report()

    def _check_parameters(self) -> None:
        check_number(self, "n_components", Integral, low=1)
        check_number(self, "alpha", low=0)
        check_choice(self, "fit_bias", (False, "rows", "cols", "both"))
        check_choice(self, "input", ("auto", "matrix", "pairs"))
        check_number(self, "max_iter", Integral, low=1, optional=True)
        check_number(self, "max_time", low=0, open_low=True, optional=True)
        check_number(self, "tol", low=0)
        check_number(self, "n_init", Integral, low=1)
        check_flag(self, "warm_start", "verbose")
        missing = self.missing_values
        if not isinstance(missing, Real) or isinstance(missing, bool) or math.isinf(missing):
            raise ValueError(
                f"MatrixCompletion: the parameter missing_values={missing!r} is not valid; it must "
                "be nan or a finite number"
            )

    def _problem(self, observed: ObservedMatrix, mean: float) -> FactorProblem:
        """The problem of a fit."""
        m, n = observed.shape
        return self._factor_problem(
            observed,
            mean,
            min(self.n_components, m, n),
            self.alpha,
            self.fit_bias,
            f"{self!r} on this {m} x {n} matrix of {observed.n_entries} {observed.dtype} entries",
        )

    @staticmethod
    def _factor_problem(
        observed: ObservedMatrix, mean: float, rank: int, alpha: float, bias: Any, description: str
    ) -> FactorProblem:
        return FactorProblem(
            observed.shifted(mean) if bias else observed,
            rank,
            alpha,
            row_bias=bias in ("rows", "both"),
            col_bias=bias in ("cols", "both"),
            description=description,
        )

    def _build_problem(self, X: Any, y: Any = None, sample_weight: Any = None) -> FactorProblem:
        """The problem that `fit` would solve on these raw data.

        Validation sets ``n_features_in_``: ask a clone, not an estimator in use.
        """
        self._check_parameters()
        observed = training_data(self, X, y, sample_weight).observed
        problem = self._problem(observed, to_float(observed.mean()))
        problem.seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        return problem

    def _start(self, problem: FactorProblem, training: Training) -> Any:
        """The spectral start, or with ``warm_start`` the earlier column factors."""
        if not (self.warm_start and hasattr(self, "components_")):
            return problem.start()
        xp = problem.xp
        old = xp.astype(self._column_parameters(), problem.dtype)
        n = problem.observed.shape[1]
        pairs = training.col_ids is not None
        known = getattr(self, "col_ids_", None)
        same = (known is not None) if pairs else (known is None and old.shape[0] == n)
        if not same or old.shape[1] != problem.kq:
            raise ValueError(
                "MatrixCompletion: warm_start=True needs the columns, the rank and fit_bias of the "
                f"previous fit: it had column parameters of shape {tuple(old.shape)}, and now they "
                f"would be {(n, problem.kq)}. Use warm_start=False"
            )
        if pairs:
            place, found = (put_beside(old, a) for a in positions(training.col_ids, known))
            fresh = problem.unpack(problem.start())[1]
            old = xp.where(found[:, None], xp.take(old, place, axis=0), fresh)
        return problem.from_cols(old)

    def _attributes(
        self, problem: FactorProblem, w: Any, training: Training, mean: float
    ) -> dict[str, Any]:
        """The fitted attributes that the flat parameters ``w`` stand for."""
        xp, k = problem.xp, problem.k
        P, Q = problem.unpack(w)
        copied = {"copy": True}
        attributes = {
            "components_": xp.asarray(Q[:, :k].T, **copied),
            "row_factors_": xp.asarray(P[:, :k], **copied),
            "row_bias_": xp.sum(P[:, k:], axis=1),
            "col_bias_": xp.sum(Q[:, k:], axis=1),
            "mean_": mean,
            "n_components_": k,
            # What transform needs of the parameters, which may have been set anew since.
            "_fitted_with": (self.alpha, self.fit_bias),
            "_row_seen": problem.observed.row_weight > 0,
            "_col_seen": problem.observed.col_weight > 0,
        }
        if training.row_ids is not None:
            attributes |= {"row_ids_": training.row_ids, "col_ids_": training.col_ids}
        return attributes

    # --- use ----------------------------------------------------------------------------------

    def _column_parameters(self) -> Any:
        """``Q = [V | c]``."""
        V = self.components_.T
        if self._fitted_with[1] not in ("cols", "both"):
            return V
        return namespace_of(V).concat([V, self.col_bias_[:, None]], axis=1)

    def _fold_in(self, observed: ObservedMatrix) -> tuple[Any, Any]:
        """``(L, R)`` with the model of these rows ``mean + L R'``, each from its own entries."""
        alpha, bias = self._fitted_with
        problem = self._factor_problem(
            observed, self.mean_, self.n_components_, alpha, bias, "new rows"
        )
        Q = problem.xp.astype(self._column_parameters(), observed.dtype)
        return problem.factors(problem.from_cols(Q))

    def _modelled(self, observed: ObservedMatrix) -> Any:
        """The model's value at every cell of these rows."""
        L, R = self._fold_in(observed)
        xp, M = observed.xp, L @ R.T
        if self._fitted_with[1]:
            return M + self.mean_
        known = (observed.row_weight > 0)[:, None] & self._col_seen[None, :]
        return xp.where(known, M, xp.full_like(M, self.mean_))

    def _new_rows(self, X: Any, method: str) -> Any:
        """Validated rows of a matrix, for a model that was fitted on one."""
        check_is_fitted(self)
        if hasattr(self, "row_ids_"):
            raise ValueError(
                f"this MatrixCompletion was fitted on pairs, which have no cells to fill: {method} "
                "needs a fit on a matrix. predict(pairs) gives the values at pairs"
            )
        return check_X(
            self,
            X,
            method=method,
            accept_sparse=("csr",),
            allow_nan=math.isnan(self.missing_values),
        )

    def transform(self, X: Any) -> Any:
        """Fill the missing cells.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_rows, n_columns)
            Rows, new or known, with missing cells.

        Returns
        -------
        array of shape (n_rows, n_columns)
            Observed cells as they are, missing ones from the model. Dense for sparse X too, since
            every cell has a value then.
        """
        X = self._new_rows(X, "transform")
        observed = observe(X, self.missing_values)
        return observed.filled(self._modelled(observed))

    def inverse_transform(self, X: Any) -> Any:
        """Return completed data as they are.

        Completing stays in the space of its input. The method is there so that a pipeline with a
        scaler in front can map completed data back to the original units.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_columns)
            Completed data.

        Returns
        -------
        array of shape (n_rows, n_columns)
            The same values.
        """
        return self._new_rows(X, "inverse_transform")

    @available_if(_works_on_pairs)
    def predict(self, X: Any) -> Any:
        """The model's values at pairs, after a fit on pairs.

        Parameters
        ----------
        X : array-like of shape (n_entries, 2)
            Pairs (row, column) of ids; those that were not seen are allowed.

        Returns
        -------
        array of shape (n_entries,)
            Values at the pairs, see `predict_entries`.
        """
        check_is_fitted(self)
        validate_data(self, X, reset=False, skip_check_array=True)
        return self.predict_entries(X)

    def predict_entries(self, pairs: Any) -> Any:
        """The model's values at (row, column) pairs of the training matrix.

        Parameters
        ----------
        pairs : array-like of shape (n_entries, 2)
            Ids after a fit on pairs; positions of rows and columns after a fit on a matrix. Those
            that were not seen are allowed.

        Returns
        -------
        array of shape (n_entries,)
            Values; where row or column was not seen, ``mean_`` and the biases that are known.
        """
        check_is_fitted(self)
        pairs = check_pairs("MatrixCompletion.predict_entries", pairs)
        U, xp = self.row_factors_, namespace_of(self.row_factors_)
        rows, seen_r = self._known(pairs[:, 0], "row_ids_", self._row_seen)
        cols, seen_c = self._known(pairs[:, 1], "col_ids_", self._col_seen)
        u = xp.take(U, rows, axis=0)
        v = xp.take(self.components_.T, cols, axis=0)
        zero = xp.zeros(rows.shape[0], dtype=U.dtype, device=U.device)
        both = seen_r & seen_c
        product = xp.sum(u * v, axis=1)
        if not self._fitted_with[1]:
            return xp.where(both, product, zero + self.mean_)
        biases = xp.where(seen_r, xp.take(self.row_bias_, rows), zero) + xp.where(
            seen_c, xp.take(self.col_bias_, cols), zero
        )
        return self.mean_ + biases + xp.where(both, product, zero)

    def _known(self, ids: Any, name: str, seen: Any) -> tuple[Any, Any]:
        """Position of each id among the factors (0 if unknown), and whether it was observed."""
        known = getattr(self, name, None)
        known = np.arange(seen.shape[0]) if known is None else known
        place, found = (put_beside(seen, a) for a in positions(ids, known))
        return place, found & namespace_of(seen).take(seen, place)

    def score(self, X: Any, y: Any = None) -> float:
        """Coefficient of determination on entries that the prediction does not see.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_rows, n_columns), or (n_entries, 2)
            For a matrix, a fifth of each row's observed cells is hidden (the same ones at every
            call, so that models are compared on the same cells) and predicted from the others.
            Pairs are predicted as they are.
        y : array-like of shape (n_entries,), optional
            True values of the pairs; ignored for a matrix.

        Returns
        -------
        float
            1 is perfect, 0 is as good as the mean of the true values.
        """
        check_is_fitted(self)
        if hasattr(self, "row_ids_"):
            if y is None:
                raise ValueError("MatrixCompletion.score: pairs need their true values y")
            return float(r2_score(to_numpy(y) if is_foreign(y) else y, to_numpy(self.predict(X))))
        observed = observe(self._new_rows(X, "score"), self.missing_values)
        return self._score_hidden(observed)

    def _score_hidden(self, observed: ObservedMatrix) -> float:
        xp, x = observed.xp, observed.values
        kept, hidden = observed.hide(HIDDEN_SHARE)
        total = to_float(xp.sum(hidden))
        if total < 2:
            raise ValueError(
                "MatrixCompletion.score hides a fifth of each row's observed cells and needs two "
                f"hidden cells at least, but these rows allow {int(total)}"
            )
        L, R = self._fold_in(kept)
        predicted = kept.products(L, R) + (self.mean_ if self._fitted_with[1] else 0.0)
        if not self._fitted_with[1]:
            known = kept.products(
                xp.astype(kept.row_weight > 0, x.dtype)[:, None],
                xp.astype(self._col_seen, x.dtype)[:, None],
            )
            predicted = xp.where(known > 0, predicted, xp.full_like(predicted, self.mean_))
        centre = xp.sum(hidden * x) / total
        spread = to_float(xp.sum(hidden * (x - centre) ** 2))
        error = to_float(xp.sum(hidden * (x - predicted) ** 2))
        if spread == 0:
            return 1.0 if error == 0 else 0.0
        return 1 - error / spread

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = math.isnan(self.missing_values)
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
