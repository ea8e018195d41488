r"""Quasi-Newton methods: curvature learned from the changes of the gradient.

Letters: w the iterate, g the gradient, s a step, y the change of the gradient over it, H the
approximate inverse Hessian, d the direction, t the length along it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from skopt_dl.engine import Needs, Oracle, Problem, Status, Trait
from skopt_dl.kernels.namespace import to_float
from skopt_dl.linops.factor import (
    DiagonalFactor,
    NotPositiveDefiniteError,
    PositiveFactor,
    nearest_factor,
    with_diagonal,
)
from skopt_dl.linops.quasi_newton import (
    DenseInverseHessian,
    InverseHessian,
    WhitenedInverseHessian,
)
from skopt_dl.solvers.descent import (
    WOLFE_SEARCHES,
    DescentSolver,
    DescentState,
    check_choice,
    check_line_search,
    first_step,
    steepest,
    step_along,
    wolfe_search,
)
from skopt_dl.solvers.newton import positive_diagonal
from skopt_dl.solvers.sampled_curvature import (
    NEEDED,
    first_sample,
    sample_cost,
    sample_pace,
    sampled_hessian,
)

# Iterations of one of many solves that say nothing against its metric.
SHORT = 5


@dataclass
class LBFGSState(DescentState):
    """Adds the pairs of steps and gradient changes, and the metric that they start from.

    Attributes
    ----------
    G : array of shape (d, d) or (d,), optional
        The metric; ``None`` is the identity.
    ridge : float
        What its factor has needed, see `nearest_factor`.
    renew_at, sample_at : int or None
        The iterations at which the metric is next taken anew, and from which on it is the Hessian
        of a sample; ``None`` is never.
    growth : int
        How many times as large as the first the next sample is.
    began, first : int, 0-d array
        The iteration at which this solve began, and the indicator there.
    waited : bool
        Whether a sample that was due was put off.
    last_pace : float
        That of the solve before, 1 where there was none.
    """

    H: InverseHessian | WhitenedInverseHessian = field(default_factory=lambda: InverseHessian(1))
    G: Any = None
    ridge: float = 0.0
    renew_at: int | None = None
    sample_at: int | None = None
    growth: int = 1
    began: int = 0
    first: Any = math.inf
    waited: bool = False
    last_pace: float = 1.0

    @property
    def pace(self) -> float:
        """What an iteration leaves of the gradient: of this solve, or of the one before it where
        this one has hardly begun; 1 where that is not known."""
        done, now, first = self.n_iter - self.began, to_float(self.indicator), to_float(self.first)
        if self.last_pace < 1 and done < SHORT:
            return self.last_pace
        return (now / first) ** (1 / done) if done > 0 and 0 < now < first < math.inf else 1.0

    @property
    def left(self) -> float:
        """Iterations to the target at that pace."""
        now, pace = to_float(self.indicator), self.pace
        if pace == 1.0 or not 0 < self.target < now:
            return math.inf
        return math.log(self.target / now) / math.log(pace)

    @property
    def natural(self) -> bool:
        """Whether H knows the length of a step."""
        return len(self.H) > 0 or isinstance(self.H, WhitenedInverseHessian)


@dataclass
class BFGSState(DescentState):
    """Adds the matrix that stands for the inverse Hessian."""

    H: DenseInverseHessian = field(default_factory=DenseInverseHessian)


class LBFGS(DescentSolver):
    """Limited-memory BFGS with a strong Wolfe line search.

    .. math::

        d = -H g, \\qquad w \\leftarrow w + t d, \\qquad
        H \\leftarrow (I - \\rho s y') H (I - \\rho y s') + \\rho s s', \\quad \\rho = 1/s'y

    with the last ``memory`` pairs only, from :math:`H_0 = (s'y / y'y) I` or, with the diagonal G of
    the Hessian or the Hessian G of a sample, from :math:`H_0 = (s'y / y'G^{-1}y)\\, G^{-1}`.

    Needs a gradient of the whole objective.

    Parameters
    ----------
    memory : int
        Pairs kept. More cost 4 vector operations each and pay on ill-conditioned problems.
    initial : {"auto", "identity", "diagonal", "sample"}
        What :math:`H_0` is a multiple of. The diagonal of the Hessian sees the units of the columns
        beforehand, the Hessian of a tenth of the samples, and of five for each column at least,
        their correlations as well. "auto" takes the diagonal on convex problems that know it, and
        on linear models the sample, at the start where it costs no more than some iterations, and
        else after as many as it costs.
    renew : int
        Iterations after which that is taken anew, where the iterate then is, and the pairs are
        forgotten, as curvature may have changed on the way; then after twice as many, and so on.
        Each sample is twice as large as the last.
    line_search : {"nocedal_wright", "more_thuente"}
        How a step that meets the strong Wolfe conditions is looked for.
    sufficient_decrease, curvature : float
        The constants c1 and c2 of the strong Wolfe conditions.

    Notes
    -----
    The first step is tried at ``min(1, 1/|g|)``, later ones at 1. Where rounding hides the decrease
    the line search goes by slopes (Hager & Zhang), so gradients shrink to about the precision of
    the data, not to its square root. A search that fails is repeated once along ``-g`` without
    memory before the method gives up. With ``initial="identity"``, ``line_search="more_thuente"``
    and ``sufficient_decrease=1e-3`` the path is that of SciPy's L-BFGS-B.

    References
    ----------
    D. Liu, J. Nocedal, "On the limited memory BFGS method for large scale optimization", Math.
    Programming 45 (1989); J. Nocedal, S. Wright, "Numerical Optimization" (2006), Algorithm 7.5.
    With a metric: L. Jiang, R. Byrd, E. Eskow, R. Schnabel, "A preconditioned L-BFGS algorithm with
    application to molecular energy minimization", report CU-CS-982-04 (2004); its sample: R. Byrd,
    G. Chin, W. Neveitt, J. Nocedal, "On the use of stochastic Hessian information in optimization
    methods for machine learning", SIAM J. Optim. 21 (2011).
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.GRAD)
    default_max_iter: ClassVar[int] = 10_000

    def __init__(
        self,
        *,
        memory: int = 10,
        initial: Literal["auto", "identity", "diagonal", "sample"] = "auto",
        renew: int = 10,
        line_search: Literal["nocedal_wright", "more_thuente"] = "nocedal_wright",
        sufficient_decrease: float = 1e-4,
        curvature: float = 0.9,
    ) -> None:
        self.memory, self.initial, self.renew = memory, initial, renew
        self.line_search = line_search
        self.sufficient_decrease, self.curvature = sufficient_decrease, curvature

    def init(self, problem: Problem, w: Any, rng: Any) -> LBFGSState:
        for name in ("memory", "renew"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"LBFGS: {name}={getattr(self, name)!r}, but it must be at least 1"
                )
        check_choice(self, "initial", ("auto", "identity", "diagonal", "sample"))
        check_line_search(self)
        check_choice(self, "line_search", WOLFE_SEARCHES)
        renew_at, sample_at = self._first(problem)
        state = LBFGSState(
            w=w, H=InverseHessian(self.memory), renew_at=renew_at, sample_at=sample_at
        )
        state.stand_at(problem, problem.point(w))  # type: ignore[attr-defined]
        state.first = state.indicator
        return state

    def _first(self, problem: Problem) -> tuple[int | None, int | None]:
        """When :math:`H_0` is first taken from the problem, and when from a sample; ``None`` for
        never. Raise where that was asked for and cannot be."""
        if self.initial == "identity":
            return None, None
        if self.initial == "auto":
            sample_at = first_sample(problem)
            known = problem.why_not(Oracle.HESSIAN_DIAGONAL) is None
            return (0 if known and Trait.CONVEX in problem.traits else None), sample_at
        for oracle in NEEDED if self.initial == "sample" else (Oracle.HESSIAN_DIAGONAL,):
            if problem.why_not(oracle) is not None:
                raise ValueError(
                    f"LBFGS: initial={self.initial!r} needs {oracle}, which {problem.description} "
                    "does not offer; take initial='identity'"
                )
        return 0, (0 if self.initial == "sample" else None)

    def resume(self, problem: Problem, state: LBFGSState, change: Any) -> LBFGSState:
        """Where ``state`` stands, for a problem whose Hessian has changed by a known diagonal.

        What has been learned of the curvature is kept: along a path of strengths the Hessian of one
        sample serves many of them.

        Parameters
        ----------
        problem : Problem
            The changed one.
        state : LBFGSState
            Of a solve before the change.
        change : array of shape (size,)
            What is added to the diagonal of the Hessian.
        """
        G, sample_at = state.G, state.sample_at
        if G is not None:
            G = G + change if G.ndim == 1 else with_diagonal(G, change)
        if sample_at is not None:
            # Short solves do not say that a sample is needed, however many they are.
            sample_at += SHORT
        renewed = LBFGSState(
            w=state.w,
            n_iter=state.n_iter,
            H=InverseHessian(self.memory),
            G=G,
            ridge=state.ridge,
            renew_at=state.renew_at,
            sample_at=sample_at,
            growth=state.growth,
            began=state.n_iter,
            last_pace=state.pace,
        )
        renewed.stand_at(problem, problem.point(state.w))  # type: ignore[attr-defined]
        renewed.first = renewed.indicator
        return renewed

    def _iterate(self, problem: Any, state: LBFGSState) -> Status | None:
        if state.renew_at is not None and state.n_iter >= state.renew_at:
            self._renew(problem, state)
        elif state.G is not None and not state.natural:
            self._starts_from(state, state.G)
        return _quasi_newton_step(self, problem, state, natural=state.natural)

    def _renew(self, problem: Any, state: LBFGSState) -> None:
        """Take the metric where the iterate is now."""
        # At 0, renew, 2 renew, 4 renew, ..., each sample twice the last: what costs more and more
        # comes as rarely, and a hard problem ends with the Hessian of all samples.
        state.renew_at = max(2 * state.n_iter, self.renew)
        if state.sample_at is not None and state.n_iter >= state.sample_at:
            if self.initial == "auto" and state.pace <= sample_pace(problem, state.growth):
                # What is there does as well as a sample can.
                state.renew_at = state.n_iter + SHORT
                return
            if not state.waited and state.left < sample_cost(problem, state.growth):
                # More than it can spare, unless this goes on after it should have ended.
                state.renew_at = state.n_iter + max(1, math.ceil(state.left))
                state.waited = True
                return
            state.waited = False
            G = sampled_hessian(problem, state.point, state.growth)
            state.growth *= 2
            if self._starts_from(state, G):
                return
        elif state.sample_at is not None:
            state.renew_at = min(state.renew_at, state.sample_at)
        D = positive_diagonal(problem, state.point)
        if D is not None:
            self._starts_from(state, D)

    def _starts_from(self, state: LBFGSState, G: Any) -> bool:
        """Let the pairs start from ``G``; false if it has no factor."""
        factor: DiagonalFactor | PositiveFactor
        try:
            if G.ndim == 1:
                factor = DiagonalFactor(G)
            else:
                factor = nearest_factor(G, state.ridge)
                state.ridge = factor.ridge
        except NotPositiveDefiniteError:
            state.G = None
            return False
        state.G, state.H = G, WhitenedInverseHessian(self.memory, factor)
        return True


