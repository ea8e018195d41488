"""L-BFGS from the curvature of a sample: the operator, its limits, and what it is for."""

from __future__ import annotations

import numpy as np
import pytest
from smooth import after, binary, rosenbrock

from skopt_dl.engine import Status, Stopping, run
from skopt_dl.linear_model import LogisticRegression
from skopt_dl.linops.factor import PositiveFactor
from skopt_dl.linops.quasi_newton import WhitenedInverseHessian
from skopt_dl.losses import Logistic, SquaredHinge
from skopt_dl.penalties import L2
from skopt_dl.problems import LinearProblem
from skopt_dl.solvers import LBFGS, NewtonCholesky
from skopt_dl.solvers.sampled_curvature import first_sample, sample_pace


def uneven(n=3000, p=12, spread=3.0, loss=None):
    """Labels 0 and 1; columns correlated, in units that differ by ``10^(2 spread)``."""
    rng = np.random.RandomState(0)
    X = rng.randn(n, p)
    X[:, 1:] += 0.7 * X[:, :-1]
    y = np.where(X @ rng.randn(p) + rng.logistic(size=n) > 0, 1.0, 0.0)
    X *= 10.0 ** np.linspace(-spread, spread, p)
    return LinearProblem(X, y, loss or Logistic(), L2(1e-12), fit_intercept=True)


def test_the_operator_is_bfgs_from_the_inverse_of_the_factorised_matrix():
    rng = np.random.RandomState(0)
    A = rng.randn(20, 6) * 10.0 ** np.linspace(-3, 3, 6)
    G = A.T @ A
    H = WhitenedInverseHessian(5, PositiveFactor(G))
    g = rng.randn(6)
    np.testing.assert_allclose(H.apply(g), np.linalg.solve(G, g), rtol=1e-6)
    pairs = []
    for _ in range(4):
        s = rng.randn(6)
        pairs.append((s, G @ s + 0.2 * np.diag(np.diag(G)) @ s))
        assert H.push(*pairs[-1])
    s, y = pairs[-1]
    expected = (s @ y) / (y @ np.linalg.solve(G, y)) * np.linalg.inv(G)
    for s, y in pairs:
        V = np.eye(6) - np.outer(s, y) / (s @ y)
        expected = V @ expected @ V.T + np.outer(s, s) / (s @ y)
    np.testing.assert_allclose(H.apply(g), expected @ g, rtol=1e-6)
    np.testing.assert_allclose(H.apply(y), s, rtol=1e-8)
    H.clear()
    np.testing.assert_allclose(H.apply(g), np.linalg.solve(G, g), rtol=1e-6)


def test_a_dear_hessian_is_taken_once_it_is_seen_to_be_needed():
    """For 200 columns and 500 rows it costs as much as some dozen iterations."""
    easy, hard = uneven(500, 200, spread=0.0), uneven(500, 200, spread=2.0)
    due = first_sample(hard)
    assert due is not None
    assert 10 < due < 50
    plain, auto = LBFGS(initial="diagonal"), LBFGS()
    np.testing.assert_array_equal(after(hard, auto, due), after(hard, plain, due))
    assert not np.array_equal(after(hard, auto, due + 1), after(hard, plain, due + 1))
    stopping = Stopping(tol=1e-6, max_iter=300)
    assert run(hard, auto, stopping=stopping).success
    assert not run(hard, LBFGS(initial="identity"), stopping=stopping).success
    few = Stopping(tol=1e-1, max_iter=due)
    np.testing.assert_array_equal(run(easy, auto, stopping=few).w, run(easy, plain, stopping=few).w)


def test_the_diagonal_makes_units_no_matter():
    """Scaled back, the steps are those of columns in like units, as the metric moves with them."""
    like, unlike = uneven(500, 20, spread=0.0), uneven(500, 20, spread=3.0)
    units = np.append(10.0 ** np.linspace(-3, 3, 20), 1.0)
    for n in (1, 5, 15):
        np.testing.assert_allclose(
            after(unlike, LBFGS(initial="diagonal"), n) * units,
            after(like, LBFGS(initial="diagonal"), n),
            rtol=1e-4,
            atol=1e-8,
        )


def test_the_first_step_from_the_diagonal_is_jacobis():
    problem = binary(alpha=0.1)
    point = problem.point(np.zeros(problem.size))
    step = after(problem, LBFGS(initial="diagonal"), 1)
    jacobi = -point.grad / np.diag(problem.hessian(point))
    np.testing.assert_allclose(step / step[0], jacobi / jacobi[0], rtol=1e-12)


