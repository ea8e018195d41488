"""Second-order rules on batches: formulas, estimators, and the limits that tie them."""

from __future__ import annotations

import numpy as np
import pytest
from cases import CASES
from rules import logistic, network, ridge, train
from sklearn.datasets import load_breast_cancer
from smooth import with_eigenvalues

from skopt_dl.engine import Stopping, run
from skopt_dl.linops.quasi_newton import BlockInverseHessian, DenseInverseHessian, InverseHessian
from skopt_dl.losses import Logistic
from skopt_dl.penalties import L2
from skopt_dl.problems import LinearProblem, SmoothProblem
from skopt_dl.solvers import (
    PROMISE,
    SQN,
    STORM,
    SVRGLBFGS,
    TONGA,
    AdaHessian,
    BarzilaiBorwein,
    BlockBFGS,
    MultiBatchLBFGS,
    NaturalGradient,
    NewtonCholesky,
    OnlineBFGS,
    ProgressiveLBFGS,
    SdLBFGS,
    SketchySGD,
    Sophia,
)
from skopt_dl.solvers.stochastic.diagonal import DiagonalState, curvature_diagonal
from skopt_dl.solvers.stochastic.growing import _grad_variance
from skopt_dl.solvers.stochastic.metrics import random_signs, stable_length, warm_length

EVERY = [
    OnlineBFGS,
    SdLBFGS,
    SQN,
    BlockBFGS,
    AdaHessian,
    Sophia,
    SketchySGD,
    PROMISE,
    SVRGLBFGS,
    MultiBatchLBFGS,
    ProgressiveLBFGS,
    TONGA,
    STORM,
    NaturalGradient,
]
# Without a noise that stays: they go on to the optimum itself.
EXACT = [PROMISE, SVRGLBFGS, ProgressiveLBFGS, STORM]


def optimum(problem):
    return run(problem, NewtonCholesky(), stopping=Stopping(tol=1e-13, max_iter=50))


@pytest.mark.parametrize("make", [ridge, logistic])
@pytest.mark.parametrize("kind", EVERY)
def test_most_of_the_way_on_batches(kind, make):
    problem = make()
    best = optimum(problem).certificate.objective
    first = float(problem.value(problem.start()))
    result = train(problem, kind(batch_size=12), 100)
    assert result.certificate.objective - best <= 0.05 * (first - best)


@pytest.mark.parametrize("kind", EXACT)
def test_without_lasting_noise_the_optimum_is_reached(kind):
    problem = logistic()
    best = optimum(problem)
    result = train(problem, kind(batch_size=12), 60)
    np.testing.assert_allclose(result.w, best.w, atol=1e-6)


@pytest.mark.parametrize("kind", EVERY)
def test_a_network_is_trained_and_the_path_repeats(kind):
    problem = network()
    first = float(problem.value(problem.start()))
    result = train(problem, kind(batch_size=12), 40)
    assert result.certificate.objective < 0.7 * first
    np.testing.assert_array_equal(train(problem, kind(batch_size=12), 40).w, result.w)


@pytest.mark.parametrize("kind", [AdaHessian, OnlineBFGS, SdLBFGS])
def test_a_start_at_the_optimum_is_not_lost_to_the_first_batches(kind):
    """Some of the batches of ten hardly bend, and their curvature comes first."""
    for name in ("multinomial l2", "l2 logistic, weights"):
        problem = next(case for case in CASES if case.name == name).problem()
        best, first = optimum(problem), float(problem.value(problem.start()))
        lost = []
        for seed in range(6):
            rng = np.random.default_rng(seed)
            few = Stopping(tol=None, max_iter=5)
            result = run(problem, kind(batch_size=10), start=best.w, stopping=few, rng=rng)
            lost.append(result.certificate.objective - best.certificate.objective)
        assert max(lost) <= 0.15 * (first - best.certificate.objective)


# --- inverse Hessians -----------------------------------------------------------------------------


def test_a_block_of_every_direction_is_the_inverse():
    A = with_eigenvalues(np.linspace(1, 9, 6))
    H = BlockInverseHessian(3)
    assert H.push(np.eye(6), A)
    g = np.arange(6.0)
    np.testing.assert_allclose(H.apply(g), np.linalg.solve(A, g), rtol=1e-10)


