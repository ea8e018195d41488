"""Random starts of a network: their moments, and what they do to a signal in a deep network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from skopt_dl.activations import LeakyReLU, Logistic, ReLU, Tanh
from skopt_dl.neural_network.initialisation import (
    GAINS,
    INITIALISATIONS,
    Glorot,
    He,
    LeCun,
    Orthogonal,
    Sparse,
    gain_of,
    initial_pieces,
    initialisation_of,
)
from skopt_dl.neural_network.network import Network

M, K = 300, 200


@pytest.mark.parametrize(
    ("draw", "variance"),
    [
        (Glorot(), 2 * 1.5**2 / (M + K)),
        (Glorot("normal"), 2 * 1.5**2 / (M + K)),
        (He(), 1.5**2 / M),
        (He("uniform"), 1.5**2 / M),
        (LeCun(), 1 / M),
        (LeCun("uniform"), 1 / M),
        (Sparse(), 15 / M),
    ],
    ids=repr,
)
def test_mean_and_variance_are_the_stated_ones(draw: Any, variance: float) -> None:
    W = draw(M, K, 1.5, np.random.default_rng(0))
    assert W.shape == (M, K)
    count = M * K
    assert abs(W.mean()) < 4 * np.sqrt(variance / count)
    spread = np.std(W**2) / np.sqrt(count)
    assert abs(np.mean(W**2) - variance) < 4 * spread


def test_uniform_draws_stay_within_their_bound() -> None:
    W = Glorot()(M, K, 1.0, np.random.default_rng(0))
    bound = np.sqrt(6 / (M + K))
    assert 0.999 * bound < np.abs(W).max() <= bound


@pytest.mark.parametrize(("rows", "columns"), [(7, 7), (9, 4), (4, 9)])
def test_orthogonal_rows_or_columns(rows: int, columns: int) -> None:
    W = Orthogonal()(rows, columns, 1.3, np.random.default_rng(0))
    gram = W.T @ W if rows >= columns else W @ W.T
    np.testing.assert_allclose(gram, 1.3**2 * np.eye(min(rows, columns)), atol=1e-12)


def test_orthogonal_matrices_are_haar_distributed() -> None:
    # E (tr Q)^2 = 1 under Haar's measure; without the sign fix the diagonal is biased downwards.
    rng = np.random.default_rng(0)
    traces = np.array([np.trace(Orthogonal()(5, 5, 1.0, rng)) for _ in range(4000)])
    assert abs(traces.mean()) < 4 / np.sqrt(4000)
    assert abs(np.mean(traces**2) - 1) < 4 * np.std(traces**2) / np.sqrt(4000)


def test_the_jacobian_of_a_deep_linear_network_is_orthogonal() -> None:
    rng = np.random.default_rng(0)
    product = np.linalg.multi_dot([Orthogonal()(12, 12, 1.0, rng) for _ in range(30)])
    np.testing.assert_allclose(np.linalg.svd(product, compute_uv=False), 1, atol=1e-12)


@pytest.mark.parametrize("rows", [100, 15, 4])
def test_sparse_units_have_exactly_so_many_weights(rows: int) -> None:
    W = Sparse(scale=2.0)(rows, 50, 1.0, np.random.default_rng(0))
    assert set(np.count_nonzero(W, axis=0)) == {min(15, rows)}
    assert W[W != 0].std() == pytest.approx(2.0, rel=0.15)


def test_a_deep_relu_network_keeps_its_signal_with_the_gain_and_loses_it_without() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4, 1000))
    sizes = {}
    for gain in (gain_of(ReLU()), 1.0):
        a = x
        for _ in range(50):
            a = ReLU().value(a @ He()(1000, 1000, gain, rng))
        sizes[gain] = np.mean(a**2) / np.mean(x**2)
    assert 1 / 3 < sizes[gain_of(ReLU())] < 3
    assert sizes[1.0] == pytest.approx(2.0**-50 * sizes[gain_of(ReLU())], rel=3)
    assert sizes[1.0] < 1e-13


def test_gains_of_the_table_and_by_quadrature(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gain_of(ReLU()) == pytest.approx(np.sqrt(2))
    assert gain_of(Tanh()) == 1 and gain_of(Logistic()) == 4
    # An activation that the table does not know: 1 / sqrt(E relu(z)^2) is the same number.
    monkeypatch.delitem(GAINS, ReLU)
    assert gain_of(ReLU()) == pytest.approx(np.sqrt(2), rel=1e-6)
    assert gain_of(LeakyReLU(0.3)) == pytest.approx(np.sqrt(2 / (1 + 0.3**2)), rel=1e-6)


def test_a_network_s_pieces_come_in_the_order_of_its_blocks() -> None:
    net = Network([6, 40, 3], "relu", "softmax")
    pieces = initial_pieces(net, He(), np.random.default_rng(0))
    w = np.concatenate(pieces)
    assert w.shape == (net.size,)
    coefs, intercepts = net.unpack(w)
    assert np.std(coefs[0]) == pytest.approx(np.sqrt(2 / 6), rel=0.2)
    assert np.std(coefs[1]) == pytest.approx(np.sqrt(1 / 40), rel=0.25)
    assert not any(b.any() for b in intercepts)
    again = np.concatenate(initial_pieces(net, "he", np.random.default_rng(0)))
    np.testing.assert_array_equal(w, again)


@pytest.mark.parametrize("name", INITIALISATIONS)
def test_names_stand_for_instances_and_settings_are_checked(name: str) -> None:
    draw = initialisation_of(name)
    assert initialisation_of(draw) is draw
    bad = {"distribution": "cauchy", "n_nonzero": 0}
    settings = {k: v for k, v in bad.items() if k in draw.get_params()}
    if settings:
        with pytest.raises(ValueError, match=f"{type(draw).__name__}: {next(iter(settings))}="):
            type(draw)(**settings)(3, 3, 1.0, np.random.default_rng(0))
    with pytest.raises(ValueError, match="expected one of 'glorot', 'he'"):
        initialisation_of("zeros")
