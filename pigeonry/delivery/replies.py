"""What an SMTP server's reply says about a mail, about its reader, or about us."""

from __future__ import annotations

import re

from pigeonry.domain.message import HandOver, Outcome

LONGEST = 200
_ADDRESS = re.compile(r"[^\s<>\"'(),;:]+@[^\s<>\"'(),;:]+")
_QUEUED = re.compile(r"queued (?:mail for delivery )?as ([\w.-]+)|\bid=([\w-]+)", re.IGNORECASE)
# RFC 3463: X.7.X is security or policy: SPF, DKIM, DMARC, a blocked network, no permission to relay.
_POLICY = re.compile(r"\b5\.7\.\d{1,3}\b")
# Policies of one mailbox, which say nothing about us: a closed list (RFC 3463) and Exchange's senders that
# a recipient does not take (Microsoft, "NDR error codes in Exchange Online").
_OF_THE_READER = frozenset({"5.7.2", "5.7.124", "5.7.129", "5.7.133", "5.7.134", "5.7.135", "5.7.136"})  # fmt: skip
# Authentication and encryption that the server wants first, with or without an enhanced code.
_OURS = frozenset({530, 534, 535, 538})


def accepted(reply: bytes) -> HandOver:
    text = one_line(reply)
    found = _QUEUED.search(text)
    number = (found[1] or found[2]) if found else ""
    return HandOver(Outcome.ACCEPTED, provider_id=number, reason=f"250 {text}"[:LONGEST])


def refusal(code: int, reply: bytes, phase: str) -> HandOver:
    """A 4xx or 5xx. Nobody's message fails for what is wrong with us: then the channel is down."""
    text = one_line(reply)
    policy = _POLICY.search(text)
    ours = (
        code == 421  # closing: the next one would fare no better
        or code in _OURS
        or (code >= 500 and phase == "MAIL")  # the sender's address, the same for everybody
        or (code >= 500 and policy is not None and policy[0] not in _OF_THE_READER)
        or not 400 <= code < 600  # out of step: 250 where 354 was due
    )
    outcome = Outcome.REFUSED if code >= 500 and not ours else Outcome.RETRY
    return HandOver(outcome, reason=f"{code} {text} ({phase})"[:LONGEST], channel_down=ours)


def one_line(reply: bytes | str) -> str:
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    return " ".join(without_addresses(text).split())[:180]


def without_addresses(text: str) -> str:
    """Servers like to repeat whom they refuse; what they say goes into logs and error messages."""
    return _ADDRESS.sub("(address)", text)
