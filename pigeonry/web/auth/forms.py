"""What a form brought: plain strings with limits. Nothing in it is trusted."""

from __future__ import annotations

from dataclasses import dataclass, field

from starlette.datastructures import FormData
from starlette.requests import Request

from pigeonry.web.limits import Turned, form
from pigeonry.web.site import Site

BODY_BYTES = 1_000_000
_FIELDS = 2_000  # a mapping of columns has one for each
_LONGEST = 20_000


@dataclass(frozen=True, slots=True)
class Form:
    """The posted fields; empty when nothing was posted."""

    data: FormData = field(default_factory=FormData)

    def text(self, name: str, most: int = _LONGEST) -> str:
        """The value without the space around it, "" when the field is missing. Raises Turned (400) for a
        longer one."""
        value = self.data.get(name)
        return _clean(name, value, most) if isinstance(value, str) else ""

    def secret(self, name: str) -> str:
        """A password as it was typed."""
        value = self.data.get(name)
        return value[:1000] if isinstance(value, str) else ""

    def number(self, name: str) -> int | None:
        """A whole number, None for an empty field. Raises Turned (400) for anything else."""
        text = self.text(name, 20)
        if not text:
            return None
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdigit()):
            raise Turned(400, f"{name} is not a number", reason="bad_form")
        return int(text)

    def flag(self, name: str) -> bool:
        """Whether a box was ticked."""
        return bool(self.text(name))

    def every(self, name: str, most: int = _LONGEST) -> list[str]:
        """All values of a field that may come more than once."""
        return [
            _clean(name, value, most) for value in self.data.getlist(name) if isinstance(value, str)
        ]

    def fields(self) -> dict[str, str]:
        """Every field's (last) value: to show a refused form again as it was typed."""
        return {
            name: value.replace("\0", "")
            for name, value in self.data.items()
            if isinstance(value, str) and name != "csrf"
        }


async def read_form(request: Request, site: Site) -> Form:
    async with site.budgets["console"].body(request, BODY_BYTES) as body:
        if not body:
            return Form()
        return Form(await form(request, body, fields=_FIELDS))


def _clean(name: str, value: str, most: int) -> str:
    text = value.replace("\0", "").replace("\r\n", "\n").strip()
    if len(text) > most:
        raise Turned(400, f"{name} is longer than {most:,} characters", reason="bad_form")
    return text
