"""Coordinate descent on 10 000 x 1 000 dense data against scikit-learn's, at equal duality gap."""

from __future__ import annotations

from benchmarks.timing import compare, fitting, parser, show  # first: pins BLAS  # isort: skip

import numpy as np
from sklearn.linear_model import Lasso as PeerLasso

from benchmarks.datasets import gaussian
from benchmarks.objectives import Lasso as Objective
from skopt_dl.linear_model import Lasso


def main(arguments: list[str] | None = None) -> None:
    """Both layouts, two strengths."""
    options = parser(__doc__).parse_args(arguments)
    for order in ("F", "C"):
        X, y = gaussian(10_000, 1_000, order=order)(options.smoke)
        largest = np.abs((X - X.mean(axis=0)).T @ (y - y.mean())).max() / len(y)
        for divisor in (10, 100):
            alpha = float(largest) / divisor
            timings = compare(
                {
                    "scikit-learn": fitting(PeerLasso, X, y, alpha=alpha),
                    "skopt_dl cd": fitting(Lasso, X, y, alpha=alpha, solver="cd"),
                    "skopt_dl auto": fitting(Lasso, X, y, alpha=alpha),
                },
                Objective(X, y, alpha).error,
                target=1e-6,
                repeat=1 if options.smoke else options.repeat,
            )
            show(f"{order} order, largest alpha / {divisor}", timings, reference="scikit-learn")


if __name__ == "__main__":
    main()
