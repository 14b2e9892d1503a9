"""`pigeonry serve`: the Prefect server, the deployments, a worker and the web app, as one thing that starts
and stops."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pigeonry.cli.common import Output, command_body
from pigeonry.errors import BadInput, OutsideFailure

if TYPE_CHECKING:
    from pigeonry.config import Home
    from pigeonry.store.session import Database

START_SECONDS = 180  # the first start of a home migrates Prefect's database
STOP_SECONDS = 8  # a Prefect worker outlives the first SIGTERM until its runs have ended
BUSY_SECONDS = 60  # how long its answer 503 may mean "later"
POOL = "pigeonry"  # as in prefect.yaml


@click.command()
@click.option(
    "--only",
    type=click.Choice(["server", "worker", "web"]),
    help="Just this part, e.g. more workers beside one server, or the web app alone.",
)
@command_body
def serve(output: Output, only: str | None) -> int:
    """Run the Prefect server, a worker and the web app in one command, until Ctrl-C or SIGTERM.

    The web app answers links in mails, webhooks and sign-ups, and needs none of the others. Deploys what prefect.yaml names. Every file of Prefect's stays in the home folder. Prefect's pages call
    a host of Amplitude from the browser even with analytics off; they work without it.
    """
    home, db = output.open()  # a home that cannot be used is said before anything starts
    if only == "web":
        return _web(output, home, db)
    db.dispose()
    root = _checkout()
    env = _environment(home, root)
    api = env["PREFECT_API_URL"]
    parts: dict[str, subprocess.Popen[bytes]] = {}
    stop = _Stop()
    url = ""
    try:
        if only != "worker":
            host, port = home.settings.prefect.host, str(home.settings.prefect.port)
            _refuse_taken(api)
            parts["server"] = _start(["server", "start", "--host", host, "--port", port], env, root)
        _wait_healthy("Prefect server", api, parts, stop, output)
        if only != "worker" and not stop.asked:
            output.say(f"Prefect   {api.removesuffix('/api')}")
            _deploy(env, root)
        if only != "server" and not stop.asked:
            name = f"pigeonry-{os.getpid()}"
            parts["worker"] = _start(
                ["worker", "start", "--pool", POOL, "--type", "process", "--name", name], env, root
            )
            output.say(f"worker    {name}, pool {POOL}")
        if only is None and not stop.asked:
            web = home.settings.web
            parts["web"] = _start_module(
                ["pigeonry", "--home", str(home.path), "--json", "serve", "--only", "web"],
                env,
                root,
            )
            url = f"http://{web.host}:{web.port}"
            _wait_healthy("web app", url, parts, stop, output)
            output.say(f"web       {url}")
        output.say(f"home      {home.path}")
        output.say("Ctrl-C stops it")
        output.result({"prefect": api, "web": url, "home": home.path, "parts": list(parts)})
        sys.stdout.flush()
        _watch(parts, stop)
    finally:
        _stop_all(parts)
    output.say("stopped")
    return 0


def _web(output: Output, home: Home, db: Database) -> int:
    """The web app in this process."""
    from pigeonry.web.server import run, take

    web = home.settings.web
    _Stop()  # the server listens to these signals itself and hands them on when it has ended
    with take(web.host, web.port) as socket:
        host, port = socket.getsockname()[:2]
        output.say(f"web       http://{host}:{port}")
        output.say(f"home      {home.path}")
        output.say("Ctrl-C stops it")
        output.result({"web": f"http://{host}:{port}", "home": home.path, "parts": ["web"]})
        sys.stdout.flush()
        run(home, db, socket)
    db.dispose()
    output.say("stopped")
    return 0


class _Stop:
    """Remembers that SIGTERM or Ctrl-C came."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, _number: int, _frame: object) -> None:
        self.asked = True


def _checkout() -> Path:
    import flows

    root = Path(flows.__file__).resolve().parents[1]
    if not (root / "prefect.yaml").exists():
        raise BadInput(
            "no prefect.yaml beside the flows",
            where=str(root),
            fix="run Pigeonry from a checkout: `make serve`",
        )
    return root


def _environment(home: Home, root: Path) -> dict[str, str]:
    """Prefect's settings, and the home as this command was given it, for the server and every run."""
    import flows

    prefect = home.settings.prefect
    return {
        **os.environ,
        **flows.environment(home.path),
        "PREFECT_API_URL": f"http://{prefect.host}:{prefect.port}/api",
        "PIGEONRY_HOME": str(home.path),
        "PWD": str(root),
    }


def _start(arguments: Sequence[str], env: Mapping[str, str], root: Path) -> subprocess.Popen[bytes]:
    return _start_module(["prefect", *arguments], env, root)


