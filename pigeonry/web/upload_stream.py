"""Reads the one file of a posted form piece by piece, so that a large one is never in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fastapi.concurrency import run_in_threadpool
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from pigeonry.web.limits import Turned

_PIECE = 1_000_000  # bytes that are written at once
_PATIENCE = 60.0  # seconds for the next bytes
_HEADERS = 8_000  # bytes of the headers of all parts
_AT_ONCE = 4
_open = 0


async def receive(request: Request, write: Callable[[bytes], None]) -> str:
    """Hand the file of a multipart form to `write`, in a thread; returns the file's name, "" when no file
    was chosen. Other fields are passed over.

    Raises Turned: 400 for what is no such form or broke off, 408 for a sender that stopped, 503 when too many
    send at once.
    """
    global _open
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 0 < len(boundary) <= 200:
        raise Turned(400, "send a form with a file", reason="bad_form")
    if _open >= _AT_ONCE:
        raise Turned(503, "too many files at once, come again", reason="busy", retry_after=30)
    _open += 1
    try:
        return await _read(request, _File(boundary), write)
    finally:
        _open -= 1


async def _read(request: Request, file: _File, write: Callable[[bytes], None]) -> str:
    stream = request.stream().__aiter__()
    try:
        while True:
            try:
                async with asyncio.timeout(_PATIENCE):
                    part = await anext(stream)
            except StopAsyncIteration:
                break
            file.feed(part)
            if file.size >= _PIECE:
                await run_in_threadpool(write, file.take())
        if file.size:
            await run_in_threadpool(write, file.take())
    except TimeoutError as error:
        raise Turned(408, "the file stopped coming", reason="too_slow") from error
    except ClientDisconnect as error:
        raise Turned(400, "the file broke off", reason="broken_off") from error
    except MultipartParseError as error:
        raise Turned(400, "not a form that can be read", reason="bad_form") from error
    if not file.ended:
        raise Turned(400, "the file broke off", reason="broken_off")
    return file.name


class _File:
    """The first part of a form that carries a file."""

    def __init__(self, boundary: bytes) -> None:
        self.name = ""
        self.size = 0
        self.ended = False
        self._pieces: list[bytes] = []
        self._header, self._value = b"", b""
        self._headers = 0
        self._ours = self._done = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._on_field,
                "on_header_value": self._on_value,
                "on_header_end": self._header_end,
                "on_part_data": self._data,
                "on_part_end": self._part_end,
                "on_end": self._end,
            },
        )

    def feed(self, data: bytes) -> None:
        self._parser.write(data)

    def take(self) -> bytes:
        pieces, self._pieces, self.size = self._pieces, [], 0
        return b"".join(pieces)

    def _begin(self) -> None:
        self._ours = False

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._header += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._value += data[start:end]

    def _count(self, size: int) -> None:
        self._headers += size
        if self._headers > _HEADERS:
            raise MultipartParseError("headers without end")

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition" and not self._done:
            _, options = parse_options_header(self._value)
            name = options.get(b"filename", b"")
            if name:
                self._ours = True
                self.name = name.decode("utf-8", "replace")[:1000]
        self._header, self._value = b"", b""

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._ours:
            self._pieces.append(data[start:end])
            self.size += end - start

    def _part_end(self) -> None:
        self._done = self._done or self._ours

    def _end(self) -> None:
        self.ended = True
