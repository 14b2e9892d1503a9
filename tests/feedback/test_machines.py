"""Machines are told from people, with the reason in words."""

from __future__ import annotations

import ipaddress
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from feedback.datacenters import NOWHERE, Networks, networks, read_networks
from feedback.events import judged, suppression
from feedback.machines import HEAD_REQUEST, HIDDEN_LINK, HUMAN_FLOOR
from pigeonry.domain import Event, EventKind
from pigeonry.errors import ConfigError
from tests.feedback.scanners import LISTED, trace

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/142.0.0.0 Safari/537.36"
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
DELIVERED = Event("d", "own", EventKind.DELIVERED, NOON)
LIST = networks([ipaddress.ip_network(f"{LISTED}0/24"), ipaddress.ip_network("2001:db8::/32")])


def act(kind: EventKind, seconds: float, url: str = "https://a.ro/1", **more: str) -> Event:
    return Event(
        f"{kind}{seconds}{url}", "own", kind, NOON + timedelta(seconds=seconds), url=url,
        **{"user_agent": CHROME, **more},
    )  # fmt: skip


def click(seconds: float, url: str = "https://a.ro/1", **more: str) -> Event:
    return act(EventKind.CLICK, seconds, url, **more)


def verdict(event: Event, *others: Event, known: Networks = NOWHERE) -> tuple[bool, str]:
    found = judged([DELIVERED, event, *others], datacenters=known)[1]
    return found.human >= HUMAN_FLOOR, found.why


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (click(2), "2 s after delivery"),
        (click(7200, user_agent="Barracuda Sentinel (EE)"), "a scanner's agent"),
        (click(2, user_agent="curl/8.0"), "a scanner's agent; 2 s after delivery"),
        (click(7200, user_agent=""), "no agent named"),
        (click(7200, reason=HIDDEN_LINK), "followed a link that nobody can see"),
        (click(7200, reason=HEAD_REQUEST), "only asked whether the link works"),
        (click(7200, ip="192.0.2.9"), "from a data centre"),
        (click(7200, ip="2001:db8::1"), "from a data centre"),
        (click(7200, ip="::ffff:192.0.2.9"), "from a data centre"),
        (act(EventKind.OPEN, 7200, user_agent="Mozilla/5.0"), "a prefetching proxy's agent"),
        (act(EventKind.OPEN, 7200, reason="declared machine open"), "declared as a machine's open"),
    ],
)
def test_a_machine_is_seen_through_and_the_reason_is_said(event: Event, why: str) -> None:
    assert verdict(event, known=LIST) == (False, why)


@pytest.mark.parametrize(
    "event",
    [
        click(7200, ip="86.120.3.4"),
        click(30),
        act(EventKind.OPEN, 60),
        act(EventKind.OPEN, 60, user_agent=GMAIL, ip="192.0.2.9"),
    ],
)
def test_a_person_is_believed(event: Event) -> None:
    assert verdict(event, known=LIST)[0]


def test_the_hidden_link_taints_what_was_clicked_within_a_minute_and_nothing_else() -> None:
    hidden = click(3600, "https://a.ro/hidden", reason=HIDDEN_LINK)
    near, far = click(3640), click(9000)
    assert verdict(near, hidden) == (False, "beside a click on the hidden link")
    assert verdict(far, hidden) == (True, "nothing odd")
    assert judged([DELIVERED, hidden])[1].human < 0.001


def test_a_burst_over_the_links_is_a_machines() -> None:
    human, why = verdict(click(7200), click(7201, "https://a.ro/2"))
    assert not human
    assert why == "2 clicks on 2 links in 10 s"


def test_only_opens_and_clicks_are_judged() -> None:
    for kind in EventKind:
        found = judged([replace(DELIVERED, kind=kind)])[0]
        assert (found.why == "") == (kind not in (EventKind.OPEN, EventKind.CLICK))


@pytest.mark.parametrize(
    "url", ["https://shop.example/u/" + "a" * 44, "https://shop.example/unsubscribe?all=1"]
)
def test_no_click_unsubscribes_anybody_wherever_it_leads(url: str) -> None:
    for reason in ("", HIDDEN_LINK, HEAD_REQUEST, "unsubscribe"):
        assert suppression(click(7200, url, reason=reason)) is None


@pytest.mark.parametrize("listed", [False, True])
def test_precision_and_recall_on_a_simulated_trace(
    listed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    counts: Counter[tuple[EventKind, bool, bool]] = Counter()
    for mail in trace(2000, seed=1):
        found = judged(mail.events, datacenters=LIST if listed else NOWHERE)
        for event, person in zip(found, mail.person, strict=True):
            counts[event.kind, not person, event.human < HUMAN_FLOOR] += 1
    least = {EventKind.OPEN: (0.97, 0.97), EventKind.CLICK: (0.95, 0.90 if listed else 0.80)}
    for kind, (precision_least, recall_least) in least.items():
        hits, missed = counts[kind, True, True], counts[kind, True, False]
        false = counts[kind, False, True]
        precision, recall = hits / (hits + false), hits / (hits + missed)
        with capsys.disabled():
            print(
                f"\nSIMULATED trace, machines among {kind}s, data centres "
                f"{'listed' if listed else 'unknown'}: precision {precision:.3f}, recall "
                f"{recall:.3f} ({hits + missed:,} machines, "
                f"{false + counts[kind, False, False]:,} people)"
            )
        assert precision >= precision_least
        assert recall >= recall_least


def test_ranges_may_overlap_touch_and_come_in_any_order(tmp_path: Path) -> None:
    file = tmp_path / "nets.txt"
    file.write_text(
        "# cloud\n10.2.0.0/16\n\n10.0.0.0/15  # two\n10.2.3.0/24\n203.0.113.7\n2001:db8::/48\r\n"
    )
    found = read_networks(file)
    inside = ["10.0.0.0", "10.1.255.255", "10.2.255.255", "203.0.113.7", "2001:db8::ffff"]
    outside = ["10.3.0.0", "9.255.255.255", "203.0.113.8", "2001:db8:1::", "", "no address", "::1"]
    assert all(ip in found for ip in inside)
    assert not any(ip in found for ip in outside)
    assert found.starts[4] == [int(ipaddress.ip_address(ip)) for ip in ("10.0.0.0", "203.0.113.7")]


def test_a_bad_line_is_named_with_its_file(tmp_path: Path) -> None:
    file = tmp_path / "nets.txt"
    file.write_text("10.0.0.0/8\n10.0.0.0/33\nexample.com\n")
    with pytest.raises(ConfigError) as error:
        read_networks(file)
    assert error.value.where == str(file)
    assert "line 2: '10.0.0.0/33'; line 3: 'example.com'" in error.value.what
    with pytest.raises(ConfigError, match=r"tracking\.datacenters"):
        read_networks(tmp_path / "none.txt")


def test_a_hundred_thousand_ranges_are_looked_up_like_one(tmp_path: Path) -> None:
    file = tmp_path / "nets.txt"
    file.write_text(
        "\n".join(f"{n >> 8}.{n & 255}.{m}.0/25" for n in range(1000, 1400) for m in range(256))
    )
    found = read_networks(file)
    assert len(found.starts[4]) == 400 * 256
    assert "3.232.17.127" in found
    assert "3.232.17.128" not in found
