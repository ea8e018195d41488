"""Products so long that they are made in parts are those of one call, and end at an interrupt."""

from __future__ import annotations

import signal
import threading
import time

import numpy as np
import pytest

from skopt_dl.kernels import kernels_of

# A little more than two parts of 2^33 multiplications.
SHAPE = 2100, 2048, 4200


def matrices(turn_a: bool, turn_b: bool) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    rows, columns, inner = SHAPE
    A = rng.standard_normal((inner, rows) if turn_a else (rows, inner), np.float32)
    B = rng.standard_normal((columns, inner) if turn_b else (inner, columns), np.float32)
    return A, B


@pytest.mark.parametrize("turns", [(False, False), (False, True), (True, False)], ids=str)
def test_parts_add_up(turns: tuple[bool, bool]) -> None:
    A, B = matrices(*turns)
    out = np.ones((SHAPE[0], SHAPE[1]), np.float32)
    kernels_of(A).matrix_product(A, B, out, *turns, 0.5, 2.0)
    known = 0.5 * ((A.T if turns[0] else A) @ (B.T if turns[1] else B)) + 2
    np.testing.assert_allclose(out, known, atol=2e-3)


def test_an_interrupt_ends_a_product_between_its_parts() -> None:
    A, B = matrices(False, False)
    out, kernel = np.empty((SHAPE[0], SHAPE[1]), np.float32), kernels_of(A).matrix_product
    sent: list[float] = []

    def interrupt() -> None:
        sent.append(time.perf_counter())
        signal.raise_signal(signal.SIGINT)

    def forty() -> None:
        for _ in range(40):
            kernel(A, B, out)

    start = time.perf_counter()
    kernel(A, B, out)
    whole = time.perf_counter() - start
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.05, interrupt)
    try:
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            forty()
        # An interrupt within a part waits for its end, not for that of the product.
        assert time.perf_counter() - sent[0] < 0.9 * whole
    finally:
        timer.cancel()
        signal.signal(signal.SIGINT, before)
