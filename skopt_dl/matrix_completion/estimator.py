"""The matrix completion estimator."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if

from skopt_dl._sklearn.base import fit_method
from skopt_dl.engine import Problem
from skopt_dl.matrix_completion._base import CompletionModel
from skopt_dl.matrix_completion.checks import check_parameters
from skopt_dl.matrix_completion.fitted import fitted_attributes
from skopt_dl.matrix_completion.prepared import Prepared
from skopt_dl.matrix_completion.solving import first_problem, solved
from skopt_dl.matrix_completion.streaming import (
    adds_up,
    check_new_rows,
    check_streams,
    equations_of,
    expected_equations,
    grown,
)
from skopt_dl.matrix_completion.training import Training, training_data


class MatrixCompletion(CompletionModel):
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
    n_components : int or "auto", default="auto"
        Rank of ``U V'``, at most the smaller side of the matrix: a number above it is an error.
        "auto" is 10, or that side if it is shorter.
    alpha : float or "auto", default="auto"
        Strength of the penalty per observed entry, ``>= 0``. It competes with squared errors
        through products of factors, so it scales as the entries do: scale these to about one.
        "auto" learns it from the data: the factors get Gaussian priors, and their precisions and
        that of the noise are fitted by variational Bayes (what solver="auto" then takes). A solver
        that minimises the objective above gets the strength that this has found.
        0 asks for an exact or least-squares fit without a penalty.
    solver : str or Solver, default="auto"
        ``"auto"``, the name of a solver or an instance with options of its own.
    loss : {"squared", "huber", "absolute"}, default="squared"
        What the difference r of model and entry costs, in the place of :math:`\tfrac12 r^2`
        above. "huber" is that up to ``delta`` and goes on straight, "absolute" is ``|r|``: then
        gross errors of single entries do not bend the model. Beside "absolute" the strength
        ``alpha`` has no unit.
    delta : float or "auto", default="auto"
        Where Huber's loss goes straight on, in the units of the entries; or how much the corner
        of the absolute loss is rounded. "auto" is 1.345 standard deviations of the noise, as a
        first fit finds it; and a hundredth of that of the entries.
    penalty : {"ridge", "nuclear", "nuclear_ball"}, default="ridge"
        "ridge" counts each factor by its number of entries, as in the formula above. "nuclear" is
        the convex :math:`\alpha |Z|_* / \sqrt{mn}` of the completed matrix Z, in factors of rank
        ``n_components``: ``solve_report_`` then has a duality gap, which closes if that rank is
        enough, and ``tol`` bounds it relative to the objective of Z = 0. Where entries are spread
        evenly both penalties are the same. "nuclear_ball" is the constraint
        :math:`|Z|_* / \sqrt{mn} \le` ``radius`` in the place of a penalty, with such a gap too;
        ``alpha_`` is then the strength that has the same answer, by which rows are folded in.
    radius : float or None, default=None
        Bound of the nuclear norm over :math:`\sqrt{mn}`, in the units of the entries; needed by
        ``penalty="nuclear_ball"`` alone.
    fit_bias : {False, "rows", "cols", "both"}, default=False
        Model the mean of the observed entries and a bias of each row, each column, or both.
    noise : {"auto", "common", "rows"}, default="auto"
        With ``alpha="auto"``, whether all rows have one noise or each its own: some people judge
        more steadily than others, and who does counts for more. "auto" is "rows" for pairs if the
        solver draws, as "gibbs" does.
    scale : bool, default=False
        Divide each column by the standard deviation of its entries, for the fit alone: for tables
        whose columns have units of their own.
    positive : bool, default=False
        Factors of numbers that are not negative: components add up and are never subtracted.
    input : {"auto", "matrix", "pairs"}, default="auto"
        What `fit` is given. "auto" takes X for pairs if it has exactly two columns of an integer
        type and there is a ``y``, else for a matrix (and then ignores ``y``).
    missing_values : float, default=nan
        What marks a missing cell. Stored entries of a sparse matrix that equal it are missing too.
    clip : {None, "data"} or pair of float, default=None
        Keep completed and predicted values within a range: that of the training data, or the one
        given. ``None`` is no limit.
    add_indicator : bool, default=False
        Let `transform` append a column of zeros and ones for each column that had missing cells at
        the fit, as scikit-learn's imputers do.
    keep_empty_features : bool, default=True
        Keep columns without any entry (filled by the mean) in what `transform` returns.
    max_iter : int or None, default=None
        Iterations at most, in the solver's unit; ``None`` is the solver's own budget.
    tol : float, default=1e-4
        Bound on the stationarity :math:`\|\nabla F\| \|w\| / F(0)` of all parameters w: the
        first-order decrease that a step as long as w could promise, relative to the objective
        without any factors. It means this for every solver of that objective. Variational Bayes
        ends where a further turn gains less than ``tol`` in the log evidence per entry.
    n_init : int, default=1
        Number of starts, the first from leading singular vectors, the others random; the solution
        with the least objective is kept. The problem is not convex. Without a penalty the first
        one that fits the entries to ``tol`` of their size is the last.
    warm_start : bool, default=False
        Start from the column factors of the previous `fit`, which must have had the same features
        (with pairs: those ids that are known).
    random_state : int, RandomState instance or None, default=None
        Randomness of the starts and of stochastic solvers.
    device : str or None, default=None
        Where to compute. ``None`` is where X is.
    dtype : {None, "float32", "float64"}, default=None
        Precision of the fit. ``None`` is that of X.
    n_jobs : int or None, default=None
        Threads of the compiled kernels; the results do not depend on it.
    max_time : float or None, default=None
        Seconds of each solve at most; results then depend on the machine.
    verbose : bool, default=False
        Print a line per report.

    Attributes
    ----------
    components_ : array of shape (n_components, n_columns)
        Column factors ``V'``, orthogonal (columns count by their entries) and in decreasing order
        of size. Columns without any entry have zeros, or the mean of a learned prior.
    row_factors_ : array of shape (n_rows, n_components)
        Row factors ``U`` of the training data: those that `transform` would compute.
    row_bias_, col_bias_ : arrays of shape (n_rows,) and (n_columns,)
        Biases ``a`` and ``c``; zeros where they are not fitted.
    mean_ : float
        Weighted mean of the observed entries (divided by their columns' units if ``scale``);
        their median if the loss is not squared.
    alpha_ : float
        The strength of the penalty: as given, or as learned.
    noise_variance_ : float
        Variance of the noise: as learned, or the mean squared residual; for a robust loss from
        the median absolute residual.
    loss_delta_ : float
        The delta of a robust loss, as given or as found.
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
    With ``alpha="auto"`` nothing needs to be tuned: "vb" learns the penalty, and components that
    the data do not ask for vanish, so that ``n_components`` is an upper bound only. "gibbs" draws
    from the same posterior and is more accurate on sparse ratings, at more cost; both give
    ``return_std``. With a number "als" solves ridge regressions of all rows and all columns in
    turn, and with ``alpha=0`` "gauss_newton" and, near the least number of entries that determines
    the matrix, "irls" recover an exact low-rank matrix to rounding.

    Every row is completed from its own entries and the column factors alone: the result does not
    depend on which other rows are transformed with it.

    A cell whose row or column has no observed entry at all is filled by ``mean_`` plus the biases
    that are known, never by NaN. With ``alpha="auto"`` the priors' means, which are learned, stand
    for what is not known: a new film gets what films without a name get, from this user.

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
    >>> model = MatrixCompletion(n_components=1, alpha=0)
    >>> model.fit_transform(X).round(2)
    array([[1. , 0.5, 2. ],
           [2. , 1. , 4. ],
           [3. , 1.5, 6. ],
           [4. , 2. , 8. ]])
    >>> model.solver_
    'irls'

    Ratings: pairs (user, item) with their values, and a user that was never seen.

    >>> pairs, ratings = [[0, 0], [0, 1], [1, 0], [2, 1]], [5.0, 3.0, 4.0, 1.0]
    >>> model = MatrixCompletion(n_components=1, fit_bias="both", alpha=0.1)
    >>> model.fit(pairs, ratings).predict([[1, 1], [7, 0]]).round(1)
    array([2.3, 4.1])
    """

    def __init__(
        self,
        n_components: Any = "auto",
        *,
        alpha: Any = "auto",
        solver: Any = "auto",
        loss: str = "squared",
        delta: Any = "auto",
        penalty: str = "ridge",
        radius: float | None = None,
        fit_bias: Any = False,
        noise: str = "auto",
        scale: bool = False,
        positive: bool = False,
        input: str = "auto",
        missing_values: float = np.nan,
        clip: Any = None,
        add_indicator: bool = False,
        keep_empty_features: bool = True,
        max_iter: int | None = None,
        tol: float = 1e-4,
        n_init: int = 1,
        warm_start: bool = False,
        random_state: Any = None,
        device: Any = None,
        dtype: Any = None,
        n_jobs: int | None = None,
        max_time: float | None = None,
        verbose: bool = False,
    ) -> None:
        self.n_components = n_components
        self.alpha = alpha
        self.solver = solver
        self.loss = loss
        self.delta = delta
        self.penalty = penalty
        self.radius = radius
        self.fit_bias = fit_bias
        self.noise = noise
        self.scale = scale
        self.positive = positive
        self.input = input
        self.missing_values = missing_values
        self.clip = clip
        self.add_indicator = add_indicator
        self.keep_empty_features = keep_empty_features
        self.max_iter = max_iter
        self.tol = tol
        self.n_init = n_init
        self.warm_start = warm_start
        self.random_state = random_state
        self.device = device
        self.dtype = dtype
        self.n_jobs = n_jobs
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
        return self._fit(training_data(self, X, y, sample_weight))[0]

    @available_if(adds_up)
    @fit_method
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Add rows to the model, and let the columns learn from them.

        The first call is a `fit`. Later ones fold the new rows in, add their normal equations to
        those of the columns, solve these (one ridge regression a column, whose entries are all so
        far) and fold the new rows in once more. The rows themselves are not kept, and what they
        said stays as it was under the columns of that time: a `fit` on all rows is at least as
        good. Penalty, mean, units of the columns and noise stay those of the first call.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_rows, n_columns), or (n_entries, 2)
            More rows, of the form of the first; pairs name new rows, and known or new columns.
        y : array-like of shape (n_entries,), optional
            Values of the pairs; ignored for a matrix.
        sample_weight : array-like of shape (n_rows,) or (n_entries,), optional
            Non-negative weights of the rows, or of the pairs.

        Returns
        -------
        self : object
            The model of all the rows so far. `row_factors_` grows by the new rows, the earlier
            ones' stay as they were.

        Raises
        ------
        ValueError
            For a robust loss or draws of the posterior, which have no such equations; for pairs
            with a row that is known already.

        Notes
        -----
        After a `fit`, which keeps no equations, each column begins with those of the mean row, at
        which it stands where it is: the new rows count as if the old ones had been a draw from all.
        """
        self._check_parameters()
        if not hasattr(self, "components_"):
            training = training_data(self, X, y, sample_weight)
            _, data = self._fit(training)
            check_streams(self)
            self._equations = equations_of(self._columns, data.observed, training.row_copies)
            return self
        check_streams(self)
        training = training_data(self, X, y, sample_weight, more=True)
        if training.row_ids is not None:
            check_new_rows(training.row_ids, self.row_ids_)
        before = getattr(self, "_equations", None)
        before = expected_equations(self) if before is None else before
        for name, value in grown(self, before, training).items():
            setattr(self, name, value)
        return self

    def _fit(self, training: Training) -> tuple[Self, Prepared]:
        rng = check_random_state(self.random_state)
        data = Prepared.of(training, self)

        def interim(problem: Any, w: Any) -> dict[str, Any]:
            return fitted_attributes(self, problem, None, data, w)

        problem, best = solved(self, data, rng, interim)
        for name in ("row_ids_", "col_ids_", "indicator_features_", "loss_delta_", "_equations"):
            if hasattr(self, name):
                delattr(self, name)
        for name, value in fitted_attributes(self, problem, best, data).items():
            setattr(self, name, value)
        return self, data

    def _check_parameters(self) -> None:
        check_parameters(self)

    def _build_problem(self, X: Any, y: Any = None, sample_weight: Any = None) -> Problem:
        """The problem that `fit` would solve (first) on these raw data.

        Validation sets ``n_features_in_``: ask a clone, not an estimator in use.
        """
        self._check_parameters()
        data = Prepared.of(training_data(self, X, y, sample_weight), self)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        return first_problem(self, data, seed)
