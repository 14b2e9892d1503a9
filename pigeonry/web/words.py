"""Every visible sentence of the console, by room, in each language; and how numbers are written in it.

`templates/web/words/<room>.toml` has a table for each sentence: `[title]` with `ro` and `en`. A sentence
that depends on a number is a pair, for one and for several: `ro = ["{n} lead", "{n} leaduri"]`; Romanian's
"de" after 20 and the like is put in by itself.
"""

from __future__ import annotations

import functools
import string
import tomllib
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from pigeonry.domain import Language
from pigeonry.web.answers import folder

Sentence = str | tuple[str, str]


@functools.cache
def sentences() -> Mapping[str, Mapping[Language, Sentence]]:
    """By "room.key"."""
    found: dict[str, Mapping[Language, Sentence]] = {}
    for file in sorted((folder() / "words").iterdir(), key=lambda item: item.name):
        if not file.name.endswith(".toml"):
            continue
        room = file.name.removesuffix(".toml")
        for key, said in _flat(tomllib.loads(file.read_text(encoding="utf-8"))):
            found[f"{room}.{key}"] = {Language(tag): _sentence(text) for tag, text in said.items()}
    return found


def _flat(table: Mapping[str, Any], above: str = "") -> list[tuple[str, Mapping[str, Any]]]:
    rows: list[tuple[str, Mapping[str, Any]]] = []
    for key, value in table.items():
        name = f"{above}{key}"
        if all(isinstance(inner, dict) for inner in value.values()):
            rows += _flat(value, f"{name}.")
        else:
            rows.append((name, value))
    return rows


def _sentence(said: Any) -> Sentence:
    if isinstance(said, list):
        one, several = said
        return str(one), str(several)
    return str(said)


def say(language: Language, key: str, **values: object) -> str:
    """The sentence, with its values put in. Plain text: a template escapes it. Raises KeyError for a key
    that does not exist."""
    said = sentences()[key][language]
    if isinstance(said, tuple):
        count = values["n"]
        assert isinstance(count, int)
        said = said[0] if count == 1 else said[1]
        if language is Language.RO and takes_de(count):
            said = said.replace("{n}", "{n} de")
    return string.Formatter().vformat(said, (), _Written(language, values))


def takes_de(count: int) -> bool:
    """Whether Romanian says "de" between that number and what is counted: 20 de leaduri, 101 leaduri."""
    return count != 0 and not 1 <= abs(count) % 100 <= 19


class _Written(dict[str, object]):
    """Values as they are written in a language; no attribute of theirs can be reached."""

    def __init__(self, language: Language, values: Mapping[str, object]) -> None:
        super().__init__(
            {
                name: number(language, value)
                if isinstance(value, int | float) and not isinstance(value, bool)
                else str(value)
                for name, value in values.items()
            }
        )


def number(language: Language, value: float, digits: int | None = None) -> str:
    """1.234,5 in Romanian, 1,234.5 in English."""
    if digits is None:
        digits = 0 if float(value).is_integer() else 2
    text = f"{value:,.{digits}f}"
    if language is Language.RO:
        return text.translate(str.maketrans(",.", ".,"))
    return text


def percent(language: Language, share: float, digits: int = 1) -> str:
    """A share (0.123) as 12,3 % or 12.3%."""
    text = number(language, share * 100, digits)
    return f"{text} %" if language is Language.RO else f"{text}%"


def money(language: Language, micros: int, currency: str = "EUR", digits: int = 2) -> str:
    """Integer micro-units with their currency."""
    text = number(language, micros / 1_000_000, digits)
    return f"{text} {currency}" if language is Language.RO else f"{currency} {text}"


def day(language: Language, at: datetime, zone: str) -> str:
    local = at.astimezone(ZoneInfo(zone))
    return f"{local:%d.%m.%Y}" if language is Language.RO else f"{local.day} {local:%b %Y}"


def moment(language: Language, at: datetime, zone: str) -> str:
    return f"{day(language, at, zone)}, {at.astimezone(ZoneInfo(zone)):%H:%M}"
