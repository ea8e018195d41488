"""The generator of the device, its body compiled for the host: known answers, and what is drawn."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cuda_host import HostKernels

from skopt_dl.kernels import bind, generic_random
from skopt_dl.kernels.cupy import random
from skopt_dl.neural_network.dropout import Dropout
from skopt_dl.neural_network.network import Network

WRAPPERS = random
DTYPES = ["float32", "float64"]
M = 2**32 - 1
# Counter, key, words: the known answers that come with the generator's reference code.
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((M, M, M, M), (M, M), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


def words(counters: Any, key: Any, xp: Any = np) -> Any:
    """Words by the kernel."""
    given = xp.asarray(np.asarray(counters, np.uint32))
    out = xp.zeros_like(given)
    n = len(counters)
    random._launch("random_words", random.ANY, n, n, *map(np.uint32, key), given, out)
    return out


def drawn_key(seed: int) -> tuple[Any, Any]:
    return random._key(np.random.RandomState(seed))


@pytest.mark.parametrize(("counter", "key", "known"), KNOWN)
def test_known_answers(counter: Any, key: Any, known: Any, host: HostKernels) -> None:
    assert words([counter], key)[0].tolist() == list(known)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1), (13, 7), (400, 50)])
def test_a_mask_is_that_of_the_words(shape: Any, dtype: str, host: HostKernels) -> None:
    like, share = np.zeros(1, dtype), 0.4
    mask = random.keep_mask(np.random.RandomState(3), shape, share, like)
    assert mask.shape == shape and mask.dtype == dtype
    blocks = -(-mask.size // 4)
    counters = np.zeros((blocks, 4))
    counters[:, 0] = np.arange(blocks)
    each = words(counters, drawn_key(3)).reshape(-1)[: mask.size]
    kept = (each >= round(share * 2**32)).reshape(shape)
    np.testing.assert_array_equal(mask, (kept / (1 - share)).astype(dtype))
    if mask.size > 10_000:
        # Five standard errors.
        assert abs(mask.mean() - 1) < 5 * np.sqrt(share / (1 - share) / mask.size)
        assert abs(np.corrcoef(mask[:, 0], mask[:, 1])[0, 1]) < 5 / np.sqrt(len(mask))


def test_a_mask_follows_the_hosts_stream(host: HostKernels) -> None:
    like = np.zeros(1)
    one, two = (np.random.RandomState(0) for _ in "ab")
    first = [random.keep_mask(one, (40, 9), 0.5, like) for _ in "ab"]
    second = [random.keep_mask(two, (40, 9), 0.5, like) for _ in "ab"]
    np.testing.assert_array_equal(first, second)
    assert np.any(first[0] != first[1])
    assert random._key(np.random.default_rng(0)) != random._key(np.random.default_rng(1))
    assert random.keep_mask(one, (3, 0), 0.5, like).shape == (3, 0)


@pytest.mark.parametrize("share", [0.0, 1 - 2**-40])
def test_shares_at_the_ends(share: float, host: HostKernels) -> None:
    mask = random.keep_mask(np.random.RandomState(0), (50, 9), share, np.zeros(1))
    assert np.unique(mask).tolist() == ([1.0] if share == 0 else [0.0])


def test_dropout_draws_by_the_kernels(host: HostKernels, monkeypatch: Any) -> None:
    import skopt_dl.neural_network.dropout as module

    monkeypatch.setattr(module, "kernels_of", lambda like: bind(CUPY, like.dtype))
    net, index = Network((6, 40, 30, 3), "relu", "softmax"), np.arange(20)
    masks = Dropout(0.4, np.random.RandomState(0)).masks(net, index, np.zeros(1))
    assert [m.shape for m in masks] == [(20, 40), (20, 30)]
    assert host.launched == {"keep_mask": 2}


CUPY: Any = SimpleNamespace(__name__="cupy")


def test_orders_of_many_samples(host: HostKernels, monkeypatch: Any) -> None:
    monkeypatch.setattr(random, "MANY", 1000)
    order = np.arange(5000)
    drawn = random.permuted(order, np.random.RandomState(1))
    np.testing.assert_array_equal(np.sort(drawn), order)
    counters = np.zeros((5000, 4))
    counters[:, 0] = order
    each = words(counters, drawn_key(1)).astype(np.int64)
    np.testing.assert_array_equal(drawn, np.argsort(((each[:, 0] >> 1) << 32) | each[:, 1]))
    # Permutations are composed, as on the host.
    np.testing.assert_array_equal(random.permuted(drawn, np.random.RandomState(1)), drawn[drawn])

    independent = random.drawn_with_replacement(5000, np.random.RandomState(2))
    assert independent.min() >= 0 and independent.max() < 5000
    # A share 1 - 1/e of them occurs; five standard errors.
    occurs = len(np.unique(independent)) / 5000
    assert abs(occurs - (1 - np.exp(-1))) < 5 * np.sqrt(0.1 / 5000)
    assert host.launched == {"random_keys": 2, "random_words": 1, "random_below": 1}


def test_few_samples_come_in_the_hosts_order(host: HostKernels) -> None:
    order = np.arange(50)
    for name, first in (("permuted", order), ("drawn_with_replacement", 50)):
        ours, spec = (
            getattr(module, name)(first, np.random.RandomState(0))
            for module in (random, generic_random)
        )
        np.testing.assert_array_equal(ours, spec)
    assert host.launched == {}


def test_the_draws_are_bound_on_cupy_alone() -> None:
    assert bind(CUPY, np.dtype("float32")).permuted is random.permuted
    assert bind(np, np.dtype("float32")).permuted is generic_random.permuted


@pytest.mark.gpu
def test_gpu_words_and_orders(cupy: Any, monkeypatch: Any) -> None:
    for counter, key, known in KNOWN:
        assert words([counter], key, cupy)[0].tolist() == list(known)
    monkeypatch.setattr(random, "MANY", 1000)
    for name, first in (("permuted", np.arange(5000)), ("drawn_with_replacement", 5000)):
        one, two = (getattr(random, name)(first, np.random.RandomState(0)) for _ in "ab")
        assert isinstance(one, cupy.ndarray)
        np.testing.assert_array_equal(one.get(), two.get())
    mask = random.keep_mask(np.random.RandomState(0), (400, 50), 0.4, cupy.zeros(1))
    assert abs(float(mask.mean()) - 1) < 5 * np.sqrt(0.4 / 0.6 / mask.size)
