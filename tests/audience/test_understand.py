"""Rows become records: values cleaned, consent read strictly, faults named and never fatal."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from audience.headers import map_columns
from audience.rows import Record
from audience.understand import Understanding, Understood
from pigeonry.domain import ConsentBasis, ConsentClaim, Language, LeadRecord
from pigeonry.errors import WrongUse

NOW = datetime(2026, 11, 27, tzinfo=UTC)
CLAIM = ConsentClaim(ConsentBasis.EXPRESS, "newsletter-form")


def read(row: dict[str, str], claim: ConsentClaim | None = None, **options: bool) -> Understood:
    row = {"email": "ana@example.com", **row}
    columns = map_columns(list(row), {}, where="f.csv")
    reading = Understanding(columns, claim=claim, now=NOW, **options)
    found = reading.read(Record(2, 2, list(row.values())))
    assert found is not None
    return found


def taken(row: dict[str, str], claim: ConsentClaim | None = None) -> LeadRecord:
    record = read(row, claim).record
    assert record is not None
    return record


@pytest.mark.parametrize(
    "value",
    ["", " ", "Select", "select...", "N/A", "n.a.", "-", "--", "—", "NULL", "(null)", "None", "NaN",
     "Nespecificat", "Alege", "-- Select --", "Unknown", "#N/A", "?"],
)  # fmt: skip
def test_a_placeholder_is_a_missing_value(value: str) -> None:
    record = taken({"city": value, "job": value, "company": value})
    assert record.city == record.company == ""
    assert record.attributes == {}


def test_every_other_column_is_an_attribute_as_it_was_typed() -> None:
    record = taken({"Job Title": " Florar ", "__proto__": "x", "is_admin": "1", "note": "{{7*7}}"})
    assert record.attributes == {
        "Job Title": "Florar",
        "__proto__": "x",
        "is_admin": "1",
        "note": "{{7*7}}",
    }


def test_hidden_characters_leave_names_and_are_reported() -> None:
    found = read({"first name": "A\u200bna\u202e", "last name": "Pop\tescu\n"})
    assert found.record is not None
    assert (found.record.first_name, found.record.last_name) == ("Ana", "Pop escu")
    assert [(error.column, error.code) for error in found.errors] == [
        ("first name", "hidden_characters")
    ]


@pytest.mark.parametrize(
    ("header", "cell", "names"),
    [
        ("Nume complet", "Ana Maria Pop", ("Ana", "Maria Pop")),
        ("Nume și prenume", "Pop Ana Maria", ("Ana Maria", "Pop")),
        ("Full name", "Pop, Ana", ("Ana", "Pop")),
        ("Name", "Ana", ("Ana", "")),
    ],
)
def test_a_full_name_is_split_as_its_header_says(
    header: str, cell: str, names: tuple[str, str]
) -> None:
    record = taken({header: cell})
    assert (record.first_name, record.last_name) == names


@pytest.mark.parametrize(
    ("country", "code"),
    [("România", "RO"), ("romania", "RO"), ("ROU", "RO"), ("Germania", "DE"), ("Deutschland", "DE"),
     ("U.S.A.", "US"), ("Marea Britanie", "GB"), ("UK", "GB"), ("Republica Moldova", "MD"),
     ("Côte d'Ivoire", "CI"), ("NA", "NA"), ("Narnia", "Narnia"), ("N/A", "")],
)  # fmt: skip
def test_a_country_is_its_code_where_it_is_known(country: str, code: str) -> None:
    assert taken({"country": country}).country == code


@pytest.mark.parametrize(
    ("language", "found"),
    [("ro-RO", Language.RO), ("Română", Language.RO), ("limba română", Language.RO),
     ("en_US", Language.EN), ("English (UK)", Language.EN), ("engleză", Language.EN), ("fr", None)],
)  # fmt: skip
def test_a_language_is_known_by_its_names(language: str, found: Language | None) -> None:
    record = taken({"language": language})
    assert record.language is found
    assert record.attributes == ({} if found else {"language": language})


@pytest.mark.parametrize(
    ("typed", "zone"),
    [("Europe/Bucharest", "Europe/Bucharest"), ("europe_slash_bucharest", "Europe/Bucharest"),
     ("Bucharest", "Europe/Bucharest"), ("Mars/Olympus", "")],
)  # fmt: skip
def test_a_time_zone_is_an_iana_name_or_nothing(typed: str, zone: str) -> None:
    assert taken({"timezone": typed}).timezone == zone


@pytest.mark.parametrize(
    "value", ["Yes", "true", "1", "da", "X", "opted out", "2024-05-01 10:00", "maybe"]
)
@pytest.mark.parametrize(
    "header",
    [
        "Do Not Email",
        "HasOptedOutOfEmail",
        "Unsubscribed",
        "hs_email_optout",
        "Dezabonat",
        "UNSUB_TIME",
    ],
)
def test_do_not_mail_means_it_unless_it_plainly_says_no(header: str, value: str) -> None:
    record = taken({header: value}, CLAIM)
    assert record.do_not_mail
    assert record.consent is None


@pytest.mark.parametrize("value", ["", "No", "false", "0", "nu", "Select", "N/A"])
def test_a_plain_no_or_nothing_is_no_opt_out(value: str) -> None:
    record = taken({"Do Not Email": value}, CLAIM)
    assert not record.do_not_mail
    assert record.consent == CLAIM


@pytest.mark.parametrize(
    ("status", "out", "agreed", "withdrawn"),
    [("subscribed", False, True, False), ("unsubscribed", True, False, True),
     ("cleaned", True, False, True), ("pending", False, False, False), ("", False, False, False)],
)  # fmt: skip
def test_a_member_status_says_who_is_subscribed(
    status: str, out: bool, agreed: bool, withdrawn: bool
) -> None:
    record = taken({"MEMBER_STATUS": status}, CLAIM)
    assert (record.do_not_mail, record.consent is not None, record.consent_withdrawn) == (
        out,
        agreed,
        withdrawn,
    )


@pytest.mark.parametrize("value", ["yes", "da", "1", "2024-05-01", "01.05.2024"])
def test_agreement_counts_only_on_a_stated_basis(value: str) -> None:
    found = read({"Consent": value})
    assert found.record is not None
    assert found.record.consent is None
    assert [error.code for error in found.errors] == ["consent_unclear"]
    assert taken({"Consent": value}, CLAIM).consent == CLAIM


@pytest.mark.parametrize(
    "value", ["", "maybe", "31.02.2026", "2030-01-01", "no", "nu", "withdrawn", "pending"]
)
def test_doubt_is_no_consent_even_when_the_file_claims_it(value: str) -> None:
    assert taken({"Consent": value}, CLAIM).consent is None


@pytest.mark.parametrize("value", ["maybe", "31.02.2026", "2030-01-01"])
def test_doubt_has_its_reason_in_the_report(value: str) -> None:
    found = read({"Consent": value}, CLAIM)
    assert [(error.column, error.value) for error in found.errors] == [("Consent", value)]


def test_a_no_is_a_withdrawal() -> None:
    assert taken({"Consent": "nu"}, CLAIM).consent_withdrawn


@pytest.mark.parametrize(
    ("value", "basis", "source"),
    [
        ("express", ConsentBasis.EXPRESS, "import"),
        ("express: form 3", ConsentBasis.EXPRESS, "form 3"),
        ("Freely given consent from contact", ConsentBasis.EXPRESS, "import"),
    ],
)
def test_a_column_may_state_its_own_basis(value: str, basis: ConsentBasis, source: str) -> None:
    found = taken({"Consent": value, "Consent date": "2024-05-01"}).consent
    assert found == ConsentClaim(basis, source, "2024-05-01")


EVIDENCE = "cumpărat=curs; similare=alte cursuri; dezabonare=oferită"


@pytest.mark.parametrize(
    "value", ["Client existent: comandă", "Legitimate interest – existing customer"]
)
def test_an_existing_customer_without_evidence_gave_no_basis(value: str) -> None:
    found = read({"Consent": value, "Consent date": "2024-05-01"})
    assert found.record is not None
    assert found.record.consent is None
    (error,) = found.errors
    assert error.code == "consent_unclear"
    assert "what was bought (bought=)" in error.reason
    assert "when (on=)" not in error.reason  # the row's own date says so


def test_an_existing_customer_with_evidence_in_the_row_has_it_as_proof() -> None:
    value = f"Client existent: comandă; {EVIDENCE}"
    found = taken({"Consent": value, "Consent date": "2024-05-01"}).consent
    assert found is not None
    assert (found.basis, found.source) == (ConsentBasis.EXISTING_CUSTOMER, "comandă")
    assert json.loads(found.proof) == {
        "bought": "curs", "on": "2024-05-01", "similar": "alte cursuri", "opt-out": "oferită",
    }  # fmt: skip


def test_evidence_for_the_whole_file_is_completed_by_the_row() -> None:
    claim = ConsentClaim(ConsentBasis.EXISTING_CUSTOMER, "shop", "similar=courses; opt-out=yes")
    row = {"Consent": "existing-customer: bought=pencils", "Consent date": "2024-05-01"}
    found = taken(row, claim).consent
    assert found is not None
    assert json.loads(found.proof)["similar"] == "courses"
    assert (
        taken({"Consent": "existing-customer", "Consent date": "2024-05-01"}, claim).consent is None
    )


def test_a_file_of_existing_customers_without_evidence_is_refused_as_a_whole() -> None:
    claim = ConsentClaim(ConsentBasis.EXISTING_CUSTOMER, "shop")
    with pytest.raises(WrongUse, match="evidence"):
        read({"city": "Iași"}, claim)
    whole = ConsentClaim(ConsentBasis.EXISTING_CUSTOMER, "shop", f"{EVIDENCE}; data=01.05.2024")
    consent = taken({"city": "Iași"}, whole).consent
    assert consent is not None
    assert json.loads(consent.proof)["on"] == "01.05.2024"


@pytest.mark.parametrize(
    "value",
    [
        "Legitimate interest",
        "interes legitim",
        "B2B",
        "Legitimate interest – prospect/lead",
        "acord implicit",
    ],
)
def test_what_is_a_basis_elsewhere_is_none_here_and_the_report_says_why(value: str) -> None:
    found = read({"Consent": value}, CLAIM)
    assert found.record is not None
    assert found.record.consent is None
    assert "Law 506/2004 art. 12" in found.errors[0].reason


def test_of_several_consent_columns_the_most_restrictive_counts() -> None:
    assert taken({"Consent": "express", "Newsletter": ""}).consent is None
    assert taken({"Consent": "express", "Newsletter": "no"}).consent_withdrawn
    assert taken({"Consent": "express", "Newsletter": "yes"}).consent is not None
    assert taken({"Consent": "express", "Consent date": "2031-01-01"}).consent is None


def test_a_bad_address_rejects_the_row_with_its_reason() -> None:
    found = read({"email": "ana@", "city": "Iași"})
    assert found.record is None
    assert [(error.column, error.value, error.code) for error in found.errors] == [
        ("email", "ana@", "bad_address")
    ]


def test_a_row_in_which_nothing_stands_is_no_row() -> None:
    columns = map_columns(["email", "city"], {}, where="f.csv")
    reading = Understanding(columns, claim=None, now=NOW)
    assert reading.read(Record(2, 2, ["", "  "])) is None


def test_cedillas_of_the_old_code_page_become_commas() -> None:
    found = read({"first name": "Ştefan", "job": "Ţesător"}, comma_below=True).record
    assert found is not None
    assert found.first_name == "Ștefan"
    assert found.attributes == {"job": "Țesător"}


def test_a_phone_that_a_spreadsheet_damaged_is_left_out() -> None:
    found = read({"phone": "4,07E+10"})
    assert found.record is not None
    assert found.record.phone == ""
    assert [error.code for error in found.errors] == ["damaged_number"]


def test_a_value_too_long_for_its_field_is_left_out_and_told() -> None:
    found = read({"first name": "A" * 300})
    assert found.record is not None
    assert found.record.first_name == ""
    assert found.errors[0].code == "too_long"
    assert len(found.errors[0].value) <= 120
