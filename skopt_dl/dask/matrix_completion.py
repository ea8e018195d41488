"""Matrix completion on Dask collections."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skopt_dl._sklearn.parameters import check_number
from skopt_dl.dask._base import DaskEstimator, whole_or_not
from skopt_dl.dask._collections import Rows, parts_of, values_beside
from skopt_dl.dask._column_answer import attributes, believed
from skopt_dl.dask._column_data import ColumnData
from skopt_dl.dask._column_posterior import ColumnPosterior
from skopt_dl.dask._column_problem import ColumnProblem
from skopt_dl.dask._column_sums import BlockSums
from skopt_dl.dask._column_tasks import checked
from skopt_dl.dask._install import dask
from skopt_dl.dask._pairs import groups_of, rows_attributes
from skopt_dl.dask._task_memory import FLOAT, completion_bytes
from skopt_dl.dispatch import SOLVERS, resolve
from skopt_dl.dispatch.resolve import IncompatibleSolverError
from skopt_dl.matrix_completion import MatrixCompletion as PlainMatrixCompletion
from skopt_dl.matrix_completion.rank import check_rank


class MatrixCompletion(DaskEstimator):
    r"""Fill the missing entries of a Dask matrix by a low-rank model, by alternating least squares.

    .. math::

        \min_{U, V}\ \frac1q \sum_{(i,j)\ \text{observed}}
        \Big[ \tfrac12 (u_i'v_j - x_{ij})^2 + \tfrac\alpha2 \big(|u_i|^2 + |v_j|^2\big) \Big]

    over q observed entries: `skopt_dl.MatrixCompletion` with squared errors and a ridge penalty,
    by default with the strength that the data ask for. A turn is one pass: each block solves its
    rows and returns sums for the columns.

    Parameters
    ----------
    n_components : int or "auto", default="auto"
        Rank of ``U V'``, at most the smaller side of the matrix: a number above it is an error.
        "auto" is 10, or that side if it is shorter.
    alpha : float or "auto", default="auto"
        Strength of the penalty per observed entry, positive. It scales as the entries do. "auto"
        learns it with the noise and the relevance of each component, by variational Bayes; another
        ``solver`` than "vb" then minimises the penalised objective at that strength.
    solver : str or Solver, default="auto"
        A solver that needs no more than exact minimisation over the columns, or their posteriors:
        "auto" is "vb" where ``alpha="auto"``, else "als".
    fit_bias : {False, "rows", "cols", "both"}, default=False
        Model the mean of the observed entries and a bias of each row, each column, or both.
    noise : {"auto", "common", "rows"}, default="auto"
        With ``alpha="auto"``, whether all rows have one noise or each its own, of which two
        numbers a row are with the client, and a turn is two passes. "auto" is "common".
    max_iter : int or None, default=None
        Turns at most; ``None`` is the solver's own budget.
    tol : float, default=1e-4
        Bound on the stationarity, as in `skopt_dl.MatrixCompletion`.
    random_state : int, RandomState instance or None, default=None
        Randomness of the start, from which leading singular vectors are found.
    max_time : float or None, default=None
        Seconds of solving at most.
    persist : bool, default=True
        Keep the blocks in the workers' memory between passes. Without it each pass reads and
        checks the data again.
    client : distributed.Client, optional
        Whose workers compute. Default: the current client, else Dask's scheduler.
    verbose : bool, default=False
        Whether to show the progress of each pass.

    Attributes
    ----------
    components_ : array of shape (n_components, n_columns)
        Column factors ``V'``, orthogonal and in decreasing order of size.
    col_bias_ : array of shape (n_columns,)
        Biases of the columns, zeros without.
    row_factors_, row_bias_ : arrays of shape (n_rows, n_components) and (n_rows,)
        Row factors ``U`` and biases of the rows; only after a fit on pairs.
    row_ids_, col_ids_ : arrays of int
        Ids of rows and columns, sorted; only after a fit on pairs.
    mean_ : float
        Mean of the observed entries.
    n_components_ : int
        The rank used.
    alpha_ : float
        The strength of the penalty, or what weighs as much as the learned priors.
    noise_variance_ : float
        The mean squared residual, or the variance of the noise that was learned.
    n_iter_ : int
        Turns.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : array of shape (n_features,)
        Their names, where X is a dataframe.
    solver_ : str
        Name of the solver that ran.
    solve_report_ : SolveReport
        Status, certificate, timings and history of the solve.
    task_bytes_ : int
        What a task holds at most, beside blocks that are kept.
    n_blocks_, n_passes_ : int
        Blocks of the training data, and how often each was asked for something.

    Notes
    -----
    The row factors of a matrix are not kept, since they have the size of a block for each block:
    the plain estimator of `to_local` then has no ``row_factors_`` and no ``predict_entries``. Its
    ``row_factors(X)`` computes those of given rows. Those of pairs come to the client, which
    `predict` needs; before, each block deals its entries out by their rows.

    A task holds a block and n k x k matrices of n columns and rank k; a sum holds eight times
    these.

    References
    ----------
    Y. Zhou, D. Wilkinson, R. Schreiber, R. Pan, "Large-scale parallel collaborative filtering for
    the Netflix prize", AAIM (2008).

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> from skopt_dl.dask import MatrixCompletion
    >>> X = np.outer(np.arange(1.0, 9.0), [1.0, 0.5, 2.0])
    >>> X[1, 2] = np.nan
    >>> blocks = da.from_array(X, chunks=(4, 3))
    >>> model = MatrixCompletion(n_components=1, alpha=1e-6).fit(blocks)
    >>> model.transform(blocks)[1].compute().round(2)
    array([2., 1., 4.])
    """

    _copied: ClassVar[tuple[str, ...]] = (
        "components_",
        "col_bias_",
        "row_factors_",
        "row_bias_",
        "row_ids_",
        "col_ids_",
        "mean_",
        "n_components_",
        "alpha_",
        "noise_variance_",
        "n_iter_",
        "solver_",
        "solve_report_",
    )

    def __init__(
        self,
        n_components: Any = "auto",
        *,
        alpha: float | str = "auto",
        solver: Any = "auto",
        fit_bias: Any = False,
        noise: str = "auto",
        max_iter: int | None = None,
        tol: float = 1e-4,
        random_state: Any = None,
        max_time: float | None = None,
        persist: bool = True,
        client: Any = None,
        verbose: bool = False,
    ) -> None:
        self.n_components = n_components
        self.alpha = alpha
        self.solver = solver
        self.fit_bias = fit_bias
        self.noise = noise
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state
        self.max_time = max_time
        self.persist = persist
        self.client = client
        self.verbose = verbose

    @property
    def _plain(self) -> type[PlainMatrixCompletion]:
        return PlainMatrixCompletion

    @whole_or_not
    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit the model to the observed entries.

        Parameters
        ----------
        X : dask array or dataframe of shape (n_rows, n_columns)
            A matrix in blocks of rows: arrays with NaN where entries are missing, or sparse
            matrices of the entries. Blocks of columns are joined. With ``y``: pairs (row, column)
            of integer ids, of shape (n_entries, 2).
        y : dask array or series of shape (n_entries,), optional
            The values at pairs.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        TypeError
            For data that are not Dask collections.
        ValueError
            For invalid data or parameters.
        IncompatibleSolverError
            For a solver that needs more than sums over blocks.
        """
        check_rank(self)
        if self.alpha != "auto":
            check_number(self, "alpha", low=0, open_low=True)
        plain, cluster, found = self._new_plain(input="matrix"), self._cluster(), parts_of(self, X)
        plain._check_parameters()
        self._check_solver()
        delayed, col_ids = dask().delayed, None
        if y is None:
            on_worker = delayed(checked, pure=True)
            blocks = [on_worker(i, part, found.dtype.str) for i, part in enumerate(found.parts)]
        else:
            blocks, col_ids = groups_of(cluster, found.parts, values_beside(self, found, y))
        blocks = cluster.persist(blocks) if self.persist else blocks
        n_columns = found.n_features if col_ids is None else len(col_ids)

        total = BlockSums(cluster, blocks)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        data = ColumnData(total, self.n_components, n_columns, bias=self.fit_bias, seed=seed)
        lengths = tuple(n for n, _ in total.extents)
        rows = Rows(blocks, found.n_features, found.names, lengths, found.dtype)
        # A constant beside the biases, as `with_ones` has it. A pair is two numbers and its value,
        # and gets two numbers among the rows and columns of its group.
        width, size = data.k + 2 * bool(self.fit_bias), rows.dtype.itemsize
        held = completion_bytes(total.extents, n_columns, width, size if y is None else 5 * FLOAT)
        self._say(rows, held)
        fitted, result = self._solved(
            plain, data, f"{self!r} on {len(blocks)} blocks of a Dask collection"
        )
        passes = data.passes
        if col_ids is not None:
            columns, passes = fitted["_columns"], passes + 2
            prior = None
            if columns.tau is not None:
                both = (columns.mu, columns.gamma), (columns.nu, columns.delta)
                prior = tuple((mean[None], 1 / precision[None]) for mean, precision in both)
            fitted |= rows_attributes(cluster, blocks, columns, prior)
            fitted["col_ids_"] = col_ids
            plain.input = "pairs"
        for name, value in fitted.items():
            setattr(plain, name, value)
        plain.n_iter_ = max(1, result.n_iter)
        plain.solver_ = SOLVERS.name_of(result.solver)
        plain.solve_report_ = result.report()
        return self._adopt(plain, rows, passes=passes, held=held)

    def _solved(self, plain: Any, data: ColumnData, description: str) -> tuple[Any, Any]:
        """Fitted attributes, and the solve that they come from."""
        alpha = self.alpha
        if alpha == "auto":
            rows = self.noise == "rows"
            posterior = ColumnPosterior(data, row_noise=rows, description=description)
            learns = _fits(self.solver, posterior)

            def learned(w: Any) -> dict[str, Any]:
                return believed(posterior, w)

            result = plain._solve(
                posterior,
                tol=self.tol,
                max_iter=self.max_iter,
                unpack=learned,
                solver=None if learns else "auto",
            )
            if learns:
                return learned(result.w), result
            # The solver minimises the penalised objective: at the strength that was learned.
            alpha = posterior.penalty_per_entry(result.w)
        problem = ColumnProblem(data, float(alpha), description=description)

        def unpack(w: Any) -> dict[str, Any]:
            return attributes(data, problem.columns_of(w).copy(), problem.alpha)

        result = plain._solve(problem, tol=self.tol, max_iter=self.max_iter, unpack=unpack)
        Q = problem.ordered(result.w)
        # Of the rows that these columns give, which are those of transform.
        noise = problem.noise(np.ravel(Q))
        return {**attributes(data, Q, problem.alpha), "noise_variance_": noise}, result

    def predict(self, X: Any) -> Any:
        """The model's values at pairs, lazily, after a fit on pairs.

        Parameters
        ----------
        X : dask array or dataframe of shape (n_entries, 2)
            Pairs (row, column) of ids; those that were not seen are allowed. Data in memory are
            answered at once.

        Returns
        -------
        dask array of shape (n_entries,)
            Values; where row or column was not seen, ``mean_`` and the biases that are known.
        """
        check_is_fitted(self)
        return self._lazily("predict", X, dtype=np.float64)

    def transform(self, X: Any) -> Any:
        """Fill the missing cells, lazily.

        Parameters
        ----------
        X : dask array or dataframe of shape (n_rows, n_columns)
            Rows, new or known, with missing cells; data in memory are answered at once.

        Returns
        -------
        dask array of shape (n_rows, n_columns)
            Observed cells as they are, missing ones from the model.
        """
        check_is_fitted(self)
        return self._lazily("transform", X, width=self.n_features_in_, dtype=_float_of(X))

    def row_factors(self, X: Any) -> Any:
        """Row factors ``U`` of rows, lazily.

        Parameters
        ----------
        X : dask array or dataframe of shape (n_rows, n_columns)
            Rows with missing cells; data in memory are answered at once.

        Returns
        -------
        dask array of shape (n_rows, n_components)
            The factors.
        """
        check_is_fitted(self)
        return self._lazily("row_factors", X, width=self.n_components_, dtype=_float_of(X))


def _fits(solver: Any, problem: Any) -> bool:
    """Whether ``solver`` can work on this problem."""
    try:
        resolve(solver, problem)
    except IncompatibleSolverError:
        return False
    return True


def _float_of(X: Any) -> Any:
    return np.float32 if getattr(X, "dtype", None) == np.float32 else np.float64
