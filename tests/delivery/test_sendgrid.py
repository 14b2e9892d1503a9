"""The official client against a server on loopback that misbehaves: outcome classes are ours."""

from __future__ import annotations

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pigeonry.config import SendgridSettings, load_home
from pigeonry.delivery.base import make_sender
from pigeonry.delivery.headers import UnsafeHeader
from pigeonry.delivery.sendgrid import SendGridSender, Stop, api, request_body, stops
from pigeonry.domain import HandOver, Outcome, OutgoingMessage
from pigeonry.errors import ConfigError, OutsideFailure
from tests.delivery.servers import cutting, make_certificate, talking
from tests.delivery.sinks import ApiSink, api_sink, free_port, outgoing


def sender(sink: ApiSink, timeout: float = 5) -> SendGridSender:
    return SendGridSender(SendgridSettings(host=sink.host, timeout_seconds=timeout), "SG.key")


def test_a_taken_mail_has_the_providers_number_and_carries_the_send_key() -> None:
    with api_sink() as sink:
        result = sender(sink).hand_over(outgoing(5))
    assert (result.outcome, result.provider_id) == (Outcome.ACCEPTED, "id0")
    assert sink.keys == [outgoing(5).send_key]
    assert sink.paths == ["/v3/mail/send"]
    assert sink.headers[0]["Authorization"] == "Bearer SG.key"


def test_a_request_has_one_recipient_and_says_nothing_else_about_the_person() -> None:
    body = request_body(outgoing(to="ana@example.com", to_name="Ana"), SendgridSettings())
    assert len(body["personalizations"]) == 1
    assert body["personalizations"][0]["to"] == [{"email": "ana@example.com", "name": "Ana"}]
    elsewhere = {key: value for key, value in body.items() if key not in ("personalizations",)}
    assert "ana" not in json.dumps(elsewhere).lower()
    assert body["personalizations"][0]["custom_args"] == {"send_key": outgoing().send_key}
    assert body["categories"] == ["campaign-7"]


@pytest.mark.parametrize(
    ("status", "outcome", "down"),
    [
        (400, Outcome.REFUSED, False),
        (401, Outcome.RETRY, True),
        (403, Outcome.RETRY, True),
        (413, Outcome.REFUSED, False),
        (301, Outcome.RETRY, True),
        (404, Outcome.RETRY, True),
        (405, Outcome.RETRY, True),
        (415, Outcome.RETRY, True),
        (429, Outcome.RETRY, True),
        (500, Outcome.UNKNOWN, False),
        (502, Outcome.UNKNOWN, False),
        (503, Outcome.UNKNOWN, False),
        (504, Outcome.UNKNOWN, False),
        (408, Outcome.UNKNOWN, False),
        (204, Outcome.UNKNOWN, False),
        (303, Outcome.UNKNOWN, False),
        ("cut", Outcome.UNKNOWN, False),
    ],
)
def test_each_answer_proves_one_thing(status: Any, outcome: Outcome, down: bool) -> None:
    with api_sink(lambda _number: status) as sink:
        result = sender(sink).hand_over(outgoing())
    assert (result.outcome, result.channel_down) == (outcome, down)
    assert len(sink.requests) == 1  # never a second request of its own


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "17"}, 17),
        ({"Retry-After": "-5"}, 0),
        ({"Retry-After": "999999"}, 3600),
        ({"Retry-After": "Tue, 24 Nov 2026 10:00:30 GMT"}, 30),
        ({"X-RateLimit-Reset": "1795514445"}, 45),
        ({"X-RateLimit-Reset": "1795514445", "Retry-After": "3"}, 3),
        ({"Retry-After": "soon"}, None),
        ({}, None),
    ],
)
def test_the_providers_own_wish_to_wait_is_kept_by_its_own_clock(
    headers: dict[str, str], seconds: float | None
) -> None:
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    said = f"HTTP/1.1 429 Too Many\r\nDate: Tue, 24 Nov 2026 10:00:00 GMT\r\n{head}Content-Length: 0\r\n\r\n"
    with talking([said.encode()], greets=False) as server:
        result = one(server.port)
    assert (result.outcome, result.channel_down) == (Outcome.RETRY, True)
    assert result.retry_after == seconds


def test_a_refusal_says_which_field_and_never_whose_address() -> None:
    words = {"errors": [{"field": "personalizations.0.to", "message": "ana@example.com is bad"}]}
    body = json.dumps(words).encode()
    said = b"HTTP/1.1 400 Bad\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with talking([said], greets=False) as server:
        result = one(server.port)
    assert result.outcome is Outcome.REFUSED
    assert result.reason == "400 personalizations.0.to: (address) is bad"


