"""The JSON of the API: what comes in, with limits, and what goes out."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Generic, TypeVar

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

from pigeonry.domain import ConsentBasis, ConsentState, MessageState, SuppressionReason
from pigeonry.domain.event import EventKind
from pigeonry.domain.operator import Role, Scope

T = TypeVar("T")

LARGEST_ID = 2**63 - 1
Id = Annotated[int, Path(ge=1, le=LARGEST_ID)]
Cursor = Annotated[int | None, Query(ge=1, le=LARGEST_ID, description="`next` of the page before")]
Limit = Annotated[int, Query(ge=1, le=200)]
Line = Annotated[str, Field(max_length=500, pattern=r"^[^\u0000-\u001f\u007f]*$")]
Text = Annotated[str, Field(max_length=100_000, pattern=r"^[^\u0000]*$")]
Email = Annotated[
    str,
    Field(
        min_length=3,
        max_length=320,
        pattern=r"^[^\u0000-\u001f\u007f]*$",
        json_schema_extra={"format": "email"},
    ),
]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Page(BaseModel, Generic[T]):
    """A page of things; `next` is the cursor of the page after it, null on the last."""

    items: list[T]
    next: int | None = None


class ConsentIn(_In):
    """What was agreed. An existing customer needs `evidence`: "bought=…; on=…; similar=…; opt-out=yes"."""

    basis: ConsentBasis
    source: Annotated[
        str, Field(min_length=1, max_length=200, pattern=r"^[^\u0000-\u001f\u007f]*$")
    ]
    evidence: Line = ""


class LeadIn(_In):
    """A lead. Empty fields change nothing that is known."""

    email: Email
    first_name: Line = ""
    last_name: Line = ""
    company: Line = ""
    phone: Line = ""
    language: Line = ""
    country: Line = ""
    city: Line = ""
    timezone: Line = ""
    external_id: Annotated[str, Field(max_length=200, pattern=r"^[^\u0000-\u001f\u007f]*$")] = ""
    attributes: Annotated[
        dict[
            Annotated[
                str, Field(min_length=1, max_length=80, pattern=r"^[^\u0000-\u001f\u007f]*$")
            ],
            Line,
        ],
        Field(max_length=100),
    ] = Field(default_factory=dict)
    consent: ConsentIn | None = None
    do_not_mail: bool = False


class LeadOut(BaseModel):
    id: int
    email: str
    first_name: str
    last_name: str
    company: str
    phone: str
    language: str | None
    country: str
    city: str
    timezone: str
    external_id: str
    attributes: dict[str, str]
    segment_id: int | None
    consent: ConsentState | None
    suppressed: SuppressionReason | None
    created_at: datetime
    updated_at: datetime


class LeadRow(BaseModel):
    """A lead in a list."""

    id: int
    email: str
    name: str
    company: str
    city: str
    segment: str
    consent: ConsentState | None
    suppressed: SuppressionReason | None
    created_at: datetime


class ErasedOut(BaseModel):
    """What went; `not_done` is what has to be run again."""

    rows: int
    files: int
    left: int
    not_done: int


class SuppressionIn(_In):
    email: Email
    source: Annotated[str, Field(max_length=100, pattern=r"^[^\u0000-\u001f\u007f]*$")] = ""


class SuppressionOut(BaseModel):
    """Whether nobody may write to an address, and why. The address itself is not stored."""

    suppressed: bool
    reason: SuppressionReason | None = None
    at: datetime | None = None


class SegmentOut(BaseModel):
    id: int
    name: str
    description: str
    size: int
    terms: list[str]


class CampaignIn(_In):
    """A campaign from a brief in TOML, as `pigeonry campaign run` takes it."""

    brief: Annotated[str, Field(min_length=1, max_length=100_000, pattern=r"^[^\u0000]*$")]
    occurrence: Annotated[str, Field(max_length=80, pattern=r"^[^\u0000-\u001f\u007f]*$")] = ""


class CampaignRowOut(BaseModel):
    id: int
    name: str
    occurrence: str
    stage: str
    state: str
    channel: str
    created_at: datetime
    approved_at: datetime | None
    finished_at: datetime | None


class VariantOut(BaseModel):
    id: int
    segment_id: int | None
    language: str
    arm: str
    tier: str
    subject: str


class CampaignOut(BaseModel):
    """A campaign with its counts of messages."""

    id: int
    name: str
    stage: str
    state: str
    planned: int
    held_out: int
    sent: int
    failed: int
    cancelled: int
    parked: int
    waiting: int
    approved: bool
    cost_micros: int
    currency: str
    wait_until: datetime | None
    variants: list[VariantOut]


class SendIn(_In):
    """`people` is asked for before a large sending: the number that GET /campaigns/{id}/people gives."""

    people: Annotated[int, Field(ge=0, le=10_000_000_000)] = 0


class StartedOut(BaseModel):
    """Who does it: a run of Prefect or a job, and its id."""

    how: str
    run: str


class PeopleOut(BaseModel):
    people: int


class StateOut(BaseModel):
    id: int
    state: str


class MessageOut(BaseModel):
    id: int
    campaign_id: int
    lead_id: int
    variant_id: int
    wave: int
    channel: str
    state: MessageState
    reason: str
    status: str
    planned_at: datetime
    accepted_at: datetime | None


class EventCountOut(BaseModel):
    """How many events of a kind came, for how many messages. Machines are among them."""

    kind: EventKind
    events: int
    messages: int


class MeOut(BaseModel):
    """The token that asks."""

    token: int
    name: str
    scopes: list[Scope]
    role: Role
    expires_at: datetime
