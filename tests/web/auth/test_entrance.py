"""Signing in as people do: the first link, passwords, the second step, and how a sign-in ends."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlencode

import httpx
import pyotp
import pytest
from argon2 import PasswordHasher

from pigeonry.config import Home
from pigeonry.domain.operator import Role
from pigeonry.service import audit, operators, passwords, sign_in
from pigeonry.store.session import Database
from pigeonry.web.app import build_app
from tests.web.conftest import running
from tests.web.console import NOW, PASSWORD, console, said

OTHER = "inca o parola foarte rara"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real algorithm, made cheap."""
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "_hasher", lambda: cheap)


class Door:
    """The console seen from outside, with a clock that can be moved."""

    def __init__(self, home: Home, database: Database) -> None:
        self.home, self.database, self.moment, self.base = home, database, NOW, ""

    def browser(self) -> httpx.Client:
        return httpx.Client(
            base_url=self.base,
            timeout=60,
            headers={
                "Accept-Language": "en",
                "Sec-Fetch-Site": "same-origin",
                "Content-Type": "application/x-www-form-urlencoded",
            },
        )

    def signed_in(self, email: str = "ana@example.com", password: str = PASSWORD) -> httpx.Client:
        browser = self.browser()
        assert post(browser, "/sign-in", email=email, password=password).status_code == 303
        return browser


@pytest.fixture
def door(home: Home, database: Database) -> Iterator[Door]:
    found = Door(home, database)
    app = build_app(home, database, clock=lambda: found.moment, drain=False)
    with running(app) as port:
        found.base = f"http://127.0.0.1:{port}"
        yield found


@pytest.fixture
def ana(door: Door) -> httpx.Client:
    """The first operator, who has chosen a password."""
    token = operators.first_link(door.database, door.home, now=door.moment)
    browser = door.browser()
    done = post(
        browser,
        f"/setup/{token}",
        name="Ana",
        email="Ana@Example.com",
        password=PASSWORD,
        again=PASSWORD,
    )
    assert done.status_code == 303
    return browser


def post(browser: httpx.Client, path: str, **fields: str) -> httpx.Response:
    return browser.post(path, content=urlencode(fields))


def form_token(browser: httpx.Client, path: str = "/account") -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', browser.get(path).text)
    assert found
    return found[1]


def test_the_first_link_makes_one_admin_and_works_once(door: Door) -> None:
    browser = door.browser()
    assert "no operator yet" in said(browser.get("/sign-in"))
    assert browser.get("/setup/guessed").status_code == 404
    old = operators.first_link(door.database, door.home, now=door.moment)
    token = operators.first_link(door.database, door.home, now=door.moment)
    assert browser.get(f"/setup/{old}").status_code == 404, "a new link ends the one before"
    for _ in range(2):
        assert browser.get(f"/setup/{token}").status_code == 200, "looking does not use it up"
    known = {"name": "Ana", "email": "ana@example.com"}
    for fields, complaint in (
        ({"password": PASSWORD, "again": "other"}, "not the same"),
        ({"password": "parola123456", "again": "parola123456"}, "everybody tries first"),
        ({"password": PASSWORD, "again": PASSWORD, "email": "nobody"}, "no e-mail address"),
    ):
        answer = post(browser, f"/setup/{token}", **{**known, **fields})
        assert answer.status_code == 400
        assert complaint in said(answer)
        assert PASSWORD not in answer.text
    done = post(browser, f"/setup/{token}", **known, password=PASSWORD, again=PASSWORD)
    assert done.status_code == 303
    assert "Welcome" in said(browser.get("/"))
    cookie = next(
        line for line in done.headers.get_list("set-cookie") if line.startswith("pigeonry=")
    )
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert operators.every(door.database)[0].role is Role.ADMIN
    assert (
        post(
            door.browser(), f"/setup/{token}", **known, password=PASSWORD, again=PASSWORD
        ).status_code
        == 404
    )
    late = operators.first_link(door.database, door.home, now=door.moment)
    assert door.browser().get(f"/setup/{late}").status_code == 404, "there is an operator now"


def test_a_link_is_good_for_fifteen_minutes(door: Door) -> None:
    token = operators.first_link(door.database, door.home, now=door.moment)
    door.moment += timedelta(minutes=15)
    assert door.browser().get(f"/setup/{token}").status_code == 404


