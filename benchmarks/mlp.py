"""What a step of a network costs, beside scikit-learn's and PyTorch's; and what a prediction costs.

Microseconds of processor time per update (Adam, ReLU, ten classes, 20 features), one thread: a fit
of many epochs minus one of few, by the number of updates between them. Rounds are interleaved and
the median of each candidate is printed. PyTorch takes part where it is installed.
"""

from __future__ import annotations

from benchmarks.timing import parser, seconds_of  # first: pins BLAS  # isort: skip

import statistics
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import sklearn.neural_network as reference
from threadpoolctl import threadpool_limits

import skopt_dl.neural_network as ours

# Samples, hidden layers, batch, epochs that are timed.
ROWS = [
    (1_000, (100,), 32, 60),
    (1_000, (100,), 200, 150),
    (10_000, (256, 256), 256, 2),
    (10_000, (512, 512, 512), 1024, 1),
    # A fit of one epoch is mostly what comes before it.
    (500_000, (100,), 200, 4),
]
FEATURES, CLASSES = 20, 10


def data(n: int, dtype: Any) -> tuple[Any, Any]:
    """Noise: the work of a step does not depend on what is learnt."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, FEATURES), dtype=np.float64).astype(dtype)
    return X, rng.integers(0, CLASSES, n)


def fitting(module: Any, X: Any, y: Any, hidden: Any, batch: int) -> Callable[[int], Any]:
    """From a number of epochs to a fit without any other way to end."""
    return lambda epochs: module.MLPClassifier(
        hidden, batch_size=batch, max_iter=epochs, tol=0, n_iter_no_change=10**9, random_state=0
    ).fit(X, y)


def torch_fitting(X: Any, y: Any, hidden: Any, batch: int) -> Callable[[int], Any]:
    """The loop that one writes in PyTorch: modules, autograd, its own Adam."""
    import torch

    torch.set_num_threads(1)
    data, labels = torch.tensor(X), torch.tensor(y)
    sizes = [X.shape[1], *hidden]

    def fit(epochs: int) -> Any:
        torch.manual_seed(0)
        layers: list[Any] = []
        for k, units in enumerate(hidden):
            layers += [torch.nn.Linear(sizes[k], units), torch.nn.ReLU()]
        net = torch.nn.Sequential(*layers, torch.nn.Linear(sizes[-1], CLASSES)).to(data.dtype)
        rule, loss = torch.optim.Adam(net.parameters()), torch.nn.CrossEntropyLoss()
        for _ in range(epochs):
            order = torch.randperm(len(data))
            for low in range(0, len(data), batch):
                index = order[low : low + batch]
                rule.zero_grad()
                loss(net(data[index]), labels[index]).backward()
                rule.step()
        return net

    return fit


def per_step(fit: Callable[[int], Any], epochs: int, updates: int) -> float:
    """Microseconds of an update, without what a fit costs once."""
    few, _ = seconds_of(lambda: fit(1))
    many, _ = seconds_of(lambda: fit(1 + epochs))
    return 1e6 * (many - few) / (epochs * updates)


def steps(rows: list[Any], repeat: int) -> None:
    """The table of steps."""
    for n, hidden, batch, epochs in rows:
        for dtype in (np.float32, np.float64):
            X, y = data(n, dtype)
            candidates = {
                "skopt_dl": fitting(ours, X, y, hidden, batch),
                "scikit-learn": fitting(reference, X, y, hidden, batch),
            }
            if find_spec("torch") is not None:
                candidates["torch"] = torch_fitting(X, y, hidden, batch)
            found: dict[str, list[float]] = {name: [] for name in candidates}
            for _ in range(repeat):
                for name, fit in candidates.items():
                    found[name].append(per_step(fit, epochs, -(-n // batch)))
            medians = {name: statistics.median(times) for name, times in found.items()}
            text = "  ".join(
                f"{name} {t:9.1f} ({t / medians['skopt_dl']:.1f})" for name, t in medians.items()
            )
            print(f"{n:>7} {hidden!s:<16} {batch:>5} {dtype.__name__:<8} {text}", flush=True)


def predictions(repeat: int) -> None:
    """One row, with all its checks."""
    X, y = data(1_000, np.float64)
    print("\nmicroseconds to predict one row")
    modules = {"skopt_dl": ours, "scikit-learn": reference}
    # Through `seconds_of`, which keeps warnings out of the table.
    models = {
        name: seconds_of(partial(fitting(module, X, y, (100,), 200), 2))[1]
        for name, module in modules.items()
    }
    times: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(repeat):
        for name, model in models.items():
            spent, _ = seconds_of(lambda m=model: [m.predict(X[:1]) for _ in range(500)])
            times[name].append(1e6 * spent / 500)
    print("  ".join(f"{name} {statistics.median(t):.1f}" for name, t in times.items()))


def main(arguments: list[str] | None = None) -> None:
    """Steps and predictions."""
    p = parser(__doc__, repeat=3)
    p.add_argument("--row", type=int, help="one row of the table alone, from 0")
    options = p.parse_args(arguments)
    repeat = 1 if options.smoke else options.repeat
    with threadpool_limits(1):
        rows = ROWS if options.row is None else [ROWS[options.row]]
        if options.smoke:
            rows = [(200, hidden, batch, 1) for _, hidden, batch, _ in rows[:2]]
        steps(rows, repeat)
        predictions(repeat)


if __name__ == "__main__":
    main()
