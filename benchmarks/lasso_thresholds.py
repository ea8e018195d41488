"""The active-set lasso against coordinate descent: the evidence for ``ACTIVE_SET_ABOVE`` in
dispatch/auto.py, (with ``--gram``) for ``GRAM_BELOW``, ``FORESEEN_BELOW`` and ``WHOLE_SHARE``
in problems/working_set.py and ``THIN_ABOVE`` in solvers/active_set.py, and (with ``--sweeps``) for
``SHARE`` and ``MANY`` in solvers/first_sweeps.py.
"""

from __future__ import annotations

from benchmarks.timing import compare, fitting, parser, show  # first: pins BLAS  # isort: skip

from collections.abc import Callable
from itertools import product
from typing import Any

from benchmarks.datasets import gaussian, words
from benchmarks.objectives import Lasso as Objective
from skopt_dl.linear_model import Lasso, alpha_max
from skopt_dl.problems import working_set
from skopt_dl.solvers import active_set, first_sweeps
from skopt_dl.solvers.active_set import ActiveSet

# Data, and what divides the largest useful alpha.
CASES = {
    "tiny 442x10": (gaussian(442, 10), 10),
    "small 200x200": (gaussian(200, 200), 30),
    "tall 20000x200": (gaussian(20_000, 200, order="C"), 100),
    "tall 4000x1000": (gaussian(4000, 1000), 100),
    "square 1500x1500, dense truth": (gaussian(1500, 1500, support=300), 100),
    "square 1500x1500": (gaussian(1500, 1500), 10),
    "wide 300x5000": (gaussian(300, 5000), 10),
    "wide 300x5000, hard": (gaussian(300, 5000), 100),
    "correlated 400x3000": (gaussian(400, 3000, rho=0.99), 100),
    "text 5000x4000": (words(5000, 4000), 30),
    "text 5000x4000, hard": (words(5000, 4000), 300),
}
SHAPES = ((20_000, 200), (10_000, 1000), (6000, 2000), (500, 5000))
SWEPT = ((20_000, 200), (4000, 300), (8000, 500), (4000, 1000), (5000, 2000))


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


def compare_methods(options: Any) -> None:
    """Both methods on every kind of data, to a loose and a tight gap."""
    for name, (make, divisor) in CASES.items():
        X, y = make(options.smoke)
        alpha = alpha_max(X, y) / divisor
        common = {"alpha": alpha, "max_iter": 10**5}
        candidates = {m: fitting(Lasso, X, y, solver=m, **common) for m in ("cd", "active_set")}
        for target in (1e-4, 1e-8):
            timings = compare(
                candidates, Objective(X, y, divisor).error, target=target, repeat=options.repeat
            )
            show(f"{name}, alpha max / {divisor}, to {target:g}", timings, reference="cd")


def compare_constants(options: Any) -> None:
    """Independent columns and neighbours correlated by 0.95, few coefficients and many."""
    for n, p in SHAPES[:1] if options.smoke else SHAPES:
        for rho, divisor in product((0.0, 0.95), (2, 100)):
            X, y = gaussian(n, p, rho=rho)(options.smoke)
            alpha = alpha_max(X, y) / divisor
            common = {"alpha": alpha, "max_iter": 10**6}
            exact = fitting(Lasso, X, y, solver="active_set", **common)
            candidates = {
                "cd": fitting(Lasso, X, y, solver="cd", **common),
                "active_set": exact,
                "active_set, no Gram": with_constant(working_set, "GRAM_BELOW", 0, exact),
                "active_set, full Gram": with_constant(working_set, "WHOLE_BELOW", 10**6, exact),
                "active_set, no foresight": with_constant(working_set, "FORESEEN_BELOW", 0, exact),
                "active_set, thin above 20": with_constant(active_set, "THIN_ABOVE", 20, exact),
                "active_set, thin above 200": with_constant(active_set, "THIN_ABOVE", 200, exact),
            }
            timings = compare(
                candidates,
                Objective(X, y, divisor).error,
                target=1e-6,
                repeat=options.repeat,
            )
            show(f"{n} x {p}, rho {rho:g}, alpha max / {divisor}", timings, reference="cd")


def compare_sweeps(options: Any) -> None:
    """With sweeps before the Gram matrix and without: columns more and more alike."""
    for n, p in SWEPT[:1] if options.smoke else SWEPT:
        for rho, divisor in product((0.0, 0.5, 0.9, 0.99), (10, 100)):
            X, y = gaussian(n, p, rho=rho)(options.smoke)
            common = {"alpha": alpha_max(X, y) / divisor, "max_iter": 10**6}
            swept = fitting(Lasso, X, y, solver=ActiveSet(), **common)
            candidates = {
                "without": fitting(Lasso, X, y, solver=ActiveSet(sweeps=False), **common),
                "sweeps": swept,
                "sweeps always": with_constant(first_sweeps, "MANY", 0, swept),
            }
            for target in (1e-4, 1e-8):
                timings = compare(
                    candidates, Objective(X, y, divisor).error, target=target, repeat=options.repeat
                )
                label = f"{n} x {p}, rho {rho:g}, alpha max / {divisor}, to {target:g}"
                show(label, timings, reference="sweeps")


def main(arguments: list[str] | None = None) -> None:
    """Run one of the comparisons."""
    commands = parser(__doc__, repeat=3)
    commands.add_argument("--gram", action="store_true", help="compare constants of the method")
    commands.add_argument("--sweeps", action="store_true", help="compare with sweeps and without")
    options = commands.parse_args(arguments)
    options.repeat = 1 if options.smoke else options.repeat
    if options.sweeps:
        compare_sweeps(options)
    else:
        (compare_constants if options.gram else compare_methods)(options)


if __name__ == "__main__":
    main()
