"""
Solvers of one lasso, side by side
==================================

``tol`` bounds the duality gap at the returned coefficients, whatever the solver. So the curves
below measure the same thing, and where they end the answers are equally good.
"""

# %%
# A wide problem: more features than samples, few of which matter.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_regression

from skopt_dl import Lasso
from skopt_dl.inspection import convergence_plot, solver_table

X, y = make_regression(n_samples=300, n_features=1000, n_informative=20, noise=5.0, random_state=0)
model = Lasso(alpha=1.0, tol=1e-8, max_iter=None)

# %%
# Which solvers can fit it, and what do the others miss? Nothing is solved to find out.
print(solver_table(model, X, y))

# %%
# Fit by some of them and keep their reports.
names = ["cd", "active_set", "prox_newton", "fista", "ista"]
reports = {name: model.set_params(solver=name).fit(X, y).solve_report_ for name in names}
for name, report in reports.items():
    print(
        f"{name:12} {report.status:10} {report.n_iter:6d} iterations  gap {report.certificate:.1e}"
    )

objectives = [report.objective for report in reports.values()]
assert np.ptp(objectives) <= 1e-6 * max(objectives)

# %%
axes = convergence_plot(reports)
axes.set(xscale="log", title="Relative duality gap of a lasso, 300 x 1000")
plt.tight_layout()
plt.show()
