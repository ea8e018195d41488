r"""Least squares from second moments: the small problem that a pass over the rows leaves.

With :math:`R'R = G` and :math:`R'c = q` of the centred means, :math:`|c - Rw|^2` differs from the
mean square over all rows by a constant: any solver then works on p + 1 rows, for any strength,
without another pass.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skopt_dl.linear_model._moments import Moments
from skopt_dl.linops import root_of


class SmallProblem:
    """Rows and targets whose least squares is that of the moments.

    Parameters
    ----------
    moments : Moments
        Of the training rows.
    origin : tuple of (array of shape (p,), float)
        About which they were taken.
    fit_intercept : bool
        Whether to centre.
    per_sample : bool
        Whether the plain estimator takes the mean over its rows (lasso) or their sum (ridge).

    Attributes
    ----------
    rows : array of shape (p + 1, p)
    targets : array of shape (p + 1,)
    """

    def __init__(
        self, moments: Moments, origin: tuple[Any, float], *, fit_intercept: bool, per_sample: bool
    ) -> None:
        self.moments, self.origin, self.fit_intercept = moments, origin, fit_intercept
        G, q, square = moments.centred(fit_intercept)
        R, c = root_of(G, q[:, None])
        rest = np.sqrt(max(square - float(np.sum(c**2)), 0.0))
        m = R.shape[0] + 1
        size = m if per_sample else moments.weight
        self.rows = np.sqrt(size) * np.concatenate([R, np.zeros((1, R.shape[1]))])
        self.targets = np.sqrt(size) * np.concatenate([c[:, 0], [rest]])

    def intercept(self, coef: Any) -> float:
        """The intercept beside the raw data."""
        if not self.fit_intercept:
            return 0.0
        x0, y0 = self.origin
        return float(y0 - x0 @ coef + self.moments.intercepts(coef))


def fit_small(owner: Any, plain: Any, small: SmallProblem, dtype: Any) -> Any:
    """``plain`` fitted on the small problem, with the intercept of the raw data.

    ``plain`` has no intercept; ``owner`` says whether the raw data have one.
    """
    plain.fit(small.rows, small.targets)
    plain.fit_intercept = owner.fit_intercept
    coef = plain.coef_
    plain.coef_ = coef.astype(dtype, copy=False)
    plain.intercept_ = np.dtype(dtype).type(small.intercept(coef)) if owner.fit_intercept else 0.0
    return plain
