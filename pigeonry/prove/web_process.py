"""The web process as an operator runs it, to be killed and started again on the same port."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pigeonry.errors import OutsideFailure

_START_SECONDS = 180.0


@dataclass
class WebProcess:
    """`starts` and `down` (seconds between a kill and the next answer) are counted."""

    home: Path
    port: int
    log: Path  # of what it says
    starts: int = 0
    down: float = 0.0
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        began = time.monotonic()
        with self.log.open("ab") as words:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "pigeonry",
                    "--home",
                    str(self.home),
                    "serve",
                    "--only",
                    "web",
                ],
                env={**os.environ, "PIGEONRY_WEB__PORT": str(self.port)},
                stdout=words,
                stderr=words,
            )
        self.starts += 1
        while self.health() is None:
            if self.process.poll() is not None or time.monotonic() - began > _START_SECONDS:
                raise OutsideFailure(
                    "the web process does not answer", where=str(self.log), fix="read it there"
                )
            time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL, and start it again."""
        assert self.process is not None
        began = time.monotonic()
        self.process.kill()
        self.process.wait()
        self.start()
        self.down += time.monotonic() - began

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def end(self) -> None:
        """However it stands: nothing of it is left."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def drained(self, longest: float = 600.0) -> None:
        """Wait until everything that it stored is understood."""
        deadline = time.monotonic() + longest
        while (health := self.health()) is None or health["undrained"]:
            if time.monotonic() > deadline:
                raise OutsideFailure(
                    f"stored events still wait after {longest:g} s", where=str(self.log)
                )
            time.sleep(0.1)

    def health(self) -> dict[str, Any] | None:
        """What /health says; None when nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", "/health")
            found = json.loads(connection.getresponse().read())
            assert isinstance(found, dict)
            return found
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
