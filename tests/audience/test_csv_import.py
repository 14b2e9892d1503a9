"""Files as they really come: every encoding, delimiter and fault gives rows or one clear error."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audience.csv_import import Table, open_table
from audience.rows import Limits, Lines, Record, records
from pigeonry.errors import BadInput

TEXT = (
    "email,nume,oras\n"
    "ion@example.com,Ştefan Ţîru,Bucureşti\n"
    "ana@example.com,Mihăiţă Râşnov,Iaşi\n"
    "eva@example.com,Sânziana Pârvu,Târgu Mureş\n"
)


def put(folder: Path, data: bytes | str, name: str = "leads.csv") -> Path:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def good(table: Table) -> list[list[str]]:
    return [record.cells for record in table.records() if record.problem is None]


def problems(table: Table) -> list[tuple[int, int, str]]:
    return [
        (record.row, record.line, record.problem.code)
        for record in table.records()
        if record.problem is not None
    ]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1250", "iso8859-2"]
)
def test_an_encoding_is_found_by_the_romanian_letters(tmp_path: Path, encoding: str) -> None:
    table = open_table(put(tmp_path, TEXT.encode(encoding)))
    assert table.header == ("email", "nume", "oras")
    assert good(table)[0] == ["ion@example.com", "Ştefan Ţîru", "Bucureşti"]
    assert table.encoding.confidence > 0.8


def test_iso_8859_16_is_told_from_windows_1250_by_its_quotes(tmp_path: Path) -> None:
    text = (
        TEXT.translate(str.maketrans("şţŞŢ", "șțȘȚ"))
        .replace("Bucu", "„Bucu")
        .replace("ti\n", "ti”\n")
    )
    table = open_table(put(tmp_path, text.encode("iso8859-16")))
    assert table.encoding.name == "iso-8859-16"
    assert good(table)[0][1] == "Ștefan Țîru"


@pytest.mark.parametrize(
    "text",
    [
        "email,nom\na@b.example,Hélène Lefèvre\nb@b.example,Benoît Garçon à Orléans\n",
        "email,nombre\na@b.example,José Muñoz Peña\nb@b.example,Iñaki Núñez\n",
        "email,name\na@b.example,Jürgen Groß\nb@b.example,Bärbel Öttl – „gut“\n",
    ],
)
def test_western_names_are_read_as_windows_1252(tmp_path: Path, text: str) -> None:
    assert [",".join(row) for row in good(open_table(put(tmp_path, text.encode("cp1252"))))] == (
        text.strip().splitlines()[1:]
    )


def test_an_encoding_that_is_given_is_used(tmp_path: Path) -> None:
    table = open_table(put(tmp_path, TEXT.encode("cp1250")), encoding="iso-8859-2")
    assert table.encoding.name == "iso8859-2"
    with pytest.raises(BadInput, match="unknown encoding"):
        open_table(put(tmp_path, TEXT), encoding="klingon")


def test_an_invalid_byte_costs_its_own_row_only(tmp_path: Path) -> None:
    lines = TEXT.encode().splitlines(keepends=True)
    lines[2] = lines[2].replace("ă".encode(), b"\xe3\x28")
    table = open_table(put(tmp_path, b"".join(lines)))
    assert table.encoding.name == "utf-8"
    assert problems(table) == [(3, 3, "invalid_bytes")]
    assert len(good(table)) == 2
    broken = next(record for record in table.records() if record.problem)
    assert broken.problem is not None
    assert "0xE3 at character 4" in broken.problem.reason


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_delimiter_is_found_over_many_lines(tmp_path: Path, delimiter: str) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(["email", "note", "city"])
    for number in range(20):
        writer.writerow([f"a{number}@example.com", "one, two; three | four", "Iași"])
    table = open_table(put(tmp_path, out.getvalue()))
    assert table.delimiter == delimiter
    assert all(row[1] == "one, two; three | four" for row in good(table))


def test_a_delimiter_is_asked_for_when_two_fit(tmp_path: Path) -> None:
    path = put(tmp_path, "one,two;three\n1,2;3\n4,5;6\n")
    with pytest.raises(BadInput, match="--delimiter"):
        open_table(path)
    assert good(open_table(path, delimiter="semicolon"))[0] == ["1,2", "3"]


def test_excels_own_line_names_the_delimiter(tmp_path: Path) -> None:
    table = open_table(put(tmp_path, "sep=;\r\nemail;nume\r\na@example.com;Ana\r\n"))
    assert table.header == ("email", "nume")
    assert [(r.row, r.line) for r in table.records()] == [(3, 3)]


def test_a_file_of_one_column_is_fine(tmp_path: Path) -> None:
    assert good(open_table(put(tmp_path, "email\na@example.com\n"))) == [["a@example.com"]]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf \r\n\r\n", "empty"),
        (b"email,nume\n", "not a single row"),
        (b"email,nume\r\n\r\n\r\n", "not a single row"),
        (b"PK\x03\x04rest of a workbook", "spreadsheet"),
        (b"\xd0\xcf\x11\xe0 old workbook", "Excel"),
        (b"%PDF-1.7", "PDF"),
        (b"<!DOCTYPE html><table><tr><td>email", "HTML"),
        (b"email,na\x00me\na@example.com,x\n", "NUL"),
        (bytes(range(256)) * 40, "NUL|binary"),
        (gzip.compress(b"PK\x03\x04"), "spreadsheet"),
        (gzip.compress(gzip.compress(b"email\na@example.com\n")), "gzip inside"),
        (gzip.compress(TEXT.encode())[:-12], "damaged"),
        (b'"email,nume\na@example.com,x\n', "quotation mark"),
    ],
)
def test_what_is_no_table_is_refused_in_a_sentence(tmp_path: Path, data: bytes, what: str) -> None:
    with pytest.raises(BadInput, match=what) as caught:
        open_table(put(tmp_path, data))
    assert caught.value.fix
    assert "leads.csv" in caught.value.where


def test_one_line_of_forty_megabytes_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="longer than"):
        open_table(put(tmp_path, b"email," * 7_000_000))


def test_an_endless_line_below_the_header_costs_itself_only(tmp_path: Path) -> None:
    data = b"email,nume\na@example.com,x\n" + b"y" * 5_000_000 + b"\nb@example.com,z\n"
    table = open_table(put(tmp_path, data))
    assert problems(table) == [(3, 3, "line_too_long")]
    assert [row[0] for row in good(table)] == ["a@example.com", "b@example.com"]


def test_a_gzip_bomb_is_stopped_early(tmp_path: Path) -> None:
    path = tmp_path / "bomb.csv.gz"
    with gzip.open(path, "wb", compresslevel=9) as file:
        file.write(b"email,nume\n")
        for _ in range(60):
            file.write(b"a@example.com,aaaa\n" * 50_000)
    with pytest.raises(BadInput, match="unpacks to far more"):
        open_table(path)


def test_a_gzip_is_read_like_the_file_inside(tmp_path: Path) -> None:
    plain = open_table(put(tmp_path, TEXT))
    packed = open_table(put(tmp_path, gzip.compress(TEXT.encode()), "leads.csv.gz"))
    assert good(plain) == good(packed)
    assert plain.digest == packed.digest


def test_row_and_line_stay_right_below_cells_of_several_lines(tmp_path: Path) -> None:
    text = 'email,note\r\na@example.com,"one\r\ntwo\r\nthree"\r\n\r\nb@example.com,x\r\n'
    found = [(r.row, r.line, r.cells) for r in open_table(put(tmp_path, text)).records()]
    assert found == [
        (2, 2, ["a@example.com", "one\r\ntwo\r\nthree"]),
        (4, 6, ["b@example.com", "x"]),
    ]


def test_an_unclosed_quote_costs_its_line_and_names_it(tmp_path: Path) -> None:
    rows = [f"a{number}@example.com,x,y" for number in range(3000)]
    rows[10] = 'a10@example.com,"x,y'
    table = open_table(put(tmp_path, "email,b,c\n" + "\n".join(rows) + "\n"))
    assert problems(table) == [(12, 12, "unclosed_quote")]
    assert len(good(table)) == 2999
    broken = next(record for record in table.records() if record.problem)
    assert broken.problem is not None
    assert "line 12" in broken.problem.reason


def test_an_unclosed_quote_does_not_swallow_the_rows_before_the_next_quote(tmp_path: Path) -> None:
    text = 'email,name\na@example.com,"Ana\nb@example.com,Ion\nc@example.com,"Eva"\nd@example.com,Dan\n'
    table = open_table(put(tmp_path, text))
    assert problems(table) == [(2, 2, "unclosed_quote")]
    assert [row[0] for row in good(table)] == ["b@example.com", "c@example.com", "d@example.com"]


def test_rows_of_a_wrong_length_are_rejected_and_trailing_separators_are_not(
    tmp_path: Path,
) -> None:
    text = "email,a,b\nx@example.com,1\ny@example.com,1,2,3\nz@example.com,1,2,,\n,,\n;\nw@example.com,1,2\n"
    table = open_table(put(tmp_path, text))
    assert problems(table) == [
        (2, 2, "too_few_cells"),
        (3, 3, "too_many_cells"),
        (6, 6, "too_few_cells"),
    ]
    assert good(table) == [["z@example.com", "1", "2"], ["", "", ""], ["w@example.com", "1", "2"]]


def test_a_cell_beyond_the_limit_costs_its_row_only(tmp_path: Path) -> None:
    text = f"email,note\na@example.com,{'x' * 70_000}\nb@example.com,y\n"
    assert problems(open_table(put(tmp_path, text))) == [(2, 2, "cell_too_long")]


def test_a_nul_byte_far_below_costs_its_row_only(tmp_path: Path) -> None:
    text = "email,note\n" + "a@example.com,x\n" * 200 + "b@example.com,y\x00z\n"
    assert problems(open_table(put(tmp_path, text))) == [(202, 202, "nul_byte")]


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = put(tmp_path, TEXT)
    table = open_table(path)
    path.write_text(TEXT + "new@example.com,a,b\n")
    with pytest.raises(BadInput, match="changed"):
        list(table.records())


# A carriage return alone is a line end for us and an error for Python's csv: left out.
_CELL = st.text('ab,;"\n é', max_size=8)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.lists(_CELL, min_size=3, max_size=3), min_size=1, max_size=8),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_what_a_csv_writer_wrote_is_read_back_cell_by_cell(
    rows: list[list[str]], quoting: int
) -> None:
    out = io.StringIO()
    csv.writer(out, quoting=quoting).writerows(rows)  # type: ignore[arg-type]
    lines = Lines(io.StringIO(out.getvalue(), newline=""), 1 << 20)
    found = list(records(lines, ",", width=3, limits=Limits()))
    blank = [row for row in rows if not any(cell.strip() for cell in row)]
    wanted = [row for row in rows if row not in blank]
    assert [r.cells for r in found if any(c.strip() for c in r.cells)] == wanted
    assert not any(record.problem for record in found)


@settings(max_examples=300, deadline=None)
@given(st.text('ab,"\n', max_size=60))
def test_no_text_is_lost_or_read_twice(text: str) -> None:
    """Each line of any text belongs to exactly one record, or is blank."""
    lines = Lines(io.StringIO(text, newline=""), 1 << 20)
    found: list[Record] = list(records(lines, ",", width=2, limits=Limits()))
    starts = [record.line for record in found]
    assert starts == sorted(set(starts))
    single = {
        number
        for number, line in enumerate(text.split("\n"), 1)
        if line.strip(", ") and '"' not in line
    }
    covered: set[int] = set()
    for record in found:
        height = 1 + sum(cell.count("\n") for cell in record.cells)
        covered |= set(range(record.line, record.line + height))
    assert single <= covered


def test_csv_spectrum_is_read_as_its_authors_say(public_data: Path) -> None:
    folder = public_data / "csv_spectrum"
    for path in sorted((folder / "csvs").glob("*.csv")):
        table = open_table(path)
        found = [dict(zip(table.header, record.cells, strict=True)) for record in table.records()]
        wanted = json.loads((folder / "json" / f"{path.stem}.json").read_text(encoding="utf-8"))
        wanted = wanted if isinstance(wanted, list) else [wanted]
        if path.stem == "location_coordinates":
            for row in (*found, *wanted):
                row.pop("Contact Phone Number")  # its JSON has another number than its CSV
        if b"\r" not in path.read_bytes():
            wanted = json.loads(json.dumps(wanted).replace("\\r\\n", "\\n"))
        assert found == wanted, path.name
