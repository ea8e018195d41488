"""The tables of solvers, written from the declarations in the code.

``python docs/solver_table.py`` rewrites the table in README.md; the documentation's build calls
`write`. Needs, units and summaries are read from the solver classes, what fits an estimator from
the problem that it builds.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.utils import get_tags

import skopt_dl
from skopt_dl.activations import Activation
from skopt_dl.dispatch import ACTIVATIONS, LOSSES, PENALTIES, SOLVERS
from skopt_dl.dispatch.registry import Registry
from skopt_dl.engine import Problem
from skopt_dl.inspection import solver_table
from skopt_dl.losses import Loss
from skopt_dl.penalties import Penalty

# Other parameters under which an estimator poses another problem, for other solvers.
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "MatrixCompletion": [
        {"alpha": 0.05},
        {"alpha": 0.0},
        {"alpha": 0.05, "penalty": "nuclear"},
        {"penalty": "nuclear_ball", "radius": 1.0},
        {"penalty": "nuclear_ball", "radius": 1.0, "solver": "frank_wolfe"},
        {"alpha": 0.05, "positive": True},
    ],
    "TensorCompletion": [{"form": "tucker", "n_components": 2}],
}
README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- solvers: begin -->", "<!-- solvers: end -->"


@dataclass(frozen=True)
class Row:
    """What the tables say of one solver."""

    name: str
    path: str
    summary: str
    unit: str
    needs: tuple[str, ...]
    fits: tuple[str, ...]

    @property
    def class_name(self) -> str:
        return self.path.rpartition(".")[2]


def estimators() -> dict[str, Any]:
    """The public estimators that take ``solver=``."""
    found = {}
    # Classes; a model with cross-validation takes the solvers of the model itself, and a network
    # for tables those of a network.
    for name in (n for n in skopt_dl.__all__ if n[0].isupper()):
        if name.endswith("CV") or name.startswith("Tabular"):
            continue
        part = getattr(skopt_dl, name)
        if issubclass(part, BaseEstimator) and "solver" in part().get_params():
            found[name] = part
    return found


def fitting_solvers(estimator: Any) -> set[str]:
    """Names of the solvers that ``estimator`` takes, under parameters that tell them apart."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(8, 4)), np.arange(8.0)
    if get_tags(estimator).input_tags.categorical:
        X = np.argwhere(np.ones((2, 2, 2)))
    if is_classifier(estimator):
        y = y % 2
    if not get_tags(estimator).target_tags.single_output:
        y = np.stack([y, -y], axis=1)
    variants = VARIANTS.get(type(estimator).__name__, [])
    posed = [estimator, *(clone(estimator).set_params(**params) for params in variants)]
    return {row.name for model in posed for row in solver_table(model, X, y) if row.fits}


def rows() -> list[Row]:
    """One row for every registered solver."""
    taken = {name: fitting_solvers(model()) for name, model in estimators().items()}
    table = []
    for name in SOLVERS.names():
        solver = SOLVERS.get(name)
        needs = [*sorted(solver.needs.oracles), *sorted(solver.needs.traits)]
        other = solver.needs.instead
        if other is not None:
            needs.append("or else " + "; ".join([*sorted(other.oracles), *sorted(other.traits)]))
        table.append(
            Row(
                name=name,
                path=f"{solver.__module__}.{solver.__qualname__}",
                summary=(inspect.getdoc(solver) or "").partition("\n")[0],
                unit=solver.unit,
                needs=tuple(map(str, needs)),
                fits=tuple(model for model, names in taken.items() if name in names),
            )
        )
    return table


def as_markdown(table: list[Row]) -> str:
    """The short table of the README: estimators that take the same names, and these."""
    together: dict[tuple[str, ...], list[str]] = {}
    for model in estimators():
        names = tuple(row.name for row in table if model in row.fits)
        together.setdefault(names, []).append(model)
    lines = ["| estimator | `solver=` |", "|---|---|"]
    for names, models in together.items():
        lines.append(f"| {', '.join(models)} | {', '.join(f'`{name}`' for name in names)} |")
    return "\n".join(lines)


