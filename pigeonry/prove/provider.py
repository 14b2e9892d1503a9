"""The provider's end of the event webhook: signs its posts and repeats each until somebody says yes."""

from __future__ import annotations

import base64
import http.client
import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pigeonry.prove.deliveries import Post

_SIGNATURE = "X-Twilio-Email-Event-Webhook-Signature"
_TIMESTAMP = "X-Twilio-Email-Event-Webhook-Timestamp"


class Signer:
    """A key of its own, and requests signed with it."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())

    @property
    def public(self) -> str:
        der = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return base64.b64encode(der).decode()

    def headers(self, body: bytes) -> dict[str, str]:
        timestamp = str(int(time.time()))
        signature = self.key.sign(timestamp.encode() + body, ec.ECDSA(SHA256()))
        return {_SIGNATURE: base64.b64encode(signature).decode(), _TIMESTAMP: timestamp}


@dataclass
class Driver:
    """Posts as the provider does: keeps at it until each signed body is taken."""

    port: int
    signer: Signer
    forger: Signer
    posts: list[Post]
    lanes: int
    seconds: list[float] = field(default_factory=list)  # of each acknowledgement
    acked: int = 0
    retries: int = 0
    forged_taken: int = 0
    forged_refused: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> Iterator[int]:
        """Yields the number of posts that are done, as it grows."""
        waiting: queue.SimpleQueue[Post] = queue.SimpleQueue()
        for post in self.posts:
            waiting.put(post)
        done = [0]
        threads = [
            threading.Thread(target=self._lane, args=(waiting, done), daemon=True)
            for _ in range(self.lanes)
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            yield done[0]
            time.sleep(0.05)
        yield done[0]

    def _lane(self, waiting: queue.SimpleQueue[Post], done: list[int]) -> None:
        connection: http.client.HTTPConnection | None = None
        while True:
            try:
                number, body, forged = waiting.get_nowait()
            except queue.Empty:
                return
            while True:
                headers = self._headers(body, forged)
                began = time.monotonic()
                try:
                    if connection is None:
                        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
                    connection.request("POST", "/hooks/sendgrid", body, headers)
                    answer = connection.getresponse()
                    answer.read()
                    status = answer.status
                except (OSError, http.client.HTTPException):
                    if connection is not None:
                        connection.close()
                    connection = None
                    status = 0
                took = time.monotonic() - began
                with self._lock:
                    if forged and status:
                        self.forged_taken += status < 300
                        self.forged_refused += status == 401
                        done[0] += 1
                        break
                    if 200 <= status < 300:
                        self.seconds.append(took)
                        self.acked += number
                        done[0] += 1
                        break
                    self.retries += 1
                time.sleep(0.05)

    def _headers(self, body: bytes, forged: str) -> dict[str, str]:
        kind = {"Content-Type": "application/json"}
        if forged == "unsigned":
            return kind
        signer = self.forger if forged == "other key" else self.signer
        signed = signer.headers(body[:-1] if forged == "changed" else body)
        return {**kind, **signed}
