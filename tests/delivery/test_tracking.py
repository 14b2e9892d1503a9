"""Tokens of opens and clicks, and what a tracked mail looks like."""

from __future__ import annotations

import random
import re
from dataclasses import replace

import pytest

from generation.brief import parse_brief
from pigeonry.config import Home, SendgridSettings, Settings
from pigeonry.delivery.links import Links
from pigeonry.delivery.render import Recipient, compile_mail
from pigeonry.delivery.tracking import ClickToken, TrackedLinks, Tracker, load_tracker
from pigeonry.domain import Language, OutgoingMessage
from tests.delivery.test_render import AT, COPY
from tests.delivery.world import BRIEF

TRACKER = Tracker("https://go.example.com/", {1: b"1" * 32})
LINKS = Links("https://mail.example.com", {1: b"1" * 32})
KEY = "ab" * 16
LINK = "https://example.com/curs?ref=a&b=1"


def token(url: str) -> str:
    return url.rsplit("/", 1)[1]


def mail(*, clicks: bool = True, opens: bool = True) -> OutgoingMessage:
    tracker = Tracker("https://go.example.com", {1: b"1" * 32}, clicks, opens)
    return compile_mail(
        COPY,
        parse_brief(BRIEF, where="test"),
        Language.RO,
        campaign_id=3,
        tracked=TrackedLinks(tracker, 5, 6),
    ).render(Recipient(7, "ana@example.com", "Ana"), LINKS, send_key=KEY, at=AT)


def test_a_token_names_its_message_and_link() -> None:
    assert TRACKER.read_click(TRACKER.click_url(KEY, 5)) == ClickToken(KEY, 5)
    assert TRACKER.read_open(TRACKER.open_url(KEY)) == KEY
    assert TRACKER.read_open(token(TRACKER.open_url(KEY)).upper()) == KEY


def test_no_purpose_can_stand_in_for_another() -> None:
    for text in (TRACKER.open_url(KEY), LINKS.unsubscribe_url(9, 5)):
        assert TRACKER.read_click(text) is None
    for text in (TRACKER.click_url(KEY, 5), LINKS.unsubscribe_url(9, 5)):
        assert TRACKER.read_open(text) is None
    for text in (TRACKER.click_url(KEY, 5), TRACKER.open_url(KEY)):
        assert LINKS.verify(text) is None


def test_no_mutated_token_is_accepted() -> None:
    lot = random.Random(1)
    good = token(TRACKER.click_url(KEY, 5))
    for _ in range(10_000):
        text = list(good)
        for place in lot.sample(range(len(text)), lot.randint(1, 4)):
            text[place] = lot.choice("abcdefghijklmnopqrstuvwxyz234567")
        assert "".join(text) == good or TRACKER.read_click("".join(text)) is None


def test_an_old_key_still_reads_after_a_new_one_signs() -> None:
    rotated = Tracker("https://go.example.com", {1: b"1" * 32, 2: b"2" * 32})
    assert rotated.read_click(TRACKER.click_url(KEY, 5)) == ClickToken(KEY, 5)
    assert TRACKER.read_click(rotated.click_url(KEY, 5)) is None


def test_a_tracked_mail_leads_over_us_in_both_parts() -> None:
    found = mail()
    assert LINK not in found.text
    assert LINK.replace("&", "&amp;") not in found.html
    clicks = re.findall(r"https://go\.example\.com/t/[a-z2-7]+", found.html)
    assert [TRACKER.read_click(url) for url in clicks] == [ClickToken(KEY, 5), ClickToken(KEY, 6)]
    assert re.findall(r"https://go\.example\.com/t/[a-z2-7]+", found.text) == clicks[:1]
    picture = re.search(r'<img [^>]*src="(https://go[^"]+)"[^>]*>', found.html)
    assert picture is not None
    assert TRACKER.read_open(picture[1]) == KEY
    assert 'alt=""' in picture[0]
    assert "/o/" not in found.text


def test_no_address_stands_in_a_tracked_link() -> None:
    found = mail()
    for url in re.findall(r"https://go\.example\.com/\S+", found.html + found.text):
        assert "ana" not in url
        assert "example.com/curs" not in url


def test_the_way_out_is_never_tracked() -> None:
    found = mail()
    assert found.unsubscribe_url.startswith("https://mail.example.com/u/")
    assert found.unsubscribe_url in found.html
    assert found.unsubscribe_url in found.text
    assert f"<{found.unsubscribe_url}>" in found.headers["List-Unsubscribe"]


def test_the_trap_is_for_machines_alone() -> None:
    trap = re.search(r"<a [^>]*aria-hidden[^>]*></a>", mail().html)
    assert trap is not None
    assert 'tabindex="-1"' in trap[0]
    assert "display: none" in trap[0].replace("display:none", "display: none")


@pytest.mark.parametrize(
    ("clicks", "opens", "found"), [(True, False, {"/t/"}), (False, True, {"/o/"})]
)
def test_each_kind_can_be_off_by_itself(clicks: bool, opens: bool, found: set[str]) -> None:
    html = mail(clicks=clicks, opens=opens).html
    assert {path for path in ("/t/", "/o/") if f"go.example.com{path}" in html} == found
    assert (LINK.replace("&", "&amp;") in html) is not clicks


def test_nothing_is_tracked_without_a_host_name(home: Home) -> None:
    off = load_tracker(home)
    assert not off.clicks
    assert not off.opens
    settings = Settings.model_validate({"tracking": {"base_url": "https://go.x", "opens": False}})
    on = load_tracker(Home(home.path, settings))
    assert on.clicks
    assert not on.opens
    # What was sent before tracking was switched off still leads somewhere.
    assert off.read_click(on.click_url(KEY, 2)) == ClickToken(KEY, 2)


def test_sendgrid_does_not_count_what_we_count() -> None:
    from pigeonry.delivery.sendgrid import request_body

    for tracked in (False, True):
        found = request_body(replace(mail(), tracked=tracked), SendgridSettings())[
            "tracking_settings"
        ]
        assert found["click_tracking"]["enable"] is not tracked
        assert found["open_tracking"]["enable"] is not tracked
    assert mail().tracked
