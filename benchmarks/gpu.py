"""Fits on a CUDA device against the same fits on the host; and PyTorch's and cuML's there.

Wall-clock seconds of a second fit (the first one loads the device's libraries), with the host's
BLAS on all its cores, beside what the device can do: the bytes a second of a copy and the float32
operations a second of a matrix product. Without CuPy or a device it says so and times the host
alone.
"""

from __future__ import annotations

import argparse
import itertools
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from skopt_dl import (
    Lasso,
    LassoCV,
    LogisticRegression,
    MatrixCompletion,
    MLPClassifier,
    Ridge,
    TensorCompletion,
)
from skopt_dl.linear_model import alpha_max


def cupy() -> Any:
    """CuPy if it finds a device, else None."""
    if find_spec("cupy") is None:
        return None
    import cupy

    return cupy if cupy.is_available() else None


@dataclass(frozen=True)
class Case:
    """A fit: its data from ``(n, p)``, and the estimators by the name of their solver."""

    name: str
    full: tuple[int, int]
    small: tuple[int, int]
    make: Callable[[int, int], tuple[Any, Any]]
    models: Callable[[Any, Any], dict[str, Any]]


def regression(n: int, p: int) -> tuple[Any, Any]:
    """Independent float32 columns, 50 of which matter."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p), dtype=np.float32)
    y = X[:, : min(50, p)].sum(axis=1) + rng.standard_normal(n, dtype=np.float32)
    return X, y


def labelled(n: int, p: int) -> tuple[Any, Any]:
    """The same with two classes."""
    X, y = regression(n, p)
    return X, (y > 0).astype(np.int64)


def classes(n: int, p: int) -> tuple[Any, Any]:
    """Noise with ten classes: the work of a step does not depend on what is learnt."""
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, p), dtype=np.float32), rng.integers(0, 10, n)


def ratings(n: int, m: int) -> tuple[Any, Any]:
    """Pairs of an n x m matrix of rank 10 and their values: a hundredth of all entries."""
    rng = np.random.default_rng(0)
    q = max(n * m // 100, 100)
    rows, columns = rng.integers(0, n, q), rng.integers(0, m, q)
    U, V = rng.standard_normal((n, 10)), rng.standard_normal((m, 10))
    values = np.sum(U[rows] * V[columns], axis=1) + 0.1 * rng.standard_normal(q)
    return np.stack([rows, columns], axis=1), values


def ratings_by_week(n: int, m: int) -> tuple[Any, Any]:
    """The same in 50 weeks, as positions of a tensor of rank 10."""
    pairs, values = ratings(n, m)
    rng = np.random.default_rng(1)
    return np.column_stack([pairs, rng.integers(0, 50, len(pairs))]), values


def lassos(X: Any, y: Any) -> dict[str, Any]:
    """At a tenth of the largest useful strength."""
    alpha = float(alpha_max(X, y)) / 10
    return {s: Lasso(alpha, solver=s, tol=1e-4) for s in ("fista", "active_set", "auto")}


def network(batch: int) -> Callable[[Any, Any], dict[str, Any]]:
    """Three layers of 512 units."""
    return lambda X, y: {
        f"batch {batch}": MLPClassifier(
            (512, 512, 512), batch_size=batch, max_iter=2, tol=0, random_state=0
        )
    }


# By the rows of a batch.
NETWORKS = {
    256: Case("network, small batches", (20_000, 100), (200, 10), classes, network(256)),
    4096: Case("network, large batches", (100_000, 100), (200, 10), classes, network(4096)),
}

CASES = (
    Case("lasso", (100_000, 10_000), (300, 50), regression, lassos),
    Case(
        "ridge",
        (100_000, 3000),
        (300, 20),
        regression,
        lambda X, y: {s: Ridge(1.0, solver=s) for s in ("auto", "cg")},
    ),
    Case(
        "lasso, cross-validated",
        (100_000, 500),
        (300, 20),
        regression,
        lambda X, y: {"auto": LassoCV(alphas=50)},
    ),
    Case(
        "ridge, by samples",
        (50_000, 200),
        (200, 10),
        regression,
        lambda X, y: {s: Ridge(1.0, solver=s, max_iter=5) for s in ("sdca", "saga", "svrg")},
    ),
    Case(
        "logistic",
        (1_000_000, 100),
        (300, 10),
        labelled,
        lambda X, y: {s: LogisticRegression(solver=s) for s in ("auto", "lbfgs")},
    ),
    *NETWORKS.values(),
    Case(
        "completion",
        (50_000, 20_000),
        (60, 40),
        ratings,
        lambda X, y: {"als": MatrixCompletion(10, alpha=0.1, solver="als", max_iter=10)},
    ),
    Case(
        "tensor",
        (20_000, 10_000),
        (60, 40),
        ratings_by_week,
        lambda X, y: {"als": TensorCompletion(10, solver="als", n_init=1, max_iter=10)},
    ),
)


def seconds(model: Any, X: Any, y: Any, wait: Callable[[], None]) -> tuple[float, Any]:
    """Wall-clock seconds of a fit, and the model."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wait()
        start = time.perf_counter()
        model.fit(X, y)
        wait()
    return time.perf_counter() - start, model


