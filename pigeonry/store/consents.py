"""Queries about what was agreed and about addresses that must never be written to again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Insert, case, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from pigeonry.domain import ConsentBasis, ConsentState, SuppressionReason
from pigeonry.store.bulk import add_rows, among
from pigeonry.store.leads import restrictive_first
from pigeonry.store.models import Consent, Lead, Suppression
from pigeonry.store.session import Session

MARKETING = "marketing"
_CHUNK = 5000
_STRENGTH = {reason.value: rank for rank, reason in enumerate(SuppressionReason)}


class ConsentFields(NamedTuple):
    """One consent as it is recorded; `basis` is "" for a withdrawal. A tuple: millions are made."""

    lead_id: int
    state: str
    basis: str
    source: str
    proof: str
    at: datetime
    purpose: str = MARKETING
    text_version: str = ""
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ConsentRow:
    """A stored consent. `basis` is None for a withdrawal."""

    state: ConsentState
    basis: ConsentBasis | None
    source: str
    proof: str
    text_version: str
    at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class SuppressionRow:
    address_hash: str
    reason: SuppressionReason
    source: str
    at: datetime


def record(
    session: Session,
    lead_id: int,
    *,
    state: ConsentState,
    basis: ConsentBasis | None,
    source: str,
    proof: str,
    at: datetime,
    purpose: str = MARKETING,
    text_version: str = "",
    expires_at: datetime | None = None,
) -> None:
    """Add what was agreed or taken back; nothing is ever overwritten."""
    fields = ConsentFields(
        lead_id,
        state.value,
        basis.value if basis else "",
        source[:200],
        proof,
        at,
        purpose,
        text_version,
        expires_at,
    )
    record_many(session, [fields])


def record_many(session: Session, rows: Sequence[ConsentFields]) -> None:
    add_rows(session, Consent, ConsentFields._fields, rows)


def consent_state(session: Session, lead_id: int, purpose: str = MARKETING) -> ConsentState | None:
    """What counts now, None when nothing was ever said."""
    return consent_states(session, [lead_id], purpose).get(lead_id)


def consent_states(
    session: Session, lead_ids: Sequence[int], purpose: str = MARKETING
) -> dict[int, ConsentState]:
    """What counts now for each lead that ever said something: the newest row; of two at the same
    moment the withdrawal."""
    found: dict[int, ConsentState] = {}
    for start in range(0, len(lead_ids), _CHUNK):
        rows = session.execute(
            select(Consent.lead_id, Consent.state)
            .where(
                Consent.lead_id.in_(lead_ids[start : start + _CHUNK]), Consent.purpose == purpose
            )
            .order_by(Consent.at.desc(), restrictive_first(), Consent.id.desc())
        )
        for lead_id, state in rows:
            found.setdefault(lead_id, ConsentState(state))
    return found


def newest(session: Session, lead_id: int, purpose: str = MARKETING) -> ConsentRow | None:
    """The row that counts: the newest; of two at the same moment the withdrawal."""
    row = session.scalar(
        select(Consent)
        .where(Consent.lead_id == lead_id, Consent.purpose == purpose)
        .order_by(Consent.at.desc(), restrictive_first(), Consent.id.desc())
        .limit(1)
    )
    if row is None:
        return None
    return ConsentRow(
        ConsentState(row.state),
        ConsentBasis(row.basis) if row.basis else None,
        row.source,
        row.proof,
        row.text_version,
        row.at,
        row.expires_at,
    )


def withdraw(session: Session, lead_id: int, *, source: str, proof: str, at: datetime) -> None:
    """Take marketing consent back, once. It counts over every row before it, also one that a clock dated
    ahead. Call `lock_addresses` first."""
    before = newest(session, lead_id)
    if before is not None and before.state is ConsentState.WITHDRAWN:
        return
    record(
        session,
        lead_id,
        state=ConsentState.WITHDRAWN,
        basis=None,
        source=source,
        proof=proof,
        at=max(at, before.at) if before else at,
    )


def suppress(
    session: Session, address_hash: str, *, reason: SuppressionReason, source: str, at: datetime
) -> None:
    """Never write to this address again. The strongest reason is kept."""
    suppress_many(session, [SuppressionRow(address_hash, reason, source, at)])


def lock_addresses(session: Session, address_hashes: Sequence[str]) -> None:
    """Hold these people's rows until the commit: a fence that runs meanwhile waits for it and sees what
    was suppressed (Postgres; SQLite has one writer). In the order of ids, as everybody locks them."""
    if session.get_bind().dialect.name == "postgresql" and address_hashes:
        session.execute(
            select(Lead.id)
            .where(Lead.address_hash.in_(address_hashes))
            .order_by(Lead.id)
            .with_for_update(key_share=True)
        )


def suppress_many(session: Session, rows: Sequence[SuppressionRow]) -> None:
    if not rows:
        return
    lock_addresses(session, [row.address_hash for row in rows])
    statement: Any = _on_conflict(session)
    table = Suppression
    stronger = _strength(statement.excluded.reason) > _strength(table.reason)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[table.address_hash],
            set_={
                "reason": statement.excluded.reason,
                "source": statement.excluded.source,
                "at": statement.excluded.at,
            },
            where=stronger,
        ),
        [
            {
                "address_hash": row.address_hash,
                "reason": row.reason.value,
                "source": row.source[:200],
                "at": row.at,
            }
            for row in rows
        ],
    )


# What somebody may take back by confirming with their own mailbox: they stopped it themselves, or a list
# said so for them. A complaint, a bounce, an erasure and an operator's word are not theirs to lift by a
# click: the first three would harm delivery or break a promise, the last has reasons that we don't know.
LIFTED_BY_CONFIRMING = frozenset({SuppressionReason.UNSUBSCRIBE, SuppressionReason.DO_NOT_MAIL})


def lift_by_confirming(session: Session, address_hash: str) -> bool:
    """The address's owner has confirmed anew: True when nothing forbids mail to it any more."""
    session.execute(
        delete(Suppression).where(
            Suppression.address_hash == address_hash,
            Suppression.reason.in_([reason.value for reason in LIFTED_BY_CONFIRMING]),
        )
    )
    return suppression(session, address_hash) is None


