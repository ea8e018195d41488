"""
How few entries determine a matrix
==================================

A matrix of rank k has ``k (m + n - k)`` degrees of freedom. With that many entries, and not many
more, it can be recovered to rounding; how near a method comes to that limit is its phase
transition.
"""

# %%
# Exact data, no penalty: three solvers of one estimator.
import warnings

import matplotlib.pyplot as plt
import numpy as np

from skopt_dl import MatrixCompletion

M, N, RANK = 60, 50, 3


def some_entries(oversampling, seed):
    """A matrix of rank 3, and some of its entries: more than the rank in every row and column."""
    rng = np.random.default_rng(seed)
    full = rng.standard_normal((M, RANK)) @ rng.standard_normal((RANK, N))
    wanted = int(oversampling * RANK * (M + N - RANK))
    while True:
        seen = np.zeros(full.size, dtype=bool)
        seen[rng.permutation(full.size)[:wanted]] = True
        seen = seen.reshape(full.shape)
        if min(seen.sum(axis=0).min(), seen.sum(axis=1).min()) > RANK:
            return np.where(seen, full, np.nan), full


ratios = [1.5, 1.7, 2.0, 2.5]
found = {}
for solver in ("als", "gauss_newton", "irls"):
    found[solver] = []
    for ratio in ratios:
        hits = 0
        for seed in range(4):
            X, full = some_entries(ratio, seed)
            model = MatrixCompletion(
                RANK, alpha=0, solver=solver, tol=1e-10, max_iter=100, random_state=0
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                filled = model.fit_transform(X)
            hits += np.linalg.norm(filled - full) < 1e-5 * np.linalg.norm(full)
        found[solver].append(hits / 4)
    print(solver, found[solver])
assert found["irls"][-1] == 1.0
assert sum(found["irls"]) >= sum(found["als"])

# %%
fig, axes = plt.subplots(figsize=(5, 3))
for solver, share in found.items():
    axes.plot(ratios, share, marker="o", label=solver)
axes.set(
    xlabel="entries per degree of freedom",
    ylabel="share recovered",
    title=f"{M} x {N}, rank {RANK}",
)
axes.legend()
fig.tight_layout()
plt.show()
