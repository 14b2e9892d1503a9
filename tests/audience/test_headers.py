"""Columns find their field by the names that people and CRM exports use."""

from __future__ import annotations

from pathlib import Path

import pytest

from audience.aliases import ALIASES, Field
from audience.folding import fold
from audience.headers import map_columns
from pigeonry.errors import BadInput, WrongUse


@pytest.mark.parametrize(
    ("header", "fields"),
    [
        (
            ["Adresă de e-mail", "PRENUME", "nume", "Telefon", "Oraș", "Țara", "Dezabonat", "Ocupație"],
            "email first_name last_name phone city country do_not_mail attribute",
        ),
        (
            ["Record ID", "First Name", "Last Name", "Email", "Company Name", "Country/Region",
             "Unsubscribed from all email", "Opted out of email: One to One", "Preferred language"],
            "external_id first_name last_name email company country do_not_mail do_not_mail language",
        ),
        (
            ["hs_object_id", "firstname", "lastname", "email", "hs_email_optout", "hs_email_optout_42",
             "hs_language", "hs_timezone", "hs_legal_basis"],
            "external_id first_name last_name email do_not_mail do_not_mail language timezone consent",
        ),
        (
            ["Lead ID", "FirstName", "LastName", "Email", "HasOptedOutOfEmail", "MobilePhone",
             "MailingCountry", "LanguageCode"],
            "external_id first_name last_name email do_not_mail phone country language",
        ),
        (
            ["Email Address", "First Name", "Last Name", "MEMBER_STATUS", "OPTIN_TIME", "EUID", "TAGS",
             "UNSUB_TIME"],
            "email first_name last_name member_status consent_date external_id attribute do_not_mail",
        ),
        (["property_email", "property_firstname"], "email first_name"),
        (["Person - Email", "Person - Name"], "email full_name"),
        (["email", "id", "status", "is_admin", "__proto__"],
         "email attribute attribute attribute attribute"),
    ],
)  # fmt: skip
def test_names_of_many_programs_are_known(header: list[str], fields: str) -> None:
    found = map_columns(header, {}, where="f.csv")
    assert [field.value for field in found.fields] == fields.split()


def test_every_alias_is_written_as_it_is_compared_and_stands_once() -> None:
    names = [name for aliases in ALIASES.values() for name in aliases]
    assert names == [fold(name) for name in names]
    assert len(names) == len(set(names))


def test_what_the_user_says_wins() -> None:
    found = map_columns(
        ["Email", "Work", "Note", "Note"],
        {"Work": "email", "#4": "ignore", "email": "attribute"},
        where="f.csv",
    )
    assert [field.value for field in found.fields] == ["attribute", "email", "attribute", "ignore"]


def test_a_second_best_name_steps_back_and_is_told() -> None:
    found = map_columns(["Work email", "Email", "Mobil", "Telefon"], {}, where="f.csv")
    assert [f.value for f in found.fields] == ["attribute", "email", "attribute", "phone"]
    assert "Work email" in found.notes[0]
    assert "Mobil" in found.notes[1]


@pytest.mark.parametrize(
    ("header", "overrides", "error", "says"),
    [
        (["name", "city"], {}, BadInput, "no column holds the e-mail"),
        (["Email", "E-mail address"], {}, BadInput, "several columns could be"),
        (["email", "city", "city"], {}, BadInput, r"'city' \(columns 2 and 3\)"),
        ([f"c{number}" for number in range(10_000)], {}, BadInput, "10,000 columns"),
        (["ana@example.com", "Ana"], {}, BadInput, "row of data"),
        (["Email", "City"], {"Ctiy": "city"}, WrongUse, "did you mean 'City'"),
        (["Email", "City"], {"City": "citty"}, WrongUse, "did you mean 'city'"),
        (["Email", "A", "B"], {"A": "city", "B": "city"}, WrongUse, "two columns are mapped"),
    ],
)
def test_a_header_that_cannot_be_used_is_refused_with_its_columns(
    header: list[str], overrides: dict[str, str], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        map_columns(header, overrides, where="f.csv")


def test_a_column_without_a_name_gets_one() -> None:
    found = map_columns(["email", "", "x"], {}, where="f.csv")
    assert found.names == ("email", "column 2", "x")
    assert found.column(Field.EMAIL) == 0


def test_the_guide_lists_every_name_that_is_known() -> None:
    guide = (Path(__file__).parents[2] / "docs/guides/csv-upload.md").read_text(encoding="utf-8")
    for field, names in ALIASES.items():
        assert f"| `{field.value}` | {', '.join(names)} |" in guide