class BFGS(DescentSolver):
    """BFGS: every pair kept, in a dense inverse Hessian, with a strong Wolfe line search.

    .. math::

        d = -H g, \\qquad w \\leftarrow w + t d, \\qquad
        H \\leftarrow (I - \\rho s y') H (I - \\rho y s') + \\rho s s', \\quad \\rho = 1/s'y

    Needs a gradient of the whole objective.

    Parameters
    ----------
    initial_scaling : bool
        Start the matrix as :math:`(s'y / y'y) I` of the first step, not as the identity.
    line_search : {"nocedal_wright", "more_thuente"}
        How a step that meets the strong Wolfe conditions is looked for.
    sufficient_decrease, curvature : float
        The constants c1 and c2 of the strong Wolfe conditions.

    Notes
    -----
    H is an array of as many rows and columns as there are parameters: for hundreds of them, where
    `LBFGS` forgets curvature that would pay. The line search makes s'y positive; a pair that
    rounding has spoilt is left out, so H stays positive definite. SciPy starts from the identity
    (``initial_scaling=False``).

    References
    ----------
    R. Fletcher, "A new approach to variable metric algorithms", Comput. J. 13 (1970); J. Nocedal,
    S. Wright, "Numerical Optimization" (2006), Algorithm 6.1 and (6.20).
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.GRAD)
    default_max_iter: ClassVar[int] = 10_000
    matrix: ClassVar = "parameters"

    def __init__(
        self,
        *,
        initial_scaling: bool = True,
        line_search: Literal["nocedal_wright", "more_thuente"] = "nocedal_wright",
        sufficient_decrease: float = 1e-4,
        curvature: float = 0.9,
    ) -> None:
        self.initial_scaling = initial_scaling
        self.line_search = line_search
        self.sufficient_decrease, self.curvature = sufficient_decrease, curvature

    def init(self, problem: Problem, w: Any, rng: Any) -> BFGSState:
        check_line_search(self)
        check_choice(self, "line_search", WOLFE_SEARCHES)
        state = BFGSState(w=w, H=DenseInverseHessian(scaled=self.initial_scaling))
        state.stand_at(problem, problem.point(w))  # type: ignore[attr-defined]
        return state

    def _iterate(self, problem: Any, state: BFGSState) -> Status | None:
        return _quasi_newton_step(self, problem, state, natural=state.H.H is not None)


def _quasi_newton_step(solver: Any, problem: Any, state: Any, *, natural: bool) -> Status | None:
    """A step along ``-H g`` and its pair; without memory along ``-g`` where that fails.

    ``natural`` says that H knows the length of a step: then 1 is tried first.
    """
    search = wolfe_search(solver)
    before: Any = state.point
    d = -state.H.apply(before.grad)
    slope = to_float(before.grad @ d)
    t = 1.0 if natural else first_step(slope)
    if not (slope < 0 and step_along(problem, state, d, slope, t, search).ok):
        state.H.clear()
        verdict = steepest(problem, state, search)
        if verdict is not None:
            return verdict
    after: Any = state.point
    state.H.push(after.w - before.w, after.grad - before.grad)
    return None
