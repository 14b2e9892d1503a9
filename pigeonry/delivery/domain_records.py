"""What the world's name servers say about a sender's domain: SPF, DKIM, DMARC.

Organisational domains are told by parents, not by the public suffix list: a.shop.example and shop.example
belong together, two brothers do not.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence

from pigeonry.delivery.dkim import Signer
from pigeonry.delivery.findings import Finding, Severity, found

MUST, SHOULD = Severity.MUST, Severity.SHOULD
_SECONDS = 5.0  # for one look-up
_MOST_LOOKUPS = 10  # RFC 7208 section 4.6.4
_SENDGRID_SELECTORS = ("s1", "s2", "em")


class NotLookedUp(Exception):
    """There was no answer, neither yes nor no."""


# The TXT records of a name; none when there is no such name. Raises NotLookedUp.
Lookup = Callable[[str], Sequence[str]]


def name_servers(seconds: float = _SECONDS) -> Lookup:
    """The system's name servers. After one look-up without an answer nobody waits for another."""
    import dns.exception
    import dns.resolver

    resolver: dns.resolver.Resolver | None = None
    gone = ""

    def look_up(name: str) -> Sequence[str]:
        nonlocal resolver, gone
        if gone:
            raise NotLookedUp(gone)
        try:
            if resolver is None:
                resolver = dns.resolver.Resolver()
            answer = resolver.resolve(name, "TXT", lifetime=seconds)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return ()
        except (dns.exception.DNSException, OSError) as error:
            gone = type(error).__name__ if not str(error) else str(error).splitlines()[0][:120]
            raise NotLookedUp(gone) from error
        return [b"".join(row.strings).decode("utf-8", "replace") for row in answer]

    return look_up


def spf(domain: str, look_up: Lookup, *, severity: Severity) -> Finding:
    def problem() -> str:
        records = [text for text in look_up(domain) if _is(text, "v=spf1")]
        if len(records) != 1:
            return f"{domain} has {len(records) or 'no'} SPF records" + " where one is due"
        terms = records[0].lower().split()[1:]
        if any(term.lstrip("+") == "all" for term in terms):
            return f"{domain}: +all lets everybody send in its name"
        if not any(re.fullmatch(r"[-~?]all|redirect=.+", term) for term in terms):
            return f"{domain}: the record ends without ~all or -all"
        asked = _spf_lookups(records[0], look_up, {domain})
        if asked > _MOST_LOOKUPS:
            return (
                f"{domain}: the record asks for {asked} look-ups, receivers stop at {_MOST_LOOKUPS}"
            )
        return ""

    fix = f"publish one TXT record at {domain}: v=spf1 include:<your relay> ~all"
    return _looked("spf", problem, good=f"one record at {domain}", severity=severity, fix=fix)


def dmarc(domain: str, look_up: Lookup, *, severity: Severity) -> Finding:
    def problem() -> str:
        where, records = _dmarc_records(domain, look_up)
        if len(records) != 1:
            return f"{domain} has {len(records) or 'no'} DMARC records" + " where one is due"
        policy = _tags(records[0]).get("p", "").lower()
        if policy not in ("none", "quarantine", "reject"):
            return f"{where}: p={policy or '?'} is no policy"
        return ""

    fix = f"publish a TXT record at _dmarc.{domain}: v=DMARC1; p=none; rua=mailto:<your mailbox>"
    return _looked("dmarc", problem, good=f"one for {domain}", severity=severity, fix=fix)


def dkim_published(signer: Signer, signed: bytes, look_up: Lookup) -> Finding:
    """Whether the published key verifies what this home signs."""

    def problem() -> str:
        import dkim

        records = look_up(signer.record_name)
        if len(records) != 1:
            return f"{signer.record_name} has {len(records) or 'no'} records" + " where one is due"
        tags, ours = _tags(records[0]), _tags(signer.record)
        if _key(tags.get("p", "")) != _key(ours["p"]):
            return f"the key at {signer.record_name} is not the one that this home signs with"
        if "y" in tags.get("t", "").split(":"):
            return f"{signer.record_name}: t=y says that it is only being tested"
        published = records[0].encode()
        if not dkim.verify(signed, dnsfunc=lambda *_args, **_named: published):
            return f"the record at {signer.record_name} does not verify a mail of this home"
        return ""

    return _looked(
        "dkim",
        problem,
        good=f"{signer.record_name} verifies what this home signs",
        severity=MUST,
        fix=f"publish a TXT record at {signer.record_name}: {signer.record}",
    )


