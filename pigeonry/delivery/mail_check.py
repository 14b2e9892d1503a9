"""A last look at finished mails as a mailbox provider or an authority would: each rule one finding."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from html.parser import HTMLParser
from urllib.parse import urlsplit

from pigeonry.delivery.company import cui_problem, register_problem
from pigeonry.delivery.domain_records import related
from pigeonry.delivery.findings import Finding, Severity, found
from pigeonry.domain.brief import SenderIdentity
from pigeonry.domain.message import OutgoingMessage

MUST, SHOULD = Severity.MUST, Severity.SHOULD
_GMAIL_CLIPS = (
    102_000  # bytes of the HTML part; what is below the cut, the way out too, is not shown
)
_LONGEST_SUBJECT = 60  # characters; phones show about 40
_LEAST_TEXT, _TEXT_PER_IMAGE = 400, 250  # characters that a reader sees
_SAME_WORDS = 0.9
# Shorteners hide where a link leads and share their reputation with every spammer.
_SHORTENERS = frozenset(
    [
        "bit.ly",
        "buff.ly",
        "cutt.ly",
        "goo.gl",
        "is.gd",
        "lnkd.in",
        "ow.ly",
        "rb.gy",
        "rebrand.ly",
        "shorturl.at",
        "t.co",
        "t.ly",
        "tiny.cc",
        "tinyurl.com",
        "v.gd",
    ]
)
_FAKE_ANSWER = re.compile(r"\s*(re|fw|fwd|r[ăa]sp)\s*:", re.IGNORECASE)


class _Page(HTMLParser):
    """Links with their words, images and visible text of an HTML part."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[tuple[str, str]] = []
        self.images: list[Mapping[str, str]] = []
        self.text = ""
        self._hidden = 0
        self._open: str | None = None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if self._hidden or tag in ("style", "head", "script", "title"):
            self._hidden += tag not in ("meta", "link", "img", "br", "base")
        elif values.get("class") == "preheader":
            self._hidden = 1
        elif tag == "a" and "trap" not in values.get("class", ""):
            self._open = values.get("href", "")
            self.links.append((self._open, ""))
        elif tag == "img" and values.get("width") != "1":
            self.images.append(values)
        self.text += " "

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if not self._hidden:
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if self._hidden:
            self._hidden -= 1
        elif tag == "a":
            self._open = None
        self.text += " "

    def handle_data(self, data: str) -> None:
        if self._hidden:
            return
        self.text += data
        if self._open is not None:
            href, words = self.links[-1]
            self.links[-1] = (href, words + data)


def look_at(mail: OutgoingMessage, sender: SenderIdentity, *, romanian: bool) -> Iterator[Finding]:
    """Every finding about one mail. `romanian`: Romanian law names what the footer has to hold."""
    page = _Page(mail.html)
    text_links = re.findall(r"https?://[^\s<>]+", mail.text)
    links = [href for href, _ in page.links] + text_links
    for name, severity, problem, good, fix in _rules(
        mail, sender, page, text_links, links, romanian
    ):
        yield found(name, problem(), good=good, severity=severity, fix=fix)


_Rule = tuple[str, Severity, Callable[[], str], str, str]


def _rules(
    mail: OutgoingMessage,
    sender: SenderIdentity,
    page: _Page,
    text_links: Sequence[str],
    links: Sequence[str],
    romanian: bool,
) -> tuple[_Rule, ...]:
    law = MUST if romanian else SHOULD
    return (
        (
            "one-click",
            MUST,
            lambda: _one_click(mail),
            "List-Unsubscribe over https, RFC 8058",
            "set links.base_url to an https address that the world can reach",
        ),
        (
            "way-out",
            MUST,
            lambda: _way_out(mail, page),
            "a visible unsubscribe link in both parts",
            "keep the unsubscribe link in templates/email/layout.html.j2 and layout.txt.j2",
        ),
        (
            "postal-address",
            MUST,
            lambda: _named(mail, page, {"company": sender.company, "address": sender.address}),
            "company and postal address in both parts",
            "set sender.company and sender.address in the brief",
        ),
        (
            "company-id",
            law,
            lambda: (
                cui_problem(sender.company_id)
                or _named(mail, page, {"company_id": sender.company_id})
            ),
            f"CUI {sender.company_id}",
            "set sender.company_id in the brief to the CUI of the trade register's certificate",
        ),
        (
            "register",
            law,
            lambda: (
                register_problem(sender.register)
                or _named(mail, page, {"register": sender.register})
            ),
            f"trade register number {sender.register}",
            "set sender.register in the brief, like J08/123/2019",
        ),
        (
            "parity",
            MUST,
            lambda: _parity(mail, page, text_links),
            "both parts have the same links and words",
            "write layout.html.j2 and layout.txt.j2 from the same copy",
        ),
        (
            "images",
            SHOULD,
            lambda: _images(page),
            "enough words for its images",
            "say in words what the images show, and give each an alt text",
        ),
        (
            "links",
            MUST,
            lambda: _links(links),
            "https, by name, to no shortener",
            "link to an https page of your own in the brief and in links.base_url",
        ),
        (
            "link-domain",
            SHOULD,
            lambda: _link_domain(mail, links),
            "links lead to the sender's own domain",
            "use one domain, and hosts below it, for sender.email, link, links.base_url and tracking.base_url",
        ),
        (
            "size",
            MUST,
            lambda: _size(mail),
            f"{len(mail.html.encode()):,} bytes of HTML",
            "shorten the copy or the layout's styles",
        ),
        (
            "subject",
            SHOULD,
            lambda: _subject(mail.subject),
            "short, and says what it is",
            "shorten it, without RE: and without capitals (limits.subject_max in the brief)",
        ),
    )


