"""Warnings of scikit-learn 1.9 about parameters and defaults of logistic regression."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from typing import Any

from skopt_dl._sklearn.base import outside

Notice = tuple[type[Warning], str]


def warn_each(notices: Iterable[Notice]) -> None:
    """Warn of each where the user called."""
    level = outside()
    for category, text in notices:
        warnings.warn(text, category, stacklevel=level)


def notices(model: Any) -> Iterator[Notice]:
    """What to say of the parameters of a `LogisticRegression`."""
    if model.n_jobs is not None:
        yield (
            FutureWarning,
            "'n_jobs' has no effect since 1.8 and will be removed in 1.10. You provided "
            f"'n_jobs={model.n_jobs}', please leave it unspecified.",
        )
    if model.penalty == "deprecated":
        if model.l1_ratio is None:
            yield (
                FutureWarning,
                "'l1_ratio=None' was deprecated in version 1.8 and will trigger an error in "
                "1.10. Use 0<=l1_ratio<=1 instead.",
            )
        return
    yield (
        FutureWarning,
        "'penalty' was deprecated in version 1.8 and will be removed in 1.10. Leave it out: "
        "use l1_ratio=0 instead of penalty='l2', l1_ratio=1 instead of penalty='l1', a "
        "l1_ratio between 0 and 1 instead of penalty='elasticnet', and C=np.inf instead of "
        "penalty=None.",
    )
    if {"l2": 0, "l1": 1}.get(str(model.penalty), model.l1_ratio) != model.l1_ratio:
        yield (
            UserWarning,
            f"Inconsistent values: penalty={model.penalty} with l1_ratio={model.l1_ratio}. "
            "penalty is deprecated. Please use l1_ratio only.",
        )
    if model.penalty is None and (model.C != 1.0 or model.l1_ratio):
        yield UserWarning, "Setting penalty=None will ignore the C and l1_ratio parameters"


def search_notices(model: Any) -> Iterator[Notice]:
    """What to say of the parameters of a `LogisticRegressionCV`."""
    if isinstance(model.l1_ratios, str):
        yield (
            FutureWarning,
            "The default value for l1_ratios will change from None to (0.0,) in version 1.10. "
            "To avoid this warning, explicitly set a value, e.g. l1_ratios=(0,).",
        )
    if model.penalty != "deprecated":
        yield (
            FutureWarning,
            "'penalty' was deprecated in version 1.8 and will be removed in 1.10. Leave it "
            "out: use l1_ratios=(0,) instead of penalty='l2', l1_ratios=(1,) instead of "
            "penalty='l1', and l1_ratios between 0 and 1 instead of penalty='elasticnet'.",
        )
        given = not (model.l1_ratios is None or isinstance(model.l1_ratios, str))
        if model.penalty != "elasticnet" and given:
            yield (
                UserWarning,
                "l1_ratios parameter is only used when penalty is 'elasticnet'. Got "
                f"(penalty={model.penalty})",
            )
    elif model.l1_ratios is None:
        yield (
            FutureWarning,
            "'l1_ratios=None' was deprecated in version 1.8 and will trigger an error in 1.10. "
            "Use an array-like with values in [0, 1] instead.",
        )
    if isinstance(model.scoring, str) and model.scoring == "warn":
        yield (
            FutureWarning,
            "The default value of the parameter 'scoring' will change from None, i.e. "
            "accuracy, to 'neg_log_loss' in version 1.11. To silence this warning, set "
            "scoring='neg_log_loss' for the new, scoring='accuracy' or scoring=None for the "
            "old default.",
        )
    if model.use_legacy_attributes == "warn":
        yield (
            FutureWarning,
            f"The fitted attributes of {type(model).__name__} will be simplified in version "
            "1.10. Set use_legacy_attributes=False for the new forms, or True to silence this "
            "warning. The default will change from True to False.",
        )
