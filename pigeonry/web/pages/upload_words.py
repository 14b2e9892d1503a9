"""What a service says about a list, in the visitor's language."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pigeonry.errors import PigeonryError
from pigeonry.service.uploads import TooLarge
from pigeonry.store.consent_texts import ConsentTextRow
from pigeonry.web import words
from pigeonry.web.auth import Visit

DELIMITER_WORDS = ("comma", "semicolon", "tab", "pipe")
DELIMITER_OF = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}

# The beginning of what a service says -> the key of our sentence.
_PROBLEMS = {
    "this is a spreadsheet": "spreadsheet",
    "this is an old Excel": "spreadsheet",
    "this is a gzip": "gzip",
    "this is binary": "binary",
    "this is ": "not_csv",
    "the file is empty": "empty",
    "there is a header": "only_header",
    "no column holds": "no_email",
    "several columns could": "many_emails",
    "the first line is a row": "no_header",
    "two columns are mapped": "mapped_twice",
    "two columns are called": "called_twice",
    "cells may be separated": "which_delimiter",
    "an existing customer needs": "evidence",
}
_CODES = frozenset(
    {
        "bad_address", "no_address", "consent_unclear", "hidden_characters", "too_long",
        "damaged_number", "erased", "unclosed_quote", "too_few_cells", "too_many_cells",
        "line_too_long", "cell_too_long", "invalid_bytes", "nul_byte",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RowProblem:
    line: int
    column: str
    value: str
    reason: str


def problem(visit: Visit, error: PigeonryError) -> str:
    """One sentence; what we have no words for comes as the service says it."""
    if isinstance(error, TooLarge):
        most = int(visit.home.settings.web.max_upload_mb)
        return visit.t("upload.too_large", mb=most)
    for beginning, key in _PROBLEMS.items():
        if error.what.startswith(beginning):
            what = re.sub(r"^this is (an? )?|, not a CSV file$", "", error.what)
            return visit.t(f"upload.problem.{key}", what=what)
    return f"{error.what}. {error.fix}".strip() if error.fix else error.what


def row_error(visit: Visit, row: Mapping[str, Any]) -> RowProblem:
    code = str(row["code"])
    key = f"upload.row.{code}"
    reason = visit.t(key) if code in _CODES and key in words.sentences() else str(row["reason"])
    return RowProblem(int(row["line"]), str(row["column"]), str(row["value"]), reason)


def texts(rows: Iterable[ConsentTextRow]) -> list[tuple[str, str]]:
    """Consent texts as options: their version and how they begin."""
    return [(row.version, f"{row.language}: {row.text[:60]}") for row in rows]
