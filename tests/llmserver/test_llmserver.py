"""The local model server is ready, honestly absent, or gone with its parent."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pigeonry.llmserver import LocalServer, ServerUnavailable

FAKE = """
import http.server, os, sys, threading
sys.stdin and threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(STATUS); self.end_headers()
    def log_message(self, *a): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[-1])), H).serve_forever()
"""


def fake(status: int = 200, code: str = FAKE) -> tuple[str, ...]:
    return (sys.executable, "-c", code.replace("STATUS", str(status)))


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(b"no weights")
    return path


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().split()[2] != "Z"


def gone(pid: int, seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.05)
    return not alive(pid)


def test_it_is_up_inside_the_context_and_gone_after(weights: Path) -> None:
    with LocalServer(weights, command=fake()) as server:
        pid = server.pid
        assert server.url.startswith("http://127.0.0.1:")
        assert server.name == "tiny"
    assert gone(pid)


def test_missing_weights_are_a_reason_not_a_crash(tmp_path: Path) -> None:
    with pytest.raises(ServerUnavailable, match="weights are not there"):
        LocalServer(tmp_path / "none.gguf").start()


def test_a_child_that_dies_tells_why(weights: Path) -> None:
    code = "import sys; print('error: no such model', file=sys.stderr); sys.exit(3)"
    with pytest.raises(ServerUnavailable, match="error: no such model"):
        LocalServer(weights, command=fake(code=code)).start()


def test_a_child_that_never_loads_is_given_up_and_ended(weights: Path) -> None:
    server = LocalServer(weights, command=fake(503), start_seconds=1.0)
    with pytest.raises(ServerUnavailable, match="not ready within 1 s"):
        server.start()
    assert server.pid == 0


def test_a_server_that_died_is_started_again_once(weights: Path) -> None:
    with LocalServer(weights, command=fake()) as server:
        for expected in (True, False):
            os.kill(server.pid, 9)
            # Its last thread may outlive its first: dead is what its parent can wait for.
            os.waitid(os.P_PID, server.pid, os.WEXITED | os.WNOWAIT)
            assert server.ensure() is expected


def test_it_ends_when_its_parent_is_killed(weights: Path) -> None:
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            (
                "import sys, time\nfrom pathlib import Path\n"
                "from pigeonry.llmserver import LocalServer\n"
                f"server = LocalServer(Path({str(weights)!r}), command=eval(sys.argv[1]))\n"
                "server.start(); print(server.pid, flush=True); time.sleep(60)"
            ),
            repr(fake()),
        ],
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    assert gone(child)


@pytest.mark.slow
def test_weights_that_are_none_are_a_reason(weights: Path) -> None:
    with pytest.raises(ServerUnavailable, match="did not start"):
        LocalServer(weights, start_seconds=60).start()
