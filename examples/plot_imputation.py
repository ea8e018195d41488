"""
Imputation before a classifier
==============================

The strength of the imputer is part of the model: a grid search tunes it with the classifier, on the
score of the classifier. `MatrixCompletion` learns its penalty from the data by default.
"""

# %%
# A table with 40 % of its cells missing.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skopt_dl import MatrixCompletion

full, y = load_breast_cancer(return_X_y=True)
full = StandardScaler().fit_transform(full)
rng = np.random.default_rng(0)
hidden = rng.random(full.shape) < 0.4
X = np.where(hidden, np.nan, full)

# %%
# How well each imputer fills the cells, and how well a classifier then does.
imputers = {
    "mean": SimpleImputer(),
    "5 neighbours": KNNImputer(n_neighbors=5),
    "iterative": IterativeImputer(max_iter=5, random_state=0),
    "matrix completion": MatrixCompletion(8, fit_bias="cols", random_state=0),
}
errors, scores = {}, {}
for name, imputer in imputers.items():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        filled = imputer.fit_transform(X)
        errors[name] = np.sqrt(np.mean((filled - full)[hidden] ** 2))
        pipe = make_pipeline(imputer, LogisticRegression(max_iter=500))
        scores[name] = cross_val_score(pipe, X, y, cv=3).mean()
    print(f"{name:18s} error {errors[name]:.3f}, accuracy {scores[name]:.3f}")
assert errors["matrix completion"] < errors["mean"]

# %%
# The rank and a given strength, tuned by the classifier's score.
pipe = make_pipeline(
    MatrixCompletion(fit_bias="cols", random_state=0), LogisticRegression(max_iter=500)
)
grid = {
    "matrixcompletion__n_components": [2, 8],
    "matrixcompletion__alpha": ["auto", 0.01],
}
search = GridSearchCV(pipe, grid, cv=3).fit(X, y)
print(search.best_params_, round(search.best_score_, 3))

# %%
fig, axes = plt.subplots(1, 2, figsize=(8, 3), sharey=True)
axes[0].barh(list(errors), list(errors.values()))
axes[0].set(title="root mean squared error of the filled cells")
axes[1].barh(list(scores), list(scores.values()))
axes[1].set(title="accuracy of the classifier", xlim=(0.85, 1))
fig.tight_layout()
plt.show()
