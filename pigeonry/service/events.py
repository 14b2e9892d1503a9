"""Takes in what comes back: raw bytes first, understood afterwards, in batches that may run twice."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from feedback.conversions import parse_conversions
from feedback.datacenters import NOWHERE, Networks, read_networks
from feedback.events import (
    CONVERSIONS,
    INBOUND,
    SENDGRID,
    EventError,
    ParsedEvents,
    Received,
    Sighting,
    judged,
    status,
    suppression,
    withdraws_consent,
)
from feedback.inbound import parse_inbound
from feedback.own import OWN, parse_own
from feedback.sendgrid_events import parse_sendgrid
from pigeonry.config import Home, nearest
from pigeonry.domain import Event, EventKind
from pigeonry.domain.progress import Progress, silent
from pigeonry.errors import WrongUse
from pigeonry.service import late
from pigeonry.service.ingest_report import ERRORS_KEPT, IngestReport
from pigeonry.service.matching import Match, match
from pigeonry.store import consents, erasing, raw_events
from pigeonry.store import events as store
from pigeonry.store.consents import SuppressionRow
from pigeonry.store.events import NewEvent
from pigeonry.store.raw_events import RawBody
from pigeonry.store.session import Database, Session

log = logging.getLogger("pigeonry.events")

_BATCH = 2000  # events in one transaction
_BODIES, _BYTES = (
    50,
    1 << 20,
)  # what is read at once: bodies, and their bytes where it is more than one
_PATIENCE = 600  # times that a drain waits for others who are at the same bodies, 50 ms each

_PARSERS: Mapping[str, Callable[[RawBody], ParsedEvents]] = {
    SENDGRID: lambda raw: parse_sendgrid(raw.body),
    OWN: lambda raw: parse_own(raw.body),
    INBOUND: lambda raw: parse_inbound(raw.body, raw.received_at),
    CONVERSIONS: lambda raw: parse_conversions(raw.body, raw.received_at),
}


def store_raw(
    db: Database,
    body: bytes,
    *,
    source: str,
    now: datetime,
    headers: Mapping[str, str] | None = None,
) -> int:
    """Keep a body before anybody understands it; returns its id. Verification comes before this."""
    _parser(source)
    with db.write() as session:
        return raw_events.add(session, source=source, body=body, headers=headers or {}, at=now)


def ingest_events(
    db: Database,
    home: Home,
    body: bytes,
    *,
    source: str,
    now: datetime,
    progress: Progress = silent,
) -> IngestReport:
    """Store a body and apply it at once. The same body again finds only duplicates, also when the stored
    one was removed for its age."""
    raw_id = store_raw(db, body, source=source, now=now)
    report, _ = _drain(db, home, [RawBody(raw_id, source, body, now)], now, progress, again=True)
    if report.forgotten:
        erasing.clean_late(db)
    return report


def drain_events(
    db: Database, home: Home, *, now: datetime, progress: Progress = silent
) -> IngestReport:
    """Apply every stored body that has not been applied yet, oldest first.

    Several may do this at once: whoever finds bodies that another one has taken goes on somewhere else,
    and at the end waits for the others.
    """
    report = IngestReport()
    skip = waits = 0
    while waits <= _PATIENCE:
        with db.read() as session:
            waiting = raw_events.undrained(session, skip=skip, most=_BODIES, most_bytes=_BYTES)
            bodies = raw_events.bodies(session, waiting)
            left = raw_events.count_undrained(session) if skip or waits else 0
        if not bodies and not skip:
            break
        found, taken = _drain(db, home, bodies, now, progress)
        report += found
        waits = 0 if taken else waits + 1
        skip = 0 if taken else random.randrange(max(1, left))  # noqa: S311
        if not taken:
            time.sleep(0.05 * random.random())  # noqa: S311
    if report.forgotten:
        erasing.clean_late(db)
    return report


def backlog(db: Database) -> int:
    """How many stored bodies nobody has understood yet."""
    with db.read() as session:
        return raw_events.count_undrained(session)


def _parser(source: str) -> Callable[[RawBody], ParsedEvents]:
    if source not in _PARSERS:
        raise WrongUse(
            f"unknown source of events {source!r}{nearest(source, list(_PARSERS))}",
            where="--source",
            fix=f"known sources: {', '.join(_PARSERS)}",
        )
    return _PARSERS[source]


def _parsed(raw: RawBody) -> ParsedEvents:
    """What a body holds. One that breaks its parser is set aside, with an error that says so: it stays in
    the database, and those behind it, who may ask us to stop, do not wait for it."""
    try:
        return _parser(raw.source)(raw)
    except (WrongUse, MemoryError):
        raise
    except Exception as error:
        log.exception("body %d of %s could not be read and is set aside", raw.id, raw.source)
        reason = f"body {raw.id} could not be read ({type(error).__name__}); it is kept"
        return ParsedEvents((), (EventError(0, reason),))


class _Seen(NamedTuple):
    """A sighting with the body that it stood in."""

    raw_id: int
    source: str
    sighting: Sighting


def _drain(
    db: Database,
    home: Home,
    bodies: Sequence[RawBody],
    now: datetime,
    progress: Progress,
    *,
    again: bool = False,
) -> tuple[IngestReport, bool]:
    """Apply these bodies; whether any of them was ours to apply. `again`: also what was applied before."""
    seen: list[_Seen] = []
    flaws: dict[int, list[EventError]] = {}
    for raw in bodies:
        parsed = _parsed(raw)
        flaws[raw.id] = list(parsed.errors)
        seen += [_Seen(raw.id, raw.source, sighting) for sighting in parsed.received]
    report = IngestReport()
    taken = False
    erased: dict[int, set[str]] = {}  # bodies that speak of erased people, and by what names
    for start in range(0, max(1, len(seen)), _BATCH):
        batch = seen[start : start + _BATCH]
        last = start + _BATCH >= len(seen)
        fresh, known = _read(db, batch, flaws)
        suppressed = _suppress(db, home, [item for _, item in fresh], now)
        with db.write() as session:
            held = set(flaws) if again else raw_events.claim(session, sorted(flaws))
            ours = [pair for pair in fresh if pair[0] in held]
            found = _apply(session, home, ours, flaws, erased)
            if last:
                looked = [raw.id for raw in bodies if flaws[raw.id] or raw.source == INBOUND]
                struck = late.strike(session, home, erased, held.intersection(looked))
                errors = {raw_id: _said(flaws[raw_id]) for raw_id in sorted(held - struck)}
                raw_events.mark_drained(session, errors | dict.fromkeys(struck, ""), now)
                found += IngestReport(forgotten=len(struck))
        taken = taken or bool(held)
        duplicate = sum(count for raw_id, count in known.items() if raw_id in held)
        report += found + IngestReport(duplicate=duplicate, suppressed=suppressed)
        progress("events", min(start + _BATCH, len(seen)), len(seen))
    wrong = [error for raw_id in sorted(held) for error in _in_order(flaws[raw_id])]
    report += IngestReport(
        received=report.applied + report.duplicate + len(wrong),
        rejected=len(wrong),
        errors=tuple(wrong[:ERRORS_KEPT]),
    )
    return report, taken


def _in_order(errors: Iterable[EventError]) -> list[EventError]:
    return sorted(errors, key=lambda error: error.position)


def _said(errors: Sequence[EventError]) -> str:
    kept = _in_order(errors)[:ERRORS_KEPT]
    return "\n".join(f"element {error.position}: {error.reason}" for error in kept)


def _read(
    db: Database, batch: Sequence[_Seen], flaws: Mapping[int, list[EventError]]
) -> tuple[list[tuple[int, Received]], dict[int, int]]:
    """Read what is new, each event once; how many copies of known ones each body held. What is no event
    is added to `flaws`."""
    with db.read() as session:
        kinds = _known(session, ((seen.source, seen.sighting.event_id) for seen in batch))
    fresh: list[tuple[int, Received]] = []
    copies: dict[int, int] = {}
    for raw_id, source, sighting in batch:
        before = kinds.get((source, sighting.event_id))
        if before is None:
            try:
                item = sighting.read()
            except ValueError as error:
                flaws[raw_id].append(EventError(sighting.position, str(error)))
                continue
            kinds[source, sighting.event_id] = sighting.kind
            fresh.append((raw_id, item))
        elif before is sighting.kind:
            copies[raw_id] = copies.get(raw_id, 0) + 1
        else:
            flaws[raw_id].append(_two_meanings(sighting, before))
    return fresh, copies


def _two_meanings(sighting: Sighting, before: EventKind) -> EventError:
    return EventError(
        sighting.position,
        f"event id {sighting.event_id!r} came before as {before}, now as {sighting.kind}",
    )


def _suppress(db: Database, home: Home, fresh: Sequence[Received], now: datetime) -> int:
    """Stops first, in a transaction of their own: a sender that asks a moment later must know.

    It locks people and the next one locks messages, never both, so that a sender that locks them in
    another order cannot deadlock with us. Returns how many new events stopped somebody.
    """
    stops = [item for item in fresh if suppression(item.event)]
    if not stops:
        return 0
    with db.write() as session:
        matches = match(session, home, stops)
        hashes = sorted({digest for found in matches for digest in found.hashes})
        consents.lock_addresses(session, hashes)
        for item, found in zip(stops, matches, strict=True):
            event, at = item.event, min(item.event.at, now)
            reason = suppression(event)
            assert reason is not None
            rows = [
                SuppressionRow(digest, reason, event.source, at) for digest in sorted(found.hashes)
            ]
            consents.suppress_many(session, rows)
            if found.lead_id is not None and withdraws_consent(event):
                consents.withdraw(
                    session,
                    found.lead_id,
                    source=event.source,
                    proof=f"{event.kind} event {event.id}",
                    at=at,
                )
    return sum(1 for found in matches if found.hashes)


def _apply(
    session: Session,
    home: Home,
    fresh: Sequence[tuple[int, Received]],
    flaws: Mapping[int, list[EventError]],
    erased: dict[int, set[str]],
) -> IngestReport:
    """Store new events with their messages and bring those messages' status up to date. Bodies that spoke
    of erased people are added to `erased`."""
    # Somebody else may have stored the same events since they were read.
    kinds = _known(session, ((item.event.source, item.event.id) for _, item in fresh))
    new: list[tuple[int, Received]] = []
    duplicate = 0
    for raw_id, item in fresh:
        before = kinds.get((item.event.source, item.event.id))
        if before is None:
            new.append((raw_id, item))
        elif before is item.kind:
            duplicate += 1
        else:
            flaws[raw_id].append(_two_meanings(item, before))
    items = [item for _, item in new]
    matches = match(session, home, items)
    kept = late.sift(session, home, items, matches)
    for (raw_id, item), was, now in zip(new, matches, kept, strict=True):
        if now is not was:
            erased.setdefault(raw_id, set()).update(late.names(item))
    stays = [place for place, found in enumerate(kept) if found is not None]
    proven = _store(
        session, home, [new[place] for place in stays], [found for found in kept if found]
    )
    alerts = (
        f"the provider reports {item.event.reason}"
        for _, item in new
        if item.kind is EventKind.OTHER and item.event.reason.startswith("account_")
    )
    return IngestReport(
        duplicate=duplicate,
        applied=len(new),
        unmatched=sum(found.lead_id is None for found in matches),
        proven=proven,
        alerts=tuple(alerts),
    )


def _store(
    session: Session,
    home: Home,
    new: Sequence[tuple[int, Received]],
    matches: Sequence[Match],
) -> int:
    """Store new events, judged together with what is known of their messages; returns how many messages
    of unknown fate they prove to have left."""
    targets = store.targets(
        session, (found.message.message_id for found in matches if found.message)
    )
    stored = store.of_messages(session, sorted(targets))
    datacenters = _datacenters(home)
    rows: list[NewEvent] = []
    arrived: dict[int, list[NewEvent]] = {message_id: [] for message_id in targets}
    for (raw_id, item), found in zip(new, matches, strict=True):
        message_id = found.message.message_id if found.message else None
        row = NewEvent(item.event, raw_id, message_id, found.kept_hash)
        # A message that was erased a moment ago is nobody's any more.
        if message_id is not None and message_id in targets:
            arrived[message_id].append(row)
        else:
            [alone] = judged([item.event], datacenters=datacenters)
            rows.append(row._replace(event=alone, message_id=None))
    changed: list[Event] = []
    statuses: dict[int, EventKind] = {}
    proofs: dict[int, datetime] = {}
    for message_id, target in targets.items():
        before = stored[message_id]
        after = judged(
            [*before, *(row.event for row in arrived[message_id])],
            accepted_at=target.accepted_at,
            datacenters=datacenters,
        )
        changed += [a for a, b in zip(after, before, strict=False) if a is not b]
        rows += [
            row._replace(event=event)
            for row, event in zip(arrived[message_id], after[len(before) :], strict=True)
        ]
        strongest = status(after)
        if strongest is not None:
            if strongest.value != target.status:
                statuses[message_id] = strongest
            if target.unproven:
                proofs[message_id] = min(e.at for e in after if e.kind is not EventKind.OTHER)
    store.add(session, rows)
    store.set_human(session, changed)
    store.set_status(session, statuses)
    return store.prove_accepted(session, proofs)


def _known(session: Session, ids: Iterable[tuple[str, str]]) -> dict[tuple[str, str], EventKind]:
    by_source: dict[str, list[str]] = {}
    for source, event_id in ids:
        by_source.setdefault(source, []).append(event_id)
    return {
        (source, event_id): kind
        for source, wanted in by_source.items()
        for event_id, kind in store.known(session, source, wanted).items()
    }


def _datacenters(home: Home) -> Networks:
    path = home.settings.tracking.datacenters
    return read_networks(home.path / Path(path).expanduser()) if path else NOWHERE
