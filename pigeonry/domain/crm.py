"""What a CRM tells of its contacts, whichever CRM it is: which contact, what happened, and how new it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class ChangeKind(StrEnum):
    UPDATE = "update"  # `values` are what the contact looks like
    FETCH = "fetch"  # something changed: the contact has to be asked for
    DELETE = "delete"
    RESTORE = "restore"
    ERASE = "erase"  # the person asked that CRM to be forgotten
    MERGE = "merge"  # the contacts of `merged` became this one


@dataclass(frozen=True, slots=True)
class CrmChange:
    """One piece of news. `revision` is in milliseconds since 1970 and grows with each change of a contact;
    `values` go by the CRM's own field names; `stop` says that the person wants no mail; `position` is the
    element of the body, from 0."""

    kind: ChangeKind
    external_id: str
    revision: int
    event_id: str
    position: int
    values: Mapping[str, str] = field(default_factory=dict)
    merged: tuple[str, ...] = ()
    stop: bool = False


@dataclass(frozen=True, slots=True)
class CrmFlaw:
    """An element that was not taken, and why. Says nothing of a person."""

    position: int
    reason: str


@dataclass(frozen=True, slots=True)
class CrmNews:
    """What a body holds. `ignored` elements speak of what is no contact here: deals, firms, other fields."""

    changes: tuple[CrmChange, ...] = ()
    flaws: tuple[CrmFlaw, ...] = ()
    ignored: int = 0


@dataclass(frozen=True, slots=True)
class CrmContact:
    """A contact as a CRM handed it over when it was asked."""

    external_id: str
    revision: int
    values: Mapping[str, str]