def test_a_wrong_address_and_a_wrong_password_are_answered_alike(
    door: Door, ana: httpx.Client
) -> None:
    browser = door.browser()
    answers = [
        post(browser, "/sign-in", email=email, password=password)
        for email, password in (("ana@example.com", OTHER), ("nobody@example.com", PASSWORD))
    ]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert said(answers[0]) == said(answers[1])
    assert "set-cookie" not in answers[0].headers
    assert browser.get("/account").status_code == 303
    with pytest.raises(AssertionError):
        door.signed_in("' OR 1=1 --", "x")


def test_too_many_failures_are_stopped_even_with_the_right_password(
    door: Door, ana: httpx.Client
) -> None:
    browser = door.browser()
    for _ in range(8):
        assert post(browser, "/sign-in", email="ana@example.com", password=OTHER).status_code == 401
    stopped = post(browser, "/sign-in", email="ana@example.com", password=PASSWORD)
    assert stopped.status_code == 429
    assert "15 minutes" in said(stopped)
    door.moment += timedelta(minutes=16)
    door.signed_in()


def test_many_accounts_from_one_network_are_stopped_too(door: Door, ana: httpx.Client) -> None:
    browser = door.browser()
    tried = [
        post(browser, "/sign-in", email=f"x{number}@example.com", password=OTHER).status_code
        for number in range(42)
    ]
    assert tried[:40] == [401] * 40
    assert tried[40:] == [429] * 2


def test_a_sign_in_ends_when_idle_and_after_twelve_hours(door: Door, ana: httpx.Client) -> None:
    door.moment += timedelta(minutes=31)
    ended = ana.get("/account")
    assert ended.status_code == 303
    assert ended.headers["location"] == "/sign-in?next=%2Faccount"
    browser = door.signed_in()
    for _ in range(35):
        door.moment += timedelta(minutes=20)
        assert browser.get("/account").status_code == 200
    door.moment += timedelta(minutes=20)
    assert browser.get("/account").status_code == 303


def test_a_cookie_from_before_is_worth_nothing_after_signing_in(
    door: Door, ana: httpx.Client
) -> None:
    """Session fixation: the token is always a fresh one."""
    browser = door.browser()
    browser.cookies.set("pigeonry", "planted-planted-planted-planted", domain="127.0.0.1")
    done = post(browser, "/sign-in", email="ana@example.com", password=PASSWORD)
    assert done.status_code == 303
    assert "planted" not in done.headers["set-cookie"]
    assert (
        sign_in.current(door.database, "planted-planted-planted-planted", now=door.moment) is None
    )


