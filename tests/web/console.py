"""A console that somebody is signed in to: what tests of pages share.

`console(home, database)` runs the real app on a loopback port. `visitor.get(...)`; `visitor.post(path, fields)`
sends the form token; `visitor.as_role(Role.VIEWER)` is somebody else's browser.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
from fastapi import FastAPI

from pigeonry.config import Home
from pigeonry.domain.operator import Operator, Role
from pigeonry.service import operators, sign_in
from pigeonry.service.sign_in import Place
from pigeonry.store.session import Database
from pigeonry.web.app import build_app
from pigeonry.web.auth.visit import csrf_of
from tests.web.conftest import running

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
PASSWORD = "corect cal baterie agrafa"


@dataclass
class Visitor:
    """A browser in which somebody is signed in."""

    app: FastAPI
    base: str
    home: Home
    database: Database
    operator: Operator
    token: str
    client: httpx.Client
    moment: list[datetime] = field(default_factory=lambda: [NOW])

    @property
    def csrf(self) -> str:
        return csrf_of(self.token)

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.client.get(path, **more)

    def post(self, path: str, fields: dict[str, Any] | None = None, **more: Any) -> httpx.Response:
        """As a form of one of our pages does."""
        headers = {"Sec-Fetch-Site": "same-origin", **more.pop("headers", {})}
        data = {"csrf": self.csrf, **(fields or {})}
        return self.client.post(path, data=data, headers=headers, **more)

    def as_role(self, role: Role) -> Visitor:
        """A colleague with that role, signed in to the same console."""
        return _signed_in(self.app, self.base, self.home, self.database, role, self.moment)

    def anonymous(self) -> httpx.Client:
        return httpx.Client(base_url=self.base, timeout=60, headers={"Accept-Language": "en"})


@contextmanager
def console(
    home: Home, database: Database, role: Role = Role.ADMIN, language: str = "en"
) -> Iterator[Visitor]:
    moment = [NOW]
    app = build_app(home, database, clock=lambda: moment[0], drain=False)
    with running(app) as port:
        base = f"http://127.0.0.1:{port}"
        visitor = _signed_in(app, base, home, database, role, moment)
        visitor.client.headers["Accept-Language"] = language
        with visitor.client:
            yield visitor


def _signed_in(
    app: FastAPI,
    base: str,
    home: Home,
    database: Database,
    role: Role,
    moment: list[datetime],
) -> Visitor:
    """Without a password: working one out takes time that only its own tests need."""
    operator = operators.add(
        database,
        home,
        name=f"A {role.value}",
        email=f"{role.value}@example.com",
        role=role,
        by="test",
        now=moment[0],
    )
    place = Place("127.0.0.1", "test")
    entered = sign_in.enter_by_link(database, home, operator, place=place, now=moment[0])
    client = httpx.Client(
        base_url=base,
        timeout=60,
        headers={"Accept-Language": "en"},
        cookies={"pigeonry": entered.token},
    )
    return Visitor(app, base, home, database, operator, entered.token, client, moment)


def said(answer: httpx.Response) -> str:
    """A page's visible words, roughly."""
    return " ".join(re.sub(r"<[^>]+>", " ", answer.text).split())
