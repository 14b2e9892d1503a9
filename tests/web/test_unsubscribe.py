"""The way out: one click for programs, a page for people, and nothing for whoever only looks."""

from __future__ import annotations

import random
import re
from datetime import timedelta

import pytest

from pigeonry.domain.address import address_hash
from tests.web.conftest import Site

ONE_CLICK = {"List-Unsubscribe": "One-Click"}


def hash_of(web: Site, number: int = 1) -> str:
    key = web.home.secret("suppression.key")
    return address_hash(f"lead{number}@example.com", key)


def test_one_click_takes_effect_at_once(web: Site) -> None:
    answer = web.client.post(web.unsubscribe_path(), data=ONE_CLICK)
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert "location" not in answer.headers
    assert web.suppressed() == {hash_of(web): "unsubscribe"}


def test_one_click_may_come_as_multipart(web: Site) -> None:
    """RFC 8058 allows both encodings."""
    form = {"List-Unsubscribe": (None, "One-Click")}
    assert web.client.post(web.unsubscribe_path(), files=form).status_code == 200
    assert hash_of(web) in web.suppressed()


def test_it_may_come_twice_and_works_sixty_days_later(web: Site) -> None:
    web.moment[0] += timedelta(days=60)
    for _ in range(2):
        assert web.client.post(web.unsubscribe_path(), data=ONE_CLICK).status_code == 200
    assert list(web.suppressed()) == [hash_of(web)]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"])
def test_nothing_but_a_post_changes_anything(web: Site, method: str) -> None:
    headers = {"Purpose": "prefetch", "Sec-Purpose": "prefetch"}
    web.client.request(method, web.unsubscribe_path(), headers=headers)
    web.client.request(method, web.unsubscribe_path() + "?List-Unsubscribe=One-Click")
    web.client.request(method, web.unsubscribe_path() + "/preferences?paused_days=30")
    assert web.suppressed() == {}
    assert "paused_days" in web.client.get(web.unsubscribe_path()).text


def test_the_page_has_buttons_that_work_without_scripts(web: Site) -> None:
    answer = web.client.get(web.unsubscribe_path())
    assert answer.status_code == 200
    assert "<script" not in answer.text
    assert (
        "lead1@example.com" not in answer.text
    )  # masked: whoever got the mail forwarded sees no address
    action, fields = form_of(answer.text, 0)
    done = web.client.post(action, data=fields)
    assert done.status_code == 200
    assert "Nu mai primiți mesaje" in done.text
    assert web.suppressed() == {hash_of(web): "unsubscribe"}
    assert "Nu mai primiți mesaje" in web.client.get(web.unsubscribe_path()).text


def test_what_a_person_chooses_is_kept(web: Site) -> None:
    action, _ = form_of(web.client.get(web.unsubscribe_path()).text, 1)
    chosen = {"paused_days": "30", "weekly_cap": "1", "language": "en"}
    saved = web.client.post(action, data=chosen)
    assert saved.status_code == 200
    assert "Am salvat" in saved.text  # in the language that the page was read in
    page = web.client.get(web.unsubscribe_path()).text
    assert "Your mail preferences" in page  # now we know the language
    assert (web.moment[0] + timedelta(days=30)).date().isoformat() in page
    assert '<option value="1" selected>' in page
    assert web.suppressed() == {}


@pytest.mark.parametrize(
    "bad",
    [
        {"paused_days": "-1"},
        {"paused_days": "99999"},
        {"weekly_cap": "many"},
        {"weekly_cap": "999"},
        {"language": "xx"},
        {"shown": "x" * 81},
    ],
)
def test_impossible_choices_are_refused(web: Site, bad: dict[str, str]) -> None:
    answer = web.client.post(web.unsubscribe_path() + "/preferences", data=bad)
    assert answer.status_code == 400
    assert "<h1>" in answer.text


def test_a_broken_link_leads_to_a_page_that_helps(web: Site) -> None:
    broken = web.client.get(web.unsubscribe_path()[:-5])
    assert broken.status_code == 404
    assert 'name="link"' in broken.text
    pasted = f"https://mail.example.com{web.unsubscribe_path()}"
    moved = web.client.get("/u", params={"link": f" <{pasted}> "})
    assert moved.status_code == 302
    assert web.client.get(moved.headers["location"]).status_code == 200
    assert (
        web.client.get("/u", params={"link": "//evil.example"})
        .headers["location"]
        .startswith("/u/")
    )


def test_a_mutated_token_stops_nobody(web: Site) -> None:
    """10,000 tokens are tried in tests/delivery; 300 go the whole way here."""
    lot = random.Random(3)
    good = web.unsubscribe_path().removeprefix("/u/")
    for _ in range(300):
        token = list(good)
        for place in lot.sample(range(len(token)), lot.randint(1, 4)):
            token[place] = lot.choice("abcdefghijklmnopqrstuvwxyz234567")
        if "".join(token) != good:
            answer = web.client.post(f"/u/{''.join(token)}", data=ONE_CLICK)
            assert answer.status_code == 404
    assert web.suppressed() == {}


def form_of(page: str, number: int) -> tuple[str, dict[str, str]]:
    """Where a form of the page posts to, and its hidden fields."""
    form = re.findall(r'<form method="post" action="([^"]+)">(.*?)</form>', page, re.DOTALL)[number]
    fields = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]+)">', form[1])
    return form[0], dict(fields)
