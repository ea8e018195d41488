"""Raw tables with default settings: the networks, scikit-learn's, and its gradient boosting.

Each set is split by stratified cross-validation. For each model: error rate, log-loss and processor
seconds of its fits; then the geometric mean over the sets, shifted so that a set without errors
does not decide alone: exp(mean(log(x + 0.01))) - 0.01.
"""

from __future__ import annotations

from benchmarks.timing import parser, seconds_of  # first: it pins BLAS to one thread

# isort: split
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.model_selection import StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from benchmarks.tabular_data import BUNDLED, SETS, load
from skopt_dl import TabularMLPClassifier

SHIFT = 0.01
# Sets with fewer training rows are shown, and left out of the mean.
ENOUGH = 2000


NUMBERS = make_column_selector(dtype_include="number")
OTHERS = make_column_selector(dtype_exclude="number")


def standardised(seed: int) -> Any:
    """scikit-learn's network on standardised numbers and one-hot categories."""
    rows = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), OTHERS),
    )
    return make_pipeline(rows, MLPClassifier(random_state=seed))


class Boosting:
    """scikit-learn's gradient boosting, told which columns are categories."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def fit(self, X: Any, y: Any) -> Boosting:
        """Encode the categories as integers, which come first, and fit."""
        ordinal = OrdinalEncoder(
            handle_unknown="use_encoded_value", unknown_value=np.nan, max_categories=254
        )
        self.rows = make_column_transformer((ordinal, OTHERS), remainder="passthrough")
        categories = np.arange(X.shape[1]) < len(OTHERS(X))
        self.model = HistGradientBoostingClassifier(
            categorical_features=categories, random_state=self.seed
        ).fit(self.rows.fit_transform(X), y)
        self.classes_ = self.model.classes_
        return self

    def predict_proba(self, X: Any) -> Any:
        """Probabilities of the classes."""
        return self.model.predict_proba(self.rows.transform(X))


# The model that the others are measured by.
KNOWN = "HistGradientBoosting"
MODELS: dict[str, Callable[[int], Any]] = {
    "MLPClassifier": standardised,
    KNOWN: Boosting,
    "TabularMLPClassifier": lambda seed: TabularMLPClassifier(random_state=seed),
    "the same, all with bins": lambda seed: TabularMLPClassifier(
        numerical_embedding="piecewise_linear", random_state=seed
    ),
    "the same without bins": lambda seed: TabularMLPClassifier(
        numerical_embedding=None, random_state=seed
    ),
    "the same with ReLU": lambda seed: TabularMLPClassifier(activation="relu", random_state=seed),
    "the same by Adam": lambda seed: TabularMLPClassifier(solver="adam", random_state=seed),
    "the same by Muon": lambda seed: TabularMLPClassifier(solver="muon", random_state=seed),
}


def scores(model: Any, X: Any, y: Any) -> tuple[float, float]:
    """Error rate and log-loss of a fitted classifier."""
    p = model.predict_proba(X)
    at = np.searchsorted(model.classes_, y)
    hit = np.clip(p[np.arange(at.shape[0]), at], 1e-12, None)
    return float(np.mean(p.argmax(axis=1) != at)), float(-np.mean(np.log(hit)))


def shifted_mean(values: list[float]) -> float:
    """The shifted geometric mean."""
    return float(np.exp(np.mean(np.log(np.asarray(values) + SHIFT))) - SHIFT)


def main(arguments: list[str] | None = None) -> None:
    """A line per set and model, then the means."""
    options = parser(__doc__, repeat=1)
    options.add_argument("--folds", type=int, default=5, help="folds of the cross-validation")
    options.add_argument("--sets", nargs="*", default=None, help="names of sets")
    options.add_argument("--models", nargs="*", default=None, help="names of models")
    given = options.parse_args(arguments)
    names = given.sets or (BUNDLED if given.smoke else list(SETS))
    chosen_models = {KNOWN, *(given.models or MODELS)}
    models = {model: make for model, make in MODELS.items() if model in chosen_models}
    found: dict[str, dict[str, np.ndarray]] = {model: {} for model in models}
    enough = []
    for name in names:
        try:
            X, y = load(name, 300) if given.smoke else load(name)
        except (ImportError, FileNotFoundError) as error:
            print(f"{name:<14} left out: {error}")
            continue
        splits = list(StratifiedKFold(given.folds, shuffle=True, random_state=0).split(X, y))
        splits = splits[: 1 if given.smoke else given.repeat]
        if len(splits[0][0]) >= ENOUGH:
            enough.append(name)
        for model, make in models.items():
            found[model][name] = np.mean([trial(make, X, y, *split) for split in splits], axis=0)
            error, loss, seconds = found[model][name]
            print(
                f"{name:<14} {model:<24} error {error:.4f}  log-loss {loss:.4f}  {seconds:6.1f} s"
            )
    print(
        f"\nshifted geometric mean over {len(enough) or len(names)} sets, and seconds of all fits"
    )
    means = {}
    for model, rows in found.items():
        chosen = np.array([rows[name] for name in enough or rows])
        means[model] = (*(shifted_mean(chosen[:, k]) for k in (0, 1)), chosen[:, 2].sum())
    known = means[KNOWN]
    for model, (error, loss, seconds) in means.items():
        print(
            f"  {model:<24} {error:.4f} / {loss:.4f}   {seconds:.0f} s   "
            f"of the boosting's: {error / known[0]:.3f} / {loss / known[1]:.3f}"
        )


def trial(make: Callable[[int], Any], X: Any, y: Any, train: Any, test: Any) -> list[float]:
    """Error, log-loss and seconds of one fit."""
    rows = (lambda index: X.iloc[index]) if hasattr(X, "iloc") else (lambda index: X[index])
    seconds, model = seconds_of(lambda: make(0).fit(rows(train), y[train]))
    return [*scores(model, rows(test), y[test]), seconds]


if __name__ == "__main__":
    main()
