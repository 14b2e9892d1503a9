"""What strangers, broken programs and attackers send to webhooks and links: each case of the catalogue in
docs/guides/webhooks-and-tracking.md, by its number. The last test prints how many were tried."""

from __future__ import annotations

import gzip
import http.client
import itertools
import json
import socket
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import func, select

from feedback.events import judged, status
from pigeonry.domain import Event, EventKind
from pigeonry.service.crm import drain_crm, secret_name
from pigeonry.store import crm as crm_store
from pigeonry.store.models import Lead
from pigeonry.web.hooks.sendgrid import KEYS, SIGNATURE, TIMESTAMP
from tests import crm_bodies as crm
from tests.web.conftest import LINK, NOW, Signer, Site, event
from tests.web.test_crm_hooks import SECRETS, standard
from tests.web.test_unsubscribe import ONE_CLICK, hash_of

Checks = Iterator[tuple[str, object]]
BODY = json.dumps([event(1)]).encode()
TRIED: list[bool] = []


def post(web: Site, body: bytes, headers: dict[str, str]) -> int:
    return web.client.post("/hooks/sendgrid", content=body, headers=headers).status_code


def unsigned(web: Site) -> Checks:
    """31"""
    stamp = str(int(NOW.timestamp()))
    good = web.signer.headers(BODY, stamp)
    tries: dict[str, tuple[bytes, dict[str, str]]] = {
        "no signature": (BODY, {TIMESTAMP: stamp}),
        "nothing": (BODY, {}),
        "an empty one": (BODY, {**good, SIGNATURE: ""}),
        "a garbled one": (BODY, {**good, SIGNATURE: good[SIGNATURE][::-1]}),
        "a huge one": (BODY, {**good, SIGNATURE: "A" * 9000}),
        "no base64": (BODY, {**good, SIGNATURE: "%%%"}),
        "another key": (BODY, Signer().headers(BODY, stamp)),
        "a changed byte": (BODY.replace(b"event-1", b"event-2"), good),
        "a byte more": (BODY + b" ", good),
        "another time": (BODY, {**good, TIMESTAMP: str(int(stamp) - 1)}),
        "no time": (BODY, {SIGNATURE: good[SIGNATURE]}),
    }
    for name, (body, headers) in tries.items():
        yield name, post(web, body, headers) == 401
    yield "nothing is kept", web.raw() == []
    yield "each is counted", web.counts()["turned_away.unsigned"] == len(tries)


def no_key(web: Site) -> Checks:
    """32"""
    for name, key in {
        "empty": "",
        "no key at all": "hello",
        "half a key": web.signer.public[:40],
    }.items():
        web.secret(KEYS, key)
        answer = web.post_events(BODY)
        yield name, answer.status_code == 503
        yield f"{name}: says so", answer.json()["detail"] == "source not configured"
    yield "nothing is kept", web.raw() == []


def old_ones(web: Site) -> Checks:
    """33"""
    yield (
        "10 minutes",
        web.post_events([event(1)], at=NOW - timedelta(minutes=10)).status_code == 200,
    )
    yield "is marked late", web.raw()[-1].headers["late"] is True
    yield "71 hours", web.post_events([event(2)], at=NOW - timedelta(hours=71)).status_code == 200
    yield "74 hours", web.post_events([event(3)], at=NOW - timedelta(hours=74)).status_code == 401
    yield "in time is not late", web.post_events([event(4)]).status_code == 200
    yield "and not marked", web.raw()[-1].headers["late"] is False
    yield "an event seen before", web.post_events([event(1, more=1)]).status_code == 200
    yield "counts once", web.drain().applied == 3


def odd_times(web: Site) -> Checks:
    """34"""
    for stamp in (
        str(int(NOW.timestamp()) + 600), "text", "-1", "1" + "0" * 20, "1e9", "0x65", "", "12.5",
        "١٢٣٤٥٦٧٨٩٠",
    ):  # fmt: skip
        try:
            signed = web.signer.headers(BODY, stamp)
            answer = web.client.post(
                "/hooks/sendgrid",
                content=BODY,
                headers=[(name.encode(), value.encode()) for name, value in signed.items()],
            )
            yield f"{stamp!r}", answer.status_code == 401
        except UnicodeEncodeError:
            yield f"{stamp!r}", False
    yield "4 minutes ahead", web.post_events(BODY, at=NOW + timedelta(minutes=4)).status_code == 200


