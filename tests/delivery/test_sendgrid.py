"""The official client against a server on loopback that misbehaves: outcome classes are ours."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from pigeonry.config import SendgridSettings, load_home
from pigeonry.delivery.base import make_sender
from pigeonry.delivery.headers import UnsafeHeader
from pigeonry.delivery.sendgrid import SendGridSender, request_body
from pigeonry.domain import Outcome
from pigeonry.errors import ConfigError
from tests.delivery.sinks import ApiSink, api_sink, free_port, outgoing


def sender(sink: ApiSink, timeout: float = 5) -> SendGridSender:
    return SendGridSender(SendgridSettings(host=sink.host), "SG.key", timeout_seconds=timeout)


def test_a_taken_mail_has_the_providers_number_and_carries_the_send_key() -> None:
    with api_sink() as sink:
        result = sender(sink).hand_over(outgoing(5))
    assert (result.outcome, result.provider_id) == (Outcome.ACCEPTED, "id0")
    assert sink.keys == [outgoing(5).send_key]
    assert sink.paths == ["/v3/mail/send"]
    assert sink.headers[0]["Authorization"] == "Bearer SG.key"


def test_a_request_has_one_recipient_and_says_nothing_else_about_the_person() -> None:
    body = request_body(outgoing(to="ana@example.com", to_name="Ana"))
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
        (429, Outcome.RETRY, True),
        (500, Outcome.UNKNOWN, False),
        (502, Outcome.UNKNOWN, False),
        (503, Outcome.UNKNOWN, False),
        (504, Outcome.UNKNOWN, False),
        (408, Outcome.UNKNOWN, False),
        (204, Outcome.UNKNOWN, False),
        ("cut", Outcome.UNKNOWN, False),
    ],
)
def test_each_answer_proves_one_thing(status: Any, outcome: Outcome, down: bool) -> None:
    with api_sink(lambda _number: status) as sink:
        result = sender(sink).hand_over(outgoing())
    assert (result.outcome, result.channel_down) == (outcome, down)
    assert len(sink.requests) == 1  # never a second request of its own


def test_the_providers_own_retry_after_is_kept() -> None:
    with api_sink(lambda _number: (429, {"Retry-After": "17"})) as sink:
        assert sender(sink).hand_over(outgoing()).retry_after == 17.0


def test_no_answer_in_time_is_unknown() -> None:
    def slow(_number: int) -> int:
        time.sleep(1)
        return 202

    with api_sink(slow) as sink:
        assert sender(sink, timeout=0.2).hand_over(outgoing()).outcome is Outcome.UNKNOWN


def test_a_server_that_is_not_there_is_the_channels_trouble() -> None:
    found = SendGridSender(SendgridSettings(host=f"http://127.0.0.1:{free_port()}"), "k")
    result = found.hand_over(outgoing())
    assert (result.outcome, result.channel_down) == (Outcome.RETRY, True)


def test_the_sandbox_is_asked_for_when_it_is_set() -> None:
    assert request_body(outgoing(), sandbox=True)["mail_settings"]["sandbox_mode"]["enable"]


def test_the_european_region_is_the_default() -> None:
    assert SendGridSender(SendgridSettings(), "k")._client.host == "https://api.eu.sendgrid.com"


def test_unsafe_headers_are_refused_here_too() -> None:
    with pytest.raises(UnsafeHeader):
        request_body(outgoing(subject="a\r\nb"))


def test_a_missing_key_is_named_before_anything_is_sent(tmp_path: Any) -> None:
    home = load_home(tmp_path, env={"PIGEONRY_SENDING__CHANNEL": "sendgrid"})
    with pytest.raises(ConfigError, match="PIGEONRY_SENDGRID_KEY"):
        make_sender(home, env={})
    assert make_sender(home, env={"PIGEONRY_SENDGRID_KEY": "SG.x"}).name == "sendgrid"
