"""What is set in a home, as it may be shown: no secret stands in the settings, and a password in the database's
address is left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from pigeonry.config import Home
from pigeonry.service.homes import shown_url


@dataclass(frozen=True, slots=True)
class Chosen:
    """One setting that differs from its default, or, with `everything`, any."""

    name: str
    value: str
    default: str
    meaning: str

    @property
    def own(self) -> bool:
        return self.value != self.default


def settings(home: Home) -> tuple[Chosen, ...]:
    """Every setting, in the order of pigeonry.toml.example."""
    found: list[Chosen] = []
    for section, field in type(home.settings).model_fields.items():
        part, usual = getattr(home.settings, section), field.get_default(call_default_factory=True)
        if not isinstance(part, BaseModel):  # tables with names of their own, e.g. [crm.NAME]
            found += _named(section, part)
            continue
        for key, inner in type(part).model_fields.items():
            value, default = getattr(part, key), getattr(usual, key)
            if section == "database" and key == "url" and value:
                value = shown_url(home)
            found.append(
                Chosen(f"{section}.{key}", _shown(value), _shown(default), inner.description or "")
            )
    return tuple(found)


def _named(section: str, tables: Any) -> list[Chosen]:
    return [
        Chosen(f"{section}.{name}", _shown(table), "", "a table of its own")
        for name, table in tables.items()
    ]


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, BaseModel):
        return ", ".join(
            f"{key} = {_shown(inner)}" for key, inner in value if inner not in ("", (), {})
        )
    if isinstance(value, list | tuple):
        return "; ".join(_shown(one) for one in value)
    if isinstance(value, dict):
        return ", ".join(f"{key} = {_shown(inner)}" for key, inner in value.items())
    return str(value)
