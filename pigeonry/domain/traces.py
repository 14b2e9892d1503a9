"""Values by which a person could be recognised in a text, and how they are taken out of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

ERASED = "[erased]"
_SHORTEST = 4
# A date or a short number recognises nobody, and stands in every log.
_COMMON = re.compile(r"[\d\s.:/+TZ-]*\Z")
_FEWEST_DIGITS = 9


def telling(values: Iterable[str]) -> list[str]:
    """Those that are long and odd enough to look for: no dates, no short numbers, no short words."""
    found = {" ".join(value.split()) for value in values}
    return sorted(
        value
        for value in found
        if len(value) >= _SHORTEST and not (_COMMON.match(value) and not _long_number(value))
    )


def _long_number(value: str) -> bool:
    dated = re.match(r"\d{4}-\d\d-\d\d|\d\d[./-]\d\d[./-]\d{4}", value)
    return not dated and sum(letter.isdigit() for letter in value) >= _FEWEST_DIGITS


@dataclass(frozen=True, slots=True)
class Traces:
    """What to look for. `values` count as whole words, in any case: "Ana" does not stand in "Banat".
    `keys` are random, 32 hex digits each; there may be thousands."""

    values: tuple[str, ...]
    keys: frozenset[str] = frozenset()

    @property
    def spellings(self) -> tuple[str, ...]:
        """The values as they stand in text and, beyond ASCII, in JSON."""
        return _spellings(self.values)

    def within(self, text: str) -> bool:
        return self.within_bytes(text.encode())

    def within_bytes(self, data: bytes) -> bool:
        low = data.lower()
        if any(spelled in low for spelled in _lowered(self.values)) and _bytes(self.values).search(
            data
        ):
            return True
        return any(key.decode() in self.keys for key in _KEY.findall(data)) if self.keys else False

    def struck(self, value: Any) -> Any:
        """A text, or anything that JSON can say, without them. Names of keys stay."""
        if isinstance(value, str):
            if self.keys:
                value = _KEY_TEXT.sub(lambda key: ERASED if key[0] in self.keys else key[0], value)
            return _words(self.values).sub(ERASED, value) if self.values else value
        if isinstance(value, list):
            return [self.struck(item) for item in value]
        if isinstance(value, dict):
            return {key: self.struck(item) for key, item in value.items()}
        return value


_KEY = re.compile(rb"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
_KEY_TEXT = re.compile(_KEY.pattern.decode())


@lru_cache(32)
def _spellings(values: tuple[str, ...]) -> tuple[str, ...]:
    found = {spelled for value in values for spelled in (value, json.dumps(value)[1:-1])}
    return tuple(sorted(found, key=lambda text: (-len(text), text)))


@lru_cache(32)
def _cased(values: tuple[str, ...]) -> tuple[str, ...]:
    """Bytes know the case of ASCII letters alone: others are tried in three spellings."""
    found = {case for text in _spellings(values) for case in (text, text.lower(), text.upper())}
    return tuple(sorted(found, key=lambda text: (-len(text), text)))


@lru_cache(32)
def _lowered(values: tuple[str, ...]) -> tuple[bytes, ...]:
    return tuple({text.encode().lower() for text in _cased(values)})


@lru_cache(32)
def _words(values: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(_pattern(_spellings(values)), re.IGNORECASE)


@lru_cache(32)
def _bytes(values: tuple[str, ...]) -> re.Pattern[bytes]:
    return re.compile(_pattern(_cased(values)).encode(), re.IGNORECASE)


def _pattern(values: Iterable[str]) -> str:
    return rf"(?<!\w)(?:{'|'.join(map(re.escape, values))})(?!\w)"
