r"""Coordinate descent: exact minimisation over one coefficient at a time.

.. math:: w_j \leftarrow \operatorname{prox}_{\Omega_j / L_j}\big(w_j + x_j' u / L_j\big),
   \qquad u \leftarrow u - h\, x_j\, \Delta w_j
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Problem, Solver, State, Status
from skopt_dl.solvers.newton_finish import NewtonFinish


@dataclass
class CDState(State):
    """Adds the coordinate model, whose ``w`` is this state's, the random order, and the finish."""

    model: Any = None
    order: Any = None
    rng: Any = None
    finish: NewtonFinish = field(default_factory=NewtonFinish)


class CoordinateDescent(Solver):
    """Coordinate descent, cyclic or in random order, with active-set sweeps and an exact finish.

    Each coefficient goes to its exact minimiser with the others fixed. After a sweep over all
    coefficients the nonzero ones are swept alone while they still move, so zeros cost little. Where
    many sweeps are to come, the minimum over the nonzero coefficients is found from their inner
    products instead, by the exact active-set method.

    Needs columns of X with a coordinate prox: a quadratic loss and a separable penalty; or factors
    of a matrix, where a coordinate is one parameter of every row, or of every column.

    Parameters
    ----------
    selection : {"cyclic", "random"}
        Order of the coordinates: fixed, or a fresh permutation each epoch. (scikit-learn's
        "random" draws with replacement; a permutation never leaves a coordinate out.)
    newton : bool
        Whether to finish so (where the penalty is an elastic net). It is Newton's step where some
        coefficients are not charged for their size.

    Notes
    -----
    The minimum over s coefficients takes as long as about s/10 epochs on dense columns, half of
    that and what a dense factor costs on sparse ones. It is taken once the epochs that are still to
    come at the present rate, with those since the signs stand still, are as many.

    The indicator is the largest step of a full sweep in the metric of the loss,
    :math:`\\sqrt{L_j}\\,|\\Delta w_j|`.

    References
    ----------
    J. Friedman, T. Hastie, R. Tibshirani, "Regularization paths for generalized linear models via
    coordinate descent", J. Stat. Softw. 33 (2010).
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.COORDS).or_else(Needs.of(Oracle.FACTOR_COORDS))
    unit: ClassVar = "epoch"
    chunk: ClassVar[int] = 10

    def __init__(self, *, selection: str = "cyclic", newton: bool = True) -> None:
        self.selection, self.newton = selection, newton

    def init(self, problem: Problem, w: Any, rng: Any) -> CDState:
        if self.selection not in ("cyclic", "random"):
            raise ValueError(
                f"CoordinateDescent: selection={self.selection!r}, but it must be 'cyclic' or "
                "'random'"
            )
        p: Any = problem
        single = p.why_not(Oracle.COORDS) is None
        model = p.coordinates(w) if single else p.factor_coordinates(w)
        order = problem.kernels.index_range(model.n_coordinates)
        return CDState(w=w, model=model, order=order, rng=rng)

    def advance(self, problem: Problem, state: CDState, n: int) -> Status:
        turns, each = (n, 1) if self.selection == "random" else (1, n)
        for _ in range(turns):
            if self.selection == "random":
                state.order = state.rng.permutation(state.order)
            done, state.indicator = state.model.epochs(state.order, each, state.target)
            state.n_iter += done
            state.n_epochs += done
            if state.indicator <= state.target:
                break
        if self.newton:
            state.finish.step(state.model, state.n_iter, state.indicator, state.target)
        return Status.RUNNING


class HALS(Solver):
    """Hierarchical alternating least squares: one component of both factors after the other.

    .. math::

        u_l^+ = \\operatorname{argmin}_{u} F(\\dots, u, v_l, \\dots), \\qquad
        v_l^+ = \\operatorname{argmin}_{v} F(\\dots, u_l^+, v, \\dots), \\qquad
        l = 1, 2, \\dots, k

    Needs exact minimisation over one parameter of every row of a factor.

    Parameters
    ----------
    repeats : int
        Times that the two parts of a component are solved before the next one's turn.

    Notes
    -----
    `CoordinateDescent` visits the same coordinates, all of the rows before all of the columns.
    The objective never increases, and factors that are at least zero stay so. The indicator is the
    largest step of a sweep, a parameter's change times the root of its curvature.

    References
    ----------
    A. Cichocki, R. Zdunek, S. Amari, "Hierarchical ALS algorithms for nonnegative matrix and 3D
    tensor factorization", ICA (2007); with missing entries: H.-F. Yu, C.-J. Hsieh, S. Si, I.
    Dhillon, "Scalable coordinate descent approaches to parallel matrix factorization for
    recommender systems", ICDM (2012).
    """

    needs: ClassVar[Needs] = Needs.of(Oracle.FACTOR_COORDS)
    unit: ClassVar = "epoch"
    chunk: ClassVar[int] = 5

    def __init__(self, *, repeats: int = 1) -> None:
        self.repeats = repeats

    def init(self, problem: Problem, w: Any, rng: Any) -> CDState:
        if self.repeats < 1:
            raise ValueError(f"HALS: repeats={self.repeats!r}, but it must be at least 1")
        model = problem.factor_coordinates(w)  # type: ignore[attr-defined]
        pairs = [model.pairs[i : i + 2] for i in range(0, len(model.pairs), 2)]
        order = [c for pair in pairs for c in pair * self.repeats]
        return CDState(w=w, model=model, order=order, rng=rng)

    def advance(self, problem: Problem, state: CDState, n: int) -> Status:
        done, state.indicator = state.model.epochs(state.order, n, state.target)
        state.n_iter += done
        state.n_epochs += done * self.repeats
        return Status.RUNNING
