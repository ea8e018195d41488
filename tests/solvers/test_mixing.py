"""Graphs of agents and their weights."""

from __future__ import annotations

import math

import numpy as np
import pytest

from skopt_dl.linops.mixing import Mixing, RandomGraph


@pytest.mark.parametrize("graph", ["ring", "torus", "complete", "random"])
@pytest.mark.parametrize("n", [4, 6, 9, 12])
def test_the_weights_are_doubly_stochastic(graph: str, n: int) -> None:
    mixing = Mixing(graph, n)
    W = mixing.matrix
    np.testing.assert_allclose(W.sum(axis=0), 1, atol=1e-15)
    np.testing.assert_array_equal(W, W.T)
    assert (W >= 0).all()
    assert (np.diag(W) > 0).all()
    off = {(i, j) for i in range(n) for j in range(i + 1, n) if W[i, j] > 0}
    assert off == mixing.edges
    # Connected: every disagreement shrinks.
    assert 0 < mixing.gap <= 1
    disagreement = np.linalg.norm(np.linalg.matrix_power(W, 3) - np.full((n, n), 1 / n), 2)
    assert disagreement == pytest.approx((1 - mixing.gap) ** 3, abs=1e-12)


def test_eigenvalues_have_their_closed_forms() -> None:
    ring = Mixing("ring", 10)
    assert ring.second == pytest.approx((1 + 2 * math.cos(2 * math.pi / 10)) / 3)
    assert ring.last == pytest.approx(-1 / 3)
    torus = Mixing("torus", 15)  # three rows of five
    assert len(torus.edges) == 30
    assert torus.second == pytest.approx((3 + 2 * math.cos(2 * math.pi / 5)) / 5)
    complete = Mixing("complete", 7)
    np.testing.assert_allclose(complete.matrix, 1 / 7, atol=1e-15)
    assert complete.gap == pytest.approx(1)


def test_small_numbers_of_agents() -> None:
    assert Mixing("ring", 1).edges == set()
    assert Mixing("ring", 2).edges == {(0, 1)}
    assert len(Mixing("torus", 4).edges) == 4
    assert Mixing("torus", 6).edges >= {(0, 3), (1, 4), (2, 5), (0, 2)}


def test_a_random_graph_is_drawn_by_its_seed() -> None:
    edges = [RandomGraph(probability=0.3, seed=seed).edges(10) for seed in (0, 0, 1)]
    assert edges[0] == edges[1] != edges[2]
    with pytest.raises(ValueError, match="connects 10 agents hardly"):
        RandomGraph(probability=0.001).edges(10)


def test_a_tree_has_the_least_depth() -> None:
    assert max(steps for *_, steps in Mixing("ring", 9).tree()) == 4
    assert [steps for *_, steps in Mixing("complete", 5).tree()] == [1] * 4
    rows = Mixing("random", 12).tree()
    assert sorted(agent for agent, *_ in rows) == sorted({agent for agent, *_ in rows})
    assert len(rows) == 11
    assert [s for *_, s in rows] == sorted((s for *_, s in rows), reverse=True)