def replays(web: Site) -> Checks:
    """35"""
    for _ in range(3):
        yield "the same again", web.post_events(BODY).status_code == 200
    yield "is kept once", len(web.raw()) == 1
    yield "counts once", web.drain().applied == 1
    yield (
        "the same id as a complaint",
        web.post_events([event(1, event="spamreport")]).status_code == 200,
    )
    report = web.drain()
    yield "is put aside", (report.applied, report.rejected) == (0, 1)
    yield "with its reason", "came before as delivered" in web.raw()[-1].error
    yield "and stops nobody", web.suppressed() == {}


def rotation(web: Site) -> Checks:
    """36"""
    new = Signer()
    web.secret(KEYS, f" {web.signer.public} ,\n{new.public}")
    yield "the old key", web.post_events([event(1)]).status_code == 200
    web.signer = new
    yield "the new key", web.post_events([event(2)]).status_code == 200
    web.signer = Signer()
    yield "a third", web.post_events([event(3)]).status_code == 401


def transport(web: Site) -> Checks:
    """37"""
    stamp = str(int(NOW.timestamp()))
    spaced = json.dumps([event(1)], indent=1).encode()
    yield "written anew by a proxy", post(web, spaced, web.signer.headers(BODY, stamp)) == 401
    packed = gzip.compress(BODY)
    for encoding in ("gzip", "deflate", "br", "gzip, gzip"):
        headers = {**web.signer.headers(packed, stamp), "Content-Encoding": encoding}
        yield f"packed with {encoding}", post(web, packed, headers) == 415
    yield (
        "said to be unpacked",
        web.post_events(BODY, **{"Content-Encoding": "identity"}).is_success,
    )
    wrong = {"Content-Type": "application/json; charset=utf-16"}
    yield "a wrong charset", web.post_events([event(2)], **wrong).is_success
    yield "a wrong type", web.post_events([event(3)], **{"Content-Type": "image/png"}).is_success
    raw = json.dumps([event(4, useragent="ș")], ensure_ascii=False).encode("latin-1", "replace")
    yield "bytes that are no UTF-8", web.post_events(raw + b"\xff\xfe").is_success
    chunks = [b"%x\r\n%s\r\n" % (len(part), part) for part in (BODY[:20], BODY[20:])]
    signed = web.signer.headers(BODY, stamp)
    yield (
        "in chunks",
        raw_post(web, signed, "Transfer-Encoding: chunked", [*chunks, b"0\r\n\r\n"]) == 200,
    )
    before = len(web.raw())
    yield (
        "shorter than said",
        raw_post(web, signed, f"Content-Length: {len(BODY) + 9}", [BODY, None]) != 200,
    )
    yield (
        "longer than said",
        raw_post(web, signed, f"Content-Length: {len(BODY) - 9}", [BODY]) == 401,
    )
    yield "a length that is none", raw_post(web, signed, "Content-Length: ten", [BODY]) == 400
    yield (
        "two lengths",
        raw_post(web, signed, "Content-Length: 5\r\nContent-Length: 6", [BODY]) == 400,
    )
    yield "nothing of those is kept", len(web.raw()) == before


