"""Default deny: every route says who may use it, and the ones without a sign-in are listed here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from pigeonry.config import Home
from pigeonry.domain.operator import ALLOWED, Role
from pigeonry.store.session import Database
from pigeonry.web.api.routes import Tokened
from pigeonry.web.auth.routes import Guarded
from tests.web.console import Visitor, console

# What answers without a sign-in, and why that is safe.
ANONYMOUS = {
    "/health",  # counters only
    "/healthz",  # up or not
    "/style.css",
    "/static/{digest}/{name:path}",
    "/t/{token:path}",  # a signed link of a mail
    "/o/{token:path}",
    "/u",
    "/u/{token:path}",  # the way out: a signed link
    "/u/{token}/preferences",
    "/subscribe",  # asks by mail first
    "/c/{token:path}",  # a signed link of that mail
    "/hooks/sendgrid",  # signed
    "/hooks/inbound/{secret}",  # secret in the path
    "/hooks/crm/{source}",  # signed
    "/hooks/crm/{source}/{token}",  # secret in the path
    "/api/v1/conversions",  # a token of its own
    "/api/v1/openapi.json",  # what the API is
}
ANONYMOUS_IN_THE_CONSOLE = {
    "/sign-in",
    "/sign-in/code",
    "/setup/{token}",  # a one-time link
}


@pytest.fixture
def visitor(home: Home, database: Database) -> Iterator[Visitor]:
    with console(home, database) as found:
        yield found


def routes(app: FastAPI) -> Iterator[APIRoute]:
    """Every route, those of included routers too."""
    waiting = list(app.routes)
    while waiting:
        route = waiting.pop()
        if hasattr(route, "original_router"):
            waiting += route.original_router.routes
        else:
            assert isinstance(route, APIRoute), f"{route} cannot say who may use it"
            yield route


def test_every_route_says_who_may_use_it_and_holds_to_it(visitor: Visitor) -> None:
    """Walks all of them: nobody in without a sign-in, nobody beyond their role, no form without its
    token."""
    stranger = visitor.anonymous()
    colleagues = {role: visitor.as_role(role) for role in Role if role is not Role.ADMIN}
    walked = 0
    for route in routes(visitor.app):
        if isinstance(route, Tokened):  # the API: its own tests walk its scopes
            continue
        if not isinstance(route, Guarded):
            assert route.path in ANONYMOUS, f"{route.path} has no policy"
            continue
        policy = route.policy
        walked += 1
        if policy.may is None:
            assert route.path in ANONYMOUS_IN_THE_CONSOLE, f"{route.path} is open to anyone"
            continue
        path = _filled(route.path)
        for method in route.methods - {"HEAD"}:
            answer = stranger.request(method, path)
            assert answer.status_code in (303, 401), (method, path, answer.status_code)
            assert answer.headers.get("location", "/sign-in").startswith("/sign-in")
            for role, colleague in colleagues.items():
                if policy.may not in ALLOWED[role]:
                    answer = colleague.client.request(method, path)
                    assert answer.status_code == 403, (role, method, path)
            if method == "POST":
                forged = visitor.client.post(path, headers={"Sec-Fetch-Site": "same-origin"})
                assert forged.status_code == 403, path
                forged = visitor.client.post(
                    path,
                    headers={"Sec-Fetch-Site": "cross-site", "X-CSRF": visitor.csrf},
                )
                assert forged.status_code == 403, path
    assert walked > 10


def test_the_console_answers_under_its_own_name_only(visitor: Visitor) -> None:
    for host in ("evil.example", "127.0.0.1.evil.example", "10.0.0.1", ""):
        assert visitor.get("/account", headers={"Host": host}).status_code in (400, 404)
    assert visitor.get("/account", headers={"X-Forwarded-For": "1.2.3.4"}).status_code == 404
    assert visitor.get("/account", headers={"Host": "localhost:1"}).status_code == 200


def test_a_page_that_is_not_there_is_said_by_the_console_to_whoever_is_signed_in(
    visitor: Visitor,
) -> None:
    own = visitor.get("/nothing/here")
    assert own.status_code == 404
    assert "there is no such page" in own.text
    assert "there is no such page" not in visitor.anonymous().get("/nothing/here").text
    assert visitor.client.delete("/api/v1/suppressions").headers["allow"] == "GET, POST"
    assert visitor.get("/api/v1/nothing").headers["content-type"] == "application/problem+json"


def _filled(path: str) -> str:
    """The path with numbers in place of its parameters."""
    parts = ["1" if part.startswith("{") else part for part in path.split("/")]
    return "/".join(parts)
