"""What the tree promises, beyond what import-linter can see."""

from __future__ import annotations

import ast
import importlib.metadata
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("audience", "feedback", "flows", "generation", "pigeonry", "scoring")
PRIMITIVES = {"str", "int", "bool", "float", "list[str]", "list[str] | None"}
HEAVY = {
    "alembic",
    "fastapi",
    "litellm",
    "matplotlib",
    "numpy",
    "onnxruntime",
    "pandas",
    "prefect",
    "scipy",
    "sendgrid",
    "sentence_transformers",
    "sklearn",
    "sqlalchemy",
    "torch",
    "transformers",
}


def sources(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def test_every_package_in_the_root_is_held_to_the_import_contracts() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    found = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    found -= {"templates", "benchmarks"}  # data, and measurements that are not shipped

    assert found == set(PACKAGES) == set(config["root_packages"])


def test_no_file_in_flows_shares_its_name_with_something_that_can_be_imported() -> None:
    """A path entrypoint puts flows/ first on sys.path: flows/feedback.py would hijack `feedback`."""
    names = {path.stem for path in (ROOT / "flows").glob("*.py")} - {"__init__"}
    taken = (
        set(sys.stdlib_module_names)
        | set(importlib.metadata.packages_distributions())
        | set(PACKAGES)
        | {"templates", "tests", "benchmarks", "scripts", "examples"}
    ) - {"flows"}

    assert not names & taken


def test_no_test_folder_is_a_package() -> None:
    """tests/audience/__init__.py would shadow the real `audience`."""
    assert not list((ROOT / "tests").rglob("__init__.py"))


@pytest.mark.parametrize("path", sources("flows"), ids=lambda path: path.stem)
def test_only_ids_and_primitive_values_travel_between_flows_and_tasks(path: Path) -> None:
    """Prefect stores parameters and shows them: a lead or a mail among them would be published."""
    for function in ast.walk(ast.parse(path.read_text())):
        if isinstance(function, ast.FunctionDef) and _is_run_by_prefect(function):
            for argument in (*function.args.args, *function.args.kwonlyargs):
                assert argument.annotation is not None
                assert ast.unparse(argument.annotation) in PRIMITIVES, (
                    f"{path.name}: {function.name}({argument.arg})"
                )


def _is_run_by_prefect(function: ast.FunctionDef) -> bool:
    names = {ast.unparse(d.func if isinstance(d, ast.Call) else d) for d in function.decorator_list}
    return bool(names & {"flow", "task", "service_task"})


def test_flow_files_define_flows_only() -> None:
    """The same file loaded by path and by import gives every class twice."""
    for path in sources("flows"):
        tree = ast.parse(path.read_text())
        is_flow_file = any(
            isinstance(node, ast.FunctionDef) and "flow(" in ast.unparse(node.decorator_list[0])
            for node in tree.body
            if isinstance(node, ast.FunctionDef) and node.decorator_list
        )
        assert not (is_flow_file and any(isinstance(node, ast.ClassDef) for node in tree.body))


@pytest.mark.parametrize("arguments", [["--help"], ["campaign", "run", "--help"], ["serve", "-h"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\n"
        "from pigeonry.cli import main\n"
        "try:\n"
        f"    main({arguments!r})\n"
        "except SystemExit as done:\n"
        "    assert not done.code, done.code\n"
        "print('loaded', *sorted({name.partition('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )

    loaded = set(done.stdout.rpartition("loaded ")[2].split())
    assert "click" in loaded
    assert not loaded & HEAVY


def test_the_docstring_of_a_module_says_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in sources(*PACKAGES, "benchmarks", "scripts")
        if not ast.get_docstring(ast.parse(path.read_text()))
        and path.name != "__init__.py"
        and "versions" not in path.parts
    ]
    assert not silent
