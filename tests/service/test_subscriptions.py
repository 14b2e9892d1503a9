"""Leaving, pausing and coming in: by a signed link, once, with proof, and without telling who is known."""

from __future__ import annotations

import base64
import json
import random
import secrets
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest

from pigeonry.config import Home
from pigeonry.delivery.links import load_links
from pigeonry.delivery.opt_in import load_opt_in_links
from pigeonry.domain import ConsentBasis, ConsentState, Language, SuppressionReason
from pigeonry.domain.address import address_hash
from pigeonry.errors import BadInput, WrongUse
from pigeonry.service import subscriptions
from pigeonry.service.people import erase_person
from pigeonry.store import consent_texts, consents, leads, opt_ins
from pigeonry.store.models import Consent, Job, Lead, Suppression
from pigeonry.store.session import Database

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
EMAIL = "ion@exemplu.ro"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def bring(db: Database, home: Home, email: str = EMAIL, *, granted: bool = True) -> int:
    digest = address_hash(email, home.secret("suppression.key"))
    with db.write() as session:
        fields = leads.LeadFields(
            email, digest, "Ion", "", "", "", "ro", "RO", "", "Europe/Bucharest", "", {}
        )
        lead_id = leads.add(session, [fields], NOW)[0]
        if granted:
            consents.record(
                session, lead_id, state=ConsentState.GRANTED, basis=ConsentBasis.EXPRESS,
                source="form", proof="", at=NOW - DAY,
            )  # fmt: skip
    return lead_id


def stop(db: Database, home: Home, reason: SuppressionReason, email: str = EMAIL) -> None:
    digest = address_hash(email, home.secret("suppression.key"))
    with db.write() as session:
        consents.suppress(session, digest, reason=reason, source="test", at=NOW - HOUR)


def words(db: Database) -> str:
    with db.write() as session:
        return consent_texts.add(session, language="ro", text="Sunt de acord.", at=NOW)


def ask(db: Database, home: Home, email: str = EMAIL, now: datetime = NOW) -> None:
    subscriptions.request_opt_in(
        db, home, email=email, language="ro", text_version="", source="footer", ip="192.0.2.77",
        now=now,
    )  # fmt: skip


def newest_token(db: Database, home: Home) -> str:
    with db.read() as session:
        row = session.query(Job).order_by(Job.id.desc()).first()
        assert row is not None
        return load_opt_in_links(home).token(row.id, row.payload["send_key"])


def confirm(db: Database, home: Home, token: str, now: datetime = NOW) -> bool:
    return subscriptions.confirm_opt_in(
        db, home, token, ip="2001:db8:1:2::3", user_agent="Firefox", now=now
    )


def mailable(db: Database) -> list[str]:
    with db.read() as session:
        return [lead.email for lead in leads.mailable(session)]


def rows(db: Database, table: type) -> int:
    with db.read() as session:
        return session.query(table).count()


def test_unsubscribing_suppresses_and_withdraws_consent_with_its_proof(
    any_database: Database, home: Home
) -> None:
    lead_id = bring(any_database, home)
    token = load_links(home).unsubscribe_token(lead_id, 7)

    assert subscriptions.unsubscribe(any_database, home, token, how="one-click", now=NOW)

    assert mailable(any_database) == []
    with any_database.read() as session:
        consent = consents.newest(session, lead_id)
        digest = address_hash(EMAIL, home.secret("suppression.key"))
        assert consents.reasons(session, [digest]) == {digest: SuppressionReason.UNSUBSCRIBE}
    assert consent is not None
    assert consent.state is ConsentState.WITHDRAWN
    assert json.loads(consent.proof) == {"how": "one-click", "campaign": 7, "key": 1}


def test_unsubscribing_again_says_yes_and_writes_nothing(database: Database, home: Home) -> None:
    token = load_links(home).unsubscribe_token(bring(database, home), 7)
    for how in ("one-click", "page", "mail", "operator"):
        assert subscriptions.unsubscribe(database, home, token, how=how, now=NOW)

    assert (rows(database, Consent), rows(database, Suppression)) == (2, 1)


def test_unsubscribing_counts_over_a_consent_that_a_clock_dated_ahead(
    database: Database, home: Home
) -> None:
    lead_id = bring(database, home)
    with database.write() as session:
        consents.record(
            session, lead_id, state=ConsentState.GRANTED, basis=ConsentBasis.EXPRESS, source="form",
            proof="", at=NOW + 3 * DAY,
        )  # fmt: skip
    token = load_links(home).unsubscribe_token(lead_id, 7)
    subscriptions.unsubscribe(database, home, token, how="page", now=NOW)

    with database.read() as session:
        assert consents.consent_state(session, lead_id) is ConsentState.WITHDRAWN


