"""Matrix completion beside other libraries: error of the unseen cells and processor seconds.

A peer that is not installed is named and left out. Where a peer has a strength to choose, the best
of a grid on a tenth of the observed entries is taken, and the seconds are those of its last fit
alone. Every answer comes from a process of its own, which ends after so many seconds.
"""

from __future__ import annotations

from benchmarks.timing import PATIENCE, seconds_of  # first: pins BLAS  # isort: skip

import multiprocessing
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from scipy import sparse

from benchmarks.completion_data import exact_matrix, low_rank_noise, non_negative, off, table
from benchmarks.completion_rivals import RIVALS
from skopt_dl.matrix_completion import MatrixCompletion


@dataclass
class Case:
    """A problem, ours for it, and the peers that are of its kind."""

    draw: Callable[[int], Any]
    rank: int
    ours: dict[str, Callable[[], Any]]
    rivals: tuple[str, ...]
    exact: bool = False
    grid: tuple[float, ...] = field(default=(1.0,))


def _model(rank: int, **parameters: Any) -> Callable[[], Any]:
    return partial(MatrixCompletion, rank, random_state=0, **parameters)


def _exact(m: int, n: int, rank: int, oversampling: float, condition: float = 1.0) -> Case:
    return Case(
        partial(exact_matrix, m, n, rank, oversampling, condition),
        rank,
        {"auto": _model(rank, alpha=0, tol=1e-13, n_init=6)},
        ("cmfrec", "pymanopt", "R2RILS", "IterativeSVD"),
        exact=True,
        grid=(1e-8,),
    )


def _noisy(m: int, n: int, rank: int, snr: float, share: float, *, tuned: int) -> Case:
    ours = {
        "vb": _model(rank),
        "gibbs": _model(rank, solver="gibbs"),
        "gauss_newton": _model(rank, alpha=0, solver="gauss_newton"),
    }
    grid = tuple(tuned * 10.0**k for k in (-1.0, -0.5, 0.0, 0.5))
    rivals = ("cmfrec", "pymanopt", "IterativeSVD", "SoftImpute")
    return Case(partial(low_rank_noise, m, n, rank, snr, share), rank, ours, rivals, grid=grid)


