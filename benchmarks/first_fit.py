"""The first `Lasso().fit` of a fresh process, imports included, against scikit-learn's."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from benchmarks.timing import parser

CHILD = """
import numpy as np
rng = np.random.default_rng(0)
X, y = rng.standard_normal(({n}, {p})), rng.standard_normal({n})
from {module} import Lasso
Lasso().fit(X, y)
"""


def main(arguments: list[str] | None = None) -> None:
    """Wall seconds of interleaved child processes."""
    options = parser(__doc__, repeat=7).parse_args(arguments)
    n, p = (50, 10) if options.smoke else (500, 100)
    modules = {"scikit-learn": "sklearn.linear_model", "skopt_dl": "skopt_dl.linear_model"}
    seconds: dict[str, list[float]] = {name: [] for name in modules}
    for _ in range(1 if options.smoke else options.repeat):
        for name, module in modules.items():
            start = time.perf_counter()
            subprocess.run(
                [sys.executable, "-c", CHILD.format(n=n, p=p, module=module)], check=True
            )
            seconds[name].append(time.perf_counter() - start)
    base = statistics.median(seconds["scikit-learn"])
    print(f"\nfirst fit of {n} x {p} in a fresh process, imports included")
    for name, times in seconds.items():
        median = statistics.median(times)
        print(f"  {name:<28} {median:8.3f} s  ratio {median / base:.2f}")


if __name__ == "__main__":
    main()
