"""Agents on a graph: formulas followed iterate by iterate, messages counted, optima reached."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from skopt_dl import Lasso, LogisticRegression, MLPRegressor, Ridge
from skopt_dl.dispatch import IncompatibleSolverError, resolve
from skopt_dl.engine import Stopping, run
from skopt_dl.linops.mixing import Graph, Mixing, RandomGraph
from skopt_dl.losses import Logistic, Squared
from skopt_dl.penalties import L1, L2
from skopt_dl.problems import LinearProblem
from skopt_dl.solvers import (
    DGD,
    DPSGD,
    EXTRA,
    GradientDescent,
    GradientTracking,
    MajorityVote,
    NewtonConsensus,
)

RIDGE, N, P = 0.1, 5, 4


class Data:
    """A regression or classification on 43 samples, and what each of five agents computes of it."""

    def __init__(self, logistic: bool = False, penalty: Any = None, split: str = "blocks") -> None:
        rng = np.random.default_rng(0)
        self.X = rng.normal(size=(43, P)) * np.linspace(0.5, 1.5, P)
        signal = self.X @ [1.0, -2.0, 0.5, 0.0] + 0.5 * rng.normal(size=43)
        order = np.argsort(signal)
        self.X, signal = self.X[order], signal[order]
        self.y = (signal > 0) * 1.0 if logistic else signal
        self.logistic = logistic
        loss = Logistic() if logistic else Squared()
        self.smooth = penalty is None
        self.problem = LinearProblem(
            self.X, self.y, loss, L2(RIDGE) if penalty is None else penalty
        )
        cuts = [i * 43 // N for i in range(N + 1)]
        parts = [np.arange(a, b) for a, b in itertools.pairwise(cuts)]
        self.parts = parts if split == "blocks" else [np.arange(i, 43, N) for i in range(N)]

    def _slope(self, x: Any, index: Any) -> Any:
        z = self.X[index] @ x
        return (1 / (1 + np.exp(-z)) if self.logistic else z) - self.y[index]

    def gradients(self, points: Any) -> np.ndarray:
        """Of the agents' objectives: N/43 of the sum of their losses, and the ridge."""
        ridge = RIDGE if self.smooth else 0.0
        rows = [
            N / 43 * self.X[s].T @ self._slope(x, s) + ridge * x
            for x, s in zip(points, self.parts, strict=True)
        ]
        return np.stack(rows)

    def shared(self, points: Any, batches: Any) -> np.ndarray:
        """The share of each agent times the mean over its batch, the ridge included."""
        rows = []
        for x, s, b in zip(points, self.parts, batches, strict=True):
            mean = self.X[b].T @ self._slope(x, b) / len(b)
            rows.append(N * len(s) / 43 * (mean + RIDGE * x))
        return np.stack(rows)

    def hessians(self, points: Any) -> np.ndarray:
        rows = []
        for x, s in zip(points, self.parts, strict=True):
            q = 1 / (1 + np.exp(-self.X[s] @ x))
            bend = q * (1 - q) if self.logistic else np.ones(len(s))
            rows.append(N / 43 * (self.X[s].T * bend) @ self.X[s] + RIDGE * np.eye(P))
        return np.stack(rows)

    def optimum(self) -> np.ndarray:
        x = np.zeros(P)
        for _ in range(30):
            same = np.stack([x] * N)
            H, g = self.hessians(same).mean(axis=0), self.gradients(same).mean(axis=0)
            x = x - np.linalg.solve(H, g)
        return x


def path(problem: Any, solver: Any, n: int) -> list[np.ndarray]:
    """The points of all agents after each of ``n`` iterations, from ones."""
    start = np.ones(problem.size)
    state = solver.init(problem, start, np.random.RandomState(0))
    points = []
    for _ in range(n):
        solver.advance(problem, state, 1)
        points.append(state.X.copy())
        np.testing.assert_allclose(state.w, state.X.mean(axis=0), atol=1e-14)
    return points


def follow(problem: Any, solver: Any, reference: list[np.ndarray]) -> None:
    ours = path(problem, solver, len(reference))
    for mine, other in zip(ours, reference, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-12, atol=1e-12)
    assert np.abs(ours[-1] - ours[0]).max() > 1e-3


def weights(graph: Any = "ring") -> np.ndarray:
    return Mixing(graph, N).matrix


