"""The command line as programs and people meet it: a real process each time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "litellm", "prefect", "pandas", "sklearn", "sqlalchemy", "pydantic", "numpy")


def pigeonry(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pigeonry", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
    )


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from pigeonry.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit: pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert "campaign" in done.stdout


@pytest.mark.parametrize("place", ["before", "after"])
def test_home_and_json_work_before_and_after_the_subcommand(tmp_path: Path, place: str) -> None:
    options = ["--json", "--home", str(tmp_path / "h")]
    done = pigeonry(*options, "init") if place == "before" else pigeonry("init", *options)
    assert done.returncode == 0
    assert json.loads(done.stdout.splitlines()[-1])["home"] == str(tmp_path / "h")
    assert len(done.stdout.splitlines()) == 1


def test_wrong_use_leaves_with_two_and_says_what_to_do(tmp_path: Path) -> None:
    done = pigeonry("--home", str(tmp_path), "--json", "campaign", "show", "7")
    assert done.returncode == 2
    assert "campaign 7" in done.stderr
    assert json.loads(done.stdout)["error"] == "not_found"


def test_a_brief_that_does_not_exist_is_named(tmp_path: Path) -> None:
    done = pigeonry("--home", str(tmp_path), "campaign", "run", "nowhere.toml")
    assert done.returncode == 2
    assert "nowhere.toml" in done.stderr
