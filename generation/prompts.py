"""Prompt files with a contract: validated meta, closed variables, a version that is their text's hash.

A file is TOML front matter between `+++` lines and five sections by CLEAR (Context, Limits, Examples,
Result format, and Action last, because only Action may hold variables: what stands before it is the
same for every call, so that prefix caches hit). Knows no model and no campaign.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import jinja2.meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from pigeonry.config import nearest
from pigeonry.domain import Language, Violation
from pigeonry.errors import WrongUse

SECTIONS = ("Context", "Limits", "Examples", "Result format", "Action")
ANGLES = ("benefit", "question", "direct")
FIELDS = ("subject", "preheader")
# What a prompt may be told: facts of the brief and the segment's description. Nothing of a person.
VARIABLES = (
    "product", "facts", "benefit", "offer", "audience", "segment", "tone", "address",
    "language", "subject_max", "preheader_max",
)  # fmt: skip
META = ("name", "task", "angle", "languages", "variables", "output", "small")
SMALL = ("readers", *FIELDS)


class PromptError(WrongUse):
    """A prompt file breaks its contract."""

    code = "prompt"


@dataclass(frozen=True, slots=True)
class SmallGrammar:
    """How a writer that cannot follow instructions is held to form: a pattern for each field.

    `{product}` stands for the name, `{benefit}` for (the beginning of) the leading benefit, `{span}`
    for that or what the product is, `{reader}` for who is written to. `(a|b)` is the writer's choice, `[...]` a part that it may leave out and that
    goes when its slot has no value. `readers` may be named where the segment's description holds one
    of their marks, in any language.
    """

    patterns: Mapping[str, str]
    readers: Mapping[str, tuple[str, ...]]

    @property
    def words(self) -> frozenset[str]:
        """The words that the patterns put in by themselves."""
        texts = (re.sub(r"\{\w+\}", " ", pattern) for pattern in self.patterns.values())
        return frozenset(word for text in texts for word in re.findall(r"[^\W\d_]+", text.lower()))


@dataclass(frozen=True, slots=True)
class Prompt:
    """A validated prompt file. `name` is the identity of an arm, `version` of its exact text."""

    name: str
    task: str
    angle: str
    version: str
    source: str
    languages: tuple[Language, ...]
    variables: tuple[str, ...]
    output: Mapping[str, str]  # field -> what it is, in words
    small: SmallGrammar | None
    sections: Mapping[str, str]

    @property
    def ref(self) -> str:
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class Messages:
    """A rendered prompt: what is the same for every call, and what is not."""

    system: str
    user: str


def folder() -> Path:
    """Where the packaged prompts lie."""
    return Path(str(importlib.resources.files("pigeonry.templates"))) / "prompts"


def load_prompts(where: Path | None = None) -> tuple[Prompt, ...]:
    """Every prompt below a folder, sorted by name. Raises PromptError at the first broken file."""
    root = where or folder()
    prompts = tuple(
        parse_prompt(path.read_text(encoding="utf-8"), where=str(path.relative_to(root)))
        for path in sorted(root.rglob("*.j2"))
    )
    if len({prompt.name for prompt in prompts}) != len(prompts):
        raise PromptError("two prompts have one name", where=str(root), fix="rename one of them")
    return prompts


def check_prompts(where: Path | None = None) -> tuple[Violation, ...]:
    """Every broken file, for `pigeonry prompts check`."""
    root = where or folder()
    found: list[Violation] = []
    names: dict[str, str] = {}
    for path in sorted(root.rglob("*.j2")):
        place = str(path.relative_to(root))
        try:
            prompt = parse_prompt(path.read_text(encoding="utf-8"), where=place)
        except (PromptError, UnicodeDecodeError) as error:
            found.append(Violation("contract", place, getattr(error, "what", str(error))))
            continue
        if f"{prompt.name}.j2" != place:
            found.append(Violation("name", place, f"is called {prompt.name!r} inside"))
        if prompt.name in names:
            found.append(Violation("name", place, f"same name as in {names[prompt.name]}"))
        names[prompt.name] = place
    if not names and not found:
        found.append(Violation("contract", str(root), "there is no prompt file"))
    return tuple(found)


def parse_prompt(source: str, *, where: str) -> Prompt:
    """Read a prompt file's text. Raises PromptError that says what breaks the contract."""

    def broken(what: str) -> PromptError:
        return PromptError(what, where=where, fix="see docs/guides or another prompt file")

    parts = source.split("+++\n", 2)
    if len(parts) != 3 or parts[0].strip():
        raise broken("the file has to begin with TOML between two lines of +++")
    try:
        meta = tomllib.loads(parts[1])
    except tomllib.TOMLDecodeError as error:
        raise broken(f"the front matter is no TOML: {error}") from error
    _refuse_unknown(meta, META, "", broken)
    for key in ("name", "task", "angle", "languages", "variables", "output"):
        if not meta.get(key):
            raise broken(f"{key} is missing")
    if meta["angle"] not in ANGLES:
        raise broken(f"angle {meta['angle']!r} is unknown{nearest(meta['angle'], list(ANGLES))}")
    _refuse_unknown(dict.fromkeys(meta["variables"]), VARIABLES, "variables.", broken)
    _refuse_unknown(meta["output"], FIELDS, "output.", broken)
    sections = _sections(parts[2], broken)
    used: set[str] = set()
    for name, text in sections.items():
        try:
            names = jinja2.meta.find_undeclared_variables(_environment().parse(text))
        except jinja2.TemplateSyntaxError as error:
            raise broken(f"section {name}, line {error.lineno}: {error.message}") from error
        if name != "Action" and names - {"small"}:
            raise broken(
                f"section {name} uses {', '.join(sorted(names))}: variables stand in Action only, "
                "so that the text before it is the same for every call"
            )
        used |= names - {"small"}
    declared = set(meta["variables"])
    if used - declared:
        raise broken(f"uses {', '.join(sorted(used - declared))}, which variables does not list")
    if declared - used:
        raise broken(f"variables lists {', '.join(sorted(declared - used))}, which nothing uses")
    try:
        languages = tuple(Language(name) for name in meta["languages"])
    except ValueError as error:
        raise broken(f"languages: {error}") from error
    return Prompt(
        name=meta["name"],
        task=meta["task"],
        angle=meta["angle"],
        version=hashlib.sha256(source.encode()).hexdigest()[:16],
        source=source,
        languages=languages,
        variables=tuple(meta["variables"]),
        output=dict(meta["output"]),
        small=_small(meta.get("small"), broken),
        sections=sections,
    )


