"""The limits that tie the composed second-order methods to the plain ones they are made of."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from rules import logistic, network, ridge, train
from smooth import after, binary, classes, rosenbrock

from skopt_dl.engine import Stopping, run
from skopt_dl.linops.quasi_newton import DenseInverseHessian, InverseHessian
from skopt_dl.losses import Logistic
from skopt_dl.penalties import L1, L2, ElasticNet, L1Ball
from skopt_dl.problems import LinearProblem
from skopt_dl.solvers import (
    ARC,
    BFGS,
    LBFGS,
    PROMISE,
    SAPPHIRE,
    SQN,
    STORM,
    SVRGLBFGS,
    GaussNewtonCG,
    GradientDescent,
    HessianFree,
    LevenbergMarquardt,
    MultiBatchLBFGS,
    NewtonCholesky,
    OnlineBFGS,
    ProgressiveLBFGS,
    SaddleFreeNewton,
    SubsampledARC,
    SubsampledNewton,
    SubsampledTrustRegion,
    TrustRegion,
)

# Without damping, radius, cubic term or an early end of the inner iteration.
EXACT = [
    HessianFree(initial_damping=1e-13, tol=1e-15, warm=0.0),
    LevenbergMarquardt(initial_damping=1e-9, linear_solver="samples"),
    TrustRegion(initial_radius=1e8, max_radius=1e9, subproblem="exact"),
    ARC(initial_weight=1e-300, subproblem="exact"),
    SaddleFreeNewton(subproblem="exact"),
]


@pytest.mark.parametrize("solver", EXACT, ids=lambda s: type(s).__name__)
def test_steps_without_restraint_follow_newtons_path(solver):
    """Logistic regression, from where Newton's full steps descend; three of them."""
    problem = binary(alpha=0.1)
    for n in (1, 2, 3):
        newton = after(problem, NewtonCholesky(), n)
        np.testing.assert_allclose(after(problem, solver, n), newton, rtol=1e-6, atol=1e-8)


# --- quasi-Newton ---------------------------------------------------------------------------------


def path(problem, solver, n):
    return [problem.start(), *(after(problem, solver, k) for k in range(1, n + 1))]


@pytest.mark.parametrize("problem", [binary(), rosenbrock(5)], ids=["logistic", "Rosenbrock"])
def test_unlimited_memory_directs_as_bfgs_does_on_its_own_path(problem):
    """L-BFGS begins its recursion with the newest pair's scale, BFGS with the first one's: with the
    same scale they are one operator, however long the path."""
    points = [problem.point(w) for w in path(problem, BFGS(), 12)]
    limited, dense = InverseHessian(50), DenseInverseHessian()
    for before, now in pairwise(points):
        s, y = now.w - before.w, now.grad - before.grad
        limited.push(s, y)
        dense.push(s, y)
    assert len(limited) == 12
    s, y, _ = limited.pairs[0]
    limited.scale = s @ y / (y @ y)
    np.testing.assert_allclose(
        limited.apply(points[-1].grad), dense.apply(points[-1].grad), rtol=1e-6
    )


def test_with_one_pair_there_is_no_difference_to_bfgs():
    problem = rosenbrock(5)
    for n in (1, 2):
        np.testing.assert_allclose(
            after(problem, LBFGS(memory=50), n), after(problem, BFGS(), n), rtol=1e-10
        )


def test_full_batches_make_online_pairs_those_of_l_bfgs():
    """One step of a given length at a time: the two-loop recursion by hand."""
    problem, rate = logistic(), 0.1
    H = InverseHessian(10, first=1.0)
    state = OnlineBFGS(learning_rate=rate, batch_size=48).init(
        problem, problem.start(), np.random.default_rng(0)
    )
    H.first = H.scale = state.H.first
    w = problem.start()
    for _ in range(4):
        g = problem.point(w).grad
        s = -rate * H.apply(g)
        w = w + s
        H.push(s, problem.point(w).grad - g)
    ours = OnlineBFGS(learning_rate=rate, schedule="constant", batch_size=48)
    np.testing.assert_allclose(train(problem, ours, 4).w, w, rtol=1e-8)


