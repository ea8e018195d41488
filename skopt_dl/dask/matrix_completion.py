"""Matrix completion on Dask collections."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skopt_dl._sklearn.parameters import check_number
from skopt_dl.dask._base import DaskEstimator
from skopt_dl.dask._collections import Rows, parts_of, summed
from skopt_dl.dask._column_problem import ColumnProblem
from skopt_dl.dask._install import dask
from skopt_dl.dispatch import SOLVERS
from skopt_dl.matrix_completion import MatrixCompletion as PlainMatrixCompletion
from skopt_dl.matrix_completion.columns import Columns
from skopt_dl.matrix_completion.rank import check_rank


class MatrixCompletion(DaskEstimator):
    r"""Fill the missing entries of a Dask matrix by a low-rank model, by alternating least squares.

    .. math::

        \min_{U, V}\ \frac1q \sum_{(i,j)\ \text{observed}}
        \Big[ \tfrac12 (u_i'v_j - x_{ij})^2 + \tfrac\alpha2 \big(|u_i|^2 + |v_j|^2\big) \Big]

    over q observed entries: `skopt_dl.MatrixCompletion` with a number for ``alpha`` and without
    biases. A turn is one pass: each block solves its rows and returns sums for the columns.

    Parameters
    ----------
    n_components : int or "auto", default="auto"
        Rank of ``U V'``, at most the smaller side of the matrix: a number above it is an error.
        "auto" is 10, or that side if it is shorter.
    alpha : float, default=0.1
        Strength of the penalty per observed entry, positive. It scales as the entries do.
    solver : str or Solver, default="als"
        A solver that needs no more than exact minimisation over the columns.
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
    mean_ : float
        Mean of the observed entries.
    n_components_ : int
        The rank used.
    alpha_ : float
        The strength of the penalty.
    noise_variance_ : float
        The mean squared residual.
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
    n_blocks_, n_passes_ : int
        Blocks of the training data, and how often each was asked for something.

    Notes
    -----
    The row factors are not kept, since they have the size of a block for each block: the plain
    estimator of `to_local` has no ``row_factors_`` and no ``predict_entries``. Its
    ``row_factors(X)`` computes those of given rows.

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
        alpha: float = 0.1,
        solver: Any = "als",
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

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit the model to the observed entries.

        Parameters
        ----------
        X : dask array or dataframe of shape (n_rows, n_columns)
            A matrix in blocks of rows, NaN where entries are missing. Blocks of columns are joined.
        y : None
            Ignored.

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
        check_number(self, "alpha", low=0, open_low=True)
        plain, cluster, found = self._new_plain(input="matrix"), self._cluster(), parts_of(self, X)
        plain._check_parameters()
        self._check_solver()
        delayed = dask().delayed
        checked = delayed(_checked, pure=True)
        blocks = [checked(i, part, found.dtype.str) for i, part in enumerate(found.parts)]
        blocks = cluster.persist(blocks) if self.persist else blocks

        def total(function: Any, *args: Any) -> Any:
            call = delayed(function)
            given = [delayed(a) for a in args]
            (sums,) = cluster.compute(summed([call(b, *given) for b in blocks], _added))
            return sums

        problem = ColumnProblem(
            total,
            self.n_components,
            self.alpha,
            found.n_features,
            seed=int(check_random_state(self.random_state).randint(2**31 - 1)),
            description=f"{self!r} on {len(blocks)} blocks of a Dask collection",
        )

        def unpack(w: Any) -> dict[str, Any]:
            return self._attributes(problem, problem.columns_of(w).copy())

        result = plain._solve(problem, tol=self.tol, max_iter=self.max_iter, unpack=unpack)
        Q = problem.ordered(result.w)
        fitted = self._attributes(problem, Q)
        # Of the rows that these columns give, which are those of transform.
        fitted["noise_variance_"] = problem.noise(np.ravel(Q))
        for name, value in fitted.items():
            setattr(plain, name, value)
        plain.n_iter_ = max(1, result.n_iter)
        plain.solver_ = SOLVERS.name_of(result.solver)
        plain.solve_report_ = result.report()
        rows = Rows(blocks, found.n_features, found.names, found.lengths, found.dtype)
        return self._adopt(plain, rows, passes=problem.passes)

    def _attributes(self, problem: ColumnProblem, Q: Any) -> dict[str, Any]:
        mean = float(problem.values / problem.total)
        columns = Columns(
            Q=Q,
            k=problem.k,
            bias=False,
            mean=mean,
            weight=problem.col_weight,
            scale=np.ones(len(Q)),
            alpha=float(self.alpha),
        )
        return {
            "components_": Q.T.copy(),
            "mean_": mean,
            "n_components_": problem.k,
            "alpha_": float(self.alpha),
            "_columns": columns,
            "_draws": None,
            "_range": None,
        }

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


def _float_of(X: Any) -> Any:
    return np.float32 if getattr(X, "dtype", None) == np.float32 else np.float64


def _checked(i: int, X: Any, dtype: str) -> Any:
    """One block as an array, checked where it lives."""
    if hasattr(X, "tocsr"):
        raise TypeError(
            f"skopt_dl.dask.MatrixCompletion: block {i} of X is a sparse matrix; give dense blocks "
            "with NaN for what is missing"
        )
    X = np.ascontiguousarray(np.asarray(X), dtype=dtype)
    if np.any(np.isinf(X)):
        raise ValueError(
            f"skopt_dl.dask.MatrixCompletion: X contains infinity in block {i}; NaN marks what is "
            "missing"
        )
    return X


def _added(parts: list[Any]) -> Any:
    return tuple(sum(arrays[1:], arrays[0]) for arrays in zip(*parts, strict=True))
