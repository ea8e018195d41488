"""The turn of variational Bayes that its certificate tries is not computed again."""

from __future__ import annotations

import numpy as np
import pytest

from skopt_dl.matrix_completion.observe import observe
from skopt_dl.matrix_completion.posterior import PosteriorProblem

TURN = ("cols", "rows", "scales")


def build():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((12, 2)) @ rng.standard_normal((2, 9))
    X[rng.random(X.shape) < 0.4] = np.nan
    return PosteriorProblem(observe(X, np.nan), 3, row_bias=True, col_bias=True)


@pytest.fixture
def counted(monkeypatch):
    calls, means = [], PosteriorProblem._means

    def counting(self, b, block, rng=None):
        calls.append(block)
        return means(self, b, block, rng)

    monkeypatch.setattr(PosteriorProblem, "_means", counting)
    return calls


def test_a_turn_from_the_certified_point_is_read_off(counted):
    p, plain = build(), build()
    w = p.start()
    expected = w.copy()
    p.certificate(w)
    before = len(counted)
    order = list(p.blocks)[::-1]
    for block in order:
        p.posterior_step(w, block)
    assert set(order) == set(TURN) and len(counted) == before
    for block in order:
        plain.posterior_step(expected, block)
    np.testing.assert_array_equal(w, expected)
    # A second turn is another one, also to the certificate.
    for block in order:
        p.posterior_step(w, block)
        plain.posterior_step(expected, block)
    np.testing.assert_array_equal(w, expected)
    assert p.certificate(w) == plain.certificate(expected)


@pytest.mark.parametrize("block", TURN)
def test_another_point_is_not_mistaken_for_it(block):
    p, plain = build(), build()
    w = p.start()
    p.certificate(w)
    for part in p.blocks.values():
        moved = w.copy()
        moved[part.start] *= 1.5
        expected = moved.copy()
        p.posterior_step(moved, block)
        plain.posterior_step(expected, block)
        np.testing.assert_array_equal(moved, expected)
