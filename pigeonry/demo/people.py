"""Invented people for the example leads: names, places, and what six kinds of them do and like. Data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pigeonry.domain import Language

RO, EN = Language.RO, Language.EN


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FIRST: Mapping[Language, tuple[str, ...]] = {
    RO: _words(
        "Andrei Mihai Alexandru Ștefan Cristian Radu Vlad Ionuț Bogdan Sorin Dragoș Cătălin "
        "Răzvan Tudor Matei Horia Ilie Nicolae Petru Emil Ana Maria Ioana Elena Andreea Raluca "
        "Gabriela Mihaela Simona Alina Oana Irina Bianca Ilinca Ruxandra Sânziana Anca Daria "
        "Teodora"
    ),
    EN: _words(
        "James Oliver Thomas Daniel Henry Samuel Peter Martin Aidan Lewis Emma Olivia Grace "
        "Hannah Sophie Lucy Megan Chloe Amelia Nora Zoë Liam Owen Clara Ruth Ingrid Marta Jonas "
        "Felix Helena"
    ),
}
LAST: Mapping[Language, tuple[str, ...]] = {
    RO: _words(
        "Popescu Ionescu Dumitrescu Stan Gheorghe Rusu Munteanu Matei Șerban Marin Tudor Dobre "
        "Barbu Nistor Florea Constantin Dinu Țăranu Preda Moldovan Bălan Ungureanu Crișan Mureșan "
        "Lungu Cojocaru Vasilescu Enache Sandu Ciobanu Iftimie Pârvu Brătescu Grigorescu Zamfir"
    ),
    EN: _words(
        "Smith Walker Hughes Clarke Turner Bennett Foster Murphy Kelly Shaw Reid Palmer Hart "
        "Dixon Byrne Novak Lindqvist Moreau Keller Sinclair Doyle Archer Whitfield O'Brien Marsh "
        "Hale"
    ),
}
CITIES: Mapping[Language, tuple[tuple[str, str], ...]] = {
    RO: (
        ("București", "România"), ("Cluj-Napoca", "România"), ("Iași", "România"), ("Timișoara", "România"),
        ("Brașov", "România"), ("Constanța", "România"), ("Sibiu", "România"), ("Oradea", "România"),
        ("Craiova", "România"), ("Bacău", "România"), ("Târgu Mureș", "România"), ("Chișinău", "Moldova"),
    ),
    EN: (
        ("London", "United Kingdom"), ("Manchester", "UK"), ("Bristol", "GB"), ("Edinburgh", "United Kingdom"),
        ("Dublin", "Ireland"), ("Cork", "Ireland"), ("Boston", "USA"), ("Austin", "United States"),
        ("Toronto", "Canada"), ("Berlin", "Germany"), ("Amsterdam", "Netherlands"), ("București", "Romania"),
    ),
}  # fmt: skip
DOMAINS = (
    "example.com", "example.org", "example.net", "posta.example", "birou.example", "mail.example",
    "atelier.example", "studio.example",
)  # fmt: skip
SOURCES: Mapping[Language, tuple[str, ...]] = {
    RO: (
        "formular pe site",
        "webinar",
        "târg de carieră",
        "recomandare",
        "newsletter",
        "ghid descărcat",
    ),
    EN: ("website form", "webinar", "career fair", "referral", "newsletter", "guide download"),
}


@dataclass(frozen=True, slots=True)
class Persona:
    """One kind of reader: how frequent (weight), jobs, industries and interests in each language."""

    weight: float
    jobs: Mapping[Language, tuple[str, ...]]
    industries: Mapping[Language, tuple[str, ...]]
    interests: Mapping[Language, tuple[str, ...]]


PERSONAS: Mapping[str, Persona] = {
    "freelancer": Persona(
        0.19,
        {
            RO: ("designer independent", "fotograf", "copywriter", "ilustrator", "traducător independent"),
            EN: ("freelance designer", "photographer", "copywriter", "illustrator", "freelance translator"),
        },
        {
            RO: ("design și foto", "publicitate", "conținut și media"),
            EN: ("design and photo", "advertising", "content and media"),
        },
        {
            RO: ("portofoliu", "contracte cu clienții", "facturare", "organizarea timpului", "fotografie", "tarife"),
            EN: ("portfolio", "client contracts", "invoicing", "time planning", "photography", "rates"),
        },
    ),
    "parent": Persona(
        0.17,
        {
            RO: ("mamă în concediu de creștere", "tată a doi copii", "părinte cu program redus", "bonă"),
            EN: ("parent on leave", "father of two", "part-time working parent", "childminder"),
        },
        {
            RO: ("familie și copii", "grădinițe", "activități pentru copii"),
            EN: ("family and children", "nurseries", "activities for children"),
        },
        {
            RO: ("program de familie", "activități cu copiii", "rețete rapide", "școală și teme", "somnul copiilor", "excursii"),
            EN: ("family schedule", "activities with children", "quick recipes", "school and homework", "sleep of children", "day trips"),
        },
    ),
    "shop": Persona(
        0.17,
        {
            RO: ("patron de magazin", "florar", "proprietar de cafenea", "administrator de magazin online"),
            EN: ("shop owner", "florist", "café owner", "online shop manager"),
        },
        {
            RO: ("comerț cu amănuntul", "alimentație publică", "comerț online"),
            EN: ("retail", "food and drink", "online retail"),
        },
        {
            RO: ("stocuri", "vânzări de sezon", "fidelizarea clienților", "casă de marcat", "vitrină", "livrări"),
            EN: ("stock", "seasonal sales", "customer loyalty", "till systems", "window display", "deliveries"),
        },
    ),
    "it": Persona(
        0.18,
        {
            RO: ("programator", "inginer DevOps", "tester software", "analist de date", "administrator de sisteme"),
            EN: ("software developer", "DevOps engineer", "software tester", "data analyst", "system administrator"),
        },
        {
            RO: ("software", "telecomunicații", "securitate informatică"),
            EN: ("software", "telecommunications", "information security"),
        },
        {
            RO: ("Python", "automatizare", "baze de date", "cloud", "securitate", "testare automată"),
            EN: ("Python", "automation", "databases", "cloud", "security", "automated testing"),
        },
    ),
    "student": Persona(
        0.16,
        {
            RO: ("student la economie", "studentă la litere", "student la politehnică", "masterand", "elev în clasa a XII-a"),
            EN: ("economics student", "literature student", "engineering student", "master's student", "sixth form pupil"),
        },
        {
            RO: ("universitate", "cămin studențesc", "asociație studențească"),
            EN: ("university", "student halls", "student society"),
        },
        {
            RO: ("sesiune de examene", "stagii de practică", "burse", "notițe de curs", "primul job", "limbi străine"),
            EN: ("exam season", "internships", "scholarships", "lecture notes", "first job", "languages"),
        },
    ),
    "hr": Persona(
        0.13,
        {
            RO: ("specialist resurse umane", "recrutor", "manager resurse umane", "specialist formare profesională"),
            EN: ("human resources specialist", "recruiter", "human resources manager", "training specialist"),
        },
        {
            RO: ("resurse umane", "recrutare", "formare profesională"),
            EN: ("human resources", "recruitment", "professional training"),
        },
        {
            RO: ("recrutare", "integrarea angajaților", "evaluarea performanței", "salarizare", "cultură organizațională", "formare"),
            EN: ("hiring", "onboarding", "performance reviews", "payroll", "company culture", "training plans"),
        },
    ),
}  # fmt: skip
