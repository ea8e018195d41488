"""Which second-order method a logistic regression is worth: ``HESSIAN_WORK``, ``NEWTON_BELOW`` and
``MODEL_BELOW`` of dispatch/auto.py, and ``WORTH`` of solvers/sampled_curvature.py.

Two classes and several: tall designs with decaying column scales or correlated neighbours (what
slows quasi-Newton methods), L2 penalty. Ten classes: correlated columns, L1 penalty, where the
Hessian makes the models of proximal Newton; words in several classes, where its models are made by
entries. Fewer samples than columns: neighbours correlated,
columns in units that differ, L2 penalty.
"""

from __future__ import annotations

from benchmarks.timing import compare, fitting, parser, show  # first: pins BLAS  # isort: skip

import numpy as np
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression as PeerRegression

from benchmarks.datasets import words
from benchmarks.objectives import Logistic as Objective
from skopt_dl.linear_model import LogisticRegression
from skopt_dl.solvers import LBFGS

METHODS = {
    "newton_cholesky": "newton_cholesky",
    "lbfgs": "lbfgs",
    "lbfgs, sample": LBFGS(initial="sample"),
    "lbfgs, diagonal": LBFGS(initial="diagonal"),
    "lbfgs, identity": LBFGS(initial="identity"),
}
# Samples, columns, classes.
SHAPES = (
    (150, 4, 2),
    (1000, 20, 2),
    (3000, 30, 2),
    (10_000, 20, 2),
    (1000, 100, 2),
    (10_000, 100, 2),
    (50_000, 100, 2),
    (10_000, 400, 2),
    (10_000, 1000, 2),
    (10_000, 2000, 2),
    (150, 4, 3),
    (5000, 10, 3),
    (10_000, 40, 10),
    (10_000, 100, 10),
    (10_000, 200, 10),
)
CORRELATED = ((10_000, 20, 2), (10_000, 100, 2), (10_000, 400, 2), (10_000, 40, 10))
WORDS = ((4000, 3000, 5), (10_000, 12_000, 5))
WIDE = ((100, 390), (350, 390), (200, 500), (1000, 1200), (500, 2000))
SMOKE = ((400, 20, 2), (200, 4, 3))


def main(arguments: list[str] | None = None) -> None:
    """Newton against L-BFGS as the number of columns grows."""
    p = parser(__doc__, repeat=3)
    p.add_argument("--target", type=float, default=1e-4, help="relative gradient")
    options = p.parse_args(arguments)
    repeat = 1 if options.smoke else options.repeat
    for n, columns, classes in SMOKE if options.smoke else SHAPES:
        for decay in (0.0, 1.0):
            tall(n, columns, classes, decay, 0.0, options.target, repeat)
    for n, columns, classes in SMOKE if options.smoke else CORRELATED:
        tall(n, columns, classes, 0.0, 0.95, options.target, repeat)
    for columns in (5,) if options.smoke else (20, 50, 100, 190):
        for C in (0.05, 1.0):
            several(200 if options.smoke else 4000, columns, C, 1 if options.smoke else 3)
    for n, columns, classes in ((200, 300, 3),) if options.smoke else WORDS:
        for divisor in (10,) if options.smoke else (10, 100):
            sparse(n, columns, classes, divisor, 1 if options.smoke else 3)
    shapes = ((60, 500),) if options.smoke else WIDE
    for n, columns in shapes:
        for spread in (0, 1, 2):
            wide(n, columns, spread, options.target, 1 if options.smoke else options.repeat)


