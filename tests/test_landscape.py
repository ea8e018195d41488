"""The landscape of an objective against closed forms."""

from __future__ import annotations

import array_api_strict as strict
import numpy as np
import pytest
from smooth import quadratic, with_eigenvalues

from skopt_dl import LogisticRegression, MLPClassifier, Ridge
from skopt_dl.inspection import (
    CurvatureDisplay,
    FlatnessDisplay,
    Landscape,
    LossLineDisplay,
    LossPlaneDisplay,
    NoiseScaleDisplay,
    SpectrumDisplay,
)
from skopt_dl.kernels.namespace import to_numpy
from skopt_dl.losses import Squared
from skopt_dl.penalties import L2
from skopt_dl.problems import LinearProblem, SmoothProblem

VALUES = np.concatenate([[-2.0], np.linspace(0.1, 1.0, 37), [8.0, 20.0]])


def bowl(values=VALUES, seed=0):
    A = with_eigenvalues(values, seed)
    return quadratic(A, np.zeros(len(values)), np.zeros(len(values))), A


def ridge(n=60, p=4):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((n, p)), rng.standard_normal(n)
    return LinearProblem(X, y, Squared(), L2(0.1), fit_intercept=False)


def network():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((50, 4)), rng.integers(0, 3, 50)
    return MLPClassifier((5,), activation="tanh", random_state=0, max_iter=5), X, y


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_fitted_network_is_a_point_of_its_problem():
    model, X, y = network()
    model.fit(X, y)
    landscape = Landscape.of(model, X, y)
    p = model.predict_proba(X)
    loss = -np.mean(np.log(p[np.arange(50), y]))
    penalty = 0.5 * model.alpha * sum(np.sum(W**2) for W in model.coefs_) / 50
    assert landscape.value(landscape.w) == pytest.approx(loss + penalty, rel=1e-10)


@pytest.mark.parametrize("classes", [2, 3])
def test_a_fitted_linear_model_is_a_point_of_its_problem(classes):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 4))
    y = np.digitize(X[:, 0] + 0.5 * rng.standard_normal(60), np.linspace(-1, 1, classes + 1)[1:-1])
    model = LogisticRegression(tol=1e-10).fit(X, y)
    saddle = Landscape.of(model, X, y).saddle()
    assert saddle.slope < 1e-6
    # The softmax is flat where all intercepts move together; nothing bends down.
    assert not saddle.negative
    assert Landscape.of(Ridge().fit(X, y), X, y).saddle().slope < 1e-8


def test_what_has_no_parameters_is_refused():
    with pytest.raises(TypeError, match="estimator of skopt_dl"):
        Landscape.of(object(), np.eye(3), np.ones(3))


# --- curvature ------------------------------------------------------------------------------------


def test_top_eigenpairs():
    problem, A = bowl()
    values, vectors = Landscape(problem).top(2)
    np.testing.assert_allclose(values, [20.0, 8.0], rtol=1e-8)
    np.testing.assert_allclose(A @ vectors, vectors * values, atol=1e-6)


def test_a_saddle_has_its_direction():
    problem, A = bowl()
    saddle = Landscape(problem).saddle()
    assert saddle.lowest == pytest.approx(-2.0, abs=1e-8)
    assert saddle.negative
    np.testing.assert_allclose(A @ saddle.direction, -2.0 * saddle.direction, atol=1e-6)
    positive, _ = bowl(np.linspace(0.1, 3, 20))
    assert not Landscape(positive).saddle().negative


def test_the_trace_is_exact_for_few_large_eigenvalues_and_close_otherwise():
    low_rank, _ = bowl(np.concatenate([np.zeros(35), [1.0, 5.0, 9.0, 20.0, 50.0]]))
    assert Landscape(low_rank).trace(products=30) == pytest.approx(85.0, rel=1e-8)
    problem, A = bowl(np.linspace(1, 3, 40))
    found = [Landscape(problem, random_state=k).trace(products=30) for k in range(20)]
    assert np.mean(found) == pytest.approx(np.trace(A), rel=0.01)
    problem, A = bowl(np.geomspace(100, 0.01, 40))
    found = [Landscape(problem, random_state=k).trace(products=30) for k in range(20)]
    # Hutch++ beats plain random signs with as many products: a variance of 2 sum A_ij^2 / 30.
    plain = np.sqrt(2 * (np.sum(A**2) - np.sum(np.diag(A) ** 2)) / 30)
    assert np.std(found) < plain
    whole, A = bowl(np.linspace(1, 3, 5))
    assert Landscape(whole).trace(products=60) == pytest.approx(np.trace(A), rel=1e-10)


def test_the_density_has_the_moments_of_the_spectrum():
    problem, _ = bowl()
    density = Landscape(problem).spectrum(probes=60, steps=40)
    assert np.sum(density.weights) == pytest.approx(1.0, rel=1e-10)
    assert np.all(np.diff(density.nodes) >= 0)
    assert density.nodes[0] == pytest.approx(-2.0, abs=1e-6)
    assert density.nodes[-1] == pytest.approx(20.0, abs=1e-6)
    for power in (1, 2):
        exact = np.mean(VALUES**power)
        assert density.moment(power) == pytest.approx(exact, rel=0.25)


