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
from dataclasses import replace
from datetime import UTC, datetime
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
LOOK_SECONDS = 10  # how often the Prefect server is asked how it is
BUSY_SECONDS = 60  # how long its answer 503 may mean "later"
POOL = "pigeonry"  # as in prefect.yaml


@click.command()
@click.option(
    "--only",
    type=click.Choice(["server", "worker", "web"]),
    help="Just this part, e.g. more workers beside one server, or the web app alone.",
)
@click.option("--host", default="", help="Where the web app listens, instead of web.host.")
@click.option("--port", type=click.IntRange(1, 65535), help="Its port, instead of web.port.")
@command_body
def serve(output: Output, only: str | None, host: str, port: int | None) -> int:
    """Run the web app, the Prefect server and a worker in one command, until Ctrl-C or SIGTERM.

    The web app is there first: pages for operators, links in mails, webhooks and sign-ups; it needs none of the others. While nobody has signed in yet, it prints a link for the first operator, good once and for 15 minutes. GET /healthz says 200 as soon as all parts are up. Deploys what prefect.yaml names. Every file of Prefect's stays in the home folder. Prefect's pages call
    a host of Amplitude from the browser even with analytics off; they work without it.
    """
    home, db = output.open()  # a home that cannot be used is said before anything starts
    home = _listening(home, host, port)
    if only == "web":
        return _web(output, home, db)
    db.dispose()
    root = _checkout()
    env = _environment(home, root)
    api = env["PREFECT_API_URL"]
    parts: dict[str, subprocess.Popen[bytes]] = {}
    up = _Up(home) if only is None else None
    stop = _Stop()
    url = ""
    try:
        if up is not None:
            web = home.settings.web
            parts["web"] = _start_module(
                ["pigeonry", "--home", str(home.path), "--json", "serve", "--only", "web"],
                {**env, "PIGEONRY_PARTS_FILE": str(up.file)},
                root,
            )
            url = f"http://{_bracketed(web.host)}:{web.port}"
            _wait_healthy("web app", url, parts, stop, output)
        if only != "worker":
            prefect = home.settings.prefect
            _refuse_taken(api)
            where = ["--host", prefect.host, "--port", str(prefect.port)]
            parts["server"] = _start(["server", "start", *where], env, root)
        _wait_healthy("Prefect server", api, parts, stop, output)
        if up is not None:
            up.say(server=True)
        if only != "worker" and not stop.asked:
            output.say(f"Prefect   {api.removesuffix('/api')}")
            _deploy(env, root)
        if only != "server" and not stop.asked:
            name = f"pigeonry-{os.getpid()}"
            parts["worker"] = _start(
                ["worker", "start", "--pool", POOL, "--type", "process", "--name", name], env, root
            )
            output.say(f"worker    {name}, pool {POOL}")
            if up is not None:
                up.say(server=True, worker=True)
        output.say(f"home      {home.path}")
        output.say("Ctrl-C stops it")
        output.result({"prefect": api, "web": url, "home": home.path, "parts": list(parts)})
        sys.stdout.flush()
        _watch(parts, stop, api, up)
    finally:
        _stop_all(parts)
        if up is not None:
            up.forget()
    output.say("stopped")
    return 0


def _web(output: Output, home: Home, db: Database) -> int:
    """The web app in this process."""
    from pigeonry.service import operators
    from pigeonry.web.auth.hosts import console_url
    from pigeonry.web.server import run, take

    web = home.settings.web
    _Stop()  # the server listens to these signals itself and hands them on when it has ended
    with take(web.host, web.port) as socket:
        host, port = socket.getsockname()[:2]
        url, console = f"http://{_bracketed(host)}:{port}", console_url(home, host, port)
        output.say(f"web       {url}")
        output.say(f"console   {console or 'closed: set web.console_url (https) to open it'}")
        if console and operators.nobody_yet(db):
            token = operators.first_link(db, home, now=datetime.now(UTC))
            output.say(
                f"          first operator, once, within 15 minutes: {console}/setup/{token}"
            )
        if "PIGEONRY_PARTS_FILE" not in os.environ:
            output.say(f"home      {home.path}")
            output.say("Ctrl-C stops it")
        output.result({"web": url, "console": console, "home": home.path, "parts": ["web"]})
        sys.stdout.flush()
        run(home, db, socket)
    db.dispose()
    output.say("stopped")
    return 0


def _listening(home: Home, host: str, port: int | None) -> Home:
    """The home with another place to listen at, for this run; parts that are started inherit it."""
    chosen: dict[str, str | int] = {}
    if host:
        chosen["host"] = host
        os.environ["PIGEONRY_WEB__HOST"] = host
    if port:
        chosen["port"] = port
        os.environ["PIGEONRY_WEB__PORT"] = str(port)
    web = home.settings.web.model_copy(update=chosen)
    return replace(home, settings=home.settings.model_copy(update={"web": web}))


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


class _Up:
    """Tells the web app, whose /healthz is asked, which of the parts beside it are up."""

    def __init__(self, home: Home) -> None:
        self.file = home.path / "prefect" / f"parts-{os.getpid()}.json"
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self._said = ""
        self.say(server=False, worker=False)

    def say(self, *, server: bool = False, worker: bool = False) -> None:
        text = json.dumps({"prefect": server, "worker": worker})
        if text != self._said:
            whole = self.file.with_suffix(".new")
            whole.write_text(text, encoding="utf-8")
            whole.replace(self.file)
            self._said = text

    def forget(self) -> None:
        self.file.unlink(missing_ok=True)


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


def _watch(
    parts: Mapping[str, subprocess.Popen[bytes]], stop: _Stop, api: str, up: _Up | None
) -> None:
    looked = time.monotonic()
    while not stop.asked:
        _refuse_dead(parts)
        if up is not None and time.monotonic() - looked > LOOK_SECONDS:
            up.say(server=_healthy(api), worker=True)
            looked = time.monotonic()
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
