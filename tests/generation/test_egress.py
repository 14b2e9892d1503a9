"""Personal data does not leave, plain or encoded, and is never repeated in the refusal."""

from __future__ import annotations

import base64
import html
from urllib.parse import quote

import pytest

from generation.egress import EgressRefused, refuse_personal

CNP = "1960101410019"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("write to ana@mail.example", "e-mail"),
        ("call 0722 123 456", "phone"),
        ("call +40 722 123 456", "phone"),
        (f"CNP {CNP}", "CNP"),
        ("IBAN RO49 AAAA 1B31 0075 9384 0000", "IBAN"),
        (f"x {quote('ana@mail.example')} x", "e-mail"),
        (f"x {html.escape('ana@mail.example').replace('@', '&#64;')} x", "e-mail"),
        (f"x {base64.b64encode(b'ana@mail.example').decode()} x", "e-mail"),
    ],
)
def test_detectable_values_are_refused_by_kind_and_not_repeated(text: str, kind: str) -> None:
    with pytest.raises(EgressRefused) as caught:
        refuse_personal([text])
    assert caught.value.kind == kind
    assert "ana" not in str(caught.value)
    assert "722" not in str(caught.value)


@pytest.mark.parametrize("written", ["Ștefănescu", "STEFANESCU", "stefănescu", quote("Ștefănescu")])
def test_a_supplied_value_is_found_however_it_is_written(written: str) -> None:
    with pytest.raises(EgressRefused):
        refuse_personal([f"a mail for {written} today"], {"Ștefănescu"})


@pytest.mark.parametrize(
    "text",
    ["20% off until 15 December 2026", "1.299,50 lei", "a code ZILIO20 at 18:30", "Stefan's plan",
     "order 2026-11-24 12:00", "https://shop.example/offer?id=1234567"],
)  # fmt: skip
def test_facts_of_a_brief_pass(text: str) -> None:
    refuse_personal([text], {"Ștefănescu", "Ana"})