def test_on_a_parabola_curvature_products_are_differences_of_gradients():
    """SQN with all samples and a pair each update: its pairs are those of online BFGS."""
    problem = ridge()
    shared = {"learning_rate": 0.3, "schedule": "constant", "batch_size": 48}
    sqn = SQN(pair_every=1, hessian_size=48, **shared).init(
        problem, problem.start(), np.random.default_rng(0)
    )
    solver = SQN(pair_every=1, hessian_size=48, **shared)
    before = problem.start()
    for k in range(4):
        solver.advance(problem, sqn, 1)
        if k:
            s, y, _ = sqn.H.pairs[-1]
            np.testing.assert_allclose(s, sqn.w - before, rtol=1e-12)
            change = problem.point(sqn.w).grad - problem.point(before).grad
            np.testing.assert_allclose(y, change, rtol=1e-9, atol=1e-12)
        before = sqn.w


@pytest.mark.parametrize("overlap", [0.25, 1.0])
def test_batches_of_all_samples_are_l_bfgs_with_backtracking(overlap):
    problem, n = logistic(), 48
    ours = MultiBatchLBFGS(batch_size=n, overlap=overlap)
    grown = ProgressiveLBFGS(batch_size=n)
    for k in (1, 2, 5):
        np.testing.assert_allclose(
            train(problem, ours, k).w, train(problem, grown, k).w, rtol=1e-9, atol=1e-12
        )
    assert train(problem, ours, 40).certificate.value < 1e-9


@pytest.mark.parametrize("overlap", [0.5, 1.0])
def test_batches_keep_their_size_whatever_they_share(overlap):
    problem = logistic()
    solver = MultiBatchLBFGS(batch_size=8, overlap=overlap)
    state = solver.init(problem, problem.start(), np.random.RandomState(0))
    for _ in range(6):
        fresh = solver._step(problem, state)
    assert fresh + state.kept.shape[0] == 8
    assert fresh == (4 if overlap == 0.5 else 1)


def test_snapshots_at_each_step_and_no_pairs_are_gradient_descent():
    """One batch an epoch: the corrected gradient is the whole one."""
    problem = logistic()
    shared = {"batch_size": 48, "snapshot_every": 1}
    reduced = SVRGLBFGS(memory=0, learning_rate=0.5, **shared)
    state = reduced.init(problem, problem.start(), np.random.RandomState(0))
    step = 0.5 * state.H.first
    np.testing.assert_allclose(
        train(problem, reduced, 5).w,
        after(problem, GradientDescent(step=step), 5),
        rtol=1e-9,
    )


# --- all samples ----------------------------------------------------------------------------------

TWINS = [
    (SubsampledNewton(share=1.0, linear_solver="cg"), GaussNewtonCG()),
    (
        SubsampledTrustRegion(share=1.0, initial_radius=1e6),
        TrustRegion(initial_radius=1e6, max_radius=1e9),
    ),
    (SubsampledARC(share=1.0), ARC()),
    (SubsampledARC(share=1.0, subproblem="exact"), ARC(subproblem="exact")),
]


def large(n=700, p=5):
    """More samples than a sample of curvature has at least."""

    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p)) * np.logspace(0, 1, p)
    y = (X[:, 0] + rng.standard_normal(n) > 0) * 1.0
    return LinearProblem(X, y, Logistic(), L2(0.01), fit_intercept=True)


@pytest.mark.parametrize(("sampled", "whole"), TWINS, ids=repr)
def test_all_samples_are_the_deterministic_twin_and_fewer_are_not(sampled, whole):
    problem = large()
    np.testing.assert_array_equal(after(problem, sampled, 4), after(problem, whole, 4))
    fewer = sampled.set_params(share=0.5)
    assert np.abs(after(problem, fewer, 2) - after(problem, whole, 2)).max() > 1e-6


def test_a_factor_of_all_samples_is_newton_by_cholesky_and_one_of_few_is_near():
    problem = large()
    exact = SubsampledNewton(share=1.0, linear_solver="cholesky")
    for n in (1, 3):
        np.testing.assert_allclose(
            after(problem, exact, n), after(problem, NewtonCholesky(), n), rtol=1e-9
        )
    stopping = Stopping(tol=1e-9, max_iter=60)
    solve = [
        run(
            problem,
            SubsampledNewton(share=0.5, linear_solver=name),
            stopping=stopping,
            rng=np.random.default_rng(0),
        )
        for name in ("cholesky", "cg")
    ]
    assert all(result.success for result in solve)
    assert solve[0].n_iter <= solve[1].n_iter


def test_a_singular_sample_is_left_to_conjugate_gradients():
    """Two columns that are the same, and no penalty."""

    source = large()
    X = source.map.to_dense()
    X = np.column_stack([X, X[:, 0]])
    problem = LinearProblem(X, source.y, Logistic(), L2(0.0), criterion="stationarity")
    result = run(problem, SubsampledNewton(), stopping=Stopping(tol=1e-7, max_iter=100))
    assert result.success


