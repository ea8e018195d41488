"""The problems: data, strength, and the kind that says which solvers and which error apply."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks import objectives
from benchmarks.datasets import (
    Maker,
    descriptions,
    diabetes,
    digits,
    gaussian,
    labelled,
    leukaemia,
    nci60,
    real,
    scaled,
    several_targets,
    single,
    words,
)


@dataclass(frozen=True)
class Problem:
    """Data with an objective.

    ``kind`` is a key of `benchmarks.solvers.KINDS`; ``objective`` makes the objective of the data;
    ``targets`` are the errors to reach.
    """

    kind: str
    make: Maker
    objective: Callable[..., Any]
    targets: tuple[float, ...] = (1e-6, 1e-10)


def lasso(make: Maker, divisor: float, l1_ratio: float = 1.0, **more: Any) -> Problem:
    """One strength: the largest useful one over ``divisor``."""
    build = partial(objectives.Lasso, divisor=divisor, l1_ratio=l1_ratio)
    return Problem("lasso" if l1_ratio == 1 else "enet", make, build, **more)


def path(make: Maker, eps: float = 1e-2) -> Problem:
    """A hundred strengths down to ``eps`` times the largest."""
    return Problem("lasso_path", make, partial(objectives.LassoPath, eps=eps))


def selection(make: Maker, eps: float = 1e-3, targets: Any = (1e-4, 1e-10)) -> Problem:
    """The strength chosen by five folds."""
    return Problem("lasso_cv", make, partial(objectives.LassoSelection, eps=eps), targets)


def ridge(make: Maker, alpha: float = 1.0) -> Problem:
    """One strength."""
    return Problem("ridge", make, partial(objectives.Ridge, alpha=alpha))


def ridge_selection(make: Maker, n_alphas: int, cv: int | None) -> Problem:
    """Strengths from 0.01 to 100 000."""
    alphas = np.logspace(-2, 5, n_alphas)
    build = partial(objectives.RidgeSelection, alphas=alphas, cv=cv)
    return Problem("ridge_cv", make, build, (1e-8,))


def logistic(make: Maker, C: float = 1.0) -> Problem:
    """Binary, with an L2 penalty."""
    return Problem("logistic", make, partial(objectives.Logistic, C=C))


def logistic_selection(make: Maker) -> Problem:
    """The strength chosen by five folds."""
    return Problem("logistic_cv", make, objectives.LogisticSelection, (1e-3, 1e-6))


def genes() -> Maker:
    """The tissues of `dslabs`: their first gene on the others."""
    return real("dslabs", "tissue_gene_expression", "x.MAML1")


PROBLEMS: dict[str, Problem] = {
    "lasso_tall": lasso(gaussian(100_000, 200, order="C"), 100),
    "lasso_square": lasso(gaussian(3000, 3000, support=300), 40),
    "lasso_wide": lasso(gaussian(500, 20_000), 10),
    "lasso_wide_hard": lasso(gaussian(500, 20_000), 100),
    "lasso_corr": lasso(gaussian(1000, 5000, rho=0.99), 100),
    "lasso_f32": lasso(single(gaussian(500, 20_000)), 10, targets=(1e-4, 1e-6)),
    "lasso_text": lasso(descriptions, 30),
    "lasso_text_hard": lasso(descriptions, 200),
    "lasso_zipf": lasso(words(20_000, 12_000), 30),
    "lasso_zipf_hard": lasso(words(20_000, 12_000), 200),
    "lasso_nci60": lasso(nci60, 10),
    "lasso_nci60_hard": lasso(nci60, 100),
    "lasso_chemistry": lasso(real("modeldata", "permeability_qsar", "permeability"), 100),
    "lasso_genes": lasso(genes(), 100),
    "lasso_leukaemia": lasso(leukaemia, 10),
    "lasso_poly": lasso(diabetes(5), 100),
    "lasso_spectra": lasso(real("modeldata", "meats", "fat"), 1000),
    "lasso_small": lasso(diabetes(), 10),
    "lasso_cd_c": lasso(gaussian(10_000, 1000, order="C"), 10),
    "lasso_cd_f": lasso(gaussian(10_000, 1000, order="F"), 10),
    "enet_wide": lasso(gaussian(500, 20_000), 10, l1_ratio=0.5),
    "enet_nci60": lasso(nci60, 10, l1_ratio=0.5),
    "enet_leukaemia": lasso(leukaemia, 10, l1_ratio=0.5),
    "enet_small": lasso(diabetes(), 10, l1_ratio=0.5),
    "path_tall": path(gaussian(20_000, 500)),
    "path_wide": path(gaussian(500, 20_000)),
    "path_corr": path(gaussian(400, 5000, rho=0.99)),
    "path_nci60": path(nci60),
    "path_genes": path(genes()),
    "path_leukaemia": path(leukaemia),
    "lassocv_tall": selection(gaussian(20_000, 300), targets=(1e-6, 1e-10)),
    "lassocv_wide": selection(gaussian(300, 5000), 1e-2),
    "lassocv_nci60": selection(nci60, 1e-2),
    "ridge_tall": ridge(gaussian(100_000, 300, order="C")),
    "ridge_wide": ridge(gaussian(500, 20_000)),
    "ridge_multi": ridge(several_targets(20_000, 500, 200)),
    "ridge_square": ridge(gaussian(3000, 3000)),
    "ridge_text": ridge(descriptions),
    "ridge_small": ridge(diabetes()),
    "ridge_loo_tall": ridge_selection(gaussian(20_000, 300), 100, None),
    "ridge_loo_wide": ridge_selection(gaussian(600, 10_000), 100, None),
    "ridge_cv_tall": ridge_selection(gaussian(20_000, 300), 50, 5),
    "ridge_cv_multi": ridge_selection(several_targets(1000, 2000, 200), 20, 5),
    "logistic_tall": logistic(labelled(gaussian(50_000, 100, order="C"))),
    "logistic_kappa": logistic(scaled(20_000, 100, 1.5), 1e4),
    "logistic_wide": logistic(labelled(gaussian(500, 2000))),
    "logistic_text": logistic(labelled(words(20_000, 12_000))),
    "logistic_small": logistic(labelled(diabetes())),
    "logisticcv_small": logistic_selection(labelled(diabetes())),
    "logisticcv_digits": logistic_selection(digits),
    "logisticcv_tall": logistic_selection(labelled(gaussian(5000, 300, order="C"))),
    "logisticcv_wide": logistic_selection(labelled(gaussian(300, 800))),
    "logisticcv_text": logistic_selection(labelled(words(10_000, 5000))),
    "grid_ridge": Problem(
        "grid_ridge",
        gaussian(5000, 300),
        partial(objectives.RidgeGrid, alphas=np.logspace(-2, 5, 50), cv=5),
        (1e-8,),
    ),
    "grid_lasso": Problem(
        "grid_lasso", gaussian(5000, 300), partial(objectives.Grid, divisor=1), (1e-2, 1e-6)
    ),
}
