"""The history of a solve, as columns of plain numbers."""

from __future__ import annotations

import math
import time

from skopt_dl.engine.problem import Certificate
from skopt_dl.engine.stopping import Report
from skopt_dl.kernels.namespace import to_float


class Clock:
    """Seconds of solving: observers, certificates and the trace do not count."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._since = 0.0

    def __enter__(self) -> Clock:
        self._since = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self._since


class Trace:
    """Columns ``n_iter``, ``n_epochs``, ``seconds``, ``objective``, ``certificate``, ``indicator``.

    A row per report; ``nan`` where a number was not computed (certificates are not free). A state's
    ``measures`` are further columns.
    """

    columns = ("n_iter", "n_epochs", "seconds", "objective", "certificate", "indicator")

    def __init__(self) -> None:
        self.rows: list[tuple[float, ...]] = []
        self.measures: list[dict[str, float]] = []

    def add(self, report: Report) -> None:
        c = report.certificate
        self.rows.append(
            (
                report.n_iter,
                report.n_epochs,
                report.seconds,
                math.nan if c is None else c.objective,
                math.nan if c is None else c.value,
                report.indicator,
            )
        )
        measures = {} if report.state is None else report.state.measures
        self.measures.append({name: to_float(value) for name, value in measures.items()})

    def certify(self, certificate: Certificate) -> None:
        """Fill in the last row a certificate that was evaluated after the loop."""
        n_iter, n_epochs, seconds, _, _, indicator = self.rows[-1]
        self.rows[-1] = (
            n_iter,
            n_epochs,
            seconds,
            certificate.objective,
            certificate.value,
            indicator,
        )

    def as_dict(self) -> dict[str, list[float]]:
        """``{column: values}``, ready for a data frame or a plot."""
        table = list(zip(*self.rows, strict=True)) or [()] * len(self.columns)
        columns = {name: list(values) for name, values in zip(self.columns, table, strict=True)}
        names = dict.fromkeys(name for measures in self.measures for name in measures)
        return columns | {name: [m.get(name, math.nan) for m in self.measures] for name in names}
