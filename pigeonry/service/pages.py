"""Readable pages about privacy: one person's data, the record of processing, what leaves this machine."""

from __future__ import annotations

import importlib.resources
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from pigeonry.domain import Language
from pigeonry.service.doors import STAYS, Door
from pigeonry.service.processing_record import ProcessingRecord


def person_page(found: Mapping[str, Any]) -> str:
    """Everything of `people.export_person`, in the person's language (else Romanian)."""
    lead = found.get("lead") or {}
    language = Language(lead["language"]) if lead.get("language") else Language.RO
    words = tomllib.loads(_file(f"person.{language}.toml"))
    sections = [
        (words["tables"].get(name, name), _rows(rows))
        for name, rows in found.items()
        if name != "email" and rows
    ]
    return _render(
        "person.html", language=language.value, email=found["email"], words=words, sections=sections
    )


def record_page(record: ProcessingRecord) -> str:
    return _render("record.html", record=record)


def leaves_page(doors: Sequence[Door]) -> str:
    return _render("leaves.html", doors=doors, stays=STAYS)


def _rows(rows: Any) -> list[list[tuple[str, str]]]:
    """Each row as (name, value) pairs, empty values left out."""
    listed = rows if isinstance(rows, list) else [rows]
    return [
        [(name, _said(value)) for name, value in row.items() if value not in (None, "", [], {})]
        for row in listed
    ]


def _said(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {_said(item)}" for name, item in value.items())
    if isinstance(value, list):
        return ", ".join(_said(item) for item in value)
    return str(value)


def _render(name: str, **data: Any) -> str:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(_file), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template(name).render(data)


def _file(name: str) -> str:
    folder = importlib.resources.files("pigeonry.templates") / "privacy"
    return (folder / name).read_text(encoding="utf-8")
