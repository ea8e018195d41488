"""
A penalty of your own: weights that sum to one
==============================================

A blend of several models' predictions should have weights that are not negative and sum to one.
That is a constraint set, the probability simplex, and all that a constraint set needs is its
projection: about twenty lines. (``skopt_dl.penalties`` has this one; here is how it is written.)
"""

# %%
# The projection subtracts the one threshold that leaves a sum of one, which sorting finds.
from typing import Any, ClassVar

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from skopt_dl import Lasso, Penalty, minimize
from skopt_dl.kernels.namespace import namespace_of
from skopt_dl.losses import Squared
from skopt_dl.problems import LinearProblem
from skopt_dl.testing import check_penalty


class Simplex(Penalty):
    """Coefficients that are not negative and sum to one."""

    label: ClassVar[str] = "the simplex constraint"
    constraint: ClassVar[bool] = True

    def value(self, w: Any) -> Any:
        xp = namespace_of(w)
        total = xp.sum(w)
        # A projected point is off by rounding.
        tiny = 64 * xp.finfo(w.dtype).eps * w.shape[0]
        outside = xp.any(w < 0) | (xp.abs(total - 1) > tiny)
        return xp.where(outside, xp.full_like(total, xp.inf), xp.zeros_like(total))

    def prox(self, v: Any, step: Any) -> Any:
        xp = namespace_of(v)
        u = xp.flip(xp.sort(v))
        k = xp.cumulative_sum(xp.ones_like(u))
        return xp.clip(v - xp.max((xp.cumulative_sum(u) - 1) / k), 0, None)


check_penalty(Simplex())

# %%
# Predictions of four models for the same patients, each for patients it has not seen.
X, y = load_diabetes(return_X_y=True)
models = {
    "linear": LinearRegression(),
    "lasso on products": make_pipeline(
        PolynomialFeatures(2, include_bias=False), StandardScaler(), Lasso(alpha=3.0)
    ),
    "forest": RandomForestRegressor(50, random_state=0),
    "neighbours": make_pipeline(StandardScaler(), KNeighborsRegressor(15)),
}
P = np.column_stack([cross_val_predict(model, X, y, cv=5) for model in models.values()])

# %%
# The best blend, by two solvers that know nothing of simplices.
problem = LinearProblem(P, y, Squared(), Simplex())
blends = {name: minimize(problem, name, tol=1e-8) for name in ("projected_gradient", "admm")}
weights = blends["projected_gradient"].w
assert all(blend.success for blend in blends.values())
assert np.isclose(weights.sum(), 1)
np.testing.assert_allclose(weights, blends["admm"].w, atol=1e-3)

# %%
fig, axes = plt.subplots(figsize=(6, 3))
axes.barh(
    [*models, "blend"], [*np.mean((P - y[:, None]) ** 2, axis=0), np.mean((P @ weights - y) ** 2)]
)
for k, weight in enumerate(weights):
    axes.text(50, k, f"weight {weight:.2f}", va="center", color="white")
axes.set(xlabel="mean squared error of held-out predictions", title="Four models and their blend")
fig.tight_layout()
plt.show()