def sizes(web: Site) -> Checks:
    """38"""
    most = int(web.home.settings.web.max_body_mb * 1_000_000)
    large = b"[" + b" " * most + b"]"
    answer = web.post_events(large)
    yield "more than 5 MB", answer.status_code == 413
    stamp = str(int(NOW.timestamp()))
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    many = [*[chunk] * (most // 0x10000 + 1), b"0\r\n\r\n"]
    found = raw_post(web, web.signer.headers(b"", stamp), "Transfer-Encoding: chunked", many)
    yield "more than 5 MB that nobody announced", found == 413
    short = [
        {"event": "open", "sg_event_id": f"e{n}", "timestamp": 1763980000} for n in range(20_000)
    ]
    body = json.dumps(short, separators=(",", ":")).encode()
    yield "20,000 events at once", web.post_events(body).status_code == 200
    yield "all count", web.drain().applied == 20_000
    budget = web.app.state.site.budgets["sendgrid"]
    left, budget.left = budget.left, 10
    answer = web.post_events([event(1)])
    yield "too many at once", answer.status_code == 503
    yield "come again later", int(answer.headers["retry-after"]) > 0
    yield "others are served", web.client.get(web.unsubscribe_path()).status_code == 200
    budget.left = left
    yield "afterwards too", web.post_events([event(1)]).status_code == 200
    yield "nothing stays set aside", budget.left == left


def slow(web: Site, monkeypatch: pytest.MonkeyPatch) -> Checks:
    """38, in time"""
    monkeypatch.setattr("pigeonry.web.limits.BODY_SECONDS", 0.3)
    signed = web.signer.headers(BODY, str(int(NOW.timestamp())))
    began = time.monotonic()
    dripping = (BODY[n : n + 1] for n in range(40))
    yield "a byte at a time", raw_post(web, signed, f"Content-Length: {len(BODY)}", dripping) == 408
    yield "is let go soon", time.monotonic() - began < 20
    yield "nothing is kept", web.raw() == []


def broken_json(web: Site) -> Checks:
    """39"""
    for name, body in {
        "no JSON": b"event=open",
        "empty": b"",
        "half": BODY[:30],
        "null": b"null",
    }.items():
        yield f"{name}: taken", web.post_events(body).status_code == 200
        report = web.drain()
        yield f"{name}: put aside", (report.applied, report.rejected) == (0, 1)
    yield "kept for a second look", len(web.raw()) == 4
    yield "one object", web.post_events(json.dumps(event(1)).encode()).status_code == 200
    yield "counts", web.drain().applied == 1
    many: list[Any] = [event(number, sg_event_id=f"of-500-{number}") for number in range(500)]
    many[123] = {"event": "open"}
    yield "one bad of 500", web.post_events(many).status_code == 200
    report = web.drain()
    yield "499 count", (report.applied, report.rejected) == (499, 1)


def hostile_json(web: Site) -> Checks:
    """40"""
    good = json.dumps(event(1))
    bad = {
        "NaN": '{"event":"open","timestamp":NaN,"sg_event_id":"b"}',
        "1e999": '{"event":"open","timestamp":1e999,"sg_event_id":"b"}',
        "5,000 digits": '{"event":"open","timestamp":' + "9" * 5000 + ',"sg_event_id":"b"}',
        "100,000 nested": "[" * 100_000 + "]" * 100_000,
        "a key twice": '{"event":"open","event":"click","timestamp":1763980000,"sg_event_id":"b"}',
        "a lone surrogate": '{"event":"open","timestamp":"\\ud800","sg_event_id":"b"}',
        "a NUL": '{"event":"\\u0000","timestamp":"\\u0000","sg_event_id":"b"}',
    }
    for number, (name, text) in enumerate(bad.items()):
        neighbour = good.replace("event-1", f"beside-{number}")
        yield f"{name}: taken", web.post_events(f"[{neighbour},{text}]".encode()).status_code == 200
        report = web.drain()
        yield f"{name}: its neighbour counts", report.applied >= 1
        yield f"{name}: no event of it", report.rejected + report.applied == 2
    yield "the app still answers", web.client.get("/health").status_code == 200


def unknown_words(web: Site) -> Checks:
    """41"""
    strange = event(1, event="teleported", brand_new={"a": [1, 2]})
    yield "an unknown kind", web.post_events([strange, event(2, new_field="x")]).status_code == 200
    yield "both are stored", web.drain().applied == 2
    yield "as what it is", {row.kind for row in web.events()} == {"other", "delivered"}


def no_id(web: Site) -> Checks:
    """42"""
    bare = event(1)
    del bare["sg_event_id"]
    turned = dict(reversed(bare.items()))
    yield "without an id", web.post_events([bare]).status_code == 200
    yield "in another order", web.post_events(json.dumps([turned], indent=2).encode()).is_success
    report = web.drain()
    yield "counts once", (report.applied, report.duplicate) == (1, 1)


def orders(web: Site) -> Checks:
    """43"""
    words = ("delivered", "bounce", "spamreport", "click")
    for number, order in enumerate(itertools.islice(itertools.permutations(words), 0, 24, 9), 1):
        for word in order:
            one = event(number, event=word, sg_event_id=f"{number}-{word}")
            web.post_events([{**one, "send_key": web.world.keys()[number - 1], "url": LINK}])
            web.drain()
        yield f"over HTTP: {order}", web.world.messages()[number - 1].status == "complaint"
    kinds = (
        EventKind.DELIVERED,
        EventKind.BOUNCE,
        EventKind.COMPLAINT,
        EventKind.CLICK,
        EventKind.OPEN,
    )
    for size in range(1, 6):
        for some in itertools.combinations(kinds, size):
            found = {
                status(
                    judged(Event(str(kind), "sendgrid", kind, moment(some, kind)) for kind in order)
                )
                for order in itertools.permutations(some)
            }
            yield f"every order of {some}", len(found) == 1


def moment(kinds: tuple[EventKind, ...], kind: EventKind) -> datetime:
    return NOW + timedelta(hours=kinds.index(kind))


def strangers(web: Site) -> Checks:
    """44"""
    before = people(web)
    unknown = event(1, email="who@example.org", event="bounce", type="bounce", send_key="f" * 32)
    yield "somebody we do not know", web.post_events([unknown]).status_code == 200
    yield "is stored", web.drain().applied == 1
    yield "and becomes no lead", people(web) == before
    (row,) = web.events()
    stored = " ".join(str(value) for value in vars(row).values())
    yield "without the address", "who@example.org" not in stored
    yield "as a keyed hash", len(row.address_hash) == 64
    yield "and is never written to", web.suppressed() == {row.address_hash: "bounce"}


def people(web: Site) -> int:
    with web.database.read() as session:
        return session.scalar(select(func.count()).select_from(Lead)) or 0


def markup(web: Site) -> Checks:
    """45"""
    evil = "<script>alert(1)</script>"
    one = event(1, event="bounce", reason=f'=HYPERLINK("x")&{evil}', useragent=evil)
    yield "in an event", web.post_events([one]).status_code == 200
    yield "is text", web.drain().applied == 1
    for path in (
        f"/{quote(evil)}",
        f"/t/{quote(evil)}",
        f"/u/{quote(evil)}",
        f"/?lang={quote(evil)}",
    ):
        answer = web.client.get(path, headers={"User-Agent": evil, "Accept-Language": evil})
        yield f"{path[:12]}: not repeated", evil not in answer.text
        yield (
            f"{path[:12]}: no script may run",
            "default-src 'none'" in answer.headers["content-security-policy"],
        )
    pasted = web.client.get("/u", params={"link": f'"><x>{evil}'})
    found = web.client.get(pasted.headers["location"])
    yield "in a pasted link", evil not in found.text


def storm(web: Site) -> Checks:
    """46"""
    budget = web.app.state.site.budgets["sendgrid"]
    left, budget.left = budget.left, 3 * len(BODY)
    answers = [web.post_events([event(number)]) for number in range(50)]
    yield "one after another", {answer.status_code for answer in answers} == {200}
    held = [hold(web, number) for number in range(3)]
    refused = web.post_events([event(99)])
    yield "no room left", refused.status_code == 503
    yield "come again later", "retry-after" in refused.headers
    for line, rest in held:
        line.sendall(rest)
        yield "who was let in is served", line.recv(4096).startswith(b"HTTP/1.1 200")
        line.close()
    yield "then there is room", web.post_events([event(99)]).status_code == 200
    budget.left = left
    yield "nothing is lost", web.drain().applied == 54


def hold(web: Site, number: int) -> tuple[socket.socket, bytes]:
    """A post of which all but the last byte has come."""
    body = (
        json.dumps([event(1, sg_event_id=f"held-{number:02}")]).encode()[:-1].ljust(len(BODY) - 1)
    )
    body += b"]"
    headers = web.signer.headers(body, str(int(NOW.timestamp())))
    line = socket.create_connection(("127.0.0.1", web.port), timeout=30)
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    line.sendall(
        f"POST /hooks/sendgrid HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{head}\r\n".encode()
    )
    line.sendall(body[:-1])
    budget = web.app.state.site.budgets["sendgrid"]
    for _ in range(200):
        if budget.left <= (2 - number) * len(body) + 2:
            break
        time.sleep(0.01)
    return line, body[-1:]


def news_of_a_crm(web: Site) -> Checks:
    """47: an update of a deleted contact, an older one after a newer one, a merge in a circle"""
    web.secret(secret_name("shop"), SECRETS["shop"])

    def tell(*told: dict[str, Any]) -> dict[str, int]:
        body = json.dumps(told).encode()
        answer = web.client.post("/hooks/crm/shop", content=body, headers=standard(body, at=NOW))
        assert answer.status_code == 200
        return drain_crm(web.database, web.home, now=NOW).counts()

    def city(email: str) -> str:
        with web.database.read() as session:
            return session.scalars(select(Lead.city).where(Lead.email == email)).one()

    a, b = "a@exemplu.ro", "b@exemplu.ro"
    told = [crm.generic("a", 10, email=a, city="Cluj"), crm.generic("b", email=b, city="Iași")]
    yield "news is taken", tell(*told)["created"] == 2
    old = crm.generic("a", 5, city="Sibiu")
    yield "an older one changes nothing", tell(old)["unchanged"] == 1 and city(a) == "Cluj"
    yield "the same again counts once", tell(old, told[0])["duplicate"] == 2
    yield "one id with two meanings", tell({**old, "lead": {"id": "a", "city": "x"}})["rejected"]
    yield "a merge", tell(crm.generic("b", 11, "merge", merged=["a"]))["merged"] == 1
    yield "the other way round", tell(crm.generic("a", 12, "merge", merged=["b"]))["refused"] == 1
    yield "with itself", tell(crm.generic("b", 13, "merge", merged=["b", "b"]))["merged"] == 0
    yield "deleted", tell(crm.generic("b", 14, "delete"))["deleted"] == 1
    yield "then updated", tell(crm.generic("b", 15, city="Arad"))["refused"] == 1
    yield "by its old name too", tell(crm.generic("a", 16, city="Arad"))["refused"] == 1
    yield "nothing of it is stored", (city(a), city(b)) == ("Cluj", "Iași")
    yield "deleted before it was told", tell(crm.generic("c", 20, "delete"))["deleted"] == 1
    late = crm.generic("c", 19, email="c@exemplu.ro")
    yield "and told late", tell(late)["created"] == 0
    with web.database.read() as session:
        listed = [one.kind for one in crm_store.refusals(session)]
    # The address: one person, and from now on one of the two gets no mail.
    yield "each is listed", sorted(listed) == ["address", "deleted", "deleted", "merge_cycle"]


def opt_in_elsewhere(web: Site) -> Checks:
    """48: another system says that somebody who left wants mail"""
    web.client.post(web.unsubscribe_path(), data=ONE_CLICK)
    back = event(1, event="group_resubscribe", send_key=web.world.keys()[0], asm_group_id=1)
    yield "is taken", web.post_events([back]).status_code == 200
    yield "is stored", web.drain().applied == 1
    yield "and changes nothing", web.suppressed() == {hash_of(web): "unsubscribe"}


def click_ids(web: Site) -> Checks:
    """61"""
    message, nobody = web.world.keys()[0], "0" * 32
    good = web.path(web.tracker.click_url(message, web.tracked.link_id)).removeprefix("/t/")
    opened = web.path(web.tracker.open_url(message)).removeprefix("/o/").removesuffix(".gif")
    for path in (
        "/t/", "/t/x", "/t//evil.example", "/t/\\\\evil.example", "/t/https://evil.example",
        "/t/%0d%0aLocation:%20https://evil.example", "/t/%2f%2fevil.example", f"/t/{good[:-1]}",
        f"/t/{good}a", f"/t/{opened}", f"/t/{web.unsubscribe_path().removeprefix('/u/')}",
        f"/o/{good}.gif", "/o/x.gif", "/t/" + "a" * 5000, "/t/%00", "/t/%ff%fe",
        f"/t/{web.path(web.tracker.click_url(message, 999)).removeprefix('/t/')}",
        f"/t/{web.path(web.tracker.click_url(nobody, web.tracked.link_id)).removeprefix('/t/')}",
        "//evil.example/t/x", "/t/x?url=https://evil.example",
    ):  # fmt: skip
        code, headers = raw_get(web, path)
        yield f"{path[:40]}: nowhere", code == 404 and "location" not in headers
    for tail in ("?url=https://evil.example", "&amp;x=1", "%3Fnext=//evil", "/..//evil", "\\evil"):
        code, headers = raw_get(web, f"/t/{good}{tail}")
        yield (
            f"with {tail}: nowhere else",
            headers.get("location", LINK) == LINK and code in (302, 404),
        )
    yield "nothing of the bad ones is kept", len(web.raw()) <= 5


def broken_ways_out(web: Site) -> Checks:
    """62"""
    path = web.unsubscribe_path()
    token = path.removeprefix("/u/")
    for name, mangled in {
        "upper case": token.upper(),
        "&amp; behind it": f"{token}&amp;utm=x",
        "encoded twice": quote(quote(f"{token}&x", safe=""), safe=""),
        "in brackets": f"%3C{token}%3E",
        "a dot behind it": f"{token}.",
    }.items():
        yield name, web.client.get(f"/u/{mangled}").status_code == 200
        yield (
            f"{name}: one click",
            web.client.post(f"/u/{mangled}", data=ONE_CLICK).status_code == 200,
        )
    for name, broken in {
        "cut": token[:30],
        "swapped": token[::-1],
        "nothing": "",
        "long": "a" * 3000,
    }.items():
        answer = web.client.get(f"/u/{broken}")
        yield f"{name}: a page", answer.status_code == 404
        yield f"{name}: with a form", 'name="link"' in answer.text
        yield (
            f"{name}: no one click",
            web.client.post(f"/u/{broken}", data=ONE_CLICK).status_code == 404,
        )
    again = web.client.post(path, data=ONE_CLICK)
    yield "already out", again.status_code == 200
    yield "reads as done", "Nu mai primiți mesaje" in again.text


def wrong_posts(web: Site) -> Checks:
    """63"""
    path = web.unsubscribe_path()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    multi = {"Content-Type": "multipart/form-data; boundary=x"}
    for name, body, headers, code in (
        ("nothing", b"", form, 400),
        ("another field", b"Unsubscribe=yes", form, 400),
        ("another value", b"List-Unsubscribe=Two-Click", form, 400),
        ("JSON", b'{"List-Unsubscribe": "One-Click"}', {"Content-Type": "application/json"}, 400),
        ("plain text", b"List-Unsubscribe=One-Click", {"Content-Type": "text/plain"}, 400),
        ("no type", b"List-Unsubscribe=One-Click", {}, 400),
        ("a million bytes", b"x=" + b"a" * 1_000_000, form, 413),
        ("1,000 fields", b"&".join(b"a=1" for _ in range(1000)), form, 400),
        ("half a multipart", b"--x\r\nContent-Disposition: form-data; na", multi, 400),
        ("multipart of nothing", b"", multi, 400),
        ("multipart without a boundary", b"x", {"Content-Type": "multipart/form-data"}, 400),
        ("a file", b'--x\r\nContent-Disposition: form-data; name="a"; filename="b"\r\n\r\nc\r\n--x--\r\n',
         multi, 400),
    ):  # fmt: skip
        answer = web.client.post(path, content=body, headers=headers)
        yield f"{name}: {answer.status_code}", answer.status_code == code
    for method in ("GET", "HEAD", "OPTIONS"):
        web.client.request(method, path, headers={"Cookie": "a=b"})
    yield "changed nothing", web.suppressed() == {}
    answer = web.client.post(path, data=ONE_CLICK, headers={"Cookie": "session=stolen"})
    yield "cookies do no harm", answer.status_code == 200
    yield "and none is set", "set-cookie" not in answer.headers
    yield "nor is one asked for", "vary" not in answer.headers


CASES: tuple[Callable[..., Checks], ...] = (
    unsigned, no_key, old_ones, odd_times, replays, rotation, transport, sizes, slow, broken_json,
    hostile_json, unknown_words, no_id, orders, strangers, markup, storm, news_of_a_crm, opt_in_elsewhere,
    click_ids,
    broken_ways_out, wrong_posts,
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.__doc__[:2]}-{case.__name__}")
def test_bad_input_does_no_harm(
    web: Site, case: Callable[..., Checks], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = list(case(web, monkeypatch) if case is slow else case(web))
    wrong = [name for name, right in found if not right]
    TRIED.extend(bool(right) for _, right in found)
    assert not wrong, f"{len(wrong)} of {len(found)}: {wrong}"


def test_the_catalogue_is_complete(capsys: pytest.CaptureFixture[str]) -> None:
    numbers = {int((case.__doc__ or "")[:2]) for case in CASES}
    assert numbers == {*range(31, 49), 61, 62, 63}
    with capsys.disabled():
        print(f"\nbad input on webhooks and links: {sum(TRIED)} of {len(TRIED)} checks hold")


def raw_post(web: Site, headers: dict[str, str], framing: str, parts: Any) -> int:
    """POST /hooks/sendgrid with a head of our own; the status, or 0 when the line was just closed. A part
    None waits for the answer; otherwise the line is half-closed behind the last part."""
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with socket.create_connection(("127.0.0.1", web.port), timeout=30) as line:
        line.sendall(
            f"POST /hooks/sendgrid HTTP/1.1\r\nHost: x\r\n{framing}\r\n{head}\r\n".encode()
        )
        try:
            for part in parts:
                if part is None:
                    line.shutdown(socket.SHUT_WR)
                    break
                line.sendall(part)
                if len(part) == 1:
                    time.sleep(0.02)
        except OSError:
            pass  # answered and closed before all was sent
        try:
            answer = line.recv(4096)
        except OSError:
            return 0
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/") else 0


def raw_get(web: Site, path: str) -> tuple[int, dict[str, str]]:
    """GET a path exactly as it is written."""
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=30)
    try:
        connection.putrequest("GET", path, skip_accept_encoding=True)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}
    finally:
        connection.close()
