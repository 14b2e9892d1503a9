"""Webhooks: who signed, what is kept, and that nothing is acknowledged before it is on the disk."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from pigeonry.domain.address import address_hash
from pigeonry.service.inbox import Inbox
from pigeonry.web.hooks.sendgrid import KEYS, SIGNATURE, TIMESTAMP
from pigeonry.web.hooks.signatures import public_keys, signed_by
from tests.web.conftest import NOW, Signer, Site, event, locked

# The vector of SendGrid's own client libraries (sendgrid-python, test/unit/test_eventwebhook.py).
VECTOR_KEY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+"
    "2fNNRaINXvVpiglSI8eNEc6wEA3F+g=="
)
VECTOR_SIGNATURE = "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM="
VECTOR_TIMESTAMP = "1600112502"
VECTOR_EVENTS = [
    {
        "email": "hello@world.com",
        "event": "dropped",
        "reason": "Bounced Address",
        "sg_event_id": "ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA",
        "sg_message_id": "LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0",
        "smtp-id": "<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>",
        "timestamp": 1600112492,
    }
]
VECTOR_BODY = json.dumps(VECTOR_EVENTS, sort_keys=True, separators=(",", ":")).encode() + b"\r\n"
OTHER_KEY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqTxd43gyp8IOEto2LdIfjRQrIbsd4SXZkLW6jDutdhXSJCWHw8REntlo"
    "7aNDthvj+y7GjUuFDb/R1NGe1OPzpA=="
)
OTHER_SIGNATURE = "MEUCIQCtIHJeH93Y+qpYeWrySphQgpNGNr/U+UyUlBkU6n7RAwIgJTz2C+8a8xonZGi6BpSzoQsbVRamr2nlxFDWYNH3j/0="


def genuine(
    key: str = VECTOR_KEY,
    timestamp: str = VECTOR_TIMESTAMP,
    body: bytes = VECTOR_BODY,
    signature: str = VECTOR_SIGNATURE,
) -> bool:
    return signed_by(public_keys(key), timestamp=timestamp, body=body, signature=signature)


def test_the_providers_own_vector_passes() -> None:
    assert genuine()


@pytest.mark.parametrize(
    "forged",
    [
        {"body": VECTOR_BODY.strip()},
        {"body": VECTOR_BODY.replace(b"hello", b"hallo")},
        {"body": json.dumps(VECTOR_EVENTS).encode()},
        {"body": b"payload"},
        {"timestamp": "1600112503"},
        {"timestamp": "timestamp"},
        {"timestamp": ""},
        {"key": OTHER_KEY},
        {"signature": OTHER_SIGNATURE},
        {"signature": VECTOR_SIGNATURE[:-5] + "AAAA="},
        {"signature": ""},
        {"signature": "not base64"},
        {"signature": base64.b64encode(b"\x30\x06\x02\x01\x00\x02\x01\x00").decode()},
    ],
)
def test_its_forgeries_fail(forged: dict[str, str]) -> None:
    assert not genuine(**forged)  # type: ignore[arg-type]


def test_every_changed_bit_of_the_vectors_signature_fails() -> None:
    raw = base64.b64decode(VECTOR_SIGNATURE)
    for place in range(len(raw) * 8):
        changed = bytearray(raw)
        changed[place // 8] ^= 1 << (place % 8)
        assert not genuine(signature=base64.b64encode(bytes(changed)).decode())


def test_keys_are_taken_as_people_paste_them() -> None:
    pem = f"-----BEGIN PUBLIC KEY-----\n{VECTOR_KEY[:64]}\n{VECTOR_KEY[64:]}\n-----END PUBLIC KEY-----"
    for pasted in (
        f"  {VECTOR_KEY}\n",
        f"{OTHER_KEY},{VECTOR_KEY}",
        f"{OTHER_KEY}\n{VECTOR_KEY}\n",
        f'"{VECTOR_KEY}"',
        pem,
        f"{pem}\n{pem}",
    ):
        assert genuine(key=pasted), pasted


def test_what_is_no_p256_key_lets_nobody_in() -> None:
    other = ec.generate_private_key(ec.SECP384R1()).public_key()
    old = rsa.generate_private_key(65537, 2048).public_key()
    for key in (other, old):
        der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        assert public_keys(base64.b64encode(der).decode()) == ()
    assert public_keys("garbage, more garbage") == ()


def test_events_are_kept_as_they_came_and_understood_later(web: Site) -> None:
    body = json.dumps([event(send_key=web.world.keys()[0])]).encode()
    assert web.post_events(body).status_code == 200
    (row,) = web.raw("sendgrid")
    assert row.body == body
    assert row.drained_at is None
    assert web.drain().applied == 1
    assert web.world.messages()[0].status == "delivered"


def test_both_keys_count_while_they_are_exchanged(web: Site) -> None:
    old, new = web.signer, Signer()
    web.secret(KEYS, f"{old.public}\n{new.public}")
    assert web.post_events([event(1)]).status_code == 200
    web.signer = new
    assert web.post_events([event(2)]).status_code == 200
    web.secret(KEYS, new.public)
    web.signer = old
    assert web.post_events([event(3)]).status_code == 401


def test_many_small_posts_share_a_commit(web: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    commits: list[int] = []
    write = Inbox._write

    def counted(self: Inbox, batch: list[object]) -> None:
        commits.append(len(batch))
        write(self, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(Inbox, "_write", counted)
    with ThreadPoolExecutor(12) as pool:
        with locked(web):
            posts = [pool.submit(web.post_events, [event(number)]) for number in range(12)]
            for _ in range(500):
                if commits and commits[0] + web.client.get("/health").json()["waiting"] == 12:
                    break
                time.sleep(0.01)
        assert {post.result().status_code for post in posts} == {200}
    assert sum(commits) == 12
    assert len(commits) <= 3


def test_nothing_is_acknowledged_while_the_database_is_locked(
    web: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pigeonry.web.site.COMMIT_SECONDS", 0.3)
    with locked(web):
        answer = web.post_events([event(1)])
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    assert web.post_events([event(1)]).status_code == 200
    assert web.drain().applied == 1


def test_nothing_is_acknowledged_when_the_disk_is_full(
    web: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pigeonry.errors import OutsideFailure

    def full(_self: Inbox, _batch: object) -> None:
        raise OutsideFailure("the database refused: database or disk is full", transient=True)

    with monkeypatch.context() as patched:
        patched.setattr(Inbox, "_write", full)
        answer = web.post_events([event(1)])
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
    assert web.raw() == []
    assert web.post_events([event(1)]).status_code == 200


def test_inbound_mail_needs_the_address_that_we_gave_out(web: Site) -> None:
    form = {"email": (None, MAIL)}
    assert web.client.post("/hooks/inbound/x", files=form).status_code == 503
    web.secret("inbound_token", "s3cret-path")
    assert web.client.post("/hooks/inbound/x", files=form).status_code == 401
    assert web.client.post("/hooks/inbound/s3cret-patH", files=form).status_code == 401
    assert web.client.post("/hooks/inbound/s3cret-path", content=b"x").status_code == 415
    assert web.client.post("/hooks/inbound/s3cret-path", files=form).status_code == 200
    assert len(web.raw("inbound")) == 1
    web.drain()
    key = web.home.secret("suppression.key")
    assert web.suppressed() == {address_hash("lead1@example.com", key): "unsubscribe"}


MAIL = (
    "From: lead1@example.com\r\nTo: salut@scoala.example\r\nSubject: Re: Cursul\r\n"
    "Message-ID: <r1@example.com>\r\nDate: Tue, 24 Nov 2026 12:00:00 +0000\r\n\r\ndezabonare\r\n"
)


def test_conversions_need_the_token_and_count_once(web: Site) -> None:
    sale = {
        "id": "order-1",
        "send_key": web.world.keys()[0],
        "at": (NOW - timedelta(minutes=5)).isoformat(),
        "value": "49.90",
        "currency": "RON",
    }
    post = web.client.post
    assert post("/api/v1/conversions", json=[sale]).status_code == 503
    web.secret("events_token", "tok")
    assert post("/api/v1/conversions", json=[sale]).status_code == 401
    assert post("/api/v1/conversions?token=tok", json=[sale]).status_code == 401
    wrong = {"Authorization": "Bearer tox"}
    assert post("/api/v1/conversions", json=[sale], headers=wrong).status_code == 401
    right = {"Authorization": "Bearer tok"}
    for body in ([sale], sale, [sale, {"id": "nobody"}]):
        answer = post("/api/v1/conversions", json=body, headers=right)
        assert answer.status_code == 202
        assert answer.json()["accepted"] == 1
    assert answer.json()["rejected"] == 1
    web.drain()
    (kept,) = web.events()
    assert (kept.kind, kept.value_micros, kept.currency) == ("conversion", 49_900_000, "RON")


def test_errors_for_programs_are_problem_json(web: Site) -> None:
    answer = web.client.post("/hooks/sendgrid", content=b"[]")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 401
    assert web.client.get("/hooks/sendgrid").status_code == 405
    assert web.client.get("/api/nothing").json()["status"] == 404


@pytest.fixture(scope="session")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The provider's own JavaScript package, in a folder of its own."""
    if not shutil.which("npm") or not shutil.which("node"):
        pytest.skip("no npm: the signature was not checked against a foreign implementation")
    folder = tmp_path_factory.mktemp("npm")
    command = ["npm", "install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts"]
    try:
        done = subprocess.run(
            [*command, "--prefix", str(folder), "@sendgrid/eventwebhook@8"],
            capture_output=True,
            timeout=60,
            check=False,
        )
    except subprocess.TimeoutExpired:
        pytest.skip("npm took too long: the signature was not checked against a foreign one")
    if done.returncode:
        pytest.skip("npm could not fetch @sendgrid/eventwebhook: no foreign check was made")
    return folder


