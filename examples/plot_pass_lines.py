"""
What second-order methods are held to
=====================================

``python -m benchmarks.pass_lines`` prints what each method is held to, on the data of the papers'
shape. Here are the same comparisons on smaller data, as pictures: where curvature pays, and by how
much.
"""

# %%
# The distance from the optimum is noted after each iteration, with the passes over the samples that
# were made until then: a value with its gradient is one, a curvature product two passes over the
# samples it uses.
import time

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize as scipy_minimize, rosen, rosen_der, rosen_hess_prod
from sklearn.datasets import load_digits

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


class Counted(LinearProblem):
    """A linear problem that counts passes over its samples."""

    passes = 0.0

    def point_of(self, w, z):
        self.passes += 1
        return super().point_of(w, z)

    def along(self, point, d):
        self.passes += 1
        return super().along(point, d)

    def hessian(self, point):
        self.passes += self.size / 4
        return super().hessian(point)

    def counting(self, product, share=1.0):
        def counted(d):
            self.passes += 2 * share
            return product(d)

        return counted

    def hvp(self, point):
        return self.counting(super().hvp(point))

    def sample_hvp(self, w, index, weights=None):
        share = len(index) / self.n_samples
        return self.counting(super().sample_hvp(w, index, weights), share)

    ggn, sample_ggn = hvp, sample_hvp

    def sample_grad(self, w, index):
        self.passes += len(index) / self.n_samples
        return super().sample_grad(w, index)

    def sample_hessian(self, w, index, weights=None):
        self.passes += self.size / 4 * len(index) / self.n_samples
        return super().sample_hessian(w, index, weights)


class Trace:
    """Notes passes and objective after each report."""

    def __init__(self, problem):
        self.problem, self.passes, self.values = problem, [], []

    def on_report(self, report):
        # Methods that visit single samples count their epochs themselves.
        self.passes.append(self.problem.passes or report.n_epochs)
        self.values.append(float(LinearProblem.value(self.problem, report.state.w)))
        return False


def trace(problem, solver, iterations, start=None):
    problem.passes, seen = 0.0, Trace(problem)
    stopping = Stopping(tol=None, max_iter=iterations)
    rng = np.random.default_rng(0)
    run(problem, solver, start=start, stopping=stopping, observers=[seen], rng=rng)
    return np.array(seen.passes), np.array(seen.values)


def passes_to(passes, values, goal):
    reached = np.flatnonzero(values <= goal)
    return passes[reached[0]] if reached.size else np.inf


figure, axes = plt.subplots(2, 3, figsize=(13, 8))


# %%
# Least squares of a logistic response, which is not convex (Xu, Roosta & Mahoney): a sample of 5 %
# whose members are drawn by how much they bend the objective does what all samples do.
class SquaredResponse(Loss):
    differentiable, convex = True, False

    def value(self, y, z):
        return (1 / (1 + np.exp(-z)) - y) ** 2

    def slope(self, y, z):
        s = 1 / (1 + np.exp(-z))
        return 2 * (s - y) * s * (1 - s)

    def curvature(self, y, z):
        s = 1 / (1 + np.exp(-z))
        d = s * (1 - s)
        return 2 * d * d + 2 * (s - y) * d * (1 - 2 * s)


rng = np.random.default_rng(0)
n, p = 8000, 22
X = np.column_stack([rng.standard_normal((n, p)) * np.geomspace(1, 0.05, p), np.ones(n)])
z = X @ (4 * rng.standard_normal(p + 1)) + 0.3 * rng.standard_normal(n)
problem = Counted(X, (z > 0) * 1.0, SquaredResponse(), L2(0.0), criterion="stationarity")
best = min(
    run(
        problem,
        TrustRegion(),
        start=np.random.default_rng(seed).standard_normal(p + 1),
        stopping=Stopping(tol=1e-8, max_iter=300),
    ).certificate.objective
    for seed in range(3)
)
settings = {"initial_radius": 10.0, "acceptance": 1e-4}
rivals = {
    "trust region, 5 % by scores": SubsampledTrustRegion(sampling="scores", **settings),
    "trust region, 5 % uniform": SubsampledTrustRegion(sampling="uniform", **settings),
    "trust region, all samples": SubsampledTrustRegion(share=1.0, **settings),
    "ARC, 5 % by scores": SubsampledARC(sampling="scores"),
}
reached = {}
for name, solver in rivals.items():
    passes, values = trace(problem, solver, 120, np.zeros(p + 1))
    axes[0, 0].loglog(passes, np.maximum(values / best - 1, 1e-8), label=name)
    reached[name] = passes_to(passes, values, (1 + 1e-4) * best)
