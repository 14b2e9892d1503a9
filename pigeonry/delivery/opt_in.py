"""The confirmation mail of a double opt-in: its one-purpose link and its words. No marketing stands in it."""

from __future__ import annotations

import hmac
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from html import escape

from pigeonry.config import Home
from pigeonry.delivery import layout, tokens
from pigeonry.delivery.headers import safe, safe_address
from pigeonry.delivery.links import tag
from pigeonry.domain import Language, OutgoingMessage

_KEY_FILE = "opt-in-{}.key"
_PURPOSE = b"pigeonry opt-in v1"
_TAG = 16  # bytes, 128 bits
_SIZE = 1 + 6 + _TAG


@dataclass(frozen=True, slots=True)
class OptInLinks:
    """Makes and checks confirmation links. `keys` are root secrets by number; the highest signs."""

    base_url: str
    keys: Mapping[int, bytes]

    def token(self, request_id: int, send_key: str) -> str:
        key_id = max(self.keys)
        body = bytes((key_id,)) + request_id.to_bytes(6, "big")
        return tokens.spell(body + self._tag(key_id, body, send_key))

    def url(self, request_id: int, send_key: str) -> str:
        return f"{self.base_url.rstrip('/')}/c/{self.token(request_id, send_key)}"

    def request_id(self, token: str) -> int | None:
        """Which request a token claims to be for. Nothing is proven before `proves`."""
        raw = tokens.read(token, _SIZE)
        return None if raw is None else int.from_bytes(raw[1:7], "big")

    def proves(self, token: str, send_key: str) -> bool:
        """Whether we signed it for the request with that key; in constant time."""
        raw = tokens.read(token, _SIZE)
        if raw is None:
            return False
        body, given = raw[:-_TAG], raw[-_TAG:]
        known = body[0] in self.keys
        expected = self._tag(body[0] if known else max(self.keys), body, send_key)
        return hmac.compare_digest(expected, given) and known

    def _tag(self, key_id: int, body: bytes, send_key: str) -> bytes:
        return tag(self.keys[key_id], _PURPOSE, body + send_key.encode())


def load_opt_in_links(home: Home) -> OptInLinks:
    """The home's links. A new signing key is the next number: `<home>/secrets/opt-in-2.key`."""
    keys = {1: home.secret(_KEY_FILE.format(1))}
    for number in range(2, 256):
        path = home.path / "secrets" / _KEY_FILE.format(number)
        if not path.exists():
            break
        keys[number] = path.read_bytes()
    return OptInLinks(home.settings.links.base_url, keys)


def opt_in_mail(
    *,
    to_email: str,
    from_email: str,
    from_name: str,
    language: Language,
    consent_text: str,
    url: str,
    send_key: str,
    days: int,
    at: datetime,
) -> OutgoingMessage:
    """Raises UnsafeHeader for an address or name that may not stand in a header."""
    words = tomllib.loads(
        (layout.folder() / "opt_in" / f"{language}.toml").read_text(encoding="utf-8")
    )
    name = safe("From", from_name.strip())
    slots = {"sender": name, "days": str(days)}
    before, after = (words[part].format_map(slots) for part in ("before", "after"))
    quoted = "\n".join(f"> {line}" for line in layout.wrap(consent_text.strip()).splitlines())
    text = "\n\n".join(
        (
            words["greeting"],
            layout.wrap(before),
            quoted,
            f"{words['button']}:\n{url}",
            layout.wrap(after),
        )
    )
    html = (
        (layout.folder() / "opt_in" / "layout.html")
        .read_text(encoding="utf-8")
        .replace("{lang}", language.value)
        .replace("{greeting}", escape(words["greeting"]))
        .replace("{before}", escape(before))
        .replace("{after}", escape(after))
        .replace("{button}", escape(words["button"]))
        .replace("{url}", escape(url))
        .replace("{consent}", escape(consent_text.strip()))
    )
    domain = safe_address("From", from_email).rpartition("@")[2]
    return OutgoingMessage(
        send_key=send_key,
        to_email=safe_address("To", to_email),
        to_name="",
        from_email=from_email,
        from_name=name,
        reply_to="",
        subject=safe("Subject", words["subject"].format_map(slots)),
        text=text + "\n",
        html=html,
        unsubscribe_url="",
        headers={
            "Date": format_datetime(at),
            "Message-ID": f"<{send_key}@{domain}>",
            "Auto-Submitted": "auto-generated",
            "X-Pigeonry-Key": send_key,
            "X-Pigeonry-Campaign": "0",
        },
    )
