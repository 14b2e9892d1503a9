"""The far end: an SMTP server and a SendGrid-like one that write each key down before they answer, and misbehave
on purpose. A process of its own: what it logged is what counts, whatever the sender believes.

`python -m pigeonry.prove.sinks smtp|sendgrid LOG MISCHIEF.json`; the first line of the log is the port.
A later line is `TIME KEY BEGAN`: when it was accepted, and when its first byte came, in seconds since 1970.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

from pigeonry.errors import OutsideFailure
from pigeonry.prove.mischief import Mischief

_KEY = re.compile(rb"^X-Pigeonry-Key: ([0-9a-f]{32})", re.MULTILINE)
_START_SECONDS = 20.0
_LONGEST = 2**24  # bytes of one mail


class _Log:
    def __init__(self, file: TextIO) -> None:
        self._file = file

    def accept(self, key: str, began: float) -> None:
        """Before the answer: from here on the mail is accepted, whoever hears of it."""
        self._file.write(f"{time.time():.6f} {key} {began:.6f}\n")
        self._file.flush()


async def _smtp(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, log: _Log, mischief: Mischief
) -> None:
    def say(text: str) -> None:
        writer.write(text.encode() + b"\r\n")

    say("220 sink ESMTP")
    fate, began = "", time.time()
    while line := await reader.readline():
        command = line.strip().upper()
        if command.startswith(b"EHLO"):
            say("250-sink")
            say("250-PIPELINING")
            say("250 8BITMIME")
        elif command.startswith(b"MAIL"):
            fate, began = mischief.draw(), time.time()
            say("250 OK")
        elif command.startswith(b"RCPT"):
            say("550 5.1.1 no such user here" if fate == "refuse" else "250 OK")
        elif command == b"DATA":
            if fate == "refuse":
                say("503 5.5.1 no recipient")
                continue
            say("354 go on")
            await writer.drain()
            if fate == "reset_body":
                await reader.read(1 + mischief.number(400))
                writer.transport.abort()
                return
            body = await reader.readuntil(b"\r\n.\r\n")
            found = _KEY.search(body)
            key = found[1].decode() if found else "?"
            if not await _after_dot(writer, log, mischief, fate, key, began):
                return
        elif command == b"QUIT":
            say("221 bye")
            await writer.drain()
            return
        else:
            say("250 OK")
        if reader.at_eof():
            return
        await writer.drain()


async def _after_dot(
    writer: asyncio.StreamWriter, log: _Log, mischief: Mischief, fate: str, key: str, began: float
) -> bool:
    """Answer the final dot; False when the connection is over."""
    if fate == "later":
        writer.write(b"451 4.3.0 try again later\r\n")
        return True
    if not await _take(writer, log, mischief, fate, key, began, half=b"25"):
        return False
    writer.write(f"250 2.0.0 queued as {key[:12]}\r\n".encode())
    return True


async def _sendgrid(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, log: _Log, mischief: Mischief
) -> None:
    while True:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return
        fate, began = mischief.draw(), time.time()
        length = int(re.search(rb"(?i)^content-length: *(\d+)", head, re.MULTILINE)[1])  # type: ignore[index]
        closing = b"connection: close" in head.lower()
        if fate == "reset_request":
            await reader.readexactly(min(length, 1 + mischief.number(length)))
            writer.transport.abort()
            return
        body = json.loads(await reader.readexactly(length))
        key = body["personalizations"][0]["custom_args"]["send_key"]
        if not await _answer(writer, log, mischief, fate, key, began):
            return
        await writer.drain()
        if closing:
            return


async def _answer(
    writer: asyncio.StreamWriter, log: _Log, mischief: Mischief, fate: str, key: str, began: float
) -> bool:
    def say(status: str, extra: str = "") -> None:
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n{extra}\r\n".encode())

    if fate == "refuse":
        say("400 Bad Request")
        return True
    if fate == "busy":
        say("429 Too Many Requests", "Retry-After: 1\r\n")
        return True
    if fate == "error_before":
        say("500 Internal Server Error")
        return True
    if not await _take(writer, log, mischief, fate, key, began, half=b"HTTP/1.1 202 Acc"):
        return False
    if fate == "error_after":
        say("500 Internal Server Error")
        return True
    say("202 Accepted", f"X-Message-Id: {key[:12]}\r\n")
    return True


async def _take(
    writer: asyncio.StreamWriter,
    log: _Log,
    mischief: Mischief,
    fate: str,
    key: str,
    began: float,
    *,
    half: bytes,
) -> bool:
    """Write the mail down as accepted; False when the connection is over without a whole answer."""
    if fate == "hole":
        await asyncio.sleep(mischief.hole_seconds)
        writer.transport.abort()
        return False
    log.accept(key, began)
    if fate == "drop":
        writer.transport.abort()
        return False
    if fate == "half":
        writer.write(half)
        await writer.drain()
        writer.close()
        return False
    await asyncio.sleep(mischief.slow_seconds if fate == "late" else mischief.delay_ms / 1000)
    return True


_TALKS: dict[str, Callable[..., object]] = {"smtp": _smtp, "sendgrid": _sendgrid}


async def _serve(kind: str, file: TextIO, mischief: Mischief) -> None:
    log = _Log(file)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _TALKS[kind](reader, writer, log, mischief)  # type: ignore[misc]
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # its client was killed: that is what this is for
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, limit=_LONGEST, backlog=512)
    file.write(f"{server.sockets[0].getsockname()[1]}\n")
    file.flush()
    async with server:
        await server.serve_forever()


@contextmanager
def running(kind: str, log: Path, mischief: Mischief) -> Iterator[int]:
    """The far end in a process of its own; its port."""
    script = log.with_suffix(".json")
    script.write_text(json.dumps(asdict(mischief)))
    child = subprocess.Popen(
        [sys.executable, "-m", "pigeonry.prove.sinks", kind, str(log), str(script)]
    )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not log.exists() or not log.read_text().endswith("\n"):
            if child.poll() is not None or time.monotonic() > deadline:
                raise OutsideFailure("the sink did not start", where=str(log), fix="run it again")
            time.sleep(0.02)
        yield int(log.read_text().splitlines()[0])
    finally:
        child.kill()
        child.wait()


def main() -> None:
    kind, log, script = sys.argv[1:]
    with Path(log).open("a", encoding="ascii") as file:
        mischief = Mischief(**json.loads(Path(script).read_text()))
        asyncio.run(_serve(kind, file, mischief))


if __name__ == "__main__":
    main()
