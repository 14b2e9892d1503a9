"""Every door that the settings open is named, and nothing else."""

from __future__ import annotations

import pytest

from pigeonry.config import Home, Settings, load_home
from pigeonry.service.doors import leaves

SETTINGS = """
[sending]
channel = "sendgrid"
fallback = "smtp"
[smtp]
host = "relay.exemplu.ro"
port = 587
[inbound]
imap_host = "imap.exemplu.ro"
[database]
url = "postgresql+psycopg://pigeonry:secret@db.exemplu.ro/pigeonry"
[embedding]
model = "intfloat/multilingual-e5-large"
[[llm.tiers]]
name = "small"
model = "mistral/mistral-small"
region = "eu"
[[llm.tiers]]
name = "far"
model = "openai/gpt"
region = "us"
[[llm.tiers]]
name = "near"
model = "openai/qwen"
endpoint = "http://127.0.0.1:9000/v1"
"""


def told(home: Home, text: str) -> str:
    (home.path / "pigeonry.toml").write_text(text, encoding="utf-8")
    return "\n".join(str(door) for door in leaves(load_home(home.path, env={})))


@pytest.mark.parametrize(
    "part",
    [
        "api.eu.sendgrid.com",
        "United States",
        "relay.exemplu.ro:587, STARTTLS",
        "imap.exemplu.ro:993, TLS",
        "db.exemplu.ro",
        "intfloat/multilingual-e5-large",
        "language model: small",
        "never called: its region is not among eu",
        "region='this machine'",
        "name service (DNS)",
    ],
)
def test_each_configured_door_is_named(home: Home, part: str) -> None:
    assert part in told(home, SETTINGS)


def test_a_password_is_never_shown(home: Home) -> None:
    assert "secret" not in told(home, SETTINGS)


def test_by_default_nothing_of_a_person_leaves(home: Home) -> None:
    doors = leaves(home)
    assert [door.name for door in doors] == ["mails (file)", "name service (DNS)"]
    assert not any(door.personal for door in doors)


def test_hubspot_is_named_where_a_crm_of_that_kind_is_set(home: Home) -> None:
    said = told(home, '[crm.hub]\nkind = "hubspot"\n[crm.shop]\nkind = "generic"\n')
    assert "HubSpot (hub)" in said
    assert "api.hubapi.com" in said
    assert "shop" not in said


def test_each_setting_that_names_a_host_has_its_door() -> None:
    """A new host in the settings fails here until `leaves` speaks of it, or it is known to be ours."""
    hosts = {
        f"{section}.{key}"
        for section, part in Settings.model_fields.items()
        for key in getattr(part.annotation, "model_fields", {})
        if "host" in key or "url" in key or "endpoint" in key
    }
    opened = {"smtp.host", "sendgrid.host", "inbound.imap_host", "database.url"}
    # Others come to these.
    ours = {"links.base_url", "tracking.base_url", "web.host", "web.console_url", "prefect.host"}
    assert hosts == opened | ours
