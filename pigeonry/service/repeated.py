"""Rows of one file that share an address, brought together in bounded memory.

A first pass over the file remembers eight bytes an address; rows of addresses that occur twice are put
aside on disk and come back grouped. So the order of a file's batches never decides what a lead becomes.
"""

from __future__ import annotations

import itertools
import json
import tempfile
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TextIO

from audience.merge import join
from audience.rows import Record
from pigeonry.domain import LeadRecord

_BUCKETS = 256
_ROWS_A_FILE = 5000
_FILES = 200  # open at once


class Addresses:
    """Which addresses occur more than once. A hash that collides only costs a detour."""

    def __init__(self) -> None:
        self._seen = [array("q") for _ in range(_BUCKETS)]
        self._repeated: list[array[int]] = []
        self.repeats = 0

    def add(self, email: str) -> None:
        number = hash(email)
        self._seen[number & (_BUCKETS - 1)].append(number)

    def close(self) -> None:
        """Keep those that occur at least twice."""
        for index, bucket in enumerate(self._seen):
            ordered = sorted(bucket)
            again = [one for one, two in itertools.pairwise(ordered) if one == two]
            self.repeats += len(again)
            self._repeated.append(array("q", sorted(set(again))))
            self._seen[index] = array("q")

    def __contains__(self, email: object) -> bool:
        number = hash(email)
        bucket = self._repeated[number & (_BUCKETS - 1)]
        if not bucket:
            return False
        at = bisect_left(bucket, number)
        return at < len(bucket) and bucket[at] == number


@dataclass(slots=True)
class Group:
    """All rows of one address as one record. `news` counts the later rows that changed it."""

    record: LeadRecord
    rows: int = 1
    news: int = 0

    def add(self, record: LeadRecord) -> None:
        joined = join([self.record, record])
        self.rows += 1
        if joined != replace(self.record, row=joined.row, line=joined.line):
            self.news += 1
        self.record = joined


class Aside:
    """Rows put aside in temporary files until the whole file was read."""

    def __init__(self, repeats: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="pigeonry-import-")
        self._count = min(_FILES, 1 + 2 * repeats // _ROWS_A_FILE)
        self._files: dict[int, TextIO] = {}

    def __enter__(self) -> Aside:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        for file in self._files.values():
            file.close()
        self._folder.cleanup()

    def put(self, email: str, record: Record) -> None:
        number = hash(email) % self._count
        file = self._files.get(number)
        if file is None:
            path = Path(self._folder.name) / f"{number}.jsonl"
            file = self._files[number] = path.open("w+", encoding="utf-8")
        file.write(json.dumps((record.row, record.line, record.cells)) + "\n")

    def groups(self, read: Callable[[Record], LeadRecord | None]) -> Iterator[Group]:
        """One group an address, in the order of their first rows within each temporary file."""
        for file in self._files.values():
            file.seek(0)
            found: dict[str, Group] = {}
            for text in file:
                row, line, cells = json.loads(text)
                record = read(Record(row, line, cells))
                if record is None:
                    continue
                group = found.get(record.email)
                if group is None:
                    found[record.email] = Group(record)
                else:
                    group.add(record)
            yield from found.values()