def _table(m: int, n: int, rank: int, gone: float) -> Case:
    ours = {
        "vb": _model(rank, scale=True, fit_bias="cols"),
        "gibbs": _model(rank, scale=True, fit_bias="cols", solver="gibbs"),
    }
    rivals = ("cmfrec", "IterativeSVD", "SoftImpute", "IterativeImputer", "KNNImputer")
    return Case(partial(table, m, n, min(8, n // 2), gone), rank, ours, rivals, grid=(1, 3, 10))


def _non_negative(m: int, n: int, rank: int) -> Case:
    ours = {
        "positive": _model(rank, positive=True),
        "positive, tol 0.01": _model(rank, positive=True, tol=1e-2),
        "vb": _model(rank),
    }
    rivals = ("cmfrec non-negative", "IterativeSVD")
    return Case(partial(non_negative, m, n, rank), rank, ours, rivals, grid=(0.01, 0.1, 1, 10))


CASES = {
    "rec-easy": _exact(1000, 1000, 5, 6.0),
    "rec-mid": _exact(1000, 1000, 10, 2.5),
    "rec-small-1.5": _exact(300, 300, 5, 1.5),
    "rec-lim-1.3": _exact(400, 300, 10, 1.3),
    "rec-lim-1.2": _exact(400, 300, 10, 1.2),
    "rec-kappa1e3": _exact(1000, 1000, 5, 2.5, 1e3),
    "rec-kappa1e5-1.5": _exact(300, 300, 5, 1.5, 1e5),
    "rec-kappa1e6": _exact(1000, 1000, 5, 2.5, 1e6),
    "noisy": _noisy(1000, 800, 10, 10.0, 0.2, tuned=3),
    "noisy-lowsnr": _noisy(2000, 1000, 10, 1.0, 0.1, tuned=30),
    "nonneg": _non_negative(2000, 1000, 10),
    "tab-small": _table(1000, 40, 12, 0.2),
    "tab-wide": _table(5000, 400, 15, 0.3),
}
SMOKE = {
    "rec": _exact(40, 30, 2, 3.0),
    "noisy": _noisy(60, 40, 2, 10.0, 0.5, tuned=1),
    "nonneg": _non_negative(60, 40, 2),
    "tab": _table(60, 8, 3, 0.2),
}


def peers(options: Any) -> None:
    """Error of the unseen cells and seconds, ours and theirs, medians over the seeds."""
    libraries = {r.library for r in RIVALS.values()}
    missing = {library for library in libraries if find_spec(library) is None}
    for library in sorted(libraries - missing):
        import_module(library)  # here, or every process would count it
    print(f"Peers; not installed: {', '.join(sorted(missing)) or 'none'}")
    cases = SMOKE if options.smoke else CASES
    for name in options.case or cases:
        case = cases[name]
        small = exact_matrix(40, 30, 2, 3.0, 1.0, 0)[0]
        for make in case.ours.values():  # what we import when it is first needed, likewise
            make().set_params(n_components=2, max_iter=1).fit(small)
        runs: dict[str, list[Any]] = {}
        for seed in range(1 if options.smoke else options.repeat):
            X, full = case.draw(seed=seed)
            for label, make in case.ours.items():
                answer = _within_patience(lambda m=make, X=X: m().fit_transform(X), X, full)
                runs.setdefault(f"ours, {label}", []).append(answer)
            for label in case.rivals:
                rival = RIVALS[label]
                # Whoever has failed by this seed's problem is not asked again.
                if rival.library in missing or isinstance(runs.get(label, [0])[-1], str):
                    continue
                fill = _tuned(rival.fill, X, case) if rival.tuned else rival.fill
                answer = _within_patience(partial(fill, X, case.rank, case.grid[0]), X, full)
                runs.setdefault(label, []).append(answer)
        for label, answers in runs.items():
            print(f"  {name:17s} {label:20s} {_line(answers, case.exact)}", flush=True)


def _line(answers: list[Any], exact: bool) -> str:
    failed = next((a for a in answers if isinstance(a, str)), None)
    if failed is not None:
        return failed
    errors, seconds = np.array(answers).T
    found = f"  {np.sum(errors <= 1e-8)} of {len(errors)} to 1e-8" if exact else ""
    return f"{np.median(errors):9.2e} {np.median(seconds):8.3f} s{found}"


def _tuned(fill: Any, X: Any, case: Case) -> Any:
    """``fill`` at the strength of the grid that fills a hidden tenth of the entries best."""
    if len(case.grid) == 1:
        return fill
    if sparse.issparse(X):
        rows, cols, values = sparse.find(X)
    else:
        rows, cols = np.nonzero(~np.isnan(X))
        values = X[rows, cols]
    hidden = np.random.default_rng(0).random(len(values)) < 0.1
    if sparse.issparse(X):
        kept = (values[~hidden], (rows[~hidden], cols[~hidden]))
        train = sparse.csr_array(kept, shape=X.shape)
    else:
        train = X.copy()
        train[rows[hidden], cols[hidden]] = np.nan
    at = rows[hidden], cols[hidden]

    def loss(strength: float) -> float:
        answer = _elsewhere(lambda: fill(train, case.rank, strength)[at])
        return (
            np.inf if isinstance(answer, str) else float(np.mean((answer[1] - values[hidden]) ** 2))
        )

    best = min(case.grid, key=loss)
    return lambda X, rank, strength: fill(X, rank, best)


def _within_patience(call: Callable[[], Any], X: Any, full: Any) -> Any:
    """``(error, seconds)``, or why there is none."""
    answer = _elsewhere(call)
    if isinstance(answer, str):
        return answer
    seconds, filled = answer
    if sparse.issparse(X):
        return off(filled, full, X), seconds
    unseen = np.isnan(X)
    # In units of the columns' own spread: large units do not decide.
    spread = full.std(axis=0)
    wrong = ((filled - full) / spread)[unseen]
    return np.linalg.norm(wrong) / np.linalg.norm(((full - full.mean(axis=0)) / spread)[unseen]), (
        seconds
    )


def _elsewhere(call: Callable[[], Any]) -> Any:
    """``(seconds, answer)`` of a call in a process of its own, or a line on what went wrong."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)

    def work() -> None:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        try:
            theirs.send(seconds_of(call))
        except Exception as error:  # noqa: BLE001 - printed by the parent
            theirs.send(f"fails: {type(error).__name__}: {error}".split("\n")[0][:90])

    process = context.Process(target=work)
    process.start()
    theirs.close()
    try:
        answer = ours.recv() if ours.poll(PATIENCE) else f"not within {PATIENCE:.0f} s"
    except EOFError:
        answer = "ends without an answer"
    process.kill()
    process.join()
    return answer