def test_after_signing_in_one_goes_on_where_one_wanted_to_but_never_elsewhere(
    door: Door, ana: httpx.Client
) -> None:
    for wanted, leads_to in (
        ("/account?x=1", "/account?x=1"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("/x\r\nSet-Cookie: a=b", "/"),
    ):
        fields = {"email": "ana@example.com", "password": PASSWORD, "next": wanted}
        done = post(door.browser(), "/sign-in", **fields)
        assert done.headers["location"] == leads_to


def test_signing_out_a_new_password_and_a_new_role_end_sign_ins(
    door: Door, ana: httpx.Client
) -> None:
    here, elsewhere = door.signed_in(), door.signed_in()
    assert post(here, "/sign-out", csrf=form_token(here)).status_code == 303
    assert here.get("/account").status_code == 303

    here = door.signed_in()
    fields = {"csrf": form_token(here), "password": OTHER, "again": OTHER}
    assert post(here, "/account/password", **fields, current="wrong").status_code == 400
    assert post(here, "/account/password", **fields, current=PASSWORD).status_code == 303
    assert here.get("/account").status_code == 200
    assert elsewhere.get("/account").status_code == 303
    assert ana.get("/account").status_code == 303
    with pytest.raises(AssertionError):
        door.signed_in()

    admin = operators.every(door.database)[0]
    other = operators.add(
        door.database,
        door.home,
        name="Dan",
        email="dan@example.com",
        role=Role.ADMIN,
        by="test",
        now=door.moment,
    )
    token = operators.link(door.database, door.home, other.id, by="test", now=door.moment)
    dan = door.browser()
    assert post(dan, f"/setup/{token}", password=PASSWORD, again=PASSWORD).status_code == 303
    operators.change_role(
        door.database, door.home, admin.id, Role.VIEWER, by="test", now=door.moment
    )
    assert here.get("/account").status_code == 303
    assert dan.get("/account").status_code == 200
    operators.disable(door.database, door.home, admin.id, by="test", now=door.moment)
    with pytest.raises(AssertionError):
        door.signed_in(password=OTHER)
    with pytest.raises(Exception, match="last admin"):
        operators.disable(door.database, door.home, other.id, by="test", now=door.moment)


def test_the_second_step_wants_a_code_that_counts_once(door: Door, ana: httpx.Client) -> None:
    offered = post(ana, "/account/second-factor", csrf=form_token(ana))
    secret = re.search(r"<pre>([A-Z2-7]{32})</pre>", offered.text)
    sealed = re.search(r'name="sealed" value="([0-9a-f]+)"', offered.text)
    assert secret
    assert sealed
    code = pyotp.TOTP(secret[1])
    fields = {"csrf": form_token(ana), "sealed": sealed[1]}
    assert post(ana, "/account/second-factor/on", **fields, code="000000").status_code == 400
    on = post(ana, "/account/second-factor/on", **fields, code=code.at(door.moment))
    recovery = re.findall(r"^(?:<pre>)?((?:[a-z2-9]{4}-){3}[a-z2-9]{4})$", on.text, re.MULTILINE)
    assert len(recovery) == 10
    kept = door.database.engine.raw_connection().execute("SELECT totp, recovery FROM operator")
    assert secret[1].encode() not in bytes(kept.fetchone()[0])

    def second(code: str) -> int:
        browser = door.browser()
        first = post(browser, "/sign-in", email="ana@example.com", password=PASSWORD)
        assert first.status_code == 200
        assert browser.get("/account").status_code == 303, "not in yet"
        ticket = re.search(r'name="ticket" value="([^"]+)"', first.text)
        assert ticket
        return post(browser, "/sign-in/code", ticket=ticket[1], code=code).status_code

    assert second(code.at(door.moment)) == 401, "the code of switching it on was used"
    door.moment += timedelta(seconds=30)
    assert second(code.at(door.moment)) == 303
    assert second(code.at(door.moment)) == 401
    assert second(recovery[3]) == 303
    assert second(recovery[3]) == 401
    forged = post(door.browser(), "/sign-in/code", ticket="1.9999999999.00", code="123456")
    assert forged.status_code == 401


def test_whatever_happened_stands_in_the_trail_without_addresses(
    door: Door, ana: httpx.Client
) -> None:
    post(door.browser(), "/sign-in", email="ana@example.com", password=OTHER)
    found = audit.newest(door.database)
    assert {entry.action for entry in found} >= {
        "operator.link",
        "operator.password",
        "sign_in",
        "sign_in.failed",
    }
    assert "example.com" not in str(found)
    assert "Ana" not in str(found)
    assert audit.verify(door.database, door.home).whole


def test_behind_https_cookies_belong_to_that_host_alone(home: Home, database: Database) -> None:
    web = home.settings.web.model_copy(update={"console_url": "https://console.example.com"})
    secure = Home(home.path, home.settings.model_copy(update={"web": web}))
    token = operators.first_link(database, secure, now=NOW)
    app = build_app(secure, database, clock=lambda: NOW, drain=False)
    with (
        running(app) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
    ):
        assert client.get("/sign-in").status_code == 404
        host = {"Host": "console.example.com", "Origin": "https://console.example.com"}
        fields = {
            "name": "Ana",
            "email": "ana@example.com",
            "password": PASSWORD,
            "again": PASSWORD,
        }
        evil = {**host, "Origin": "https://evil.example"}
        assert client.post(f"/setup/{token}", data=fields, headers=evil).status_code == 403
        done = client.post(f"/setup/{token}", data=fields, headers=host)
        assert done.status_code == 303
        cookie = done.headers.get_list("set-cookie")[-1]
        assert cookie.startswith("__Host-pigeonry=")
        assert "Secure" in cookie
        assert "Path=/" in cookie


def test_where_a_second_factor_is_required_strong_pages_wait_for_it(
    home: Home, database: Database
) -> None:
    web = home.settings.web.model_copy(update={"second_factor": "required"})
    strict = Home(home.path, home.settings.model_copy(update={"web": web}))
    with console(strict, database) as visitor:
        assert visitor.get("/account").status_code == 200
        sent_on = visitor.get("/settings/operators")
        assert sent_on.headers["location"] == "/account"
        assert visitor.post("/settings/operators").headers["location"] == "/account"
        assert len(operators.every(database)) == 1
        assert "second step" in said(visitor.get("/account"))
        token = {"name": "x", "days": "7", "scope": ["leads:read"]}
        assert visitor.post("/settings/tokens", token).status_code == 200
        strong = visitor.post("/settings/tokens", {**token, "scope": ["send:execute"]})
        assert strong.status_code == 400
