"""Matrix completion by class: exact recovery, noise, tables.

``python -m benchmarks.completion exact`` prints one class (``exact``, ``starts``, ``noisy``,
``momentum``, ``nuclear``, ``tables``, ``large``, ``ratings`` or ``peers``: the same beside other
libraries), without an argument all of them. Errors are relative, on the cells that nobody has
seen; seconds are those of the processor, all threads.
"""

from __future__ import annotations

from benchmarks.timing import parser, seconds_of  # first: pins BLAS  # isort: skip

import resource
import warnings
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from benchmarks.completion_data import exact_matrix, low_rank_noise, non_negative, off
from benchmarks.completion_peers import peers
from benchmarks.completion_ratings import ratings
from skopt_dl.matrix_completion import MatrixCompletion
from skopt_dl.solvers import ALS

# Rows, columns, rank, entries over degrees of freedom, condition number.
EXACT: dict[str, tuple[int, int, int, float, float]] = {
    "1000 x 1000, rank 5, 6 times": (1000, 1000, 5, 6.0, 1.0),
    "1000 x 1000, rank 10, 2.5 times": (1000, 1000, 10, 2.5, 1.0),
    "300 x 300, rank 5, 3 times": (300, 300, 5, 3.0, 1.0),
    "300 x 300, rank 5, 2 times": (300, 300, 5, 2.0, 1.0),
    "300 x 300, rank 5, 1.7 times": (300, 300, 5, 1.7, 1.0),
    "300 x 300, rank 5, 1.5 times": (300, 300, 5, 1.5, 1.0),
    "400 x 300, rank 10, 1.3 times": (400, 300, 10, 1.3, 1.0),
    "400 x 300, rank 10, 1.2 times": (400, 300, 10, 1.2, 1.0),
    "1000 x 1000, rank 10, 2.5 times, condition 1e3": (1000, 1000, 10, 2.5, 1e3),
    "300 x 300, rank 5, 1.5 times, condition 1e5": (300, 300, 5, 1.5, 1e5),
    "1000 x 1000, rank 10, 2.5 times, condition 1e6": (1000, 1000, 10, 2.5, 1e6),
}
SMOKE = {"40 x 30, rank 2, 3 times": (40, 30, 2, 3.0, 1.0)}


def exact(options: Any) -> None:
    """Recovery (an error below 1e-6) over the seeds, with the median error and seconds."""
    print("Exact recovery: found, median error, median seconds")
    for name, problem in (SMOKE if options.smoke else EXACT).items():
        for solver in ("gauss_newton", "irls", "auto"):
            outcomes = []
            for seed in range(options.repeat):
                X, full = exact_matrix(*problem, seed)
                model = MatrixCompletion(
                    problem[2], alpha=0, solver=solver, tol=1e-13, random_state=0
                )
                seconds, filled = seconds_of(lambda model=model, X=X: model.fit(X).transform(X))
                outcomes.append((off(filled, full, X), seconds))
            errors, seconds = np.array(outcomes).T
            print(
                f"  {name:50s} {solver:13s} {np.sum(errors < 1e-6)} of {len(errors)}"
                f"  {np.median(errors):8.1e} {np.median(seconds):7.2f} s",
                flush=True,
            )


def starts(options: Any) -> None:
    """Recovery from hardly more entries than degrees of freedom, by one start and by several."""
    print("Starts of irls: found, seconds")
    shape = (30, 30, 2, 1.5, 1.0) if options.smoke else (60, 50, 4, 1.2, 1.0)
    matrices = [exact_matrix(*shape, seed) for seed in range(2 if options.smoke else 10)]
    for n_init in (1, 6):
        found, spent = 0, 0.0
        for X, full in matrices:
            model = MatrixCompletion(
                shape[2], alpha=0, solver="irls", tol=1e-13, n_init=n_init, random_state=0
            )
            seconds, filled = seconds_of(lambda model=model, X=X: model.fit(X).transform(X))
            found, spent = found + int(off(filled, full, X) < 1e-6), spent + seconds
        print(f"  {n_init} starts {found} of {len(matrices)} {spent:7.2f} s", flush=True)