def test_the_diagonal_is_exact_or_unbiased():
    problem, A = bowl()
    np.testing.assert_allclose(Landscape(problem).diagonal(), np.diag(A), atol=1e-12)
    estimate = Landscape(problem).diagonal(probes=4000)
    error = np.sqrt((np.sum(A**2, axis=1) - np.diag(A) ** 2) / 4000)
    assert np.all(np.abs(estimate - np.diag(A)) <= 5 * error + 1e-12)


def test_gauss_newton_is_chosen_and_a_problem_without_products_is_named():
    model, X, y = network()
    problem = model._build_problem(X, y)
    w = problem.start()
    assert Landscape(problem, w, curvature="gauss_newton").saddle().lowest > -1e-10
    assert Landscape(problem, w).trace(products=90) != pytest.approx(
        Landscape(problem, w, curvature="gauss_newton").trace(products=90), rel=1e-3
    )
    plain = SmoothProblem(lambda w: w @ w, lambda w: 2 * w, start=np.ones(2))
    with pytest.raises(ValueError, match="no Hessian-vector products: hvp was not given"):
        Landscape(plain).trace()
    with pytest.raises(ValueError, match="'hessian' or 'gauss_newton'"):
        Landscape(plain, curvature="fisher")


# --- flatness -------------------------------------------------------------------------------------


def test_the_box_of_a_diagonal_quadratic_is_the_closed_form():
    h = np.array([1.0, 4.0, 25.0, 0.5])
    problem = quadratic(np.diag(h), np.zeros(4), np.zeros(4))
    box = Landscape(problem).box(0.02)
    np.testing.assert_allclose(box, np.sqrt(2 * 0.02 / (4 * h)), rtol=1e-6)
    # Flatness by boxes is not invariant: the same bowl in other units has another volume.
    scaled = quadratic(np.diag(h * 100), np.zeros(4), np.zeros(4))
    assert np.prod(Landscape(scaled).box(0.02)) < 0.01 * np.prod(box)


def test_sharpness_of_a_quadratic_at_its_minimum():
    problem, _ = bowl(np.linspace(0.5, 6, 12))
    landscape = Landscape(problem)
    assert landscape.sharpness(0.1) == pytest.approx(0.5 * 6 * 0.01, rel=1e-6)
    h = np.array([1.0, 4.0, 25.0])
    diagonal = Landscape(quadratic(np.diag(h), np.zeros(3), np.zeros(3)))
    assert diagonal.sharpness(0.1, norm="max") == pytest.approx(0.5 * 0.01 * 30, rel=1e-9)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda q: q.sharpness(0.0), "radius=0.0, but it must be positive"),
        (lambda q: q.sharpness(1.0, norm="l1"), "must be 'l2' or 'max'"),
        (lambda q: q.box(-1.0), "rise=-1.0, but it must be positive"),
        (lambda q: q.noise_scale(batch_size=60), "must be from 1 to 59"),
    ],
)
def test_settings_that_make_no_sense_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call(Landscape(ridge()))


# --- noise ----------------------------------------------------------------------------------------


def test_the_noise_scale_of_single_samples_is_exact_and_of_batches_close():
    problem = ridge()
    w = np.ones(4)
    single = np.array([problem.sample_grad(w, np.array([i]))[1].copy() for i in range(60)])
    g = single.mean(axis=0)
    exact = np.sum(single.var(axis=0)) / (g @ g)
    assert Landscape(problem, w).noise_scale() == pytest.approx(exact, rel=1e-8)
    found = [Landscape(problem, w, random_state=k).noise_scale(batch_size=6) for k in range(60)]
    assert np.mean(found) == pytest.approx(exact, rel=0.1)


def test_repeated_samples_have_the_same_noise_scale():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((40, 3)), rng.standard_normal(40)
    once = LinearProblem(X, y, Squared(), L2(0.1))
    thrice = LinearProblem(np.tile(X, (3, 1)), np.tile(y, 3), Squared(), L2(0.1))
    w = np.ones(3)
    ours, theirs = Landscape(once, w).noise_scale(), Landscape(thrice, w).noise_scale()
    assert ours == pytest.approx(theirs, rel=1e-8)


# --- sections and pictures ------------------------------------------------------------------------


def test_sections_are_values():
    problem, A = bowl()
    landscape, d, e = Landscape(problem), np.eye(40)[0], np.eye(40)[1]
    ts = np.array([-1.0, 0.5])
    np.testing.assert_allclose(landscape.line(d, ts), 0.5 * A[0, 0] * ts**2, rtol=1e-10)
    plane = landscape.plane(d, e, ts, ts)
    w = ts[0] * d + ts[1] * e
    assert plane[0, 1] == pytest.approx(0.5 * w @ A @ w)
    np.testing.assert_allclose(landscape.towards(d, ts), landscape.line(d, ts))