ONES = np.ones((N, P))
LOGISTIC = pytest.mark.parametrize("logistic", [False, True], ids=["squared", "logistic"])


# --- graphs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("graph", ["ring", "torus", "complete", "random"])
@pytest.mark.parametrize("n", [4, 6, 9, 12])
def test_the_weights_are_doubly_stochastic(graph: str, n: int) -> None:
    mixing = Mixing(graph, n)
    W = mixing.matrix
    np.testing.assert_allclose(W.sum(axis=0), 1, atol=1e-15)
    np.testing.assert_array_equal(W, W.T)
    assert (W >= 0).all()
    assert (np.diag(W) > 0).all()
    off = {(i, j) for i in range(n) for j in range(i + 1, n) if W[i, j] > 0}
    assert off == mixing.edges
    # Connected: every disagreement shrinks.
    assert 0 < mixing.gap <= 1
    disagreement = np.linalg.norm(np.linalg.matrix_power(W, 3) - np.full((n, n), 1 / n), 2)
    assert disagreement == pytest.approx((1 - mixing.gap) ** 3, abs=1e-12)


def test_eigenvalues_have_their_closed_forms() -> None:
    ring = Mixing("ring", 10)
    assert ring.second == pytest.approx((1 + 2 * math.cos(2 * math.pi / 10)) / 3)
    assert ring.last == pytest.approx(-1 / 3)
    torus = Mixing("torus", 15)  # three rows of five
    assert len(torus.edges) == 30
    assert torus.second == pytest.approx((3 + 2 * math.cos(2 * math.pi / 5)) / 5)
    complete = Mixing("complete", 7)
    np.testing.assert_allclose(complete.matrix, 1 / 7, atol=1e-15)
    assert complete.gap == pytest.approx(1)


def test_small_numbers_of_agents() -> None:
    assert Mixing("ring", 1).edges == set()
    assert Mixing("ring", 2).edges == {(0, 1)}
    assert len(Mixing("torus", 4).edges) == 4
    assert Mixing("torus", 6).edges >= {(0, 3), (1, 4), (2, 5), (0, 2)}


def test_a_random_graph_is_drawn_by_its_seed() -> None:
    edges = [RandomGraph(probability=0.3, seed=seed).edges(10) for seed in (0, 0, 1)]
    assert edges[0] == edges[1] != edges[2]
    with pytest.raises(ValueError, match="connects 10 agents hardly"):
        RandomGraph(probability=0.001).edges(10)


def test_a_tree_has_the_least_depth() -> None:
    assert max(steps for *_, steps in Mixing("ring", 9).tree()) == 4
    assert [steps for *_, steps in Mixing("complete", 5).tree()] == [1] * 4
    rows = Mixing("random", 12).tree()
    assert sorted(agent for agent, *_ in rows) == sorted({agent for agent, *_ in rows})
    assert len(rows) == 11
    assert [s for *_, s in rows] == sorted((s for *_, s in rows), reverse=True)


# --- formulas -----------------------------------------------------------------------------------


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
    solver = MajorityVote(n_agents=N, split="blocks", learning_rate=rate, schedule="constant")
    follow(data.problem, solver, reference)


def test_a_vote_does_not_see_the_scale_of_an_agent() -> None:
    data = Data()
    solver = MajorityVote(n_agents=N, split="blocks", learning_rate=0.05, schedule="constant")
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


# --- where they end -----------------------------------------------------------------------------


@LOGISTIC
@pytest.mark.parametrize("graph", ["ring", "complete", "random"])
@pytest.mark.parametrize(
    "solver",
    [
        EXTRA(),
        EXTRA(adapt_first=True),
        GradientTracking(),
        GradientTracking(adapt_first=False),
        NewtonConsensus(),
    ],
    ids=repr,
)
def test_the_optimum_of_all_samples_is_reached(solver: Any, graph: str, logistic: bool) -> None:
    data = Data(logistic)
    solver.set_params(graph=graph, n_agents=N, split="blocks")
    n = 300 if isinstance(solver, NewtonConsensus) else 2500
    result = run(data.problem, solver, stopping=Stopping(tol=None, max_iter=n))
    np.testing.assert_allclose(result.w, data.optimum(), atol=1e-8)
    assert result.history["consensus_error"][-1] < 1e-7


