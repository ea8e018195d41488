"""Which optimiser when: processor seconds of a network to two training losses, by solver.

Digits (1500 rows, 64 features, 100 hidden units, no penalty), batches of 128. The learning rate of
each rule is the best of a grid on seed 0, by the time to the smaller loss; what is printed are
medians over three other seeds, with the epochs (or iterations) in brackets. The loss is computed
here, from the weights of each epoch.
"""

from __future__ import annotations

from benchmarks.timing import LossWatch, parser, seconds_of  # first: pins BLAS  # isort: skip

import math
import statistics
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from skopt_dl.dispatch import SOLVERS
from skopt_dl.engine import Oracle, Stopping, run
from skopt_dl.neural_network import MLPClassifier

TARGETS = (0.1, 0.01)
# Methods with a rate, the rates tried, and methods without one.
RATES = {
    "sgd": (0.1, 0.3, 1.0),
    "momentum": (0.03, 0.1, 0.3),
    "nesterov": (0.03, 0.1, 0.3),
    "growing_nesterov": (0.03, 0.1, 0.3),
    "adagrad": (0.01, 0.03, 0.1),
    "rmsprop": (1e-3, 3e-3, 1e-2),
    "adam": (3e-3, 1e-2, 3e-2),
    "nadam": (3e-3, 1e-2, 3e-2),
    "schedule_free_adamw": (1e-2, 3e-2, 1e-1),
    "lion": (3e-4, 1e-3, 3e-3),
    "muon": (1e-2, 3e-2, 1e-1),
    "soap": (3e-3, 1e-2, 3e-2),
}
FREE = ("prodigy", "dog", "line_search_sgd", "lbfgs", "newton_cg")
BUDGET = 20.0  # Seconds of one run.


def solve(name: str, rate: float | None, data: Any, seed: int, epochs: int) -> dict[float, Any]:
    """Seconds and epochs to each target that was reached."""
    model = MLPClassifier((100,), alpha=0.0, random_state=seed)
    problem = model._build_problem(*data)
    solver = SOLVERS.get(name)()
    if Oracle.SAMPLE_GRAD in solver.needs.oracles:
        solver.set_params(batch_size=128)
    if rate is not None:
        solver.set_params(learning_rate=rate)
    watch = LossWatch(problem, TARGETS, BUDGET)
    seconds_of(
        lambda: run(
            problem,
            solver,
            stopping=Stopping(tol=None, max_iter=epochs),
            observers=[watch],
            rng=np.random.RandomState(seed),
        )
    )
    return watch.reached


def main(arguments: list[str] | None = None) -> None:
    """One line a solver."""
    options = parser(__doc__, repeat=3).parse_args(arguments)
    X, y = load_digits(return_X_y=True)
    rows = 200 if options.smoke else 1500
    data = X[:rows] / 16, y[:rows]
    epochs = 2 if options.smoke else 400
    print(f"{'solver':<22} {'rate':>7}" + "".join(f"   to {t:<14}" for t in TARGETS))
    for name in [*RATES, *FREE]:
        rate = None
        if name in RATES:

            def cost(rate: float, name: str = name) -> float:
                reached = solve(name, rate, data, 0, epochs)
                return reached.get(TARGETS[-1], (math.inf, 0))[0]

            rate = min(RATES[name], key=cost)
        runs = [solve(name, rate, data, seed, epochs) for seed in range(1, options.repeat + 1)]
        cells = []
        for target in TARGETS:
            found = [r[target] for r in runs if target in r]
            if len(found) < len(runs):
                cells.append("never")
            else:
                seconds = statistics.median(f[0] for f in found)
                cells.append(f"{seconds:.3f} s ({statistics.median(f[1] for f in found):.0f})")
        shown = "" if rate is None else f"{rate:g}"
        print(f"{name:<22} {shown:>7}" + "".join(f"   {c:<17}" for c in cells), flush=True)


if __name__ == "__main__":
    main()
