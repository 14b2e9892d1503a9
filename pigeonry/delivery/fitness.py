"""What may not leave in any mail, whoever wrote it: slots, programs' words for nothing, empty parts.

A last look of our own that trusts no check before it.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from pigeonry.domain import Brief, Copy, Language
from pigeonry.errors import WrongUse

_SLOT = re.compile(
    r"\{\{|\}\}|\{%|%\}|\{#|<%|%>|\$\{"  # template source
    r"|\{[^{}]*\}"  # an unfilled slot
    r"|\[\[|\]\]|%[A-Za-z_]+%|\*\|"  # other mailers' merge tags
)
_NOTHING = re.compile(r"\b(None|NaN|undefined|null|Undefined|NULL|TODO|FIXME|Lorem ipsum)\b")


class UnfitMail(WrongUse):
    """A mail that may not leave."""

    code = "unfit_mail"


def refuse_unfit(copy: Copy, brief: Brief, language: Language) -> None:
    """Raise UnfitMail, naming the part, for copy or brief words that may not stand in a mail."""
    if language not in brief.wording:
        raise UnfitMail(
            f"the brief has no wording in {language}",
            where=f"wording.{language}",
            fix="add that table to the brief",
        )
    sender, wording = brief.sender, brief.wording[language]
    needed = {
        "subject": copy.subject,
        "hook": copy.hook,
        "cta": copy.cta,
        "sender.name": sender.name,
        "sender.company": sender.company,
        "sender.address": sender.address,
        **{f"body[{number}]": paragraph for number, paragraph in enumerate(copy.body, 1)},
    }
    for part, text in needed.items():
        if not text.strip():
            raise UnfitMail("is empty", where=part, fix="every mail needs it")
    if not copy.body:
        raise UnfitMail("has no paragraph", where="body", fix="every mail needs one")
    for part, text in {
        **needed,
        "preheader": copy.preheader,
        "sender.company_id": sender.company_id,
        "sender.register": sender.register,
        "offer": wording.offer,
        "conditions": wording.conditions,
        "place": wording.place,
        "code": brief.code,
    }.items():
        found = _SLOT.search(text) or _NOTHING.search(text)
        if found:
            raise UnfitMail(
                f"{found[0]!r} may not stand in a mail",
                where=part,
                fix="fill the slot, or change the wording",
            )
    _refuse_link(brief.link)


def refuse_unfilled(rendered: str, part: str) -> None:
    """The same look at a finished part, where a slot of the layout itself would show."""
    found = re.search(r"\{\{|\}\}|\{%|%\}|\bNone\b", rendered)
    if found:
        raise UnfitMail(
            f"the finished mail holds {found[0]!r}",
            where=part,
            fix="a layout file under templates/email is wrong",
        )


def _refuse_link(link: str) -> None:
    parts = urlsplit(link)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
        raise UnfitMail(
            f"{link[:200]!r} is no link that may stand in a mail",
            where="link",
            fix="use an https address without a name or password in it",
        )
