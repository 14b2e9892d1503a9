"""The settings tree, the home folder and its secrets. Knows no database and no vendor.

One `pigeonry.toml` in the home; every key can be overridden by `PIGEONRY_<SECTION>__<KEY>`; secrets come
from the environment or from files in `<home>/secrets`, never from the TOML.
"""

from __future__ import annotations

import difflib
import os
import secrets
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from pigeonry.errors import ConfigError

ENV_PREFIX = "PIGEONRY_"
FILE_NAME = "pigeonry.toml"


def _web_address(text: str) -> str:
    """A base address of ours or of a server's; "" where none is set. Its text is not repeated in an error: it may
    hold a password."""
    if not text:
        return text
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or any(letter.isspace() for letter in text):
        raise ValueError("is no web address: write https://host")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("is no plain web address: leave out names, passwords, ? and #")
    return text


WebAddress = Annotated[str, AfterValidator(_web_address)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DatabaseSettings(_Section):
    url: str = Field("", description="SQLAlchemy URL; empty: SQLite in the home folder")


class AudienceSettings(_Section):
    default_country: str = Field("RO", description="country of a lead that states none")
    batch: int = Field(2000, ge=1, description="rows of an import in one transaction")
    max_field_kb: int = Field(64, ge=1, description="longest cell that is accepted, kB")


class EmbeddingSettings(_Section):
    model: str = Field("", description="folder or hub name; empty: the packaged multilingual model")
    backend: Literal["onnx", "sentence-transformers", "hashing"] = Field(
        "onnx", description="onnx: the int8 copy for volume; hashing: no model at all"
    )
    batch: int = Field(64, ge=1, description="texts in one call of the model")
    threads: int = Field(0, ge=0, description="threads of the model; 0: one for each core")


class SegmentSettings(_Section):
    k_min: int = Field(3, ge=1, description="fewest segments that are tried")
    k_max: int = Field(10, ge=1, description="most segments that are tried")
    match_floor: float = Field(
        0.8, ge=-1, le=1, description="cosine above which a new cluster keeps an old segment's id"
    )
    sample: int = Field(20000, ge=100, description="leads that a fit looks at")


class TierSettings(_Section):
    name: str = Field(description="name in the ledger")
    model: str = Field(description="litellm model, e.g. openai/gpt-4.1-nano, or local")
    endpoint: WebAddress = Field("", description="base URL of an OpenAI-compatible server")
    key_env: str = Field("", description="environment variable that holds the key")
    region: str = Field("", description="where the endpoint runs, e.g. eu; local needs none")
    languages: tuple[str, ...] = Field(("ro", "en"), description="languages it may write")
    tasks: tuple[str, ...] = Field(("subject",), description="parts it may write")
    price_in: float = Field(0.0, ge=0, description="per million input tokens")
    price_out: float = Field(0.0, ge=0, description="per million output tokens")
    currency: str = Field("EUR", description="currency of the prices")
    timeout_seconds: float = Field(30.0, gt=0, description="for one whole request")
    max_tokens: int = Field(120, ge=1, description="longest answer")


class LlmSettings(_Section):
    local: bool = Field(True, description="use the local micro model when it has been fetched")
    local_model: str = Field("", description="GGUF file; empty: the packaged one")
    local_threads: int = Field(1, ge=1, description="threads of the local model server")
    local_languages: tuple[str, ...] = Field(("en",), description="languages it may propose in")
    local_seconds: float = Field(60.0, gt=0, description="time it may take in one campaign")
    local_calls: int = Field(24, ge=0, description="calls it may take in one campaign")
    allowed_regions: tuple[str, ...] = Field(("eu",), description="regions that may see a prompt")
    tiers: tuple[TierSettings, ...] = Field((), description="hosted tiers, cheapest first")


class LimitSettings(_Section):
    scope: Literal["channel", "sender", "recipient"] = Field(
        description="what is counted: a channel's mails, a sender domain's, a recipient domain's"
    )
    match: str = Field("*", description="its name, e.g. gmail.com; *: each one by itself")
    count: int = Field(ge=1, description="hand-overs at most")
    seconds: float = Field(gt=0, description="within any stretch of this length")


class SendingSettings(_Section):
    channel: Literal["file", "smtp", "sendgrid"] = Field("file", description="how mail leaves")
    fallback: Literal["", "file", "smtp", "sendgrid"] = Field(
        "", description="second channel for what the first definitely refuses; empty: none"
    )
    batch: int = Field(50, ge=1, description="messages claimed at once")
    lease_seconds: float = Field(
        900.0, gt=0, description="a claim's life; longer than the longest hand-over"
    )
    lanes: int = Field(0, ge=0, description="hand-overs at once; 0: what suits the channel")
    quarantine_seconds: float = Field(
        1800.0, ge=0, description="how long an unknown hand-over may still be in flight"
    )
    event_delay_seconds: float = Field(
        900.0, ge=0, description="how late a provider's event may come; within the quarantine"
    )
    backoff_seconds: float = Field(
        30.0, gt=0, description="first wait after a temporary refusal; doubles up to an hour"
    )
    max_attempts: int = Field(5, ge=1, description="tries after definite temporary refusals")
    per_second: float = Field(0.0, ge=0, description="cap on hand-overs; 0: none")
    frequency_cap: int = Field(0, ge=0, description="mails to one lead in 7 days; 0: no cap")
    quiet_from: str = Field("", description="no hand-over from this local time, e.g. 21:00")
    quiet_to: str = Field("", description="until this local time, e.g. 08:00")
    late_hours: float = Field(
        12.0, ge=0, description="what is overdue by more waits for a person; 0: never"
    )
    clock_step_seconds: float = Field(
        300.0, gt=0, description="a clock that jumps by more stops all sending"
    )
    warmup_start: int = Field(
        0, ge=0, description="mails of a new sender domain's first day; 0: off"
    )
    confirm_above: int = Field(
        200, ge=0, description="in the web app the number of people is typed before more get mail"
    )
    warmup_growth: float = Field(1.5, gt=1, description="how much more each day of the warm-up")
    limits: tuple[LimitSettings, ...] = Field((), description="caps on the pace")


class SmtpSettings(_Section):
    host: str = Field("127.0.0.1", description="relay")
    port: int = Field(25, ge=1, le=65535, description="its port")
    security: Literal["none", "starttls", "tls"] = Field("starttls", description="transport")
    username: str = Field("", description="password: PIGEONRY_SMTP_PASSWORD")
    timeout_seconds: float = Field(60.0, gt=0, description="for each phase before the final dot")
    after_dot_seconds: float = Field(
        600.0, gt=0, description="for the reply to the final dot; RFC 5321 wants ten minutes"
    )
    ca_file: str = Field("", description="certificates to trust beside the system's, PEM")
    dkim_domain: str = Field("", description="signs with DKIM for this domain; empty: no signature")
    dkim_selector: str = Field("pigeonry", description="key: secrets/dkim_<selector>.pem")


class SendgridSettings(_Section):
    region: Literal["global", "eu"] = Field("eu", description="key: PIGEONRY_SENDGRID_KEY")
    host: WebAddress = Field("", description="another endpoint, e.g. a test server on loopback")
    sandbox: bool = Field(False, description="validate only, deliver nothing")
    timeout_seconds: float = Field(30.0, gt=0, description="for each wait on the network")
    asm_group: int = Field(0, ge=0, description="its unsubscribe group; 0: none")
    categories: tuple[str, ...] = Field(
        (), description="labels beside campaign-<id>; no names here"
    )


class LinkSettings(_Section):
    base_url: WebAddress = Field(
        "http://127.0.0.1:8080", description="where unsubscribe links lead; https in production"
    )


class TrackingSettings(_Section):
    base_url: WebAddress = Field(
        "", description="host name of its own for opens and clicks; empty: nothing is tracked by us"
    )
    clicks: bool = Field(True, description="links in mails lead over base_url")
    opens: bool = Field(True, description="mails carry an invisible picture from base_url")
    datacenters: str = Field(
        "", description="file of networks, one CIDR a line: machines live there"
    )


class WebSettings(_Section):
    host: str = Field("127.0.0.1", description="where `pigeonry serve` binds the web app")
    port: int = Field(8080, ge=1, le=65535, description="its port")
    max_body_mb: float = Field(5.0, gt=0, description="largest body of a webhook")
    max_upload_mb: float = Field(500.0, gt=0, description="largest list that may be uploaded")
    trust_proxy: bool = Field(False, description="the client's address is in X-Forwarded-For")
    console_url: str = Field(
        "",
        pattern=r"^(https://[^/?#]+)?/?$",
        description="where operators sign in, https, a host name of its own; empty: this machine only",
    )
    second_factor: Literal["optional", "required"] = Field(
        "optional", description="required: sending, privacy and administration need it switched on"
    )
    language: Literal["ro", "en"] = Field("ro", description="language of the pages for operators")
    time_zone: str = Field("Europe/Bucharest", description="in which these pages show times")


class InboundSettings(_Section):
    imap_host: str = Field("", description="mailbox of replies and bounces; empty: none is read")
    imap_port: int = Field(993, ge=1, le=65535, description="its port")
    imap_security: Literal["none", "tls"] = Field("tls", description="transport")
    imap_username: str = Field("", description="password: PIGEONRY_IMAP_PASSWORD")
    imap_folder: str = Field("INBOX", description="folder that is read")


class PrivacySettings(_Section):
    controller: str = Field("", description="who is responsible, for the record of processing")
    contact: str = Field("", description="where people turn to, e.g. the data protection officer")
    events_days: int = Field(396, ge=1, description="opens, clicks and the like are kept so long")
    raw_days: int = Field(
        30, ge=7, description="bodies of webhooks as they came; retries last days"
    )
    mails_days: int = Field(90, ge=1, description="mail files of the outbox")
    uploads_days: int = Field(
        7, ge=1, description="uploaded lists that nobody imported; imported ones go at once"
    )
    prompts_days: int = Field(30, ge=1, description="requests to models and their answers")
    topics: list[Annotated[str, Field(min_length=1, max_length=80)]] = Field(
        [],
        max_length=50,
        description="what people may decline on their preference page; a brief names its `topic`",
    )
    consent_days: int = Field(
        0, ge=0, description="a consent ends so long after it was given; 0: never"
    )


class OptInSettings(_Section):
    from_email: str = Field(
        "", description="sender of confirmation mails; empty: nobody can be asked to confirm"
    )
    from_name: str = Field("", description="its name, as people know you")


class LearningSettings(_Section):
    uniform_share: float = Field(0.1, ge=0, le=1, description="share that is always uniform")
    mature_hours: float = Field(24.0, ge=0, description="age at which half of all clicks are in")
    refit_after: int = Field(200, ge=1, description="new outcomes that make a refit worth it")
    conversion_days: float = Field(
        7.0, gt=0, description="a conversion counts for the last mail within so many days before it"
    )


class CrmRuleSettings(_Section):
    campaign: str = Field(description="name of an approved campaign that the lead joins")
    segment: int = Field(0, ge=0, description="only for leads of this segment; 0: of any")


class CrmSettings(_Section):
    kind: Literal["hubspot", "salesforce", "pipedrive", "generic"] = Field(
        description="how it speaks"
    )
    account: str = Field(
        "", description="portal, organisation or company whose news counts; empty: any"
    )
    url: str = Field(
        "", description="address as the CRM calls it; empty: links.base_url and /hooks/crm/NAME"
    )
    fields: dict[str, str] = Field(
        default_factory=dict, description="its fields beside the usual ones, and what they are"
    )
    consent: str = Field(
        "", description="BASIS:SOURCE of contacts whose own consent field says yes"
    )
    on_delete: Literal["stop", "keep"] = Field(
        "stop", description="a deleted contact gets no more mail, or stays as it is"
    )
    oldest_signature: Literal["v3", "v2", "v1"] = Field(
        "v3", description="HubSpot: the oldest scheme that is taken"
    )
    api_url: str = Field("https://api.hubapi.com", description="HubSpot: where contacts are asked")
    timeout_seconds: float = Field(10.0, gt=0, description="HubSpot: for each wait on the network")
    id_path: str = Field("lead.id", description="generic: where the contact's id stands")
    time_path: str = Field("occurred_at", description="generic: where the moment stands")
    event_path: str = Field("event_id", description="generic: where the news' own id stands")
    action_path: str = Field("action", description="generic: where upsert, delete ... stands")
    merged_path: str = Field("merged", description="generic: where the ids that merged stand")
    rules: tuple[CrmRuleSettings, ...] = Field((), description="what a new or changed lead starts")

    @model_validator(mode="after")
    def _claims_are_asked_for(self) -> Self:
        says = {"consent", "member_status"} & set(self.fields.values())
        if self.consent and not says and self.kind == "salesforce":
            raise ValueError("`consent` needs a field of the CRM that is mapped to consent")
        return self


class PrefectSettings(_Section):
    host: str = Field("127.0.0.1", description="where `pigeonry serve` binds the Prefect server")
    port: int = Field(4200, ge=1, le=65535, description="its port")


_TABLES: Mapping[str, type[_Section]] = {
    "tiers": TierSettings,
    "limits": LimitSettings,
    "crm": CrmSettings,
    "rules": CrmRuleSettings,
}


class Settings(_Section):
    """Everything that can be set. `pigeonry.toml.example` shows each key with its default."""

    database: DatabaseSettings = DatabaseSettings()
    audience: AudienceSettings = AudienceSettings()
    embedding: EmbeddingSettings = EmbeddingSettings()
    segments: SegmentSettings = SegmentSettings()
    llm: LlmSettings = LlmSettings()
    sending: SendingSettings = SendingSettings()
    smtp: SmtpSettings = SmtpSettings()
    sendgrid: SendgridSettings = SendgridSettings()
    links: LinkSettings = LinkSettings()
    tracking: TrackingSettings = TrackingSettings()
    web: WebSettings = WebSettings()
    inbound: InboundSettings = InboundSettings()
    privacy: PrivacySettings = PrivacySettings()
    opt_in: OptInSettings = OptInSettings()
    learning: LearningSettings = LearningSettings()
    prefect: PrefectSettings = PrefectSettings()
    crm: dict[Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,29}$")], CrmSettings] = (
        Field(default_factory=dict, description="one table for each CRM, by a name of yours")
    )