def test_a_block_has_its_secant_and_updates_as_the_formula():
    rng = np.random.default_rng(0)
    A = with_eigenvalues(np.linspace(1, 9, 6))
    H, dense = BlockInverseHessian(5, first=0.3), 0.3 * np.eye(6)
    for _ in range(3):
        D, _ = np.linalg.qr(rng.standard_normal((6, 2)))
        Y = A @ D
        inverse = np.linalg.inv(D.T @ Y)
        left = np.eye(6) - D @ inverse @ Y.T
        dense = D @ inverse @ D.T + left @ dense @ left.T
        assert H.push(D, Y)
        ours = np.stack([H.apply(e) for e in np.eye(6)], axis=1)
        np.testing.assert_allclose(ours, dense, atol=1e-10)
        np.testing.assert_allclose(ours @ Y, D, atol=1e-10)


def test_one_direction_a_block_is_bfgs():
    rng = np.random.default_rng(1)
    A = with_eigenvalues(np.linspace(1, 9, 6))
    blocks, dense = BlockInverseHessian(9), DenseInverseHessian(scaled=False)
    for _ in range(4):
        s = rng.standard_normal(6)
        blocks.push(s[:, None], (A @ s)[:, None])
        dense.push(s, A @ s)
    g = np.arange(6.0)
    np.testing.assert_allclose(blocks.apply(g), dense.apply(g), rtol=1e-9)


def test_unlimited_memory_is_bfgs():
    """The two-loop recursion over every pair, and the dense matrix from the same start."""
    rng = np.random.default_rng(2)
    A = with_eigenvalues(np.linspace(1, 9, 6))
    limited, dense = InverseHessian(50), DenseInverseHessian(scaled=False)
    for _ in range(8):
        s = rng.standard_normal(6)
        limited.push(s, A @ s)
        dense.push(s, A @ s)
    limited.scale = 1.0
    g = np.arange(6.0)
    np.testing.assert_allclose(limited.apply(g), dense.apply(g), rtol=1e-9)


def test_a_block_without_positive_curvature_is_left_out():
    H = BlockInverseHessian(3)
    assert not H.push(np.eye(3)[:, :2], -np.eye(3)[:, :2])
    assert len(H) == 0


# --- estimators -----------------------------------------------------------------------------------


def test_hutchinsons_diagonal_is_unbiased_with_the_variance_of_the_formula():
    problem = ridge(p=4)
    index = np.arange(problem.n_samples)
    H = problem.hessian(problem.point(problem.start()))

    state = DiagonalState(w=problem.start(), draws=np.random.RandomState(0))
    draws = np.array([curvature_diagonal(problem, state, index).copy() for _ in range(10_000)])
    off = np.sum(H**2, axis=1) - np.diag(H) ** 2
    assert np.all(np.abs(draws.mean(axis=0) - np.diag(H)) <= 3 * np.sqrt(off / 10_000) + 1e-12)
    np.testing.assert_allclose(draws.var(axis=0), off, rtol=0.15, atol=1e-10)


@pytest.mark.parametrize("rng", [np.random.RandomState(0), np.random.default_rng(0)])
def test_signs_are_signs(rng):
    z = random_signs(ridge(), rng)
    assert set(np.unique(z)) <= {-1.0, 1.0}


def test_a_stable_length_is_half_the_inverse_of_the_steepest_direction():
    problem = ridge()
    index = np.arange(problem.n_samples)
    H = problem.hessian(problem.point(problem.start()))
    metric = np.linalg.inv(H + np.diag(np.arange(1.0, problem.size + 1)))
    top = np.max(np.linalg.eigvals(metric @ H).real)
    length = stable_length(problem, problem.start(), index, lambda v: metric @ v)
    # The metric makes it unsymmetric: ten turns of the power method are near, not exact.
    assert 0.4 / top <= length <= 0.6 / top


