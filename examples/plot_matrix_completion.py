"""
Filling missing pixels
======================

A matrix with holes is completed by a low-rank model of what is there. As a transformer it is an
imputer: here the holes are pixels of handwritten digits.
"""

# %%
# Hide 40 % of the pixels.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.impute import SimpleImputer

from skopt_dl import MatrixCompletion
from skopt_dl.inspection import convergence_plot

images = load_digits().data[:800] / 16
rng = np.random.default_rng(0)
hidden = rng.random(images.shape) < 0.4
holes = np.where(hidden, np.nan, images)

# %%
# Alternating least squares, what "auto" takes, and L-BFGS on the same objective.
model = MatrixCompletion(n_components=12, alpha=0.01, fit_bias="both", random_state=0)
reports, errors = {}, {}
for solver in ("als", "lbfgs"):
    filled = model.set_params(solver=solver).fit_transform(holes)
    reports[solver] = model.solve_report_
    errors[solver] = np.sqrt(np.mean((filled - images)[hidden] ** 2))
means = SimpleImputer().fit_transform(holes)
errors["column means"] = np.sqrt(np.mean((means - images)[hidden] ** 2))
print({name: round(float(error), 3) for name, error in errors.items()})
assert errors["als"] < 0.75 * errors["column means"]
assert np.array_equal(filled[~hidden], images[~hidden])

# %%
fig, axes = plt.subplots(3, 8, figsize=(8, 3.4))
for row, (title, rows) in enumerate({"given": holes, "filled": filled, "true": images}.items()):
    for k in range(8):
        axes[row, k].imshow(rows[k].reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        axes[row, k].set(xticks=[], yticks=[])
    axes[row, 0].set_ylabel(title)
fig.tight_layout()

# %%
axes = convergence_plot(reports)
axes.set(xscale="log", title="Matrix completion, 800 x 64 with 40 % missing")
plt.tight_layout()
plt.show()
