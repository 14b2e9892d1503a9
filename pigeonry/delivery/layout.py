"""The mail layout's files: words by language, styles, and the Jinja environment that fills them once.

Only data that we or the brief wrote goes through Jinja; a lead's never does.
"""

from __future__ import annotations

import functools
import importlib.resources
import textwrap
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources.abc import Traversable

from pigeonry.domain import Address, Language

WIDTH = 76  # columns of the text part


@dataclass(frozen=True, slots=True)
class Words:
    """The layout's words in one language and form of address."""

    texts: Mapping[str, str]
    not_names: frozenset[str]


def folder() -> Traversable:
    return importlib.resources.files("pigeonry.templates") / "email"


@functools.cache
def words(language: Language, address: Address) -> Words:
    data = tomllib.loads((folder() / "words" / f"{language}.toml").read_text(encoding="utf-8"))
    return Words(
        texts={**data["common"], **data[address.value]},
        not_names=frozenset(word.casefold() for word in data["not_names"]["words"]),
    )


@functools.cache
def style(name: str) -> str:
    return (folder() / name).read_text(encoding="utf-8")


def wrap(text: str) -> str:
    """Lines of at most 76 columns; a word that is longer (a link) stays whole."""
    return "\n".join(
        textwrap.fill(line, WIDTH, break_long_words=False, break_on_hyphens=False)
        for line in text.splitlines()
    )


@functools.cache
def templates() -> tuple[object, object]:
    """The HTML and the text layout, compiled. Jinja is imported here: the command line starts without."""
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    html = ImmutableSandboxedEnvironment(autoescape=True, undefined=StrictUndefined)
    text = ImmutableSandboxedEnvironment(
        autoescape=False,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    text.filters["wrap"] = wrap
    return (
        html.from_string(style("layout.html.j2")),
        text.from_string(style("layout.txt.j2")),
    )
