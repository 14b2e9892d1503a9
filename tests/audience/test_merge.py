"""The merge policy: stated values win over stored ones, empty ones never, consent only shrinks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from audience import merge
from pigeonry.domain import ConsentBasis, ConsentClaim, Language, LeadRecord

CLAIM = ConsentClaim(ConsentBasis.EXPRESS, "form")
_WORD = st.sampled_from(["", "a", "b"])
_RECORD = st.builds(
    LeadRecord,
    email=st.just("a@example.com"),
    row=st.just(2),
    line=st.just(2),
    first_name=_WORD,
    city=_WORD,
    country=st.sampled_from(["", "RO", "DE", "US"]),
    language=st.sampled_from([None, Language.RO, Language.EN]),
    attributes=st.dictionaries(st.sampled_from("xyz"), st.sampled_from("12"), max_size=2),
    do_not_mail=st.booleans(),
    consent=st.sampled_from([None, CLAIM]),
    consent_withdrawn=st.booleans(),
)


@given(st.lists(_RECORD, min_size=1, max_size=6))
def test_joining_row_by_row_is_joining_at_once(records: list[LeadRecord]) -> None:
    one = records[0]
    for record in records[1:]:
        one = merge.join([one, record])
    assert one == merge.join(records) or len(records) == 1


@given(st.lists(_RECORD, min_size=2, max_size=6))
def test_a_join_never_grants_more_than_each_row(records: list[LeadRecord]) -> None:
    joined = merge.join(records)
    assert joined.do_not_mail == any(record.do_not_mail for record in records)
    if joined.consent is not None:
        assert all(r.consent is not None and not r.consent_withdrawn for r in records)


@given(_RECORD, _RECORD)
def test_what_was_applied_changes_nothing_the_second_time(
    first: LeadRecord, second: LeadRecord
) -> None:
    language, country, zone = merge.filled(first, default_country="RO")
    stored = {name: getattr(first, name) for name in merge.TEXTS}
    stored |= {"language": language, "country": country, "timezone": zone}
    assert merge.changed(first, stored) == {}
    stored |= merge.changed(second, stored)
    assert merge.changed(second, stored) == {}


def test_what_nobody_stated_follows_from_the_country() -> None:
    record = LeadRecord(email="a@example.com", row=2, line=2, country="GB")
    assert merge.filled(record, default_country="RO") == ("en", "GB", "Europe/London")
    nothing = LeadRecord(email="a@example.com", row=2, line=2)
    assert merge.filled(nothing, default_country="RO") == ("", "RO", "Europe/Bucharest")