def as_rst(table: list[Row]) -> str:
    """The table of the documentation: name and class, summary, unit, needs."""
    lines = [
        ".. list-table::",
        "    :header-rows: 1",
        "    :widths: 20 40 10 30",
        "",
        "    * - Name",
        "      - Method",
        "      - Unit",
        "      - Needs",
    ]
    for row in table:
        lines += [
            f"    * - ``{row.name}``, :class:`~{row.path}`",
            f"      - {_rst(row.summary)}",
            f"      - {row.unit}",
            f"      - {'; '.join(row.needs)}",
        ]
    return "\n".join(lines) + "\n"


def as_rst_matrix(table: list[Row]) -> str:
    """Solvers by estimators: a dot where they fit."""
    models = list(estimators())
    lines = [
        ".. list-table::",
        "    :header-rows: 1",
        "    :stub-columns: 1",
        "",
        "    * - Name",
        *[f"      - {model}" for model in models],
    ]
    for row in table:
        lines.append(f"    * - ``{row.name}``")
        lines += [f"      - {'✓' if model in row.fits else ''}" for model in models]
    return "\n".join(lines) + "\n"


def as_rst_reference(parts: Iterable[Any]) -> str:
    """Classes and functions for the reference, each with a page of its own."""
    lines = [
        ".. autosummary::",
        "    :toctree: ../api/generated/",
        "",
    ]
    paths = sorted({f"{part.__module__}.{part.__qualname__}" for part in parts})
    return "\n".join([*lines, *[f"    {path}" for path in paths]]) + "\n"


def registered(registry: Registry) -> list[Any]:
    """Everything that has a name in ``registry``."""
    return [registry.get(name) for name in registry.names()]


def problem_types(base: type[Problem] = Problem) -> list[type[Problem]]:
    """Every kind of problem, once the estimators that bring their own are imported."""
    estimators()
    return [t for sub in base.__subclasses__() for t in (sub, *problem_types(sub))]


def as_rst_oracles() -> str:
    """Oracles with the phrase in messages, the method that answers and its first line."""
    lines = [
        ".. list-table::",
        "    :header-rows: 1",
        "    :widths: 22 26 22 30",
        "",
        "    * - Oracle",
        "      - In messages",
        "      - Method",
        "      - Answer",
    ]
    answered = {}
    for problem in problem_types():
        for oracle, (method, _) in problem._declared().items():
            answered.setdefault(oracle, getattr(problem, method))
    for oracle, method in sorted(answered.items(), key=lambda pair: pair[0].name):
        arguments = ", ".join(list(inspect.signature(method).parameters)[1:])
        lines += [
            f"    * - ``Oracle.{oracle.name}``",
            f"      - {oracle}",
            f"      - ``{method.__name__}({arguments})``",
            f"      - {_rst((inspect.getdoc(method) or '').partition(chr(10))[0])}",
        ]
    return "\n".join(lines) + "\n"


def _rst(text: str) -> str:
    """A docstring's line for a page: single backticks become code."""
    return re.sub(r"(?<!`)`([^`]+)`(?!`)", r"``\1``", text)


def in_readme(readme: str, table: list[Row]) -> str:
    """The text of the README with the table between its two marks replaced."""
    head, _, rest = readme.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{as_markdown(table)}\n{END}{tail}"


def write(folder: Path) -> None:
    """Write the tables that the documentation includes."""
    folder.mkdir(exist_ok=True)
    table = rows()
    (folder / "solvers.rst").write_text(as_rst(table), encoding="utf-8")
    (folder / "matrix.rst").write_text(as_rst_matrix(table), encoding="utf-8")
    (folder / "oracles.rst").write_text(as_rst_oracles(), encoding="utf-8")
    lists = {
        "solver": registered(SOLVERS),
        "loss": [Loss, *registered(LOSSES)],
        "penalty": [Penalty, *registered(PENALTIES)],
        "activation": [Activation, *registered(ACTIVATIONS)],
    }
    for kind, parts in lists.items():
        text = as_rst_reference(parts)
        (folder / f"{kind}_reference.rst").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    README.write_text(in_readme(README.read_text(encoding="utf-8"), rows()), encoding="utf-8")
