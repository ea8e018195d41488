"""
The path of a lasso, with a certificate at every strength
==========================================================

`lasso_path` follows the coefficients from the strength at which the first one appears down to a
thousandth of it. Every point comes with its duality gap, a bound on how far it is from the optimum.
"""

# %%
# Ten measurements of patients, with columns of unit variance: one strength means the same to all.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import StandardScaler

from skopt_dl import LassoCV
from skopt_dl.linear_model import alpha_max, lasso_path

data = load_diabetes(as_frame=True, scaled=False)
X = StandardScaler().fit_transform(data.data)
y = data.target.to_numpy() - data.target.mean()

# %%
# The path is exact between its points, too: coefficients are linear in the strength.
alphas, coefs, gaps = lasso_path(X, y, eps=1e-3, alphas=200, tol=1e-10)
assert np.isclose(alphas[0], alpha_max(X, y))
relative = gaps / (np.mean(y**2) / 2)
print(f"{len(alphas)} strengths, largest relative gap {relative.max():.1e}")

# %%
# Cross-validation chooses one of them.
model = LassoCV(alphas=alphas, cv=10).fit(X, y)
chosen = [name for name, w in zip(data.feature_names, model.coef_, strict=True) if w != 0]
print(f"chosen: alpha={model.alpha_:.2f} with {', '.join(chosen)}")

# %%
errors = model.mse_path_.mean(axis=1)
spread = model.mse_path_.std(axis=1) / np.sqrt(model.mse_path_.shape[1])
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), sharex=True)
for name, path in zip(data.feature_names, coefs, strict=True):
    left.semilogx(alphas, path, label=name)
right.semilogx(model.alphas_, errors)
right.fill_between(model.alphas_, errors - spread, errors + spread, alpha=0.3)
for axes in (left, right):
    axes.axvline(model.alpha_, color="black", linestyle=":")
    axes.set(xlabel="alpha")
left.set(ylabel="coefficient", title="Path")
left.legend(fontsize="x-small", ncols=2)
right.set(ylabel="squared error", title="Error on ten folds")
right.invert_xaxis()
fig.tight_layout()
plt.show()
