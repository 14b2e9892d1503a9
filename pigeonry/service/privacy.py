"""Retention: what is older than its time goes, in small batches, and is counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pigeonry.config import Home
from pigeonry.domain.address import address_hash
from pigeonry.domain.progress import Progress, silent
from pigeonry.service import erased_files, late, uploads
from pigeonry.store import erasing, retention
from pigeonry.store.retention import Kind
from pigeonry.store.session import Database

_BATCH = 2000  # rows in one transaction
_LATE = "late reports about erased people"
_MAILS, _ERRORS, _LEADS = "mail files", "error files of imports", "leads that never confirmed"
_UPLOADS = "uploaded lists that nobody imported"


@dataclass(frozen=True, slots=True)
class Retained:
    """How many of each kind went, or would go, and after how many days each kind goes."""

    gone: dict[str, int]
    days: dict[str, int]
    dry_run: bool


def retain(
    db: Database, home: Home, *, now: datetime, dry_run: bool, progress: Progress = silent
) -> Retained:
    """Take away what `privacy.*_days` says. May run twice, and be stopped at any moment.

    Suppression, consent and the states of messages have no time. An event or a file that shows whether an
    unknown message left stays until that is settled; a body that nobody has understood yet stays too.
    """
    days = days_of(home)
    gone: dict[str, int] = {}
    for kind in Kind:
        before = now - timedelta(days=days[kind.value])
        if dry_run:
            with db.read() as session:
                gone[kind.value] = retention.count(session, kind, before)
        else:
            gone[kind.value] = _take(db, kind, before, progress)
        if kind is Kind.RAW_BODIES:  # before their requests go, by which they are found
            before = now - timedelta(days=days[_LEADS])
            gone[_LEADS] = _forget_leads(db, home, before, now=now, dry_run=dry_run)
    gone[_LATE] = _strike_late(db, home, dry_run=dry_run)
    gone[_MAILS] = _remove(_old_mails(db, home, now - timedelta(days=days[_MAILS])), dry_run)
    gone[_ERRORS] = _remove(_old_errors(home, now - timedelta(days=days[_ERRORS])), dry_run)
    gone[_UPLOADS] = uploads.sweep(db, home, now=now, dry_run=dry_run)
    return Retained(gone, days, dry_run)


def days_of(home: Home) -> dict[str, int]:
    """After how many days each kind goes."""
    settings = home.settings.privacy
    return {
        Kind.EVENTS.value: settings.events_days,
        Kind.RAW_BODIES.value: settings.raw_days,
        Kind.PROPOSALS.value: settings.prompts_days,
        Kind.ANSWERS.value: settings.prompts_days,
        Kind.REQUESTS.value: settings.raw_days,
        Kind.CRM_SEEN.value: settings.raw_days,
        Kind.CRM_REFUSED.value: settings.raw_days,
        _LEADS: settings.raw_days,
        _LATE: 0,
        _MAILS: settings.mails_days,
        _ERRORS: settings.raw_days,
        _UPLOADS: settings.uploads_days,
    }


def _take(db: Database, kind: Kind, before: datetime, progress: Progress) -> int:
    total = 0
    while True:
        with db.write() as session:
            found = retention.take(session, kind, before, limit=_BATCH)
        total += found
        progress(kind.value, total)
        if found < _BATCH:
            return total


def _forget_leads(
    db: Database, home: Home, before: datetime, *, now: datetime, dry_run: bool
) -> int:
    """Not an erasure: nobody asked for one, so the address may come again."""
    total, key = 0, home.secret("suppression.key")
    while True:
        with db.read() as session:
            emails = retention.never_confirmed(session, before, limit=_BATCH)
        if dry_run or not emails:
            return total + len(emails)
        for email in emails:
            with db.read() as session:
                person = erasing.subject(session, email, address_hash(email, key))
            erased_files.erase_mails(home, person)
            with db.write() as session:
                erasing.erase(session, person, (), at=now)
        total += len(emails)


def _strike_late(db: Database, home: Home, *, dry_run: bool) -> int:
    """What was understood before a drain did this by itself, or while an erasure was under way."""
    with db.read() as session:
        found = erasing.late_bodies(session)
    for raw_id in () if dry_run else found:
        with db.write() as session:
            late.strike(session, home, {raw_id: set()}, ())
            erasing.delete_late(session, raw_id)
    return len(found)


def _old_mails(db: Database, home: Home, before: datetime) -> Iterator[Path]:
    with db.read() as session:
        evidence = retention.unproven_keys(session)
    for path in home.outbox.rglob("*"):
        if path.name[:32] not in evidence and _older(path, before):
            yield path


def _old_errors(home: Home, before: datetime) -> Iterator[Path]:
    for path in home.reports.glob("import-*-errors.csv"):
        if _older(path, before):
            yield path


def _older(path: Path, before: datetime) -> bool:
    try:
        return path.is_file() and path.stat().st_mtime < before.timestamp()
    except FileNotFoundError:
        return False


def _remove(paths: Iterator[Path], dry_run: bool) -> int:
    count = 0
    for path in paths:
        if not dry_run:
            path.unlink(missing_ok=True)
        count += 1
    return count
