"""What leaves this machine, by configuration: each door, where it leads, and what of a person goes through."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from pigeonry.config import Home, TierSettings
from pigeonry.store.session import shown

_STAGED = (
    "SendGrid keeps mail data in the chosen region; by its own documentation the data of its event webhook "
    "and of inbound parse pass through the United States, whatever the region"
)


@dataclass(frozen=True, slots=True)
class Door:
    """`personal` says what of a person goes through, "" for nothing. `role` is the recipient's under the
    GDPR: processor, or "" where nobody receives anything of a person. `region` "" when unknown."""

    name: str
    where: str
    sends: str
    personal: str
    region: str = ""
    role: str = ""
    note: str = ""


def leaves(home: Home) -> tuple[Door, ...]:
    """Every door that the settings open, in the order in which most passes. What is not here stays."""
    settings = home.settings
    doors = [_channel(home, settings.sending.channel)]
    if settings.sending.fallback and settings.sending.fallback != settings.sending.channel:
        doors.append(_channel(home, settings.sending.fallback, second=True))
    doors += [_tier(home, tier) for tier in settings.llm.tiers]
    if settings.inbound.imap_host:
        doors.append(
            Door(
                "mailbox of replies (IMAP)",
                f"{settings.inbound.imap_host}:{settings.inbound.imap_port}, "
                f"{_transport(settings.inbound.imap_security)}",
                "requests for new mail; mails come in",
                "whoever replied: address and words, read from there",
                role="processor",
            )
        )
    for name, crm in settings.crm.items():
        if crm.kind == "hubspot":
            doors.append(
                Door(
                    f"HubSpot ({name})", urlsplit(crm.api_url).netloc,
                    "numbers of contacts that its webhooks named, and names of fields",
                    "numbers of contacts, known there anyway; their fields come in", role="processor",
                )
            )  # fmt: skip
    if settings.database.url and not settings.database.url.startswith("sqlite"):
        doors.append(
            Door(
                "database", shown(settings.database.url), "everything that is stored", "everything",
                role="processor when others run it",
            )
        )  # fmt: skip
    model = settings.embedding.model
    if model and not (model.startswith((".", "/", "~")) or (home.path / model).exists()):
        doors.append(
            Door(
                "embedding model", f"the model hub, for {model!r}",
                "a download of weights when they are not here yet; texts are embedded on this machine", "",
            )
        )  # fmt: skip
    doors.append(
        Door(
            "name service (DNS)", "the resolver of this machine",
            "names of the servers above; of the sender's domain and of links when a sender is examined", "",
        )
    )  # fmt: skip
    return tuple(doors)


STAYS = (
    "Vectors and segments are computed on this machine, and so is all learning.",
    "The local model and the copy library write on this machine.",
    "Opens, clicks, unsubscribe and preference pages are served by this machine.",
    "No usage data are reported: Prefect's analytics and litellm's price download are switched off.",
    "`pigeonry models fetch` and installing download packages; they send nothing of a person.",
)


def _channel(home: Home, name: str, *, second: bool = False) -> Door:
    title = "mails, second channel" if second else "mails"
    settings = home.settings
    if name == "file":
        return Door(
            f"{title} (file)", str(home.outbox), "mails are written as files and go no further", ""
        )
    what = "one mail for each recipient, with the keys by which its events are recognised"
    who = "address, name, and what the mail says to this person"
    if name == "smtp":
        smtp = settings.smtp
        return Door(
            f"{title} (SMTP)",
            f"{smtp.host}:{smtp.port}, {_transport(smtp.security)}",
            what,
            who,
            role="processor",
            note=""
            if smtp.security != "none"
            else "without encryption: only for a relay on this machine",
        )
    grid = settings.sendgrid
    host = grid.host or ("api.eu.sendgrid.com" if grid.region == "eu" else "api.sendgrid.com")
    return Door(
        f"{title} (SendGrid)",
        urlsplit(host).netloc or host,
        f"{what}; requests for its lists of bounces, blocks, spam reports and unsubscribes",
        who,
        region="eu" if grid.region == "eu" else "us",
        role="processor",
        note=_STAGED,
    )


def _tier(home: Home, tier: TierSettings) -> Door:
    allowed = home.settings.llm.allowed_regions
    here = tier.model == "local" or urlsplit(tier.endpoint).hostname in {
        "127.0.0.1",
        "localhost",
        "::1",
    }
    note = "a gate refuses any request in which a value of a person is found"
    if not here and tier.region not in allowed:
        why = "not among " + ", ".join(allowed) if tier.region else "not stated"
        note = f"never called: its region is {why}"
    return Door(
        f"language model: {tier.name}",
        tier.endpoint or f"{tier.model.partition('/')[0]} ({tier.model})",
        "prompts: the brief, a segment's description, placeholders for names",
        "",
        region="this machine" if here else tier.region,
        note=note,
    )


def _transport(security: str) -> str:
    return {"none": "plain", "starttls": "STARTTLS", "tls": "TLS"}[security]
