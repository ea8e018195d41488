"""Partly observed matrices whose missing cells are known, by class, and the error of an answer."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse


def exact_matrix(
    m: int, n: int, rank: int, oversampling: float, condition: float, seed: int
) -> tuple[Any, np.ndarray]:
    """``(entries, full)``: a matrix of this rank, and some of its entries in CSR form.

    Every row and column has at least ``rank + 1`` entries: with fewer it is not determined.
    """
    rng = np.random.default_rng(seed)
    U, V = (np.linalg.qr(rng.standard_normal((size, rank)))[0] for size in (m, n))
    size = np.geomspace(1, 1 / condition, rank) if condition > 1 else rng.uniform(0.5, 1, rank)
    full = (U * size) @ V.T
    full /= full.std()
    seen = np.zeros((m, n), dtype=bool)
    for i in range(m):
        seen[i, rng.choice(n, rank + 1, replace=False)] = True
    for j in np.flatnonzero(seen.sum(axis=0) <= rank):
        lacking = np.flatnonzero(~seen[:, j])
        seen[rng.choice(lacking, rank + 1 - seen[:, j].sum(), replace=False), j] = True
    wanted = int(oversampling * rank * (m + n - rank)) - int(seen.sum())
    seen.flat[rng.choice(np.flatnonzero(~seen), max(wanted, 0), replace=False)] = True
    return entries(full, seen), full


def entries(values: np.ndarray, seen: np.ndarray) -> Any:
    """The ``values`` where ``seen``, zeros among them, in CSR form."""
    rows, cols = np.nonzero(seen)
    return sparse.csr_array((values[rows, cols], (rows, cols)), shape=values.shape)


def off(filled: np.ndarray, full: np.ndarray, X: Any) -> float:
    """Relative error of the cells that ``X`` does not store."""
    unseen = np.ones(full.shape, dtype=bool)
    unseen[X.nonzero()] = False
    return float(np.linalg.norm((filled - full)[unseen]) / np.linalg.norm(full[unseen]))


def low_rank_noise(m: int, n: int, rank: int, snr: float, share: float, seed: int) -> Any:
    """``(X, full)``: a matrix of variance one and rank ``rank``, a share of it seen in noise."""
    rng = np.random.default_rng(seed)
    full = rng.standard_normal((m, rank)) @ rng.standard_normal((rank, n))
    full /= full.std()
    seen = rng.random((m, n)) < share
    noise = rng.standard_normal((m, n)) / np.sqrt(snr)
    return entries(full + noise, seen), full


def non_negative(m: int, n: int, rank: int, seed: int) -> Any:
    """``(X, full)``: a product of exponential factors, a tenth of it seen in noise of SNR 100."""
    rng = np.random.default_rng(seed)
    full = rng.exponential(size=(m, rank)) @ rng.exponential(size=(rank, n))
    full /= full.std()
    seen = rng.random((m, n)) < 0.1
    noisy = np.maximum(full + 0.1 * rng.standard_normal((m, n)), 0)
    return entries(noisy, seen), full


def table(m: int, n: int, rank: int, gone: float, seed: int) -> Any:
    """``(X, full)``: correlated columns in units of their own, a share of the cells missing.

    Column j is ``s_j (F a_j + 0.15 e_j) + c_j`` with few factors F, the later ones weaker, so that
    a column follows from the others up to its own noise.
    """
    rng = np.random.default_rng(seed)
    factors = rng.standard_normal((m, rank)) / np.sqrt(1 + np.arange(rank))
    full = factors @ rng.standard_normal((rank, n))
    full = full / full.std(axis=0) + 0.15 * rng.standard_normal((m, n))
    full = full * rng.lognormal(size=n) + 3 * rng.standard_normal(n)
    return np.where(rng.random((m, n)) < gone, np.nan, full), full
