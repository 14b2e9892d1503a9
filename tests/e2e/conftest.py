"""One run of the demo, shared by everything that reads what it left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Demo:
    home: Path
    result: dict[str, Any]
    calls: int  # that each campaign may ask of the local model
    seconds: int  # that it may take for them
    printed: str


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    home = tmp_path_factory.mktemp("demo") / "home"
    calls, seconds = 4, 12
    fetched = subprocess.run(
        [sys.executable, "-m", "pigeonry", "models", "fetch", "--home", str(home)],
        capture_output=True,
        text=True,
        check=False,
    )
    if fetched.returncode:
        print(f"models could not be fetched, the demo goes on without them: {fetched.stderr}")
    done = subprocess.run(
        [sys.executable, "-m", "pigeonry", "demo", "--home", str(home), "--json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={
            **os.environ,
            "PIGEONRY_LLM__LOCAL_CALLS": str(calls),
            "PIGEONRY_LLM__LOCAL_SECONDS": str(seconds),
        },
    )
    assert done.returncode == 0, done.stderr[-5000:]
    result = json.loads(done.stdout.splitlines()[-1])
    return Demo(home, result, calls, seconds, done.stderr + done.stdout)