def test_the_variance_of_a_batch_is_that_of_its_samples():
    """Over many permutations the estimate from eight parts has the mean of the formula."""
    problem = ridge(n=64)
    w = problem.start()
    single = np.array([problem.sample_grad(w, np.array([i]))[1].copy() for i in range(64)])
    expected = np.sum(single.var(axis=0, ddof=1)) / 64
    rng = np.random.default_rng(0)
    found = [_grad_variance(problem, w, rng.permutation(64))[1] for _ in range(400)]
    assert np.mean(found) == pytest.approx(expected, rel=0.1)


# --- limits ---------------------------------------------------------------------------------------


def test_sophia_moves_by_the_clipped_ratio_of_gradient_and_curvature():
    problem = ridge(p=3)
    start = np.full(problem.size, 0.1)
    index = np.arange(problem.n_samples)
    state_rng = np.random.RandomState(3)
    solver = Sophia(
        learning_rate=1e-3, beta_1=0.0, scale=1e3, schedule="constant", batch_size=48, shuffle=False
    )
    w = run(problem, solver, start=start, stopping=Stopping(tol=None, max_iter=1), rng=state_rng).w
    z = random_signs(problem, np.random.RandomState(3))
    seen = z * problem.sample_hvp(start, index)(z)
    g = problem.sample_grad(start, index)[1]
    move = np.clip(g / np.maximum(1e3 * seen, 1e-12), -1, 1)
    np.testing.assert_allclose(w, start - 1e-3 * move, rtol=1e-12)
    assert np.any(np.abs(move) < 1)


def test_adahessian_without_curvature_is_adam_without_second_moments():
    problem = ridge()
    solver = AdaHessian(power=0.0, epsilon=1e-12, learning_rate=1e-3, schedule="constant")
    solver.set_params(batch_size=48, shuffle=False)
    w, m = problem.start(), 0.0
    for t in range(1, 4):
        m = 0.9 * m + 0.1 * problem.sample_grad(w, np.arange(48))[1]
        w = w - 1e-3 * m / (1 - 0.9**t)
    np.testing.assert_allclose(train(problem, solver, 3).w, w, rtol=1e-9)


def test_without_pairs_sqn_is_sgd_at_the_stable_step():
    from skopt_dl.solvers import SGD
    from skopt_dl.solvers.stochastic.base import curvature_step

    problem = logistic()
    step, _ = curvature_step(problem, problem.start(), 12)
    ours = train(problem, SQN(memory=0, learning_rate=1.0, schedule="constant", batch_size=12), 3)
    theirs = train(problem, SGD(learning_rate=step, schedule="constant", batch_size=12), 3)
    np.testing.assert_allclose(ours.w, theirs.w, rtol=1e-10)


def test_a_sketch_of_every_direction_is_newtons_metric():
    """Ridge, all samples, the whole rank, no shift to speak of: one full step solves it."""
    problem = ridge()
    best = optimum(problem).w
    for kind in (SketchySGD, PROMISE):
        solver = kind(learning_rate=1.0, rank=50, regularization=1e-8, batch_size=48)
        if kind is SketchySGD:
            solver.set_params(schedule="constant")
        np.testing.assert_allclose(train(problem, solver, 1).w, best, atol=1e-4)


