"""Where Prefect keeps its files and whom it talks to."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def settings_of(home: Path, env: dict[str, str]) -> dict[str, str]:
    code = (
        "import sys, pathlib, flows\n"
        "assert 'prefect' not in sys.modules\n"
        f"flows.settle(pathlib.Path({str(home)!r}))\n"
        "from prefect.settings import get_current_settings as now\n"
        "print(now().home, now().server.analytics_enabled, now().server.ephemeral.startup_timeout_seconds)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **env},
    )
    assert done.stderr == ""
    folder, analytics, seconds = done.stdout.split()
    return {"home": folder, "analytics": analytics, "seconds": seconds}


def test_prefect_stays_inside_the_home_and_reports_nothing(tmp_path: Path) -> None:
    assert settings_of(tmp_path / "new" / "home", {}) == {
        "home": str(tmp_path / "new" / "home" / "prefect"),
        "analytics": "False",
        "seconds": "180",
    }


def test_what_the_user_has_set_wins(tmp_path: Path) -> None:
    theirs = str(tmp_path / "theirs")

    assert settings_of(tmp_path, {"PREFECT_HOME": theirs})["home"] == theirs


def test_looking_at_flows_makes_no_folder(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", "import flows"], check=True, cwd=tmp_path)

    assert not list(tmp_path.iterdir())
