"""What the second-order methods are held to: each line, its target and the figure measured now.

Costs are counted, not timed, where a line is about passes (`benchmarks.counted`). Times are
processor seconds of runs that alternate.
"""

from __future__ import annotations

from benchmarks.timing import parser, seconds_of  # first: pins BLAS  # isort: skip

import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy.optimize import minimize as scipy_minimize, rosen, rosen_der, rosen_hess_prod
from scipy.special import expit
from sklearn.datasets import load_digits

from benchmarks.counted import Counted, passes_to
from skopt_dl.engine import Stopping, run
from skopt_dl.losses import Logistic, Loss, Squared
from skopt_dl.matrix_completion import MatrixCompletion
from skopt_dl.neural_network import MLPClassifier, MLPRegressor
from skopt_dl.penalties import L2
from skopt_dl.problems import LinearProblem, SmoothProblem
from skopt_dl.solvers import (
    ARC,
    KFAC,
    LBFGS,
    RSKFAC,
    SGD,
    SVRG,
    SVRGLBFGS,
    Adam,
    ConjugateGradient,
    GradientDescent,
    HessianFree,
    NewtonCholesky,
    NystromCG,
    ScaledGD,
    SubsampledARC,
    SubsampledNewton,
    SubsampledTrustRegion,
    TrustRegion,
)

LINES: list[Callable[[Any], None]] = []


def line(check: Callable[[Any], None]) -> Callable[[Any], None]:
    """Register a group of lines."""
    LINES.append(check)
    return check


def report(what: str, target: str, measured: str, ok: bool) -> None:
    print(f"  {'pass' if ok else 'MISS':<5} {what:<62} target {target:<16} {measured}", flush=True)


# --- non-linear least squares by sub-sampled curvature ----------------------------------------


class SquaredResponse(Loss):
    """``(y - sigmoid(z))^2``: least squares of a logistic response, not convex."""

    differentiable = True
    convex = False

    def value(self, y: Any, z: Any) -> Any:
        return (expit(z) - y) ** 2

    def slope(self, y: Any, z: Any) -> Any:
        s = expit(z)
        return 2 * (s - y) * s * (1 - s)

    def curvature(self, y: Any, z: Any) -> Any:
        s = expit(z)
        d = s * (1 - s)
        return 2 * d * d + 2 * (s - y) * d * (1 - 2 * s)


@line
def nonlinear_least_squares(options: Any) -> None:
    """Xu, Roosta, Mahoney 2020, on synthetic data of their shape."""
    n, d = (3000, 22) if options.smoke else (49_990, 22)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d)) * np.geomspace(1, 0.05, d)
    X = np.column_stack([X, np.ones(n)])
    w = rng.standard_normal(d + 1) * 4
    noise = 0.3 * rng.standard_normal(n)
    y = (1 / (1 + np.exp(-(X @ w + noise))) > 0.5).astype(float)
    problem = Counted(X, y, SquaredResponse(), L2(0.0), criterion="stationarity")
    optimum = float("inf")
    for seed in range(3):
        start = np.random.default_rng(seed).standard_normal(d + 1)
        result = run(problem, TrustRegion(), start=start, stopping=Stopping(tol=1e-8, max_iter=300))
        optimum = min(optimum, result.certificate.objective)
    starts = {
        "0": np.zeros(d + 1),
        "1": np.ones(d + 1),
        "randn": np.random.default_rng(9).standard_normal(d + 1),
    }
    settings = {"initial_radius": 10.0, "acceptance": 1e-4}
    rivals = {
        "scores": SubsampledTrustRegion(sampling="scores", **settings),
        "uniform": SubsampledTrustRegion(sampling="uniform", **settings),
        "full": SubsampledTrustRegion(share=1.0, **settings),
        "ARC": SubsampledARC(sampling="scores"),
    }

    def from_all(solver: Any, draws: int) -> list[float]:
        """From each start, the median over draws of the samples: by one a uniform sample may get
        there at a quarter of its median."""
        return [
            statistics.median(
                passes_to(problem, solver, start, optimum, 1e-4, 400, seed) for seed in range(draws)
            )
            for start in starts.values()
        ]

    found = {
        name: from_all(solver, 1 if name == "full" or options.smoke else 5)
        for name, solver in rivals.items()
    }
    shown = {name: "/".join(f"{v:.0f}" for v in values) for name, values in found.items()}
    worst = max(found["scores"])
    report(
        "sub-sampled trust region by scores, starts 0/1/randn",
        "<= 60",
        shown["scores"],
        worst <= 60,
    )
    for name, share in (("uniform", 1 / 2), ("full", 1 / 5)):
        ok = all(a <= share * b for a, b in zip(found["scores"], found[name], strict=True))
        report(f"  of that of the {name} one", f"<= {share:g}", shown[name], ok)
    worst = 0.0
    for radius in (1e-2, 1e-1, 1.0, 1e2, 1e3):
        solver = SubsampledTrustRegion(sampling="scores", initial_radius=radius, acceptance=1e-4)
        worst = max(worst, *from_all(solver, 1))
    report("  with a first radius from 0.01 to 1000", "<= 60", f"{worst:.0f}", worst <= 60)
    report(
        "sub-sampled ARC by scores, starts 0/1/randn",
        "<= 100",
        shown["ARC"],
        max(found["ARC"]) <= 100,
    )