axes[0, 0].set(title="Non-linear least squares", ylabel="relative distance")
assert reached["trust region, 5 % by scores"] <= 0.5 * reached["trust region, all samples"]

# %%
# Logistic regression with columns of scales 3 to 0.02 (the shape of Byrd et al.), and with rotated
# columns whose Hessian has a condition of about 1e6.
X = rng.standard_normal((4000, 30)) * np.geomspace(3, 0.02, 30)
y = (rng.random(4000) < 1 / (1 + np.exp(-X @ rng.standard_normal(30)))) * 1.0
problem = Counted(X, y, Logistic(), L2(1e-4))
best = run(problem, NewtonCholesky(), stopping=Stopping(tol=1e-13)).certificate.objective
reached = {}
for name, solver, iterations in (
    ("sub-sampled Newton, 5 %", SubsampledNewton(), 15),
    ("SVRG-L-BFGS", SVRGLBFGS(), 40),
    ("SVRG", SVRG(), 40),
):
    passes, values = trace(problem, solver, iterations)
    axes[0, 1].semilogy(passes, np.maximum(values / best - 1, 1e-14), label=name)
    reached[name] = passes_to(passes, values, (1 + 1e-6) * best)
axes[0, 1].set(title="Logistic regression, uneven columns")
assert reached["sub-sampled Newton, 5 %"] <= reached["SVRG-L-BFGS"] <= 75 < reached["SVRG"]

Q = np.linalg.qr(rng.standard_normal((60, 60)))[0]
X = (rng.standard_normal((4000, 60)) * np.geomspace(1, 1e-3, 60)) @ Q
y = (rng.random(4000) < 1 / (1 + np.exp(-3 * X @ rng.standard_normal(60)))) * 1.0
problem = Counted(X, y, Logistic(), L2(1e-8))
best = run(problem, NewtonCholesky(), stopping=Stopping(tol=1e-14)).certificate.objective
reached = {}
for name, solver, iterations in (
    ("Newton by Cholesky", NewtonCholesky(), 12),
    ("L-BFGS from the identity", LBFGS(memory=50, initial="identity"), 1500),
):
    passes, values = trace(problem, solver, iterations)
    axes[0, 2].loglog(passes, np.maximum(values / best - 1, 1e-14), label=name)
    reached[name] = passes_to(passes, values, (1 + 1e-10) * best)
axes[0, 2].set(title="Logistic regression, condition 1e6")
assert reached["Newton by Cholesky"] < 0.5 * reached["L-BFGS from the identity"]

# %%
# An autoencoder of digits through a narrow middle: K-FAC has nothing to tune, Adam's rate was
# searched for. With randomised factors its steps are nearly the same.
X = load_digits().data[:800] / 16.0
network = MLPRegressor(
    hidden_layer_sizes=(48, 32, 16, 8, 16, 32, 48),
    activation=["tanh"] * 3 + ["identity"] + ["tanh"] * 3,
    alpha=0.0,
    random_state=0,
)._build_problem(X, X)
losses = {}
for name, solver in (
    ("K-FAC", KFAC()),
    ("RS-KFAC", RSKFAC()),
    ("Adam, rate 0.005", Adam(learning_rate=0.005, batch_size=128)),
):
    seen = []

    class Watch:
        def on_report(self, report, seen=seen):
            seen.append(float(network.value(report.state.w)))
            return False

    stopping, source = Stopping(tol=None, max_iter=50), np.random.RandomState(0)
    run(network, solver, stopping=stopping, observers=[Watch()], rng=source)
    axes[1, 0].semilogy(np.arange(1, len(seen) + 1), seen, label=name)
    losses[name] = seen
axes[1, 0].set(title="Autoencoder of digits", xlabel="pass over the data", ylabel="loss")
assert losses["K-FAC"][24] < losses["Adam, rate 0.005"][49]
assert losses["RS-KFAC"][-1] < losses["Adam, rate 0.005"][-1]

# %%
# Ridge regression whose singular values fall like 1/i^2: a sketch of rank 50 takes away what
# conjugate gradients spend hundreds of steps on.
n, p = 800, 200
U, V = (np.linalg.qr(rng.standard_normal((size, p)))[0] for size in (n, p))
X = (U * (100.0 * np.arange(1, p + 1) ** -2.0)) @ V.T
y = X @ rng.standard_normal(p) + 0.01 * rng.standard_normal(n)
ridge = LinearProblem(X, y, Squared(), L2(1e-4 / n), criterion="stationarity", scale="null")
counts = {}
for rank in (0, 20, 50, 100):
    solver = NystromCG(rank=rank) if rank else ConjugateGradient()
    stopping, source = Stopping(tol=1e-10, max_iter=5000), np.random.default_rng(0)
    counts[rank] = run(ridge, solver, stopping=stopping, rng=source).n_iter
