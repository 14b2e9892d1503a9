"""Takes lead files in, and answers for single people: show, export, erase.

Merge policy (the rules of fields stand in `audience.merge`): a lead is unique by its canonical address;
rows of one address are joined first, stated values replace stored ones, empty cells replace nothing;
consent and suppression take the most restrictive side, so that no import ever turns a withdrawal or a
suppression into a grant; an erased address is not stored again.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from audience.consent import NO_BASIS, named_basis, no_basis
from audience.csv_import import Table, open_table
from audience.headers import Columns, map_columns
from audience.rows import Limits, Record
from audience.understand import Understanding, Understood
from pigeonry.config import Home
from pigeonry.domain import ConsentClaim, LeadRecord, RowError
from pigeonry.domain.progress import Progress, silent
from pigeonry.errors import BadInput, PigeonryError, WrongUse
from pigeonry.service import late
from pigeonry.service.error_file import ErrorFile
from pigeonry.service.merging import Difference, Merged, Origin, merge_groups
from pigeonry.service.repeated import Addresses, Aside, Group
from pigeonry.store import consent_texts, imports
from pigeonry.store.session import Database, Session

_SHOWN = 100  # differences that a report carries


@dataclass(frozen=True, slots=True)
class ImportReport:
    """rows = created + updated + unchanged + rejected; `suppressed` is counted within them.

    Of several rows of one address the first counts as what became of the lead, a later one as updated
    when it brought something new to a lead that changed, else as unchanged. `consented` counts rows
    whose lead agrees to marketing after this import. `errors` holds the first 1,000 of `error_count`;
    all are in `errors_file`.
    """

    rows: int
    created: int
    updated: int
    unchanged: int
    rejected: int
    suppressed: int
    consented: int
    encoding: str
    confidence: float
    delimiter: str
    mapping: Mapping[str, str]
    errors: tuple[RowError, ...]
    error_count: int
    errors_file: Path | None
    dry_run: bool
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]
    seconds: float
    run_id: int | None


@dataclass(slots=True)
class _Count:
    rows: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    suppressed: int = 0
    consented: int = 0
    differences: list[Difference] = field(default_factory=list)

    def add(self, merged: Merged) -> None:
        self.created += merged.created
        self.updated += merged.updated
        self.unchanged += merged.unchanged
        self.rejected += sum(group.rows for group in merged.erased)
        self.suppressed += merged.suppressed
        self.consented += merged.consented
        room = _SHOWN - len(self.differences)
        self.differences += merged.differences[: max(0, room)]

    def numbers(self) -> dict[str, int]:
        names = ("rows", "created", "updated", "unchanged", "rejected", "suppressed", "consented")
        return {name: getattr(self, name) for name in names}


def import_leads(
    db: Database,
    home: Home,
    path: Path,
    *,
    mapping: Mapping[str, str],
    consent: ConsentClaim | None,
    dry_run: bool,
    encoding: str | None = None,
    delimiter: str | None = None,
    now: datetime,
    progress: Progress = silent,
    name: str = "",
    resume: int | None = None,
    begun: Callable[[Session, int], None] | None = None,
) -> ImportReport:
    """Import a CSV file (or gzip of one): read twice as a stream, stored in batches of one transaction.

    `mapping` says what columns are (column name or #number -> field); `consent` what was agreed for the
    whole file, where its rows don't say otherwise. A bad row never stops a good one. Running it again,
    also after it was killed, ends in the same state; `dry_run` writes nothing at all.

    `name` is what the file is called, where its own name says nothing; `resume` the number of an import of
    this file that was cut short: it goes on, and its report tells of all of it. `begun` is called in the
    transaction in which an import gets its number.

    Raises BadInput for a file that cannot be understood as a whole (nothing is stored then), WrongUse
    for an override that fits no column, OutsideFailure for a full disk (finished batches are kept).
    """
    began = time.monotonic()
    limit = home.settings.audience.max_field_kb * 1024
    _known_text(db, consent)
    if not path.is_file():
        raise BadInput("there is no such file", where=str(path), fix="check its name")
    table = open_table(
        path,
        encoding=encoding,
        delimiter=delimiter,
        limits=Limits(cell=limit, line=max(1 << 20, 2 * limit)),
    )
    columns = map_columns(table.header, mapping, where=path.name)
    reading = Understanding(columns, claim=consent, now=now, comma_below=table.encoding.comma_below)
    addresses, total = _first_pass(table, reading, progress)
    notes = [*columns.notes, *([table.encoding.note] if table.encoding.note else [])]
    run_id, began_at = None, now
    if not dry_run:
        with db.write() as session:
            if before := imports.last_done(session, table.digest):
                notes.append(f"exactly this file was imported on {before:%Y-%m-%d %H:%M} UTC")
            run_id, began_at = _begin(session, table, name or path.name, resume, begun, now)
    report = home.reports / f"import-{run_id}-errors.csv" if run_id is not None else None
    errors = ErrorFile(report, columns.names)
    count = _Count()
    origin = Origin(
        key=_key(home, dry_run),
        default_country=home.settings.audience.default_country,
        source=f"import {name or path.name}"[:200],
        at=began_at,
        dry_run=dry_run,
        consent_days=home.settings.privacy.consent_days,
        run=run_id,
        resumed=resume is not None,
    )
    try:
        _second_pass(db, table, reading, addresses, total, origin, errors, count, progress, home)
        errors_file = errors.close()
    except BaseException:
        errors.discard()
        if run_id is not None:
            _cut_short(db, run_id, count, now)
        raise
    if run_id is not None:
        with db.write() as session:
            imports.finish(session, run_id, counts=count.numbers(), at=now)
    return ImportReport(
        **count.numbers(),
        encoding=table.encoding.name,
        confidence=table.encoding.confidence,
        delimiter=table.delimiter,
        mapping=_said(columns),
        errors=tuple(errors.kept),
        error_count=errors.count,
        errors_file=errors_file,
        dry_run=dry_run,
        differences=tuple(count.differences),
        notes=tuple(notes),
        seconds=time.monotonic() - began,
        run_id=run_id,
    )


def parse_mapping(pairs: Iterable[str]) -> dict[str, str]:
    """COLUMN=FIELD pairs as a mapping. The last equals sign counts: a column's name may have one."""
    found = {}
    for text in pairs:
        column, equals, named = text.rpartition("=")
        if not equals or not column.strip() or not named.strip():
            raise WrongUse(
                f"{text!r} is no mapping",
                where="--map",
                fix="write COLUMN=FIELD, for example --map 'Mail address=email'",
            )
        found[column.strip()] = named.strip()
    return found


def parse_claim(text: str, evidence: str = "") -> ConsentClaim:
    """BASIS:SOURCE as a claim, for example `express:newsletter-form`; `express:form@VERSION` names the
    consent text that was shown. `evidence` is what an existing customer needs (`audience.evidence`)."""
    named, _, source = text.partition(":")
    source, version = _versioned(source.strip())
    basis = named_basis(named)
    if basis is None and no_basis(named):
        raise WrongUse(
            f"{named.strip()!r} is {NO_BASIS}",
            where="--consent",
            fix="import without --consent (nobody is mailed then) and ask people to confirm",
        )
    if basis is None or not source:
        raise WrongUse(
            f"{text!r} names no legal basis with its source",
            where="--consent",
            fix="write express:SOURCE or existing-customer:SOURCE, for example express:newsletter-form",
        )
    return ConsentClaim(basis, source[:200], evidence.strip(), version)


def _versioned(source: str) -> tuple[str, str]:
    found = re.fullmatch(r"(.*)@([0-9a-f]{16})", source)
    return (found[1].strip(), found[2]) if found else (source, "")


def _begin(
    session: Session,
    table: Table,
    name: str,
    resume: int | None,
    begun: Callable[[Session, int], None] | None,
    now: datetime,
) -> tuple[int, datetime]:
    """(number, moment) of the import. One that goes on keeps its moment: by it what it did is known."""
    earlier = imports.get(session, resume) if resume is not None else None
    if earlier is not None:
        if earlier.file_hash != table.digest:
            raise WrongUse("this is another file", where=f"import {earlier.id}")
        imports.resume(session, earlier.id)
        return earlier.id, earlier.started_at
    run_id = imports.start(session, file_name=name, file_hash=table.digest, at=now)
    if begun is not None:
        begun(session, run_id)
    return run_id, now


def _cut_short(db: Database, run_id: int, count: _Count, now: datetime) -> None:
    """Say what was stored so far; where even that fails, the next import of the file does."""
    stored = {
        **count.numbers(),
        "rows": count.created + count.updated + count.unchanged + count.rejected,
    }
    with suppress(PigeonryError), db.write() as session:
        imports.finish(session, run_id, counts=stored, at=now, state=imports.INTERRUPTED)


def _known_text(db: Database, claim: ConsentClaim | None) -> None:
    if claim is None or not claim.text_version:
        return
    with db.read() as session:
        if consent_texts.get(session, claim.text_version) is None:
            raise WrongUse(
                f"there is no consent text {claim.text_version}",
                where="--consent",
                fix="see `pigeonry consent text list`, or add it: pigeonry consent text add FILE",
            )


def _first_pass(table: Table, reading: Understanding, progress: Progress) -> tuple[Addresses, int]:
    """Which addresses repeat, and how many records there are. Finds whatever makes the file useless
    (a damaged gzip, say) before anything is stored."""
    addresses = Addresses()
    total = 0
    for record in table.records():
        total += 1
        email = reading.address(record)
        if email is not None:
            addresses.add(email)
        if not total % 5000:
            progress("looking through the rows", total)
    addresses.close()
    return addresses, total


def _second_pass(
    db: Database,
    table: Table,
    reading: Understanding,
    addresses: Addresses,
    total: int,
    origin: Origin,
    errors: ErrorFile,
    count: _Count,
    progress: Progress,
    home: Home,
) -> None:
    size = home.settings.audience.batch
    batch: list[Group] = []

    def flush() -> None:
        if batch:
            merged = merge_groups(db, batch, origin)
            count.add(merged)
            for group in merged.erased:
                errors.add(_erased(group), ())
            batch.clear()

    def again(record: Record) -> LeadRecord | None:
        item = reading.read(record)
        return None if item is None else item.record

    speaks = late.speaks_of_erased(db, origin.key)
    with Aside(addresses.repeats) as aside:
        for number, record in enumerate(table.records(), 1):
            if not number % 500:
                progress("importing rows", number, total)
            item = reading.read(record)
            if item is None:
                continue
            count.rows += 1
            _report(errors, item, speaks)
            if item.record is None:
                count.rejected += 1
            elif item.record.email in addresses:
                aside.put(item.record.email, record)
            else:
                batch.append(Group(item.record))
                if len(batch) >= size:
                    flush()
        for group in aside.groups(again):
            batch.append(group)
            if len(batch) >= size:
                flush()
        flush()
    progress("importing rows", total, total)


def _report(errors: ErrorFile, item: Understood, speaks: Callable[[Iterable[str]], bool]) -> None:
    """Of a row that names an erased person only its place and what kind of error it has are kept."""
    hidden = bool(item.errors) and speaks(item.cells)
    for error in item.errors:
        if hidden:
            reason = "not shown: the row names somebody who was erased"
            errors.add(replace(error, value="", reason=reason), ())
        else:
            errors.add(error, item.cells)


def _erased(group: Group) -> RowError:
    """Says nothing of the person: not even the address is kept."""
    more = f" (and {group.rows - 1} more rows of it)" if group.rows > 1 else ""
    return RowError(
        group.record.row,
        group.record.line,
        "",
        "",
        "erased",
        f"this person asked to be erased: not stored again{more}",
    )


def _key(home: Home, dry_run: bool) -> bytes:
    """A dry run makes no secret either: without one there is nothing suppressed to find."""
    if dry_run and not (home.path / "secrets" / "suppression.key").exists():
        return bytes(32)
    return home.secret("suppression.key")


def _said(columns: Columns) -> dict[str, str]:
    return {name: found.value for name, found in zip(columns.names, columns.fields, strict=True)}