def test_dgd_ends_beside_the_optimum_by_as_much_as_its_rate_allows() -> None:
    data, W = Data(split="interleaved"), weights()
    best, errors = data.optimum(), []
    for rate in (0.1, 0.02):
        solver = DGD(n_agents=N, learning_rate=rate)
        result = run(data.problem, solver, stopping=Stopping(tol=None, max_iter=3000))
        # (I - W) X + rate G(X) = 0, a linear system of a least-squares problem.
        G0 = data.shared(np.zeros((N, P)), data.parts).ravel()
        H = np.zeros((N * P, N * P))
        for j, unit in enumerate(np.eye(N * P)):
            H[:, j] = data.shared(unit.reshape(N, P), data.parts).ravel() - G0
        system = np.kron(np.eye(N) - W, np.eye(P)) + rate * H
        end = np.linalg.solve(system, -rate * G0).reshape(N, P)
        np.testing.assert_allclose(result.state.X, end, atol=1e-8)
        errors.append(np.linalg.norm(end - best) / math.sqrt(N))
    assert errors[0] > 1e-2
    assert errors[1] == pytest.approx(errors[0] / 5, rel=0.25)


def test_extra_with_a_prox_reaches_the_lasso() -> None:
    data = Data(penalty=L1(0.3))
    solver = EXTRA(n_agents=N, split="blocks", adapt_first=True)
    result = run(data.problem, solver, stopping=Stopping(tol=None, max_iter=1500))
    known = Lasso(alpha=0.3, fit_intercept=False, tol=1e-12).fit(data.X, data.y)
    np.testing.assert_allclose(result.w, known.coef_, atol=1e-8)
    # An agent may rest at the edge of its threshold, where rounding leaves something of a zero.
    assert np.abs(result.w[known.coef_ == 0]).max() < 1e-15


@LOGISTIC
def test_the_complete_graph_is_one_computer(logistic: bool) -> None:
    data, rate, start = Data(logistic, split="interleaved"), 0.2, np.ones(P)
    known = GradientDescent(step=rate)
    state = known.init(data.problem, start, None)
    tracking = GradientTracking(graph="complete", n_agents=N, step=rate)
    diffusion = DGD(graph="complete", n_agents=N, learning_rate=rate, adapt_first=True)
    ours = [path(data.problem, solver, 25) for solver in (tracking, diffusion)]
    for k in range(25):
        known.advance(data.problem, state, 1)
        for points in ours:
            np.testing.assert_allclose(points[k], np.stack([state.w] * N), atol=1e-12)
    x = start
    newton = NewtonConsensus(graph="complete", n_agents=N, step=1.0, warm_up=0)
    for points in path(data.problem, newton, 5):
        same = np.stack([x] * N)
        H, g = data.hessians(same).mean(axis=0), data.gradients(same).mean(axis=0)
        x = x - np.linalg.solve(H, g)
        np.testing.assert_allclose(points, np.stack([x] * N), atol=1e-10)


def test_one_agent_is_gradient_descent() -> None:
    data = Data()
    for solver in (EXTRA(n_agents=1, step=0.1), DGD(n_agents=1, learning_rate=0.1)):
        x = np.ones(P)
        for points in path(data.problem, solver, 5):
            slope = data.X.T @ data._slope(x, slice(None)) / 43
            x = x - 0.1 * (slope + RIDGE * x)
            np.testing.assert_allclose(points[0], x, atol=1e-12)


class Sides(Graph):
    """Two halves, each agent a neighbour of all on the other side: averages that swing."""

    def edges(self, n_agents: int) -> set[tuple[int, int]]:
        half = n_agents // 2
        return {(i, j) for i in range(half) for j in range(half, n_agents)}


@pytest.mark.parametrize(
    "solver",
    [EXTRA(), GradientTracking(), GradientTracking(adapt_first=False), DGD(), DPSGD()],
    ids=repr,
)
def test_automatic_steps_know_graphs_that_swing(solver: Any) -> None:
    assert Mixing(Sides(), 20).last == pytest.approx(-9 / 11)
    data = Data()
    solver.set_params(graph=Sides(), n_agents=20)
    # Steps of two hundredths of 1/L are what tracking can bear here.
    n = 3000 if isinstance(solver, GradientTracking) else 600
    result = run(data.problem, solver, stopping=Stopping(tol=None, max_iter=n))
    lowest = float(data.problem.value(data.optimum()))
    start = float(data.problem.value(np.zeros(P)))
    assert result.certificate.objective - lowest < 0.05 * (start - lowest)
    # At rest: nothing that grows is hidden in the mean.
    errors = result.history["consensus_error"]
    assert errors[-1] <= max(errors[:20]) + 1e-12


