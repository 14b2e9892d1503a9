"""The fields of a lead as columns, and the names that people and CRM exports give to them. Data."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Field(StrEnum):
    """What a column can be mapped to. `attribute` keeps it under its own name, `ignore` drops it."""

    EMAIL = "email"
    FIRST_NAME = "first_name"
    LAST_NAME = "last_name"
    FULL_NAME = "full_name"
    COMPANY = "company"
    PHONE = "phone"
    LANGUAGE = "language"
    COUNTRY = "country"
    CITY = "city"
    TIMEZONE = "timezone"
    EXTERNAL_ID = "external_id"
    DO_NOT_MAIL = "do_not_mail"
    MEMBER_STATUS = "member_status"
    CONSENT = "consent"
    CONSENT_SOURCE = "consent_source"
    CONSENT_DATE = "consent_date"
    ATTRIBUTE = "attribute"
    IGNORE = "ignore"


# Any number of columns may say these; the most restrictive one counts.
SHARED = frozenset(
    {Field.DO_NOT_MAIL, Field.MEMBER_STATUS, Field.CONSENT, Field.ATTRIBUTE, Field.IGNORE}
)

# field: names, best first: of two columns that could be one field, the earlier name wins. Written as
# they are after `folding.fold`: lower case, no accents, words separated by one space.
_TABLE = """
email: email, e mail, email address, e mail address, adresa de email, adresa email, adresa de e
    mail, adresa e mail, mail, adresa mail, posta electronica, emailaddress, contact email,
    person email, lead email, subscriber email, customer email, email client, primary email,
    email principal, work email, business email, email de serviciu, email 1, e mail 1 value,
    person email work, personal email, email personal, person email home, correo, correo
    electronico
first_name: first name, firstname, first, prenume, prenumele, given name, givenname, fname,
    contact first name, person first name, forename, nume mic, nume de botez
last_name: last name, lastname, last, nume de familie, numele de familie, family name,
    familyname, surname, lname, contact last name, person last name, nume
full_name: full name, fullname, name, nume complet, nume si prenume, nume prenume, numele si
    prenumele, prenume si nume, contact name, person name, display name, customer name, nume
    client, nume contact
company: company, company name, firma, companie, compania, nume firma, nume companie, denumire
    firma, organization, organisation, organization name, organizatie, account, account name,
    associated company, societate, employer, angajator
phone: phone, phone number, telefon, numar de telefon, numar telefon, nr telefon, nr tel, tel,
    telephone, mobile phone, mobilephone, mobile phone number, mobile, telefon mobil, mobil,
    person phone, contact phone, work phone, home phone, cell, cell phone
language: language, preferred language, preferredlanguage, limba, limba preferata, limba de
    comunicare, hs language, lang, languagecode, language code, language preference, locale
country: country, country region, tara, country code, mailing country, mailingcountry, billing
    country, person country, cod tara, cc, hs country region code
city: city, oras, orasul, localitate, localitatea, town, mailing city, mailingcity, billing
    city, municipiu
timezone: timezone, time zone, fus orar, hs timezone, timezonesidkey, tz
external_id: external id, externalid, contact id, contactid, record id, hs object id, lead id,
    leadid, prospect id, person id, customer id, client id, id client, cod client, subscriber
    id, crm id, euid, member id, id contact, vid
do_not_mail: do not email, donotemail, do not mail, do not contact, dnc, email opt out, opt out,
    optout, opted out, has opted out of email, hasoptedoutofemail, opted out of email,
    emailoptout, hs email optout, unsubscribed, unsubscribed from all email, unsubscribed from
    all emails, unsubscribe, is unsubscribed, unsub time, unsubscribed at, unsubscribe date,
    clean time, dezabonat, dezabonata, dezabonare, data dezabonarii, nu trimite email, nu
    trimite e mail, fara email, nu contacta, email bounced, isemailbounced, email bounced
    reason, emailbouncedreason, email bounced date, emailbounceddate, email hard bounce reason,
    hs email hard bounce reason, hs email hard bounce reason enum, hs email bad address, email
    quarantined, hs email quarantined, bounced, blacklisted, complained, do not disturb
member_status: member status, email status, status abonare, stare abonare, subscription status,
    subscriber status, email marketing status, email subscription status, mailing status, status
    abonat, email address status, email permission status, marketing status
consent: consent, marketing consent, email consent, consent marketing, gdpr consent,
    consimtamant, consimtamant marketing, consimtamant gdpr, acord, acord marketing, acord gdpr,
    acord email, acord newsletter, gdpr, opt in, optin, email opt in, emailoptin, opted in,
    marketing opt in, marketing emails, accepts marketing, accepts email marketing, email
    marketing consent, subscribed, is subscribed, abonat, abonata, abonat newsletter,
    newsletter, newsletter opt in, newsletter subscription, legal basis, hs legal basis, legal
    basis for processing contact s data, temei legal, temei, consent basis, consent status
consent_source: consent source, sursa consimtamant, sursa consimtamantului, sursa acord, sursa
    acordului, optin source, opt in source, consent origin
consent_date: consent date, consent timestamp, consent at, data consimtamant, data
    consimtamantului, data acord, data acordului, optin time, opt in time, confirm time, optin
    date, opt in date, opted in at, subscribed at, data abonarii
"""


def _read(table: str) -> dict[Field, tuple[str, ...]]:
    found: dict[Field, tuple[str, ...]] = {}
    for line in table.replace("\n    ", " ").strip().splitlines():
        field, _, names = line.partition(": ")
        found[Field(field)] = tuple(name.strip() for name in names.split(","))
    return found


ALIASES: Mapping[Field, tuple[str, ...]] = _read(_TABLE)
