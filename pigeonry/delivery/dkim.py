"""DKIM signatures (RFC 6376), rsa-sha256 relaxed/relaxed, and the key they are made with.

Written out here because the library that checks them takes several times as long (`benchmarks.sign`).
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pigeonry.config import Home
from pigeonry.errors import ConfigError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

_BITS = 2048
# Named once more than they occur: nobody may add a second one above a signed mail.
_ONCE = ("from", "to", "reply-to", "subject", "date", "message-id")
_SIGNED = (
    *_ONCE,
    "list-unsubscribe",
    "list-unsubscribe-post",
    "feedback-id",
    "x-pigeonry-key",
    "mime-version",
    "content-type",
)
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs mails as they travel: CRLF line ends, headers in ASCII."""

    domain: str
    selector: str
    key: RSAPrivateKey

    def signed(self, mail: bytes) -> bytes:
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.hashes import SHA256

        head, _, body = mail.partition(b"\r\n\r\n")
        headers = _relaxed_headers(head)
        names = [name for name in _SIGNED if name in headers or name in _ONCE]
        over = [name for name in _ONCE if name in headers]
        digest = base64.b64encode(hashlib.sha256(relaxed_body(body)).digest()).decode()
        ours = (
            f"v=1; a=rsa-sha256; c=relaxed/relaxed; d={self.domain}; s={self.selector};\r\n"
            f" t={int(time.time())}; h={':'.join([*names, *over])};\r\n"
            f" bh={digest}; b="
        )
        covered = [headers[name] for name in names if name in headers]
        last = b"dkim-signature:" + _squeezed(ours.encode("ascii"))
        signature = self.key.sign(b"\r\n".join([*covered, last]), PKCS1v15(), SHA256())
        text = base64.b64encode(signature).decode()
        lines = "".join(f"\r\n {text[i : i + 72]}" for i in range(0, len(text), 72))
        return f"DKIM-Signature: {ours}{lines}\r\n".encode("ascii") + mail

    @property
    def record_name(self) -> str:
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def record(self) -> str:
        """The TXT record that lets others check our signatures."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        public = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"


def load_signer(home: Home) -> Signer | None:
    """The home's signer; None when `smtp.dkim_domain` is empty. Raises ConfigError without a usable key."""
    smtp = home.settings.smtp
    if not smtp.dkim_domain:
        return None
    path = key_file(home)
    if not path.exists():
        raise ConfigError(
            f"mails are to be signed for {smtp.dkim_domain}, and there is no key",
            where=str(path),
            fix="make one with `pigeonry dkim-key` and publish the record that it prints",
        )
    return Signer(smtp.dkim_domain.lower(), smtp.dkim_selector, _read(path))


def make_key(home: Home) -> Signer:
    """The signer of the home, its key made when there is none yet. Raises ConfigError without a domain."""
    if not home.settings.smtp.dkim_domain:
        raise ConfigError(
            "no domain to sign for",
            where="smtp.dkim_domain",
            fix="set it to the domain of the sender's address",
        )
    path = key_file(home)
    if not path.exists():
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa

        made = rsa.generate_private_key(65537, _BITS).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        aside = path.with_name(f"{path.name}.{os.getpid()}")
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(made)
        try:
            os.link(aside, path)  # whoever comes first: a key is never replaced
        except FileExistsError:
            pass
        finally:
            aside.unlink()
    found = load_signer(home)
    assert found is not None
    return found


def key_file(home: Home) -> Path:
    smtp = home.settings.smtp
    for where, name in (
        ("smtp.dkim_domain", smtp.dkim_domain),
        ("smtp.dkim_selector", smtp.dkim_selector),
    ):
        if not _NAME.fullmatch(name):
            raise ConfigError(f"{name!r} is no DNS name", where=where, fix="write it in ASCII")
    return home.path / "secrets" / f"dkim_{smtp.dkim_selector}.pem"


def _read(path: Path) -> RSAPrivateKey:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError) as error:
        raise ConfigError(
            "not a private key in PEM without a passphrase",
            where=str(path),
            fix="write the key anew, or remove the file and run `pigeonry dkim-key`",
        ) from error
    if not isinstance(key, RSAPrivateKey) or key.key_size < 1024:
        raise ConfigError(
            "not an RSA key of 1024 bits or more",
            where=str(path),
            fix="remove the file and run `pigeonry dkim-key`",
        )
    return key


def _relaxed_headers(head: bytes) -> Mapping[str, bytes]:
    """Header fields by lower-case name as section 3.4.2 writes them; of several, the last, as a verifier
    reads from the bottom."""
    found: dict[str, bytes] = {}
    for field in re.split(rb"\r\n(?![ \t])", head):
        name, _, value = field.partition(b":")
        lower = name.strip().lower()
        found[lower.decode("ascii")] = lower + b":" + _squeezed(value)
    return found


def _squeezed(value: bytes) -> bytes:
    return re.sub(rb"[ \t]+", b" ", value.replace(b"\r\n", b"")).strip(b" \t")


def relaxed_body(body: bytes) -> bytes:
    """Section 3.4.4: runs of white space are one space, none ends a line, no empty lines end the body."""
    lines = re.sub(rb"[ \t]+", b" ", body).replace(b" \r\n", b"\r\n").rstrip(b"\r\n")
    return lines + b"\r\n" if lines else b""
