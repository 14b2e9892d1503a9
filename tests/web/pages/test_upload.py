"""A list through the browser: dropped in, looked at, tried, imported, watched, taken back."""

from __future__ import annotations

import gzip
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from pigeonry.config import Home
from pigeonry.domain.operator import Role
from pigeonry.service import job_work, jobs, uploads
from pigeonry.store import leads
from pigeonry.store.session import Database
from pigeonry.web.pages.upload_words import _CODES
from tests.web.console import Visitor, console, said

HOSTILE = '<script>alert("x")</script><img src=x onerror=alert(1)>'
LIST = (
    "Adresa lor;Prenume;Oraș;Ciudat\n"
    'ana@example.com;Ana;Iași;"' + HOSTILE.replace('"', '""') + '"\n'
    "ion@example.com;Ion;Cluj;=cmd|' /C calc'!A0\n"
    "rupt@;Ion;Cluj;=1+1\n"
)


@pytest.fixture
def visitor(home: Home, database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Visitor]:
    monkeypatch.setattr(jobs, "start", lambda home, job_id: 0)
    with console(home, database) as found:
        yield found


def send(visitor: Visitor, data: bytes, name: str = "listă.csv", **headers: str) -> httpx.Response:
    return visitor.client.post(
        f"/upload?csrf={visitor.csrf}",
        files={"note": (None, "x"), "file": (name, data, "text/csv")},
        headers={"Sec-Fetch-Site": "same-origin", **headers},
    )


def work(visitor: Visitor, response: httpx.Response) -> str:
    """Follow to the job's page, do the job, and return where it leads."""
    assert response.status_code == 303, said(response)
    path = response.headers["location"]
    number = int(path.rpartition("/")[2])
    job_work.run(visitor.database, visitor.home, number, now=lambda: visitor.moment[0])
    page = visitor.get(path)
    found = re.search(r'<a class="button" href="([^"]+)"', page.text)
    assert found, page.text
    return found[1]


def stored(visitor: Visitor) -> list[str]:
    with visitor.database.read() as session:
        return sorted(lead.email for lead in leads.iterate(session))


def test_a_list_goes_in_and_comes_out_again(visitor: Visitor) -> None:
    assert "Nothing imported yet" in said(visitor.get("/upload"))
    page = send(visitor, LIST.encode())
    assert page.status_code == 303
    look = page.headers["location"]
    text = visitor.get(look).text
    assert "No column is called an e-mail address" in text
    assert HOSTILE not in text
    assert "&lt;script&gt;" in text
    assert re.search(r'id="column-1".*?<option value="email" selected>', text, re.S)
    mixed = visitor.get(f"{look}?encoding=windows-1250&delimiter=semicolon")
    assert "IaČ™i" in mixed.text  # a person sees at once that this is the wrong one
    columns = {
        "column-1": "email",
        "column-2": "first_name",
        "column-3": "city",
        "column-4": "attribute",
    }
    refused = visitor.post(f"{look}/columns", {**columns, "column-2": "email"})
    assert (refused.status_code, "same field" in refused.text) == (400, True)

    check = work(visitor, visitor.post(f"{look}/columns", columns))
    page = visitor.get(check)
    assert "3 rows would become" in said(page)
    assert "not an e-mail address" in page.text
    assert stored(visitor) == []
    refused = visitor.post(f"{look}/import", {"basis": "existing-customer", "source": "shop"})
    assert (refused.status_code, 'id="evidence-bought-error"' in refused.text) == (400, True)
    assert visitor.as_role(Role.VIEWER).post(f"{look}/import").status_code == 403

    asked = visitor.post(f"{look}/import", {"basis": "express", "source": "formular @ târg"})
    running = visitor.get(asked.headers["location"])
    assert "sse-connect" in running.text
    result = work(visitor, asked)
    assert stored(visitor) == ["ana@example.com", "ion@example.com"]
    page = visitor.get(result)
    assert "New leads" in page.text
    table = visitor.get(f"{result}/errors.csv")
    assert table.headers["content-disposition"].startswith("attachment")
    assert "'=1+1" in table.text
    assert visitor.get(look).headers["location"] == result
    with visitor.client.stream("GET", f"{asked.headers['location']}/stream") as stream:
        events = stream.read().decode()
    assert "event: over" in events
    assert "See the result" in events

    again = send(visitor, LIST.encode()).headers["location"]
    assert "already imported" in said(visitor.get(again))
    assert visitor.post(f"{again}/discard").status_code == 303
    assert visitor.get(again).status_code == 404
    report = work(visitor, visitor.post(f"{result}/undo"))
    assert stored(visitor) == []
    assert "undone" in said(visitor.get(report))
    assert visitor.post(f"{result}/undo").status_code == 409
    assert "done" in said(visitor.get("/jobs"))
    assert "în lucru" not in visitor.get("/upload?lang=ro").text


