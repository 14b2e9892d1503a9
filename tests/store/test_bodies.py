"""Bodies as they came, cut by person."""

from __future__ import annotations

from pigeonry.store import bodies

SOAP = (
    b"<e><OrganizationId>00D</OrganizationId><Notification>\n<sf:Email>ana@x.ro</sf:Email></Notification>"
    b"<sf:Notification><sf:Email>ion@x.ro</sf:Email></sf:Notification></e>"
)


def test_a_notification_of_soap_goes_alone_and_leaves_the_others() -> None:
    def speaks(text: str) -> bool:
        return "ana@" in text

    left = bodies.without("crm:salesforce", SOAP, speaks)

    assert b"ana@" not in left
    assert b"ion@x.ro" in left
    assert left.startswith(b"<e><OrganizationId>")
    assert bodies.without("crm:salesforce", left, speaks) == left
    (about,) = bodies.about("crm:salesforce", SOAP, speaks)
    assert "ana@" in about
    assert bodies.without("inbound", SOAP, speaks) == b""
