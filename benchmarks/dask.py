"""Fits on Dask collections: passes, bytes moved, one and two workers; a cost model for 100.

Wall-clock seconds on a cluster of this machine, whose workers are processes of one thread and hold
the data, and processor seconds of the busiest worker, which other work on the machine does not
lengthen. ``--figure PATH`` draws them. "Moved" is what leaves the workers, for one another and for
the client. The model is

    seconds = passes (B / k t + depth (latency + fan-in partial / bandwidth)) + tasks s

for B blocks on k workers: t is the work on a block, by the fit on one worker; s what a task costs
besides, by tasks that do nothing; depth that of the tree that adds the partial results, each
counted at its full size, which those of gradients do not reach. The model's value for two workers
stands beside the measured one; for 100 it is a figure on paper: latency and bandwidth are those of
a network of 10 Gbit/s.
"""

from __future__ import annotations

from benchmarks.timing import parser  # first: pins BLAS  # isort: skip

import math
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

# Partial results that one task adds, as skopt_dl.dask has it.
FAN_IN = 8
LATENCY, BANDWIDTH = 1e-3, 1.25e9
MANY = 100


@dataclass(frozen=True)
class Case:
    """A fit: the estimator for a client, and the bytes of a block's partial result for p columns.

    ``labels`` says whether the targets are classes.
    """

    name: str
    make: Callable[[Any], Any]
    partial: Callable[[int], int]
    labels: bool = False


def cases() -> tuple[Case, ...]:
    """One fit of each kind: a single pass, a single pass with folds, a few passes."""
    from skopt_dl.dask import LassoCV, LogisticRegression, Ridge

    return (
        Case("Ridge", lambda c: Ridge(client=c), lambda p: 8 * p * p),
        Case("LassoCV", lambda c: LassoCV(alphas=50, client=c), lambda p: 5 * 8 * p * p),
        Case(
            "LogisticRegression",
            lambda c: LogisticRegression(client=c),
            lambda p: 8 * (p + 1) ** 2,
            labels=True,
        ),
    )


@dataclass
class Measured:
    """A fit on k workers: medians over the repetitions."""

    seconds: float
    busiest: float
    passes: int
    moved: float
    tasks: float
    memory: float


def traffic(client: Any) -> tuple[int, int]:
    """Bytes that left the workers and tasks that they ran, since they started."""

    def counts(dask_worker: Any) -> tuple[int, int]:
        # What was written, not Dask's estimate of the objects' sizes.
        written = sum(entry["compressed"] for entry in dask_worker.transfer_outgoing_log)
        return written, dask_worker.state.executed_count

    found = client.run(counts).values()
    return sum(f[0] for f in found), sum(f[1] for f in found)


def peak(client: Any) -> int:
    """Bytes of the largest worker at its peak."""

    def resident() -> int:
        import resource

        return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    return max(client.run(resident).values())


def processor(client: Any) -> dict[str, float]:
    """Processor seconds of each worker since it started."""
    return client.run(time.process_time)


def idle_task(client: Any, count: int) -> float:
    """Seconds that a task costs besides its work."""
    client.gather(client.map(_nothing, range(10), pure=False))
    start = time.perf_counter()
    client.gather(client.map(_nothing, range(count), pure=False))
    return (time.perf_counter() - start) / count


def _nothing(i: int) -> int:
    return i


def measure(case: Case, client: Any, data: tuple[Any, Any, Any], repeat: int) -> Measured:
    """Fit ``repeat`` times after one that is not counted."""
    X, y, labels = data
    seconds, busiest, moved, tasks, passes = [], [], [], [], 0
    for k in range(repeat + 1):
        before, spent_before = traffic(client), processor(client)
        start = time.perf_counter()
        model = case.make(client).fit(X, labels if case.labels else y)
        spent = time.perf_counter() - start
        after, spent_after = traffic(client), processor(client)
        if k:
            seconds.append(spent)
            busiest.append(max(spent_after[w] - spent_before[w] for w in spent_before))
            moved.append(after[0] - before[0])
            tasks.append(after[1] - before[1])
        passes = model.n_passes_
    median = statistics.median
    return Measured(
        median(seconds), median(busiest), passes, median(moved), median(tasks), peak(client)
    )