def _start_module(
    arguments: Sequence[str], env: Mapping[str, str], root: Path
) -> subprocess.Popen[bytes]:
    """Each part has a session of its own: the terminal's Ctrl-C reaches us alone, and we stop the parts
    in their order."""
    return subprocess.Popen(
        [sys.executable, "-m", *arguments],
        env=dict(env),
        cwd=root,
        stdout=sys.stderr.fileno(),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )


def _run(arguments: Sequence[str], env: Mapping[str, str], root: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "prefect", *arguments],
        env=dict(env),
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )
    if done.returncode != 0:
        raise OutsideFailure(
            f"prefect said: {(done.stderr or done.stdout).strip()[-500:]}",
            where=f"prefect {' '.join(arguments)}",
            fix="mend that and start again",
        )


def _deploy(env: Mapping[str, str], root: Path) -> None:
    """Deploy prefect.yaml when it is new or changed: doing it each time would undo the schedules that
    somebody has switched on or off in Prefect's UI."""
    api, marker = env["PREFECT_API_URL"], Path(env["PREFECT_HOME"]) / "deployed"
    wanted = hashlib.sha256((root / "prefect.yaml").read_bytes() + bytes(root)).hexdigest()
    if marker.exists() and marker.read_text() == wanted:
        return
    _post(f"{api}/work_pools/", {"name": POOL, "type": "process"})
    for tag in ("provider", "model"):  # as in flows.campaign: one sender, one writer at a time
        _post(f"{api}/concurrency_limits/", {"tag": tag, "concurrency_limit": 1})
    _run(["--no-prompt", "deploy", "--all"], env, root)
    marker.write_text(wanted)


def _post(url: str, body: Mapping[str, str | int]) -> None:
    """Make something; that it exists already is as good. A pool without a template gets it from its
    first worker."""
    request = urllib.request.Request(  # noqa: S310 - our own server
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            urllib.request.urlopen(request, timeout=60).close()  # noqa: S310
            return
        except urllib.error.HTTPError as error:
            if error.code == 409:
                return
            # While it starts, Prefect's own services lock its SQLite, and it says 503 meanwhile.
            if error.code != 503 or time.monotonic() > deadline:
                raise OutsideFailure(
                    f"the Prefect server answered {error.code}", where=url, fix="its log is above"
                ) from error
        time.sleep(1)


def _healthy(api: str) -> bool:
    try:
        with urllib.request.urlopen(f"{api}/health", timeout=5) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _refuse_taken(api: str) -> None:
    if _healthy(api):
        raise OutsideFailure(
            "a Prefect server answers there already",
            where=api,
            fix="stop it, run `pigeonry serve --only worker` beside it, or set another prefect.port",
        )


def _wait_healthy(
    name: str,
    url: str,
    parts: Mapping[str, subprocess.Popen[bytes]],
    stop: _Stop,
    output: Output,
) -> None:
    began = time.monotonic()
    while not stop.asked and not _healthy(url):
        _refuse_dead(parts)
        if time.monotonic() - began > START_SECONDS:
            raise OutsideFailure(
                f"the {name} did not answer within {START_SECONDS} s",
                where=url,
                fix="its log is above; with --only worker, start the server first",
            )
        output.progress(f"waiting for the {name}, seconds", int(time.monotonic() - began))
        time.sleep(0.5)


def _refuse_dead(parts: Mapping[str, subprocess.Popen[bytes]]) -> None:
    for name, part in parts.items():
        if part.poll() is not None:
            raise OutsideFailure(
                f"the {name} ended by itself with exit code {part.returncode}",
                where=f"process {part.pid}",
                fix="its log is above; is the port free (prefect.port, web.port)?",
            )


def _watch(parts: Mapping[str, subprocess.Popen[bytes]], stop: _Stop) -> None:
    while not stop.asked:
        _refuse_dead(parts)
        time.sleep(0.5)


def _stop_all(parts: Mapping[str, subprocess.Popen[bytes]]) -> None:
    """End the worker before the server, so that runs can still say how they ended. Each is asked first,
    and whatever is left is told after STOP_SECONDS and killed after as many again."""
    import psutil

    for part in reversed(list(parts.values())):
        with contextlib.suppress(psutil.NoSuchProcess):
            root = psutil.Process(part.pid)
            # A worker starts each run in a session of its own and leaves it behind when it is killed.
            left = [root, *root.children(recursive=True)]
            root.terminate()
            _, left = psutil.wait_procs(left, STOP_SECONDS)
            for order in ("terminate", "kill"):
                for process in left:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        getattr(process, order)()
                _, left = psutil.wait_procs(left, STOP_SECONDS)
        part.wait()
