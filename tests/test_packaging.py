"""What leaves as a wheel, and whose names it takes."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OURS = {"audience", "feedback", "flows", "generation", "pigeonry", "scoring"}


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The files of a wheel that is built from a copy of what git knows or would take."""
    source = tmp_path_factory.mktemp("source")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, source / name)
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"),
            *("--no-build-isolation", "--wheel-dir", str(folder), str(source)),
        ],
        check=True,
    )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_each_of_our_top_level_names_belongs_to_our_distribution_alone() -> None:
    """The flat names are generic; two distributions with one name would overwrite each other."""
    owners = importlib.metadata.packages_distributions()

    assert {name: set(owners.get(name, ["pigeonry"])) for name in OURS} == {
        name: {"pigeonry"} for name in OURS
    }


def test_the_wheel_has_our_packages_and_no_tests(wheel_names: list[str]) -> None:
    tops = {name.partition("/")[0] for name in wheel_names if ".dist-info/" not in name}

    assert tops == OURS


def test_the_wheel_has_every_module_of_the_tree(wheel_names: list[str]) -> None:
    modules = {
        str(path.relative_to(ROOT)) for folder in OURS for path in (ROOT / folder).rglob("*.py")
    }
    assert modules <= set(wheel_names)


def test_the_wheel_has_the_templates_inside_pigeonry(wheel_names: list[str]) -> None:
    data = {
        f"pigeonry/templates/{path.relative_to(ROOT / 'templates')}"
        for path in (ROOT / "templates").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert data <= set(wheel_names)


def test_the_lock_names_every_package_with_a_hash_and_no_place_of_origin() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    packages = [line for line in lines if line and not line.startswith((" ", "#"))]

    assert packages
    assert all(line.endswith("\\") and "==" in line for line in packages)
    assert not any("://" in line or line.startswith("-") for line in lines)
    assert not any(line.startswith("torch==") for line in packages)


def test_the_lock_holds_every_exact_pin_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    locked = {line.split(" ")[0] for line in (ROOT / "requirements.lock").read_text().splitlines()}
    wanted = {pin for pin in project["dependencies"] if "==" in pin and not pin.startswith("torch")}

    assert wanted <= locked
