"""What a posterior says of rows, columns and ids without entries: what it knows of the others."""

from __future__ import annotations

import numpy as np
import pytest

from skopt_dl.matrix_completion import MatrixCompletion
from skopt_dl.solvers.gibbs import Gibbs

# With the scatter that the means of so many draws have.
SOLVERS = [("vb", 0.3), (Gibbs(n_draws=200), 1.5)]


@pytest.mark.parametrize(("solver", "scatter"), SOLVERS)
@pytest.mark.parametrize("shape", [(5, 8), (10, 10), (50, 6)])
def test_few_rows_have_their_level_too(shape, solver, scatter):
    X = 100 + np.random.default_rng(0).standard_normal(shape)
    empty = X.copy()
    empty[:, 0] = np.nan
    for given in (X, empty):
        model = MatrixCompletion(2, solver=solver, random_state=0).fit(given)
        new = model.transform(np.full((1, shape[1]), np.nan))[0]
        np.testing.assert_allclose(new[1:], X.mean(axis=0)[1:], atol=scatter)
        assert new[0] == pytest.approx(100, abs=scatter + 0.5)
    assert np.mean(model.transform(empty)[:, 0]) == pytest.approx(100, abs=scatter)


@pytest.mark.parametrize("solver", [solver for solver, _ in SOLVERS])
def test_few_pairs_have_their_level_too(solver):
    rng = np.random.default_rng(0)
    pairs = np.argwhere(np.ones((12, 12)))
    y = 4 + 0.2 * rng.standard_normal(len(pairs))
    model = MatrixCompletion(2, solver=solver, random_state=0).fit(pairs, y)
    np.testing.assert_allclose(model.predict([[500, 500], [3, 500], [500, 3]]), 4, atol=0.2)


def test_the_mean_of_the_unseen_is_that_of_the_seen():
    """What the prior draws towards zero is put back by as much."""
    X = 7 + np.random.default_rng(0).standard_normal((6, 9))
    columns = MatrixCompletion(1, solver="vb", random_state=0).fit(X)._columns
    np.testing.assert_allclose(columns.nu, columns.Q.mean(axis=0), rtol=1e-6)