def test_networks_have_no_matrix_of_a_sample():
    problem = network()
    with pytest.raises(ValueError, match="a Hessian matrix on batches of samples"):
        after(problem, SubsampledNewton(linear_solver="cholesky"), 1)
    with pytest.raises(ValueError, match="'auto', 'cg' or 'cholesky'"):
        after(problem, SubsampledNewton(linear_solver="lu"), 1)


def test_a_stochastic_trust_region_of_all_samples_is_a_trust_region():
    """The first steps, which are all taken: the radius doubles, the model is the whole one."""
    problem = large()
    ours = STORM(batch_size=700, initial_radius=1e6, max_inner=500)
    w = problem.start()
    for n in (1, 2, 3):
        point = problem.point(w)
        H = problem.hessian(point)
        w = w - np.linalg.solve(H, point.grad)
        # The inner iterations end at a tenth of the gradient or less.
        np.testing.assert_allclose(after(problem, ours, n), w, atol=0.1 * np.abs(w).max())


def test_a_whole_sketch_on_all_samples_is_newton():
    """PROMISE with every direction, all samples, a full step and no shift to speak of."""
    problem = binary(alpha=0.1)
    solver = PROMISE(
        learning_rate=1.0,
        rank=problem.size,
        regularization=1e-9,
        refresh=1,
        snapshot_every=1,
        batch_size=150,
    )
    for n in (1, 2, 3):
        np.testing.assert_allclose(
            after(problem, solver, n), after(problem, NewtonCholesky(), n), atol=1e-5
        )


@pytest.mark.parametrize("penalty", [L1(0.03), ElasticNet(0.02, 0.05), L1Ball(0.5)], ids=repr)
def test_a_whole_sketch_with_a_prox_is_proximal_newton(penalty):
    """SAPPHIRE with every direction, all samples and a full step: each iterate minimises the
    second-order model of the last with the shift and the penalty itself."""
    X, y = classes()
    problem = LinearProblem(X, y.astype(float), Logistic(), penalty)
    solver = SAPPHIRE(
        learning_rate=1.0,
        rank=problem.size,
        regularization=1e-3,
        refresh=1,
        snapshot_every=1,
        batch_size=150,
    )

    def hessian(w):
        return X.T @ (X * problem.loss.curvature(problem.y, X @ w)[:, None]) / 150

    before = problem.start()
    # A logistic loss bends most at zero, and the shift is in units of the largest curvature met.
    shift = 1e-3 * np.linalg.eigvalsh(hessian(before))[-1]
    for n in (1, 2, 3):
        w = after(problem, solver, n)
        P = hessian(before) + shift * np.eye(problem.size)
        slope = problem.smooth_value_grad(before)[1] + P @ (w - before)
        length = 1 / np.linalg.eigvalsh(P)[-1]
        np.testing.assert_allclose(penalty.prox(w - length * slope, length), w, atol=1e-9)
        before = w


def test_without_a_kink_there_is_no_prox_to_take():
    problem = binary(alpha=0.1)
    for n in (1, 4):
        ours = after(problem, SAPPHIRE(batch_size=20), n)
        np.testing.assert_array_equal(ours, after(problem, PROMISE(batch_size=20), n))


# --- trust regions --------------------------------------------------------------------------------


def test_a_radius_out_of_reach_is_newton_by_conjugate_gradients():
    """Three steps: the same inner systems to the same accuracy, and full steps."""
    from skopt_dl.linops.truncated import residual_below, truncated_cg

    problem = binary(alpha=0.1)
    solver = TrustRegion(initial_radius=1e8, max_radius=1e9, preconditioner="none")
    w = problem.start()
    for n in (1, 2, 3):
        point = problem.point(w)
        norm = np.linalg.norm(point.grad)
        found = truncated_cg(
            problem.hvp(point),
            point.grad,
            stop=residual_below(min(0.5, norm**0.5) * norm),
            max_iter=200,
        )
        w = w + found.s
        np.testing.assert_allclose(after(problem, solver, n), w, rtol=1e-9, atol=1e-12)


def test_a_radius_of_nothing_is_steepest_descent():
    problem = binary()
    g = problem.point(problem.start()).grad
    for radius in (1e-3, 1e-5):
        solver = TrustRegion(initial_radius=radius, subproblem="exact", preconditioner="none")
        s = after(problem, solver, 1)
        np.testing.assert_allclose(s, -radius * g / np.linalg.norm(g), rtol=0, atol=0.3 * radius)
