"""Single values in what CRMs send: ids, moments, text. Each raises ValueError with a plain reason."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

_LONGEST_ID = 100
_LONGEST = 4000
_EARLIEST = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp() * 1000)
_LATEST = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp() * 1000)


def number_of(value: object, name: str) -> str:
    """The id of something, whether it was written as a number or as text."""
    found = text(value)
    if not found or len(found) > _LONGEST_ID or not found.isprintable():
        raise ValueError(f"`{name}` is missing or no id")
    return found


def revision(value: object, name: str) -> int:
    """A moment in milliseconds since 1970: ISO 8601 (without a zone: UTC), seconds or milliseconds."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:20])
    if isinstance(value, int) and not isinstance(value, bool):
        found = value if value >= 10**11 else value * 1000
    elif isinstance(value, str) and value:
        try:
            at = datetime.fromisoformat(value)
            at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise ValueError(f"`{name}` is no moment: write 2026-03-31T14:05:00Z") from error
        found = round(at.timestamp() * 1000)
    else:
        raise ValueError(f"`{name}` is missing: without it nobody knows what is newer")
    if not _EARLIEST <= found < _LATEST:
        raise ValueError(f"`{name}` lies outside the years 2000 to 2099")
    return found


def text(value: object) -> str:
    """A single value as text that every database can hold; "" for what is none."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if not isinstance(value, str):
        return ""
    clean = value.encode("utf-8", "replace").decode("utf-8").replace("\x00", "\ufffd")
    return clean.strip()[:_LONGEST]


def at_path(value: object, path: str) -> object:
    """What stands at `lead.emails.0.value`, None where nothing does."""
    for part in path.split("."):
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and part.isdigit() and int(part[:4]) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def digest(*parts: Any) -> str:
    """Tells two contents apart, in whatever order their keys stood."""
    canonical = json.dumps(parts, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()
