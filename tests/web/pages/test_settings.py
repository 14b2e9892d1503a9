"""Settings, operators, tokens and the audit trail, as an admin and others see them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest

from pigeonry.config import Home
from pigeonry.domain.operator import Role
from pigeonry.service import operators
from pigeonry.store.session import Database
from tests.web.console import Visitor, console, said

EVIL = "<script>alert(1)</script>\"'{{7*7}}"


@pytest.fixture
def visitor(home: Home, database: Database) -> Iterator[Visitor]:
    with console(home, database) as found:
        yield found


def test_settings_say_what_is_set_and_what_is_missing(visitor: Visitor) -> None:
    page = said(visitor.get("/settings"))
    assert "Everything is at its default" in page
    assert "pigeonry models fetch" in page
    every = said(visitor.get("/settings?every=true&lang=ro"))
    assert "sending.channel" in every
    assert "privacy.controller" in every
    assert "Verificare" in every


def test_a_colleague_is_invited_gets_another_role_and_goes(visitor: Visitor) -> None:
    form = {"name": EVIL, "email": "Dan@Example.com", "role": "editor"}
    invited = visitor.post("/settings/operators", form)
    assert invited.status_code == 200
    assert EVIL not in invited.text
    assert "{{7*7}}" in invited.text
    link = re.search(r"<pre>(http://127\.0\.0\.1:\d+/setup/[\w-]+)</pre>", invited.text)
    assert link
    assert httpx.get(link[1], timeout=60).status_code == 200
    assert "/setup/" not in visitor.get("/settings/operators").text
    assert visitor.post("/settings/operators", form).status_code == 400
    assert visitor.post("/settings/operators", {**form, "role": "god"}).status_code == 400

    dan = operators.named(visitor.database, "dan@example.com")
    path = f"/settings/operators/{dan.id}"
    assert visitor.post(f"{path}/role", {"role": "viewer"}).status_code == 303
    assert visitor.post(f"{path}/disable").status_code == 303
    assert httpx.get(link[1], timeout=60).status_code == 404, "a disabled operator has no link"
    assert "disabled" in said(visitor.get("/settings/operators"))
    assert visitor.post(f"{path}/disable", {"undo": "yes"}).status_code == 303
    assert operators.find(visitor.database, dan.id).role is Role.VIEWER
    me = f"/settings/operators/{visitor.operator.id}/disable"
    refused = visitor.post(me)
    assert refused.status_code == 409
    assert "last admin" in said(refused)


def test_everybody_makes_tokens_of_their_own(visitor: Visitor) -> None:
    viewer = visitor.as_role(Role.VIEWER)
    fields = {"name": "report", "days": "30", "scope": ["leads:read", "campaigns:read"]}
    made = viewer.post("/settings/tokens", fields)
    token = re.search(r"<pre>(pgn_[0-9a-f]+\.[\w-]+)</pre>", made.text)
    assert token
    answer = httpx.get(
        f"{visitor.base}/api/v1/me", headers={"Authorization": f"Bearer {token[1]}"}, timeout=60
    )
    assert answer.json()["scopes"] == ["leads:read", "campaigns:read"]
    assert token[1] not in viewer.get("/settings/tokens").text
    assert viewer.post("/settings/tokens", {**fields, "scope": ["admin"]}).status_code == 400
    assert viewer.post("/settings/tokens", {**fields, "scope": []}).status_code == 400
    visitor.post("/settings/tokens", {**fields, "name": "an admin's"})
    assert "an admin&#39;s" not in viewer.get("/settings/tokens").text
    assert "report" in said(visitor.get("/settings/tokens"))
    assert viewer.post("/settings/tokens/2/revoke").status_code == 404
    assert visitor.post("/settings/tokens/1/revoke").status_code == 303
    answer = httpx.get(
        f"{visitor.base}/api/v1/me", headers={"Authorization": f"Bearer {token[1]}"}, timeout=60
    )
    assert answer.status_code == 401


def test_the_trail_names_who_did_it_and_is_whole(visitor: Visitor) -> None:
    visitor.post("/settings/tokens", {"name": "x", "days": "7", "scope": ["leads:read"]})
    page = said(visitor.get("/settings/audit"))
    assert "token.made" in page
    assert "A admin" in page
    assert (
        "token.made"
        not in said(visitor.get("/settings/audit?action=sign_in")).partition("Detail")[2]
    )
    whole = said(visitor.post("/settings/audit/verify"))
    assert "The trail is whole" in whole
    wrong = visitor.post("/settings/audit/verify", {"expected": "0" * 64})
    assert "was cut off" in said(wrong)


def test_a_second_factor_is_switched_on_and_its_page_shows_codes_once(visitor: Visitor) -> None:
    assert "Turn on" in said(visitor.get("/account"))
    offer = visitor.post("/account/second-factor")
    assert "authenticator app" in said(offer)
    wrong = visitor.post("/account/second-factor/on", {"sealed": "00", "code": "123456"})
    assert wrong.status_code == 400


def test_another_program_is_told_and_told_no_more(visitor: Visitor) -> None:
    assert "No addresses" in said(visitor.get("/settings/notices"))
    fields = {"url": "https://crm.example.com/hook", "kind": ["campaign.finished", "drift"]}
    made = visitor.post("/settings/notices", fields)
    assert re.search(r"<pre>whsec_[\w+/=]{44}</pre>", made.text)
    assert "whsec_" not in visitor.get("/settings/notices").text
    for wrong in ({"url": "http://10.0.0.1/"}, {"kind": []}, {"kind": ["test"]}):
        assert visitor.post("/settings/notices", {**fields, **wrong}).status_code == 400
    assert visitor.post("/settings/notices/1/test").status_code == 303
    assert "waiting" in said(visitor.get("/settings/notices"))
    assert visitor.post("/settings/notices/1/remove").status_code == 303
    assert visitor.post("/settings/notices/1/remove").status_code == 404