def test_the_link_of_an_erased_lead_still_says_yes_and_stops_nobody_else(
    database: Database, home: Home
) -> None:
    token = load_links(home).unsubscribe_token(bring(database, home), 7)
    erase_person(database, home, EMAIL, now=NOW)
    bring(database, home, "next@exemplu.ro")

    assert subscriptions.unsubscribe(database, home, token, how="page", now=NOW)
    assert subscriptions.preferences(database, home, token, now=NOW) is None
    assert mailable(database) == ["next@exemplu.ro"]


def test_ten_thousand_forged_or_mutated_tokens_change_nothing(
    database: Database, home: Home
) -> None:
    lead_id = bring(database, home)
    links, chance = load_links(home), random.Random(17)
    token = links.unsubscribe_token(lead_id, 7)
    letters = "abcdefghijklmnopqrstuvwxyz234567"

    def mutated(kind: int) -> str:
        at = chance.randrange(len(token))
        if kind == 0:
            return token[:at] + chance.choice(letters.replace(token[at], "")) + token[at + 1 :]
        if kind == 1:
            return token[:at]
        if kind == 2:
            return "".join(chance.choice(letters) for _ in token)
        if kind == 3:
            raw = bytes((1,)) + secrets.token_bytes(26)
            return base64.b32encode(raw).decode().rstrip("=").lower()
        other = chance.randrange(len(token))
        low, high = sorted((at, other))
        swapped = token[:low] + token[high] + token[low + 1 : high] + token[low] + token[high + 1 :]
        return swapped if swapped != token and low != high else token[1:]

    accepted = sum(
        subscriptions.unsubscribe(database, home, mutated(number % 5), how="one-click", now=NOW)
        for number in range(10_000)
    )
    assert accepted == 0
    assert mailable(database) == [EMAIL]
    # A token for one thing opens no other door.
    assert subscriptions.opt_in_view(database, home, token, now=NOW) is None
    assert not confirm(database, home, token)


@pytest.mark.parametrize(
    "spoiled",
    [
        lambda token: token.upper(),
        lambda token: quote(quote(f"{token}&x=1", safe=""), safe=""),
        lambda token: f"&amp;t={token}&amp;",
        lambda token: f"<{token}>",
        lambda token: f"unsubscribe {token}",
        lambda token: f"{token}%20",
    ],
    ids=["upper-cased", "double-encoded", "amp", "brackets", "words", "space"],
)
def test_a_token_that_a_mail_program_rewrote_is_still_read(
    database: Database, home: Home, spoiled: object
) -> None:
    token = load_links(home).unsubscribe_token(bring(database, home), 7)
    assert callable(spoiled)
    assert subscriptions.unsubscribe(database, home, spoiled(token), how="page", now=NOW)
    assert mailable(database) == []


def test_a_link_of_an_old_mail_works_after_the_keys_were_changed(
    database: Database, home: Home
) -> None:
    token = load_links(home).unsubscribe_token(bring(database, home), 7)
    (home.path / "secrets" / "links-2.key").write_bytes(secrets.token_bytes(32))

    assert subscriptions.unsubscribe(
        database, home, token, how="one-click", now=NOW + timedelta(days=400)
    )


def test_preferences_show_no_address_and_keep_what_was_not_changed(
    any_database: Database, home: Home
) -> None:
    home.settings.privacy.topics[:] = ["news", "courses"]
    token = load_links(home).unsubscribe_token(bring(any_database, home), 7)
    first = subscriptions.preferences(any_database, home, token, now=NOW)
    assert first is not None
    assert (first.address, first.subscribed) == ("i***@e***.ro", True)
    assert (first.paused_until, first.weekly_cap) == (None, 0)
    assert first.topics == {"news": True, "courses": True}

    def change(**values: object) -> subscriptions.PreferenceView:
        nothing = {"paused_days": None, "weekly_cap": None, "topics": None, "language": None}
        view = subscriptions.set_preferences(
            any_database,
            home,
            token,
            **{**nothing, **values},
            now=NOW,  # type: ignore[arg-type]
        )
        assert view is not None
        return view

    change(paused_days=30, weekly_cap=2)
    change(topics={"news": False})
    found = change(language="en", topics={"courses": True, "not offered": False})
    assert found.paused_until == NOW + 30 * DAY
    assert (found.weekly_cap, found.language) == (2, Language.EN)
    assert found.topics == {"news": False, "courses": True}
    assert change(paused_days=0).paused_until is None
    for impossible in ({"paused_days": -1}, {"weekly_cap": 101}, {"language": "xx"}):
        with pytest.raises(WrongUse):
            change(**impossible)


