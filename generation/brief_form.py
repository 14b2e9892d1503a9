"""A brief as a form holds it: one text a field, wrong or right; to TOML and back.

Keys are the TOML's own paths (`wording.ro.offer`). Lists are one item a line, shares are percent. Whatever
cannot be a number or a day stays text, so that nothing a person typed is lost and `problems` can name it.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from generation.brief import KEYS, MAX_BYTES, BriefError, parse_brief
from generation.toml_reader import Problem
from pigeonry.domain import Language
from pigeonry.errors import BadInput

LISTS = frozenset({"languages", "benefits", "facts", "banned", "required", "countries"})
SHARES = frozenset({"experiment.holdout", "experiment.test_share"})
_NUMBERS = SHARES | {
    "product.price",
    "budget.cap",
    "limits.subject_max",
    "limits.preheader_max",
    "experiment.variants",
    "experiment.wait_hours",
}
_DAYS = frozenset({"dates.starts", "dates.ends", "dates.event_date"})
_ESCAPED = re.compile("[\x7f]")


def paths(languages: Sequence[str] = tuple(Language)) -> list[str]:
    """Every field that a form can have."""
    found = []
    for table, keys in KEYS.items():
        for place in [f"wording.{name}" for name in languages] if table == "wording" else [table]:
            found += [f"{place}.{key}" if place else key for key in keys]
    return found


def to_form(source: str, *, where: str) -> dict[str, str]:
    """Path -> text for each key that the TOML has. Raises BadInput where it is no TOML at all."""
    if len(source.encode()) > MAX_BYTES:
        raise BadInput(f"larger than {MAX_BYTES // 1024} kB", where=where, fix="a brief is short")
    try:
        data = tomllib.loads(source, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"not a TOML file: {error}", where=where, fix="correct that line") from error
    return {path: text for path in paths() if (text := _text(path, _value(data, path)))}


def to_toml(form: Mapping[str, str]) -> str:
    """The TOML of a form; empty fields are left out, unknown ones too."""
    lines: list[str] = []
    ticked = [name for name in Language if name in _items(form.get("languages", ""))]
    for table, keys in KEYS.items():
        places = [table]
        if table == "wording":
            # A language that was unticked loses its words; with none ticked yet all are kept.
            places = [f"wording.{name}" for name in ticked or Language]
        for place in places:
            rows = [
                f"{key} = {_toml(path, form[path])}"
                for key in keys
                if form.get(path := f"{place}.{key}" if place else key, "").strip()
            ]
            if rows and place:
                lines += ["", f"[{place}]"]
            lines += rows
    return "\n".join(lines) + "\n"


def problems(source: str) -> tuple[Problem, ...]:
    """Everything that is wrong with a brief's TOML, field by field; () when it can be used."""
    try:
        parse_brief(source, where="brief")
    except BriefError as error:
        return error.problems
    except BadInput as error:
        return (Problem("", 0, error.what, "toml", {"value": error.what}),)
    return ()


def _value(data: Mapping[str, Any], path: str) -> Any:
    found: Any = data
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _text(path: str, value: Any) -> str:
    if value is None or isinstance(value, dict):
        return ""
    if isinstance(value, list):
        return "\n".join(" ".join(str(item).split()) for item in value)
    if path in SHARES and isinstance(value, Decimal | int) and not isinstance(value, bool):
        return f"{(Decimal(value) * 100).normalize():f}"
    return str(value)


def _toml(path: str, text: str) -> str:
    key = path.rpartition(".")[2]
    if key in LISTS:
        return f"[{', '.join(_quoted(item) for item in _items(text))}]"
    bare = text.strip()
    if path in _NUMBERS and (number := _number(bare)) is not None:
        return f"{number / 100 if path in SHARES else number:f}"
    if path in _DAYS:
        try:
            return date.fromisoformat(bare).isoformat()
        except ValueError:
            pass
    return _quoted(" ".join(text.split()))


def _items(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def _number(text: str) -> Decimal | None:
    """People write 1299,50 as well as 1299.50; a thousands mark is no number here."""
    try:
        number = Decimal(text.replace(",", "."))
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number) < 10**12 else None


def _quoted(text: str) -> str:
    """A TOML basic string: JSON's escapes are TOML's, but for DEL."""
    shown = json.dumps(text.encode("utf-8", "replace").decode(), ensure_ascii=False)
    return _ESCAPED.sub("\\\\u007f", shown)