# --- what is sent -------------------------------------------------------------------------------


@pytest.mark.parametrize("graph", ["ring", "torus", "complete", "random"])
def test_rounds_and_bytes_are_the_closed_forms(graph: str) -> None:
    n, its, data = 6, 7, Data()
    point = 2 * len(Mixing(graph, n).edges) * P * 8
    matrix = point + 2 * len(Mixing(graph, n).edges) * P * (P + 1) // 2 * 8
    known = [
        (EXTRA(), its, its * point),
        (EXTRA(adapt_first=True), its, its * point),
        (GradientTracking(), 2 * its, 2 * its * point),
        (GradientTracking(adapt_first=False), its, 2 * its * point),
        (DGD(), its, its * point),
        (DPSGD(batch_size=2), 4 * its, 4 * its * point),
        (NewtonConsensus(warm_up=3), 3 + its, (3 + its) * matrix),
    ]
    for solver, rounds, sent in known:
        solver.set_params(graph=graph, n_agents=n)
        history = run(data.problem, solver, stopping=Stopping(tol=None, max_iter=its)).history
        assert (history["rounds"][-1], history["bytes_sent"][-1]) == (rounds, sent), solver
        assert history["n_iter"][-1] == its


def test_numbers_count_by_their_size() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 3)).astype(np.float32)
    problem = LinearProblem(X, X[:, 0], Squared(), L2(0.1), fit_intercept=True)
    result = run(problem, EXTRA(n_agents=4), stopping=Stopping(tol=None, max_iter=5))
    assert result.history["bytes_sent"][-1] == 5 * 8 * 3 * 4


def test_votes_count_by_their_bits() -> None:
    """Of 9 coordinates: 2 bits are 3 bytes, 3 bits of up to three votes 4, 4 bits of seven 5."""
    X = np.random.default_rng(0).normal(size=(30, 9))
    problem = LinearProblem(X, X[:, 0], Squared(), L2(0.1))

    def counted(graph: Any, n: int) -> tuple[int, int]:
        solver = MajorityVote(graph=graph, n_agents=n)
        history = run(problem, solver, stopping=Stopping(tol=None, max_iter=3)).history
        return history["rounds"][-1], history["bytes_sent"][-1]

    assert counted("complete", 6) == (3 * 2, 3 * 5 * (3 + 3))
    # Two branches of two: the ends have one vote, those before them two.
    assert counted("ring", 5) == (3 * 4, 3 * (2 * (3 + 3) + 2 * (4 + 3)))
    assert counted("ring", 1) == (0, 0)


class Line(Graph):
    """Agents in a row."""

    def edges(self, n_agents: int) -> set[tuple[int, int]]:
        return {(i, i + 1) for i in range(n_agents - 1)}


@pytest.mark.parametrize("graph", ["ring", "torus", "complete", "random", Line()], ids=str)
@pytest.mark.parametrize(
    "solver",
    [EXTRA(), GradientTracking(), DGD(), DPSGD(), MajorityVote(), NewtonConsensus()],
    ids=repr,
)
def test_the_bound_of_disagreement_holds(solver: Any, graph: Any) -> None:
    data = Data(True)
    solver.set_params(graph=graph, n_agents=6, split="blocks")
    result = run(data.problem, solver, stopping=Stopping(tol=None, max_iter=40))
    error, bound = (np.asarray(result.history[f"consensus_{k}"]) for k in ("error", "bound"))
    assert (error <= bound + 1e-14).all()
    X = result.state.X
    rms = math.sqrt(np.mean(np.sum((X - X.mean(axis=0)) ** 2, axis=1)))
    assert error[-1] == pytest.approx(rms, abs=1e-15)
    if isinstance(solver, DGD):
        assert bound[-1] <= (1 + 1 / 3) / Mixing(graph, 6).gap * error[-1] + 1e-12
    if isinstance(solver, MajorityVote):
        assert error.max() == 0


# --- use ----------------------------------------------------------------------------------------