def _one_click(mail: OutgoingMessage) -> str:
    headers = {name.lower(): value for name, value in mail.headers.items()}
    if headers.get("list-unsubscribe-post") != "List-Unsubscribe=One-Click":
        return "List-Unsubscribe-Post is missing or says something else"
    urls = re.findall(r"<([^>]+)>", headers.get("list-unsubscribe", ""))
    web = [url for url in urls if not url.startswith("mailto:")]
    if not web:
        return "List-Unsubscribe has no web address"
    if not all(reachable(url) for url in web):
        return f"{_site(web[0])} is no https address that the world can reach"
    return ""


def reachable(url: str) -> bool:
    """Whether it can be an https address that the world reaches: a name with a dot in it."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return parts.scheme == "https" and "." in host and not _is_number(host)


def _way_out(mail: OutgoingMessage, page: _Page) -> str:
    if not any(href == mail.unsubscribe_url and words.strip() for href, words in page.links):
        return "the HTML part has no link with words to unsubscribe"
    return "" if mail.unsubscribe_url in mail.text else "the text part has no unsubscribe link"


def _named(mail: OutgoingMessage, page: _Page, wanted: Mapping[str, str]) -> str:
    parts = {"HTML": _squeezed(page.text), "text": _squeezed(mail.text)}
    for what, value in wanted.items():
        if not value.strip():
            return f"the brief has no sender.{what}"
        for part, words in parts.items():
            if _squeezed(value) not in words:
                return f"the {part} part does not name sender.{what}"
    return ""


def _parity(mail: OutgoingMessage, page: _Page, text_links: Sequence[str]) -> str:
    html_links = {href for href, _ in page.links}
    if different := html_links ^ set(text_links):
        return f"one part has a link that the other lacks: {_site(min(different))}"
    html_words, text_words = _words(page.text), _words(re.sub(r"https?://\S+", " ", mail.text))
    shared = len(html_words & text_words) / max(1, len(html_words | text_words))
    return "" if shared >= _SAME_WORDS else f"the parts share {shared:.0%} of their words"


def _images(page: _Page) -> str:
    if any(not image.get("alt") for image in page.images):
        return "an image has no alt text"
    seen = len(_squeezed(page.text))
    if page.images and seen < max(_LEAST_TEXT, _TEXT_PER_IMAGE * len(page.images)):
        return f"{len(page.images)} images and {seen} characters of text"
    return ""


def _links(links: Sequence[str]) -> str:
    for link in links:
        host = urlsplit(link).hostname or ""
        if urlsplit(link).scheme != "https":
            return f"{_site(link)} is not https"
        if _is_number(host):
            return f"{_site(link)} is a number instead of a name"
        if any(related(host, shortener) for shortener in _SHORTENERS):
            return f"{_site(link)} is a shortener"
    return ""


def _link_domain(mail: OutgoingMessage, links: Sequence[str]) -> str:
    home = mail.from_email.rpartition("@")[2]
    hosts = {urlsplit(link).hostname or "" for link in links}
    foreign = sorted(host for host in hosts if not _brothers(host, home))
    return f"From is at {home}, links lead to {', '.join(foreign)}" if foreign else ""


def _brothers(one: str, other: str) -> bool:
    """m.shop.example and www.shop.example, but not a.example and b.example."""
    first, second = one.lower().split("."), other.lower().split(".")
    return related(one, other) or (min(len(first), len(second)) > 2 and first[1:] == second[1:])


def _size(mail: OutgoingMessage) -> str:
    size = len(mail.html.encode())
    if size < _GMAIL_CLIPS:
        return ""
    return f"{size:,} bytes of HTML: Gmail hides what is beyond {_GMAIL_CLIPS:,}, the way out too"


def _subject(subject: str) -> str:
    letters = [letter for letter in subject if letter.isalpha()]
    if _FAKE_ANSWER.match(subject):
        return f"{subject!r} pretends to be an answer"
    if len(letters) > 5 and all(letter.isupper() for letter in letters):
        return f"{subject!r} is all capitals"
    if len(subject) > _LONGEST_SUBJECT:
        return f"{len(subject)} characters, phones show about 40"
    return ""


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _site(link: str) -> str:
    """Scheme and host: what follows may be a token."""
    parts = urlsplit(link)
    return f"{parts.scheme}://{parts.netloc}"


def _squeezed(text: str) -> str:
    return " ".join(text.split())


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.casefold()))
