"""Decentralised methods follow their papers' formulas, iterate by iterate."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from agents import LOGISTIC, ONES, Data, N, P, follow, path, weights

from skopt_dl.engine import Stopping, run
from skopt_dl.penalties import L1
from skopt_dl.solvers import (
    DGD,
    DPSGD,
    EXTRA,
    GradientTracking,
    MajorityVote,
    NewtonConsensus,
)


@LOGISTIC
def test_extra_follows_its_formula(logistic: bool) -> None:
    data, W, t = Data(logistic), weights(), 0.1
    before, X = ONES, W @ ONES - t * data.gradients(ONES)
    reference = [X]
    for _ in range(30):
        change = data.gradients(X) - data.gradients(before)
        X, before = (np.eye(N) + W) @ X - (np.eye(N) + W) / 2 @ before - t * change, X
        reference.append(X)
    follow(data.problem, EXTRA(n_agents=N, split="blocks", step=t), reference)


@LOGISTIC
def test_exact_diffusion_follows_its_formula(logistic: bool) -> None:
    data, lazy, t = Data(logistic), (np.eye(N) + weights()) / 2, 0.1
    before, X = ONES, lazy @ (ONES - t * data.gradients(ONES))
    reference = [X]
    for _ in range(30):
        change = data.gradients(X) - data.gradients(before)
        X, before = lazy @ (2 * X - before - t * change), X
        reference.append(X)
    # From equal points the first step mixes nothing but the gradients.
    solver = EXTRA(n_agents=N, split="blocks", step=t, adapt_first=True)
    follow(data.problem, solver, reference)


def test_pg_extra_follows_its_formula() -> None:
    data, W, t, alpha = Data(penalty=L1(0.2)), weights(), 0.1, 0.2
    lazy = (np.eye(N) + W) / 2

    def prox(V: Any) -> Any:
        return np.sign(V) * np.maximum(np.abs(V) - t * alpha, 0)

    before, half = ONES, W @ ONES - t * data.gradients(ONES)
    X = prox(half)
    reference = [X]
    for _ in range(30):
        change = data.gradients(X) - data.gradients(before)
        half = W @ X + half - lazy @ before - t * change
        X, before = prox(half), X
        reference.append(X)
    follow(data.problem, EXTRA(n_agents=N, split="blocks", step=t), reference)


@LOGISTIC
@pytest.mark.parametrize("adapt_first", [True, False])
def test_gradient_tracking_follows_its_formula(logistic: bool, adapt_first: bool) -> None:
    data, W, t = Data(logistic), weights(), 0.05
    X, G = ONES, data.gradients(ONES)
    Y, reference = G, []
    for _ in range(30):
        X = W @ (X - t * Y) if adapt_first else W @ X - t * Y
        new = data.gradients(X)
        Y = W @ (Y + new - G) if adapt_first else W @ Y + new - G
        G = new
        np.testing.assert_allclose(Y.mean(axis=0), G.mean(axis=0), atol=1e-13)
        reference.append(X)
    solver = GradientTracking(n_agents=N, split="blocks", step=t, adapt_first=adapt_first)
    follow(data.problem, solver, reference)


@LOGISTIC
@pytest.mark.parametrize("adapt_first", [True, False])
def test_dgd_follows_its_formula(logistic: bool, adapt_first: bool) -> None:
    data, W, rate = Data(logistic, split="interleaved"), weights("random"), 0.1
    X, reference = ONES, []
    for _ in range(30):
        G = data.shared(X, data.parts)
        X = W @ (X - rate * G) if adapt_first else W @ X - rate * G
        reference.append(X)
    solver = DGD(graph="random", n_agents=N, learning_rate=rate, adapt_first=adapt_first)
    follow(data.problem, solver, reference)


@pytest.mark.parametrize("adapt_first", [True, False])
def test_d_psgd_follows_its_formula(adapt_first: bool) -> None:
    data, W, rate, rng = Data(), weights(), 0.05, np.random.RandomState(0)
    X, reference, orders = ONES, [], list(data.parts)
    places = [np.arange(len(part)) for part in data.parts]
    for _ in range(6):
        places = [place[rng.permutation(len(place))] for place in places]
        orders = [part[place] for part, place in zip(data.parts, places, strict=True)]
        for k in range(3):  # nine samples in batches of three, eight in batches of two and three
            batches = [s[k * len(s) // 3 : (k + 1) * len(s) // 3] for s in orders]
            G = data.shared(X, batches)
            X = W @ (X - rate * G) if adapt_first else W @ X - rate * G
        reference.append(X)
    solver = DPSGD(
        n_agents=N, split="blocks", learning_rate=rate, batch_size=3, adapt_first=adapt_first
    )
    follow(data.problem, solver, reference)


def test_the_vote_follows_its_formula() -> None:
    data, rate = Data(), 0.05
    X, reference = ONES, []
    for _ in range(20):
        signs = np.sign(data.shared(X, data.parts))
        X = X - rate * np.sign(signs.sum(axis=0))
        reference.append(X)
    solver = MajorityVote(
        n_agents=N, split="blocks", learning_rate=rate, schedule="constant", votes="sign"
    )
    follow(data.problem, solver, reference)


def test_a_random_vote_is_the_sign_where_agents_agree_and_unbiased_where_not() -> None:
    data = Data()
    paths = []
    for votes in ("random", "sign"):
        solver = MajorityVote(n_agents=1, votes=votes)
        result = run(data.problem, solver, stopping=Stopping(tol=None, max_iter=20))
        paths.append(result.w)
    np.testing.assert_array_equal(*paths)

    seen = []

    solver = MajorityVote(n_agents=N, split="blocks", learning_rate=0.1)
    state = solver.init(data.problem, np.ones(P), np.random.RandomState(0))
    G = data.shared(ONES, data.parts)
    state.network.vote = lambda S: seen.append(S) or S[0, :]
    for _ in range(4000):
        solver._step(data.problem, state, lambda X: G)
    expected = G / np.max(np.abs(G), axis=0)
    np.testing.assert_allclose(np.mean(seen, axis=0), expected, atol=4 / 4000**0.5)


def test_a_vote_does_not_see_the_scale_of_an_agent() -> None:
    data = Data()
    solver = MajorityVote(n_agents=N, split="blocks", learning_rate=0.05, votes="sign")
    state = solver.init(data.problem, np.ones(P), np.random.RandomState(0))
    G = data.shared(ONES, data.parts)
    same = [
        state.network.vote(np.sign(scale * G))
        for scale in (1.0, np.geomspace(1e-6, 1e6, N)[:, None])
    ]
    np.testing.assert_array_equal(*same)


@LOGISTIC
def test_newton_consensus_follows_its_formula(logistic: bool) -> None:
    data, W, share = Data(logistic), weights(), 0.4
    X = ONES

    def models(X: Any) -> Any:
        H = data.hessians(X)
        return H, np.einsum("ijk,ik->ij", H, X) - data.gradients(X)

    H, b = models(X)
    Z, Y, reference = H, b, []
    for _ in range(2):
        Z, Y = np.tensordot(W, Z, 1), W @ Y
    for k in range(20):
        new = (H, b) if k == 0 else models(X)
        Z, Y = np.tensordot(W, Z + new[0] - H, 1), W @ (Y + new[1] - b)
        H, b = new
        ahead = np.stack([np.linalg.solve(z, y) for z, y in zip(Z, Y, strict=True)])
        X = (1 - share) * X + share * ahead
        reference.append(X)
    solver = NewtonConsensus(n_agents=N, split="blocks", step=share, warm_up=2)
    follow(data.problem, solver, reference)


@pytest.mark.parametrize("solver", [EXTRA(), DGD(), DPSGD(batch_size=4)], ids=repr)
def test_the_mean_follows_the_mean_gradient(solver: Any) -> None:
    data = Data(True)
    solver.set_params(n_agents=N, split="blocks")
    solver.set_params(**{"step" if isinstance(solver, EXTRA) else "learning_rate": 0.1})
    if isinstance(solver, DPSGD):
        solver.set_params(batch_size=43)
    points = [ONES, *path(data.problem, solver, 10)]
    for X, after in itertools.pairwise(points):
        G = data.gradients(X) if isinstance(solver, EXTRA) else data.shared(X, data.parts)
        expected = X.mean(axis=0) - 0.1 * G.mean(axis=0)
        np.testing.assert_allclose(after.mean(axis=0), expected, atol=1e-12)
