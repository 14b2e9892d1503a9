"""The catalogue's cases about consent and unsubscribing, as one table; the last test prints n of n."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import quote

import pytest

from pigeonry.config import Home
from pigeonry.delivery.links import load_links
from pigeonry.domain import SuppressionReason
from pigeonry.domain.address import address_hash
from pigeonry.service import subscriptions
from pigeonry.service.leads import ImportReport, import_leads, parse_claim
from pigeonry.service.people import erase_person
from pigeonry.store import consents, leads
from pigeonry.store.session import Database

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
EMAIL = "ion@exemplu.ro"


def brought(
    db: Database, home: Home, text: str, claim: str | None = "express:list"
) -> ImportReport:
    path = home.path / "list.csv"
    path.write_text(text, encoding="utf-8")
    return import_leads(
        db, home, path, mapping={}, consent=parse_claim(claim) if claim else None, dry_run=False,
        now=NOW,
    )  # fmt: skip


def mailable(db: Database) -> list[str]:
    with db.read() as session:
        return [lead.email for lead in leads.mailable(session, now=NOW)]


def stays_stopped(how: str) -> Callable[[Database, Home], None]:
    def check(db: Database, home: Home) -> None:
        brought(db, home, f"email\n{EMAIL}\n")
        assert mailable(db) == [EMAIL]
        if how == "erased":
            erase_person(db, home, EMAIL, now=NOW)
        elif how == "unsubscribed":
            with db.read() as session:
                lead = leads.by_email(session, EMAIL)
            assert lead is not None
            token = load_links(home).unsubscribe_token(lead.id, 1)
            assert subscriptions.unsubscribe(db, home, token, how="page", now=NOW)
        else:
            digest = address_hash(EMAIL, home.secret("suppression.key"))
            with db.write() as session:
                consents.suppress(
                    session, digest, reason=SuppressionReason(how), source="x", at=NOW
                )
        report = brought(db, home, f"email,consent,first name\n{EMAIL.upper()},express,Nou\n")
        assert mailable(db) == []
        assert report.suppressed + report.rejected == 1

    return check


def no_consent(cell: str, *, told: bool) -> Callable[[Database, Home], None]:
    def check(db: Database, home: Home) -> None:
        report = brought(db, home, f"email,consent\n{EMAIL},{cell}\n", claim=None)
        assert (report.created, report.consented, mailable(db)) == (1, 0, [])
        assert bool(report.errors) is told

    return check


def no_column(db: Database, home: Home) -> None:
    assert brought(db, home, f"email\n{EMAIL}\n", claim=None).consented == 0
    assert mailable(db) == []


def read_all_the_same(spoil: Callable[[str], str]) -> Callable[[Database, Home], None]:
    def check(db: Database, home: Home) -> None:
        token = _token(db, home)
        for _ in range(2):  # used again: already out is no error
            assert subscriptions.unsubscribe(db, home, spoil(token), how="page", now=NOW)
        assert mailable(db) == []

    return check


def refused(spoil: Callable[[str], str]) -> Callable[[Database, Home], None]:
    def check(db: Database, home: Home) -> None:
        token = _token(db, home)
        assert not subscriptions.unsubscribe(db, home, spoil(token), how="one-click", now=NOW)
        assert mailable(db) == [EMAIL]

    return check


def looking_changes_nothing(db: Database, home: Home) -> None:
    token = _token(db, home)
    for _ in range(3):
        assert subscriptions.preferences(db, home, token, now=NOW) is not None
    assert mailable(db) == [EMAIL]


def _token(db: Database, home: Home) -> str:
    brought(db, home, f"email\n{EMAIL}\n")
    with db.read() as session:
        lead = leads.by_email(session, EMAIL)
    assert lead is not None
    return load_links(home).unsubscribe_token(lead.id, 1)


CASES: dict[str, Callable[[Database, Home], None]] = {
    **{
        f"24 {how} person in the file": stays_stopped(how)
        for how in ("unsubscribed", "complaint", "bounce", "manual", "do-not-mail", "erased")
    },
    "25 no consent column": no_column,
    "25 blank": no_consent("", told=False),
    "25 yes on no basis": no_consent("yes", told=True),
    "25 date in the future": no_consent("2030-01-01", told=True),
    "25 impossible date": no_consent("31.02.2026", told=True),
    "25 legitimate interest": no_consent("legitimate interest", told=True),
    "25 customer without evidence": no_consent("existing customer", told=True),
    "62 upper-cased": read_all_the_same(str.upper),
    "62 &amp;": read_all_the_same(lambda token: f"{token}&amp;utm=1"),
    "62 double-encoded": read_all_the_same(lambda token: quote(quote(f"<{token}>"))),
    "62 cut by a mail program": refused(lambda token: token[:-3]),
    "62 empty": refused(lambda token: ""),
    "62 ten megabytes": refused(lambda token: "a" * 10_000_000),
    "62 not ASCII": refused(lambda token: token.replace("a", "а")),
    "63 looked at by a scanner": looking_changes_nothing,
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_about_consent_never_leads_to_a_mail(
    name: str, database: Database, home: Home
) -> None:
    CASES[name](database, home)


def test_the_table_covers_its_cases(capsys: pytest.CaptureFixture[str]) -> None:
    wanted = {"24", "25", "62", "63"}
    found = {name.split()[0] for name in CASES}
    print(f"cases 24, 25, 62, 63: {len(found & wanted)} of {len(wanted)}, in {len(CASES)} rows")
    assert found == wanted
