"""Looks at a brief's mails, its sender and its domain before anything is sent. Sends and stores nothing."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from urllib.parse import urlsplit

from generation.library import load_library, write
from pigeonry.config import Home
from pigeonry.delivery import domain_records
from pigeonry.delivery.dkim import Signer, load_signer
from pigeonry.delivery.domain_records import Lookup
from pigeonry.delivery.findings import Finding, Severity, found
from pigeonry.delivery.links import load_links
from pigeonry.delivery.mail_check import look_at, reachable
from pigeonry.delivery.mime import to_bytes
from pigeonry.delivery.render import Recipient, compile_mail
from pigeonry.domain import Brief, Language
from pigeonry.domain.message import OutgoingMessage
from pigeonry.errors import ConfigError

MUST, SHOULD = Severity.MUST, Severity.SHOULD
_SHOWN = 3  # mails named where many have the same flaw
# Mailboxes of everybody: their own DMARC policies refuse mail in their name from anywhere else.
_FREE = frozenset(
    [
        "gmail.com",
        "googlemail.com",
        "yahoo.com",
        "yahoo.ro",
        "ymail.com",
        "aol.com",
        "outlook.com",
        "hotmail.com",
        "live.com",
        "icloud.com",
        "me.com",
        "gmx.net",
        "gmx.de",
        "proton.me",
        "protonmail.com",
    ]
)
# What providers ask of whoever sends them about 5,000 mails a day, by the names of our findings. Gmail and
# Yahoo: "Email sender guidelines" and "Sender best practices", both since February 2024; Microsoft: "Outlook's
# new requirements for high-volume senders", since 5 May 2025 (refusal 550 5.7.515).
PROVIDERS: Mapping[str, Sequence[str]] = {
    "gmail": ("spf", "dkim", "alignment", "dmarc", "from-domain", "one-click", "way-out", "size"),
    "yahoo": ("spf", "dkim", "alignment", "dmarc", "from-domain", "one-click", "way-out"),
    "microsoft": ("spf", "dkim", "alignment", "dmarc", "from-domain", "way-out"),
}


def preflight(
    home: Home, brief: Brief, *, look_up: Lookup | None, now: datetime
) -> tuple[Finding, ...]:
    """Every finding, the worst mail's where mails differ. Without `look_up` no name server is asked.

    Raises UnfitMail for a mail that could not leave at all.
    """
    mails = sample_mails(home, brief, now=now)
    romanian = home.settings.audience.default_country == "RO" or Language.RO in brief.languages
    by_name: dict[str, list[tuple[str, Finding]]] = {}
    for label, mail in mails.items():
        for finding in look_at(mail, brief.sender, romanian=romanian):
            by_name.setdefault(finding.name, []).append((label, finding))
    findings = [_worst(several) for several in by_name.values()]
    findings += _sender(home, brief, next(iter(mails.values())), look_up)
    known = {finding.name: finding for finding in findings}
    return (*findings, *(_provider(name, rules, known) for name, rules in PROVIDERS.items()))


def sample_mails(home: Home, brief: Brief, *, now: datetime) -> dict[str, OutgoingMessage]:
    """One mail for each language and piece of the copy library, as somebody without a name gets it; no
    model is asked."""
    library, links = load_library(), load_links(home)
    found: dict[str, OutgoingMessage] = {}
    for language in brief.languages:
        angles = {
            mail.angle
            for mail in library.mails
            if (mail.language, mail.purpose) == (language, brief.purpose)
        }
        for angle in sorted(angles):
            copy = write(library, brief, language, angle).copy
            compiled = compile_mail(copy, brief, language, campaign_id=0)
            domain = brief.sender.email.rpartition("@")[2]
            found[f"{language.value}/{angle}"] = compiled.render(
                Recipient(0, f"preflight@{domain}"), links, send_key=secrets.token_hex(16), at=now
            )
    return found


def _worst(several: Sequence[tuple[str, Finding]]) -> Finding:
    """What the mails have in common: all well, or the first flaw and where it is."""
    flawed = [(label, finding) for label, finding in several if not finding.ok]
    if not flawed:
        return several[0][1]
    labels = ", ".join(label for label, _ in flawed[:_SHOWN])
    more = f" and {len(flawed) - _SHOWN} more" if len(flawed) > _SHOWN else ""
    where = "" if len(flawed) == len(several) else f" ({labels}{more})"
    first = flawed[0][1]
    return Finding(first.name, False, first.severity, f"{first.detail}{where}", first.fix)


def _sender(
    home: Home, brief: Brief, mail: OutgoingMessage, look_up: Lookup | None
) -> Iterator[Finding]:
    sending, smtp = home.settings.sending, home.settings.smtp
    channels = {sending.channel, sending.fallback} - {""}
    domain = brief.sender.email.rpartition("@")[2].lower()
    leaves = MUST if channels != {"file"} else SHOULD  # files reach nobody by themselves
    yield found(
        "from-domain",
        f"{domain} is everybody's: its provider has mail in its name refused"
        if domain in _FREE
        else "",
        good=domain,
        severity=MUST,
        fix="write from an address of a domain of your own",
    )
    if tracking := home.settings.tracking.base_url:
        yield found(
            "tracking",
            ""
            if reachable(tracking)
            else f"{tracking} is no https address that the world can reach",
            good=f"opens and clicks lead over {tracking}",
            severity=MUST,
            fix="set tracking.base_url to an https host of its own below the sender's domain",
        )
    if "smtp" in channels:
        yield found(
            "transport",
            f"mail goes to {smtp.host} without TLS"
            if smtp.security == "none" and not _is_here(smtp.host)
            else "",
            good=f"{smtp.host}, {smtp.security}",
            severity=SHOULD,
            fix="set smtp.security to starttls or tls",
        )
        if smtp.dkim_domain:
            yield domain_records.aligned(domain, smtp.dkim_domain.lower(), look_up)
            yield _signing(home, mail, look_up)
        else:
            yield Finding(
                "dkim",
                False,
                SHOULD,
                "this home signs nothing; whether the relay does, nobody can see from here",
                "set smtp.dkim_domain and run `pigeonry dkim-key`, or make sure that the relay signs",
                known=False,
            )
    if "sendgrid" in channels and look_up is not None:
        theirs = domain_records.dkim_of_sendgrid(domain, look_up)
        if "smtp" in channels:
            yield dataclasses.replace(theirs, name="dkim-sendgrid")
        else:
            yield theirs
            # The key is at the From address's own domain, or there is none.
            yield dataclasses.replace(theirs, name="alignment")
    if look_up is not None:
        # SendGrid's envelope is at a domain of its own below ours: SPF is its affair then.
        spf_severity = leaves if "smtp" in channels else SHOULD
        yield domain_records.spf(domain, look_up, severity=spf_severity)
        yield domain_records.dmarc(domain, look_up, severity=leaves)


def _signing(home: Home, mail: OutgoingMessage, look_up: Lookup | None) -> Finding:
    try:
        signer = load_signer(home)
    except ConfigError as error:
        return Finding("dkim", False, MUST, f"{error.where}: {error.what}", error.fix)
    assert signer is not None
    if look_up is None:
        return Finding("dkim", True, MUST, dns_record(signer))
    return domain_records.dkim_published(signer, signer.signed(to_bytes(mail)), look_up)


def dns_record(signer: Signer) -> str:
    """What has to be published, as name servers' web forms and zone files take it."""
    return f"{signer.record_name} TXT {signer.record}"


def _provider(name: str, rules: Sequence[str], known: Mapping[str, Finding]) -> Finding:
    """A provider's rules for bulk senders, put together from what was found."""
    asked = [known[rule] for rule in rules if rule in known]
    broken = [finding.name for finding in asked if not finding.ok and finding.known]
    unseen = [rule for rule in rules if rule not in known or not known[rule].known]
    words = [f"breaks {', '.join(broken)}"] if broken else []
    words += [f"{', '.join(unseen)} could not be seen"] if unseen else []
    return Finding(
        name,
        not broken and not unseen,
        SHOULD,  # each rule that has to hold says so itself
        "; ".join(words) or "its rules for bulk senders are kept",
        "mend what is named above" if broken else "",
        known=bool(broken) or not unseen,
    )


def _is_here(host: str) -> bool:
    return host in ("localhost", "::1") or (urlsplit(f"//{host}").hostname or "").startswith("127.")
