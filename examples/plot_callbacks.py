"""
Watch a fit, and stop it
========================

scikit-learn's callbacks work on every solver, because the engine owns the loop. This one scores the
model on held-out data after every report and stops the fit when the score has not improved for a
while.
"""

# %%
# A callback has four methods. It is handed a fitted model at every report.
from typing import Any

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skopt_dl import MLPClassifier


class StopWhenFlat:
    """Stop once the score on held-out data has not improved for ``patience`` reports."""

    def __init__(self, X_valid: Any, y_valid: Any, patience: int = 15) -> None:
        self.X_valid, self.y_valid, self.patience = X_valid, y_valid, patience
        self.scores: list[float] = []

    def setup(self, estimator: Any, context: Any) -> None:
        self.scores = []

    def teardown(self, estimator: Any, context: Any) -> None:
        """Nothing to close."""

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Nothing to open."""

    def on_fit_task_end(self, estimator: Any, context: Any, *, fitted_estimator: Any) -> bool:
        self.scores.append(fitted_estimator.score(self.X_valid, self.y_valid))
        best = max(range(len(self.scores)), key=self.scores.__getitem__)
        return len(self.scores) - best > self.patience


# %%
X, y = load_digits(return_X_y=True)
X = StandardScaler().fit_transform(X)
X_train, X_valid, y_train, y_valid = train_test_split(X, y, random_state=0, stratify=y)

curves = {}
for solver in ("adam", "sgd", "lbfgs"):
    callback = StopWhenFlat(X_valid, y_valid)
    model = MLPClassifier((32,), solver=solver, max_iter=300, random_state=0)
    model.set_callbacks(callback).fit(X_train, y_train)
    report = model.solve_report_
    print(f"{solver:6} {report.status:10} after {report.n_iter} {callback.scores[-1]:.3f}")
    assert report.status in ("stopped", "converged")
    curves[solver] = callback.scores

# %%
fig, axes = plt.subplots(figsize=(6, 3.5))
for solver, scores in curves.items():
    axes.plot(scores, label=solver)
axes.set(xlabel="report", ylabel="accuracy on held-out digits", title="Stopped when flat")
axes.legend()
fig.tight_layout()
plt.show()
