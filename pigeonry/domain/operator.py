"""Who may sign in, and what each may do. A role is a set of permissions; routes and tokens ask for one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Permission(StrEnum):
    VIEW = "view"
    EDIT = "edit"
    SEND = "send"  # anything after which mail may leave
    PRIVACY = "privacy"  # export and erase what is known of a person
    ADMIN = "admin"  # operators, tokens, the audit trail, settings


# Where a second factor is required, these are what need it.
STRONG = frozenset({Permission.SEND, Permission.PRIVACY, Permission.ADMIN})


class Role(StrEnum):
    VIEWER = "viewer"
    EDITOR = "editor"
    SENDER = "sender"
    PRIVACY = "privacy"
    ADMIN = "admin"


ALLOWED: Mapping[Role, frozenset[Permission]] = {
    Role.VIEWER: frozenset({Permission.VIEW}),
    Role.EDITOR: frozenset({Permission.VIEW, Permission.EDIT}),
    Role.SENDER: frozenset({Permission.VIEW, Permission.EDIT, Permission.SEND}),
    Role.PRIVACY: frozenset({Permission.VIEW, Permission.PRIVACY}),
    Role.ADMIN: frozenset(Permission),
}


class Scope(StrEnum):
    """What a token of the API may be used for."""

    LEADS_READ = "leads:read"
    LEADS_WRITE = "leads:write"
    CAMPAIGNS_READ = "campaigns:read"
    CAMPAIGNS_WRITE = "campaigns:write"
    SEND = "send:execute"
    EVENTS_WRITE = "events:write"
    PRIVACY_EXPORT = "privacy:export"
    PRIVACY_ERASE = "privacy:erase"
    ADMIN = "admin"


# A token can never do more than the operator whom it belongs to.
NEEDS: Mapping[Scope, Permission] = {
    Scope.LEADS_READ: Permission.VIEW,
    Scope.LEADS_WRITE: Permission.EDIT,
    Scope.CAMPAIGNS_READ: Permission.VIEW,
    Scope.CAMPAIGNS_WRITE: Permission.EDIT,
    Scope.SEND: Permission.SEND,
    Scope.EVENTS_WRITE: Permission.EDIT,
    Scope.PRIVACY_EXPORT: Permission.PRIVACY,
    Scope.PRIVACY_ERASE: Permission.PRIVACY,
    Scope.ADMIN: Permission.ADMIN,
}


@dataclass(frozen=True, slots=True)
class Operator:
    """A person who may sign in."""

    id: int
    name: str
    email: str
    role: Role
    created_at: datetime
    disabled_at: datetime | None = None
    signed_in_at: datetime | None = None
    has_password: bool = False
    second_factor: bool = False

    @property
    def actor(self) -> str:
        """How the audit trail names them: by number, so that it holds no personal data."""
        return f"operator:{self.id}"

    def may(self, permission: Permission) -> bool:
        return self.disabled_at is None and permission in ALLOWED[self.role]


@dataclass(frozen=True, slots=True)
class SignIn:
    """One browser that somebody signed in with; its cookie's hash is its name."""

    id_hash: str
    operator_id: int
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    network: str
    agent: str


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token as it can be shown: never its secret."""

    id: int
    operator_id: int
    name: str
    prefix: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what to which thing; ids and counts only."""

    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    detail: Mapping[str, str | int | bool]
    previous_hash: str
    hash: str