def collection(client: Any, n: int, p: int, blocks: int) -> tuple[Any, Any, Any]:
    """Normal columns, a target and two classes, made and kept on the workers."""
    import dask.array as da
    from distributed import wait

    rng = da.random.default_rng(0)
    X = rng.normal(size=(n, p), chunks=(n // blocks, p))
    y = X[:, : min(p, 10)].sum(axis=1) + rng.normal(size=n, chunks=n // blocks)
    held = client.persist([X, y, y > 0])
    wait(held)
    return tuple(held)


@dataclass(frozen=True)
class Model:
    """The cost model of a case, from its fit on one worker.

    Parameters
    ----------
    one : Measured
        That fit.
    partial : int
        Bytes of a block's partial result.
    blocks : int
        Its blocks.
    idle : float
        Seconds that a task costs besides its work.
    """

    one: Measured
    partial: int
    blocks: int
    idle: float

    @property
    def work(self) -> float:
        """Seconds of work on a block in one pass."""
        rest = self.one.seconds - self.one.tasks * self.idle
        return max(rest, 0.0) / (self.one.passes * self.blocks)

    def seconds(self, workers: int, times: int = 1) -> float:
        """For ``times`` as many blocks on ``workers``."""
        blocks = times * self.blocks
        depth = math.ceil(math.log(blocks, FAN_IN))
        link = 0.0
        if workers > 1:
            link = depth * (LATENCY + FAN_IN * self.partial / BANDWIDTH)
        each_pass = math.ceil(blocks / workers) * self.work + link
        return self.one.passes * each_pass + times * self.one.tasks * self.idle


def on_workers(count: int, n: int, p: int, blocks: int, repeat: int) -> tuple[Any, float]:
    """Each case on ``count`` workers, and what an idle task costs there."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            host="127.0.0.1",
        ) as cluster,
        Client(cluster) as client,
    ):
        data = collection(client, n, p, blocks)
        found = {case.name: measure(case, client, data, repeat) for case in cases()}
        return found, idle_task(client, 20 if repeat == 1 else 500)


def draw(path: str, one: Any, two: Any, models: dict[str, Model]) -> None:
    """Seconds against workers, the model's as a line; and bytes moved with the passes."""
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    counts = [1, 2, 4, 8, 16, 32, 64, MANY]
    for colour, (name, model) in enumerate(models.items()):
        style, both = f"C{colour}", (one[name], two[name])
        left.loglog(counts, [model.seconds(c) for c in counts], style, lw=1, label=name)
        left.loglog([1, 2], [m.seconds for m in both], style + "o")
        left.loglog([1, 2], [m.busiest for m in both], style + "x")
    left.set_xlabel("workers")
    left.set_ylabel("seconds")
    left.set_title("line: model; o: elapsed; x: processor time of the busiest worker", fontsize=9)
    left.legend(fontsize=8)
    for k, found in enumerate((one, two)):
        places = [place + 0.4 * (k - 0.5) for place in range(len(models))]
        bars = right.bar(places, [found[name].moved / 2**20 for name in models], 0.4)
        right.bar_label(bars, [f"passes: {found[name].passes}" for name in models], fontsize=7)
        bars.set_label(f"{k + 1} worker" + "s" * k)
    right.set_xticks(range(len(models)), list(models), fontsize=8)
    right.set_yscale("log")
    right.set_ylabel("MiB that leave the workers")
    right.margins(y=0.15)
    right.legend(fontsize=8)
    # The same file from the same numbers.
    with plt.rc_context({"svg.hashsalt": "dask"}):
        figure.savefig(path, metadata={"Date": None} if path.endswith("svg") else None)
    plt.close(figure)


def main(arguments: list[str] | None = None) -> None:
    """One worker, then two, then the model."""
    given = parser(__doc__, repeat=5)
    given.add_argument("--figure", help="where to draw the result")
    options = given.parse_args(arguments)
    if find_spec("distributed") is None:
        print("Dask is not installed (pip install skopt_dl[dask]): nothing to measure")
        return
    n, p, blocks = (400, 5, 4) if options.smoke else (200_000, 200, 16)
    repeat = 1 if options.smoke else options.repeat
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one, idle = on_workers(1, n, p, blocks, repeat)
        two, _ = on_workers(2, n, p, blocks, repeat)
    print(f"{n} x {p} in {blocks} blocks; a task costs {1e3 * idle:.2f} ms besides its work")
    models = {c.name: Model(one[c.name], c.partial(p), blocks, idle) for c in cases()}
    for name, model in models.items():
        a, b = one[name], two[name]
        print(
            f"{name:<20} {a.passes:3d} passes, {a.tasks:5.0f} tasks, "
            f"moved {a.moved / 2**10:9.1f} KiB by one worker, {b.moved / 2**10:9.1f} by two, "
            f"peak of a worker {b.memory / 2**20:6.0f} MiB"
        )
        print(
            f"{'':<20} one {a.seconds:7.3f} s, two {b.seconds:7.3f} s "
            f"(ratio {a.seconds / b.seconds:4.2f}, model {a.seconds / model.seconds(2):4.2f}); "
            f"processor seconds of the busiest {a.busiest:6.3f}, {b.busiest:6.3f} "
            f"(ratio {a.busiest / b.busiest:4.2f}); "
            f"on paper {MANY} workers: these data {model.seconds(MANY):7.3f} s, "
            f"{MANY} times as many {model.seconds(MANY, MANY):7.3f} s"
        )
    if options.figure:
        draw(options.figure, one, two, models)


if __name__ == "__main__":
    main()
