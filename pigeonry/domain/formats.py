"""How prices and dates are written in each language. The one place: copy and mail layouts agree."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from pigeonry.domain.lead import Language

MONTHS = {
    Language.RO: (
        "ianuarie", "februarie", "martie", "aprilie", "mai", "iunie",
        "iulie", "august", "septembrie", "octombrie", "noiembrie", "decembrie",
    ),
    Language.EN: (
        "January", "February", "March", "April", "May", "June",
        "July", "August", "September", "October", "November", "December",
    ),
}  # fmt: skip

# ISO code -> how readers of that language write it after an amount.
CURRENCIES = {
    Language.RO: {"RON": "lei", "EUR": "euro", "USD": "dolari", "GBP": "lire sterline"},
    Language.EN: {"RON": "lei", "EUR": "euros", "USD": "dollars", "GBP": "pounds"},
}


def number_text(amount: Decimal, language: Language) -> str:
    """1.299,50 in Romanian, 1,299.50 in English; whole amounts without decimals."""
    places = 0 if amount == amount.to_integral_value() else 2
    text = f"{amount:,.{places}f}"
    return text.translate(str.maketrans(",.", ".,")) if language is Language.RO else text


def price_text(amount: Decimal, currency: str, language: Language) -> str:
    """1.299,50 lei, 690 de lei, 15 lei; in English 1,299.50 lei.

    Romanian puts "de" between a whole number and the noun, unless its last two digits are 01-19.
    """
    word = CURRENCIES[language][currency]
    whole = amount == amount.to_integral_value()
    de = language is Language.RO and whole and amount >= 20 and not 1 <= int(amount) % 100 <= 19
    return f"{number_text(amount, language)} {'de ' if de else ''}{word}"


def date_text(day: date, language: Language) -> str:
    """15 decembrie 2026 or 15 December 2026."""
    return f"{day.day} {MONTHS[language][day.month - 1]} {day.year}"
