"""Bodies as they came, cut into what speaks of one person each: elements of a list, lines, or all of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

# Sources whose lines are one event each, in whatever form.
_BY_LINE = ("csv", "conversion")
_CRM = "crm:"
# What one notification of a SOAP body speaks of; the text between them is nobody's.
_NOTIFICATION = re.compile(rb"<(?:\w+:)?Notification>.*?</(?:\w+:)?Notification>\s*", re.DOTALL)


def without(source: str, body: bytes, speaks: Callable[[str], bool]) -> bytes:
    """The body without what speaks of somebody. A mail, or a form, is about one person: all of it goes."""
    elements = _list(body)
    if elements is not None:
        kept = [item for item in elements if not speaks(_text(item))]
        return body if len(kept) == len(elements) else _text(kept).encode()
    if source.startswith(_CRM) and _NOTIFICATION.search(body):
        return _NOTIFICATION.sub(lambda one: b"" if speaks(_letters(one[0])) else one[0], body)
    lines = _lines(source, body)
    if lines is None:
        return b""
    left = [line for line in lines if not speaks(_letters(line))]
    return body if len(left) == len(lines) else b"".join(left)


def about(source: str, body: bytes, speaks: Callable[[str], bool]) -> list[Any]:
    """What in the body speaks of somebody, as it came."""
    elements = _list(body)
    if elements is not None:
        return [item for item in elements if speaks(_text(item))]
    lines = (source.startswith(_CRM) and _NOTIFICATION.findall(body)) or _lines(source, body)
    texts = [_letters(body)] if lines is None else [_letters(line).rstrip() for line in lines]
    return [text for text in texts if text and (lines is None or speaks(text))]


def _list(body: bytes) -> list[Any] | None:
    try:
        found = json.loads(body)
    except ValueError:
        return None
    return found if isinstance(found, list) else None


def _lines(source: str, body: bytes) -> list[bytes] | None:
    """None when the body is one thing."""
    lines = body.splitlines(keepends=True)
    if any(name in source for name in _BY_LINE) and not body.startswith(b"{"):
        return lines
    try:
        objects = [json.loads(line) for line in lines if line.strip()]
    except ValueError:
        return None
    return lines if len(objects) > 1 else None


def _letters(part: bytes) -> str:
    return part.decode("utf-8", "replace")


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
