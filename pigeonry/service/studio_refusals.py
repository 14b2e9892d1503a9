"""A studio that says no in a way that a page can say in another language."""

from __future__ import annotations

from pigeonry.errors import Refused


class StudioRefused(Refused):
    """`kind` names the reason, `said` what its sentence tells."""

    def __init__(self, kind: str, what: str, *, where: str, fix: str, **said: str | int) -> None:
        super().__init__(what, where=where, fix=fix)
        self.kind = kind
        self.said = said
