"""Every table, one file a noun."""

from pigeonry.store.base import Base
from pigeonry.store.models.audience import (
    Consent,
    ConsentText,
    DeclinedTopic,
    ImportRun,
    Lead,
    LeadVector,
    Preference,
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
from pigeonry.store.models.crm import CrmContact, CrmRefusal, CrmSeen
from pigeonry.store.models.delivery import (
    Event,
    MailLink,
    Message,
    MessageAttempt,
    RawEvent,
    SendCount,
)
from pigeonry.store.models.imports import ImportChange, Upload
from pigeonry.store.models.learning import EngagementModel, Posterior
from pigeonry.store.models.notices import Notice, NoticeAddress
from pigeonry.store.models.operation import (
    ApiAnswer,
    ApiToken,
    Audit,
    Hold,
    Instance,
    Job,
    Operator,
    SetupLink,
    SignIn,
    Throttle,
)
from pigeonry.store.models.studio import BriefDraft, CampaignAct
from pigeonry.store.models.summary import Summary

__all__ = [
    "ApiAnswer",
    "ApiToken",
    "Assignment",
    "Audit",
    "Base",
    "BriefDraft",
    "BriefVersion",
    "Campaign",
    "CampaignAct",
    "CheckResult",
    "CompletionCache",
    "Consent",
    "ConsentText",
    "CrmContact",
    "CrmRefusal",
    "CrmSeen",
    "DeclinedTopic",
    "EngagementModel",
    "Event",
    "Experiment",
    "Hold",
    "ImportChange",
    "ImportRun",
    "Instance",
    "Job",
    "Lead",
    "LeadVector",
    "LlmCall",
    "MailLink",
    "Message",
    "MessageAttempt",
    "Notice",
    "NoticeAddress",
    "Operator",
    "Posterior",
    "Preference",
    "PromptVersion",
    "RawEvent",
    "Segment",
    "SegmentMember",
    "SendCount",
    "SetupLink",
    "SignIn",
    "Summary",
    "Suppression",
    "Throttle",
    "Upload",
    "Variant",
]
