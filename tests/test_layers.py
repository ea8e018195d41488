"""Imports run only downwards: the picture of the layers in docs/design.rst, read from the code."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "skopt_dl"

# From the ground up. A folder may import itself and the rows before its own, nothing else.
LAYERS = (
    {"_version", "_lazy"},
    {"kernels"},
    {"engine"},
    {"activations", "linops", "losses", "penalties"},
    {"search", "problems"},
    {"solvers"},
    {"dispatch"},
    {"_sklearn", "_minimize"},
    {"linear_model", "matrix_completion", "neural_network"},
    {"inspection", "dask", "datasets", "model_selection", "testing"},
    {"demo"},
)
HEIGHT = {folder: height for height, row in enumerate(LAYERS) for folder in row}
FILES = sorted(f for f in PACKAGE.rglob("*.py") if f.parent != PACKAGE or f.name != "__init__.py")

# Outside libraries, and the only places that may import them (path prefixes inside the package).
ONLY_IN = {
    "cupy": ("kernels/cupy", "_sklearn/arrays"),
    "cupyx": ("kernels/cupy", "_sklearn/arrays"),
    "dask": ("dask/",),
    "distributed": ("dask/",),
    "matplotlib": ("inspection/", "demo"),
    "pandas": (),
    "sklearn": (
        "_sklearn/",
        "linear_model/",
        "matrix_completion/",
        "neural_network/",
        "inspection/",
        "dask/",
        "datasets/",
        "model_selection/",
        "demo",
    ),
}


def imports(path: Path) -> set[str]:
    """Dotted names of the modules that a file imports, wherever the statement stands."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def folder_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_a_file_imports_only_from_layers_below(path: Path) -> None:
    here = folder_of(path)
    assert here in HEIGHT, f"{here} has no place in LAYERS"
    for name in imports(path):
        top, _, rest = name.partition(".")
        if top == "skopt_dl":
            there = rest.partition(".")[0]
            assert there == here or HEIGHT[there] < HEIGHT[here], f"{here} imports {name}"


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_imported_only_where_it_belongs(library: str) -> None:
    offenders = [
        f.relative_to(PACKAGE).as_posix()
        for f in FILES
        if any(name.split(".")[0] == library for name in imports(f))
    ]
    assert [f for f in offenders if not f.startswith(ONLY_IN[library])] == []


def test_solvers_compute_only_through_the_problem() -> None:
    for path in (PACKAGE / "solvers").rglob("*.py"):
        banned = [n for n in imports(path) if n.split(".")[0] in {"numpy", "scipy"}]
        banned += [
            n
            for n in imports(path)
            if n.startswith(("skopt_dl.losses", "skopt_dl.penalties", "skopt_dl.problems"))
        ]
        assert banned == [], f"{path.name} imports {banned}"


def test_the_picture_of_the_layers_is_the_tested_one() -> None:
    picture = (ROOT / "docs" / "design.rst").read_text(encoding="utf-8")
    lines = [set(line.split()) for line in picture.splitlines()]
    drawn = [next(k for k, line in enumerate(lines) if row <= line) for row in LAYERS[1:]]
    assert drawn == sorted(drawn, reverse=True)
