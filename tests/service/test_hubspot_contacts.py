"""Asking HubSpot for contacts, over a real connection: batches, waiting as told, and giving up in time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pigeonry.config import CrmSettings
from pigeonry.errors import OutsideFailure
from pigeonry.service.hubspot_contacts import read_contacts
from tests import crm_bodies as crm
from tests.fakes.hubspot import TOKEN, Portal, portal


@pytest.fixture(scope="module")
def server() -> Iterator[Portal]:
    with portal() as found:
        yield found


def ask(server: Portal, ids: list[str], token: str = TOKEN) -> tuple[list[str], list[float]]:
    waits: list[float] = []
    settings = CrmSettings(kind="hubspot", api_url=server.url, timeout_seconds=2)
    found = read_contacts(settings, token, ids, ["email"], sleep=waits.append)
    return [one.external_id for one in found], waits


def test_many_contacts_are_asked_for_a_hundred_at_a_time(server: Portal) -> None:
    server.contacts = {str(n): ({"email": f"p{n}@exemplu.ro"}, crm.iso()) for n in range(150)}
    server.asked.clear()

    found, _ = ask(server, [str(n) for n in range(205)])

    assert [len(ids) for ids in server.asked] == [100, 100, 5]
    assert found == [str(n) for n in range(150)]


def test_it_waits_as_hubspot_says_and_gives_up_when_that_is_too_long(server: Portal) -> None:
    server.contacts = {"1": ({"email": "a@exemplu.ro"}, crm.iso())}
    server.moods[:] = [(429, {"Retry-After": "7"}), 502, 0]
    assert ask(server, ["1"]) == (["1"], [7.0, 2.0, 4.0])

    server.moods[:] = [(429, {"Retry-After": "3600"})]
    with pytest.raises(OutsideFailure) as raised:
        ask(server, ["1"])
    assert raised.value.transient

    server.moods[:] = [500] * 9
    with pytest.raises(OutsideFailure, match="500"):
        ask(server, ["1"])
    server.moods.clear()


@pytest.mark.parametrize("mood", [b"<html>", b"[]", b'{"results": {}}', (302, {"Location": "/x"})])
def test_an_answer_that_makes_no_sense_is_a_failure(server: Portal, mood: object) -> None:
    server.moods[:] = [mood]  # type: ignore[list-item]
    with pytest.raises(OutsideFailure):
        ask(server, ["1"])


def test_a_refused_token_says_what_to_do(server: Portal) -> None:
    with pytest.raises(OutsideFailure, match="token") as raised:
        ask(server, ["1"], token="wrong")
    assert not raised.value.transient
    assert "wrong" not in str(raised.value)


def test_a_server_that_is_not_there_is_a_failure_that_may_pass() -> None:
    settings = CrmSettings(kind="hubspot", api_url="http://127.0.0.1:9", timeout_seconds=0.5)
    with pytest.raises(OutsideFailure) as raised:
        read_contacts(settings, TOKEN, ["1"], ["email"], sleep=lambda _: None)
    assert raised.value.transient