# --- logistic regression ----------------------------------------------------------------------


@line
def sampled_newton(options: Any) -> None:
    """Byrd et al. 2016's shape: n = 7000, 50 columns, condition 5.6e3."""
    n, d = (1500, 20) if options.smoke else (7000, 50)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d)) * np.geomspace(3, 0.02, d)
    z = X @ rng.standard_normal(d)
    y = (rng.random(n) < 1 / (1 + np.exp(-z))).astype(float)
    problem = Counted(X, y, Logistic(), L2(1e-4))
    optimum = run(problem, NewtonCholesky(), stopping=Stopping(tol=1e-13, max_iter=50))
    best, start = optimum.certificate.objective, np.zeros(d)
    passes = passes_to(problem, SubsampledNewton(), start, best, 1e-6, 200)
    report("sub-sampled Newton, 5 %, to 1e-6", "<= 20 passes", f"{passes:.1f}", passes <= 20)
    ours = passes_to(problem, SVRGLBFGS(), start, best, 1e-6, 100)
    report("SVRG-L-BFGS to 1e-6", "<= 75 passes", f"{ours:.1f}", ours <= 75)
    stopping = Stopping(tol=None, max_iter=42)
    plain = run(problem, SVRG(), stopping=stopping, rng=np.random.default_rng(0))
    gap = float(problem.value(plain.w)) / best - 1
    report("SVRG in 63 passes does not get there", "> 1e-6", f"{gap:.1e}", gap > 1e-6)


@line
def newton_cholesky(options: Any) -> None:
    """n = 20 000, 100 rotated columns of scales 1 to 1e-3: condition 9e5."""
    n, d = (2000, 30) if options.smoke else (20_000, 100)
    rng = np.random.default_rng(0)
    Q, _ = np.linalg.qr(rng.standard_normal((d, d)))
    X = (rng.standard_normal((n, d)) * np.geomspace(1, 1e-3, d)) @ Q
    y = (rng.random(n) < 1 / (1 + np.exp(-3 * X @ rng.standard_normal(d)))).astype(float)
    problem = Counted(X, y, Logistic(), L2(1e-8))
    best = run(problem, NewtonCholesky(), stopping=Stopping(tol=1e-14, max_iter=50))
    optimum = best.certificate.objective
    ratios = []
    for _ in range(1 if options.smoke else options.repeat):
        seconds = {}
        for solver in (NewtonCholesky(), LBFGS(memory=50, initial="identity")):
            call = partial(passes_to, problem, solver, np.zeros(d), optimum, 1e-10, 20_000)
            seconds[type(solver)], _ = seconds_of(call)
        ratios.append(seconds[LBFGS] / seconds[NewtonCholesky])
    ratio = statistics.median(ratios)
    report("L-BFGS over Newton-Cholesky, seconds to 1e-10", ">= 20", f"{ratio:.1f}", ratio >= 20)


