"""What a person wrote in an answer, without what they quoted and without their signature."""

from __future__ import annotations

import re
from html.parser import HTMLParser

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
    """The text that a reader sees, without what the mail program marked as quoted."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return re.sub(r"[ \t\xa0]+", " ", "".join(reader.parts)).strip()


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


class _Reader(HTMLParser):
    """Collects text; skips quoted parts by counting their elements."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._skipping: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BLOCKS:
            self.parts.append("\n")
        if self._skipping:
            if tag not in _VOID:
                self._skipping.append(tag)
            return
        marks = " ".join(value or "" for name, value in attrs if name in ("class", "id")).lower()
        quoted = tag == "blockquote" or any(name in marks for name in _QUOTES)
        if tag not in _VOID and (quoted or tag in _SILENT):
            self._skipping.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._skipping:
            while self._skipping.pop() != tag:
                pass
        elif tag in _BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._skipping:
            self.parts.append(data)