# Rows, columns, rank, signal to noise (of variances), share seen; rank given to the estimators.
NOISY = {
    "1000 x 800, rank 10, SNR 10": (1000, 800, 10, 10.0, 0.2, 15),
    "2000 x 1000, rank 10, SNR 1": (2000, 1000, 10, 1.0, 0.1, 15),
}


def noisy(options: Any) -> None:
    """Error of the unseen cells: nothing tuned, and the best of a grid of penalties."""
    print("Noise: error of the unseen cells, seconds")
    cases = {"60 x 40": (60, 40, 2, 10.0, 0.4, 4)} if options.smoke else NOISY
    for name, (*shape, rank) in cases.items():
        X, full = low_rank_noise(*shape, seed=0)
        models = {
            "vb": MatrixCompletion(rank, random_state=0),
            "gibbs": MatrixCompletion(rank, solver="gibbs", random_state=0),
        }
        for alpha in (0.01, 0.03, 0.1, 0.3):
            models[f"als, alpha={alpha}"] = MatrixCompletion(rank, alpha=alpha, random_state=0)
        for label, model in models.items():
            seconds, filled = seconds_of(lambda model=model, X=X: model.fit(X).transform(X))
            print(
                f"  {name:30s} {label:16s} {off(filled, full, X):.4f} {seconds:7.2f} s", flush=True
            )


def momentum(options: Any) -> None:
    """Turns of alternating least squares over non-negative factors, without and with momentum."""
    print("Momentum of als over non-negative factors: turns, objective, seconds")
    shape = (60, 40, 2) if options.smoke else (2000, 1000, 10)
    X, _ = non_negative(*shape, seed=0)
    for alpha in (6e-5, 1e-3):
        for solver in (ALS(momentum=False), ALS()):
            model = MatrixCompletion(
                shape[2], alpha=alpha, positive=True, solver=solver, random_state=0
            )
            seconds, _ = seconds_of(lambda model=model: model.fit(X))
            report = model.solve_report_
            print(
                f"  alpha {alpha:.0e} {solver!r:22s} {report.status} {report.n_iter:5d}"
                f" {report.objective:.6e} {seconds:7.2f} s",
                flush=True,
            )


def nuclear(options: Any) -> None:
    """Solvers of the nuclear norm as a penalty, and as a ball, to a gap of 1e-4."""
    print("Nuclear norm: status, seconds, objective")
    shape = (60, 40, 2, 10.0, 0.4) if options.smoke else (600, 400, 10, 10.0, 0.3)
    rank = 8 if options.smoke else 40
    X, _ = low_rank_noise(*shape, seed=0)
    forms: list[tuple[dict[str, Any], tuple[str, ...]]] = [
        ({"penalty": "nuclear", "alpha": alpha}, ("als", "hals", "fista", "ista", "admm"))
        for alpha in (0.1, 0.2, 0.3)
    ]
    forms += [
        (
            {"penalty": "nuclear_ball", "radius": radius},
            ("fista", "projected_gradient", "ista", "frank_wolfe"),
        )
        for radius in (1.0, 2.0)
    ]
    for parameters, solvers in forms:
        print(f"  {parameters}")
        for solver in solvers:
            model = MatrixCompletion(rank, solver=solver, max_time=20, random_state=0, **parameters)
            seconds, _ = seconds_of(lambda model=model: model.fit(X))
            report = model.solve_report_
            print(
                f"    {solver:20s} {report.status:10s} {seconds:7.2f} s {report.objective:.6e}",
                flush=True,
            )


