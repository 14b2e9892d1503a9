"""Says what is set, what is missing and what each gap costs. Changes nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from pigeonry.config import Home
from pigeonry.delivery import base
from pigeonry.errors import ConfigError, PigeonryError
from pigeonry.store import migrate
from pigeonry.store.session import Database

_LITTLE_SPACE = 500_000_000  # bytes; a campaign of 100,000 file mails takes about 2 GB


@dataclass(frozen=True, slots=True)
class Check:
    """`detail` says what was found and what a gap costs; `fix` the next step, "" when all is well."""

    name: str
    ok: bool
    detail: str
    fix: str = ""


def diagnose(home: Home, env: Mapping[str, str] = os.environ) -> tuple[Check, ...]:
    """Every check, in the order in which one would mend things."""
    return tuple(_checks(home, env))


def _checks(home: Home, env: Mapping[str, str]) -> Iterator[Check]:
    yield _folder(home)
    yield _space(home)
    yield _database(home)
    yield from _models(home)
    yield _channel(home, env)
    yield _links(home)
    yield _console(home)
    yield from _tiers(home, env)


def _folder(home: Home) -> Check:
    if not home.path.exists():
        return Check("home", False, f"{home.path} does not exist yet", "pigeonry init")
    if not os.access(home.path, os.W_OK):
        return Check("home", False, f"{home.path} cannot be written", "change its owner or --home")
    return Check("home", True, str(home.path))


def _space(home: Home) -> Check:
    place = home.path if home.path.exists() else home.path.parent
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    return Check(
        "disk",
        free > _LITTLE_SPACE,
        f"{free / 1e9:.1f} GB free",
        "" if free > _LITTLE_SPACE else "make room: a full disk stops sending",
    )


def _database(home: Home) -> Check:
    if not home.settings.database.url and not home.path.exists():
        return Check("database", False, "not made yet", "pigeonry init")
    try:
        database = Database(home.database_url)
        try:
            migrate.refuse_newer(database)
            revision = migrate.current(database)
        finally:
            database.dispose()
    except PigeonryError as error:
        return Check("database", False, error.what, error.fix)
    except Exception as error:
        # A doctor reports whatever it meets; each driver raises its own kind of connection error.
        return Check("database", False, str(error).splitlines()[0], "check database.url")
    if revision != migrate.head():
        return Check("database", False, f"schema {revision or 'none'}", "pigeonry init")
    return Check("database", True, f"schema {revision}")


def _models(home: Home) -> Iterator[Check]:
    embedding = home.models / "e5-small"
    own = home.settings.embedding.model
    if own or home.settings.embedding.backend == "hashing":
        yield Check("embedding model", True, own or "hashing: no model, segments by words only")
    else:
        yield Check(
            "embedding model",
            embedding.exists(),
            str(embedding)
            if embedding.exists()
            else "missing: segments cannot be made from what profiles mean",
            "" if embedding.exists() else "pigeonry models fetch",
        )
    local = home.models / "smollm2-135m-instruct-q4_1.gguf"
    if not home.settings.llm.local:
        yield Check("local writer", True, "switched off: the copy library writes")
    else:
        path = home.settings.llm.local_model or str(local)
        there = os.path.exists(path)  # noqa: PTH110 - a setting, as it was written
        yield Check(
            "local writer",
            there,
            path if there else "missing: the copy library writes everything",
            "" if there else "pigeonry models fetch",
        )


def _channel(home: Home, env: Mapping[str, str]) -> Check:
    try:
        sender = base.make_sender(home, env)
    except ConfigError as error:
        return Check("channel", False, f"{error.where}: {error.what}", error.fix)
    base.close(sender)
    sending, smtp = home.settings.sending, home.settings.smtp
    words = {
        "file": f"file: mail is written to {home.outbox}, nobody gets any",
        "smtp": f"smtp to {smtp.host}:{smtp.port}, {smtp.security}",
        "sendgrid": f"sendgrid, region {home.settings.sendgrid.region}",
    }
    detail = "; then ".join(words[name] for name in (sending.channel, sending.fallback) if name)
    return Check("channel", True, detail)


def _links(home: Home) -> Check:
    base = home.settings.links.base_url
    public = base.startswith("https://")
    return Check(
        "unsubscribe links",
        public or home.settings.sending.channel == "file",
        base if public else f"{base} reaches nobody outside this machine",
        "" if public else "set links.base_url to the https address that people can reach",
    )


def _console(home: Home) -> Check:
    """The pages of operators: nobody else's host name, so that no cookie travels with a link of a mail."""
    console = urlsplit(home.settings.web.console_url).hostname
    if not console:
        return Check("console", True, "opens on this machine alone; web.console_url opens it wider")
    settings = home.settings
    others = {
        urlsplit(url).hostname for url in (settings.links.base_url, settings.tracking.base_url)
    }
    if console in others:
        return Check(
            "console",
            False,
            f"{console} is the name in mails, too",
            "give the console a host name of its own in web.console_url",
        )
    return Check("console", True, f"https://{console}")


def _tiers(home: Home, env: Mapping[str, str]) -> Iterator[Check]:
    for tier in home.settings.llm.tiers:
        allowed = not tier.region or tier.region in home.settings.llm.allowed_regions
        keyed = not tier.key_env or bool(env.get(tier.key_env))
        problem = (
            f"region {tier.region} is not allowed"
            if not allowed
            else f"no key in {tier.key_env}"
            if not keyed
            else ""
        )
        yield Check(
            f"writer {tier.name}",
            not problem,
            problem or tier.model,
            "it is skipped until that is mended" if problem else "",
        )
