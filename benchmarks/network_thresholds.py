"""Where second order pays on a network with nothing tuned: the evidence for ``NETWORK_WIDTH`` and
``NETWORK_LOAD`` in dispatch/auto.py.

Processor seconds of Adam over those of K-FAC, both with their defaults, to a tenth and a hundredth
of the loss at the start; medians over seeds, looks at the loss left out. "-": neither gets there;
0 or inf: one of them alone does.
"""

from __future__ import annotations

from benchmarks.timing import LossWatch, parser, seconds_of  # first: pins BLAS  # isort: skip

import math
import statistics
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.preprocessing import StandardScaler

from skopt_dl.engine import Stopping, run
from skopt_dl.neural_network import MLPClassifier, MLPRegressor
from skopt_dl.solvers import KFAC, Adam

SHARES = (0.1, 0.01)
BUDGET = 6.0  # Seconds of one run.


def times(model: Any, X: Any, y: Any, solver: Any, seed: int) -> list[float]:
    """Seconds to each target."""
    problem = model.set_params(random_state=seed)._build_problem(X, y)
    start = float(problem.value(problem.start()))
    watch = LossWatch(problem, [share * start for share in SHARES], BUDGET)
    stopping, rng = Stopping(tol=None, max_iter=5000), np.random.RandomState(seed)
    seconds_of(lambda: run(problem, solver, stopping=stopping, observers=[watch], rng=rng))
    return [watch.reached.get(target, (math.inf,))[0] for target in watch.targets]


def cases(smoke: bool) -> Iterator[tuple[str, Any, Any, Any]]:
    """Name, network, data."""
    for name, load, units in (
        ("wine", load_wine, (20,)),
        ("cancer", load_breast_cancer, (20,)),
        ("digits", load_digits, (30,)),
        ("digits", load_digits, (100,)),
    ):
        X, y = load(return_X_y=True)
        yield name, MLPClassifier(units, alpha=0.0), StandardScaler().fit_transform(X), y
        if smoke:
            return
    X, y = load_diabetes(return_X_y=True)
    model = MLPRegressor(hidden_layer_sizes=(20, 20), activation="tanh", alpha=0.0)
    yield "diabetes", model, StandardScaler().fit_transform(X), (y - y.mean()) / y.std()
    for units in ((64,), (128,), (256,), (512,), (128, 128), (256, 256)):
        yield "classes", MLPClassifier(units, alpha=0.0), *classes(2000, 64)
    for p in (200, 500):
        yield "classes", MLPClassifier((50,), alpha=0.0), *classes(2000, p)
    # More samples than the network can fit: the noise of batches decides.
    for n, units in ((1000, (50,)), (4000, (50,)), (10_000, (50,))):
        yield "classes", MLPClassifier(units, alpha=0.0), *classes(n, 30)


def classes(n: int, p: int) -> tuple[Any, Any]:
    """Ten classes by a random function of Gaussian columns."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p))
    z = np.tanh(X @ rng.standard_normal((p, 16)) / p**0.5) @ rng.standard_normal(16)
    return X, np.digitize(z, np.quantile(z, np.linspace(0, 1, 11)[1:-1]))


def main(arguments: list[str] | None = None) -> None:
    """Adam over K-FAC, as the networks grow wider and the samples more."""
    options = parser(__doc__, repeat=2).parse_args(arguments)
    for name, model, X, y in cases(options.smoke):
        seeds = range(1 if options.smoke else options.repeat)
        found = {
            type(solver): [times(model, X, y, solver, seed) for seed in seeds]
            for solver in (Adam(), KFAC())
        }
        shown = []
        for i in range(len(SHARES)):
            adam, kfac = (statistics.median(t[i] for t in found[kind]) for kind in (Adam, KFAC))
            shown.append("-" if adam == kfac == math.inf else f"{adam / kfac:.2f}")
        problem = model._build_problem(X, y)
        load = X.shape[0] * problem.net.sizes[-1] / problem.size
        sizes = "-".join(map(str, problem.net.sizes))
        print(
            f"{name:<9} n = {X.shape[0]:<6} {sizes:<16} targets a parameter {load:6.2f}: "
            f"adam over kfac {', '.join(shown)}",
            flush=True,
        )


if __name__ == "__main__":
    main()