def test_many_mails_share_a_connection_and_lanes_have_one_each() -> None:
    with api_sink() as sink, ThreadPoolExecutor(4) as lanes:
        found = sender(sink)
        results = list(lanes.map(found.hand_over, map(outgoing, range(40))))
        found.close()
    assert {result.outcome for result in results} == {Outcome.ACCEPTED}
    assert len(set(sink.keys)) == len(sink.keys) == 40
    assert sink.connections <= 4


def test_a_connection_that_the_server_closed_meanwhile_costs_nothing() -> None:
    with api_sink(lambda number: (202, {"Connection": "close"}) if number else 202) as sink:
        found = sender(sink)
        assert found.hand_over(outgoing(1)).outcome is Outcome.ACCEPTED
        idle = found._connections._idle[0][0]
        idle.shutdown(socket.SHUT_RDWR)
        assert found.hand_over(outgoing(2)).outcome is Outcome.ACCEPTED
        assert found.hand_over(outgoing(3)).outcome is Outcome.ACCEPTED
    assert len(sink.keys) == 3
    assert sink.connections == 3


ANSWER = b"HTTP/1.1 202 Accepted\r\nX-Message-Id: id7\r\nContent-Length: 2\r\n\r\n{}"


@pytest.mark.parametrize(
    ("length", "end"),
    [(length, end) for end in ("cut", "reset") for length in range(len(ANSWER))]
    + [(length, "silence") for length in (0, 12, 30, len(ANSWER) - 1)],
)
def test_an_answer_that_breaks_off_counts_once_its_status_is_there(length: int, end: str) -> None:
    with talking([ANSWER[:length]], end=end, greets=False) as server:
        result = one(server.port, timeout=0.3)
    whole_status = length >= len(b"HTTP/1.1 202") and (
        end == "cut" or length >= ANSWER.index(b"{}")
    )
    expected = {Outcome.ACCEPTED} if whole_status else {Outcome.UNKNOWN}
    if end == "reset" and length >= len(b"HTTP/1.1 202"):
        expected = {
            Outcome.ACCEPTED,
            Outcome.UNKNOWN,
        }  # a reset may overtake what was sent before it
    assert result.outcome in expected


@pytest.mark.parametrize("end", ["silence", "drip"])
def test_the_longest_hand_over_is_true_against_a_server_that_takes_its_time(end: str) -> None:
    with talking([ANSWER if end == "drip" else b""], end=end, greets=False) as server:
        found = SendGridSender(
            SendgridSettings(host=f"http://127.0.0.1:{server.port}", timeout_seconds=0.3), "k"
        )
        began = time.monotonic()
        result = found.hand_over(outgoing())
        took = time.monotonic() - began
    assert result.outcome is Outcome.UNKNOWN
    assert took < found.max_seconds + 0.5


@pytest.mark.parametrize("read", [0, 1, 100, 400])
@pytest.mark.parametrize("reset", [False, True])
def test_a_request_that_breaks_off_before_its_last_byte_was_never_taken(
    read: int, reset: bool
) -> None:
    big = outgoing(html="<p>" + "x" * 30_000_000)  # more than the system keeps for a slow reader
    with cutting(read, reset=reset) as port:
        result = one(port, big)
    assert (result.outcome, result.channel_down) == (Outcome.RETRY, True)


def test_a_server_that_reads_nothing_is_definite_and_in_time() -> None:
    big = outgoing(html="<p>" + "x" * 30_000_000)
    with talking([b""], end="silence") as server:
        result = one(server.port, big, timeout=0.3)
    assert (result.outcome, result.channel_down) == (Outcome.RETRY, True)


def test_a_certificate_that_nobody_trusts_gets_no_request(tmp_path: Path) -> None:
    found = make_certificate(tmp_path)
    with talking([b""], greets=False, tls=found.server) as server:
        host = f"https://127.0.0.1:{server.port}"
        result = SendGridSender(SendgridSettings(host=host), "k").hand_over(outgoing())
    assert (result.outcome, result.channel_down) == (Outcome.RETRY, True)
    assert "certificate" in result.reason


def one(port: int, message: OutgoingMessage | None = None, *, timeout: float = 5) -> HandOver:
    settings = SendgridSettings(host=f"http://127.0.0.1:{port}", timeout_seconds=timeout)
    return SendGridSender(settings, "k").hand_over(message or outgoing())