def test_the_noise_of_batches_does_not_grow_in_what_a_sketch_leaves_out():
    X, y = load_breast_cancer(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    problem = LinearProblem(X, y * 1.0, Logistic(), L2(1 / len(y)), fit_intercept=True)
    best, first = optimum(problem).certificate.objective, float(problem.value(problem.start()))
    left = train(problem, SketchySGD(), 100).certificate.objective - best
    assert left <= 0.05 * (first - best)


def test_untruncated_tonga_is_the_dense_formula():
    problem = ridge()
    solver = TONGA(
        learning_rate=0.01,
        rank=50,
        decay=0.9,
        regularization=0.2,
        schedule="constant",
        batch_size=16,
        shuffle=False,
    )
    w = problem.start()
    C = dict.fromkeys(problem.blocks, 0.0)
    for low in range(0, 48, 16):
        g = problem.sample_grad(w, np.arange(low, low + 16))[1].copy()
        for name, part in problem.blocks.items():
            piece = g[part]
            if not piece.size:
                continue
            C[name] = 0.9 * C[name] + np.outer(piece, piece)
            lam = 0.2 * np.linalg.eigvalsh(C[name])[-1]
            g[part] = lam * np.linalg.solve(C[name] + lam * np.eye(piece.size), piece)
        w = w - 0.01 * g
    np.testing.assert_allclose(train(problem, solver, 1).w, w, rtol=1e-9)


def test_a_natural_gradient_is_the_solve_with_the_fisher_matrix():
    problem = network()
    index, w = np.arange(16), problem.start()
    product = problem.sample_ggn(w, np.arange(problem.n_samples))
    F = np.stack([product(e) for e in np.eye(problem.size)], axis=1)
    g = problem.sample_grad(w, index)[1].copy()
    solver = NaturalGradient(
        learning_rate=0.5, schedule="constant", batch_size=16, shuffle=False, max_inner=500
    )
    state = solver.init(problem, w.copy(), np.random.RandomState(0))
    state.n_updates, state.batch = 1, (index, 0.0)
    solver._step(problem, state, g)
    exact = w - 0.5 * np.linalg.solve(F + 0.1 * np.eye(problem.size), g)
    np.testing.assert_allclose(state.w, exact, atol=0.02 * np.abs(exact - w).max())


def test_the_fisher_matrix_of_other_samples_leaves_natural_gradients_without_bias():
    """Batches of ten: no part of the way to the optimum is left, and a matrix of the same ten
    leaves some, however short the steps have become."""
    rng = np.random.default_rng(0)
    X, w = rng.standard_normal((40, 6)), np.linspace(-1, 1, 6)
    y = (rng.random(40) < 1 / (1 + np.exp(-X @ w))) * 1.0
    problem = LinearProblem(X, y, Logistic(), L2(0.05))
    best = optimum(problem)
    way = float(problem.value(problem.start())) - best.certificate.objective
    left = train(problem, NaturalGradient(batch_size=10), 200).certificate.objective
    assert left - best.certificate.objective <= 2e-4 * way


def test_reparametrised_a_natural_step_is_the_same_to_first_order():
    """The same model with the inputs in other units: the predictions move alike."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((60, 3)), rng.integers(0, 2, 60).astype(float)
    units = np.array([1.0, 0.5, 4.0])
    moved = []
    for data, w in ((X, np.full(3, 0.3)), (X * units, 0.3 / units)):
        problem = LinearProblem(data, y, Logistic(), L2(0.0))
        solver = NaturalGradient(
            learning_rate=1e-3, damping=1e-12, schedule="constant", batch_size=60, max_inner=100
        )
        moved.append(data @ (train(problem, solver, 1, start=w).w - w))
    longest = np.abs(moved[0]).max()
    assert longest > 1e-4
    np.testing.assert_allclose(moved[0], moved[1], rtol=0, atol=0.02 * longest)


def test_the_samples_of_a_stochastic_trust_region_grow_to_all():
    problem = logistic()
    result = train(problem, STORM(batch_size=4), 60)
    assert result.certificate.value < 1e-8
    assert result.state.radius < 1.0


def test_steps_that_are_far_too_long_are_taken_back_to_the_snapshot():
    """Fifty times too long, they end at the optimum, and no snapshot is above the one before."""
    problem = logistic()
    solver = SVRGLBFGS(learning_rate=50.0, batch_size=12)
    state = solver.init(problem, problem.start(), np.random.RandomState(0))
    values = []
    for _ in range(60):
        solver.advance(problem, state, 1)
        values.append(state.value)
    assert np.all(np.diff(values) <= 1e-14)
    assert state.caution < 0.1
    best = optimum(problem).certificate.objective
    assert values[-1] - best <= 1e-3 * (values[0] - best)


def test_the_steepest_direction_is_found_again_in_few_steps():
    problem = ridge()
    index, w = np.arange(problem.n_samples), problem.start()
    first, d = warm_length(problem, w, index, lambda v: v, None)
    again, _ = warm_length(problem, w, index, lambda v: v, d)
    assert first == stable_length(problem, w, index, lambda v: v)
    assert again == pytest.approx(first, rel=0.05)


def test_damped_pairs_keep_a_quarter_of_the_curvature():
    """On a concave stretch the plain pair is refused, the damped one is kept and positive."""
    problem = SmoothProblem(
        start=np.array([0.3, -0.2]),
        batch=lambda w, i: (np.sum(np.cos(w)), -np.sin(w)),
        n_samples=4,
    )
    state = SdLBFGS(batch_size=4).init(problem, problem.start(), np.random.RandomState(0))
    SdLBFGS(batch_size=4).advance(problem, state, 2)
    assert len(state.H) == 2
    for s, y, _ in state.H.pairs:
        assert s @ y > 0
    online = OnlineBFGS(batch_size=4)
    state = online.init(problem, problem.start(), np.random.RandomState(0))
    online.advance(problem, state, 2)
    assert len(state.H) == 0


def test_a_batch_grows_to_the_whole_data_at_the_optimum():
    problem = logistic()
    solver = ProgressiveLBFGS(batch_size=4)
    result = train(problem, solver, 40)
    assert result.state.size == problem.n_samples
    assert result.certificate.value < 1e-8


# --- Barzilai-Borwein -----------------------------------------------------------------------------


@pytest.mark.parametrize("length", ["alternate", "long", "short"])
def test_spectral_steps_need_far_fewer_iterations_than_one_length(length):
    from skopt_dl.solvers import GradientDescent

    A, b = with_eigenvalues(np.geomspace(1, 1000, 30)), np.ones(30)
    problem = SmoothProblem(
        lambda w: 0.5 * w @ A @ w - b @ w, lambda w: A @ w - b, start=np.zeros(30), convex=True
    )
    stopping = Stopping(tol=1e-6, max_iter=5000)
    ours = run(problem, BarzilaiBorwein(length=length), stopping=stopping)
    assert ours.success
    theirs = run(problem, GradientDescent(), stopping=stopping)
    assert ours.n_iter < 0.4 * theirs.n_iter


def test_the_first_spectral_lengths_are_the_formulas():
    A = np.diag([1.0, 3.0])
    problem = SmoothProblem(lambda w: 0.5 * w @ A @ w, lambda w: A @ w, start=np.array([1.0, 1.0]))
    for length in ("long", "short"):
        solver = BarzilaiBorwein(length=length)
        state = solver.init(problem, problem.start(), None)
        before = state.point
        solver.advance(problem, state, 1)
        s, y = state.w - before.w, state.point.grad - before.grad
        expected = s @ s / (s @ y) if length == "long" else s @ y / (y @ y)
        assert state.t == pytest.approx(expected)


@pytest.mark.parametrize(
    ("solver", "words"),
    [
        (OnlineBFGS(damping=-1), "damping=-1"),
        (SQN(pair_every=0), "pair_every=0"),
        (SQN(hessian_size=0), "hessian_size=0"),
        (BlockBFGS(block=0), "block=0"),
        (AdaHessian(epsilon=0.0), "epsilon=0.0, but it must be positive"),
        (SketchySGD(rank=0), "rank=0"),
        (SketchySGD(regularization=0.0), "regularization=0.0"),
        (PROMISE(snapshot_every=0), "snapshot_every=0"),
        (MultiBatchLBFGS(overlap=0.0), "overlap=0.0"),
        (ProgressiveLBFGS(theta=0.0), "theta=0.0"),
        (TONGA(pending=0), "pending=0"),
        (STORM(initial_radius=0.0), "initial_radius=0.0, but it must be positive"),
        (NaturalGradient(damping=0.0), "damping=0.0, but it must be positive"),
        (BarzilaiBorwein(length="both"), "'alternate', 'long' or 'short'"),
        (BarzilaiBorwein(window=0), "window=0"),
    ],
    ids=lambda x: repr(x)[:24],
)
def test_settings_that_make_no_sense_are_named(solver, words):
    problem = ridge()
    with pytest.raises(ValueError, match=words):
        solver.init(problem, problem.start(), np.random.RandomState(0))
