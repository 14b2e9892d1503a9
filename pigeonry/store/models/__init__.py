"""Every table, one file a noun."""

from pigeonry.store.base import Base
from pigeonry.store.models.audience import (
    Consent,
    ImportRun,
    Lead,
    LeadVector,
    Segment,
    SegmentMember,
    Suppression,
)
from pigeonry.store.models.campaign import (
    Assignment,
    BriefVersion,
    Campaign,
    CheckResult,
    CompletionCache,
    Experiment,
    LlmCall,
    PromptVersion,
    Variant,
)
from pigeonry.store.models.delivery import Event, Message, MessageAttempt, RawEvent
from pigeonry.store.models.learning import EngagementModel, Posterior
from pigeonry.store.models.operation import ApiToken, Audit, Job, Operator

__all__ = [
    "ApiToken",
    "Assignment",
    "Audit",
    "Base",
    "BriefVersion",
    "Campaign",
    "CheckResult",
    "CompletionCache",
    "Consent",
    "EngagementModel",
    "Event",
    "Experiment",
    "ImportRun",
    "Job",
    "Lead",
    "LeadVector",
    "LlmCall",
    "Message",
    "MessageAttempt",
    "Operator",
    "Posterior",
    "PromptVersion",
    "RawEvent",
    "Segment",
    "SegmentMember",
    "Suppression",
    "Variant",
]
