"""The frozen dataclasses and protocols that cross packages. No behaviour, no database, no vendor."""

from pigeonry.domain.brief import (
    Address,
    Brief,
    ExperimentPlan,
    Limits,
    Purpose,
    SenderIdentity,
    Wording,
)
from pigeonry.domain.event import Event, EventKind, Outcomes, SentMessage
from pigeonry.domain.experiment import HOLDOUT, Assignment, Interval, Posterior
from pigeonry.domain.lead import (
    ConsentBasis,
    ConsentClaim,
    ConsentState,
    Language,
    Lead,
    LeadRecord,
    RowError,
    SuppressionReason,
)
from pigeonry.domain.message import (
    HandOver,
    MessageState,
    Outcome,
    OutgoingMessage,
    PlannedMessage,
    Sender,
)
from pigeonry.domain.variant import (
    CacheStatus,
    CallOutcome,
    Copy,
    Draft,
    LedgerEntry,
    Variant,
    Violation,
)

__all__ = [
    "HOLDOUT",
    "Address",
    "Assignment",
    "Brief",
    "CacheStatus",
    "CallOutcome",
    "ConsentBasis",
    "ConsentClaim",
    "ConsentState",
    "Copy",
    "Draft",
    "Event",
    "EventKind",
    "ExperimentPlan",
    "HandOver",
    "Interval",
    "Language",
    "Lead",
    "LeadRecord",
    "LedgerEntry",
    "Limits",
    "MessageState",
    "Outcome",
    "Outcomes",
    "OutgoingMessage",
    "PlannedMessage",
    "Posterior",
    "Purpose",
    "RowError",
    "Sender",
    "SenderIdentity",
    "SentMessage",
    "SuppressionReason",
    "Variant",
    "Violation",
    "Wording",
]
