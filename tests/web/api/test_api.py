"""The API as a program sees it: tokens and their scopes, errors of one shape, nothing made twice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from pigeonry.config import Home
from pigeonry.domain.operator import Role, Scope
from pigeonry.errors import Refused
from pigeonry.service import api_tokens, audit, operators
from pigeonry.store.session import Database
from pigeonry.web.api.document import document
from pigeonry.web.api.routes import RATE, Tokened
from pigeonry.web.limits import Rate
from tests.web.console import Visitor, console
from tests.web.test_routes import routes

ALL = tuple(Scope)
LEAD = {
    "email": "ana@example.com",
    "first_name": "Ana",
    "language": "ro",
    "attributes": {"plan": "pro"},
    "consent": {"basis": "express", "source": "form 2026"},
}


@pytest.fixture
def visitor(home: Home, database: Database) -> Iterator[Visitor]:
    with console(home, database) as found:
        yield found


def client(visitor: Visitor, *scopes: Scope, days: int = 30) -> httpx.Client:
    made, text = api_tokens.make(
        visitor.database,
        visitor.home,
        visitor.operator,
        name="a program",
        scopes=scopes or ALL,
        days=days,
        now=visitor.moment[0],
    )
    return httpx.Client(
        base_url=f"{visitor.base}/api/v1",
        timeout=60,
        headers={"Authorization": f"Bearer {text}", "X-Token-Id": str(made.id)},
    )


def test_every_route_wants_a_token_with_its_scope_and_says_so_in_one_shape(
    visitor: Visitor,
) -> None:
    nothing = visitor.anonymous()
    cookie_only = visitor.client
    narrow = {scope: client(visitor, scope) for scope in Scope if scope is not Scope.ADMIN}
    walked = 0
    for route in routes(visitor.app):
        if not isinstance(route, Tokened):
            continue
        walked += 1
        path = route.path.replace("{lead_id}", "1").replace("{campaign_id}", "1")
        path = path.replace("{message_id}", "1")
        (method,) = route.methods
        for stranger in (nothing, cookie_only):
            answer = stranger.request(method, path)
            problem(answer, 401)
            assert answer.headers["www-authenticate"] == "Bearer"
        for scope, program in narrow.items():
            if route.policy not in (None, scope):
                problem(program.request(method, path.removeprefix("/api/v1")), 403)
    assert walked > 15
    for wrong in ("Bearer", "Bearer x", "Bearer pgn_0000000000.x", "Basic YTpi", "bearer pgn_."):
        problem(nothing.get("/api/v1/me", headers={"Authorization": wrong}), 401)


def test_a_token_ends_with_its_time_its_revocation_and_its_owner(visitor: Visitor) -> None:
    short, long = client(visitor, days=1), client(visitor)
    told = short.get("/me").json()
    assert told["scopes"] == [scope.value for scope in Scope]
    assert told["role"] == "admin"
    visitor.moment[0] += timedelta(days=1)
    problem(short.get("/me"), 401)
    assert long.get("/me").status_code == 200
    number = int(long.headers["X-Token-Id"])
    api_tokens.revoke(visitor.database, visitor.home, number, by="test", now=visitor.moment[0])
    problem(long.get("/me"), 401)

    other = visitor.as_role(Role.EDITOR)
    with pytest.raises(Refused, match="privacy:erase"):
        client(other, Scope.PRIVACY_ERASE)
    editor = client(other, Scope.LEADS_WRITE)
    assert editor.post("/leads", json=LEAD).status_code == 201
    operators.change_role(
        visitor.database,
        visitor.home,
        other.operator.id,
        Role.VIEWER,
        by="test",
        now=visitor.moment[0],
    )
    problem(editor.post("/leads", json=LEAD), 403)
    operators.disable(
        visitor.database, visitor.home, other.operator.id, by="test", now=visitor.moment[0]
    )
    problem(editor.post("/leads", json=LEAD), 401)
    kept = str(
        visitor.database.engine.raw_connection().execute("SELECT * FROM api_token").fetchall()
    )
    assert long.headers["Authorization"].rpartition(".")[2] not in kept


def test_a_lead_comes_in_is_merged_exported_and_erased(visitor: Visitor) -> None:
    program = client(visitor)
    made = program.post("/leads", json=LEAD)
    assert made.status_code == 201
    lead = made.json()
    assert (lead["consent"], lead["suppressed"]) == ("granted", None)
    assert lead["attributes"] == {"plan": "pro"}
    merged = program.post("/leads", json={"email": "Ana@Example.com", "city": "Iași"})
    assert merged.status_code == 200
    assert merged.json()["id"] == lead["id"]
    assert (merged.json()["first_name"], merged.json()["city"]) == ("Ana", "Iași")
    assert program.get("/leads", params={"q": "ana@"}).json()["items"][0]["id"] == lead["id"]

    stop = {"email": "ana@example.com", "source": "phone call"}
    assert program.post("/suppressions", json=stop).status_code == 201
    assert program.post("/suppressions", json=stop).status_code == 200
    known = program.get("/suppressions", params={"email": "ana@example.com"}).json()
    assert (known["suppressed"], known["reason"]) == (True, "manual")
    again = program.post("/leads", json=LEAD).json()
    assert again["suppressed"] == "manual", "a new consent lifts no stop"

    path = f"/leads/{lead['id']}"
    assert program.get(f"{path}/export").json()["lead"]["email"] == "ana@example.com"
    assert program.delete(path).json()["rows"] > 0
    problem(program.get(path), 404)
    problem(program.post("/leads", json=LEAD), 409)
    trail = audit.newest(visitor.database)
    assert {"lead.created", "lead.merged", "lead.exported", "lead.erased"} <= {
        entry.action for entry in trail
    }
    assert "example.com" not in str(trail)


def test_a_creation_that_is_sent_again_happens_once(visitor: Visitor) -> None:
    program = client(visitor)
    key = {"Idempotency-Key": "import-7"}
    first = program.post("/leads", json=LEAD, headers=key)
    assert first.status_code == 201
    again = program.post("/leads", json=LEAD, headers=key)
    assert (again.status_code, again.json()["id"]) == (201, first.json()["id"])
    assert again.headers["idempotent-replayed"] == "true"
    problem(program.post("/leads", json={"email": "b@example.com"}, headers=key), 422)
    bad = {"email": "not an address"}
    problem(program.post("/leads", json=bad, headers={"Idempotency-Key": "b"}), 422)
    good = program.post("/leads", json={"email": "b@example.com"}, headers={"Idempotency-Key": "b"})
    assert good.status_code == 201, "what failed may be mended under its key"
    visitor.moment[0] += timedelta(days=2)
    later = program.post("/leads", json={"email": "c@example.com"}, headers=key)
    assert later.status_code == 201, "a key is kept for a day"


BAD_BODIES: list[tuple[bytes, str, int]] = [
    (b"{", "application/json", 422),
    (b"[]", "application/json", 422),
    (b'{"email": 7}', "application/json", 422),
    (b'{"email": "a@example.com", "typo": 1}', "application/json", 422),
    (b'{"email": "a\\u0000@example.com"}', "application/json", 422),
    (b'{"email": "' + b"a" * 400 + b'@example.com"}', "application/json", 422),
    (b"email=a@example.com", "application/x-www-form-urlencoded", 415),
    (
        b'{"email": "a@example.com", "company": "' + b"x" * 1_100_000 + b'"}',
        "application/json",
        413,
    ),
    (b"[" * 100_000, "application/json", 422),
    (b"\xff\xfe", "application/json", 422),
]


def test_a_body_that_does_not_fit_is_a_problem_and_changes_nothing(visitor: Visitor) -> None:
    program = client(visitor)
    for content, kind, status in BAD_BODIES:
        answer = program.post("/leads", content=content, headers={"Content-Type": kind})
        assert answer.status_code in (status, 400), content[:80]
        problem(answer, answer.status_code)
    assert program.get("/leads").json() == {"items": [], "next": None}


def test_pages_follow_one_another_by_cursor(visitor: Visitor) -> None:
    program = client(visitor)
    for number in range(5):
        program.post("/leads", json={"email": f"lead{number}@example.com"})
    seen: list[str] = []
    cursor: dict[str, Any] = {}
    while True:
        page = program.get("/leads", params={"limit": 2, **cursor}).json()
        seen += [row["email"] for row in page["items"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert seen == [f"lead{number}@example.com" for number in reversed(range(5))]
    for wrong in ({"cursor": "x"}, {"cursor": 2**70}, {"limit": 0}, {"limit": 10_000}):
        problem(program.get("/leads", params=wrong), 422)


def test_one_token_may_ask_so_often_and_wrong_ones_less(visitor: Visitor) -> None:
    program, other = client(visitor), client(visitor)
    rate = visitor.app.state.site.rate = Rate(now=lambda: 0.0)  # time stands still
    for _ in range(RATE[0]):
        rate.allows(f"token {program.headers['X-Token-Id']}", most=RATE[0], seconds=RATE[1])
    refused = program.get("/me")
    problem(refused, 429)
    assert int(refused.headers["retry-after"]) > 0
    assert other.get("/me").status_code == 200


def test_the_document_describes_what_is_there(visitor: Visitor) -> None:
    answer = visitor.anonymous().get("/api/v1/openapi.json")
    assert answer.json() == document()
    described = {
        (method.upper(), path)
        for path, operations in answer.json()["paths"].items()
        for method in operations
    }
    there = {
        (method, route.path)
        for route in routes(visitor.app)
        if isinstance(route, Tokened)
        for method in route.methods
    }
    assert described == there
    for operations in answer.json()["paths"].values():
        for operation in operations.values():
            assert {"401", "403", "422", "429", "503"} <= set(operation["responses"])
            assert operation["security"] == [{"token": []}]


def problem(answer: httpx.Response, status: int) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert answer.json()["detail"]
