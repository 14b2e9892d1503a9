"""Starts, watches and stops the local model server: a child process on loopback that dies with us.

Knows a weights file and a port. Knows no prompt; whoever wants text asks over HTTP.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

from pigeonry.errors import OutsideFailure

ALIAS_MAX = 40
_CONTEXT = 2048
_FIX = "the copy library writes meanwhile; `pigeonry models fetch` and `pigeonry doctor` help"


class ServerUnavailable(OutsideFailure):
    """The local model server did not start or did not stay up; `what` is the reason for the report."""

    code = "local_model"


class LocalServer:
    """One server of one weights file. Use it as a context manager, or call `start` and `stop`.

    One thread by default: on a machine whose cores are shared, two were 9-35 times slower.
    `command` replaces the child (tests give it one that misbehaves).
    """

    def __init__(
        self,
        model: Path,
        *,
        threads: int = 1,
        start_seconds: float = 90.0,
        command: Sequence[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.model = model
        self.threads = threads
        self.start_seconds = start_seconds
        self.restarts = 0
        self.url = ""
        self._command = tuple(command)
        self._clock = clock
        self._child: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None

    @property
    def name(self) -> str:
        """What the ledger calls the model: its file's name without its ending."""
        return self.model.stem[:ALIAS_MAX]

    @property
    def pid(self) -> int:
        return self._child.pid if self._child else 0

    def __enter__(self) -> LocalServer:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> str:
        """Start and wait until the weights are loaded; the base URL for an OpenAI client.

        Raises ServerUnavailable with a reason that a marketer can read.
        """
        if not self._command and importlib.util.find_spec("xllamacpp") is None:
            raise ServerUnavailable("the package xllamacpp is not installed", fix=_FIX)
        if not self.model.is_file():
            raise ServerUnavailable("its weights are not there", where=str(self.model), fix=_FIX)
        reason = ""
        for _ in range(3):  # another program may take the free port before the child does
            reason = self._launch()
            if not reason:
                return self.url
            self.stop()
            if "port" not in reason:
                break
        raise ServerUnavailable(f"it did not start: {reason}", where=str(self.model), fix=_FIX)

    def ensure(self) -> bool:
        """Is it up? A server that died is started again, once in its life."""
        if self._child is not None and self._child.poll() is None:
            return True
        if self.restarts or self._child is None:
            return False
        self.restarts += 1
        self.stop()
        try:
            self.start()
        except ServerUnavailable:
            return False
        return True

    def stop(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            if child.stdin:
                child.stdin.close()
            child.terminate()
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        if self._errors is not None:
            self._errors.close()
            self._errors = None

    def _launch(self) -> str:
        """Start a child; "" once it answers, else why it does not."""
        port = _free_port()
        command = self._command or (
            sys.executable, "-m", "pigeonry.llmserver.child", str(self.model), self.name,
            str(self.threads), str(_CONTEXT),
        )  # fmt: skip
        environment = {
            **os.environ,
            "OMP_WAIT_POLICY": "passive",
            "OMP_NUM_THREADS": str(self.threads),
        }
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child
        # The child reads its standard input: when we die, however, the pipe closes and it ends.
        self._child = subprocess.Popen(
            [*command, str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            env=environment,
        )
        end = self._clock() + self.start_seconds
        while self._clock() < end:
            if self._child.poll() is not None:
                return self._last_words(f"it ended with code {self._child.returncode}")
            if _healthy(port):
                self.url = f"http://127.0.0.1:{port}/v1"
                return ""
            time.sleep(0.1)
        return f"it was not ready within {self.start_seconds:g} s"

    def _last_words(self, otherwise: str) -> str:
        assert self._errors is not None
        self._errors.seek(0)
        lines = [
            line.strip() for line in self._errors.read().decode("utf-8", "replace").splitlines()
        ]
        told = [line for line in lines if "error" in line.lower() or "fail" in line.lower()]
        return f"{otherwise} ({told[-1][:200]})" if told else otherwise


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _healthy(port: int) -> bool:
    """200 means that the weights are loaded; until then it answers 503 to everything."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}/health", timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False
