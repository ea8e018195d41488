"""The passes of a network on the device, their bodies compiled for the host, are the generic ones;
and a step that is recorded and launched again does what it would have done."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cuda_host import HostKernels, require_bound_on_cupy_alone
from scipy import sparse

from skopt_dl.activations import ELU, LeakyReLU
from skopt_dl.dispatch import ACTIVATIONS
from skopt_dl.engine import Stopping, run
from skopt_dl.kernels import bind, generic_network
from skopt_dl.kernels.cupy import graphs, network, random, updates
from skopt_dl.neural_network import dropout as module_of_dropout
from skopt_dl.neural_network.dropout import Dropout
from skopt_dl.neural_network.network import Network
from skopt_dl.neural_network.problem import NetworkProblem
from skopt_dl.solvers import Adam

WRAPPERS = network
OUTPUTS = list(network.OUTPUTS)
DTYPES = ["float32", "float64"]


def tolerance(dtype: str) -> float:
    return 2e-4 if dtype == "float32" else 1e-11


def data(net: Network, dtype: str, n: int = 21) -> tuple[Any, ...]:
    """Rows, one-hot targets and weights; raw outputs up to about 30 saturate units and outputs."""
    rng = np.random.default_rng(0)
    k = net.sizes[-1]
    X, y = rng.normal(size=(n, net.sizes[0])), np.eye(k)[rng.integers(0, k, n)]
    w = rng.normal(size=net.size) * (0.5 if net.output == "exp" else 2)
    weights = rng.uniform(size=n) * (rng.random(n) < 0.8)
    return tuple(a.astype(dtype) for a in (w, X, y, weights))


def compare(net: Network, dtype: str, xp: Any = np) -> None:
    w, X, y, s = data(net, dtype)
    tol, rng = tolerance(dtype), np.random.default_rng(1)
    work = network.network_workspace(net, np.dtype(dtype))
    for weights in (None, s):
        for index in (None, rng.permutation(len(X))[:13], np.arange(3)):
            rows = len(X) if index is None else len(index)
            drawn = [2 * (rng.random((rows, u)) > 0.5).astype(dtype) for u in net.sizes[1:-1]]
            for masks, floor in ((None, 0.0), (drawn, 0.0), (None, 1e-3)):
                given, spec = (X, y, weights, index, masks), np.empty_like(w)
                there = [None if a is None else xp.asarray(a) for a in given[:4]]
                there.append(masks and [xp.asarray(a) for a in masks])
                ours = xp.full(w.shape, xp.nan, dtype=dtype)
                a = network.network_gradient(net, work, xp.asarray(w), *there, 0.3, floor, ours)
                b = generic_network.network_gradient(net, None, w, *given, 0.3, floor, spec)
                np.testing.assert_allclose([float(x) for x in a], b, rtol=tol)
                found = ours if xp is np else ours.get()
                np.testing.assert_allclose(found, spec, rtol=0, atol=tol * np.abs(spec).max())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS.names())
def test_a_gradient_is_the_generic_one(activation: str, dtype: str, host: HostKernels) -> None:
    compare(Network((7, 13, 5, 3), activation, "softmax"), dtype)
    assert {"gather_rows", "activate", "activate_back", "output_loss"} <= set(host.launched)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("output", OUTPUTS)
def test_of_each_output_and_of_mixed_layers(output: str, dtype: str, host: HostKernels) -> None:
    compare(Network((7, 13, 9, 5, 3), [LeakyReLU(0.2), "tanh", ELU(0.5)], output), dtype)
    compare(Network((7, 1), "relu", output), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("output", OUTPUTS)
def test_responses_are_the_generic_ones(output: str, dtype: str, host: HostKernels) -> None:
    net = Network((7, 13, 5, 3), "gelu", output)
    w, X, _, _ = data(net, dtype)
    ours = network.network_response(net, *net.unpack(w), X)
    spec = generic_network.network_response(net, *net.unpack(w), X)
    np.testing.assert_allclose(ours, spec, rtol=tolerance(dtype), atol=tolerance(dtype))
    assert host.launched == {"activate": 2, "respond": 1}
    empty = network.network_response(net, *net.unpack(w), X[:0])
    assert empty.shape == (0, 3)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 3, 40), (33, 70, 17), (64, 32, 16)])
def test_products_of_every_layout(shape: Any, dtype: str, host: HostKernels) -> None:
    m, n, p = shape
    rng = np.random.default_rng(0)
    for ta in (False, True):
        for tb in (False, True):
            a = rng.standard_normal((p, m) if ta else (m, p)).astype(dtype)
            b = rng.standard_normal((n, p) if tb else (p, n)).astype(dtype)
            out = np.full((m, n), np.nan, dtype)
            network.product(a, b, out, ta, tb)
            spec = (a.T if ta else a) @ (b.T if tb else b)
            np.testing.assert_allclose(out, spec, rtol=tolerance(dtype), atol=tolerance(dtype))


def test_what_is_not_a_number_stays_so(host: HostKernels) -> None:
    for activation in ACTIVATIONS.names():
        net = Network((2, 3, 1), activation, "identity")
        X, y, w = np.full((4, 2), np.nan), np.zeros((4, 1)), np.ones(net.size)
        work, grad = network.network_workspace(net, w.dtype), np.empty_like(w)
        loss, _ = network.network_gradient(net, work, w, X, y, None, None, None, 0.0, 0.0, grad)
        assert np.isnan(loss), activation


def test_other_data_take_the_array_form(host: HostKernels) -> None:
    net = Network((6, 4, 3), "tanh", "softmax")
    w, X, y, _ = data(net, "float64")
    spec = np.empty_like(w)
    known = generic_network.network_gradient(net, None, w, X, y, None, None, None, 0.1, 0.0, spec)
    for rows in (sparse.csr_array(X), np.asfortranarray(X)):
        work, grad = network.network_workspace(net, w.dtype), np.empty_like(w)
        given = (rows, y, None, None, None, 0.1, 0.0, grad)
        np.testing.assert_allclose(network.network_gradient(net, work, w, *given), known)
        np.testing.assert_allclose(grad, spec, atol=1e-14)
    assert host.launched == {}


def test_the_passes_are_bound_on_cupy_alone() -> None:
    require_bound_on_cupy_alone(network, "network_gradient")


# --- recorded steps -------------------------------------------------------------------------------


class Tape:
    """A stream as far as recording needs it, on the host."""

    def __init__(self, kernels: HostKernels, *, refuses: bool) -> None:
        self.kernels, self.refuses = kernels, refuses

    def __enter__(self) -> Tape:
        return self

    def __exit__(self, *error: Any) -> None:
        assert self.kernels.tape is None, "the stream was left recording"

    def begin_capture(self) -> None:
        self.kernels.tape = []
        if self.refuses:
            self.kernels.tape = None
            raise NotImplementedError("no graphs here")

    def end_capture(self) -> Any:
        tape, self.kernels.tape = self.kernels.tape, None
        return SimpleNamespace(launch=lambda: [launch() for launch in tape or ()])


@pytest.fixture
def recording(host: HostKernels, monkeypatch: Any) -> Any:
    """Let steps be recorded, on streams that may refuse it."""

    def on(*, refuses: bool = False) -> None:
        names = ("ascontiguousarray", "asarray", "empty", "matmul", "zeros")
        module = SimpleNamespace(**{k: getattr(np, k) for k in names})
        module.cuda = SimpleNamespace(Stream=lambda non_blocking: Tape(host, refuses=refuses))
        monkeypatch.setitem(sys.modules, "cupy", module)
        monkeypatch.setenv(graphs.VARIABLE, "1")

    return on


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("masked", [False, True])
def test_a_recorded_step_follows_what_changes(dtype: str, masked: bool, recording: Any) -> None:
    recording()
    net = Network((7, 13, 5, 3), "tanh", "softmax")
    w, X, y, s = data(net, dtype)
    rng, work = np.random.default_rng(2), network.network_workspace(net, np.dtype(dtype))
    ours, spec = np.empty_like(w), np.empty_like(w)
    for _ in range(7):
        index, masks = rng.permutation(len(X))[:8], None
        if masked:
            masks = [2 * (rng.random((8, u)) > 0.5).astype(dtype) for u in net.sizes[1:-1]]
        given = (w, X, y, s, index, masks, 0.3, 0.0)
        a = network.network_gradient(net, work, *given, ours)
        b = generic_network.network_gradient(net, None, *given, spec)
        np.testing.assert_allclose(a, b, rtol=tolerance(dtype))
        np.testing.assert_allclose(ours, spec, atol=tolerance(dtype) * np.abs(spec).max())
        w -= 0.1 * spec
    assert (work.recorded.n_recorded, work.recorded.n_launched) == (1, 5)


def test_batches_of_another_size_and_moved_memory_are_other_steps(recording: Any) -> None:
    recording()
    net = Network((7, 5, 3), "relu", "softmax")
    w, X, y, _ = data(net, "float64")
    work, grad = network.network_workspace(net, w.dtype), np.empty_like(w)

    def step(w: Any, rows: int) -> Any:
        given = (w, X, y, None, np.arange(rows), None, 0.0, 0.0, grad)
        return network.network_gradient(net, work, *given)[0]

    for rows in 4 * [8, 3]:
        step(w, rows)
    assert work.recorded.n_recorded == 2
    # Arrays for more rows are new ones: what was recorded would write to the old.
    step(w, 20)
    before = work.recorded.n_launched
    step(w, 8)
    assert work.recorded.n_launched == before
    # Parameters elsewhere, and never twice in one place: nothing is recorded.
    held = [w + k for k in range(graphs.KEPT + 3)]
    for each in held:
        step(each, 8)
    assert work.recorded.n_recorded == 2 and len(work.recorded._steps) == graphs.KEPT


def test_where_nothing_can_be_recorded_the_step_is_launched(recording: Any) -> None:
    recording(refuses=True)
    net = Network((7, 5, 3), "relu", "softmax")
    w, X, y, _ = data(net, "float64")
    work, grad = network.network_workspace(net, w.dtype), np.empty_like(w)
    given = (w, X, y, None, np.arange(8), None, 0.0, 0.0)
    first = network.network_gradient(net, work, *given, grad)
    network.network_gradient(net, work, *given, grad)
    with pytest.warns(RuntimeWarning, match="kernel by kernel, as it could not be recorded: no gr"):
        third = network.network_gradient(net, work, *given, grad)
    np.testing.assert_array_equal(third, first)
    assert not work.recorded.serves(8, 7) and work.recorded.n_launched == 0


def test_nothing_is_recorded_unless_it_is_asked_for(host: HostKernels) -> None:
    compare(Network((7, 5, 3), "relu", "softmax"), "float64")
    assert "product" not in host.launched


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("recorded", [False, True])
def test_a_training_by_kernels_is_that_of_array_code(
    recorded: bool, dropout: float, host: HostKernels, recording: Any, monkeypatch: Any
) -> None:
    """Passes, updates, masks and orders together, as they are on a device."""
    for module in (random, updates):
        monkeypatch.setattr(module, "kernel", host)
    if recorded:
        recording()
    net = Network((7, 13, 5, 3), "relu", "softmax")
    w, X, y, s = data(net, "float64", n=48)
    space: Any = SimpleNamespace(__name__="cupy")
    by_device, plain = bind(space, w.dtype), bind(space, np.dtype("int64"))
    assert (by_device.name, plain.name) == ("cuda", "generic")
    ends = []
    for kernels in (by_device, plain):
        # The masks are the device's in both: only what is made of them is compared.
        monkeypatch.setattr(module_of_dropout, "kernels_of", lambda like: by_device)
        rng = np.random.RandomState(0)
        drops = Dropout(dropout, rng) if dropout else None
        problem = NetworkProblem(
            net, X, y, alpha=0.1, sample_weight=s, initial=0.2 * w, dropout=drops
        )
        problem.kernels = kernels
        problem._work = kernels.network_workspace(net, w.dtype)
        solver = Adam(batch_size=16, learning_rate=0.01)
        result = run(problem, solver, stopping=Stopping(tol=None, max_iter=6), rng=rng)
        ends.append(result.w)
        if kernels is by_device:
            assert host.launched["adam_update"] == 18
            assert host.launched.get("keep_mask", 0) == (36 if dropout else 0)
            assert problem._work.recorded.n_launched == (16 if recorded else 0)
    np.testing.assert_allclose(*ends, rtol=1e-9, atol=1e-11)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", DTYPES)
def test_gpu_passes(dtype: str, cupy: Any) -> None:
    for activation in ACTIVATIONS.names():
        compare(Network((7, 130, 50, 3), activation, "softmax"), dtype, cupy)
    for output in OUTPUTS:
        compare(Network((7, 13, 3), "relu", output), dtype, cupy)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", DTYPES)
def test_gpu_a_recorded_training_is_the_other(dtype: str, cupy: Any, monkeypatch: Any) -> None:
    net = Network((20, 64, 32, 3), "relu", "softmax")
    w, X, y, _ = data(net, dtype, n=640)
    ends = []
    for recorded in ("0", "1"):
        monkeypatch.setenv(graphs.VARIABLE, recorded)
        place = cupy.asarray
        problem = NetworkProblem(net, place(X), place(y), alpha=0.1, initial=place(0.1 * w))
        result = run(
            problem,
            Adam(batch_size=64, learning_rate=0.001),
            stopping=Stopping(tol=None, max_iter=100),
            rng=np.random.RandomState(0),
        )
        ends.append(result.w.get())
        assert problem._work.recorded.n_launched == (0 if recorded == "0" else 1000 - 2)
    np.testing.assert_allclose(ends[1], ends[0], atol=1e-2 if dtype == "float32" else 1e-6)