def suppressed(session: Session, hashes: Sequence[str]) -> set[str]:
    """Those of these address hashes that must not be written to."""
    return set(reasons(session, hashes))


def reasons(session: Session, hashes: Sequence[str]) -> dict[str, SuppressionReason]:
    """Why, for those of these address hashes that are suppressed."""
    rows = session.execute(
        select(Suppression.address_hash, Suppression.reason).where(
            among(session, Suppression.address_hash, hashes)
        )
    )
    return {digest: SuppressionReason(reason) for digest, reason in rows}


def erased(session: Session, hashes: Collection[str]) -> set[str]:
    """Those of these address hashes whose people were erased."""
    if not hashes:
        return set()
    query = select(Suppression.address_hash).where(
        among(session, Suppression.address_hash, sorted(hashes)),
        Suppression.reason == SuppressionReason.ERASURE.value,
    )
    return set(session.scalars(query))


def with_reason(session: Session, reason: SuppressionReason) -> set[str]:
    """Every address hash that is suppressed for this reason."""
    return set(
        session.scalars(select(Suppression.address_hash).where(Suppression.reason == reason.value))
    )


def suppression(session: Session, address_hash: str) -> SuppressionRow | None:
    row = session.get(Suppression, address_hash)
    if row is None:
        return None
    return SuppressionRow(row.address_hash, SuppressionReason(row.reason), row.source, row.at)


def _on_conflict(session: Session) -> Insert:
    if session.get_bind().dialect.name == "postgresql":
        return postgresql.insert(Suppression)
    return sqlite.insert(Suppression)


def _strength(column: Any) -> Any:
    return case(_STRENGTH, value=column, else_=-1)