@line
def nystrom(options: Any) -> None:
    """Frangella et al. 2023: ridge 2000 x 500, singular values 100 i^-2, ridge 1e-4."""
    n, p = 2000, 500
    rng = np.random.default_rng(0)
    U, _ = np.linalg.qr(rng.standard_normal((n, p)))
    V, _ = np.linalg.qr(rng.standard_normal((p, p)))
    X = (U * (100.0 * np.arange(1, p + 1) ** -2.0)) @ V.T
    y = X @ rng.standard_normal(p) + 0.01 * rng.standard_normal(n)
    problem = LinearProblem(X, y, Squared(), L2(1e-4 / n), criterion="stationarity", scale="null")
    stopping = Stopping(tol=1e-10, max_iter=5000)
    counts = {}
    for name, solver in {
        "plain": ConjugateGradient(),
        "20": NystromCG(rank=20),
        "50": NystromCG(rank=50),
        "100": NystromCG(rank=100),
    }.items():
        counts[name] = run(problem, solver, stopping=stopping, rng=np.random.default_rng(0)).n_iter
    shown = " ".join(f"{name}: {count}" for name, count in counts.items())
    limits = {"20": 100, "50": 32, "100": 12}
    ok = all(counts[rank] <= limit for rank, limit in limits.items()) and counts["plain"] >= 388
    report("conjugate gradients with a sketch, iterations by rank", "<= 100, 32, 12", shown, ok)


# --- networks ---------------------------------------------------------------------------------


class Reached:
    """Stops at a loss; notes the epochs, and the processor seconds of watching it."""

    def __init__(self, problem: Any, goal: float) -> None:
        self.problem, self.goal, self.epochs, self.seconds = problem, goal, np.inf, 0.0

    def on_report(self, report: Any) -> bool:
        spent, value = seconds_of(lambda: float(self.problem.value(report.state.w)))
        self.seconds += spent
        if value <= self.goal:
            self.epochs = report.n_epochs
            return True
        return False


def to_loss(problem: Any, solver: Any, goal: float, epochs: int) -> tuple[float, float, float]:
    """Epochs and processor seconds to a loss, with and without a look at it after each epoch."""
    reached = Reached(problem, goal)
    stopping = Stopping(tol=None, max_iter=epochs)
    rng = np.random.RandomState(0)
    seconds, _ = seconds_of(
        lambda: run(problem, solver, stopping=stopping, observers=[reached], rng=rng)
    )
    return reached.epochs, seconds, seconds - reached.seconds


def narrow_network(seed: int) -> Any:
    """The digits through eight units and back."""
    X = load_digits().data[:1500] / 16.0
    model = MLPRegressor(
        hidden_layer_sizes=(48, 32, 16, 8, 16, 32, 48),
        activation=["tanh"] * 3 + ["identity"] + ["tanh"] * 3,
        alpha=0.0,
        random_state=seed,
    )
    return model._build_problem(X, X)


@line
def hessian_free(options: Any) -> None:
    """The same network, by conjugate gradients on the Gauss-Newton matrix of a quarter of it."""
    goal = 1.0 if options.smoke else 0.30
    reached = Reached(narrow_network(0), goal)
    stopping, rng = Stopping(tol=None, max_iter=100), np.random.default_rng(0)
    result = run(
        reached.problem, HessianFree(share=0.25), stopping=stopping, observers=[reached], rng=rng
    )
    ok = reached.epochs < np.inf
    report(f"Hessian-free, iterations to loss {goal}", "it gets there", str(result.n_iter), ok)


