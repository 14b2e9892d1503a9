"""Links and pictures by which a mail tells that it was opened or clicked, without SendGrid's help.

A token names a message by its send key and a link by number: no address, no target. Where a link leads is looked
up. The key is random, so no later message can ever be taken for an erased one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pigeonry.config import Home
from pigeonry.delivery import tokens
from pigeonry.delivery.links import root_keys, signed, tag

_TAG = 16
_KEY = 16  # bytes of a send key
_CLICK, _CLICK_SIZE = b"pigeonry click v1", 1 + _KEY + 6 + _TAG
_OPEN, _OPEN_SIZE = b"pigeonry open v1", 1 + _KEY + _TAG


@dataclass(frozen=True, slots=True)
class ClickToken:
    send_key: str
    link_id: int


@dataclass(frozen=True, slots=True)
class Tracker:
    """Makes and reads the tokens. `clicks` and `opens` say what new mails carry; what was sent before
    is read all the same."""

    base_url: str
    keys: Mapping[int, bytes]
    clicks: bool = True
    opens: bool = True

    def click_url(self, send_key: str, link_id: int) -> str:
        body = self._head(send_key) + link_id.to_bytes(6, "big")
        return f"{self.base_url.rstrip('/')}/t/{self._spell(_CLICK, body)}"

    def open_url(self, send_key: str) -> str:
        return f"{self.base_url.rstrip('/')}/o/{self._spell(_OPEN, self._head(send_key))}.gif"

    def read_click(self, text: str) -> ClickToken | None:
        """None for anything that we did not sign as a click."""
        body = signed(tokens.read(text, _CLICK_SIZE), self.keys, _CLICK)
        if body is None:
            return None
        return ClickToken(body[1 : 1 + _KEY].hex(), int.from_bytes(body[1 + _KEY :], "big"))

    def read_open(self, text: str) -> str | None:
        """The message's send key, or None for anything that we did not sign as an open."""
        body = signed(tokens.read(text, _OPEN_SIZE), self.keys, _OPEN)
        return None if body is None else body[1 : 1 + _KEY].hex()

    def _head(self, send_key: str) -> bytes:
        return bytes((max(self.keys),)) + bytes.fromhex(send_key)

    def _spell(self, purpose: bytes, body: bytes) -> str:
        return tokens.spell(body + tag(self.keys[body[0]], purpose, body))


@dataclass(frozen=True, slots=True)
class TrackedLinks:
    """The stored links of one campaign. `trap` is a link that no person can see."""

    tracker: Tracker
    link_id: int
    trap_id: int

    @property
    def marks(self) -> tuple[str, ...]:
        """What the layout leaves open for each message."""
        clicks = ("link", "trap") if self.tracker.clicks else ()
        return (*clicks, "pixel") if self.tracker.opens else clicks

    def values(self, send_key: str) -> dict[str, str]:
        found = {}
        if self.tracker.clicks:
            found["link"] = self.tracker.click_url(send_key, self.link_id)
            found["trap"] = self.tracker.click_url(send_key, self.trap_id)
        if self.tracker.opens:
            found["pixel"] = self.tracker.open_url(send_key)
        return found


def load_tracker(home: Home) -> Tracker:
    """The home's tracker; with an empty `tracking.base_url` new mails carry nothing."""
    tracking = home.settings.tracking
    on = bool(tracking.base_url)
    return Tracker(
        tracking.base_url, root_keys(home), on and tracking.clicks, on and tracking.opens
    )