def tall(
    n: int, columns: int, classes: int, decay: float, rho: float, target: float, repeat: int
) -> None:
    """Newton, L-BFGS and what stands between them, on columns whose scales fall as ``j^-decay`` and
    whose neighbours correlate by ``rho``."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, columns)) * np.arange(1, columns + 1) ** -decay
    for j in range(1, columns if rho > 0 else 0):
        X[:, j] = rho * X[:, j - 1] + (1 - rho**2) ** 0.5 * X[:, j]
    Z = X @ rng.standard_normal((columns, classes))
    y = np.argmax(Z + Z.std() * rng.standard_normal(Z.shape), axis=1).astype(float)
    timings = compare(
        {
            name: fitting(LogisticRegression, X, y, C=1.0, solver=solver, max_iter=5000)
            for name, solver in METHODS.items()
        },
        Objective(X, y, 1.0).error,
        target=target,
        repeat=repeat,
    )
    title = f"{n} x {columns}, {classes} classes, scales j^-{decay:g}, correlation {rho:g}"
    show(title, timings, reference="newton_cholesky")


def wide(n: int, columns: int, spread: float, target: float, repeat: int) -> None:
    """Second-order methods and L-BFGS where columns differ by up to ``10^(2 spread)`` in scale."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, columns))
    X[:, 1:] += 0.5 * X[:, :-1]
    z = X @ (rng.standard_normal(columns) * (rng.random(columns) < 0.1))
    y = (3 * z / z.std() + rng.logistic(size=n) > 0).astype(float)
    X *= 10.0 ** (spread * rng.uniform(-1, 1, columns))
    timings = compare(
        {
            name: fitting(LogisticRegression, X, y, C=1.0, solver=solver, max_iter=5000)
            for name, solver in {**METHODS, "prox_newton": "prox_newton"}.items()
        },
        Objective(X, y, 1.0).error,
        target=target,
        repeat=repeat,
    )
    show(f"{n} x {columns}, scales 10^+-{spread:g}", timings, reference="prox_newton")


def stationarity(model: LogisticRegression, X: np.ndarray, y: np.ndarray, C: float) -> float:
    """Largest component of the minimal subgradient of the mean loss with the L1 penalty."""
    W, n = model.coef_, len(y)
    R = softmax(X @ W.T + model.intercept_, axis=1) - np.eye(len(W))[y]
    G, strength = R.T @ X / n, 1 / (C * n)
    inside = np.maximum(np.abs(G) - strength, 0.0)
    at = np.where(W != 0, np.abs(G + strength * np.sign(W)), inside)
    return float(max(np.max(at), np.max(np.abs(np.mean(R, axis=0)))))


def several(n: int, columns: int, C: float, repeat: int) -> None:
    """Proximal Newton against FISTA for ten classes, to a stationarity of 1e-6."""
    rng = np.random.default_rng(0)
    X = np.cumsum(rng.standard_normal((n, columns)), axis=1) / np.sqrt(1 + np.arange(columns))
    scores = X @ rng.standard_normal((columns, 10)) / np.sqrt(columns)
    y = np.argmax(scores + rng.gumbel(size=(n, 10)), axis=1)
    timings = compare(
        {
            s: fitting(LogisticRegression, X, y, C=C, l1_ratio=1.0, solver=s, max_iter=5000)
            for s in ("prox_newton", "fista")
        },
        lambda model: stationarity(model, X, y, C),
        target=1e-6,
        repeat=repeat,
    )
    show(f"{n} x {columns}, 10 classes, C = {C:g}", timings, reference="prox_newton")


def sparse(n: int, columns: int, classes: int, divisor: float, repeat: int) -> None:
    """The same on words, with the strongest useful penalty over ``divisor``."""
    X = words(n, columns)(False)[0]
    rng = np.random.default_rng(0)
    W = rng.standard_normal((columns, classes)) * (rng.random((columns, 1)) < 0.05)
    scores = X @ W
    y = np.argmax(2 * scores / scores.std() + rng.gumbel(size=scores.shape), axis=1)
    shares = np.bincount(y) / len(y)
    strongest = float(np.abs(X.T @ (shares - np.eye(classes)[y])).max())
    C = divisor / strongest
    candidates = {
        s: fitting(LogisticRegression, X, y, C=C, l1_ratio=1.0, solver=s, max_iter=20_000)
        for s in ("prox_newton", "fista")
    }
    candidates["scikit-learn saga"] = fitting(
        PeerRegression, X, y, C=C, l1_ratio=1.0, solver="saga", max_iter=2000
    )
    unit = strongest / len(y)
    timings = compare(
        candidates, lambda model: stationarity(model, X, y, C) / unit, target=1e-3, repeat=repeat
    )
    show(f"words {n} x {columns}, {classes} classes, / {divisor:g}", timings, "prox_newton")


if __name__ == "__main__":
    main()
