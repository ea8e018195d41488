"""The estimator of partly observed tensors."""

from __future__ import annotations

from numbers import Integral
from typing import Any, Self

from joblib import effective_n_jobs
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data

from skopt_dl._sklearn.arrays import check_same_place, workplace
from skopt_dl._sklearn.base import EngineEstimator, fit_method
from skopt_dl._sklearn.parameters import check_choice, check_number, check_running
from skopt_dl._sklearn.scores import DeviceRegressorMixin
from skopt_dl._sklearn.validation import check_values, check_weights
from skopt_dl.dispatch import SOLVERS
from skopt_dl.kernels.namespace import namespace_of, to_float
from skopt_dl.matrix_completion.attempts import best_of
from skopt_dl.matrix_completion.pairs import check_positions, numbered, positions
from skopt_dl.matrix_completion.tensor_cp import CPProblem
from skopt_dl.matrix_completion.tensor_problem import TensorProblem
from skopt_dl.matrix_completion.tensor_tucker import TuckerProblem, meet, orthonormal


class TensorCompletion(DeviceRegressorMixin, EngineEstimator):
    r"""Values at (i, j, k, ...) positions by a low-rank tensor fitted to the observed ones.

    .. math::

        \min_{U^1, \dots, U^D}\ \frac{1}{\sum \omega_t} \sum_t \omega_t \Big[
        \tfrac12 \Big(\sum_l \prod_d u^d_{i_{td}\,l} - y_t\Big)^2
        + \tfrac\alpha2 \sum_d |u^d_{i_{td}}|^2 \Big]

    the canonical polyadic form (CP, PARAFAC) of D modes, a mean over observed entries, the penalty
    included. With two modes it is `MatrixCompletion` on pairs. In Tucker's form the value is
    :math:`\sum_{a_1 \dots a_D} g_{a_1 \dots a_D} \prod_d u^d_{i_{td}\,a_d}`, and the penalty has
    :math:`\tfrac\alpha2 |G|^2` besides.

    Parameters
    ----------
    n_components : int or tuple of int, default=3
        Number of components; in Tucker's form one number a mode, if they are not alike, of which
        none exceeds the number of ids.
    form : {"cp", "tucker"}, default="cp"
        Components that meet themselves alone, or each those of all other modes through a core.
    alpha : float, default=0.1
        Strength of the penalty per observed entry, ``>= 0``. It scales as the entries do: scale
        these to about one.
    solver : str or Solver, default="auto"
        ``"auto"``, the name of a solver or an instance with options of its own.
    max_iter : int or None, default=None
        Iterations at most, in the solver's unit; ``None`` is the solver's own budget.
    tol : float, default=1e-4
        Bound on the stationarity, as in `MatrixCompletion`.
    n_init : int, default=5
        Number of random starts; the solution with the least objective is kept. The problem is not
        convex, and of small tensors one start in two may end at a poor solution.
    random_state : int, RandomState instance or None, default=None
        Randomness of the starts and of stochastic solvers.
    device : {None, "cpu", "cuda", "cuda:1", ...}, default=None
        Where the fit runs. ``None`` is where X lives; "cuda" copies host data to the GPU once, and
        the fitted attributes come back as NumPy arrays.
    n_jobs : int or None, default=None
        Threads of the compiled row solves; the results do not depend on it.
    max_time : float or None, default=None
        Seconds of each solve at most; results then depend on the machine.
    verbose : bool, default=False
        Print a line per report.

    Attributes
    ----------
    factors_ : list of arrays of shape (n_ids, n_components)
        The factor of each mode. In the CP form components are in decreasing order of size, in equal
        parts in all modes; in Tucker's columns are orthonormal.
    core_ : array of shape (n_components, ...) or None
        The core of Tucker's form.
    ids_ : list of arrays of int
        The distinct ids of each mode, in the order of its factor.
    mean_ : float
        Weighted mean of the values, the prediction where an id was not seen.
    n_features_in_ : int
        Number of modes.
    feature_names_in_ : array of shape (n_features,)
        Their names, where X has names that are strings.
    n_iter_ : int
        Iterations of the solve that was kept.
    solver_ : str
        Name of the solver that ran.
    solve_report_ : SolveReport
        Status, settings, certificate, timings and history of the solve that was kept.

    See Also
    --------
    MatrixCompletion : Two modes, with biases, learned penalties and other losses.

    Notes
    -----
    "als" solves the rows of one mode after the other, each a ridge regression, by the compiled
    kernels of matrix completion, and the core by its normal equations: its size, the product of the
    ranks, should stay below a few thousand. Positions that are given twice count twice. The best
    CP form need not exist without a penalty (V. de Silva, L.-H. Lim, SIAM J. Matrix Anal. Appl. 30,
    2008): components that grow and cancel are a sign of it.

    References
    ----------
    T. Kolda, B. Bader, "Tensor decompositions and applications", SIAM Review 51 (2009); G. Tomasi,
    R. Bro, "PARAFAC and missing values", Chemom. Intell. Lab. Syst. 75 (2005); L. Tucker, "Some
    mathematical notes on three-mode factor analysis", Psychometrika 31 (1966).

    Examples
    --------
    >>> import numpy as np
    >>> from skopt_dl.matrix_completion import TensorCompletion
    >>> a, b, c = np.arange(1.0, 6.0), np.array([1.0, 0.5, 2.0]), np.array([3.0, 1.0])
    >>> full = np.einsum("i,j,k->ijk", a, b, c)
    >>> seen = np.random.default_rng(0).random(full.shape) < 0.7
    >>> model = TensorCompletion(1, alpha=0.0, tol=1e-10, n_init=1, random_state=0)
    >>> model = model.fit(np.argwhere(seen), full[seen])
    >>> bool(np.allclose(model.predict(np.argwhere(~seen)), full[~seen]))
    True
    """

    def __init__(
        self,
        n_components: int | tuple[int, ...] = 3,
        *,
        form: str = "cp",
        alpha: float = 0.1,
        solver: Any = "auto",
        max_iter: int | None = None,
        tol: float = 1e-4,
        n_init: int = 5,
        random_state: Any = None,
        device: Any = None,
        n_jobs: int | None = None,
        max_time: float | None = None,
        verbose: bool = False,
    ) -> None:
        self.n_components = n_components
        self.form = form
        self.alpha = alpha
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol
        self.n_init = n_init
        self.random_state = random_state
        self.device = device
        self.n_jobs = n_jobs
        self.max_time = max_time
        self.verbose = verbose

    def _check_parameters(self) -> None:
        check_choice(self, "form", ("cp", "tucker"))
        if self.form == "cp" or not isinstance(self.n_components, (tuple, list)):
            check_number(self, "n_components", Integral, low=1)
        check_number(self, "alpha", low=0)
        check_number(self, "max_iter", Integral, low=1, optional=True)
        check_number(self, "tol", low=0)
        check_number(self, "n_init", Integral, low=1)
        check_number(self, "max_time", low=0, open_low=True, optional=True)
        check_running(self)

    @fit_method
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the factors to the observed entries.

        Parameters
        ----------
        X : array-like of int, shape (n_entries, n_modes)
            The id of each entry along each mode; two modes at least.
        y : array-like of shape (n_entries,)
            Its value.
        sample_weight : array-like of shape (n_entries,), optional
            Non-negative weights of the entries.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter is not valid, or X has other numbers than integers or one mode alone.
        """
        self._check_parameters()
        problem, ids = self._posed(X, y, sample_weight)
        rng = check_random_state(self.random_state)
        best = best_of(
            self,
            problem,
            lambda k: problem.start(),
            rng,
            unpack=lambda w: self._attributes(problem, w, ids),
        )
        for name, value in self._attributes(problem, best.w, ids).items():
            setattr(self, name, value)
        self.n_iter_ = max(1, best.n_iter)
        self.solver_, self.solve_report_ = SOLVERS.name_of(best.solver), best.report()
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True  # X holds ids
        return tags

    def _build_problem(self, X: Any, y: Any = None, sample_weight: Any = None) -> TensorProblem:
        """The problem that `fit` would solve on these raw data.

        Validation sets ``n_features_in_``: ask a clone, not an estimator in use.
        """
        self._check_parameters()
        return self._posed(X, y, sample_weight)[0]

    def _posed(self, X: Any, y: Any, sample_weight: Any) -> tuple[TensorProblem, list[Any]]:
        place = workplace(self, X)
        index = place.put(check_positions("TensorCompletion.fit", X))
        validate_data(self, X, skip_check_array=True)
        values = check_values(self, y, place)
        check_consistent_length(index, values)
        xp, weights = namespace_of(values), check_weights(sample_weight, values)
        weights = xp.ones_like(values) if weights is None else weights
        kept = weights > 0
        if not bool(xp.all(kept)):
            (seen,) = xp.nonzero(kept)
            index, values, weights = (xp.take(a, seen, axis=0) for a in (index, values, weights))
        ids, at = [], []
        for d in range(index.shape[1]):
            known, number = numbered(index[:, d])
            ids.append(known)
            at.append(number)
        shape = tuple(known.shape[0] for known in ids)
        sizes = " x ".join(map(str, shape))
        kind = CPProblem if self.form == "cp" else TuckerProblem
        problem = kind(
            at,
            values,
            weights,
            shape,
            self._ranks(shape),
            float(self.alpha),
            n_threads=effective_n_jobs(self.n_jobs),
            description=f"{self!r} on {values.shape[0]} entries of this {sizes} tensor",
        )
        return problem, ids

    def _ranks(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The number of columns of each factor."""
        given = self.n_components
        ranks: tuple[Any, ...] = (given,) * len(shape)
        if isinstance(given, (tuple, list)):
            ranks = tuple(given)
        if self.form == "cp":
            return tuple(int(k) for k in ranks)
        if len(ranks) != len(shape):
            raise ValueError(
                f"TensorCompletion: n_components={given!r} has {len(ranks)} numbers, but X has "
                f"{len(shape)} modes; give one for each"
            )
        for k, n in zip(ranks, shape, strict=True):
            if not isinstance(k, Integral) or not 1 <= int(k) <= n:
                raise ValueError(
                    f"TensorCompletion: n_components={given!r}, but in Tucker's form each must be "
                    f"an integer from 1 to the number of ids, which are {shape}"
                )
        return tuple(int(k) for k in ranks)

    def _attributes(self, problem: TensorProblem, w: Any, ids: list[Any]) -> dict[str, Any]:
        xp, w = problem.xp, problem.xp.asarray(w, copy=True)
        mean = to_float(xp.sum(problem.weights * problem.values)) / problem.total
        if isinstance(problem, TuckerProblem):
            core, factors = orthonormal(problem.core(w), problem.unpack(w))
            return {"factors_": factors, "core_": core, "ids_": ids, "mean_": mean}
        problem.balance(w)  # type: ignore[attr-defined]
        factors = problem.unpack(w)
        order = xp.argsort(-xp.sum(factors[0] ** 2, axis=0))
        factors = [xp.take(u, order, axis=1) for u in factors]
        return {"factors_": factors, "core_": None, "ids_": ids, "mean_": mean}

    def predict(self, X: Any) -> Any:
        """The model's values at positions.

        Parameters
        ----------
        X : array-like of int, shape (n_entries, n_modes)
            Ids along each mode; those that were not seen are allowed.

        Returns
        -------
        array of shape (n_entries,)
            The values; ``mean_`` where an id was not seen.
        """
        check_is_fitted(self)
        check_same_place(self, X, "predict")
        validate_data(self, X, reset=False, skip_check_array=True)
        index = check_positions("TensorCompletion.predict", X)
        xp, rows, seen = namespace_of(index), [], True
        for d, (known, factor) in enumerate(zip(self.ids_, self.factors_, strict=True)):
            place, found = positions(index[:, d], known)
            rows.append(xp.take(factor, place, axis=0))
            seen = found & seen
        first = rows[0] if self.core_ is None else rows[0] * meet(self.core_, rows, 0)
        for row in rows[1:] if self.core_ is None else ():
            first = first * row
        values = xp.sum(first, axis=1)
        return xp.where(seen, values, xp.full_like(values, self.mean_))