def test_a_double_opt_in_grants_consent_with_the_proof_of_both_moments(
    any_database: Database, home: Home
) -> None:
    version = words(any_database)
    ask(any_database, home)
    assert mailable(any_database) == []
    token = newest_token(any_database, home)
    view = subscriptions.opt_in_view(any_database, home, token, now=NOW)
    assert view is not None
    assert (view.address, view.text, view.text_version, view.confirmed) == (
        "i***@e***.ro", "Sunt de acord.", version, False,
    )  # fmt: skip

    assert confirm(any_database, home, token, NOW + HOUR)

    assert mailable(any_database) == [EMAIL]
    with any_database.read() as session:
        lead = leads.by_email(session, EMAIL)
        assert lead is not None
        consent = consents.newest(session, lead.id)
    assert consent is not None
    assert (consent.basis, consent.source, consent.text_version) == (
        ConsentBasis.EXPRESS, "footer", version,
    )  # fmt: skip
    proof = json.loads(consent.proof)
    assert proof["requested_at"] == NOW.isoformat()
    assert proof["confirmed_at"] == (NOW + HOUR).isoformat()
    assert proof["requested_from"] == "192.0.2.0/24"
    assert proof["confirmed_from"] == "2001:db8:1::/48"
    assert proof["user_agent"] == "Firefox"


def test_a_confirmation_works_once_and_never_undoes_a_later_unsubscribe(
    database: Database, home: Home
) -> None:
    words(database)
    ask(database, home)
    token = newest_token(database, home)
    assert confirm(database, home, token)
    assert confirm(database, home, token)  # still subscribed: the page says so
    assert rows(database, Consent) == 1

    with database.read() as session:
        lead = leads.by_email(session, EMAIL)
    assert lead is not None
    out = load_links(home).unsubscribe_token(lead.id, 1)
    subscriptions.unsubscribe(database, home, out, how="page", now=NOW + HOUR)
    assert not confirm(database, home, token, NOW + 2 * HOUR)
    assert mailable(database) == []


def test_a_confirmation_is_good_for_seven_days_and_for_its_own_request(
    database: Database, home: Home
) -> None:
    words(database)
    ask(database, home)
    token = newest_token(database, home)
    late = NOW + timedelta(days=7, seconds=1)
    assert subscriptions.opt_in_view(database, home, token, now=late) is None
    assert not confirm(database, home, token, late)
    forged = load_opt_in_links(home).token(1, "0" * 32)
    assert not confirm(database, home, forged)
    assert confirm(database, home, token, NOW + timedelta(days=6))


@pytest.mark.parametrize("reason", SuppressionReason)
def test_only_a_stop_that_is_ones_own_is_lifted_by_confirming(
    database: Database, home: Home, reason: SuppressionReason
) -> None:
    words(database)
    bring(database, home)
    ask(database, home)  # asked before the stop came
    token = newest_token(database, home)
    stop(database, home, reason)

    own = reason in (SuppressionReason.UNSUBSCRIBE, SuppressionReason.DO_NOT_MAIL)
    assert confirm(database, home, token) is own
    assert mailable(database) == ([EMAIL] if own else [])
    ask(database, home, now=NOW + 2 * HOUR)
    assert rows(database, Job) == (2 if own else 1)  # others are not even asked


def test_asking_for_an_erased_address_stores_nothing(database: Database, home: Home) -> None:
    words(database)
    stop(database, home, SuppressionReason.ERASURE)
    ask(database, home)
    assert (rows(database, Lead), rows(database, Job)) == (0, 0)


def test_one_address_is_asked_once_an_hour_and_five_times_a_day(
    any_database: Database, home: Home
) -> None:
    words(any_database)
    for minute in range(0, 24 * 60, 20):
        ask(any_database, home, now=NOW + timedelta(minutes=minute))
    assert rows(any_database, Job) == 5
    with any_database.read() as session:
        first, second = [item.created_at for item in opt_ins.queued(session, after_id=0)][:2]
    assert second - first >= HOUR
    ask(any_database, home, "maria@exemplu.ro")
    assert rows(any_database, Job) == 6


def test_a_request_needs_an_address_a_language_and_words_to_agree_to(
    database: Database, home: Home
) -> None:
    with pytest.raises(WrongUse, match="no consent text"):
        ask(database, home)
    words(database)
    with pytest.raises(BadInput):
        ask(database, home, "nobody")
    assert rows(database, Lead) == 0


@pytest.mark.parametrize(
    ("ip", "stored"),
    [("192.0.2.77", "192.0.2.0/24"), ("::ffff:192.0.2.77", "192.0.2.0/24"),
     ("2001:db8:1:2::3", "2001:db8:1::/48"), ("fe80::1%eth0", "fe80::/48"), ("", ""), ("x", "")],
)  # fmt: skip
def test_of_an_internet_address_only_its_network_is_kept(ip: str, stored: str) -> None:
    assert subscriptions.network(ip) == stored
