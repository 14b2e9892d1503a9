"""A mail that came in, read as far as we need it: who, about which of our mails, in what words.

Every header is read tolerantly: `policy.SMTP` raises on some malformed ones, and a mail that cannot be read
could be somebody who asks us to stop.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, message_from_string
from email.header import decode_header, make_header
from email.message import Message
from email.utils import parseaddr, parsedate_to_datetime

from feedback.quoting import text_of_html

_MOST_BYTES = 4_000_000  # of a mail; its words come first, pictures follow
_MOST_TEXT = 100_000
_MOST_PARTS = 200
_KEY = re.compile(r"(?<![0-9a-f])([0-9a-f]{32})(?=@)")
_KEY_HEADER = re.compile(rb"^>?\s*X-Pigeonry-Key:\s*([0-9a-f]{32})\b", re.MULTILINE | re.IGNORECASE)
_TOKEN = re.compile(r"(?<![a-z0-9])([a-z2-7]{44})(?![a-z0-9])", re.IGNORECASE)
_LINK = re.compile(r"/u/([a-z2-7]{44})(?![a-z0-9])", re.IGNORECASE)
_FORM = re.compile(rb"--([^\r\n]{1,200})\r\nContent-Disposition: form-data", re.IGNORECASE)
_NAME = re.compile(rb'\bname="([^"]*)"')
# How far a mail's own date may lie before its arrival.
_LATE = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Mail:
    """`text` is what a reader sees, quotations included; `raw` the bytes that keys are looked for in."""

    message: Message
    text: str
    html: str
    raw: bytes
    address: str

    def header(self, name: str) -> str:
        return header(self.message, name)

    @property
    def subject(self) -> str:
        return self.header("Subject")

    def at(self, received_at: datetime) -> datetime:
        """When it was written, if that is plausible, else when it arrived."""
        try:
            written = parsedate_to_datetime(self.header("Date"))
        except (ValueError, TypeError, IndexError, OverflowError):
            return received_at
        if written.tzinfo is None:
            return received_at
        try:
            written = written.astimezone(UTC)
        except (ValueError, OverflowError):
            return received_at
        return written if received_at - _LATE <= written <= received_at else received_at

    def send_key(self) -> str:
        """Our key from the mail that this one answers, "" when it answers none of ours."""
        for name in ("In-Reply-To", "References"):
            found = _KEY.findall(self.header(name).lower())
            if found:
                return str(found[-1])
        return ""

    def returned_key(self) -> str:
        """Our key from a mail of ours that is attached or quoted with its headers."""
        found = _KEY_HEADER.search(self.raw)
        if found:
            return found[1].decode().lower()
        for part in parts(self.message):
            if part.get_content_type() in ("message/rfc822", "text/rfc822-headers"):
                inner = _inner(part)
                if found_id := _KEY.search(header(inner, "Message-ID").lower()):
                    return found_id[1]
        return ""

    def subject_token(self) -> str:
        """The unsubscribe token that our List-Unsubscribe puts into a mail's subject."""
        found = _TOKEN.search(self.subject)
        return found[1].lower() if found else ""

    def quoted_token(self) -> str:
        """The token of our unsubscribe link, where it is quoted."""
        for text in (self.text, self.html, self.raw.decode("latin-1").replace("=\r\n", "")):
            if found := _LINK.search(text):
                return found[1].lower()
        return ""


def read_mail(body: bytes) -> Mail | None:
    """A raw mail, or the form in which SendGrid's inbound parse posts one; None when it is neither."""
    form = _form(body)
    if form is None:
        return _raw_mail(body)
    if form.get("email"):
        return _raw_mail(form["email"])
    head = form.get("headers", b"") + b"\n\n"
    message = message_from_bytes(head)
    for name in ("from", "subject"):
        if name in form and message[name] is None:
            message[name] = _decoded(form[name], "utf-8").replace("\r", " ").replace("\n", " ")
    address = parseaddr(header(message, "From"))[1] or _envelope(form)
    text, html = (_decoded(form.get(name, b"")[:_MOST_TEXT], "utf-8") for name in ("text", "html"))
    if not address and not text and not html:
        return None
    return Mail(message, text or text_of_html(html), html, head + form.get("text", b""), address)