@pytest.mark.parametrize("initial", ["identity", "diagonal", "sample"])
def test_a_state_goes_on_where_the_penalty_has_changed(initial):
    """To the optimum of the new problem, in fewer steps than anew where a metric is kept."""
    before, changed = uneven(), uneven()
    before.penalty, changed.penalty = L2(1e-3), L2(1e-5)
    stopping, solver = Stopping(tol=1e-8, max_iter=1000), LBFGS(initial=initial)
    found = run(before, solver, stopping=stopping)
    zero = np.zeros(changed.size)
    change = changed.on_coef(changed.penalty.curvature, zero)
    change = change - before.on_coef(before.penalty.curvature, zero)
    state = solver.resume(changed, found.state, change)
    if state.G is not None and state.G.ndim == 2:
        diagonal = np.diag(state.G)
        np.testing.assert_allclose(diagonal, np.diag(changed.hessian(state.point)), rtol=0.5)
    resumed = run(changed, solver, state=state, stopping=stopping)
    anew = run(changed, solver, stopping=stopping)
    assert resumed.success or initial == "identity"
    if initial != "identity":
        assert resumed.n_iter < anew.n_iter
        optimum = run(changed, NewtonCholesky(), stopping=Stopping(tol=1e-12)).certificate
        np.testing.assert_allclose(resumed.certificate.objective, optimum.objective, rtol=1e-10)


def test_fewer_samples_than_columns_know_too_little():
    assert first_sample(uneven(100, 200)) is None


def test_all_samples_make_the_first_step_newtons():
    problem = binary(alpha=0.1)
    np.testing.assert_allclose(
        after(problem, LBFGS(initial="sample"), 1),
        after(problem, NewtonCholesky(), 1),
        rtol=1e-10,
    )


def test_all_samples_renewed_at_each_step_are_newtons_method():
    """At the first, second and third step."""
    problem = binary(alpha=0.1)
    for n in (1, 2, 3):
        np.testing.assert_allclose(
            after(problem, LBFGS(initial="sample", renew=1), n),
            after(problem, NewtonCholesky(), n),
            rtol=1e-10,
        )


def test_the_units_of_the_columns_do_not_matter():
    problem, stopping = uneven(), Stopping(tol=1e-8, max_iter=40)
    found = run(problem, LBFGS(), stopping=stopping)
    assert found.status is Status.CONVERGED
    assert run(problem, LBFGS(initial="identity"), stopping=stopping).status is Status.MAX_ITER


def test_the_sample_does_not_depend_on_the_random_state():
    problem = uneven()
    answers = [
        run(problem, LBFGS(initial="sample"), rng=np.random.default_rng(seed)).w for seed in (0, 1)
    ]
    np.testing.assert_array_equal(*answers)


def test_a_hessian_without_a_factor_leaves_l_bfgs():
    class Indefinite(LinearProblem):
        def hessian(self, point):
            return -np.eye(self.size)

    plain = binary()
    problem = Indefinite(plain.base.X, plain.y, Logistic(), L2(0.01))
    for n in (1, 5, 12):
        np.testing.assert_array_equal(
            after(problem, LBFGS(), n), after(problem, LBFGS(initial="diagonal"), n)
        )


def test_a_column_of_zeros_and_parallel_ones_do_no_harm():
    rng = np.random.RandomState(0)
    X = rng.randn(300, 4)
    X[:, 2], X[:, 3] = 0.0, 2 * X[:, 0]
    y = np.where(X[:, 0] + X[:, 1] + rng.randn(300) > 0, 1.0, 0.0)
    problem = LinearProblem(X, y, SquaredHinge(), L2(0.0))
    found = run(problem, LBFGS(initial="sample"), stopping=Stopping(tol=1e-8, max_iter=50))
    assert found.status is Status.CONVERGED


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"renew": 0}, "renew=0"),
        ({"memory": 0}, "memory=0"),
        ({"initial": "zero"}, "initial='zero'"),
        ({"curvature": 2.0}, "curvature=2.0"),
    ],
)
def test_bad_parameters_are_named(params, message):
    with pytest.raises(ValueError, match=f"LBFGS: {message}"):
        run(uneven(), LBFGS(**params))


def test_a_problem_without_hessians_says_what_is_missing():
    with pytest.raises(ValueError, match=r"initial='sample' needs a Hessian matrix.*'identity'"):
        run(rosenbrock(4), LBFGS(initial="sample"))
    with pytest.raises(ValueError, match=r"initial='diagonal' needs the diagonal.*'identity'"):
        run(rosenbrock(4), LBFGS(initial="diagonal"))


