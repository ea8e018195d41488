"""Logistic regression on Dask collections."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

from sklearn.utils.validation import check_is_fitted

from skopt_dl.dask._base import ClassificationMixin, DaskEstimator, whole_or_not
from skopt_dl.dask._collections import BlockTotal, counted, rows_of, summed
from skopt_dl.dask._install import dask
from skopt_dl.dask._task_memory import logistic_bytes
from skopt_dl.dispatch import resolve
from skopt_dl.engine import Oracle
from skopt_dl.linear_model import LogisticRegression as PlainLogisticRegression
from skopt_dl.linear_model._logistic_blocks import (
    Classes,
    add_class_sums,
    blocks_task,
    class_sums,
    store_logistic,
)

# What makes matrices of its parameters on a block, the local solves of consensus among them.
SECOND_ORDER = {Oracle.HESSIAN, Oracle.QUADRATIC_MODEL, Oracle.CONSENSUS}


class LogisticRegression(ClassificationMixin, DaskEstimator):
    r"""Logistic regression on Dask collections, by a solver whose gradients are sums over blocks.

    .. math::

        \min_{w, b}\ C \sum_i \ell(y_i, x_i'w + b) + \rho \|w\|_1 + \frac{1 - \rho}{2} \|w\|_2^2

    with the logistic loss of two classes, or the multinomial one; :math:`\rho` is ``l1_ratio``.

    Parameters
    ----------
    C : float, default=1.0
        Inverse of the penalty's strength, positive; infinite without a penalty.
    l1_ratio : float, default=0.0
        Share of the L1 penalty, from 0 to 1.
    tol : float, default=1e-4
        Bound on the largest component of the minimal subgradient of the mean objective.
    fit_intercept : bool, default=True
        Fit the intercepts ``b``, which are not penalised.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, times those of the samples.
    random_state : int, RandomState instance or None, default=None
        Randomness of the solvers that have some.
    solver : str or Solver, default="auto"
        Any solver that needs no more than the driver has: values, gradients, products with the
        Hessian, the Hessian up to 4000 parameters, and the prox of the penalty. "auto" is Newton's
        method there, L-BFGS beyond, and FISTA with an L1 penalty.
    max_iter : int or None, default=100
        Iterations at most; ``None`` is the solver's own budget.
    max_time : float or None, default=None
        Seconds of solving at most.
    persist : bool, default=True
        Keep the blocks in the workers' memory between passes. Without it each pass reads and
        checks the data again, and a worker holds no more than the blocks it works on.
    client : distributed.Client, optional
        Whose workers compute. Default: the current client, else Dask's scheduler.
    verbose : bool, default=False
        Whether to show the progress of each pass.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
        The labels, sorted.
    coef_ : array of shape (1, n_features) or (n_classes, n_features)
        The coefficients.
    intercept_ : array of shape (1,) or (n_classes,)
        The intercepts.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : array of shape (n_features,)
        Their names, where X is a dataframe.
    n_iter_ : array of shape (1,)
        Iterations of the solver.
    solver_ : str
        Name of the solver that ran.
    solve_report_ : SolveReport
        Status, certificate, timings and history of the solve.
    task_bytes_ : int
        What a task holds at most, beside blocks that are kept.
    n_blocks_, n_passes_ : int
        Blocks of the training data, and how often each was asked for something.

    Examples
    --------
    >>> import dask.array as da
    >>> from skopt_dl.dask import LogisticRegression
    >>> X = da.random.default_rng(0).normal(size=(1000, 3), chunks=(250, 3))
    >>> model = LogisticRegression().fit(X, (X[:, 0] > 0).astype(int))
    >>> model.solver_, model.n_passes_ < 20
    ('newton_cholesky', True)
    """

    def __init__(
        self,
        *,
        C: float = 1.0,
        l1_ratio: float = 0.0,
        tol: float = 1e-4,
        fit_intercept: bool = True,
        class_weight: Any = None,
        random_state: Any = None,
        solver: Any = "auto",
        max_iter: int | None = 100,
        max_time: float | None = None,
        persist: bool = True,
        client: Any = None,
        verbose: bool = False,
    ) -> None:
        self.C = C
        self.l1_ratio = l1_ratio
        self.tol = tol
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.random_state = random_state
        self.solver = solver
        self.max_iter = max_iter
        self.max_time = max_time
        self.persist = persist
        self.client = client
        self.verbose = verbose

    @property
    def _plain(self) -> type[PlainLogisticRegression]:
        return PlainLogisticRegression

    @whole_or_not
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : dask array or dataframe of shape (n_samples, n_features)
            Training data in blocks of rows, dense or sparse: blocks of columns are joined. The
            lengths of the blocks need not be known.
        y : dask array or series of shape (n_samples,)
            Labels; with the blocks of X where lengths are not known.
        sample_weight : dask array or series of shape (n_samples,), optional
            Non-negative weights: weight w counts as the row repeated w times.

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
            For a solver that needs more than sums over blocks; the message names those that do not.
        """
        rows = rows_of(self, X, y, sample_weight, labels=True)
        plain, cluster = self._new_plain(), self._cluster()
        plain._check_parameters()
        self._check_solver()
        if self.persist:
            rows = replace(rows, blocks=cluster.persist(rows.blocks))
        delayed = dask().delayed
        parts = [delayed(class_sums, pure=True)(block) for block in rows.blocks]
        rows, (sums,) = counted(cluster, rows, summed(parts, add_class_sums))
        found = Classes(sums, self.class_weight)
        shares = [delayed(found.shares, pure=True)(block) for block in rows.blocks]
        blocks = cluster.persist(shares) if self.persist else shares
        problem, unpack = blocks_task(
            plain,
            found,
            BlockTotal(cluster, blocks),
            rows.dtype,
            description=f"{self!r} on {len(blocks)} blocks of a Dask collection",
        )
        chosen, _ = resolve(plain.solver, problem, plain._solver_defaults())
        held = logistic_bytes(
            rows,
            1 if found.binary else len(found.labels),
            hessian=bool(SECOND_ORDER & chosen.needs.oracles),
        )
        self._say(rows, held)
        result = plain._solve(problem, tol=self.tol, max_iter=self.max_iter, unpack=unpack)
        store_logistic(plain, unpack, result)
        plain.solver_ = plain._name_of_solver(result)
        return self._adopt(plain, rows, passes=problem.passes + 1, held=held)

    def decision_function(self, X: Any) -> Any:
        """Signed scores of the classes, lazily.

        Parameters
        ----------
        X : dask array or dataframe of shape (n_samples, n_features)
            Samples; data in memory are answered at once.

        Returns
        -------
        dask array of shape (n_samples,) or (n_samples, n_classes)
            For two classes one number, positive for ``classes_[1]``.
        """
        check_is_fitted(self)
        n_classes = len(self.classes_)
        return self._lazily("decision_function", X, width=0 if n_classes == 2 else n_classes)
