"""
Ratings with their uncertainty
==============================

Users, items and ratings, as pairs with values. Nothing is tuned: the penalty, the noise and the
relevance of each component are learned, and every prediction comes with a standard deviation.
"""

# %%
# Synthetic ratings: some users have rated hundreds of items, most of them a few.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import train_test_split

from skopt_dl import MatrixCompletion
from skopt_dl.solvers import Gibbs

rng = np.random.default_rng(0)
n_users, n_items = 300, 200
taste = rng.standard_normal((n_users, 3)) @ rng.standard_normal((3, n_items)) / 3
truth = 3.5 + 0.4 * rng.standard_normal((n_users, 1)) + 0.3 * rng.standard_normal(n_items) + taste
active = rng.gamma(0.6, size=(n_users, 1))
seen = rng.random(truth.shape) < np.minimum(0.9, 0.15 * active / active.mean())
pairs = np.argwhere(seen)
ratings = truth[seen] + 0.5 * rng.standard_normal(len(pairs))
train, test, y_train, y_test = train_test_split(pairs, ratings, random_state=0)

# %%
# Variational Bayes, the default, and Gibbs sampling.
models = {
    "vb": MatrixCompletion(8, fit_bias="both", random_state=0),
    "gibbs": MatrixCompletion(8, fit_bias="both", solver=Gibbs(n_draws=60), random_state=0),
}
off, std = {}, {}
for name, model in models.items():
    values, std[name] = model.fit(train, y_train).predict(test, return_std=True)
    off[name] = values - truth[tuple(test.T)]
    print(
        f"{name}: noise {model.noise_variance_:.3f}, error of ratings "
        f"{np.sqrt(np.mean((values - y_test) ** 2)):.3f}"
    )
    assert np.sqrt(np.mean(off[name] ** 2)) < 0.6 * np.std(truth)

# %%
# Predictions that are said to be uncertain are off by more: means over tenths of the test set.
fig, axes = plt.subplots(figsize=(5, 3))
for name in models:
    order = np.argsort(std[name])
    groups = np.array_split(order, 10)
    said = [np.sqrt(np.mean(std[name][g] ** 2)) for g in groups]
    true = [np.sqrt(np.mean(off[name][g] ** 2)) for g in groups]
    axes.plot(said, true, marker="o", label=name)
    assert true[-1] > true[0]
axes.plot(said, said, color="0.7", zorder=0)
axes.set(xlabel="standard deviation", ylabel="root mean squared error")
axes.legend()
fig.tight_layout()
plt.show()
