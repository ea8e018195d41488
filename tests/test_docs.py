"""The code in README, guides and docstrings is true: it runs, and prints what it says."""

from __future__ import annotations

import doctest
import re
import sys
import textwrap
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from skopt_dl.dispatch import ACTIVATIONS, LOSSES, PENALTIES, SOLVERS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.rst"))]

RST_BLOCK = re.compile(r"^\.\. code-block:: python\n((?:[ ]+:.*\n)*)\n((?:(?:[ ]{4}.*)?\n)+)", re.M)
MARKDOWN_BLOCK = re.compile(r"^```python\n(.*?)^```", re.M | re.S)


def blocks(page: Path) -> list[str]:
    """The Python blocks of a page, without those of ``:class: skip``."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".md":
        return MARKDOWN_BLOCK.findall(text)
    found = RST_BLOCK.findall(text + "\n")
    return [textwrap.dedent(code) for options, code in found if "skip" not in options]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p)], ids=lambda p: p.name)
def test_the_code_of_a_page_runs(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for registry in (SOLVERS, LOSSES, PENALTIES, ACTIVATIONS):
        monkeypatch.setattr(registry, "_rows", dict(registry._rows))
    # A module, so that the classes of a page can be pickled.
    module = ModuleType(f"page_{page.stem}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for number, code in enumerate(blocks(page), 1):
        program = compile(code, f"{page.name}, block {number}", "exec", dont_inherit=True)
        exec(program, vars(module))


WITH_EXAMPLES = sorted(
    path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
    for path in (ROOT / "skopt_dl").rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_the_examples_of_a_docstring_print_what_they_say(name: str) -> None:
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    result = doctest.testmod(import_module(name.removesuffix(".__init__")), optionflags=options)
    assert result.attempted > 0
    assert result.failed == 0


def test_blocks_are_found() -> None:
    assert len(blocks(ROOT / "README.md")) == 1
    assert len(blocks(DOCS / "write_a_solver.rst")) == 4
    assert len(blocks(DOCS / "devices.rst")) == 2
    # What is marked so is left out: Ray is not among the tests' libraries.
    assert not any("ray.init" in code for code in blocks(DOCS / "scaling.rst"))
    assert "ray.init" in (DOCS / "scaling.rst").read_text(encoding="utf-8")


def test_the_tables_of_the_readme_are_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(DOCS), *sys.path])
    import solver_table

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text == solver_table.in_readme(text, solver_table.rows()), (
        "run: python docs/solver_table.py"
    )


def test_ci_runs_the_commands_of_the_readme() -> None:
    shell = re.search(r"^```bash\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.M | re.S)
    assert shell is not None
    first, second = shell.group(1).splitlines()
    assert "pip install" in first and first.endswith("python -m skopt_dl.demo")
    assert "pip install" in second and second.endswith("pytest -n 2 -m 'not slow'")
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert '"$(readme_command 1)"' in script and '"$(readme_command 2)"' in script