@line
def from_nothing(options: Any) -> None:
    """The same network from a start of a hundredth, beside the saddle of all weights zero."""
    problem = narrow_network(0)
    start = 0.01 * np.random.default_rng(0).standard_normal(problem.size)
    epochs, steps = (20, 10) if options.smoke else (200, 150)
    X = problem.X
    plateau = 0.5 * float(np.mean(np.sum((X - X.mean(axis=0)) ** 2, axis=1)))
    found = {}
    for name, solver, most in (("sgd", SGD(), epochs), ("trust", TrustRegion(), steps)):
        stopping, rng = Stopping(tol=None, max_iter=most), np.random.RandomState(0)
        result = run(problem, solver, start=start, stopping=stopping, rng=rng)
        found[name] = result.certificate.objective
    sgd, trust = found["sgd"], found["trust"]
    what = f"SGD stays at the mean alone ({plateau:.3f})"
    report(what, "within 1 %", f"{sgd:.3f}", abs(sgd / plateau - 1) <= 0.01)
    report("a trust region leaves it", "< 1.5", f"{trust:.3f}", trust < 1.5)


@line
def autoencoder(options: Any) -> None:
    """Digits through 64-48-32-16-8-16-32-48-64, tanh with a linear code, squared error."""
    goal, epochs = (1.0, 60) if options.smoke else (0.30, 700)
    problem = narrow_network
    rates = (0.005,) if options.smoke else (0.002, 0.003, 0.005, 0.007, 0.01)
    seeds = range(1 if options.smoke else options.repeat)
    tuned = {
        rate: to_loss(problem(0), Adam(learning_rate=rate, batch_size=128), goal, epochs)
        for rate in rates
    }
    rate = min(tuned, key=lambda r: tuned[r][0])
    pairs = [
        (
            to_loss(problem(seed), KFAC(), goal, epochs),
            to_loss(problem(seed), Adam(learning_rate=rate, batch_size=128), goal, epochs),
        )
        for seed in seeds
    ]
    passes, seconds, alone = (
        statistics.median(ours[i] / theirs[i] for ours, theirs in pairs) for i in range(3)
    )
    ours = statistics.median(ours[0] for ours, _ in pairs)
    what = f"K-FAC (defaults, {ours:.0f} passes) over Adam (rate {rate})"
    report(f"{what}, passes to loss {goal}", "<= 0.5", f"{passes:.2f}", passes <= 0.5)
    report(f"{what}, seconds", "<= 0.67", f"{seconds:.2f}", seconds <= 0.67)
    # A look at the loss of all samples costs the compiled network as much as an epoch of Adam.
    what = "  without those of looking at the loss after each pass"
    report(what, "<= 0.67", f"{alone:.2f}", alone <= 0.67)


@line
def randomised_factors(options: Any) -> None:
    """A step of RS-KFAC against one of K-FAC, by width."""
    X = np.random.default_rng(0).standard_normal((400, 64))
    y = np.random.default_rng(1).integers(0, 10, 400)
    for width in (128,) if options.smoke else (1024, 1536):
        problem = MLPClassifier((width, width), random_state=0)._build_problem(X, y)
        times = {}
        for solver in (KFAC(refresh=1), RSKFAC(refresh=1)):
            stopping, rng = Stopping(tol=None, max_iter=2), np.random.RandomState(0)
            call = partial(run, problem, solver, stopping=stopping, rng=rng)
            times[type(solver)], _ = seconds_of(call)
        ratio = times[RSKFAC] / times[KFAC]
        ok = ratio <= 1
        what = f"RS-KFAC over K-FAC, seconds a step, width {width}"
        report(what, "<= 1 from 1024", f"{ratio:.2f}", ok)


# --- other programs ---------------------------------------------------------------------------


@line
def scipy_paths(options: Any) -> None:
    """SciPy's trust-ncg and L-BFGS-B on Rosenbrock's function of five variables."""
    start = np.array([-1.2, 1.0, -0.5, 0.7, 1.3])
    theirs: list[np.ndarray] = []
    scipy_minimize(
        rosen,
        start,
        jac=rosen_der,
        hessp=rosen_hess_prod,
        method="trust-ncg",
        callback=lambda w: theirs.append(np.array(w)),
        options={"gtol": 1e-6},
    )
    problem = SmoothProblem(rosen, rosen_der, hvp=rosen_hess_prod, start=start)
    error = path_error(problem, TrustRegion(), theirs)
    what = f"trust region against SciPy's trust-ncg, {len(theirs)} iterates"
    report(what, "<= 1e-10", f"{error:.1e}", error <= 1e-10)

    theirs = []
    scipy_minimize(
        rosen,
        start,
        jac=rosen_der,
        method="L-BFGS-B",
        callback=lambda w: theirs.append(np.array(w)),
    )
    solver = LBFGS(initial="identity", line_search="more_thuente", sufficient_decrease=1e-3)
    error = path_error(problem, solver, theirs)
    what = f"L-BFGS against SciPy's L-BFGS-B, {len(theirs)} iterates"
    report(what, "<= 1e-8", f"{error:.1e}", error <= 1e-8)


