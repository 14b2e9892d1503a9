"""From the cells of a row to a lead record: fields by the columns' mapping, the rest as attributes.

A row is refused only for its address or its shape; a cell that cannot be taken is reported and left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from audience import consent, values
from audience.aliases import Field
from audience.countries import country_code
from audience.folding import fold
from audience.formula import restore
from audience.headers import Columns
from audience.rows import Record
from pigeonry.domain import ConsentClaim, Language, LeadRecord, RowError
from pigeonry.domain.address import canonical_email
from pigeonry.errors import WrongUse

_SHOWN = 120  # characters of a value that a report repeats
_LONGEST = {Field.PHONE: 40}  # characters that the database keeps; 200 elsewhere
_CACHE = 50_000
_COMMA = str.maketrans("şţŞŢ", "șțȘȚ")
_DAMAGED = re.compile(r"\d[.,]\d+E\+?\d+\Z", re.IGNORECASE)
_TEXTS = (
    Field.FIRST_NAME,
    Field.LAST_NAME,
    Field.FULL_NAME,
    Field.COMPANY,
    Field.PHONE,
    Field.CITY,
    Field.EXTERNAL_ID,
)
_LAST_FIRST = frozenset({"nume si prenume", "numele si prenumele", "nume prenume"})


@dataclass(frozen=True, slots=True)
class Understood:
    """A row as understood. `record` is None when it is refused; `errors` name what was not taken."""

    row: int
    line: int
    cells: Sequence[str]
    record: LeadRecord | None
    errors: tuple[RowError, ...] = ()


class Understanding:
    """Reads rows of one file. It keeps the mapping by column, and meanings of cells that repeat."""

    def __init__(
        self,
        columns: Columns,
        *,
        claim: ConsentClaim | None,
        now: datetime,
        comma_below: bool = False,
    ) -> None:
        self._columns = columns
        self._claim, self._stated = claim, claim
        self._now = now
        self._comma_below = comma_below
        self._email = columns.column(Field.EMAIL)
        self._texts = [
            (field, field.value, columns.column(field))
            for field in _TEXTS
            if field in columns.fields
        ]
        self._choices = [
            (field, columns.column(field))
            for field in (Field.LANGUAGE, Field.COUNTRY, Field.TIMEZONE)
            if field in columns.fields
        ]
        self._outs = columns.columns(Field.DO_NOT_MAIL)
        self._states = columns.columns(Field.MEMBER_STATUS)
        self._words = columns.columns(Field.CONSENT)
        self._source = columns.column(Field.CONSENT_SOURCE)
        self._date = columns.column(Field.CONSENT_DATE)
        self._attributes = [
            (name, index)
            for index, name in enumerate(columns.names)
            if columns.fields[index] is Field.ATTRIBUTE
        ]
        self._consents = bool(self._words or self._states or self._date >= 0)
        if claim is not None and not self._consents:
            self._stated = self._whole_file(claim)
        full = columns.column(Field.FULL_NAME)
        self._last_first = full >= 0 and fold(columns.names[full]) in _LAST_FIRST
        self._cells: dict[str, str] = {}
        self._said_out: dict[str, bool] = {"": False}
        self._good_texts: dict[tuple[Field, str], str] = {}

    def address(self, record: Record) -> str | None:
        """The canonical address of a row, as far as one is needed to see which addresses repeat: what
        is no address at all may come back too."""
        if record.problem is not None:
            return None
        cell = record.cells[self._email].strip()
        if cell.isascii() and cell[:1] != "'":
            return cell.lower()
        try:
            return canonical_email(restore(cell))
        except ValueError:
            return None

    def read(self, record: Record) -> Understood | None:
        """None for a row in which nothing stands."""
        row, line, cells, problem = record
        if problem is not None:
            error = self._error(record, problem.column, problem.value, problem.code, problem.reason)
            return Understood(row, line, cells, None, (error,))
        typed = cells[self._email]
        try:
            email = canonical_email(restore(typed.strip()))
        except ValueError as error:
            if not any(cell and not cell.isspace() for cell in cells):
                return None
            code = "bad_address" if typed.strip() else "no_address"
            found = self._error(record, self._email, typed, code, str(error))
            return Understood(row, line, cells, None, (found,))
        errors: list[RowError] = []
        known = self._cells
        attributes = {}
        for name, index in self._attributes:
            cell = cells[index]
            if cell:
                value = known.get(cell)
                if value is None:
                    value = self._clean(cell)
                if value:
                    attributes[name] = value
        fields: dict[str, str] = {}
        for field, name, index in self._texts:
            if cells[index]:
                fields[name] = self._text(record, field, index, errors)
        if "full_name" in fields:
            first, last = values.names_of(fields.pop("full_name"), last_first=self._last_first)
            fields.setdefault("first_name", first)
            fields.setdefault("last_name", last)
        language: Language | None = None
        for field, index in self._choices:
            value = (
                self._clean(cells[index]) if field is not Field.COUNTRY else cells[index].strip()
            )
            if not value:
                continue
            if field is Field.LANGUAGE:
                language = values.language(value)
                understood = language is not None
            elif field is Field.COUNTRY:
                understood = self._country(record, index, fields, errors)
            else:
                fields["timezone"] = values.timezone(value)
                understood = bool(fields["timezone"])
            if not understood:
                attributes[self._columns.names[index]] = value
        out = False
        for index in self._outs:
            said = self._said_out.get(cells[index])
            out = out or (self._opted_out(cells[index]) if said is None else said)
        agreed, withdrawn = (None, False) if out else (self._stated, False)
        if self._consents:
            out, agreed, withdrawn = self._consent(record, out, errors)
        return Understood(
            row,
            line,
            cells,
            LeadRecord(
                email=email,
                row=row,
                line=line,
                language=language,
                attributes=attributes,
                do_not_mail=out,
                consent=agreed,
                consent_withdrawn=withdrawn,
                **fields,
            ),
            tuple(errors),
        )

    def _whole_file(self, claim: ConsentClaim) -> ConsentClaim:
        """What every row of a file without consent columns agreed to."""
        found, _, doubt = consent.evidenced(claim, claim.proof, "", self._now)
        if found is None:
            raise WrongUse(
                doubt.removesuffix(": stored without consent"),
                where="consent",
                fix="give --evidence 'bought=...; on=...; similar=...; opt-out=yes', or a column with it",
            )
        return found

    def _clean(self, cell: str) -> str:
        """A cell's value, "" for a missing one. Remembered, because cells repeat."""
        value = self._whole(cell)
        value = "" if values.missing(value) else value
        if len(self._cells) >= _CACHE:
            self._cells.clear()
        if len(cell) <= 200:
            self._cells[cell] = value
        return value

    def _opted_out(self, cell: str) -> bool:
        out = consent.opted_out(self._whole(cell))
        if len(self._said_out) < _CACHE and len(cell) <= 40:
            self._said_out[cell] = out
        return out

    def _whole(self, cell: str) -> str:
        text, _ = values.visible(restore(cell.strip()))
        return text.translate(_COMMA) if self._comma_below else text

    def _text(self, record: Record, field: Field, index: int, errors: list[RowError]) -> str:
        cell = record.cells[index]
        known = self._good_texts.get((field, cell))
        if known is not None:
            return known
        text, hidden = values.visible(restore(cell.strip()))
        text = values.one_line(text.translate(_COMMA) if self._comma_below else text)
        if values.missing(text):
            text = ""
        if hidden:
            reason = "invisible characters were removed"
            errors.append(self._error(record, index, cell, "hidden_characters", reason))
        if len(text) > _LONGEST.get(field, 200):
            reason = f"longer than {_LONGEST.get(field, 200)} characters: the cell was left out"
            errors.append(self._error(record, index, cell, "too_long", reason))
            return ""
        if field is Field.PHONE and _DAMAGED.match(text):
            reason = "a spreadsheet turned this phone number into 1.2E+10 notation: left out"
            errors.append(self._error(record, index, cell, "damaged_number", reason))
            return ""
        if not hidden and len(cell) <= 40:
            if len(self._good_texts) >= _CACHE:
                self._good_texts.clear()
            self._good_texts[field, cell] = text
        return text

    def _country(
        self, record: Record, index: int, fields: dict[str, str], errors: list[RowError]
    ) -> bool:
        """A code where the name is known; otherwise the text as it is."""
        text = record.cells[index].strip()
        fields["country"] = country_code(text) or self._text(record, Field.COUNTRY, index, errors)
        return True

    def _consent(
        self, record: Record, out: bool, errors: list[RowError]
    ) -> tuple[bool, ConsentClaim | None, bool]:
        """(do not mail, consent, withdrawn) from the row's own columns."""
        cells = record.cells
        words = [consent.consent_word(self._whole(cells[i]), self._now) for i in self._words]
        for index in self._states:
            barred, word = consent.member_status(self._whole(cells[index]))
            out = out or barred
            words.append(word)
        source = self._clean(cells[self._source])[:200] if self._source >= 0 else ""
        proof = self._clean(cells[self._date])[:200] if self._date >= 0 else ""
        if self._date >= 0:
            dated = values.past(proof, self._now) if proof else None
            if dated is False:
                words.append(
                    consent.Word(doubt="the date of consent is impossible or in the future")
                )
            elif not self._words and not self._states:
                words.append(consent.Word(granted=dated is True))
        agreed, withdrawn, doubt = consent.decide(
            words, self._claim, source=source, proof=proof, now=self._now
        )
        if doubt:
            index = next(iter((*self._words, *self._states, self._date)))
            errors.append(self._error(record, index, cells[index], "consent_unclear", doubt))
        return out, None if out else agreed, withdrawn

    def _error(self, record: Record, column: int, value: str, code: str, reason: str) -> RowError:
        names = self._columns.names
        shown = "".join(letter if letter.isprintable() else "·" for letter in value[: _SHOWN + 1])
        if len(shown) > _SHOWN:
            shown = shown[: _SHOWN - 1] + "…"
        name = names[column] if 0 <= column < len(names) else ""
        return RowError(record.row, record.line, name, shown, code, reason)
