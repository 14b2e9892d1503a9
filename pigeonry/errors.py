"""Every error that a user may see: what happened, to which thing, and what to do next.

A leaf class lives beside the code that raises it. Permanent or transient is decided at the
vendor's door; nothing above it guesses.
"""

from __future__ import annotations

from typing import ClassVar


class PigeonryError(Exception):
    """The one base class.

    `what` is a sentence, `where` names the row, column, field, file or id, `fix` is the next step.
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 2

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        self.what = what
        self.where = where
        self.fix = fix
        super().__init__(str(self))

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}\n  -> {self.fix}" if self.fix else text


class WrongUse(PigeonryError):
    """The call, a file or a setting is wrong; nothing was changed. Exit code 2."""

    code = "wrong_use"
    exit_code = 2


class ConfigError(WrongUse):
    """A setting is missing, unknown or malformed."""

    code = "config"


class BadInput(WrongUse):
    """A file that somebody handed us cannot be understood as a whole."""

    code = "bad_input"


class NotFound(WrongUse):
    """The thing that was named does not exist."""

    code = "not_found"


class Refused(PigeonryError):
    """Refused for safety: HOLD, consent, budget, approval. Exit code 3."""

    code = "refused"
    exit_code = 3


class OutsideFailure(PigeonryError):
    """Something outside this program failed: disk, database, provider, model. Exit code 4.

    `transient` says whether the same call may succeed later.
    """

    code = "outside"
    exit_code = 4

    def __init__(
        self, what: str, *, where: str = "", fix: str = "", transient: bool = False
    ) -> None:
        self.transient = transient
        super().__init__(what, where=where, fix=fix)
