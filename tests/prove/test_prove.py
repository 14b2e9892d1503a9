"""The short proofs that `make test` runs: real senders killed, counted at the far end."""

from __future__ import annotations

import pytest

from pigeonry.prove.cell import run_cell
from pigeonry.prove.guarantee import Outcome, Setting
from pigeonry.prove.limits import Limits
from pigeonry.prove.trials import (
    bots,
    consenting,
    exporting,
    forgetting,
    killing,
    one_click,
    redirecting,
    restoring,
    suppressing,
    troubled_database,
    webhooks,
)

MESSAGES, KILLS = 1000, 20
SHORT = Limits(timeout=0.8, after_dot=1.5, lease=8.0, quarantine=6.0, event_delay=2.0)


@pytest.mark.slow
@pytest.mark.parametrize(("channel", "database"), [("smtp", "sqlite"), ("sendgrid", "postgres")])
def test_killed_again_and_again_nobody_gets_two_and_nobody_is_forgotten(
    channel: str, database: str
) -> None:
    found = run_cell(
        channel=channel, database=database, seed=1, messages=MESSAGES, kills=KILLS, limits=SHORT
    )
    assert found.count.messages == MESSAGES
    assert found.kills == KILLS
    assert (found.count.duplicates, found.count.lost, found.count.foreign) == (0, 0, 0)
    assert found.count.accepted >= 0.97 * MESSAGES
    if channel == "sendgrid":
        assert found.resolved >= 0.99


@pytest.mark.slow
def test_killed_at_every_place_nobody_gets_two_and_nobody_is_forgotten() -> None:
    """Over SMTP here; `pigeonry prove --all` goes through the places of every channel."""
    all_held(killing.at_every_place(Setting(channels=("smtp",), databases=("sqlite",))))


@pytest.mark.slow
def test_restored_copied_or_out_of_time_nothing_is_sent_before_somebody_confirms() -> None:
    all_held(restoring.restored_or_cloned(Setting()))


@pytest.mark.slow
def test_no_hand_over_begins_after_a_stop_was_committed() -> None:
    setting = Setting(messages=600, channels=("smtp",), databases=("postgres",))
    all_held(suppressing.suppression_wins(setting))


@pytest.mark.slow
def test_one_click_works_and_cannot_be_abused() -> None:
    all_held(one_click.one_click(Setting(messages=50)))


@pytest.mark.slow
def test_a_tracked_link_leads_where_its_campaign_says_or_nowhere() -> None:
    all_held(redirecting.no_open_redirects(Setting(messages=100)))


@pytest.mark.slow
def test_no_acknowledged_event_is_lost_when_the_web_process_is_killed() -> None:
    all_held(webhooks.no_event_is_lost(Setting(messages=250, kills=3, databases=("sqlite",))))


@pytest.mark.slow
def test_a_full_disk_loses_nothing_and_sends_nothing_twice() -> None:
    setting = Setting(messages=160, kills=8)
    all_held([troubled_database.one(setting, "smtp", "sqlite", "full")])


@pytest.mark.slow
def test_after_an_erasure_no_byte_is_left_and_none_comes_back() -> None:
    all_held(forgetting.erasure_is_real(Setting(messages=50, databases=("sqlite",))))


@pytest.mark.slow
def test_an_export_has_every_table_that_the_schema_links_to_a_person() -> None:
    all_held(exporting.export_is_complete(Setting(messages=50, databases=("sqlite",))))


@pytest.mark.slow
def test_mail_goes_to_those_who_agreed_and_to_nobody_else() -> None:
    setting = Setting(messages=60, databases=("sqlite",))
    all_held(consenting.no_consent_no_mail(setting))


@pytest.mark.slow
def test_bots_do_not_count_and_silence_nobody() -> None:
    all_held(bots.bots_do_not_count(Setting(messages=300)))


def all_held(outcomes: list[Outcome]) -> None:
    assert outcomes
    assert [f"{o.trial}: {o.words()}" for o in outcomes if not o.held] == []