def dkim_of_sendgrid(domain: str, look_up: Lookup) -> Finding:
    """SendGrid signs; its domain authentication publishes under selectors of its own."""

    def problem() -> str:
        names = [f"{selector}._domainkey.{domain}" for selector in _SENDGRID_SELECTORS]
        if any(_tags(text).get("p") for name in names for text in look_up(name)):
            return ""
        return f"none of {', '.join(names)} holds a key: SendGrid's usual selectors"

    fix = "authenticate the domain in SendGrid (Settings, Sender Authentication), or ignore this for another selector"
    return _looked("dkim", problem, good=f"SendGrid's key for {domain}", severity=SHOULD, fix=fix)


def aligned(from_domain: str, signing: str, look_up: Lookup | None) -> Finding:
    """DMARC counts a signature only when its domain is the From address's (RFC 7489 section 3.1)."""
    strict = False
    if look_up is not None:
        try:
            _, records = _dmarc_records(from_domain, look_up)
            strict = any(_tags(text).get("adkim", "r").lower() == "s" for text in records)
        except NotLookedUp:
            pass
    good = related(from_domain, signing) if not strict else from_domain == signing
    words = f"From is at {from_domain}, the signature is {signing}'s"
    return found(
        "alignment",
        "" if good else words + (" and DMARC wants them equal" if strict else ""),
        good=words,
        severity=MUST,
        fix=f"set smtp.dkim_domain to {from_domain}, or the brief's sender.email to an address there",
    )


def related(one: str, other: str) -> bool:
    one, other = one.lower(), other.lower()
    return one == other or one.endswith(f".{other}") or other.endswith(f".{one}")


def _looked(
    name: str, problem: Callable[[], str], *, good: str, severity: Severity, fix: str
) -> Finding:
    try:
        return found(name, problem(), good=good, severity=severity, fix=fix)
    except NotLookedUp as error:
        return Finding(
            name,
            False,
            SHOULD,
            f"could not look up: {error}",
            "run it again where name servers can be reached",
            known=False,
        )


def _dmarc_records(domain: str, look_up: Lookup) -> tuple[str, list[str]]:
    """The records of the domain, else of its nearest parent that has any."""
    labels = domain.split(".")
    for start in range(max(1, len(labels) - 1)):
        where = "_dmarc." + ".".join(labels[start:])
        if records := [text for text in look_up(where) if _is(text, "v=dmarc1")]:
            return where, records
    return f"_dmarc.{domain}", []


def _spf_lookups(record: str, look_up: Lookup, seen: set[str]) -> int:
    """How many questions a receiver has to ask; `seen` keeps circles from turning."""
    count = 0
    for term in record.lower().split()[1:]:
        name, _, value = term.lstrip("+-~?").replace("redirect=", "include:").partition(":")
        if re.split(r"[/:=]", name)[0] not in ("include", "a", "mx", "ptr", "exists"):
            continue
        count += 1
        if name == "include" and value not in seen and "%" not in value:
            seen.add(value)
            inner = [text for text in look_up(value) if _is(text, "v=spf1")]
            count += sum(_spf_lookups(text, look_up, seen) for text in inner)
    return count


def _is(text: str, version: str) -> bool:
    return re.split(r"[\s;]", text.strip().lower(), maxsplit=1)[0] == version


def _tags(record: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in record.split(";") if "=" in part)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _key(text: str) -> bytes:
    try:
        return base64.b64decode(re.sub(r"\s", "", text))
    except ValueError:
        return b""
