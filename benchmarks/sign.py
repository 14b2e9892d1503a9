"""What a DKIM signature costs: ours beside dkimpy's, over the same mails, each checked by dkimpy.

`python -m benchmarks.sign --mails 300`
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime

import dkim
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from generation.brief import parse_brief
from pigeonry.delivery.dkim import Signer
from pigeonry.delivery.links import Links
from pigeonry.delivery.mime import to_bytes
from pigeonry.delivery.render import Recipient, compile_mail
from pigeonry.domain import Language
from pigeonry.prove.world import BRIEF, COPY

DOMAIN, SELECTOR = "scoala.example", "bench"
HEADERS = (b"from", b"to", b"subject", b"date", b"message-id", b"list-unsubscribe")


def mails(number: int) -> list[bytes]:
    """Different mails as they travel, all of one campaign."""
    compiled = compile_mail(COPY, parse_brief(BRIEF, where="benchmark"), Language.RO, campaign_id=1)
    links = Links("https://mail.scoala.example", {1: b"1" * 32})
    return [
        to_bytes(
            compiled.render(
                Recipient(n + 1, f"lead{n}@example.com", "Ioana", "Pop"),
                links,
                send_key=f"{n:032x}",
                at=datetime.now(UTC),
            )
        )
        for n in range(number)
    ]


def milliseconds(sign: Callable[[bytes], bytes], given: list[bytes]) -> tuple[float, bytes]:
    """The median processor time of one signature, and the last signed mail."""
    spent, signed = [], b""
    for mail in given:
        began = time.process_time()
        signed = sign(mail)
        spent.append(1000 * (time.process_time() - began))
    return statistics.median(spent), signed


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--mails", type=int, default=300)
    given = parser.parse_args(arguments)
    key = generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    signer = Signer(DOMAIN, SELECTOR, key)

    def theirs(mail: bytes) -> bytes:
        header: bytes = dkim.sign(
            mail, SELECTOR.encode(), DOMAIN.encode(), pem,
            canonicalize=(b"relaxed", b"relaxed"), include_headers=list(HEADERS),
        )  # fmt: skip
        return header + mail

    made = mails(given.mails)
    found = {}
    for name, sign in (("ours", signer.signed), ("dkimpy", theirs)):
        found[name], signed = milliseconds(sign, made)
        assert dkim.verify(signed, dnsfunc=lambda *_args, **_more: signer.record.encode()), name
    size = statistics.median(map(len, made))
    print(
        f"a mail of {size:,.0f} bytes: {found['ours']:.2f} ms by us, {found['dkimpy']:.2f} ms by dkimpy"
    )
    print(
        json.dumps(
            {
                "benchmark": "sign",
                "mails": given.mails,
                "bytes": size,
                "ours_ms": round(found["ours"], 3),
                "dkimpy_ms": round(found["dkimpy"], 3),
                "ratio": round(found["dkimpy"] / found["ours"], 2),
            }
        )
    )


if __name__ == "__main__":
    main()