def run(case: Case, smoke: bool, host: bool, patience: float) -> None:
    """A line per solver."""
    xp = cupy()
    X, y = case.make(*(case.small if smoke else case.full))
    models = case.models(X, y)
    there = (X, y) if xp is None else (xp.asarray(X), xp.asarray(y))
    for name, model in models.items():
        line = f"{case.name:<24} {name:<12}"
        if xp is not None:
            first, _ = seconds(model, *there, xp.cuda.Device().synchronize)
            device, fitted = first, model
            if first < patience:
                device, fitted = seconds(model, *there, xp.cuda.Device().synchronize)
            report = fitted.solve_report_
            line += f" device {device:9.4f} s ({report.solver}, {report.n_iter} iterations)"
        if host:
            on_host, fitted = seconds(model, X, y, lambda: None)
            line += f" host {on_host:9.4f} s ({fitted.solve_report_.solver})"
            if xp is not None:
                line += f"  ratio {on_host / device:6.2f}"
        print(line, flush=True)


def ceilings(xp: Any) -> None:
    """What the device can do: bytes a second of a copy, float32 operations of a product."""
    a = xp.ones(2**28, dtype=xp.float32)
    b, n = xp.empty_like(a), 8192
    A = xp.random.standard_normal((n, n), dtype=xp.float32)
    for call, work, unit in (
        (lambda: xp.copyto(b, a), 2 * a.nbytes / 1e12, "TB/s, copy"),
        (lambda: A @ A, 2 * n**3 / 1e12, "TFLOP/s, float32 product"),
    ):
        call()
        xp.cuda.Device().synchronize()
        start = time.perf_counter()
        for _ in range(5):
            call()
        xp.cuda.Device().synchronize()
        print(f"{5 * work / (time.perf_counter() - start):8.2f} {unit}")


def torch_epoch(smoke: bool) -> None:
    """Seconds of an epoch of the same networks in PyTorch's loop, on the device."""
    if find_spec("torch") is None:
        return
    import torch

    if not torch.cuda.is_available():
        return
    for batch, case in NETWORKS.items():
        data, labels = case.make(*(case.small if smoke else case.full))
        X, y = torch.tensor(data, device="cuda"), torch.tensor(labels, device="cuda")
        sizes = [X.shape[1], 512, 512, 512]
        layers: list[Any] = []
        for before, after in itertools.pairwise(sizes):
            layers += [torch.nn.Linear(before, after), torch.nn.ReLU()]
        net = torch.nn.Sequential(*layers, torch.nn.Linear(512, 10)).cuda()
        rule, loss = torch.optim.Adam(net.parameters()), torch.nn.CrossEntropyLoss()
        for _ in range(2):
            torch.cuda.synchronize()
            start = time.perf_counter()
            order = torch.randperm(len(X), device="cuda")
            for low in range(0, len(X), batch):
                index = order[low : low + batch]
                rule.zero_grad()
                loss(net(X[index]), y[index]).backward()
                rule.step()
            torch.cuda.synchronize()
            spent = time.perf_counter() - start
        print(f"{case.name:<24} PyTorch      device {spent:9.4f} s an epoch")


def cuml_fits(smoke: bool) -> None:
    """Seconds of cuML's estimators of the same names on the device, at their own tolerances."""
    if find_spec("cuml") is None:
        print("cuML is not installed")
        return
    import cuml.linear_model as theirs

    xp = cupy()
    for case in CASES:
        X, y = case.make(*(case.small if smoke else case.full))
        ours = next(iter(case.models(X, y).values()))
        # One fit of each kind: of a path or a search cuML has no counterpart.
        kind = getattr(theirs, type(ours).__name__, None)
        if kind is None or case.name == "ridge, by samples":
            continue
        strength = "C" if hasattr(ours, "C") else "alpha"
        model, there = kind(**{strength: getattr(ours, strength)}), (xp.asarray(X), xp.asarray(y))
        for _ in range(2):
            spent, _ = seconds(model, *there, xp.cuda.Device().synchronize)
        print(f"{case.name:<24} cuML         device {spent:9.4f} s", flush=True)


def main(arguments: list[str] | None = None) -> None:
    """Run the cases."""
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--smoke", action="store_true", help="tiny data")
    p.add_argument("--no-host", action="store_true", help="time the device alone")
    p.add_argument("--cases", default="", help="names that contain one of these, by commas")
    p.add_argument("--patience", type=float, default=20.0, help="a longer fit is not repeated")
    options = p.parse_args(arguments)
    xp = cupy()
    if xp is None:
        print("CuPy is not installed or finds no CUDA device: the host alone")
    elif not options.smoke:
        ceilings(xp)
    for case in CASES:
        if any(part in case.name for part in options.cases.split(",")):
            run(case, options.smoke, xp is None or not options.no_host, options.patience)
    if xp is not None:
        torch_epoch(options.smoke)
        cuml_fits(options.smoke)


if __name__ == "__main__":
    main()