def test_a_server_that_is_not_there_is_the_channels_trouble() -> None:
    found = SendGridSender(SendgridSettings(host=f"http://127.0.0.1:{free_port()}"), "k")
    result = found.hand_over(outgoing())
    assert (result.outcome, result.channel_down) == (Outcome.RETRY, True)


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("http://a..b", "k"),
        ("http://" + "a" * 70 + ".example", "k"),
        ("http://127.0.0.1:1", "a\nb"),
    ],
)
def test_settings_that_cannot_work_fail_nobodys_message(host: str, key: str) -> None:
    result = SendGridSender(SendgridSettings(host=host), key).hand_over(outgoing())
    assert (result.outcome, result.channel_down) == (Outcome.RETRY, True)


def test_the_sandbox_is_asked_for_when_it_is_set() -> None:
    settings = SendgridSettings(sandbox=True)
    assert request_body(outgoing(), settings)["mail_settings"]["sandbox_mode"]["enable"]
    with api_sink(lambda _number: 200) as sink:  # what the sandbox answers
        assert sender(sink).hand_over(outgoing()).outcome is Outcome.ACCEPTED


def test_labels_and_the_unsubscribe_group_come_from_the_settings() -> None:
    labels = tuple(f"label{number}" for number in range(20))
    body = request_body(outgoing(), SendgridSettings(asm_group=42, categories=labels))
    assert body["asm"] == {"group_id": 42}
    assert body["categories"] == ["campaign-7", *labels[:9]]  # ten at most
    assert "asm" not in request_body(outgoing(), SendgridSettings())


def test_the_european_region_is_the_default() -> None:
    assert api(SendgridSettings(), "k")[0].host == "https://api.eu.sendgrid.com"
    assert api(SendgridSettings(region="global"), "k")[0].host == "https://api.sendgrid.com"


def test_unsafe_headers_are_refused_here_too() -> None:
    with pytest.raises(UnsafeHeader):
        request_body(outgoing(subject="a\r\nb"), SendgridSettings())


def test_a_missing_key_is_named_before_anything_is_sent(tmp_path: Any) -> None:
    home = load_home(tmp_path, env={"PIGEONRY_SENDING__CHANNEL": "sendgrid"})
    with pytest.raises(ConfigError, match="PIGEONRY_SENDGRID_KEY"):
        make_sender(home, env={})
    assert make_sender(home, env={"PIGEONRY_SENDGRID_KEY": "SG.x"}).name == "sendgrid"


def test_their_lists_are_read_page_by_page_within_the_time_asked_for() -> None:
    rows = [
        {"email": f"lead{n}@example.com", "created": 1795514400 + n, "reason": "550 gone"}
        for n in range(700)
    ]

    def lists(path: str, query: dict[str, str]) -> Any:
        start, size = int(query["offset"]), int(query["limit"])
        return rows[start : start + size] if path.endswith("/bounces") else []

    with api_sink(lists=lists) as sink:
        since, until = datetime(2026, 11, 23, tzinfo=UTC), datetime(2026, 11, 25, tzinfo=UTC)
        settings = SendgridSettings(host=sink.host)
        pages = list(stops(settings, "SG.key", since=since, until=until))
    assert [len(page) for page in pages] == [500, 200]
    first = Stop("bounces", "lead0@example.com", datetime(2026, 11, 24, 10, tzinfo=UTC), "550 gone")
    assert pages[0][0] == first
    assert sink.paths[0] == (
        "/v3/suppression/bounces?end_time=1795564800&limit=500&offset=0&start_time=1795392000"
    )
    assert sink.paths[1].endswith("offset=500&start_time=1795392000")
    assert [path.split("/")[3].split("?")[0] for path in sink.paths[1:]] == [
        "bounces", "blocks", "invalid_emails", "spam_reports", "unsubscribes",
    ]  # fmt: skip
    assert sink.connections == 1


@pytest.mark.parametrize(("status", "transient"), [(500, True), (429, True), (403, False)])
def test_lists_that_are_not_handed_over_are_an_outside_failure(
    status: int, transient: bool
) -> None:
    with api_sink(lists=lambda _path, _query: status) as sink:
        settings = SendgridSettings(host=sink.host)
        with pytest.raises(OutsideFailure, match="list of bounces") as caught:
            list(stops(settings, "k", since=None, until=datetime.now(UTC)))
    assert caught.value.transient == transient
