"""Which channel a home sends through, and what channels share. Knows no campaign and no database."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from pigeonry.config import Home
from pigeonry.domain.message import Sender
from pigeonry.errors import ConfigError


@runtime_checkable
class Closing(Protocol):
    """A sender that holds connections."""

    def close(self) -> None: ...


def make_sender(home: Home, env: Mapping[str, str] = os.environ) -> Sender:
    """The sender that `sending.channel` and `sending.fallback` name. Raises ConfigError for a missing
    secret or key."""
    sending = home.settings.sending
    first = _channel(home, sending.channel, env)
    if not sending.fallback:
        return first
    if sending.fallback == sending.channel:
        raise ConfigError(
            f"{sending.channel} cannot stand in for itself",
            where="sending.fallback",
            fix="name another channel, or leave it empty",
        )
    from pigeonry.delivery.failover import FailoverSender

    return FailoverSender(first, _channel(home, sending.fallback, env))


def _channel(home: Home, name: str, env: Mapping[str, str]) -> Sender:
    if name == "file":
        from pigeonry.delivery.file import FileSender

        return FileSender(home.outbox)
    if name == "smtp":
        from pigeonry.delivery.dkim import load_signer
        from pigeonry.delivery.smtp import SmtpSender

        smtp = home.settings.smtp
        password = secret_text(home, "smtp_password", env) if smtp.username else ""
        return SmtpSender(smtp, password, signer=load_signer(home))
    from pigeonry.delivery.sendgrid import SendGridSender

    return SendGridSender(home.settings.sendgrid, secret_text(home, "sendgrid_key", env))


def parts(sender: Sender) -> tuple[Sender, ...]:
    """A sender, and the channels that it is made of where it has several."""
    channels: tuple[Sender, ...] = getattr(sender, "channels", ())
    return (sender, *channels)


def close(sender: Sender) -> None:
    """Let go of a sender's connections."""
    if isinstance(sender, Closing):
        sender.close()


def secret_text(home: Home, name: str, env: Mapping[str, str] = os.environ) -> str:
    """A secret from PIGEONRY_<NAME>, else from the file `<home>/secrets/<name>`."""
    variable = f"PIGEONRY_{name.upper()}"
    if env.get(variable):
        return env[variable]
    path = home.path / "secrets" / name
    if path.exists():
        return path.read_text(encoding="utf-8").strip()
    raise ConfigError(
        "this channel needs a secret that is not set",
        where=variable,
        fix=f"set {variable}, or write the value into {path}",
    )
