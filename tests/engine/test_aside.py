"""Calls beside the main thread give what they give in it."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from skopt_dl.linops import aside as module
from skopt_dl.linops.aside import argsort, aside, distinct, eigh, thin_qr, thin_svd


def test_answers_and_errors_come_back_from_a_thread_of_their_own():
    def work(x, *, more):
        return threading.current_thread(), x + more

    thread, answer = aside(work, 1, more=2)
    assert answer == 3 and thread is not threading.main_thread() and thread.daemon
    with pytest.raises(ZeroDivisionError):
        aside(lambda: 1 / 0)


def test_settings_of_the_context_hold_there_too():
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        aside(lambda: np.float64(1.0) / np.zeros(1))


def test_other_threads_hear_no_interrupt_and_make_the_call_themselves():
    found = []
    thread = threading.Thread(target=lambda: found.append(aside(threading.current_thread)))
    thread.start()
    thread.join()
    assert found == [thread]


def test_what_is_interrupted_goes_on_alone():
    left = []

    def interrupted():
        threading.Timer(0.05, lambda: signal_main(left)).start()
        aside(time.sleep, 5)

    def signal_main(record):
        import _thread

        record.append(time.perf_counter())
        _thread.interrupt_main()

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert time.perf_counter() - left[0] < 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_matrices_are_decomposed_there_to_the_same_bits(dtype, monkeypatch):
    X = np.random.default_rng(0).standard_normal((60, 40)).astype(dtype)
    here = [*eigh(X.T @ X), *thin_svd(X), *thin_qr(X)]
    asked = []
    monkeypatch.setattr(module, "LONG", 100)
    monkeypatch.setattr(module, "aside", lambda *a, **k: asked.append(a) or aside(*a, **k))
    for ours, known in zip([*eigh(X.T @ X), *thin_svd(X), *thin_qr(X)], here, strict=True):
        assert ours.dtype == dtype
        np.testing.assert_array_equal(ours, known)
    assert len(asked) == 3


def test_long_arrays_are_sorted_there(monkeypatch):
    ids = np.random.default_rng(0).integers(0, 30, 200)
    here, asked = [argsort(ids), *distinct(ids)], []
    monkeypatch.setattr(module, "MANY", 100)
    monkeypatch.setattr(module, "aside", lambda *a, **k: asked.append(a) or aside(*a, **k))
    for ours, known in zip([argsort(ids), *distinct(ids)], here, strict=True):
        np.testing.assert_array_equal(ours, known)
    assert len(asked) == 2
    np.testing.assert_array_equal(here[0], np.argsort(ids, kind="stable"))
    np.testing.assert_array_equal(here[1][here[2]], ids)