def test_estimators_take_them_by_name_and_as_instances() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 5)) + 1.0
    y = X @ np.arange(5.0) + 0.1 * rng.normal(size=60) + 3.0
    known = Ridge().fit(X, y)
    model = Ridge(solver="extra", tol=1e-10).fit(X, y)
    np.testing.assert_allclose(model.coef_, known.coef_, atol=1e-4)
    history = model.solve_report_.history
    assert {"rounds", "bytes_sent", "consensus_error", "consensus_bound"} <= set(history)
    assert len(history["rounds"]) == len(history["n_iter"])
    lasso = Lasso(alpha=0.1, solver=EXTRA(graph="torus", n_agents=8), tol=1e-8).fit(X, y)
    np.testing.assert_allclose(lasso.coef_, Lasso(alpha=0.1, tol=1e-8).fit(X, y).coef_, atol=1e-3)
    labels = y > y.mean()
    for solver in ("gradient_tracking", NewtonConsensus(graph="random", n_agents=6)):
        classifier = LogisticRegression(solver=solver, tol=1e-8, max_iter=5000).fit(X, labels)
        plain = LogisticRegression(tol=1e-8).fit(X, labels)
        np.testing.assert_allclose(classifier.coef_, plain.coef_, atol=1e-3)


@pytest.mark.parametrize("solver", ["dgd", "d_psgd", "majority_vote"])
def test_networks_are_trained_too(solver: str) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 4))
    y = np.tanh(X[:, 0] - X[:, 1])
    model = MLPRegressor(hidden_layer_sizes=(8,), random_state=0)
    problem = model._build_problem(X, y)
    stopping = Stopping(tol=None, max_iter=150)
    result = run(problem, solver_of(solver), stopping=stopping, rng=np.random.RandomState(0))
    before = float(problem.value(problem.start()))
    assert float(problem.value(result.w)) < 0.5 * before


def solver_of(name: str) -> Any:
    rate = {"dgd": 0.1, "d_psgd": 0.1, "majority_vote": 0.005}[name]
    kinds = {"dgd": DGD, "d_psgd": DPSGD, "majority_vote": MajorityVote}
    return kinds[name](learning_rate=rate)


def test_a_solve_goes_on_from_its_state() -> None:
    data = Data(True)
    for solver in (EXTRA(), GradientTracking(), DGD(), NewtonConsensus()):
        whole = run(data.problem, solver, stopping=Stopping(tol=None, max_iter=20))
        half = run(data.problem, solver, stopping=Stopping(tol=None, max_iter=10))
        rest = run(data.problem, solver, state=half.state, stopping=Stopping(tol=None, max_iter=10))
        np.testing.assert_array_equal(rest.w, whole.w)
        assert rest.history["rounds"][-1] == whole.history["rounds"][-1]


@pytest.mark.parametrize(
    ("solver", "message"),
    [
        (EXTRA(graph="star"), "EXTRA: graph='star': expected 'ring'"),
        (EXTRA(graph="torus", n_agents=7), "EXTRA: graph='torus': n_agents=7 is no product"),
        (EXTRA(n_agents=0), "EXTRA: n_agents=0: expected an integer >= 1"),
        (DGD(split="rows"), "DGD: split='rows', but it must be 'interleaved'"),
        (DGD(learning_rate=-1.0), "DGD: learning_rate=-1.0, but it must be 'auto'"),
        (GradientTracking(step=0), "GradientTracking: step=0, but it must be 'auto'"),
        (NewtonConsensus(warm_up=-1), "NewtonConsensus: warm_up=-1, but it must be 'auto'"),
        (EXTRA(graph=RandomGraph(probability=2.0)), "EXTRA: RandomGraph: probability=2.0"),
    ],
    ids=repr,
)
def test_bad_settings_are_named(solver: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(Data().problem, solver)


def test_no_agent_is_without_a_sample() -> None:
    result = run(Data().problem, DGD(n_agents=50), stopping=Stopping(tol=None, max_iter=1))
    assert result.state.X.shape == (43, P)


class Halves(Graph):
    """Two rings that know nothing of each other."""

    def edges(self, n_agents: int) -> set[tuple[int, int]]:
        return {(0, 1), (2, 3)}


def test_a_graph_must_connect_all() -> None:
    with pytest.raises(ValueError, match=r"graph=Halves\(\) does not connect all of the 4 agents"):
        Mixing(Halves(), 4)


def test_what_has_no_gradient_is_refused() -> None:
    kink = Data(penalty=L1(0.1)).problem
    for solver in (GradientTracking(), DGD(), NewtonConsensus()):
        with pytest.raises(IncompatibleSolverError, match="a smooth objective"):
            resolve(solver, kink)
