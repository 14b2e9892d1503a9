"""Header values that cannot break out of their line. Knows nothing of campaigns or leads.

Python 3.11.7's email package is open to CVE-2026-1299 (a line break inside a header value), so every
value is checked here before a header exists, whatever library writes it later.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from email.header import Header

from pigeonry.errors import BadInput

# Controls, line and paragraph separators, surrogates; and bidi marks, which only ever deceive in a header.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9.-]{1,253}")


class UnsafeHeader(BadInput):
    """A value that may not stand in a header."""

    code = "unsafe_header"


def safe(name: str, value: str) -> str:
    """The value itself. Raises UnsafeHeader when it holds a line break or another control character."""
    found = _UNSAFE.search(value)
    if found:
        raise UnsafeHeader(
            f"a control character (U+{ord(found[0]):04X}) may not stand in a header",
            where=name,
            fix="remove it from the value",
        )
    return value


def clean(value: str, longest: int = 78) -> str:
    """A person's words made fit for a header: no controls, no invisible marks, single spaces."""
    kept = "".join(" " if unicodedata.category(c) in {"Cc", "Zl", "Zp"} else c for c in value)
    kept = "".join(c for c in kept if unicodedata.category(c) not in {"Cf", "Cs", "Co", "Cn"})
    return " ".join(kept.split())[:longest].strip()


def safe_address(name: str, address: str) -> str:
    """A bare ASCII address. Raises UnsafeHeader for anything that could be more than one."""
    if not _ADDRESS.fullmatch(address):
        raise UnsafeHeader(
            "not one plain ASCII address",
            where=f"{name} {address[:80]!r}",
            fix="correct the address",
        )
    return address


@functools.lru_cache(maxsize=4096)
def text_header(name: str, value: str) -> str:
    """`Name: value`, folded, as RFC 2047 encoded words where it is not plain ASCII; no final CRLF."""
    safe(name, value)
    plain = value.isascii() and "=?" not in value
    header = Header(value, "us-ascii" if plain else "utf-8", maxlinelen=76, header_name=name)
    return f"{name}: {header.encode(linesep=chr(13) + chr(10))}"


@functools.lru_cache(maxsize=4096)
def address_header(name: str, display: str, address: str) -> str:
    """`Name: "Display" <address>`, folded before the address when long; no final CRLF."""
    safe(name, display)
    safe_address(name, address)
    if not display:
        return f"{name}: {address}"
    if not display.isascii() or "=?" in display:
        encoded = Header(display, "utf-8", maxlinelen=72, header_name=name)
        phrase = encoded.encode(linesep=chr(13) + chr(10))
    elif _ATOM.fullmatch(display):
        phrase = display
    else:
        phrase = '"' + display.replace("\\", "\\\\").replace('"', '\\"') + '"'
    last = phrase.rsplit("\n", 1)[-1]
    room = 76 - len(last) - (len(name) + 2 if "\n" not in phrase else 0)
    gap = " " if len(address) + 3 <= room else "\r\n "
    return f"{name}: {phrase}{gap}<{address}>"


def plain_header(name: str, value: str) -> str:
    """`Name: value` for ASCII values that we made; folded only where ", " separates parts."""
    safe(name, value)
    if not value.isascii():
        raise UnsafeHeader("has to be ASCII", where=name, fix="encode the value first")
    if len(name) + len(value) + 2 <= 76:
        return f"{name}: {value}"
    return f"{name}: " + ",\r\n ".join(value.split(", "))
