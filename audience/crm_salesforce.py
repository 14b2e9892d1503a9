"""Salesforce's outbound messages: SOAP with up to 100 notifications, each a Lead or Contact as it is now.

Read by expat with a handler of our own. A document type is refused before anything of it is read, so that
no entity is ever declared, expanded or fetched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from audience.crm_values import number_of, revision, text
from pigeonry.domain.crm import ChangeKind, CrmChange

ACK = (
    b'<?xml version="1.0" encoding="UTF-8"?>'
    b'<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>'
    b'<notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>true</Ack>'
    b"</notificationsResponse></soapenv:Body></soapenv:Envelope>"
)
_OUTBOUND = "http://soap.sforce.com/2005/09/outbound"
_TYPE = "http://www.w3.org/2001/XMLSchema-instance type"
_DEPTH = 12  # Envelope, Body, notifications, Notification, sObject, field
_MOST = 1000  # notifications; Salesforce sends 100


@dataclass(slots=True)
class Notification:
    id: str = ""
    kind: str = ""  # Lead, Contact, ...
    fields: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Message:
    organisation: str = ""
    notifications: list[Notification] = field(default_factory=list)


def read(body: bytes) -> Message:
    """Raises ValueError with a plain reason for what is no outbound message."""
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.EntityDeclHandler = _refuse_doctype
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.data
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, LookupError) as error:
        raise ValueError("this is no XML that can be read") from error
    if not reader.envelope:
        raise ValueError("this is no outbound message of Salesforce")
    return reader.message


def _refuse_doctype(*_args: object) -> None:
    raise ValueError("a document type or an entity may not stand in it")


def changes(
    message: Message,
) -> Iterator[tuple[int, CrmChange | str | None]]:
    """By position: the change, None for what is neither lead nor contact, or why it is not taken."""
    for position, one in enumerate(message.notifications):
        try:
            yield position, _change(one, position)
        except ValueError as error:
            yield position, str(error)


def _change(one: Notification, position: int) -> CrmChange | None:
    if one.kind not in ("Lead", "Contact"):
        return None
    fields = one.fields
    external = number_of(fields.get("Id"), "Id")
    event_id = number_of(one.id, "Notification Id")
    stamp = fields.get("SystemModstamp") or fields.get("LastModifiedDate")
    when = revision(stamp, "SystemModstamp")
    into = fields.get("MasterRecordId") or fields.get("ConvertedContactId") or ""
    if into:
        return CrmChange(ChangeKind.MERGE, into, when, event_id, position, merged=(external,))
    if fields.get("IsDeleted", "").lower() == "true":
        return CrmChange(ChangeKind.DELETE, external, when, event_id, position)
    return CrmChange(ChangeKind.UPDATE, external, when, event_id, position, _values(fields))


def _values(fields: Mapping[str, str]) -> dict[str, str]:
    return {name: text(value) for name, value in fields.items()}


class _Reader:
    """Collects what stands in the outbound elements, and stops at what is too deep or too much."""

    def __init__(self) -> None:
        self.message = Message()
        self.envelope = False
        self._path: list[str] = []
        self._text: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        space, _, local = name.rpartition(" ")
        self._path.append(local)
        self._text.clear()
        if len(self._path) > _DEPTH:
            raise ValueError(f"nested deeper than {_DEPTH} levels")
        if local == "notifications" and space == _OUTBOUND:
            self.envelope = True
        elif local == "Notification":
            if len(self.message.notifications) >= _MOST:
                raise ValueError(f"more than {_MOST:,} notifications")
            self.message.notifications.append(Notification())
        elif local == "sObject" and self.message.notifications:
            named = attributes.get(_TYPE, "")
            self.message.notifications[-1].kind = named.rpartition(":")[2]

    def data(self, letters: str) -> None:
        self._text.append(letters)

    def end(self, _name: str) -> None:
        local = self._path.pop()
        parent = self._path[-1] if self._path else ""
        value = "".join(self._text)
        self._text.clear()
        if not self.message.notifications:
            if local == "OrganizationId" and parent == "notifications":
                self.message.organisation = value.strip()
        elif parent == "Notification" and local == "Id":
            self.message.notifications[-1].id = value.strip()
        elif parent == "sObject":
            self.message.notifications[-1].fields[local] = value
