"""What a person wrote in an answer, without what they quoted and without their signature."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape

# "On Mon, 2 Mar 2026 at 12:00, Shop <hello@shop.example> wrote:", "În lun., 2 mar. 2026 ... a scris:"
_ATTRIBUTION = re.compile(
    r".{0,300}\b(?:wrote|writes|a scris|scrie|ați scris)\s*:\s*$", re.IGNORECASE
)
_DIVIDER = re.compile(
    r"\s*(?:-{2,}\s*(?:original message|forwarded message|mesaj\w* (?:original|ini[tțţ]ial|"
    r"redirec[tțţ]ionat|transmis))\s*-{2,}|_{8,}|\*{8,})\s*$",
    re.IGNORECASE,
)
_HEADER = re.compile(r"[\s*]*(?:from|de la|de|expeditor)\s*:", re.IGNORECASE)
_HEADER_AFTER = re.compile(
    r"[\s*]*(?:sent|trimis|date|dat[aă]|to|c[aă]tre|subject|subiect)\s*:", re.IGNORECASE
)
_SIGNATURE = re.compile(r"--\s*$")
_DEVICE = re.compile(
    r"\s*(?:sent from|sent via|trimis de pe|trimis din|get outlook for|ob[tțţ]ine[tțţ]i outlook)\b",
    re.IGNORECASE,
)
# Nobody types the link of our own footer.
_OUR_LINK = re.compile(r"https?://\S*/[a-z]/[a-z2-7]{30,}", re.IGNORECASE)
_WRAPPED = 3  # lines over which an attribution may be wrapped
_BLOCKS = frozenset(("p", "div", "br", "tr", "li", "h1", "h2", "h3", "blockquote", "table", "hr"))
_VOID = frozenset(("br", "img", "hr", "meta", "link", "input", "wbr", "col"))
_QUOTES = (
    "gmail_quote",
    "gmail_attr",
    "yahoo_quoted",
    "moz-cite-prefix",
    "divrplyfwdmsg",
    "appendonsend",
)
_TAG = re.compile(r"<(/?[a-zA-Z][a-zA-Z0-9]*)([^<>]*)>|<!--")
_MARKS = re.compile(r"\b(?:class|id)\s*=\s*[\"']?([^\"'>]*)", re.IGNORECASE)
_DEEP = 200  # open elements among which an end tag looks for its beginning
_SILENT = frozenset(("style", "script", "head", "title"))


def own_words(text: str) -> str:
    """The lines that the person typed, above, below or between what they quoted."""
    kept: list[str] = []
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    place = 0
    while place < len(lines):
        line = lines[place]
        wrapped = _attribution(lines, place)
        if wrapped:
            place += wrapped
            following = next((rest for rest in lines[place:] if rest.strip()), "")
            if not following.lstrip().startswith(">"):
                break
            continue
        if _DIVIDER.match(line) or _SIGNATURE.match(line) or _is_header(lines, place):
            break
        if not (line.lstrip().startswith(">") or _DEVICE.match(line) or _OUR_LINK.search(line)):
            kept.append(line)
        place += 1
    return "\n".join(kept).strip()


def text_of_html(html: str) -> str:
    """The text that a reader sees, without what the mail program marked as quoted.

    Each letter is looked at once: html.parser takes minutes over a hostile mail of 300 kB.
    """
    parts: list[str] = []
    skipping: list[str] = []
    for text, tag, marks in _pieces(html):
        if not skipping:
            parts.append(text)
            if tag.lstrip("/") in _BLOCKS:
                parts.append("\n")
        if tag in _VOID:
            continue
        if not tag.startswith("/"):
            quoted = tag == "blockquote" or any(name in marks for name in _QUOTES)
            if tag and (skipping or quoted or tag in _SILENT):
                skipping.append(tag)
        elif tag[1:] in skipping[-_DEEP:]:
            while skipping.pop() != tag[1:]:
                pass
    return re.sub(r"[ \t\xa0]+", " ", unescape("".join(parts))).strip()


def _pieces(html: str) -> Iterator[tuple[str, str, str]]:
    """(text, the tag after it, its class and id); comments are no text. The last piece has no tag."""
    begin = 0
    for found in _TAG.finditer(html):
        if found.start() < begin:
            continue  # inside a comment
        text, begin = html[begin : found.start()], found.end()
        if found[1] is None:
            end = html.find("-->", found.end())
            begin = len(html) if end < 0 else end + 3
            yield text, "", ""
        else:
            yield text, found[1].lower(), " ".join(_MARKS.findall(found[2])).lower()
    yield html[begin:], "", ""


def _attribution(lines: list[str], place: int) -> int:
    """How many lines from here say who wrote what follows; 0 when they do not."""
    joined = ""
    for count, line in enumerate(lines[place : place + _WRAPPED], 1):
        if not line.strip() or line.lstrip().startswith(">"):
            return 0
        joined = f"{joined} {line.strip()}"
        if _ATTRIBUTION.match(joined):
            # Somebody's own "he wrote:" names no time and no address.
            return count if re.search(r"\d|@", joined) else 0
    return 0


def _is_header(lines: list[str], place: int) -> bool:
    """Whether an older mail's header begins here, as Outlook quotes it."""
    if not _HEADER.match(lines[place]):
        return False
    return any(_HEADER_AFTER.match(line) for line in lines[place + 1 : place + 4])