def render(prompt: Prompt, values: Mapping[str, str], *, small: bool) -> Messages:
    """Fill a prompt. Values are data: whatever they hold, none of it is ever read as a template.

    Raises PromptError when a declared variable has no value, before anything is called. A small
    writer gets the sections without their headings and without rules to repeat.
    """
    missing = [name for name in prompt.variables if name not in values]
    if missing:
        raise PromptError(
            f"no value for {', '.join(missing)}", where=prompt.name, fix="give every variable"
        )
    known = {name: values[name] for name in prompt.variables}
    parts: dict[str, str] = {}
    for name, text in prompt.sections.items():
        body = _environment().from_string(text).render(known, small=small)
        body = re.sub(r"\n{2,}", "\n", body).strip()
        if body:
            parts[name] = body if small else f"## {name}\n{body}"
    action = parts.pop("Action")
    return Messages("\n".join(parts.values()) if small else "\n\n".join(parts.values()), action)


def schema(prompt: Prompt, limits: Mapping[str, int]) -> dict[str, Any]:
    """The JSON schema of an answer. `maxLength` is one above the limit: a text that was cut there is
    too long and refused, so a cut text cannot pass for a whole one."""
    return _object(
        {
            name: {"type": "string", "description": text, "maxLength": limits[name] + 1}
            for name, text in prompt.output.items()
        }
    )


def small_schema(grammar: SmallGrammar, slots: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The same for a small writer: each field follows its pattern, made of the given phrases.

    `slots` has the phrases of `product`, `benefit`, `span` and `reader`; one without any drops the optional
    parts that need it. Raises PromptError when a part that is not optional needs it.
    """

    def optional(match: re.Match[str]) -> str:
        needed = _SLOT.findall(match[1])
        return f"({match[1]})?" if all(slots.get(name) for name in needed) else ""

    def alternatives(match: re.Match[str]) -> str:
        phrases = slots.get(match[1])
        if not phrases:
            raise PromptError(f"the brief gives no {match[1]}", fix="give it benefits and facts")
        return "(" + "|".join(re.escape(text).replace(r"\ ", " ") for text in phrases) + ")"

    made = {
        name: _SLOT.sub(alternatives, re.sub(r"\[([^\]]*)\]", optional, pattern))
        for name, pattern in grammar.patterns.items()
    }
    return _object(
        {name: {"type": "string", "pattern": f"^{text}$"} for name, text in made.items()}
    )


_SLOT = re.compile(r"\{(product|benefit|span|reader)\}")


def _small(meta: Any, broken: Any) -> SmallGrammar | None:
    if meta is None:
        return None
    _refuse_unknown(meta, SMALL, "small.", broken)
    patterns = {name: meta[name] for name in FIELDS if name in meta}
    if "subject" not in patterns:
        raise broken("small.subject is missing")
    for name, pattern in patterns.items():
        rest = _SLOT.sub("", pattern)
        if "{" in rest or "}" in rest:
            raise broken(
                f"small.{name}: only {{product}}, {{benefit}}, {{span}} and {{reader}} may be used"
            )
    return SmallGrammar(
        patterns=patterns,
        readers={name: tuple(text.split()) for name, text in dict(meta.get("readers", {})).items()},
    )


def _sections(text: str, broken: Any) -> dict[str, str]:
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    if parts[0].strip():
        raise broken("there is text before the first section")
    names = [name.strip() for name in parts[1::2]]
    if names != list(SECTIONS):
        raise broken(f"the sections have to be {', '.join(SECTIONS)}, in this order")
    return dict(zip(names, (part.strip("\n") for part in parts[2::2]), strict=True))


def _refuse_unknown(found: Mapping[str, Any], known: Sequence[str], path: str, broken: Any) -> None:
    for key in found:
        if key not in known:
            raise broken(f"unknown key {path}{key}{nearest(key, list(known))}")


def _environment() -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(
        undefined=jinja2.StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True
    )


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }
