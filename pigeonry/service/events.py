"""Takes in what providers report: raw bytes first, understood afterwards, in batches that may run twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from feedback.events import (
    SENDGRID,
    EventError,
    ParsedEvents,
    Received,
    judged,
    parse_sendgrid,
    status,
    suppression,
    withdraws_consent,
)
from feedback.own import OWN, parse_own
from pigeonry.config import Home, nearest
from pigeonry.domain import ConsentState, Event, EventKind
from pigeonry.domain.address import address_hash, canonical_email
from pigeonry.domain.progress import Progress, silent
from pigeonry.errors import WrongUse
from pigeonry.store import consents
from pigeonry.store import events as store
from pigeonry.store.events import EventTarget
from pigeonry.store.session import Database, Session

_BATCH = 1000  # events in one transaction
_ERRORS_KEPT = 100

_PARSERS: Mapping[str, Callable[[bytes], ParsedEvents]] = {
    SENDGRID: parse_sendgrid,
    OWN: parse_own,
}


@dataclass(frozen=True, slots=True)
class IngestReport:
    """received = applied + duplicate + rejected. `unmatched` (among applied) spoke of no message of
    ours; `proven` messages are now known to have left; `alerts` are for the operator's eyes."""

    received: int = 0
    duplicate: int = 0
    applied: int = 0
    rejected: int = 0
    errors: tuple[EventError, ...] = ()
    unmatched: int = 0
    suppressed: int = 0
    proven: int = 0
    alerts: tuple[str, ...] = ()

    def __add__(self, other: IngestReport) -> IngestReport:
        return IngestReport(
            self.received + other.received,
            self.duplicate + other.duplicate,
            self.applied + other.applied,
            self.rejected + other.rejected,
            (self.errors + other.errors)[:_ERRORS_KEPT],
            self.unmatched + other.unmatched,
            self.suppressed + other.suppressed,
            self.proven + other.proven,
            self.alerts + other.alerts,
        )


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
        return store.add_raw(session, source=source, body=body, headers=headers or {}, at=now)


def ingest_events(
    db: Database,
    home: Home,
    body: bytes,
    *,
    source: str,
    now: datetime,
    progress: Progress = silent,
) -> IngestReport:
    """Store a body and apply it at once. The same body again finds only duplicates."""
    return _drain(db, home, store_raw(db, body, source=source, now=now), now, progress)


def drain_events(
    db: Database, home: Home, *, now: datetime, progress: Progress = silent
) -> IngestReport:
    """Apply every stored body that has not been applied yet, oldest first."""
    report = IngestReport()
    while True:
        with db.read() as session:
            waiting = store.undrained(session)
        if not waiting:
            return report
        for raw_id in waiting:
            report += _drain(db, home, raw_id, now, progress)


def _parser(source: str) -> Callable[[bytes], ParsedEvents]:
    if source not in _PARSERS:
        raise WrongUse(
            f"unknown source of events {source!r}{nearest(source, list(_PARSERS))}",
            where="--source",
            fix=f"known sources: {', '.join(_PARSERS)}",
        )
    return _PARSERS[source]


def _drain(
    db: Database, home: Home, raw_id: int, now: datetime, progress: Progress
) -> IngestReport:
    with db.read() as session:
        raw = store.raw(session, raw_id)
    parsed = _parser(raw.source)(raw.body)
    report = IngestReport(
        received=len(parsed.errors),
        rejected=len(parsed.errors),
        errors=parsed.errors[:_ERRORS_KEPT],
    )
    total = len(parsed.received)
    for start in range(0, total, _BATCH):
        batch = parsed.received[start : start + _BATCH]
        suppressed = _suppress(db, home, batch, now)
        report += _apply(db, raw_id, batch) + IngestReport(suppressed=suppressed)
        progress("events", min(start + _BATCH, total), total)
    lines = [f"element {error.position}: {error.reason}" for error in report.errors]
    with db.write() as session:
        store.mark_drained(session, raw_id, now, "\n".join(lines))
    return report


def _suppress(db: Database, home: Home, batch: Sequence[Received], now: datetime) -> int:
    """Stops first, in a transaction of their own: a sender that asks a moment later must know.

    It locks people and the next one locks messages, never both, so that a sender that locks them in
    another order cannot deadlock with us. Returns how many new events stopped somebody.
    """
    stops = {item.event.id: item for item in batch if suppression(item.event)}
    if not stops:
        return 0
    key = home.secret("suppression.key")
    with db.write() as session:
        known = _known(session, list(stops.values()))
        by_key, by_provider = _targets(session, list(stops.values()), lock=False)
        found: list[tuple[Event, str, EventTarget | None]] = []
        for item in sorted(stops.values(), key=lambda item: item.event.id):
            event = item.event
            if event.id not in known:
                target = by_key.get(event.send_key) or by_provider.get(event.provider_message_id)
                hashed = target.address_hash if target else _hashed(item.address, key)
                found.append((event, hashed, target))
        consents.lock_addresses(session, sorted({hashed for _, hashed, _ in found if hashed}))
        for event, hashed, target in found:
            reason = suppression(event)
            if reason is not None and hashed:
                at = min(event.at, now)
                consents.suppress(session, hashed, reason=reason, source=event.source, at=at)
            if target and withdraws_consent(event):
                consents.record(
                    session,
                    target.lead_id,
                    state=ConsentState.WITHDRAWN,
                    basis=None,
                    source=event.source,
                    proof=f"{event.kind} event {event.id}",
                    at=min(event.at, now),
                )
        return sum(1 for _, hashed, _ in found if hashed)


def _apply(db: Database, raw_id: int, batch: Sequence[Received]) -> IngestReport:
    """Store new events with their messages and bring those messages' status up to date."""
    with db.write() as session:
        by_key, by_provider = _targets(session, batch, lock=True)
        kinds = _known(session, batch)
        new: list[tuple[Event, EventTarget | None]] = []
        errors: list[EventError] = []
        alerts: list[str] = []
        duplicate = 0
        for item in batch:
            event = item.event
            if event.id in kinds:
                if kinds[event.id] is event.kind:
                    duplicate += 1
                else:
                    before = kinds[event.id]
                    errors.append(
                        EventError(
                            item.position,
                            f"event id {event.id!r} came before as {before}, now as {event.kind}",
                        )
                    )
                continue
            kinds[event.id] = event.kind
            new.append(
                (event, by_key.get(event.send_key) or by_provider.get(event.provider_message_id))
            )
            if event.kind is EventKind.OTHER and event.reason.startswith("account_"):
                alerts.append(f"the provider reports {event.reason}")
        proven = _store(session, raw_id, new)
    return IngestReport(
        received=len(batch),
        duplicate=duplicate,
        applied=len(new),
        rejected=len(errors),
        errors=tuple(errors),
        unmatched=sum(target is None for _, target in new),
        proven=proven,
        alerts=tuple(alerts),
    )


def _store(session: Session, raw_id: int, new: Sequence[tuple[Event, EventTarget | None]]) -> int:
    """Store new events, judged together with what is known of their messages; returns how many messages
    of unknown fate they prove to have left."""
    targets = {target.message_id: target for _, target in new if target}
    stored = store.of_messages(session, sorted(targets))
    arrived: dict[int, list[Event]] = {message_id: [] for message_id in targets}
    rows: list[tuple[Event, int | None]] = []
    for event, target in new:
        if target is None:
            rows.append((event, None))
        else:
            arrived[target.message_id].append(event)
    changed: list[Event] = []
    statuses: dict[int, EventKind] = {}
    proofs: dict[int, datetime] = {}
    for message_id, target in targets.items():
        before = stored[message_id]
        after = judged([*before, *arrived[message_id]], accepted_at=target.accepted_at)
        old = after[: len(before)]
        changed += [a for a, b in zip(old, before, strict=True) if a.human != b.human]
        rows += [(event, message_id) for event in after[len(before) :]]
        strongest = status(after)
        if strongest is not None:
            if strongest.value != target.status:
                statuses[message_id] = strongest
            if target.unproven:
                proofs[message_id] = min(e.at for e in after if e.kind is not EventKind.OTHER)
    store.add(session, raw_id, rows)
    store.set_human(session, changed)
    store.set_status(session, statuses)
    return store.prove_accepted(session, proofs)


def _known(session: Session, batch: Sequence[Received]) -> dict[str, EventKind]:
    source = batch[0].event.source
    return store.known(session, source, [item.event.id for item in batch])


def _targets(
    session: Session, batch: Sequence[Received], *, lock: bool
) -> tuple[dict[str, EventTarget], dict[str, EventTarget]]:
    return store.targets(
        session,
        (item.event.send_key for item in batch),
        (item.event.provider_message_id for item in batch),
        lock=lock,
    )


def _hashed(address: str, key: bytes) -> str:
    """The keyed hash of an address of nobody we know, or "" when it is no address."""
    try:
        return address_hash(canonical_email(address), key)
    except ValueError:
        return ""
