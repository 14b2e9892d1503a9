"""CRM signatures: the makers' own vectors pass, every forgery of them fails, and the counts are printed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import Headers

from pigeonry.web.hooks import crm_signatures as signatures

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
KEY = b"a-secret-of-the-test"
URI = "https://mail.example.com/hooks/crm/hubspot"
BODY = '[{"eventId":1,"objectId":17,"subscriptionType":"contact.creation","city":"Iași"}]'.encode()
Request = dict[str, Any]


def genuine(request: Request) -> bool:
    return signatures.hubspot(
        request["keys"],
        Headers(request["headers"]),
        method=request["method"],
        uri=request["uri"],
        body=request["body"],
        now=request["now"],
        oldest=request.get("oldest", "v3"),
    )


def v3(key: bytes, method: str, uri: str, body: bytes, stamp: str) -> dict[str, str]:
    mac = hmac.new(key, method.encode() + uri.encode() + body + stamp.encode(), hashlib.sha256)
    return {
        signatures.V3: base64.b64encode(mac.digest()).decode(),
        signatures.V3_TIMESTAMP: stamp,
    }


def of_vector(secret: str, case: Mapping[str, Any]) -> Request:
    """A request as the vector describes it, at the time that it names."""
    version, stamp = case["version"], case["timestamp"]
    now = datetime.fromtimestamp(int(stamp) / 1000, UTC) if stamp else NOW
    headers = (
        {signatures.V3: case["signature"], signatures.V3_TIMESTAMP: stamp}
        if version == "v3"
        else {signatures.OLDER: case["signature"], signatures.OLDER_VERSION: version}
    )
    return {
        "keys": (secret.encode(),),
        "headers": headers,
        "method": case["method"],
        "uri": case["url"] or "",
        "body": case["body"].encode(),
        "now": now,
        "oldest": version,
    }


def forgeries(request: Request) -> Iterator[tuple[str, Request]]:
    """Every way to bend a genuine request that its scheme has to notice."""
    headers, version = request["headers"], request["oldest"]
    name = signatures.V3 if version == "v3" else signatures.OLDER
    good = headers[name]
    for place in range(len(request["body"])):
        changed = bytearray(request["body"])
        changed[place] ^= 1
        yield f"byte {place} of the body", {**request, "body": bytes(changed)}
    yield "a byte more", {**request, "body": request["body"] + b" "}
    yield "another secret", {**request, "keys": (b"zzzzzzzz-yyyy",)}
    yield "no secret", {**request, "keys": ()}
    yield "an empty secret", {**request, "keys": (b"",)}
    for place in range(len(good)):
        letter = "A" if good[place] != "A" else "B"
        bent = good[:place] + letter + good[place + 1 :]
        yield f"letter {place} of the signature", {**request, "headers": {**headers, name: bent}}
    for what, bent in {
        "cut": good[:-1],
        "half": good[: len(good) // 2],
        "empty": "",
        "turned round": good[::-1],
        "garbled": "%%%",
        "huge": "A" * 9000,
        "not ASCII": "ș".encode().decode("latin-1"),
        "with a space": good + " ",
    }.items():
        yield f"a signature that is {what}", {**request, "headers": {**headers, name: bent}}
    yield "no headers", {**request, "headers": {}}
    if version != "v1":
        uri = request["uri"]
        for what, bent in {
            "query": f"{uri}?a=1",
            "host": uri.replace("://", "://x"),
            "scheme": uri.replace("https", "http"),
            "path": f"{uri}/",
        }.items():
            yield f"another {what}", {**request, "uri": bent}
        yield "another method", {**request, "method": "PUT"}
    if version == "v3":
        stamp, now = headers[signatures.V3_TIMESTAMP], request["now"]
        for bent in (
            str(int(stamp) - 1),
            str(int(stamp) + 1),
            "",
            "x",
            "-1",
            "1e12",
            "9" * 40,
            "١٢",
        ):
            shown = {**headers, signatures.V3_TIMESTAMP: bent.encode().decode("latin-1")}
            yield f"time {bent!r}", {**request, "headers": shown}
        yield "5 minutes and a second", {**request, "now": now + timedelta(minutes=5, seconds=1)}
        yield "a day old", {**request, "now": now + timedelta(days=1)}
        yield "from the future", {**request, "now": now - timedelta(minutes=6)}
    else:
        yield "where v3 is demanded", {**request, "oldest": "v3"}
        both = {**headers, signatures.V3: "A" * 44, signatures.V3_TIMESTAMP: "1693657560000"}
        yield "beside a wrong v3", {**request, "headers": both}
        yield "said to be v3", {**request, "headers": {**headers, signatures.OLDER_VERSION: "v3"}}
    if version == "v1":
        yield "v1 where v2 is the oldest", {**request, "oldest": "v2"}


def test_the_official_hubspot_vectors_pass_and_their_forgeries_fail(
    public_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = json.loads((public_data / "webhooks" / "hubspot_signatures.json").read_text())
    requests = [of_vector(found["client_secret"], case) for case in found["cases"]]
    passed = sum(genuine(request) for request in requests)
    forged = [item for request in requests for item in forgeries(request)]
    wrong = [name for name, request in forged if genuine(request)]
    with capsys.disabled():
        print(
            f"\nHubSpot signatures: {passed} of {len(requests)} vectors pass,"
            f" {len(forged) - len(wrong)} of {len(forged)} forgeries fail"
        )
    assert passed == len(requests) == 6
    assert not wrong


def test_a_signature_of_our_own_passes_and_its_forgeries_fail() -> None:
    stamp = str(int(NOW.timestamp() * 1000))
    request: Request = {
        "keys": (KEY,),
        "headers": v3(KEY, "POST", URI, BODY, stamp),
        "method": "POST",
        "uri": URI,
        "body": BODY,
        "now": NOW,
        "oldest": "v3",
    }
    assert genuine(request)
    assert [name for name, bent in forgeries(request) if genuine(bent)] == []


def test_hubspots_list_of_letters_is_decoded_in_the_address_and_no_other() -> None:
    wire = f"{URI}?a=x%3Ay%2Fz%3f%40%21%24%27%28%29%2A%2C%3B&b=%20%26%C8%99"
    signed = f"{URI}?a=x:y/z?@!$'()*,;&b=%20%26%C8%99"
    stamp = str(int(NOW.timestamp() * 1000))
    request: Request = {
        "keys": (KEY,),
        "headers": v3(KEY, "POST", signed, BODY, stamp),
        "method": "POST",
        "uri": wire,
        "body": BODY,
        "now": NOW,
    }
    assert genuine(request)
    assert not genuine({**request, "uri": wire.replace("%20", "+")})


def test_two_secrets_count_while_they_are_exchanged() -> None:
    keys = signatures.secrets(" old ,\n'new'\n")
    stamp = str(int(NOW.timestamp() * 1000))
    for key, right in ((b"old", True), (b"new", True), (b"other", False)):
        request: Request = {
            "keys": keys,
            "headers": v3(key, "POST", URI, BODY, stamp),
            "method": "POST",
            "uri": URI,
            "body": BODY,
            "now": NOW,
        }
        assert genuine(request) is right
    assert signatures.secrets(" ,\n, ") == ()


# The example of the Standard Webhooks specification's own libraries.
STANDARD_SECRET = b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STANDARD_BODY = b'{"test": 2432232314}'
STANDARD_HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}


def test_standard_webhooks_own_example_passes_and_its_forgeries_fail() -> None:
    now = datetime.fromtimestamp(1614265330, UTC)

    def good(
        keys: tuple[bytes, ...] = (STANDARD_SECRET,),
        body: bytes = STANDARD_BODY,
        now: datetime = now,
        **headers: str,
    ) -> bool:
        said = STANDARD_HEADERS | {f"webhook-{name}": value for name, value in headers.items()}
        return signatures.standard(keys, Headers(said), body=body, now=now)

    signature = STANDARD_HEADERS["webhook-signature"]
    assert good()
    assert good(keys=(b"b3RoZXI=", STANDARD_SECRET))
    assert good(signature=f"v1,AAAA v2,{signature[3:]} {signature}")
    forged = [
        good(body=STANDARD_BODY + b" "),
        good(id="msg_other"),
        good(id=""),
        good(id="a.b"),
        good(timestamp="1614265331"),
        good(timestamp="x"),
        good(signature=""),
        good(signature=signature[3:]),
        good(signature=signature.replace("v1,", "v2,")),
        good(signature=signature[:-2]),
        good(keys=()),
        good(keys=(b"whsec_",)),
        good(keys=(b"no base64!",)),
        good(keys=(b"whsec_b3RoZXI=",)),
        good(now=now + timedelta(minutes=6)),
        good(now=now - timedelta(minutes=6)),
    ]
    assert not any(forged)


def test_a_password_or_a_token_counts_whole_or_not_at_all() -> None:
    accepted = signatures.lines("crm:pass,word\ncrm:new")

    def basic(pair: str) -> str:
        return "Basic " + base64.b64encode(pair.encode()).decode()

    assert signatures.password(accepted, basic("crm:pass,word"))
    assert signatures.password(accepted, basic("crm:new").replace("Basic", "basic"))
    for wrong in (
        "",
        "Basic",
        "Basic %%",
        basic("crm:"),
        basic("crm"),
        "Bearer crm:new",
        "crm:new",
    ):
        assert not signatures.password(accepted, wrong)
    assert not signatures.password((), basic(""))
    assert signatures.token((b"abc",), "abc")
    assert not signatures.token((b"abc",), "ab")
    assert not signatures.token((), "")
