"""Coordinate descent on trial before a Gram matrix of all columns is formed."""

from __future__ import annotations

import math
from typing import Any

from skopt_dl.engine import Oracle, Problem
from skopt_dl.solvers.anderson import AndersonCD

# The Gram matrix of p columns takes as long as about p / SHARE epochs on them: p/4 times the
# operations at several times the rate. Sweeps are tried where it is as dear as MANY of them, and
# COPY where the columns have to be made contiguous first. What they win and lose: the docstring of
# `sweeps_may_do`.
SHARE, MANY, COPY = 14, 14, 7
# Epochs of the first look, and the share to which those to come have to bring the indicator, for
# want of a target that a certificate has calibrated.
LOOK, ENOUGH = 3, 1e-3
# They are given up in any case when they have taken so many times as long as the matrix.
PATIENCE = 3


class FirstSweeps:
    """Extrapolated coordinate descent, as long as it is on its way to be the cheaper one.

    On columns that have little to do with one another a few sweeps are enough; on correlated ones
    they crawl, and the exact method on the Gram matrix does not mind. Their rate tells which: they
    are given up once the epochs to come at the present rate are as many as the matrix costs.

    Parameters
    ----------
    problem : Problem
        With columns that have a coordinate prox.
    w : array of shape (p,)
        Where to start, changed in place.

    Attributes
    ----------
    goes_on : bool
        Whether they have not been given up.
    """

    def __init__(self, problem: Problem, w: Any) -> None:
        self.problem, self.method = problem, AndersonCD()
        self.state = self.method.init(problem, w, None)
        self.most, self.goes_on = cost_of_gram(problem), True

    @property
    def w(self) -> Any:
        """The iterate."""
        return self.state.w

    def advance(self, target: float) -> float:
        """Some epochs, in place; the indicator, which is to come down to ``target``."""
        state, epochs, goal = self.state, self.method.chunk, target
        if state.n_iter == 0:
            first = self._look(target)
            goal, epochs = ENOUGH * first, epochs - LOOK
            self._judge(first, LOOK - 1, goal, target)
        if self.goes_on and state.indicator > target:
            before, state.target = float(state.indicator), target
            self.method.advance(self.problem, state, epochs)
            self._judge(before, epochs, goal, target)
        return float(state.indicator)

    def _look(self, target: float) -> float:
        """The first epochs, each over all columns; the indicator of the first."""
        state, seen = self.state, []
        for _ in range(LOOK):
            state.model.active_left = 0
            done, state.indicator = state.model.epochs(state.order, 1, target)
            state.n_iter += done
            seen.append(float(state.indicator))
            if state.indicator <= target:
                break
        return seen[0]

    def _judge(self, before: float, epochs: int, goal: float, target: float) -> None:
        """Give up if the indicator, which was ``before`` some ``epochs`` ago, takes too many more
        to come down to ``goal``."""
        now, ahead = float(self.state.indicator), 0.0
        if now > max(goal, target):
            # It is the old one where the nonzero coefficients alone have kept the sweeps busy.
            slow = now >= before
            ahead = math.inf if slow else epochs * math.log(now / goal) / math.log(before / now)
        self.goes_on = ahead < self.most and self.state.n_iter < PATIENCE * self.most


def cost_of_gram(problem: Any) -> float:
    """How many epochs take as long as the Gram matrix of all columns."""
    return problem.base.shape[1] / SHARE


def sweeps_may_do(problem: Any) -> bool:
    """Whether sweeps are worth a try before the Gram matrix of all columns.

    Time with them over that without, to a relative gap of 1e-4 and 1e-8, alpha max / 100, columns
    independent; neighbours correlated by 0.5; by 0.9: 20 000 x 200: .5, .6; .9, 1.3; 1.3, 1.3.
    4000 x 300: .4, .5; .7, 1.0; 1.3, 1.3. 4000 x 1000: .3, .5; .4, .5; 1.1, 1.1. 5000 x 2000: .2,
    .2; .2, .3; 1.1, 1.1 (benchmarks/lasso_thresholds.py --sweeps).
    """
    if problem.why_not(Oracle.COORDS) is not None or problem.kernels.name != "cython":
        return False
    copy = 0 if problem.base.X.flags.f_contiguous else COPY
    return problem.base.kept_gram is None and cost_of_gram(problem) >= MANY + copy
