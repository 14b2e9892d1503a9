"""Pages of the console: Jinja with escaping always on, the words of one language, strict headers."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from pigeonry.domain import Language
from pigeonry.web import static, words
from pigeonry.web.answers import folder

if TYPE_CHECKING:
    from jinja2 import Environment

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
# A mail is somebody else's HTML as far as we are concerned: no script, no form, nothing from outside, and
# an origin of its own.
PREVIEW_CSP = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
)


@functools.cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(lambda name: (folder() / name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=["jinja2.ext.do"],
    )
    environment.globals["static"] = static.address
    return environment


def html(name: str, data: Mapping[str, object], *, language: Language, zone: str) -> str:
    """A template of templates/web with the words and numbers of one language.

    In it: `t("room.key", n=5)`, `number(x)`, `percent(share)`, `money(micros, currency)`, `day(at)`,
    `moment(at)`, `static("file")`, `lang`.
    """
    from markupsafe import Markup

    def time(at: datetime, text: str) -> Markup:
        return Markup('<time datetime="{}">{}</time>').format(at.isoformat(), text)

    return (
        _environment()
        .get_template(f"{name}.html")
        .render(
            lang=language.value,
            t=functools.partial(words.say, language),
            number=functools.partial(words.number, language),
            percent=functools.partial(words.percent, language),
            money=functools.partial(words.money, language),
            day=lambda at: time(at, words.day(language, at, zone)),
            moment=lambda at: time(at, words.moment(language, at, zone)),
            **data,
            language=language,
        )
    )


def page(
    text: str,
    *,
    status: int = 200,
    frames: bool = False,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """HTML with the console's headers; `frames` for a page that shows mails in frames of our own."""
    policy = f"{CSP}; frame-src 'self'" if frames else CSP
    return Response(
        text,
        status,
        {"Content-Security-Policy": policy, "Vary": "Cookie, Accept-Language", **(headers or {})},
        "text/html; charset=utf-8",
    )


def preview(mail_html: str, *, headers: Mapping[str, str] | None = None) -> Response:
    """A mail as it is, for a sandboxed frame: an answer of its own, that can do nothing."""
    return Response(
        mail_html,
        200,
        {"Content-Security-Policy": PREVIEW_CSP, **(headers or {})},
        "text/html; charset=utf-8",
    )


def warm() -> dict[str, Any]:
    """Read what every page needs once, before the first visitor waits for it."""
    return {"words": len(words.sentences()), "files": len(static.files())}
