"""
Solver and penalty in one grid search
=====================================

``solver`` is a parameter like ``alpha``: a grid search in a pipeline tunes both, and the solver's
own options as ``solver__*``. The score depends on ``alpha`` alone, since every solver reaches the
same ``tol``; the time does not.
"""

# %%
# A raw frame: ten measurements of patients in their own units, one of them a category.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, PolynomialFeatures, StandardScaler

from skopt_dl import ElasticNet
from skopt_dl.solvers import FISTA

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
X = X.assign(sex=X["sex"].map({1.0: "female", 2.0: "male"}))
others = [name for name in X.columns if name != "sex"]
columns = make_column_transformer(
    (OneHotEncoder(drop="if_binary"), ["sex"]),
    (
        make_pipeline(StandardScaler(), PolynomialFeatures(2, include_bias=False)),
        [*X.columns.drop("sex")],
    ),
)
pipeline = Pipeline(
    [("columns", columns), ("scale", StandardScaler()), ("model", ElasticNet(max_iter=None))]
)

# %%
# Two grids: solvers by name, and the options of one of them.
alphas = np.logspace(-1, 1.5, 8)
search = GridSearchCV(
    pipeline,
    [
        {"model__solver": ["cd", "active_set", "admm"], "model__alpha": alphas},
        {
            "model__solver": [FISTA()],
            "model__solver__restart": [True, False],
            "model__alpha": alphas,
        },
    ],
    cv=3,
)
search.fit(X, y)
print("best:", search.best_params_, f"R2 {search.best_score_:.3f}")
print(search.best_estimator_[-1].solve_report_)

# %%
results = search.cv_results_
curves: dict[str, list[tuple[float, float, float]]] = {}
for k, parameters in enumerate(results["params"]):
    label = str(parameters["model__solver"])
    if "model__solver__restart" in parameters:
        label = f"FISTA(restart={parameters['model__solver__restart']})"
    point = (parameters["model__alpha"], results["mean_test_score"][k], results["mean_fit_time"][k])
    curves.setdefault(label, []).append(point)

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5))
for label, points in curves.items():
    alpha, score, seconds = np.transpose(points)
    left.semilogx(alpha, score, marker=".", label=label)
    right.loglog(alpha, seconds, marker=".", label=label)
left.set(xlabel="alpha", ylabel="R2, 3 folds", title="The score is the penalty's")
right.set(xlabel="alpha", ylabel="seconds to fit", title="the time is the solver's")
right.legend(fontsize="small")
fig.tight_layout()
plt.show()
