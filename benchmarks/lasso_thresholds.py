"""The active-set lasso with and without the full Gram, against coordinate descent: the evidence for
``GRAM_BELOW`` in problems/working_set.py and ``THIN_ABOVE`` in solvers/active_set.py.
"""

from __future__ import annotations

from benchmarks.timing import compare, fitting, parser, show  # first: pins BLAS  # isort: skip

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.datasets import gaussian
from benchmarks.objectives import Lasso as Objective
from skopt_dl.linear_model import Lasso
from skopt_dl.problems import working_set
from skopt_dl.solvers import active_set

SHAPES = ((20_000, 200), (10_000, 1000), (6000, 2000), (500, 5000))


def with_constant(
    module: Any, name: str, value: int, fit: Callable[[float], Any]
) -> Callable[[float], Any]:
    """``fit`` while a module's constant has another value."""

    def changed(tol: float) -> Any:
        before = getattr(module, name)
        setattr(module, name, value)
        try:
            return fit(tol)
        finally:
            setattr(module, name, before)

    return changed


def main(arguments: list[str] | None = None) -> None:
    """Independent columns and neighbours correlated by 0.95, largest alpha / 100."""
    options = parser(__doc__, repeat=3).parse_args(arguments)
    for n, p in SHAPES[:1] if options.smoke else SHAPES:
        for rho in (0.0, 0.95):
            X, y = gaussian(n, p, rho=rho)(options.smoke)
            alpha = float(np.abs((X - X.mean(axis=0)).T @ (y - y.mean())).max() / len(y) / 100)
            common = {"alpha": alpha, "max_iter": 10**6}
            exact = fitting(Lasso, X, y, solver="active_set", **common)
            candidates = {
                "cd": fitting(Lasso, X, y, solver="cd", **common),
                "active_set": exact,
                "active_set, no Gram": with_constant(working_set, "GRAM_BELOW", 0, exact),
                "active_set, full Gram": with_constant(working_set, "GRAM_BELOW", 10**6, exact),
                "active_set, thin above 20": with_constant(active_set, "THIN_ABOVE", 20, exact),
                "active_set, thin above 200": with_constant(active_set, "THIN_ABOVE", 200, exact),
            }
            timings = compare(
                candidates,
                Objective(X, y, alpha).error,
                target=1e-6,
                repeat=1 if options.smoke else options.repeat,
            )
            show(f"{n} x {p}, rho {rho:g}", timings, reference="cd")


if __name__ == "__main__":
    main()
