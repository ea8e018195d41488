"""What a robust fit needs to know before: where the loss bends, and the strength of the penalty."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np

from skopt_dl.dispatch import resolve
from skopt_dl.engine import Stopping, run
from skopt_dl.kernels.namespace import to_float
from skopt_dl.matrix_completion.building import posterior_problem
from skopt_dl.matrix_completion.posterior import PosteriorProblem
from skopt_dl.matrix_completion.prepared import Prepared
from skopt_dl.matrix_completion.robust import (
    CORNER,
    EFFICIENT,
    REACH,
    RobustLoss,
    deviation,
    weighted_median,
)
from skopt_dl.matrix_completion.starts import random_columns

# Turns of variational Bayes between two cuts of the entries, and cuts at most: enough where the
# noise found changes by this share no more.
TURNS = 20
CUTS = 30
ENOUGH = 0.02
# A component whose squares are in so few cells (their sum squared over the sum of their squares) is
# no component but a few errors; of few entries, in this share of them. Gaussian factors have theirs
# in a ninth of the entries.
SPIKE = 20.0
SPIKE_SHARE = 0.02
# Components below this share of the largest are none that the entries ask for.
ALIVE = 1e-3
# Size of the entries of a component in the place of one that has vanished, of the largest.
SMALL = 0.01
# Noise is taken to be this share of the entries' deviation at least.
LEAST_NOISE = 1e-2


class Pilot:
    """A first fit that learns noise and penalty, from entries whose errors are cut.

    Variational Bayes in turn with P. Huber's pseudo-values: the fit plus the residuals, those
    beyond 1.345 standard deviations of the noise pulled in to there ("Robust Statistics", 1981,
    section 7.8). At first, entries beyond three deviations of all entries are left out: pulled in,
    errors of one sign would look like a component.

    Parameters
    ----------
    estimator : MatrixCompletion
        With a robust loss.
    data : Prepared
        Its entries.
    seed : int
        Of the starting point.
    """

    def __init__(self, estimator: Any, data: Prepared, seed: int) -> None:
        self.estimator, self.data, self.seed = estimator, data, seed
        self.observed = data.centred(estimator.fit_bias)
        obs = self.observed
        self._centre = weighted_median(obs.values, obs.weights)
        self.spread = deviation(obs.values - self._centre, obs.weights)
        if not self.spread > 0:
            root = math.sqrt(to_float(obs.dot(obs.values, obs.values) / obs.total))
            self.spread = root if root > 0 else 1.0
        self._answer: tuple[PosteriorProblem, Any, float, float] | None = None

    @property
    def answer(self) -> tuple[PosteriorProblem, Any, float, float]:
        """The problem, its factors, the penalty and the standard deviation of the noise."""
        if self._answer is None:
            self._answer = self._found()
        return self._answer

    def _found(self) -> tuple[PosteriorProblem, Any, float, float]:
        xp, whole = self.observed.xp, self.observed
        far = xp.abs(whole.values - self._centre) > REACH * self.spread
        obs = whole.without(xp.where(far, whole.weights, xp.zeros_like(whole.weights)))
        Q, noise, least = None, self.spread, LEAST_NOISE * self.spread
        for _ in range(CUTS):
            # A prior with a mean would welcome errors of one sign as a component.
            problem = posterior_problem(self.estimator, self.data, obs, levels=False)
            problem.seed = self.seed
            result = run(
                problem,
                resolve("vb", problem)[0],
                start=problem.start() if Q is None else problem.from_cols(Q),
                stopping=Stopping(tol=None, max_iter=TURNS),
                rng=np.random.default_rng(self.seed),
            )
            beliefs, factor = problem.unpack(result.w), problem.factor
            P, Q, before = beliefs.P, self._without_spikes(beliefs.P, beliefs.Q, factor.k), noise
            E = whole.values - whole.products(*factor.factors(factor.pack(P, Q)))
            noise = max(deviation(E, whole.weights), least)
            if abs(noise - before) <= ENOUGH * before:
                break
            reach = EFFICIENT * noise
            cut = whole.values - E + xp.clip(E, -reach, reach)
            obs = copy.copy(whole)
            obs.values = xp.where(whole.weights > 0, cut, xp.zeros_like(cut))
        return problem, factor.pack(P, Q), problem.penalty_per_entry(beliefs), noise

    def _without_spikes(self, P: Any, Q: Any, k: int) -> Any:
        """Q with zeros for components that live in a few cells.

        Such a component has met two or three errors in a row or column, fits them, and would stay.
        """
        xp, obs = self.observed.xp, self.observed
        most, kept = min(SPIKE, SPIKE_SHARE * obs.n_entries), []
        for c in range(k):
            energy = obs.products(P[:, c : c + 1], Q[:, c : c + 1]) ** 2
            once, twice = obs.dot(energy, xp.ones_like(energy)), obs.dot(energy, energy)
            spike = 0 < to_float(once * once) <= most * to_float(twice)
            kept.append(0.0 if spike else 1.0)
        kept += [1.0] * (Q.shape[1] - k)
        return Q * xp.asarray(kept, dtype=obs.dtype, device=obs.device)

    def loss(self) -> RobustLoss:
        """The loss that the estimator asks for, with its delta."""
        straight, delta = self.estimator.loss == "absolute", self.estimator.delta
        if not isinstance(delta, str):
            return RobustLoss(float(delta), straight)
        if straight:
            return RobustLoss(CORNER * self.spread, straight)
        return RobustLoss(EFFICIENT * self.answer[3])

    def strength(self) -> float:
        """The penalty that the posterior stands for, in the units of the loss.

        Its weight beside the noise's log-density is the same: that of Gaussian noise of variance
        :math:`s^2` is :math:`r^2 / 2 s^2`, that of Laplace noise with the same mean absolute
        value :math:`s \\sqrt{2 / \\pi}` is the absolute value over that.
        """
        _, _, alpha, noise = self.answer
        if self.estimator.loss == "huber":
            return alpha
        return alpha * math.sqrt(2 / math.pi) / noise

    def start(self, problem: Any) -> Any:
        """The posterior's columns as a start of ``problem``.

        A component that has vanished stays away where the estimator learns, and gets another, small
        one in its place where the rank is to be used.
        """
        xp, learned, w = self.observed.xp, *self.answer[:2]
        (P, Q), k = learned.factor.unpack(w), problem.k
        P, V = P[:, :k], Q[:, :k]
        size = xp.linalg.vector_norm(P, axis=0) * xp.linalg.vector_norm(V, axis=0)
        alive = (size > ALIVE * xp.max(size))[None, :]
        other = xp.zeros_like(V)
        if self.estimator.alpha != "auto":
            other = SMALL * xp.max(xp.abs(V)) * random_columns(problem)
        V = xp.where(alive, V, other * xp.astype(self.observed.col_weight > 0, V.dtype)[:, None])
        return problem.from_cols(xp.concat([V, Q[:, k:]], axis=1))
