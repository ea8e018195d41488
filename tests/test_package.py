"""What the package shows to the outside: lazy names, light imports, typed, complete."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest

import skopt_dl
import skopt_dl.solvers
from skopt_dl.dispatch import SOLVERS
from skopt_dl.kernels.lazy import LazyKernels

INIT = Path(skopt_dl.__file__)


def modules_after(statement: str) -> set[str]:
    """Names of the modules that a fresh interpreter has loaded after ``statement``."""
    code = f"{statement}\nimport sys\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_loads_nothing_but_itself() -> None:
    extra = modules_after("import skopt_dl") - modules_after("import importlib, typing")
    # "__editable__..." is how setuptools finds a source tree that was installed in place.
    outside = {m for m in extra if not m.startswith(("skopt_dl", "__editable__"))}
    assert {m.split(".")[0] for m in outside} <= {"__future__"}
    assert extra - outside >= {"skopt_dl._version", "skopt_dl._lazy"}
    assert len([m for m in extra if m.startswith("skopt_dl.")]) == 2


def test_an_estimator_loads_no_optional_library() -> None:
    ours = modules_after("from skopt_dl import Lasso")
    # scikit-learn itself imports pandas where it is installed.
    extra = {m.split(".")[0] for m in ours - modules_after("import sklearn.linear_model")}
    assert extra.isdisjoint({"cupy", "dask", "matplotlib", "pandas", "polars", "torch", "rich"})


def test_an_estimator_loads_no_solver_that_is_not_used() -> None:
    loaded = modules_after("from skopt_dl import Lasso")
    assert not {m for m in loaded if m.startswith("skopt_dl.solvers.")}


def test_every_solver_can_be_imported_from_the_solvers_package() -> None:
    registered = [SOLVERS.get(name) for name in SOLVERS.names()]
    ours = {s.__name__: s for s in registered if s.__module__.startswith("skopt_dl.")}
    assert {name: getattr(skopt_dl.solvers, name) for name in skopt_dl.solvers.__all__} == ours


@pytest.mark.parametrize("name", skopt_dl.__all__)
def test_every_public_name_resolves(name: str) -> None:
    assert getattr(skopt_dl, name) is not None
    assert name in dir(skopt_dl)


@pytest.mark.parametrize("package", [skopt_dl, skopt_dl.solvers], ids=lambda p: p.__name__)
def test_type_checkers_see_the_same_names(package: ModuleType) -> None:
    tree = ast.parse(Path(package.__file__ or "").read_text(encoding="utf-8"))
    block = next(n for n in tree.body if isinstance(n, ast.If))
    seen = {
        alias.name: statement.module.removeprefix(f"{package.__name__}.")
        for statement in block.body
        if isinstance(statement, ast.ImportFrom) and statement.module
        for alias in statement.names
    }
    assert seen == package._HOME


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Lasagne'"):
        _ = skopt_dl.Lasagne


def test_version_and_typing_marker() -> None:
    assert version("skopt_dl") == skopt_dl.__version__
    assert INIT.with_name("py.typed").is_file()


def test_a_source_tree_without_its_kernels_says_how_to_build_them(tmp_path, monkeypatch):
    (tmp_path / "unbuilt").mkdir()
    (tmp_path / "unbuilt" / "__init__.py").touch()
    (tmp_path / "unbuilt" / "broken.py").write_text("import nowhere\n")
    monkeypatch.syspath_prepend(tmp_path)
    kernels = LazyKernels("unbuilt", dot="missing", axpy="broken")
    with pytest.raises(ImportError, match=r"unbuilt\.missing is missing.*pip install -e"):
        _ = kernels.dot
    with pytest.raises(ModuleNotFoundError, match="nowhere"):
        _ = kernels.axpy
