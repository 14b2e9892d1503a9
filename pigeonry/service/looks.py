"""Checks that take too long for a page: done behind it, shown when they are there, done again each hour."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Any, Generic, TypeVar

from pigeonry.config import Home
from pigeonry.errors import PigeonryError

PATIENCE = 0.02  # seconds that a page waits for a check
_REMEMBERED = 64


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that would go wrong: a finding's name, what was found, what to do."""

    name: str
    detail: str
    fix: str


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What a look found last; `value` is None before any has ended. `fresh`: nothing is different now."""

    value: T | None
    fresh: bool


@dataclass(slots=True)
class _Asked:
    mark: object
    future: Future[Any]
    last: Any = None

    @property
    def failed(self) -> bool:
        return self.future.exception() is not None

    @property
    def newest(self) -> Any:
        return self.last if self.failed else self.future.result()


class Looks:
    """The last answers of one process, and the one thread that works them out."""

    def __init__(self) -> None:
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="look")
        self._asked: OrderedDict[str, _Asked] = OrderedDict()
        self._turn = Lock()

    def ask(
        self, name: str, mark: object, look: Callable[[], T], *, patience: float = PATIENCE
    ) -> Answer[T]:
        """The answer for that mark, when it is there within `patience` seconds; else the one before it.

        While a look is under way no other of its name is begun.
        """
        with self._turn:
            asked = self._asked.get(name)
            if asked is None or (asked.future.done() and (asked.mark != mark or asked.failed)):
                last = asked.newest if asked else None
                asked = _Asked(mark, self._worker.submit(look), last)
                self._asked[name] = asked
            self._asked.move_to_end(name)
            while len(self._asked) > _REMEMBERED:
                self._asked.popitem(last=False)
        try:
            return Answer(asked.future.result(timeout=patience), asked.mark == mark)
        except TimeoutError:
            return Answer(asked.last, False)


LOOKS = Looks()
Problems = tuple[Problem, ...]


def home_problems(home: Home, *, now: datetime, patience: float = PATIENCE) -> Answer[Problems]:
    """What the doctor finds amiss."""

    def look() -> Problems:
        from pigeonry.service.doctor import diagnose

        return tuple(Problem(c.name, c.detail, c.fix) for c in diagnose(home) if not c.ok)

    return LOOKS.ask(str(home.path), f"{now:%Y%m%d%H}", look, patience=patience)


def brief_problems(
    home: Home, campaign_id: int, source: str, *, now: datetime, patience: float = PATIENCE
) -> Answer[Problems]:
    """What has to be mended before mails of this brief may leave, as far as that can be seen without asking
    a name server."""

    def look() -> Problems:
        return tuple(_preflight(home, source, now))

    mark = (f"{now:%Y%m%d%H}", source)
    return LOOKS.ask(f"{home.path} {campaign_id}", mark, look, patience=patience)


def _preflight(home: Home, source: str, now: datetime) -> Iterator[Problem]:
    from generation.brief import parse_brief
    from pigeonry.delivery.findings import Severity
    from pigeonry.service.preflight import preflight

    try:
        found = preflight(home, parse_brief(source, where="brief"), look_up=None, now=now)
    except PigeonryError as error:  # a mail that could not leave at all is a finding, too
        yield Problem(error.code, error.what, error.fix)
        return
    for finding in found:
        if not finding.ok and finding.known and finding.severity is Severity.MUST:
            yield Problem(finding.name, finding.detail, finding.fix)