def test_random_directions_are_as_long_as_the_blocks():
    model, X, y = network()
    landscape = Landscape(model._build_problem(X, y))
    d = landscape.random_direction()
    for part in landscape.problem.blocks.values():
        assert np.linalg.norm(d[part]) == pytest.approx(np.linalg.norm(landscape.w[part]))


def test_displays_draw():
    pytest.importorskip("matplotlib").use("Agg")
    problem, _ = bowl()
    landscape = Landscape(problem, np.ones(40))
    shown = SpectrumDisplay.from_landscape(landscape, probes=2, steps=10)
    assert shown.ax_.get_xlabel() == "eigenvalue"
    at, density = shown.curve()
    assert np.trapezoid(density, at) == pytest.approx(1.0, rel=1e-3)
    line = LossLineDisplay.from_landscape(landscape, ts=np.linspace(-1, 1, 5))
    assert len(line.ax_.lines[0].get_xdata()) == 5
    assert line.plot(ax=shown.ax_).ax_ is shown.ax_
    plane = LossPlaneDisplay.from_landscape(landscape, ts=np.linspace(-1, 1, 4))
    assert plane.values.shape == (4, 4)
    assert plane.figure_ is plane.ax_.figure
    labelled = LossLineDisplay([0.0, 1.0], [1.0, 2.0], label="a").plot()
    assert labelled.ax_.get_legend() is not None


def test_flatness_is_drawn_as_a_parabola_has_it():
    pytest.importorskip("matplotlib").use("Agg")
    h = np.array([0.5, 1.0, 2.0, 8.0])
    landscape = Landscape(quadratic(np.diag(h), np.zeros(4), np.zeros(4)), np.zeros(4))
    radii = np.array([0.1, 1.0])
    shown = FlatnessDisplay.from_landscape(landscape, radii=radii)
    np.testing.assert_allclose(shown.rises, 0.5 * 8.0 * radii**2, rtol=1e-6)
    sides = np.sqrt(2 * shown.rises[:, None] / (4 * h))
    np.testing.assert_allclose(shown.sides, sides, rtol=1e-3)
    ball, longest, middle = shown.ax_.lines
    np.testing.assert_allclose(longest.get_xdata(), sides[:, 0], rtol=1e-3)
    np.testing.assert_allclose(ball.get_ydata(), middle.get_ydata())


def test_the_ends_of_a_spectrum_are_drawn_with_the_trace():
    problem, A = bowl()
    shown = CurvatureDisplay.from_landscape(Landscape(problem), 2)
    np.testing.assert_allclose(shown.top, [20.0, 8.0], rtol=1e-8)
    assert shown.lowest == pytest.approx(-2.0, abs=1e-8)
    assert shown.share == pytest.approx(28 / np.trace(A), rel=0.1)
    bars = [bar.get_height() for bar in shown.ax_.patches]
    np.testing.assert_allclose(bars, [20.0, 8.0, -2.0], rtol=1e-6)
    # The saddle's bar has a colour of its own.
    assert shown.ax_.patches[2].get_facecolor() != shown.ax_.patches[0].get_facecolor()
    assert len(CurvatureDisplay.from_landscape(Landscape(bowl([1.0, 2.0])[0]), 5).top) == 2


def test_the_noise_scale_halves_the_longest_step_at_its_batch_size():
    problem = ridge()
    landscape = Landscape(problem, np.ones(4))
    shown = NoiseScaleDisplay.from_landscape(landscape)
    assert shown.scale == pytest.approx(Landscape(problem, np.ones(4)).noise_scale())
    sizes, share = shown.curve()
    np.testing.assert_allclose(share, sizes / (sizes + shown.scale))
    assert sizes[0] == 1 and sizes[-1] == 60
    curve, mark = shown.ax_.lines
    np.testing.assert_allclose(curve.get_ydata(), share)
    np.testing.assert_allclose(mark.get_xdata(), shown.scale)
    # At a minimum there is noise alone, and no mark.
    assert len(NoiseScaleDisplay(np.inf, 60).plot().ax_.lines) == 1


def test_on_another_device():
    device = strict.Device("device1")
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((60, 4)), rng.standard_normal(60)
    there = LinearProblem(
        strict.asarray(X, device=device), strict.asarray(y, device=device), Squared(), L2(0.1)
    )
    here = LinearProblem(X, y, Squared(), L2(0.1))
    a, b = Landscape(there), Landscape(here)
    assert a.trace() == pytest.approx(b.trace(), rel=1e-10)
    np.testing.assert_allclose(a.top()[0], b.top()[0], rtol=1e-10)
    np.testing.assert_allclose(to_numpy(a.box(0.1)), b.box(0.1), rtol=1e-8)
    assert a.sharpness(0.1) == pytest.approx(b.sharpness(0.1), rel=1e-8)
    assert a.noise_scale() == pytest.approx(b.noise_scale(), rel=1e-8)
