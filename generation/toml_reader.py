"""Takes typed values out of a TOML text and collects what is wrong with them, by key and line.

Knows kinds of values. Knows nothing of what they are for.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, TypeVar

from generation.links import link_fault
from pigeonry.config import nearest
from pigeonry.domain import Language

_MISSING = object()
_Enum = TypeVar("_Enum", bound=StrEnum)
_EMAIL = re.compile(r"[^@\s<>\"(),;:]{1,64}@[^@\s<>\"(),;:]+\.[^@\s<>\"(),;:.]{2,}")
_CEDILLA = str.maketrans("şţŞŢ", "șțȘȚ")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong: the key's path, its line in the file (0: it is not there), and why.

    `code` names the kind of fault and `said` what its sentence tells, so that a page can say it in another
    language.
    """

    path: str
    line: int
    what: str
    code: str = ""
    said: Mapping[str, str | int] = field(default_factory=dict)

    def __str__(self) -> str:
        return (
            f"{self.path} (line {self.line}): {self.what}"
            if self.line
            else f"{self.path}: {self.what}"
        )


@dataclass
class TomlReader:
    """Takes values out of the parsed TOML and collects what is wrong with them."""

    data: dict[str, Any]
    source: str
    keys: Mapping[str, Sequence[str]]
    problems: list[Problem] = field(default_factory=list)

    def problem(self, path: str, what: str, code: str, **said: str | int) -> None:
        self.problems.append(Problem(path, _line_of(self.source, path), what, code, said))

    def refuse_unknown(self) -> None:
        tables = [name for name in self.keys if name]
        for key, value in self.data.items():
            if isinstance(value, dict) and key in tables:
                self._refuse_in(key, value)
            elif key not in self.keys[""]:
                self.problem(
                    key, f"unknown key{nearest(key, [*self.keys[''], *tables])}", "key", value=key
                )
        for key in self.keys[""]:
            if isinstance(self.data.get(key), dict):
                self.problem(key, "a value is expected here, not a table", "shape")

    def _refuse_in(self, table: str, values: Mapping[str, Any]) -> None:
        for key, value in values.items():
            if table == "wording":
                if key not in set(Language):
                    known = ", ".join(Language)
                    self.problem(
                        f"wording.{key}",
                        f"unknown language; known are {known}",
                        "choice",
                        value=key,
                    )
                elif not isinstance(value, dict):
                    self.problem(f"wording.{key}", "a table is expected here", "shape")
                else:
                    for name in value:
                        self._refuse_key(f"wording.{key}.{name}", name, self.keys["wording"])
            else:
                self._refuse_key(f"{table}.{key}", key, self.keys[table])

    def _refuse_key(self, path: str, key: str, known: Sequence[str]) -> None:
        if key not in known:
            homes = [table for table, keys in self.keys.items() if key in keys]
            place = (f"[{homes[0]}]" if homes[0] else "the top of the file") if homes else ""
            hint = f" (it belongs in {place})" if place else nearest(key, list(known))
            self.problem(path, f"unknown key{hint}", "key", value=key)

    def get(self, path: str) -> Any:
        found: Any = self.data
        for part in path.split("."):
            if not isinstance(found, dict) or part not in found:
                return _MISSING
            found = found[part]
        return found

    def table(self, path: str) -> dict[str, Any]:
        found = self.get(path)
        return found if isinstance(found, dict) else {}

    def text(
        self,
        path: str,
        *,
        needed: bool = False,
        needed_by: str | None = None,
        longest: int = 500,
    ) -> str:
        value = self.get(path)
        if value is _MISSING or value == "":
            if needed_by:
                self._needed_by(path, needed_by)
            elif needed:
                self.problem(path, "missing", "missing")
            return ""
        return self._clean(path, value, longest)

    def _needed_by(self, path: str, purpose: str) -> None:
        self.problem(
            path, f"missing: the purpose {purpose!r} needs it", "missing_by", purpose=purpose
        )

    def texts(self, path: str, *, needed: bool = False, longest: int = 200) -> tuple[str, ...]:
        value = self.get(path)
        if value is _MISSING or value == []:
            if needed:
                self.problem(path, "missing: a list of texts is expected", "missing")
            return ()
        if not isinstance(value, list):
            self.problem(path, 'a list of texts is expected, e.g. ["one", "two"]', "shape")
            return ()
        cleaned = [self._clean(path, item, longest) for item in value]
        return tuple(item for item in cleaned if item)

    def _clean(self, path: str, value: Any, longest: int) -> str:
        """NFC, single spaces, comma-below letters: what a text has to be before it goes in a mail."""
        if not isinstance(value, str):
            self.problem(path, f"a text is expected, not {type(value).__name__}", "shape")
            return ""
        text = unicodedata.normalize("NFC", value).translate(_CEDILLA).strip()
        if any(
            unicodedata.category(c) in {"Cc", "Cf", "Co", "Cs"} and c not in "\n\t" for c in text
        ):
            self.problem(path, "holds control or invisible characters", "invisible")
        text = " ".join(text.split())
        if not text:
            self.problem(path, "empty", "missing")
        for mark in ("{", "}", "<", ">"):
            if mark in text:
                self.problem(
                    path,
                    f"holds {mark!r}: plain text only, no slots and no markup",
                    "markup",
                    value=mark,
                )
                break
        if len(text) > longest:
            self.problem(
                path,
                f"{len(text)} characters, the limit is {longest}",
                "long",
                n=len(text),
                limit=longest,
            )
        return text

    def choice(
        self, path: str, kind: type[_Enum], default: _Enum, *, needed: bool = False
    ) -> _Enum:
        text = self.text(path, needed=needed)
        return (self.member(path, text, kind) if text else None) or default

    def member(self, path: str, text: str, kind: type[_Enum]) -> _Enum | None:
        try:
            return kind(text)
        except ValueError:
            known = [item.value for item in kind]
            self.problem(path, f"{text!r} is unknown{_hint(text, known)}", "choice", value=text)
            return None

    def one_of(self, path: str, known: Sequence[str], default: str) -> str:
        text = self.text(path)
        if text and text not in known:
            self.problem(
                path, f"{text!r} is unknown{_hint(text, list(known))}", "choice", value=text
            )
            return default
        return text or default

    def country(self, text: str) -> str:
        if not re.fullmatch(r"[A-Za-z]{2}", text):
            self.problem(
                "audience.countries",
                f"{text!r} is not a two-letter country code",
                "country",
                value=text,
            )
        return text.upper()

    def email(self, path: str, *, needed: bool = False) -> str:
        text = self.text(path, needed=needed, longest=254)
        if text and not _EMAIL.fullmatch(text):
            self.problem(path, f"{text!r} is not an e-mail address", "email", value=text)
        return text

    def whole(self, path: str, default: int, low: int, high: int) -> int:
        value = self.get(path)
        if value is _MISSING:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            self.problem(
                path,
                f"a whole number from {low} to {high} is expected",
                "whole",
                low=low,
                high=high,
            )
            return default
        return value

    def fraction(self, path: str, default: float, low: float, high: float) -> float:
        value = self.get(path)
        if value is _MISSING:
            return default
        number = _number(value)
        if number is None or not low <= number <= high:
            percent = high == 1.0 and number is not None and 1 < number <= 100
            hint = f": write {float(number) / 100:g} for {number} %" if percent and number else ""
            self.problem(
                path,
                f"a number from {low:g} to {high:g} is expected{hint}",
                "fraction",
                low=f"{low:g}",
                high=f"{high:g}",
            )
            return default
        return float(number)

    def price(self, path: str) -> Decimal | None:
        value = self.get(path)
        if value is _MISSING:
            return None
        number = _number(value)
        if number is None and isinstance(value, str):
            try:
                number = Decimal(value)
            except InvalidOperation:
                number = None
        if number is None or not number.is_finite() or not 0 < number < 10**9:
            self.problem(path, "a positive amount is expected, e.g. 1299.50", "price")
            return None
        if number != number.quantize(Decimal("0.01")):
            self.problem(
                path, f"{number} has more than two decimals", "decimals", value=str(number)
            )
        return number

    def money(self, path: str) -> int:
        """An amount as millionths."""
        value = self.get(path)
        if value is _MISSING:
            return 0
        number = _number(value)
        if number is None or not 0 <= number <= 1_000_000:
            self.problem(path, "an amount of at least 0 is expected, e.g. 0.50", "money")
            return 0
        return int(number * 1_000_000)

    def day(self, path: str, *, needed_by: str | None = None) -> date | None:
        value = self.get(path)
        if value is _MISSING or value == "":
            if needed_by:
                self._needed_by(path, needed_by)
            return None
        if isinstance(value, str):
            try:
                value = date.fromisoformat(value)
            except ValueError:
                value = None
        if not isinstance(value, date) or isinstance(value, datetime):
            self.problem(path, "a day is expected, written 2026-12-15", "day")
            return None
        if not 2020 <= value.year <= 2100:
            self.problem(path, f"{value} is no sensible year", "year", value=str(value))
        return value

    def clock(self, path: str) -> str:
        value = self.get(path)
        if value is _MISSING or value == "":
            return ""
        if isinstance(value, str):
            try:
                value = time.fromisoformat(value)
            except ValueError:
                value = None
        if not isinstance(value, time):
            self.problem(path, "a time is expected, written 18:30", "time")
            return ""
        return f"{value:%H:%M}"

    def link(self, path: str) -> str:
        text = self.text(path, needed=True, longest=2000)
        fault = link_fault(text) if text else ""
        if fault:
            self.problem(path, fault, "link", value=fault)
        return text


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    number = Decimal(value)
    return number if number.is_finite() else None


def _hint(text: str, known: list[str]) -> str:
    return nearest(text, known) or f"; known are {', '.join(known)}"


def _line_of(source: str, path: str) -> int:
    """The line where a key is written, found by its table's heading; 0 when it is not there."""
    *tables, key = path.split(".")
    table, inside = ".".join(tables), not tables
    heading = 0
    for number, line in enumerate(source.splitlines(), 1):
        if match := re.match(r"\s*\[([^\[\]]+)\]", line):
            name = re.sub(r"[\s\"']", "", match[1])
            inside = name == table
            if name == path:
                return number
            heading = number if inside else heading
        elif inside and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", line):
            return number
    return heading