axes[1, 1].bar([str(rank) for rank in counts], list(counts.values()))
axes[1, 1].set(
    title="Conjugate gradients with a sketch", xlabel="rank", ylabel="iterations", yscale="log"
)
assert counts[50] <= 32 < counts[0] / 4

# %%
# A matrix of rank 5 with 30 % of its entries: scaled gradients do not feel its condition.
conditions, shown = (1, 5, 20), {"scaled gradients": [], "gradient descent": []}
for condition in conditions:
    source = np.random.default_rng(0)
    U, V = (np.linalg.qr(source.standard_normal((size, 5)))[0] for size in (120, 100))
    full = (U * np.linspace(1, 1 / condition, 5)) @ V.T
    holes = np.where(source.random(full.shape) < 0.4, full / full.std(), np.nan)
    factors = MatrixCompletion(5, alpha=0, random_state=0)._build_problem(holes)
    for name, solver in (("scaled gradients", ScaledGD()), ("gradient descent", GradientDescent())):
        result = run(factors, solver, stopping=Stopping(tol=1e-5, max_iter=5000))
        shown[name].append(result.n_iter)
for name, iterations in shown.items():
    axes[1, 2].loglog(conditions, iterations, "o-", label=name)
axes[1, 2].set(title="Matrix completion", xlabel="condition of the matrix", ylabel="iterations")
assert max(shown["scaled gradients"]) <= 1.5 * min(shown["scaled gradients"])
assert shown["gradient descent"][2] >= 4 * shown["gradient descent"][0]

for ax in axes.ravel():
    if ax.get_legend_handles_labels()[1]:
        ax.legend(fontsize="small")
for ax in axes[0]:
    ax.set_xlabel("passes over the samples")
plt.tight_layout()
plt.show()

# %%
# Lines without a picture. From a width of about a thousand a step of K-FAC with randomised factors
# costs less than one with exact ones.
rng = np.random.default_rng(0)
X, y = rng.standard_normal((400, 64)), rng.integers(0, 10, 400)
wide = MLPClassifier((1024, 1024), random_state=0)._build_problem(X, y)
seconds = {}
for solver in (KFAC(refresh=1), RSKFAC(refresh=1)):
    begin = time.process_time()
    run(
        wide,
        solver,
        stopping=Stopping(tol=None, max_iter=1),
        rng=np.random.RandomState(0),
    )
    seconds[type(solver).__name__] = time.process_time() - begin
print({name: f"{spent:.2f} s" for name, spent in seconds.items()})

# %%
# The iterates of a trust region and of L-BFGS are SciPy's.
start = np.array([-1.2, 1.0, -0.5, 0.7, 1.3])
for solver, method, oracles in (
    (TrustRegion(), "trust-ncg", {"jac": rosen_der, "hessp": rosen_hess_prod}),
    (
        LBFGS(initial="identity", line_search="more_thuente", sufficient_decrease=1e-3),
        "L-BFGS-B",
        {"jac": rosen_der},
    ),
):
    theirs = []
    scipy_minimize(
        rosen,
        start,
        method=method,
        callback=lambda w, theirs=theirs: theirs.append(np.array(w)),
        **oracles,
    )
    valley = SmoothProblem(rosen, rosen_der, hvp=rosen_hess_prod, start=start)
    state = solver.init(valley, valley.start(), None)
    apart = 0.0
    for w in theirs:
        solver.advance(valley, state, 1)
        apart = max(apart, np.max(np.abs(state.w - w)))
    print(f"{method}: {len(theirs)} iterates, at most {apart:.0e} apart")
    assert apart <= 1e-8

# %%
# Adaptive cubic regularisation arrives from every start, and Hessian-free optimisation, the oldest
# of them, at the loss of the autoencoder above.
for start in (np.zeros(5), 3 * np.ones(5), np.random.default_rng(0).standard_normal(5)):
    valley = SmoothProblem(rosen, rosen_der, hvp=rosen_hess_prod, start=start)
    result = run(valley, ARC(), stopping=Stopping(tol=1e-8, max_iter=100))
    assert result.success

result = run(
    network,
    HessianFree(share=0.25),
    stopping=Stopping(tol=None, max_iter=20),
    rng=np.random.default_rng(0),
)
print(f"Hessian-free: loss {result.certificate.objective:.2f} after {result.n_iter} iterations")
assert result.certificate.objective < losses["Adam, rate 0.005"][-1]