def path_error(problem: Any, solver: Any, theirs: list[np.ndarray]) -> float:
    """How far the solver's iterates are from those of another program, at most."""
    ours: list[np.ndarray] = []

    class Path:
        def on_report(self, report: Any) -> bool:
            ours.append(np.array(report.state.w))
            return False

    stopping = Stopping(tol=None, max_iter=len(theirs))
    run(problem, solver, stopping=stopping, observers=[Path()])
    return max(float(np.max(np.abs(a - b))) for a, b in zip(ours, theirs, strict=True))


@line
def scaled_gradients(options: Any) -> None:
    """Iterations on a matrix of rank 5 with 30 % of its entries, by its condition number."""
    counts: dict[tuple[str, int], int] = {}
    for condition in (1, 5, 20, 100):
        rng = np.random.default_rng(0)
        U, V = (np.linalg.qr(rng.standard_normal((size, 5)))[0] for size in (300, 250))
        full = (U * np.linspace(1, 1 / condition, 5)) @ V.T
        X = np.where(rng.random(full.shape) < 0.3, full / full.std(), np.nan)
        problem = MatrixCompletion(5, alpha=0, random_state=0)._build_problem(X)
        solvers = (ScaledGD(), GradientDescent()) if condition < 100 else (ScaledGD(damping=1.0),)
        for solver in solvers:
            result = run(problem, solver, stopping=Stopping(tol=1e-6, max_iter=20_000))
            counts[type(solver).__name__, condition] = result.n_iter if result.success else 10**6
    scaled = [counts["ScaledGD", c] for c in (1, 5, 20)]
    shown = "/".join(map(str, scaled))
    ratio = max(scaled) / min(scaled)
    report("ScaledGD, condition 1/5/20, most over least", "<= 1.3", shown, ratio <= 1.3)
    plain = [counts["GradientDescent", c] for c in (1, 20)]
    report(
        "gradient descent, condition 20 over 1", ">= 8", f"{plain[1]}/{plain[0]}",
        plain[1] >= 8 * plain[0],
    )  # fmt: skip
    hard = counts["ScaledGD", 100]
    report("ScaledGD, condition 100, damping 1", "<= 217", str(hard), hard <= 217)


@line
def cubic_from_every_start(options: Any) -> None:
    """ARC reaches a stationary point from wherever, on Rosenbrock's function."""
    counts = []
    for start in (np.zeros(5), np.ones(5) * 3, np.random.default_rng(0).standard_normal(5)):
        problem = SmoothProblem(rosen, rosen_der, hvp=rosen_hess_prod, start=start)
        result = run(problem, ARC(), stopping=Stopping(tol=1e-8, max_iter=200))
        counts.append(result.n_iter if result.success else np.inf)
    shown = "/".join(f"{c:.0f}" for c in counts)
    report("ARC on Rosenbrock's function, three starts", "<= 100", shown, max(counts) <= 100)


def main(arguments: list[str] | None = None) -> None:
    """Every line, or those whose name is given."""
    p = parser(__doc__, repeat=3)
    names = [check.__name__ for check in LINES]
    p.add_argument("lines", nargs="*", help=f"any of {', '.join(names)}; all without")
    options = p.parse_args(arguments)
    for check in LINES:
        if not options.lines or check.__name__ in options.lines:
            print(f"\n{check.__name__}: {(check.__doc__ or '').strip()}")
            check(options)


if __name__ == "__main__":
    main()