def tables(options: Any) -> None:
    """Tables with a fifth of their cells missing, beside scikit-learn's imputers."""
    from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
    from sklearn.preprocessing import StandardScaler

    print("Tables: error of the missing cells over that of column means, seconds")
    loaders = {"wine": load_wine, "diabetes": load_diabetes, "breast cancer": load_breast_cancer}
    for name, load in list(loaders.items())[: 1 if options.smoke else None]:
        full = StandardScaler().fit_transform(load().data)
        hidden = np.random.default_rng(0).random(full.shape) < 0.2
        X = np.where(hidden, np.nan, full)
        rank = max(1, full.shape[1] // 2)
        imputers = {
            "vb": MatrixCompletion(rank, scale=True, fit_bias="cols", random_state=0),
            "gibbs": MatrixCompletion(
                rank, scale=True, fit_bias="cols", solver="gibbs", random_state=0
            ),
            "IterativeImputer": IterativeImputer(random_state=0),
            "KNNImputer": KNNImputer(),
        }
        mean = SimpleImputer().fit_transform(X)
        for label, imputer in imputers.items():
            seconds, filled = seconds_of(lambda i=imputer, X=X: i.fit_transform(X))
            error = np.linalg.norm((filled - full)[hidden]) / np.linalg.norm((mean - full)[hidden])
            print(f"  {name:15s} {label:18s} {error:.4f} {seconds:7.2f} s", flush=True)


def large(options: Any) -> None:
    """Memory and seconds of alternating least squares where the full matrix has 8 GB."""
    m, n, q, rank = (500, 200, 20_000, 4) if options.smoke else (50_000, 20_000, 15_000_000, 32)
    libraries = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    rng = np.random.default_rng(0)
    U, V = (rng.standard_normal((size, rank)) / rank**0.25 for size in (m, n))
    rows = np.sort(rng.integers(0, m, q, dtype=np.int32))
    cols, values = rng.integers(0, n, q, dtype=np.int32), np.empty(q)
    for part in np.array_split(np.arange(q), 64):
        values[part] = np.einsum("qk,qk->q", U[rows[part]], V[cols[part]])
    values += 0.3 * rng.standard_normal(q)
    ptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=m))])
    del rows, part
    # Positions that are drawn twice are two observations.
    X = sparse.csr_array((values, cols, ptr.astype(np.int32)), shape=(m, n))
    given = q * (8 + 4 + 4) + (m + n) * rank * 8
    model = MatrixCompletion(rank, alpha=0.05, solver="als", max_iter=3, n_jobs=2, random_state=0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    seconds, _ = seconds_of(lambda: model.fit(X))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"{q} entries of {m} x {n}, rank {rank}, 3 turns: {seconds:.1f} s of the processor")
    print(f"  peak {peak / 1e9:.2f} GB, {before / 1e9:.2f} GB of it before the fit")
    print(
        f"  triplets and factors {given / 1e9:.2f} GB: peak {peak / given:.1f} times, without the "
        f"{libraries / 1e9:.2f} GB of the libraries {(peak - libraries) / given:.1f}",
        flush=True,
    )
    at = rng.integers(0, (m, n), (10_000, 2))
    truth = np.sum(U[at[:, 0]] * V[at[:, 1]], axis=1)
    error = np.linalg.norm(model.predict_entries(at) - truth) / np.linalg.norm(truth)
    print(f"  error of 10000 cells {error:.3f}", flush=True)


CLASSES = {
    "exact": exact,
    "starts": starts,
    "noisy": noisy,
    "momentum": momentum,
    "nuclear": nuclear,
    "tables": tables,
    "large": large,
    "ratings": ratings,
    "peers": peers,
}


def main() -> None:
    """Print the classes asked for."""
    arguments = parser(__doc__)
    arguments.add_argument("classes", nargs="*", default=list(CLASSES), metavar="class")
    arguments.add_argument("--case", action="append", help="of the peers: this problem alone")
    options = arguments.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    for name in options.classes:
        CLASSES[name](options)


if __name__ == "__main__":
    main()