@dataclass(frozen=True, slots=True)
class Home:
    """A home folder with its settings read."""

    path: Path
    settings: Settings

    @property
    def database_url(self) -> str:
        return self.settings.database.url or f"sqlite:///{self.path / 'pigeonry.db'}"

    @property
    def outbox(self) -> Path:
        return self.path / "outbox"

    @property
    def models(self) -> Path:
        return self.path / "models"

    @property
    def reports(self) -> Path:
        return self.path / "reports"

    def secret(self, name: str) -> bytes:
        """32 random bytes of that name, made on first use and kept in `<home>/secrets` (mode 0600)."""
        folder = self.path / "secrets"
        path = folder / name
        if not path.exists():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Written aside and linked: whoever comes at the same moment sees all of it or nothing.
            made = folder / f".{name}.{secrets.token_hex(8)}"
            handle = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(32))
            try:
                os.link(made, path)
            except FileExistsError:
                pass
            finally:
                made.unlink()
        return path.read_bytes()


def default_path(env: Mapping[str, str] = os.environ) -> Path:
    return Path(env.get(f"{ENV_PREFIX}HOME") or ".pigeonry").absolute()


def load_home(path: Path | None = None, env: Mapping[str, str] = os.environ) -> Home:
    """Read a home's settings. The folder need not exist yet.

    Raises ConfigError that lists every problem at once, and prints no value: unknown keys with the
    nearest known one, values of a wrong type, secrets that others can read, a file that is no TOML.
    """
    folder = (path or default_path(env)).absolute()
    file = folder / FILE_NAME
    data: dict[str, Any] = {}
    if file.exists():
        try:
            data = tomllib.loads(file.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"not a TOML file: {error}", where=str(file), fix="correct that line"
            ) from error
    problems = [*_overlay(data, env), *_open_secrets(folder / "secrets")]
    settings = Settings()
    try:
        settings = Settings.model_validate(data)
    except ValidationError as error:
        problems = [*(_problem(item) for item in error.errors()), *problems]
    if problems:
        raise ConfigError(
            "; ".join(problems),
            where=str(file) if file.exists() else "environment",
            fix="see pigeonry.toml.example for every key and its default",
        )
    return Home(folder, settings)


