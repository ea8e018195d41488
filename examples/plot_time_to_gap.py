"""
Time to a duality gap
=====================

What an answer costs depends on how good it has to be. Each point is a whole fit of a lasso to one
tolerance: the processor seconds that it took, and the duality gap of its coefficients, computed
here from the data. scikit-learn's coordinate descent runs beside ours, and celer where it is
installed.
"""

import time
import warnings
from importlib import import_module

import matplotlib.pyplot as plt
import numpy as np
import sklearn.linear_model

import skopt_dl.linear_model

# %%
# Wide data, neighbouring columns correlated, a small alpha: what makes coordinate descent slow.
rng = np.random.default_rng(0)
n, p = 200, 2000
X = np.empty((n, p), order="F")
X[:, 0] = rng.standard_normal(n)
for j in range(1, p):
    X[:, j] = 0.9 * X[:, j - 1] + np.sqrt(1 - 0.9**2) * rng.standard_normal(n)
y = X[:, ::100].sum(axis=1) + rng.standard_normal(n) + 3
alpha = skopt_dl.linear_model.alpha_max(X, y) / 50


# %%
# The gap bounds how far a value of the objective is from its minimum: the residual, scaled into the
# feasible set of the dual problem, is a lower bound of it.
def relative_gap(coef):
    residual = y - X @ coef
    residual -= residual.mean()
    centred = y - y.mean()
    primal = residual @ residual / (2 * n) + alpha * np.abs(coef).sum()
    scale = min(
        alpha * n / np.abs(X.T @ residual).max(), centred @ residual / (residual @ residual)
    )
    dual = scale * (centred @ residual) / n - scale**2 * (residual @ residual) / (2 * n)
    return max(primal - dual, 1e-16) / (centred @ centred / (2 * n))


def candidates():
    for solver in ("auto", "cd", "fista"):
        yield (
            f"skopt_dl {solver}",
            lambda tol, solver=solver: skopt_dl.linear_model.Lasso(
                alpha, solver=solver, tol=tol, max_iter=2000
            ),
        )
    yield "scikit-learn", lambda tol: sklearn.linear_model.Lasso(alpha, tol=tol, max_iter=10_000)
    try:
        celer = import_module("celer")
    except ImportError:
        return
    yield "celer", lambda tol: celer.Lasso(alpha, tol=tol)


# %%
# Every candidate at ever tighter tolerances, the median of three fits each.
fig, ax = plt.subplots(layout="constrained")
for name, make in candidates():
    seconds, gaps = [], []
    for tol in 10.0 ** -np.arange(2, 12, 2):
        times = []
        for _ in range(3):
            start = time.process_time()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a tolerance that is not met shows in the plot
                model = make(tol).fit(X, y)
            times.append(time.process_time() - start)
        seconds.append(np.median(times))
        gaps.append(relative_gap(model.coef_))
    print(f"{name:<20} {seconds[-1]:8.4f} s to a relative gap of {gaps[-1]:.1e}")
    ax.loglog(seconds, gaps, marker="o", label=name)
ax.set(xlabel="processor seconds", ylabel="relative duality gap", title=f"Lasso, {n} x {p}")
ax.legend()
plt.show()
