"""The bytes of an upload: plain or gzip, bounded, and never a spreadsheet or archive in disguise."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import BinaryIO, cast

from pigeonry.errors import BadInput

MAX_OUTPUT = 8 * 1024**3  # bytes a gzip may unpack to
MAX_RATIO = 200  # real CSV packs 3 to 30 times; a bomb a thousand
_RATIO_FROM = 16 * 1024**2  # bytes unpacked before the ratio is looked at

_FOREIGN = (
    (b"PK\x03\x04", "a spreadsheet (.xlsx) or zip file"),
    (b"PK\x05\x06", "an empty zip file"),
    (b"\xd0\xcf\x11\xe0", "an old Excel file (.xls)"),
    (b"%PDF", "a PDF"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ", "an xz file"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file"),
    (b"PAR1", "a Parquet file"),
    (b"SQLite format 3", "a SQLite database"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"{\\rtf", "an RTF document"),
)
_MARKUP = (b"<html", b"<!doctype", b"<?xml", b"<table")


def open_bytes(path: Path) -> BinaryIO:
    """Open for reading from the start; a gzip is unpacked on the way, within limits.

    Raises BadInput for anything that is no text table, OSError where the file cannot be read.
    """
    raw = path.open("rb")
    try:
        head = raw.read(512)
        raw.seek(0)
        if head[:2] != b"\x1f\x8b":
            _refuse_foreign(head, path)
            return raw
        unpacked = io.BufferedReader(cast("io.RawIOBase", _Gunzip(raw, path)), 1 << 18)
        head = unpacked.peek(512)[:512]
        if head[:2] == b"\x1f\x8b":
            raise _refused(path, "a gzip inside a gzip", "unpack it once")
        _refuse_foreign(head, path)
        return cast("BinaryIO", unpacked)
    except BaseException:
        raw.close()
        raise


def _refuse_foreign(head: bytes, path: Path) -> None:
    for magic, what in _FOREIGN:
        if head.startswith(magic):
            raise _refused(path, what, "open it in its own program and save it as CSV (UTF-8)")
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_MARKUP):
        raise _refused(path, "an HTML or XML page", "export the list as CSV (UTF-8)")


def _refused(path: Path, what: str, fix: str) -> BadInput:
    return BadInput(f"this is {what}, not a CSV file", where=path.name, fix=fix)


class _Gunzip(io.RawIOBase):
    """A gzip stream that stops at a bomb and names a damaged file."""

    def __init__(self, raw: BinaryIO, path: Path) -> None:
        self._raw = raw
        self._path = path
        self._file = gzip.GzipFile(fileobj=raw, mode="rb")
        self._out = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        try:
            found = self._file.readinto(view)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise BadInput(
                f"the gzip file is damaged or cut off: {error}",
                where=self._path.name,
                fix="export or copy it again",
            ) from error
        self._out += found
        packed = max(1, self._raw.tell())
        if self._out > MAX_OUTPUT or (self._out > _RATIO_FROM and self._out > MAX_RATIO * packed):
            raise BadInput(
                f"the gzip unpacks to far more than a list would ({self._out:,} bytes and more)",
                where=self._path.name,
                fix="if it is a real list, unpack it and import the plain file",
            )
        return found

    def close(self) -> None:
        if not self.closed:
            self._file.close()
            self._raw.close()
        super().close()
