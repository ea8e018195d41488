"""Agents on a graph: where they end, what they send, and how they are used."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from agents import LOGISTIC, RIDGE, Data, N, P, path, weights

from skopt_dl import Lasso, LogisticRegression, MLPRegressor, Ridge
from skopt_dl.dispatch import IncompatibleSolverError, resolve
from skopt_dl.engine import Stopping, run
from skopt_dl.linops.mixing import Graph, Mixing, RandomGraph
from skopt_dl.losses import Squared
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


@pytest.mark.parametrize("solver", [EXTRA(), GradientTracking(), NewtonConsensus()], ids=repr)
@pytest.mark.parametrize("kind", [{"class_weight": {0: 1.0, 1: 5.0}}, {}], ids=["class", "sample"])
def test_weights_are_repeated_rows_whoever_has_them(solver, kind):
    """One of weight w goes to one agent, its copies to several: exact methods end alike."""
    data = Data(logistic=True)
    times = 1 + 4 * (data.y == 1) if kind else np.random.default_rng(0).integers(0, 4, 43)
    settings = {"C": 1.0, "tol": 1e-10, "max_iter": 20_000}
    weighted = LogisticRegression(solver=solver, **settings, **kind).fit(
        data.X, data.y, None if kind else times.astype(float)
    )
    X, y = np.repeat(data.X, times, axis=0), np.repeat(data.y, times)
    for model in (
        LogisticRegression(solver=solver, **settings).fit(X, y),
        LogisticRegression(solver="newton_cholesky", **settings).fit(X, y),
    ):
        np.testing.assert_allclose(weighted.coef_, model.coef_, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(weighted.intercept_, model.intercept_, rtol=1e-5, atol=1e-6)


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

    def counted(graph: Any, n: int, votes: str = "sign") -> tuple[int, int]:
        solver = MajorityVote(graph=graph, n_agents=n, votes=votes)
        history = run(problem, solver, stopping=Stopping(tol=None, max_iter=3)).history
        return history["rounds"][-1], history["bytes_sent"][-1]

    assert counted("complete", 6) == (3 * 2, 3 * 5 * (3 + 3))
    # Two branches of two: the ends have one vote, those before them two.
    assert counted("ring", 5) == (3 * 4, 3 * (2 * (3 + 3) + 2 * (4 + 3)))
    assert counted("ring", 1) == (0, 0)
    # The bound of random votes: nine numbers of eight bytes up and down each of the four edges.
    bits = 3 * (2 * (3 + 3) + 2 * (4 + 3))
    assert counted("ring", 5, "random") == (3 * (4 + 4), bits + 3 * 4 * 2 * 9 * 8)


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