def test_what_is_no_list_is_said_in_the_visitors_language(visitor: Visitor) -> None:
    wrong = send(visitor, gzip.compress(b"0" * 3_000_000))
    assert (wrong.status_code, "packed file (gzip)" in said(wrong)) == (400, True)
    ro = send(visitor, b"PK\x03\x04xx", **{"Accept-Language": "ro"})
    assert "Salvare ca" in ro.text
    assert "Choose a file first" in said(send(visitor, b"", name=""))
    for path in ("/etc/passwd", "..\\..\\x.csv", "a\r\nSet-Cookie: x.csv"):
        page = send(visitor, b"email\nana@example.com\n", name=path)
        assert page.status_code in (303, 400)
        assert "set-cookie" not in {
            name.lower() for name in page.headers if "Set-Cookie: x" in name
        }
    names = {upload.file_name for upload in uploads.listed(visitor.database)}
    assert not any("/" in name or "\\" in name for name in names)
    assert all((Path(visitor.home.path) / "uploads").glob("*.upload"))


def test_too_large_forged_and_cut_off_uploads_leave_nothing(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = visitor.home.path / "uploads"
    web = visitor.home.settings.web
    monkeypatch.setitem(web.__dict__, "max_upload_mb", 0.5)
    large = send(visitor, b"email\n" + b"a@example.com\n" * 80_000)
    assert (large.status_code, "larger than" in said(large)) == (413, True)
    assert send(visitor, b"e" * 2_000_000).status_code == 413
    no_token = visitor.client.post(
        "/upload", files={"file": ("x.csv", b"email\na@example.com\n")},
        headers={"Sec-Fetch-Site": "same-origin"},
    )  # fmt: skip
    assert no_token.status_code == 403
    plain = visitor.client.post(
        f"/upload?csrf={visitor.csrf}", content=b"x", headers={"Sec-Fetch-Site": "same-origin"}
    )
    assert plain.status_code == 400

    host, port = re.match(r"http://([^:]+):(\d+)", visitor.base).groups()  # type: ignore[union-attr]
    cookies = "; ".join(f"{name}={value}" for name, value in visitor.client.cookies.items())
    head = (
        f"POST /upload?csrf={visitor.csrf} HTTP/1.1\r\nHost: {host}:{port}\r\nCookie: {cookies}\r\n"
        "Sec-Fetch-Site: same-origin\r\nContent-Type: multipart/form-data; boundary=B\r\n"
        "Content-Length: 100000\r\n\r\n--B\r\n"
        'Content-Disposition: form-data; name="file"; filename="x.csv"\r\n\r\nemail\nana@example.com\n'
    )
    with socket.create_connection((host, int(port))) as line:
        line.sendall(head.encode())
        deadline = time.monotonic() + 10
        while not list(folder.glob("*.part")) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert list(folder.glob("*.part"))
    while list(folder.glob("*.part")) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert list(folder.iterdir()) == []
    assert uploads.listed(visitor.database) == []


def test_every_reason_for_a_row_has_words() -> None:
    from pigeonry.web.words import sentences

    assert {f"upload.row.{code}" for code in _CODES} <= set(sentences())
