"""A variant becomes a mail: laid out and inlined once, then filled for each lead by cheap string work.

Knows the layout and the law's footer. Knows no lead but the one it is handed, and no channel.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from html import escape
from typing import TYPE_CHECKING, cast

from pigeonry.delivery import layout
from pigeonry.delivery.fitness import refuse_unfilled, refuse_unfit
from pigeonry.delivery.headers import clean, safe, safe_address
from pigeonry.delivery.links import Links
from pigeonry.delivery.tracking import TrackedLinks
from pigeonry.domain import Brief, ConsentBasis, Copy, Language, OutgoingMessage
from pigeonry.domain.formats import date_text, price_text

if TYPE_CHECKING:
    from jinja2 import Template

_PREVIEW = (
    140  # characters that mail programs show beside the subject; filled up behind the preheader
)
_NAME = re.compile(r"[^\W\d_]+(?:[ '’.-]{1,2}[^\W\d_]+)*\.?")
_LONGEST_NAME = 40
_MOST_WORDS = 3
_HTML_ONLY = frozenset({"trap", "pixel"})


@dataclass(frozen=True, slots=True)
class Recipient:
    """What a mail says about the person it goes to. `basis` decides the sentence why they get it."""

    lead_id: int
    email: str
    first_name: str = ""
    last_name: str = ""
    basis: ConsentBasis = ConsentBasis.EXPRESS


@dataclass(frozen=True, slots=True)
class CompiledMail:
    """A variant laid out. `html` and `text` are cut at the marks: odd pieces name what goes there."""

    html: tuple[str, ...]
    text: tuple[str, ...]
    subject: str
    from_name: str
    from_email: str
    reply_to: str
    campaign_id: int
    feedback_id: str
    words: layout.Words
    tracked: TrackedLinks | None = None

    def render(
        self,
        recipient: Recipient,
        links: Links,
        *,
        send_key: str,
        at: datetime,
    ) -> OutgoingMessage:
        """One mail for one lead. Raises UnsafeHeader for an address that may not stand in a header."""
        domain = self.from_email.rpartition("@")[2]
        url = links.unsubscribe_url(recipient.lead_id, self.campaign_id)
        mailto = links.unsubscribe_mailto(
            self.reply_to or self.from_email, recipient.lead_id, self.campaign_id
        )
        texts = self.words.texts
        name = greeting_name(recipient.first_name, self.words.not_names)
        greeting = texts["greeting"].replace("{name}", name) if name else texts["greeting_unnamed"]
        customer = recipient.basis is ConsentBasis.EXISTING_CUSTOMER
        values = {
            "greeting": greeting,
            "why": texts["why_customer" if customer else "why_express"],
            "unsubscribe": url,
        }
        if self.tracked:
            values |= self.tracked.values(send_key)
        return OutgoingMessage(
            send_key=send_key,
            to_email=safe_address("To", recipient.email),
            to_name=name and clean(f"{name} {_surname(recipient.last_name)}"),
            from_email=self.from_email,
            from_name=self.from_name,
            reply_to=self.reply_to,
            subject=self.subject,
            text=_fill(self.text, {**values, "why": layout.wrap(values["why"])}),
            html=_fill(self.html, {key: escape(value) for key, value in values.items()}),
            unsubscribe_url=url,
            headers={
                "Date": format_datetime(at),
                "Message-ID": f"<{send_key}@{domain}>",
                "List-Unsubscribe": f"<{url}>, <{mailto}>",
                "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
                # Old vacation programs look only at this. Auto-Submitted is left out on purpose:
                # RFC 3834 keeps it for answers by machine, and a person approved this mail.
                "Precedence": "bulk",
                "Feedback-ID": self.feedback_id,
                "X-Pigeonry-Key": send_key,
                "X-Pigeonry-Campaign": str(self.campaign_id),
            },
            tracked=bool(self.tracked and self.tracked.marks),
        )


def compile_mail(
    copy: Copy,
    brief: Brief,
    language: Language,
    *,
    campaign_id: int,
    arm: str = "",
    tracked: TrackedLinks | None = None,
) -> CompiledMail:
    """Lay a variant out in both parts and inline its styles. With `tracked`, opens and clicks lead back
    to us; the way out never does.

    Raises UnfitMail for anything that may not leave (a slot, `None`, an empty part, a bad link) and
    UnsafeHeader for a line break in subject, sender name or reply address.
    """
    refuse_unfit(copy, brief, language)
    words = layout.words(language, brief.address)
    open_places = ("greeting", "why", "unsubscribe", *(tracked.marks if tracked else ()))
    marks = {name: f"mark{secrets.token_hex(16)}" for name in open_places}
    sender = brief.sender
    data: dict[str, object] = {
        "lang": language.value,
        "subject": copy.subject,
        "preheader": copy.preheader,
        "hook": copy.hook,
        "body": copy.body,
        "cta": copy.cta,
        "link": brief.link,
        "trap": "",
        "pixel": "",
        "facts": facts(brief, language),
        "conditions": _sentence(brief.wording[language].conditions),
        "sender": sender,
        "identity": _identity(brief, words.texts),
        "words": words.texts,
        **marks,
    }
    html_layout, text_layout = cast("tuple[Template, Template]", layout.templates())
    html = _inline(
        html_layout.render(
            data,
            inline_css=layout.style("inline.css"),
            head_css=layout.style("head.css"),
            # A figure space with a joiner takes room and shows nothing.
            filler="\u2007\u034f" * max(0, _PREVIEW - len(copy.preheader)),
        )
    )
    text = re.sub(r"\n{3,}", "\n\n", text_layout.render(data)).strip() + "\n"
    refuse_unfilled(html, "HTML part")
    refuse_unfilled(text, "text part")
    domain = safe_address("From", sender.email).rpartition("@")[2]
    return CompiledMail(
        html=_cut(html, marks),
        # No machine is caught and no picture shown in plain text.
        text=_cut(text, {name: marks[name] for name in open_places if name not in _HTML_ONLY}),
        subject=safe("Subject", copy.subject.strip()),
        from_name=safe("From", sender.name.strip()),
        from_email=sender.email,
        reply_to=sender.reply_to and safe_address("Reply-To", sender.reply_to),
        campaign_id=campaign_id,
        # Gmail's feedback loop: up to three labels, then a sender id of 5-15 characters that never changes.
        feedback_id=f"c{campaign_id}:{arm or '-'}:marketing:"
        f"{hashlib.sha256(domain.encode()).hexdigest()[:10]}",
        words=words,
        tracked=tracked,
    )


def facts(brief: Brief, language: Language) -> tuple[tuple[str, str], ...]:
    """The rows of the facts box, (label, value): only those that the brief has."""
    texts, wording = layout.words(language, brief.address).texts, brief.wording[language]
    rows = (
        ("offer", wording.offer),
        ("deadline", "" if brief.ends is None else date_text(brief.ends, language)),
        (
            "price",
            "" if brief.price is None else price_text(brief.price, brief.currency, language),
        ),
        ("code", brief.code),
        ("date", "" if brief.event_date is None else date_text(brief.event_date, language)),
        ("time", brief.event_time),
        ("place", wording.place),
    )
    return tuple((texts[label], _capital(value)) for label, value in rows if value)


def greeting_name(first_name: str, not_names: frozenset[str]) -> str:
    """The name as a greeting may say it, or "" when it looks like no name at all.

    Letters with single spaces, hyphens, apostrophes and full stops between them, at most three words:
    no markup, no link, no template and no sentence passes. ALL CAPITALS and all small are mended.
    """
    name = unicodedata.normalize("NFC", clean(first_name, _LONGEST_NAME + 1))
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name) or len(name.split()) > _MOST_WORDS:
        return ""
    if name.casefold() in not_names or re.search(r"\w\.\w", name):
        return ""
    if len(name) > 1 and (name.isupper() or name.islower()):
        name = re.sub(r"[^\W\d_]+", lambda word: word[0].capitalize(), name)
    return name


def _surname(last_name: str) -> str:
    return greeting_name(last_name, frozenset())


def _identity(brief: Brief, texts: Mapping[str, str]) -> str:
    """The company as Romanian law wants it named in commercial mail (Law 365/2002 art. 5 and 6)."""
    sender = brief.sender
    parts = (
        sender.company,
        sender.company_id and f"{texts['company_id']} {sender.company_id}",
        sender.register and f"{texts['register']} {sender.register}",
        sender.address,
    )
    return " · ".join(part for part in parts if part)


def _sentence(text: str) -> str:
    text = _capital(text.strip())
    return text if not text or text.endswith((".", "!", "?")) else f"{text}."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _inline(html: str) -> str:
    import css_inline

    return str(
        css_inline.inline(
            html, keep_style_tags=False, load_remote_stylesheets=False, minify_css=True
        )
    )


def _cut(text: str, marks: Mapping[str, str]) -> tuple[str, ...]:
    """`["before ", "greeting", " after", ...]`: plain text at even places, names of values at odd."""
    names = {mark: name for name, mark in marks.items()}
    pieces = re.split(f"({'|'.join(names)})", text)
    found = [names[piece] for piece in pieces[1::2]]
    if set(found) != set(marks):
        raise ValueError(f"the layout lacks {sorted(set(marks) - set(found))}")
    return tuple(names.get(piece, piece) for piece in pieces)


def _fill(pieces: tuple[str, ...], values: Mapping[str, str]) -> str:
    return "".join(values[piece] if place % 2 else piece for place, piece in enumerate(pieces))
