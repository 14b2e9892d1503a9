"""Reads JSON that strangers send: one bad element spoils itself and nothing else, and never the program."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

MAX_DEPTH = 32  # a provider's event is two levels deep
_MAX_DIGITS = 400
# An unterminated string swallows the rest, so that each character is looked at once.
_TOKENS = re.compile(r'"(?:[^"\\]|\\.?)*+(?:"|\Z)|[\[\]{},]', re.DOTALL)
# A key whose colon does not follow at once would escape the fast reader's count.
_GAPS = (b" :", b"\t:", b"\n:", b"\r:")


@dataclass(frozen=True, slots=True)
class Flaw:
    """Stands in a parsed value where the text held something that JSON or we do not allow."""

    why: str


@dataclass(frozen=True, slots=True)
class Element:
    """One element as it stood: `position` counts from 0; `value` is None where `flaw` says why."""

    position: int
    value: dict[str, Any] | None
    flaw: str = ""


def elements(body: bytes) -> list[Element]:
    """Objects of a JSON array, of JSON lines, or the one object that the body is.

    NaN, Infinity, numbers beyond a float, endless digits, deep nesting, a key twice in one object and
    broken syntax are flaws of their own element as long as the brackets around it can be told.
    A body that is no JSON at all gives one element with a flaw.
    """
    quick = _quick(body)
    if quick is not None:
        return [Element(position, item) for position, item in enumerate(quick)]
    text = _decode(body)
    if not text.strip():
        return [Element(0, None, "the body is empty")]
    try:
        return _whole(_parse(text))
    except (ValueError, RecursionError):
        pass
    pieces = list(_split(text))
    return [_element(position, piece) for position, piece in enumerate(pieces)]


def _quick(body: bytes) -> list[dict[str, Any]] | None:
    """The elements of a body in which nothing can be amiss, at a fifth of the time; None: look closely.

    orjson refuses what is no JSON, but it rounds numbers beyond 64 bits and keeps the last of two equal
    keys. So every number that came out with a fraction is looked at again. Each key of the text ends in
    `":`, so there are at least as many of these as keys were written: when the objects that were made
    hold as many keys, no key was written twice.
    """
    if not body.startswith((b"[", b"{")) or any(gap in body for gap in _GAPS):
        return None
    try:
        value = orjson.loads(body)
    except ValueError:
        return None
    items = value if type(value) is list else [value]
    keys = 0
    for item in items:
        inner = _keys(item, 1) if type(item) is dict else None
        if inner is None:
            return None
        keys += inner
    return items if keys == body.count(b'":') else None


def _keys(value: Any, depth: int) -> int | None:
    """How many keys the objects in a value hold; None when it is nested too deep or holds a fraction."""
    if depth > MAX_DEPTH:
        return None
    keys, parts = (len(value), value.values()) if type(value) is dict else (0, value)
    for part in parts:
        kind = type(part)
        if kind is float:
            return None
        if kind is dict or kind is list:
            inner = _keys(part, depth + 1)
            if inner is None:
                return None
            keys += inner
    return keys


def _whole(value: Any) -> list[Element]:
    values = value if isinstance(value, list) else [value]
    return [_checked(position, item) for position, item in enumerate(values)]


def _decode(body: bytes) -> str:
    """Undecodable bytes become U+FFFD: an event with a broken user agent is still an event."""
    return body.decode(json.detect_encoding(body), "replace").lstrip("\ufeff")


def _parse(text: str) -> Any:
    return json.loads(
        text,
        parse_constant=lambda name: Flaw(f"{name} is not JSON"),
        parse_float=_float,
        parse_int=_int,
        object_pairs_hook=_object,
    )


def _float(text: str) -> float | Flaw:
    value = float(text)
    return value if math.isfinite(value) else Flaw(f"the number {text[:20]} is beyond any range")


def _int(text: str) -> int | Flaw:
    if len(text) > _MAX_DIGITS:
        return Flaw(f"a number of {len(text):,} digits")
    return int(text)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for key, item in pairs:
        if key in value and value[key] != item:
            value[key] = Flaw(f"the key {key[:40]!r} appears twice with different values")
        else:
            value[key] = item
    return value


def _split(text: str) -> Iterator[str]:
    """Pieces of the outermost array, or lines, by counting brackets outside strings."""
    stripped = text.strip()
    if not stripped.startswith("["):
        yield from (line for line in stripped.split("\n") if line.strip())
        return
    depth, start = 0, 1
    for token in _TOKENS.finditer(stripped):
        mark = token.group()
        if mark in "[{":
            depth += 1
        elif mark in "]}":
            depth -= 1
            if depth == 0:
                if stripped[start : token.start()].strip():
                    yield stripped[start : token.start()]
                rest = stripped[token.end() :].strip()
                if rest:
                    yield rest
                return
        elif mark == "," and depth == 1:
            yield stripped[start : token.start()]
            start = token.end()
    if stripped[start:].strip():
        yield stripped[start:]


def _element(position: int, text: str) -> Element:
    quick = _quick(text.strip().encode("utf-8", "surrogatepass"))
    if quick is not None and len(quick) == 1 and text.lstrip().startswith("{"):
        return Element(position, quick[0])
    try:
        return _checked(position, _parse(text))
    except RecursionError:
        return Element(position, None, f"nested deeper than {MAX_DEPTH} levels")
    except ValueError as error:
        return Element(position, None, f"not JSON: {error}")


def _checked(position: int, value: Any) -> Element:
    if isinstance(value, Flaw):
        return Element(position, None, value.why)
    if not isinstance(value, dict):
        return Element(position, None, f"an event is a JSON object, this is a {_kind(value)}")
    flaw = _flaw(value)
    return Element(position, None, flaw) if flaw else Element(position, value)


def _flaw(value: Any) -> str:
    waiting = [(value, 1)]
    while waiting:
        item, depth = waiting.pop()
        if isinstance(item, Flaw):
            return item.why
        if depth > MAX_DEPTH:
            return f"nested deeper than {MAX_DEPTH} levels"
        inner = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        waiting.extend((part, depth + 1) for part in inner)
    return ""


def _kind(value: Any) -> str:
    if isinstance(value, list):
        return "list"
    if isinstance(value, str):
        return "text"
    return "number" if isinstance(value, int | float) else str(value)