@pytest.mark.parametrize("n_classes", [2, 4])
def test_columns_in_raw_units_are_no_matter_for_the_default(n_classes):
    """scikit-learn's L-BFGS does not get there within ``max_iter``."""
    rng = np.random.RandomState(1)
    X = rng.randn(2000, 5) * [1, 10, 0.1, 300, 1e4]
    scores = X / X.std(axis=0) @ rng.randn(5, n_classes)
    y = np.argmax(scores + rng.gumbel(size=(2000, n_classes)), 1)
    ours, newton = (
        LogisticRegression(tol=1e-10, **params).fit(X, y)
        for params in ({}, {"solver": "newton_cholesky"})
    )
    np.testing.assert_allclose(ours.decision_function(X), newton.decision_function(X), atol=1e-5)
    assert ours.n_iter_[0] < 40


@pytest.mark.parametrize("weighted", [False, True])
def test_what_a_sample_misses_is_no_matter(weighted):
    """A column of four entries without penalty, and samples most of which have no weight."""
    rng = np.random.RandomState(0)
    X = rng.randn(4000, 8)
    X[:, 0] = 0.0
    X[::1000, 0] = [1.0, 2.0, -1.0, 1.0]
    y = np.where(X[:, 1] + rng.logistic(size=4000) > 0, 1.0, 0.0)
    y[::1000] = [0.0, 1.0, 0.0, 1.0]
    weights = (np.arange(4000) % 20 == 0).astype(float) if weighted else None
    problem = LinearProblem(
        X, y, Logistic(), L2(0.0), sample_weight=weights, criterion="stationarity"
    )
    found = run(problem, LBFGS(initial="sample"), stopping=Stopping(tol=1e-9, max_iter=60))
    assert found.status is Status.CONVERGED


def test_samples_grow_until_they_are_all():
    problem, asked = uneven(), []
    whole, some = problem.hessian, problem.sample_hessian
    problem.hessian = lambda point: asked.append(problem.n_samples) or whole(point)
    problem.sample_hessian = lambda w, index, weights: (
        asked.append(index.shape[0]) or some(w, index, weights)
    )
    run(problem, LBFGS(initial="sample", renew=2), stopping=Stopping(tol=None, max_iter=20))
    assert asked == [300, 600, 1200, 3000, 3000]


def test_no_sample_is_taken_where_the_end_is_nearer_than_its_cost():
    """At the pace so far; of 200 columns and 500 rows it costs as much as some dozen iterations."""
    problem, taken = uneven(500, 200, spread=0.0), []
    whole = problem.hessian
    problem.hessian = lambda point: taken.append(point) or whole(point)
    due, solver = first_sample(problem), LBFGS()
    for share, samples in ((0.99, 0), (1e-9, 1)):
        state = run(problem, solver, stopping=Stopping(tol=None, max_iter=due)).state
        assert not taken
        state.target = share * float(state.indicator)
        solver.advance(problem, state, 1)
        assert len(taken) == samples


def alike(n=3000, p=200):
    """Labels 0 and 1; independent columns: L-BFGS from their diagonal is as fast as can be."""
    rng = np.random.RandomState(0)
    X = rng.randn(n, p)
    y = np.where(X @ rng.randn(p) + 10 * rng.logistic(size=n) > 0, 1.0, 0.0)
    return LinearProblem(X, y, Logistic(), L2(1e-2), fit_intercept=True)


def test_no_sample_is_taken_where_the_pace_is_that_of_its_hessian():
    easy, hard, samples = alike(), uneven(3000, 200, spread=0.0), []
    for problem in (easy, hard):
        some = problem.sample_hessian
        problem.sample_hessian = lambda w, index, weights, some=some: (
            samples.append(index.shape[0]) or some(w, index, weights)
        )
        due = first_sample(problem)
        assert 5 < due < 30
        state = run(problem, LBFGS(), stopping=Stopping(tol=None, max_iter=due)).state
        fast = state.pace <= sample_pace(problem)
        assert fast == (problem is easy)
        LBFGS().advance(problem, state, 1)
        assert len(samples) == (0 if fast else 1)
    # Of all samples the Hessian knows everything.
    assert sample_pace(hard, growth=8) == 0.0
    # Where that was the pace of the solve before, too, until this one has been seen.
    stopping, solver = Stopping(tol=None, max_iter=due), LBFGS()
    state = run(easy, solver, stopping=stopping).state
    resumed = solver.resume(easy, state, np.zeros(easy.size))
    assert resumed.pace == state.pace < 1


def test_a_pace_that_is_not_known_keeps_nothing_waiting():
    problem = alike()
    state = LBFGS().init(problem, np.zeros(problem.size), None)
    assert (state.pace, state.left) == (1.0, np.inf)
