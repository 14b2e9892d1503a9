"""A real browser before the real web app: what a person sees, and what axe-core, the content security
policy and the console have to say about it.

`serving(...)` runs `pigeonry serve --only web`; `open_browser()` the system's Chromium. `Looker.look(name)`
takes the pictures of a page and collects what is wrong with it; `Looker.walk()` looks at one page of each
kind that links lead to.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import axe_playwright_python
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")
WIDTHS = (1280, 390)
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
PATIENCE = 120_000  # ms that a page may take on a busy machine
DOWNLOAD = re.compile(r"\.csv$|\.json$|/export$")


@dataclass(frozen=True)
class Served:
    """A running web app; `setup` is the link for the first operator."""

    base: str
    setup: str
    home: Path


@contextmanager
def serving(home: Path, env: dict[str, str]) -> Iterator[Served]:
    """`pigeonry serve --only web` on a free port, stopped by SIGTERM."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = home.with_suffix(".log")
    with log.open("w") as words:
        process = subprocess.Popen(
            [sys.executable, "-m", "pigeonry", "--home", str(home), "--json",
             "serve", "--only", "web", "--port", str(port)],
            stdout=subprocess.PIPE,
            stderr=words,
            env={**os.environ, **env},
            text=True,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, log.read_text()[-5000:]
            link = re.search(r"http\S+/setup/\S+", log.read_text())
            assert link, log.read_text()[-5000:]
            yield Served(json.loads(line)["web"], link[0], home)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            finally:
                process.kill()


@contextmanager
def open_browser() -> Iterator[Browser]:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM, args=list(FLAGS), timeout=PATIENCE
        )
        yield browser
        browser.close()


@dataclass
class Looker:
    """Somebody's window, and all that was wrong with the pages in it. `scheme`: light or dark."""

    page: Page
    base: str
    shots: Path
    prefix: str = ""  # of the pictures' names
    scheme: str = "light"
    wrong: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)  # kinds of pages that were looked at

    def visit(self, path: str) -> None:
        answer = self.page.goto(self.base + path)
        if answer is None or answer.status >= 400:
            self.wrong.append(f"{path}: {answer and answer.status}")

    def look(self, name: str) -> None:
        """Pictures at both widths; nothing may stick out on a phone, and axe may find nothing."""
        self.seen.append(kind(urlsplit(self.page.url).path))
        name = self.prefix + name
        for frame in self.page.locator("iframe").all():  # lazy ones load when they are seen
            frame.scroll_into_view_if_needed()
            frame.content_frame.locator("body > *").first.wait_for(state="attached")
        self.page.evaluate("scrollTo(0, 0)")
        for width in WIDTHS:
            self.page.set_viewport_size({"width": width, "height": 900})
            self.page.screenshot(path=self.shots / f"{name}-{width}.png", full_page=True)
        sideways = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if sideways > 0:
            self.wrong.append(f"{name}: {sideways} px stick out at {WIDTHS[-1]} px: {self._wide()}")
        if self.scheme == "light":
            self.page.set_viewport_size({"width": WIDTHS[0], "height": 900})
        self._axe(name)

    def walk(self, *, start: str = "/", most: int = 80) -> None:
        """One page of each kind that the links lead to, breadth first."""
        waiting, known = [start], {kind(start)}
        while waiting and len(known) <= most:
            path = waiting.pop(0)
            self.visit(path)
            self.look(kind(path).strip("/").replace("/", "-") or "first")
            for link in self.page.eval_on_selector_all(
                "a[href]", "found => found.map(a => a.href)"
            ):
                at = urlsplit(link)
                if not link.startswith(self.base) or DOWNLOAD.search(at.path):
                    continue
                if kind(at.path) not in known and not at.query:
                    known.add(kind(at.path))
                    waiting.append(at.path)

    def _wide(self) -> list[str]:
        """The outermost elements that reach beyond the window."""
        found: list[str] = self.page.evaluate(
            """() => [...document.querySelectorAll('body *')]
            .filter(e => e.getBoundingClientRect().right > innerWidth + 1
                         && !e.closest('.scroll :not(.scroll)') && !e.closest('.unseen'))
            .slice(0, 3).map(e => e.outerHTML.slice(0, 120))"""
        )
        return found

    def _axe(self, name: str) -> None:
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = self.page.evaluate(
            "tags => axe.run({runOnly: tags, resultTypes: ['violations']})", WCAG
        )
        for violation in found["violations"]:
            for node in violation["nodes"][:3]:
                self.wrong.append(
                    f"{name}: axe {violation['id']}: {violation['help']}: {node['html'][:160]} "
                    f"({'; '.join(check['message'] for check in node['any'] + node['all'] + node['none'])})"
                )


def kind(path: str) -> str:
    """/leads/17 and /leads/18 are pages of one kind."""
    return re.sub(r"(?<=/)(\d+|[0-9a-f]{12,})(?=/|$)", "n", path)


@contextmanager
def window(
    browser: Browser, base: str, shots: Path, *, language: str, scheme: str = "light"
) -> Iterator[Looker]:
    """A fresh window whose owner reads `language`: ro-RO or en-GB."""
    context = browser.new_context(locale=language, color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE)
    looker = Looker(context.new_page(), base, shots, f"{language[:2]}-", scheme)

    def console(message: ConsoleMessage) -> None:
        refused = "Failed to load resource" in message.text  # a form that was shown again says 400
        if message.type == "error" and not (refused and message.location["url"] == looker.page.url):
            looker.wrong.append(f"{looker.page.url}: console: {message.text}")

    def asked(request: Request) -> None:
        if not request.url.startswith((base, "data:", "about:")):
            looker.wrong.append(f"{looker.page.url}: asked outside: {request.url}")

    def answered(response: Response) -> None:
        if response.status >= 500:
            looker.wrong.append(f"{response.url}: status {response.status}")

    looker.page.on("console", console)
    looker.page.on("pageerror", lambda error: looker.wrong.append(f"{looker.page.url}: {error}"))
    looker.page.on("request", asked)
    looker.page.on("response", answered)
    looker.page.on("dialog", lambda dialog: dialog.accept())
    yield looker
    context.close()
