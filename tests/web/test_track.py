"""Clicks and opens of our own links: they lead where the campaign says, and nowhere else."""

from __future__ import annotations

import random

import pytest
from sqlalchemy import delete

from pigeonry.domain import EventKind
from pigeonry.service.inbox import Inbox
from pigeonry.store import campaigns, mail_links
from pigeonry.store.models import Message
from tests.delivery.world import BRIEF, START
from tests.web.conftest import FIREFOX, LINK, Site, locked


def click_path(web: Site, number: int = 1, link: int | None = None) -> str:
    message = web.world.keys()[number - 1]
    return web.path(web.tracker.click_url(message, link or web.tracked.link_id))


def test_a_click_leads_to_the_stored_target_and_is_kept(web: Site) -> None:
    answer = web.client.get(click_path(web))
    assert (answer.status_code, answer.headers["location"]) == (302, LINK)
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert "set-cookie" not in answer.headers
    assert web.drain().applied == 1
    (event,) = web.events()
    assert (event.kind, event.url, event.user_agent) == ("click", LINK, FIREFOX)
    assert event.message_id == web.world.message_ids()[0]
    assert event.at == web.moment[0]
    assert web.world.messages()[0].status == EventKind.CLICK


def test_an_open_is_kept_and_answered_with_one_pixel(web: Site) -> None:
    message = web.world.keys()[0]
    answer = web.client.get(web.path(web.tracker.open_url(message)))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/gif"
    assert answer.headers["cache-control"] == "no-store"
    assert len(answer.content) == 43
    web.drain()
    assert [event.kind for event in web.events()] == ["open"]


def test_a_head_request_does_not_count(web: Site) -> None:
    message = web.world.keys()[0]
    answer = web.client.head(click_path(web))
    assert (answer.status_code, answer.headers["location"]) == (302, LINK)
    assert web.client.head(web.path(web.tracker.open_url(message))).status_code == 200
    assert web.raw() == []


def test_the_hidden_link_answers_the_same_and_names_a_machine(web: Site) -> None:
    seen = web.client.get(click_path(web))
    trap = web.client.get(click_path(web, link=web.tracked.trap_id))
    assert (trap.status_code, trap.headers) == (seen.status_code, seen.headers)
    web.drain()
    human = {event.reason: event.human for event in web.events()}
    assert human["hidden link"] < 0.5


def test_a_link_of_another_campaign_leads_nowhere(web: Site) -> None:
    with web.database.write() as session:
        other = campaigns.create(
            session, name="Other", brief_source=BRIEF, occurrence="", stage="audience", seed=1,
            channel="file", at=START,
        )  # fmt: skip
        foreign = mail_links.ensure(session, other, "https://other.example/")
    answer = web.client.get(click_path(web, link=foreign))
    assert answer.status_code == 404
    assert "location" not in answer.headers
    assert web.client.get(click_path(web, link=99_999)).status_code == 404


def test_an_erased_persons_links_are_dead(web: Site) -> None:
    path = click_path(web)
    with web.database.write() as session:
        session.execute(delete(Message))
    assert web.client.get(path).status_code == 404


def test_an_erased_persons_link_never_counts_for_whoever_got_the_messages_number(web: Site) -> None:
    path, numbers = click_path(web), web.world.message_ids()
    with web.database.write() as session:
        session.execute(delete(Message))
    web.world.plan()  # SQLite gives the numbers out again
    assert web.world.message_ids() == numbers
    assert web.client.get(path).status_code == 404


def test_of_2000_mutated_links_none_leads_elsewhere(web: Site) -> None:
    lot = random.Random(7)
    good = click_path(web)
    others = 0
    letters = "abcdefghijklmnopqrstuvwxyz234567/%.@:?&\\ABC"
    for number in range(2000):
        path = list(good.removeprefix("/t/"))
        for place in lot.sample(range(len(path)), lot.randint(1, 4)):
            path[place] = lot.choice(letters)
        mutated = "".join(path)
        extra = ["", "?url=https://evil.example", "//evil.example", "%0d%0aLocation:%20x"][
            number % 4
        ]
        answer = web.client.get(f"/t/{mutated}{extra}")
        found = answer.headers.get("location", LINK)
        others += found != LINK
        assert answer.status_code in (302, 404)
    assert others == 0


@pytest.mark.parametrize("path", ["/t", "/o", "/c", "/health/", "/style.css/"])
def test_a_slash_too_few_or_too_many_leads_to_no_host_that_the_visitor_names(
    web: Site, path: str
) -> None:
    answer = web.client.get(path, headers={"Host": "evil.example"})
    assert answer.status_code == 404
    assert "location" not in answer.headers
    assert "evil.example" not in answer.text


def test_a_link_keeps_its_number(web: Site) -> None:
    with web.database.write() as session:
        again = mail_links.ensure(session, web.world.campaign_id, LINK)
        hidden = mail_links.ensure(session, web.world.campaign_id, LINK, hidden=True)
    assert (again, hidden) == (web.tracked.link_id, web.tracked.trap_id)
    assert again != hidden


def test_somebody_who_clicks_goes_on_when_nothing_can_be_written(
    web: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database is locked by another program for longer than a person waits."""
    monkeypatch.setattr("pigeonry.web.site.HIT_SECONDS", 0.2)
    with locked(web):
        answer = web.client.get(click_path(web))
        assert (answer.status_code, answer.headers["location"]) == (302, LINK)
        assert web.counts()["late_hits"] == 1


def test_a_hit_that_could_not_be_written_shows_in_health(
    web: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_self: Inbox, _batch: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(Inbox, "_write", full)
    assert web.client.get(click_path(web)).status_code == 302
    assert web.counts()["lost_hits"] == 1
