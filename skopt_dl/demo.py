"""``python -m skopt_dl.demo``: five models on real data, each by several solvers side by side.

The data come with scikit-learn. For each model a grid search over ``solver`` and ``solver__*`` in
a pipeline picks the best setting. Then every solver fits the training data with it, and a table
shows what each one did: all meet the same ``tol``, or say why not.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from skopt_dl.engine import SolveReport
from skopt_dl.inspection import convergence_plot
from skopt_dl.linear_model import Lasso, LogisticRegression, Ridge
from skopt_dl.matrix_completion import MatrixCompletion
from skopt_dl.neural_network import MLPClassifier
from skopt_dl.solvers import FISTA, Adam, CoordinateDescent

PLOT = Path("convergence.png")


@dataclass(frozen=True)
class Study:
    """A model, its data, the solvers to compare and the grid to search.

    Attributes
    ----------
    title : str
        Heading of the table.
    pipeline : Pipeline
        Its last step is called ``model``.
    data : list
        Training and test inputs, training and test targets.
    solvers : tuple of str
        Names to set side by side.
    grid : list of dict
        Parameters of the model for `GridSearchCV`, without the prefix.
    """

    title: str
    pipeline: Pipeline
    data: list[Any]
    solvers: tuple[str, ...]
    grid: list[dict[str, list[Any]]]


def _pipeline(*steps: Any) -> Pipeline:
    pipeline = make_pipeline(*steps)
    pipeline.steps[-1] = ("model", pipeline.steps[-1][1])
    return pipeline


def lasso() -> Study:
    """Sparse regression on products of ten measurements."""
    X, y = load_diabetes(return_X_y=True)
    return Study(
        "Lasso, diabetes with products of features (442 x 65)",
        _pipeline(
            PolynomialFeatures(2, include_bias=False), StandardScaler(), Lasso(max_iter=None)
        ),
        train_test_split(X, y, random_state=0),
        ("cd", "active_set", "fista", "admm"),
        [
            {"solver": ["cd", "fista"], "alpha": [0.3, 1.0, 3.0]},
            {"solver": [CoordinateDescent()], "solver__selection": ["random"], "alpha": [1.0]},
            {"solver": [FISTA()], "solver__restart": [True, False], "alpha": [1.0]},
        ],
    )


def ridge() -> Study:
    """Least squares with more features than the data can bear."""
    X, y = load_diabetes(return_X_y=True)
    return Study(
        "Ridge, diabetes with products of three features (442 x 285)",
        _pipeline(PolynomialFeatures(3, include_bias=False), StandardScaler(), Ridge()),
        train_test_split(X, y, random_state=0),
        ("cholesky", "svd", "cg", "lsqr", "lbfgs"),
        [{"solver": ["cholesky", "cg"], "alpha": [1e2, 1e3, 1e4]}],
    )


def logistic() -> Study:
    """A binary classifier."""
    X, y = load_breast_cancer(return_X_y=True)
    return Study(
        "LogisticRegression, breast cancer (569 x 30)",
        _pipeline(StandardScaler(), LogisticRegression(max_iter=None, random_state=0)),
        train_test_split(X, y, random_state=0, stratify=y),
        ("newton_cholesky", "lbfgs", "saga", "admm"),
        [{"solver": ["newton_cholesky", "lbfgs"], "C": [0.01, 0.1, 1.0]}],
    )


def completion() -> Study:
    """Pixels of handwritten digits, predicted from other pixels and other images.

    The entries come as pairs (image, pixel) with a value, as ratings do: they split into folds.
    """
    images = load_digits().data[:600] / 16
    pairs = np.argwhere(np.ones(images.shape, dtype=bool))
    return Study(
        "MatrixCompletion, pixels of digits, a quarter held out (600 x 64)",
        _pipeline(MatrixCompletion(alpha=0.01, fit_bias="both", random_state=0)),
        train_test_split(pairs, images.ravel(), random_state=0),
        ("als", "lbfgs", "newton_cg"),
        [{"solver": ["als"], "n_components": [5, 10, 15]}],
    )


def network() -> Study:
    """A network with one hidden layer."""
    X, y = load_digits(return_X_y=True)
    return Study(
        "MLPClassifier, digits (1797 x 64)",
        _pipeline(
            StandardScaler(),
            MLPClassifier(hidden_layer_sizes=(32,), max_iter=200, random_state=0),
        ),
        train_test_split(X, y, random_state=0, stratify=y),
        ("adam", "sgd", "lbfgs"),
        [{"solver": [Adam()], "solver__learning_rate": [1e-3, 1e-2]}],
    )


STUDIES: tuple[Callable[[], Study], ...] = (lasso, ridge, logistic, completion, network)


@dataclass(frozen=True)
class Row:
    """What one solver did."""

    solver: str
    report: SolveReport
    score: float


def search(study: Study) -> Pipeline:
    """The pipeline with the best parameters of the study's grid, not yet fitted."""
    X, _, y, _ = study.data
    grid = [{f"model__{k}": v for k, v in part.items()} for part in study.grid]
    found = GridSearchCV(study.pipeline, grid, cv=3, refit=False).fit(X, y)
    best = ", ".join(f"{k.removeprefix('model__')}={v!r}" for k, v in found.best_params_.items())
    print(f"  best of {len(found.cv_results_['params'])} settings, 3 folds each: {best}")
    return clone(study.pipeline).set_params(**found.best_params_)


def compare(study: Study, pipeline: Pipeline) -> list[Row]:
    """Fit by each solver of the study, the other parameters as they are."""
    X, X_test, y, y_test = study.data
    rows = []
    for name in study.solvers:
        model = clone(pipeline).set_params(model__solver=name).fit(X, y)
        rows.append(Row(name, model[-1].solve_report_, model.score(X_test, y_test)))
    return rows


def print_table(rows: list[Row]) -> None:
    """Print the rows of one study."""
    print(
        f"  {'solver':16} {'status':10} {'iterations':>10} {'seconds':>9}  certificate{'':17} score"
    )
    for row in rows:
        r = row.report
        bound = f"{r.certificate_kind} {r.certificate:.1e}"
        print(
            f"  {row.solver:16} {r.status:10} {r.n_iter:10d} {r.seconds:9.4f}  {bound:28} "
            f"{row.score:.4f}"
        )


def plot(results: dict[str, list[Row]], path: Path) -> None:
    """Certificate over seconds, a panel per study."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4 * len(results), 3.6), layout="constrained")
    for axes, (title, rows) in zip(figure.subplots(1, len(results)), results.items(), strict=True):
        convergence_plot({row.solver: row.report for row in rows}, axes)
        axes.set(xscale="log", title=title.partition(",")[0])
    figure.savefig(path, dpi=110)


def main() -> None:
    """Run all studies, print their tables, save the plot where matplotlib is installed."""
    start = time.perf_counter()
    results = {}
    for make in STUDIES:
        study = make()
        print(f"\n{study.title}")
        # The status column says what did not converge.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            results[study.title] = compare(study, search(study))
        print_table(results[study.title])
    print()
    if find_spec("matplotlib") is None:
        print("No plot: matplotlib is not installed (pip install 'skopt_dl[plot]').")
    else:
        plot(results, PLOT)
        print(f"Convergence of every solver: {PLOT.resolve()}")
    print(f"Done in {time.perf_counter() - start:.0f} s.")


if __name__ == "__main__":
    main()
