"""Numbers, prices, percentages, durations, dates and times in Romanian and English text.

Digits, number words, everyday forms ("juma' de oră", "half past six") and mixed formats come out as
the same values, so that a text can be compared with the facts it may state.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum

from generation.words import fold, stem
from pigeonry.domain import Language
from pigeonry.domain.formats import MONTHS


class Kind(StrEnum):
    MONEY = "money"
    PERCENT = "percent"
    MEASURE = "measure"
    COUNT = "count"
    DATE = "date"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Quantity:
    """`value` in `unit`; for dates (day, month) as day*100+month with `year` when stated; for times
    minutes of a 12-hour clock. `text` is how it was written, `start` where (in folded text)."""

    kind: Kind
    value: float
    unit: str
    text: str
    start: int
    year: int = 0
    before: str = ""
    written: bool = False  # in words, not digits


_NUMBERS = {
    Language.EN: {
        w: v
        for v, names in {
            0: "zero", 1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven",
            8: "eight", 9: "nine", 10: "ten", 11: "eleven", 12: "twelve dozen", 13: "thirteen",
            14: "fourteen", 15: "fifteen", 16: "sixteen", 17: "seventeen", 18: "eighteen",
            19: "nineteen", 20: "twenty", 30: "thirty", 40: "forty", 50: "fifty", 60: "sixty",
            70: "seventy", 80: "eighty", 90: "ninety",
        }.items()
        for w in names.split()
    },
    Language.RO: {
        w: v
        for v, names in {
            0: "zero", 1: "un unu una o", 2: "doi doua", 3: "trei", 4: "patru", 5: "cinci",
            6: "sase", 7: "sapte", 8: "opt", 9: "noua", 10: "zece zeci", 11: "unsprezece unspe unspce",
            12: "doisprezece douasprezece doispe", 13: "treisprezece treispe",
            14: "paisprezece paispe", 15: "cincisprezece cinspe", 16: "saisprezece saispe",
            17: "saptesprezece saptespe", 18: "optsprezece optspe", 19: "nouasprezece nouaspe",
            20: "douazeci", 30: "treizeci", 40: "patruzeci", 50: "cincizeci", 60: "saizeci",
            70: "saptezeci", 80: "optzeci", 90: "nouazeci",
        }.items()
        for w in names.split()
    },
}  # fmt: skip
_SCALES = {
    Language.EN: {"hundred": 100, "thousand": 1000, "million": 10**6},
    Language.RO: {"suta": 100, "sute": 100, "mie": 1000, "mii": 1000, "milion": 10**6, "milioane": 10**6},
}  # fmt: skip
_FRACTIONS = {
    Language.EN: {"half": 0.5, "halves": 0.5, "third": 1 / 3, "quarter": 0.25, "fifth": 0.2, "tenth": 0.1},
    Language.RO: {"jumatate": 0.5, "jumate": 0.5, "juma": 0.5, "jumatatea": 0.5, "treime": 1 / 3,
                  "sfert": 0.25, "cincime": 0.2, "zecime": 0.1},
}  # fmt: skip
_ORDINALS = {
    Language.EN: {
        "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7,
        "eighth": 8, "ninth": 9, "tenth": 10, "eleventh": 11, "twelfth": 12, "thirteenth": 13,
        "fourteenth": 14, "fifteenth": 15, "sixteenth": 16, "seventeenth": 17, "eighteenth": 18,
        "nineteenth": 19, "twentieth": 20, "thirtieth": 30,
    },
    Language.RO: {"intai": 1, "prima": 1},
}  # fmt: skip
_AND = {Language.EN: "and", Language.RO: "si"}
# unit word -> (kind, unit, factor)
_UNITS: dict[str, tuple[Kind, str, float]] = {}
for _kind, _unit, _factor, _names in [
    (Kind.MONEY, "RON", 1, "lei leu ron leii"),
    (Kind.MONEY, "EUR", 1, "euro euros eur €"),
    (Kind.MONEY, "USD", 1, "dollars dollar dolari usd $"),
    (Kind.MONEY, "GBP", 1, "pounds pound lire gbp £"),
    (Kind.PERCENT, "%", 1, "% percent"),
    (Kind.MEASURE, "min", 1 / 60, "secunde secunda seconds second"),
    (Kind.MEASURE, "min", 1, "min minute minut minutes minutelor"),
    (Kind.MEASURE, "min", 60, "h ore ora hour hours orelor"),
    (Kind.MEASURE, "day", 1, "zi zile zilelor day days"),
    (Kind.MEASURE, "night", 1, "nopti noapte night nights noptilor"),
    (Kind.MEASURE, "week", 1, "saptamani saptamana week weeks saptamanilor"),
    (Kind.MEASURE, "month", 1, "luni luna month months lunilor"),
    (Kind.MEASURE, "year", 1, "an ani anilor year years"),
    (Kind.MEASURE, "g", 1000, "kg kilogram kilograme kilogramul kilogramului kilograms kilo kile"),
    (Kind.MEASURE, "g", 1, "g grame gram grams"),
    (Kind.MEASURE, "ml", 1, "ml mililitri"),
    (Kind.MEASURE, "ml", 1000, "l litri litru litre litres liter liters"),
    (Kind.MEASURE, "oz", 1, "oz ounce ounces"),
    (Kind.MEASURE, "km", 1, "km kilometri kilometers kilometres"),
    (Kind.MEASURE, "cm", 1, "cm centimetri centimeters"),
    (Kind.MEASURE, "m2", 1, "mp m² m2"),
    (Kind.MEASURE, "m", 1, "m metri metru meters metres"),
    (Kind.MEASURE, "inch", 1, "inch inches"),
    (Kind.MEASURE, "W", 1, "w"),
]:  # fmt: skip
    for _name in _names.split():
        _UNITS[_name] = (_kind, _unit, float(_factor))
_MONTH = {
    fold(name): number
    for names in MONTHS.values()
    for number, name in enumerate(names, 1)
} | {m[:3]: n for n, m in enumerate(map(fold, MONTHS[Language.EN]), 1) if m != "may"}  # fmt: skip
_MONTHLESS_SMALL = {"mar", "sun"}
_DAYPART = re.compile(
    r"\s*,?\s*(a\.?m\.?|p\.?m\.?|o'clock|dimineata|seara|noaptea|dupa-amiaza|dupa amiaza|fix|"
    r"in the (?:morning|afternoon|evening)|at night)(?!\w)"
)
_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+²?|[€$£%]|m2", re.UNICODE)


@dataclass(frozen=True, slots=True)
class _Number:
    value: float
    start: int
    end: int
    written: bool
    fraction: bool = False
    ordinal: bool = False


def parse_number(text: str) -> float:
    """1.299,50 = 1,299.50 = 1299.50. One mark before exactly three digits groups thousands."""
    marks = [mark for mark in text if mark in ".,"]
    if not marks:
        return float(text)
    last = marks[-1]
    tail = text.rsplit(last, 1)[1]
    grouped = len(set(marks)) == 1 and all(len(group) == 3 for group in re.split(r"[.,]", text)[1:])
    if grouped and not text.startswith("0"):
        return float(re.sub(r"[.,]", "", text))
    head = text[: -len(tail) - 1]
    return float(re.sub(r"[.,]", "", head) + "." + tail)


def quantities(text: str, language: Language) -> list[Quantity]:
    """Everything countable in a text, in order. A plain "one" counts only before a unit."""
    folded = fold(text)
    found: list[Quantity] = []
    taken: list[tuple[int, int]] = []

    def add(quantity: Quantity, end: int) -> None:
        found.append(quantity)
        taken.append((quantity.start, end))

    for match in re.finditer(r"(?<!\d)(\d{1,2})[./](\d{1,2})[./](\d{4})(?!\d)|(?<!\d)(\d{4})-(\d{2})-(\d{2})(?!\d)", folded):  # fmt: skip
        day, month, year = (
            (match[1], match[2], match[3]) if match[1] else (match[6], match[5], match[4])
        )
        add(
            Quantity(
                Kind.DATE, int(day) * 100 + int(month), "", match[0], match.start(), int(year)
            ),
            match.end(),
        )
    for match in re.finditer(r"(?<![\d:])(\d{1,2}):(\d{2})(?!\d)", folded):
        minutes = int(match[1]) % 12 * 60 + int(match[2])
        add(Quantity(Kind.TIME, minutes, "", match[0], match.start()), match.end())
    numbers = [
        number
        for number in _numbers(folded, language)
        if not any(start < number.end and number.start < end for start, end in taken)
    ]
    used: set[int] = set()
    for index, number in enumerate(numbers):
        if index in used:
            continue
        for date in _date(folded, numbers, index, used):
            add(*date)
        if index in used:
            continue
        clock = _clock(folded, numbers, index, used, language)
        if clock:
            add(*clock)
            continue
        made = _measured(folded, number, language)
        if made:
            found.append(made)
    return sorted(found, key=lambda quantity: quantity.start)


def _numbers(folded: str, language: Language) -> list[_Number]:
    tokens = [(m.group(), m.start(), m.end()) for m in _TOKEN.finditer(folded)]
    names, scales = _NUMBERS[language], _SCALES[language]
    out: list[_Number] = []
    position = 0
    while position < len(tokens):
        token, start, end = tokens[position]
        glued = start > 0 and (folded[start - 1].isalnum() or folded[start - 1] == "_")
        if token[0].isdigit():
            follows = folded[end : end + 3]
            named = re.match(r"[^\W\d_]", follows) and not re.match(
                r"(h|g|l|m|w|kg|km|cm|ml|mp|oz|st|nd|rd|th|pm|am|lei|ron|min|m²)\b", folded[end:]
            )
            if not glued and not named:
                ordinal = re.match(r"(st|nd|rd|th)\b", folded[end:])
                out.append(_Number(parse_number(token), start, end + (2 if ordinal else 0), False,
                                   ordinal=bool(ordinal)))  # fmt: skip
            position += 1
            continue
        if token in _FRACTIONS[language]:
            out.append(_Number(_FRACTIONS[language][token], start, end, True, fraction=True))
            position += 1
            continue
        if token in _ORDINALS[language]:
            out.append(_Number(_ORDINALS[language][token], start, end, True, ordinal=True))
            position += 1
            continue
        percent = (token, bool(position)) == ("suta", True) and tokens[position - 1][0] == "la"
        if percent or (token not in names and token not in scales):
            position += 1
            continue
        total, current, last = 0.0, 0.0, position
        while last < len(tokens):
            word = tokens[last][0]
            if word in scales:
                current = max(current, 1) * scales[word]
                if scales[word] >= 1000:
                    total, current = total + current, 0.0
            elif word in names and (last == position or names[word] < 20 or current % 100 == 0):
                if last > position and current % 100 and (names[word] >= 10 or current % 10):
                    break
                current += names[word]
            elif (
                word == _AND[language]
                and last > position
                and last + 1 < len(tokens)
                and tokens[last + 1][0] in names
                and (20 <= current % 100 <= 90 or current % 100 == 0)
                and current >= 20
                and names[tokens[last + 1][0]] < (100 if current % 100 == 0 else 10)
            ):
                pass
            else:
                break
            last += 1
            if last < len(tokens) and not re.fullmatch(
                r"[\s-]*", folded[tokens[last - 1][2] : tokens[last][1]]
            ):
                break
        out.append(_Number(total + current, start, tokens[last - 1][2], True))
        position = max(last, position + 1)
    return out


def _date(
    folded: str, numbers: list[_Number], index: int, used: set[int]
) -> list[tuple[Quantity, int]]:
    """A day with its month, before or after it, or the first day of a range that ends in one."""
    number = numbers[index]
    if number.fraction or number.value != int(number.value) or not 1 <= number.value <= 31:
        return []
    rest = folded[number.end :]
    if number.written and number.value == 1 and not number.ordinal:
        return []  # "o mai" is "still", not the first of May
    after = re.match(r"\s*(?:of\s+|the\s+)?([a-z]{3,})\.?,?(?:\s+(\d{4}))?", rest)
    if after and after[1] in _MONTH and after[1] not in _MONTHLESS_SMALL:
        used.add(index)
        if after[2]:
            used.update(i for i, n in enumerate(numbers) if n.start == number.end + after.start(2))
        return [_dated(number, _MONTH[after[1]], int(after[2] or 0), number.end + after.end())]
    span = re.match(
        r"\s*(?:-|–|to|through|until|pana in|pana pe|pana la|si|and|la)\s*(?:the\s+)?", rest
    )
    if span and index + 1 < len(numbers) and numbers[index + 1].start == number.end + span.end():
        second = _date(folded, numbers, index + 1, used)
        if second:
            used.add(index)
            month = int(second[0][0].value) % 100
            return [_dated(number, month, second[0][0].year, number.end), *second]
    before = re.search(r"([a-z]{3,})\.?\s+(?:the\s+)?$", folded[: number.start])
    if before and before[1] in _MONTH and before[1] not in _MONTHLESS_SMALL:
        used.add(index)
        year = re.match(r",?\s+(\d{4})(?!\d)", rest)
        if year:
            used.update(i for i, n in enumerate(numbers) if n.start == number.end + year.start(1))
        made = [_dated(number, _MONTH[before[1]], int(year[1]) if year else 0, number.end)]
        span = re.match(r"\s*(?:-|–|to|through|until)\s*(?:the\s+)?", rest)
        if (
            span
            and index + 1 < len(numbers)
            and numbers[index + 1].start == number.end + span.end()
        ):
            other = numbers[index + 1]
            if 1 <= other.value <= 31:
                used.add(index + 1)
                year = re.match(r",?\s+(\d{4})(?!\d)", folded[other.end :])
                if year:
                    used.update(
                        i for i, n in enumerate(numbers) if n.start == other.end + year.start(1)
                    )
                made.append(
                    _dated(other, _MONTH[before[1]], int(year[1]) if year else 0, other.end)
                )
        return made
    return []


def _dated(number: _Number, month: int, year: int, end: int) -> tuple[Quantity, int]:
    value = int(number.value) * 100 + month
    return Quantity(Kind.DATE, value, "", f"{int(number.value)}.{month}", number.start, year), end


def _clock(
    folded: str, numbers: list[_Number], index: int, used: set[int], language: Language
) -> tuple[Quantity, int] | None:
    number = numbers[index]
    rest = folded[number.end :]
    if language is Language.EN and number.fraction and number.value in (0.5, 0.25):
        past = re.match(r"\s+(past|to)\s+", rest)
        if (
            past
            and index + 1 < len(numbers)
            and numbers[index + 1].start == number.end + past.end()
        ):
            used.add(index + 1)
            offset = 60 * number.value * (1 if past[1] == "past" else -1)
            minutes = (numbers[index + 1].value % 12 * 60 + offset) % 720
            return _timed(number, minutes, numbers[index + 1].end)
    if number.fraction or number.ordinal or not 0 <= number.value <= 24:
        return None
    part = _DAYPART.match(rest)
    hour = re.search(r"\b(?:ora|orele|at)\s+$", folded[: number.start])
    unit = re.match(r"\s*(?:de\s+)?([^\W\d_]+|[%€$£])", rest)
    if part or (hour and not (unit and (unit[1] in _UNITS or language is Language.EN))):
        minutes = number.value % 12 * 60
        half = re.match(r"\s+si\s+(jumatate|jumate|un sfert)", rest)
        if half:
            minutes += 30 if half[1].startswith("jum") else 15
        return _timed(number, minutes, number.end)
    return None


def _timed(number: _Number, minutes: float, end: int) -> tuple[Quantity, int]:
    return Quantity(Kind.TIME, minutes, "", f"{int(minutes // 60)}:{int(minutes % 60):02}", number.start), end  # fmt: skip


def _measured(folded: str, number: _Number, language: Language) -> Quantity | None:
    rest = folded[number.end :]
    before = re.search(r"([^\W\d_]+)\s*$", folded[: number.start])
    base = Quantity(
        Kind.COUNT, number.value, "", folded[number.start : number.end], number.start,
        before=before[1] if before else "", written=number.written,
    )  # fmt: skip
    if re.search(r"[€$£]\s*$", folded[: number.start]) or re.search(
        r"\b(?:eur|usd|ron|gbp)\s*$", folded[: number.start]
    ):
        unit = re.search(r"([€$£]|eur|usd|ron|gbp)\s*$", folded[: number.start])
        assert unit is not None
        text = folded[number.start - len(unit[0]) : number.end]
        return replace(base, kind=Kind.MONEY, unit=_UNITS[unit[1]][1], text=text)
    if re.match(r"\s*(?:la suta|per cent)\b", rest):
        return replace(base, kind=Kind.PERCENT, unit="%")
    if number.fraction:
        if re.match(r"\s*'?\s*(?:of the price|off|price|de pret|din pret|of a price|pret)", rest):
            return replace(base, kind=Kind.PERCENT, unit="%", value=number.value * 100)
        follow = re.match(r"\s*'?\s*(?:de\s+|an\s+|a\s+|of\s+an\s+)?([^\W\d_]+)", rest)
        if follow and follow[1] in _UNITS and follow[1] not in ("m", "g"):
            kind, name, factor = _UNITS[follow[1]]
            return replace(base, kind=kind, unit=name, value=number.value * factor)
        return None
    if number.ordinal:
        return None
    square = re.match(r"\s*(?:de\s+)?(?:metri patrati|square met|m2(?!\w)|mp(?!\w))", rest)
    if square:
        return replace(base, kind=Kind.MEASURE, unit="m2")
    size = re.match(r"\s*[x×]\s*\d+(?:[.,]\d+)*\s*([a-z]+)", rest)
    follow = size or re.match(r"[\s-]*(?:de\s+)?([^\W\d_]+²?|[%€$£])", rest)
    name = follow[1] if follow else ""
    if name in _UNITS:
        kind, unit_name, factor = _UNITS[name]
        text = folded[number.start : number.end + (follow.end() if follow else 0)]
        return replace(
            base, kind=kind, unit=unit_name, value=round(number.value * factor, 6), text=text
        )
    if number.written and number.value == 1:
        return None
    return replace(base, unit=stem(name, language) if name else "")
