"""The way in: the same answer to everybody, a page that changes nothing, a button that confirms."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pigeonry.delivery.opt_in import load_opt_in_links
from pigeonry.domain import SuppressionReason
from pigeonry.domain.address import address_hash
from pigeonry.store import consent_texts, consents, leads, opt_ins
from pigeonry.web.limits import Rate
from tests.web.conftest import NOW, Site

WORDS = "Sunt de acord să primesc noutăți <de la> Școala de Seară."


@pytest.fixture
def texts(web: Site) -> Site:
    with web.database.write() as session:
        consent_texts.add(session, language="ro", text=WORDS, at=NOW)
    return web


def ask(web: Site, email: str, **fields: str) -> Any:
    return web.client.post("/subscribe", data={"email": email, "language": "ro", **fields})


def link(web: Site) -> str:
    """Where the confirmation mail of the newest request leads."""
    with web.database.read() as session:
        request = opt_ins.queued(session, after_id=0)[-1]
    return web.path(load_opt_in_links(web.home).url(request.id, request.send_key))


def state(web: Site, email: str) -> str:
    with web.database.read() as session:
        lead = leads.by_email(session, email)
        assert lead is not None
        found = consents.newest(session, lead.id)
    return found.state if found else ""


def test_new_known_and_suppressed_addresses_get_the_same_answer(texts: Site) -> None:
    key = texts.home.secret("suppression.key")
    with texts.database.write() as session:
        consents.suppress(
            session,
            address_hash("gone@example.com", key),
            reason=SuppressionReason.COMPLAINT,
            source="test",
            at=NOW,
        )
    answers = [
        ask(texts, name) for name in ("new@example.com", "lead1@example.com", "gone@example.com")
    ]
    assert {(answer.status_code, answer.text) for answer in answers} == {(200, answers[0].text)}
    with texts.database.read() as session:
        assert len(opt_ins.queued(session, after_id=0)) == 2


def test_looking_at_the_confirmation_page_changes_nothing(texts: Site) -> None:
    ask(texts, "new@example.com")
    path = link(texts)
    page = texts.client.get(path)
    assert page.status_code == 200
    assert "&lt;de la&gt;" in page.text  # the words that are agreed to, escaped
    assert "new@example.com" not in page.text
    texts.client.head(path)
    assert state(texts, "new@example.com") != "granted"


def test_the_button_confirms_and_may_be_pressed_twice(texts: Site) -> None:
    ask(texts, "new@example.com")
    path = link(texts)
    assert texts.client.post(path, data={}).status_code == 400
    for _ in range(2):
        answer = texts.client.post(path, data={"confirm": "yes"})
        assert answer.status_code == 200
        assert "set-cookie" not in answer.headers
    assert state(texts, "new@example.com") == "granted"
    assert "ați confirmat" in texts.client.get(path).text


def test_a_link_that_is_old_or_not_ours_leads_nowhere(texts: Site) -> None:
    ask(texts, "new@example.com")
    path = link(texts)
    for other in (path[:-1], "/c/x", texts.unsubscribe_path().replace("/u/", "/c/")):
        assert texts.client.get(other).status_code == 404
        assert texts.client.post(other, data={"confirm": "yes"}).status_code == 404
    texts.moment[0] += timedelta(days=8)
    assert texts.client.post(path, data={"confirm": "yes"}).status_code == 404
    assert state(texts, "new@example.com") != "granted"


@pytest.mark.parametrize(
    "fields",
    [
        {"email": "no address"},
        {"email": "a@example.com", "language": "xx"},
        {"email": "a@example.com", "text_version": "0" * 16},
        {"email": ""},
    ],
)
def test_what_cannot_be_asked_is_refused(texts: Site, fields: dict[str, str]) -> None:
    answer = texts.client.post("/subscribe", data={"language": "ro", **fields})
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/html")


def test_one_place_cannot_ask_without_end(texts: Site) -> None:
    answers = [ask(texts, f"n{number}@example.com").status_code for number in range(25)]
    assert answers.count(200) == 20
    refused = ask(texts, "last@example.com")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")


def test_nobody_is_flooded_and_nobody_learns_that(texts: Site) -> None:
    answers = [ask(texts, "new@example.com") for _ in range(6)]
    assert {(answer.status_code, answer.text) for answer in answers} == {(200, answers[0].text)}
    with texts.database.read() as session:
        assert len(opt_ins.queued(session, after_id=0)) == 1


def test_a_place_may_ask_again_after_a_while() -> None:
    now = [0.0]
    rate = Rate(lambda: now[0])
    assert [rate.allows("a", most=2, seconds=60) for _ in range(3)] == [True, True, False]
    assert rate.allows("b", most=2, seconds=60)
    now[0] = 31.0
    assert [rate.allows("a", most=2, seconds=60) for _ in range(2)] == [True, False]


def test_the_visitors_own_claim_about_its_address_does_not_count(texts: Site) -> None:
    """Behind a proxy the last entry is the proxy's; without one the header is anybody's."""
    site = texts
    answers = [
        site.client.post(
            "/subscribe",
            data={"email": f"n{number}@example.com", "language": "ro"},
            headers={"X-Forwarded-For": f"198.51.100.{number}"},
        ).status_code
        for number in range(25)
    ]
    assert answers.count(429) == 5