def test_a_verifier_that_we_did_not_write_agrees(foreign: Path, web: Site) -> None:
    """Beside a fresh key: what it takes we take, what it refuses we refuse, and the other way round."""
    script = """
    const { EventWebhook } = require('@sendgrid/eventwebhook');
    const cases = JSON.parse(require('fs').readFileSync(0, 'utf8'));
    const hook = new EventWebhook();
    console.log(JSON.stringify(cases.map(c => {
      try { return hook.verifySignature(hook.convertPublicKeyToECDSA(c.key), c.body, c.signature, c.time) }
      catch (error) { return false }
    })));
    """
    timestamp = str(int(datetime(2026, 11, 24, tzinfo=UTC).timestamp()))
    signer, stranger = Signer(), Signer()
    cases = [{"key": VECTOR_KEY, "body": VECTOR_BODY.decode(), "signature": VECTOR_SIGNATURE,
              "time": VECTOR_TIMESTAMP}]  # fmt: skip
    for number in range(12):
        body = json.dumps([event(number, note="ș„”")], ensure_ascii=number % 2 == 0) + "\r\n"
        good = signer.headers(body.encode(), timestamp)[SIGNATURE]
        for changed, key, signature, at in (
            (body, signer.public, good, timestamp),
            (body + " ", signer.public, good, timestamp),
            (body, stranger.public, good, timestamp),
            (body, signer.public, good, timestamp[:-1]),
        ):
            cases.append({"key": key, "body": changed, "signature": signature, "time": at})
    done = subprocess.run(
        ["node", "-e", script],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        cwd=foreign,
        timeout=60,
        check=True,
    )
    ours = [
        genuine(case["key"], case["time"], case["body"].encode(), case["signature"])
        for case in cases
    ]
    assert json.loads(done.stdout) == ours
    assert sum(ours) == 13


def test_a_signer_that_we_did_not_write_is_understood(foreign: Path, web: Site) -> None:
    """Signed by the library that the provider's package verifies with."""
    script = """
    const ec = require('starkbank-ecdsa');
    const key = ec.PrivateKey.fromPem(process.env.KEY);
    const sign = JSON.parse(require('fs').readFileSync(0, 'utf8'));
    console.log(ec.Ecdsa.sign(sign.time + sign.body, key).toBase64());
    """
    pem = web.signer.key.private_bytes(
        Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
    ).decode()
    body, timestamp = json.dumps([event(1)]), str(int(NOW.timestamp()))
    done = subprocess.run(
        ["node", "-e", script],
        input=json.dumps({"time": timestamp, "body": body}),
        capture_output=True,
        text=True,
        cwd=foreign,
        env={"KEY": pem, "PATH": "/usr/bin:/bin:/usr/local/bin"},
        timeout=60,
        check=True,
    )
    headers = {SIGNATURE: done.stdout.strip(), TIMESTAMP: timestamp}
    assert web.client.post("/hooks/sendgrid", content=body, headers=headers).status_code == 200
