"""Reports that mail servers send back: delivery status (RFC 3464) and complaints (RFC 5965)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message

from pigeonry.domain import EventKind

# Permanent by their class, and yet no word about whether the mailbox exists: full (2.2), too long a mail
# (2.3, 3.4), the sender's own address (1.7, 1.8), a system that takes no mail just now (3.2, 4.7).
_FOR_NOW = frozenset(("5.1.7", "5.1.8", "5.2.2", "5.2.3", "5.3.2", "5.3.4", "5.4.7"))
_STATUS = re.compile(r"\b([245])\.(\d{1,3})\.(\d{1,3})\b")
_CODE = re.compile(r"\b([245])\d\d\b")
_ADDRESS = re.compile(r"<?([^\s<>;,]+@[^\s<>;,]+?)>?\s*$")
_DAEMON = re.compile(r"(?:mailer-daemon|postmaster)@", re.IGNORECASE)
_UNDELIVERED = re.compile(
    r"undeliver|returned mail|failure notice|delivery.{0,20}(?:fail|delay|status)|mail delivery|"
    r"nelivrat|nu a putut fi livrat",
    re.IGNORECASE,
)
_MOST = 50  # recipients of one report that are looked at; we send to one


@dataclass(frozen=True, slots=True)
class Report:
    """What a report says about one recipient."""

    kind: EventKind
    address: str
    reason: str


def report_kind(mail: Message) -> str:
    """`delivery-status`, `feedback-report` or "" for a mail that is no report."""
    if mail.get_content_type() != "multipart/report":
        return ""
    kind = str(mail.get_param("report-type") or "").lower()
    found = {part.get_content_type() for part in _parts(mail)}
    for name in ("delivery-status", "feedback-report"):
        if kind == name or f"message/{name}" in found:
            return name
    return ""


def delivery_reports(mail: Message) -> list[Report]:
    """One for each recipient that a delivery report speaks of."""
    found = []
    for fields in _fields(mail, "message/delivery-status"):
        action = str(fields.get("Action") or "").strip().lower()
        if not action:
            continue  # the first block is about the message
        status = str(fields.get("Status") or "")
        diagnostic = " ".join(str(fields.get("Diagnostic-Code") or "").split())
        address = _address(fields.get("Final-Recipient") or fields.get("Original-Recipient"))
        kind, code = _judged(action, status, diagnostic)
        found.append(Report(kind, address, f"{code} {diagnostic}".strip()[:500]))
    return found[:_MOST]


def complaint(mail: Message) -> Report:
    """What a feedback report says. An opt-out is no complaint, and "not spam" is praise."""
    fields = next(_fields(mail, "message/feedback-report"), Message())
    kind = str(fields.get("Feedback-Type") or "abuse").strip().lower()
    address = _address(fields.get("Original-Rcpt-To") or fields.get("Removal-Recipient"))
    if kind in ("not-spam", "auth-failure", "dmarc"):
        return Report(EventKind.OTHER, address, f"feedback: {kind}"[:500])
    if kind.startswith("opt-out"):
        return Report(EventKind.UNSUBSCRIBE, address, f"feedback: {kind}"[:500])
    return Report(EventKind.COMPLAINT, address, f"feedback: {kind}"[:500])


def free_report(mail: Message, sender: str, text: str) -> Report | None:
    """What a server says in its own words, without the machine-readable part; None for other mails."""
    subject = str(mail.get("Subject") or "")
    failed = str(mail.get("X-Failed-Recipients") or "")
    if not failed and not (_DAEMON.match(sender) and _UNDELIVERED.search(subject)):
        return None
    said = " ".join(text.split())[:4000]
    if not _STATUS.search(said) and not _CODE.search(said):
        return Report(EventKind.OTHER, _address(failed), "a bounce without a status code")
    kind, code = _judged("failed", "", said)
    return Report(kind, _address(failed.split(",")[0]), f"{code} in a server's own words".strip())


def _judged(action: str, status: str, diagnostic: str) -> tuple[EventKind, str]:
    """A kind and the status code that it rests on. The server's own words are often more exact than
    the gateway's `5.0.0`."""
    code = _code(status)
    if code in ("", "5.0.0", "4.0.0"):
        code = _code(diagnostic) or code
    if action in ("delivered", "relayed", "expanded"):
        return EventKind.DELIVERED if action == "delivered" else EventKind.PROCESSED, code
    if action == "delayed":
        return EventKind.DEFERRED, code
    kind = code[:1] or (found[1] if (found := _CODE.search(diagnostic)) else "5")
    if kind == "4":
        # Given up after days of trying is a refusal for now; otherwise it is still being tried.
        return (
            EventKind.BLOCKED if action == "failed" and code == "4.4.7" else EventKind.DEFERRED,
            code,
        )
    if code.startswith("5.7.") or code in _FOR_NOW:
        return EventKind.BLOCKED, code
    return EventKind.BOUNCE, code


def _code(text: str) -> str:
    found = _STATUS.search(text)
    return found.group() if found else ""


def _address(value: object) -> str:
    found = _ADDRESS.search(str(value or "").strip())
    return found[1][:320] if found else ""


def _fields(mail: Message, content_type: str) -> Iterator[Message]:
    """The blocks of fields in a report's machine-readable part."""
    for part in _parts(mail):
        if part.get_content_type() == content_type:
            payload = part.get_payload()
            # The parser makes a list of blocks of message/delivery-status, and one message of others.
            blocks = payload if isinstance(payload, list) else []
            yield from (block for block in blocks if isinstance(block, Message))
            if isinstance(payload, str):
                yield _block(payload)


def _block(text: str) -> Message:
    from email.parser import HeaderParser

    return HeaderParser().parsestr(text.strip())


def _parts(mail: Message) -> list[Message]:
    payload = mail.get_payload()
    return (
        [part for part in payload if isinstance(part, Message)] if isinstance(payload, list) else []
    )