def _open_secrets(folder: Path) -> list[str]:
    """What can be read by somebody else than its owner."""
    if not folder.is_dir():
        return []
    way_in = stat.S_IMODE(folder.stat().st_mode) & 0o011
    return [
        f"secrets/{path.name} can be read by others (chmod 700 {folder.name}, chmod 600 its files)"
        for path in sorted(folder.iterdir())
        if path.is_file() and stat.S_IMODE(path.stat().st_mode) & (way_in << 2)
    ]


def nearest(name: str, known: list[str]) -> str:
    """` (did you mean ...?)` for a mistyped name, or nothing."""
    close = difflib.get_close_matches(name, known, 1, 0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _overlay(data: dict[str, Any], env: Mapping[str, str]) -> list[str]:
    """Put `PIGEONRY_SENDING__BATCH=10` over `sending.batch`; lists are comma-separated. Returns what is
    wrong with the names."""
    problems = []
    for name, value in env.items():
        if not name.startswith(ENV_PREFIX) or "__" not in name:
            continue
        section, _, key = name[len(ENV_PREFIX) :].lower().partition("__")
        part = Settings.model_fields.get(section)
        if part is None:
            known = nearest(section, list(Settings.model_fields))
            problems.append(f"{name}: unknown section {section!r}{known}")
            continue
        if not isinstance(data.setdefault(section, {}), dict):
            continue  # the file has a value where a table belongs: said when it is read
        kind = getattr(part.annotation, "model_fields", {}).get(key)
        many = kind is not None and str(kind.annotation).startswith("tuple[str")
        data[section][key] = (
            [item.strip() for item in value.split(",") if item.strip()] if many else value
        )
    return problems


def _problem(item: Any) -> str:
    path = [str(part) for part in item["loc"]]
    where = ".".join(path)
    if item["type"] == "extra_forbidden":
        known: Any = Settings
        for part in path[:-1]:
            field = getattr(known, "model_fields", {}).get(part)
            named = known is CrmSettings and field is None  # [crm.NAME]
            if part.isdigit() or named:
                continue
            known = _TABLES.get(part) or getattr(field, "annotation", None)
        return f"unknown key {where!r}{nearest(path[-1], list(getattr(known, 'model_fields', {})))}"
    return f"{where}: {item['msg']}"