def header(message: Message, name: str) -> str:
    """A header's words, decoded as far as they can be; "" when it is absent."""
    value = message.get(name)
    if value is None:
        return ""
    try:
        text = str(make_header(decode_header(value)))
    except Exception:  # malformed encoded words raise many kinds
        text = str(value)
    return " ".join(text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "").split())


def parts(message: Message) -> Iterator[Message]:
    """A mail's parts, not those of a mail that is attached to it."""
    waiting, seen = [message], 0
    while waiting and seen < _MOST_PARTS:
        part = waiting.pop(0)
        seen += 1
        yield part
        payload = part.get_payload()
        if isinstance(payload, list) and part.get_content_maintype() == "multipart":
            waiting = [inner for inner in payload if isinstance(inner, Message)] + waiting


def _raw_mail(body: bytes) -> Mail | None:
    body = body[:_MOST_BYTES].lstrip(b"\r\n")
    if body.startswith(b"From "):  # a mailbox file's first line
        body = body.partition(b"\n")[2]
    try:
        message = message_from_bytes(body)
    except RecursionError:  # parts within parts, by the thousand: read it as one text
        head, _, rest = body.replace(b"\r\n", b"\n").partition(b"\n\n")
        kept = re.sub(rb"(?im)^content-[^\n]*(?:\n[ \t][^\n]*)*\n?", b"", head)
        message = message_from_bytes(kept.rstrip(b"\n") + b"\n\n" + rest)
    if not message.keys():
        return None
    address = parseaddr(header(message, "From"))[1] or parseaddr(header(message, "Return-Path"))[1]
    text = html = ""
    for part in parts(message):
        kind = part.get_content_type()
        if part.get_content_disposition() == "attachment" or kind not in (
            "text/plain",
            "text/html",
        ):
            continue
        words = _payload(part)
        if kind == "text/plain":
            text = text or words
        else:
            html = html or words
    seen = text if text.strip() else text_of_html(html)
    return Mail(message, seen[:_MOST_TEXT], html[:_MOST_TEXT], body, address)


def _payload(part: Message) -> str:
    try:
        raw = part.get_payload(decode=True)
    except Exception:  # a broken transfer encoding
        raw = None
    if not isinstance(raw, bytes):
        return str(part.get_payload())[:_MOST_TEXT]
    return _decoded(raw[:_MOST_TEXT], part.get_content_charset() or "utf-8")


def _decoded(raw: bytes, charset: str) -> str:
    for name in (charset, "utf-8", "windows-1250"):
        try:
            return raw.decode(name).replace("\x00", "")
        except (LookupError, ValueError):
            continue
    return raw.decode("utf-8", "replace").replace("\x00", "")


def _inner(part: Message) -> Message:
    payload = part.get_payload()
    if isinstance(payload, list) and payload and isinstance(payload[0], Message):
        return payload[0]
    return message_from_string(str(payload))


def _form(body: bytes) -> Mapping[str, bytes] | None:
    """The fields of a multipart form, None for what is none. Files keep no name: they are not read."""
    begin = _FORM.match(body.lstrip(b"\r\n"))
    if begin is None:
        return None
    fields: dict[str, bytes] = {}
    mark = b"--" + begin[1]
    for piece in (b"\r\n" + body.lstrip(b"\r\n")).split(b"\r\n" + mark)[1 : _MOST_PARTS + 1]:
        head, blank, value = piece.partition(b"\r\n\r\n")
        name = _NAME.search(head)
        if blank and name:
            fields.setdefault(name[1].decode("latin-1").lower(), value)
    return fields


def _envelope(form: Mapping[str, bytes]) -> str:
    try:
        found = json.loads(form.get("envelope", b"{}"))
    except ValueError:
        return ""
    return str(found.get("from") or "") if isinstance(found, dict) else ""
