"""The web app as an operator would run it, in a process of its own, and requests to it exactly as they are written."""

from __future__ import annotations

import email
import http.client
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email import policy
from pathlib import Path

from pigeonry.config import Home
from pigeonry.errors import OutsideFailure

_START_SECONDS = 60.0
ONE_CLICK = b"List-Unsubscribe=One-Click"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: tuple[tuple[str, str], ...]  # names in lower case; one that comes twice stands twice
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for known, value in self.headers if known == name]


@dataclass
class Website:
    """A running web app."""

    port: int
    _line: http.client.HTTPConnection | None = None

    def ask(
        self, method: str, path: str, *, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request over a connection that is kept. A path is sent as it is, and no redirect is followed."""
        for last in (False, True):
            line = self._line or http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            self._line = line
            try:
                return _ask(line, method, path, body, headers or {})
            except (http.client.HTTPException, ConnectionError):
                self.close()  # the app closes what it has turned away
                if last:
                    raise
        raise AssertionError

    def close(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None


def _ask(
    line: http.client.HTTPConnection,
    method: str,
    path: str,
    body: bytes,
    headers: Mapping[str, str],
) -> Answer:
    line.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
    for name, value in headers.items():
        line.putheader(name, value)
    if body or method == "POST":
        line.putheader("Content-Length", str(len(body)))
    line.endheaders(body or None)
    answer = line.getresponse()
    found = tuple((name.lower(), value) for name, value in answer.getheaders())
    return Answer(answer.status, found, answer.read())


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def settings(port: int) -> str:
    """What a home needs so that links in its mails lead to a web app at that port."""
    base = f"http://127.0.0.1:{port}"
    return (
        f'[links]\nbase_url = "{base}"\n[tracking]\nbase_url = "{base}"\n[web]\nport = {port}\n'
        "trust_proxy = true\n"
    )


@contextmanager
def running(home: Home, log: Path) -> Iterator[Website]:
    """`pigeonry serve --only web` on the home's port, until it is told to stop."""
    port = home.settings.web.port
    with log.open("ab") as words:
        child = subprocess.Popen(
            [sys.executable, "-m", "pigeonry", "--home", str(home.path), "serve", "--only", "web"],
            stdout=words,
            stderr=words,
        )
    site = Website(port)
    try:
        _wait(child, site, log)
        yield site
    finally:
        site.close()
        child.terminate()
        child.wait()


def _wait(child: subprocess.Popen[bytes], site: Website, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            if site.ask("GET", "/health").status == 200:
                return
        except OSError:
            pass
        if child.poll() is not None or time.monotonic() > deadline:
            raise OutsideFailure("the web app did not start", where=str(log), fix="run it again")
        time.sleep(0.05)


@dataclass(frozen=True, slots=True)
class Mail:
    """What the far end sees of one mail: whom it is to, and where its links lead (paths of our web app)."""

    key: str
    to: str
    one_click: str
    clicks: tuple[str, ...]
    picture: str


def mails(outbox: Path) -> list[Mail]:
    """Every mail that was written to the outbox, in the order of its file names."""
    return [_mail(path) for path in sorted(outbox.rglob("*.eml"))]


def _mail(path: Path) -> Mail:
    message = email.message_from_bytes(path.read_bytes(), policy=policy.default)
    if message["List-Unsubscribe-Post"] != ONE_CLICK.decode():
        raise AssertionError(f"{path.name} offers no one click")
    [way_out] = re.findall(r"<http://[^/]*(/[^>]+)>", message["List-Unsubscribe"])
    html = message.get_body(("html",))
    text = html.get_content() if html else ""
    links = re.findall(r'(?:href|src)="http://127\.0\.0\.1:\d+(/[to]/[^"]+)"', text)
    return Mail(
        key=path.stem,
        to=str(message["To"]).rpartition("<")[2].rstrip(">"),
        one_click=way_out,
        clicks=tuple(dict.fromkeys(link for link in links if link.startswith("/t/"))),
        picture=next((link for link in links if link.startswith("/o/")), ""),
    )
