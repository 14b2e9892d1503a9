"""One request to the console: who it is, what they posted, in which language, and how to answer."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.responses import RedirectResponse, Response

from pigeonry.config import Home
from pigeonry.domain import Language
from pigeonry.domain.operator import Operator, Permission
from pigeonry.errors import PigeonryError
from pigeonry.service import audit
from pigeonry.service.sign_in import Current, Place
from pigeonry.store.session import Database
from pigeonry.web import answers, render, words
from pigeonry.web.auth import cookies
from pigeonry.web.auth.forms import Form
from pigeonry.web.limits import network
from pigeonry.web.site import Site


@dataclass(frozen=True)
class Visit:
    """What a page needs to know, and the answers it can give."""

    request: Request
    site: Site
    token: str
    who: Current | None
    language: Language
    form: Form = field(default_factory=Form)

    @property
    def db(self) -> Database:
        return self.site.db

    @property
    def home(self) -> Home:
        return self.site.home

    @property
    def now(self) -> datetime:
        return self.site.clock()

    @property
    def operator(self) -> Operator:
        """Who is signed in. Only pages for anyone are visited by nobody."""
        assert self.who is not None
        return self.who.operator

    @property
    def actor(self) -> str:
        """How the audit trail and jobs name them."""
        return self.operator.actor

    @property
    def csrf(self) -> str:
        """What every form of this sign-in carries; another site cannot know it."""
        return csrf_of(self.token) if self.who else ""

    @property
    def place(self) -> Place:
        agent = self.request.headers.get("user-agent", "")[:200]
        return Place(network(self.site.ip(self.request)), agent)

    @property
    def htmx(self) -> bool:
        """Whether a part of a page is wanted, not all of it."""
        return "hx-request" in self.request.headers and "hx-boosted" not in self.request.headers

    def may(self, permission: Permission) -> bool:
        return self.who is not None and self.who.operator.may(permission)

    def t(self, key: str, **values: object) -> str:
        """A sentence in the visitor's language."""
        return words.say(self.language, key, **values)

    def page(
        self, name: str, *, status: int = 200, frames: bool = False, **data: object
    ) -> Response:
        """The template `templates/web/<name>.html`. `frames`: it shows mails in frames of our own."""
        message = cookies.said(self.request, self.home)
        text = self._html(name, {**self._context(message), **data})
        answer = render.page(text, status=status, frames=frames)
        if message is not None:
            cookies.drop_said(answer, self.home)
        if self.request.query_params.get("lang", "") == self.language.value:
            cookies.keep_language(answer, self.home, self.language)
        return answer

    def part(self, name: str, *, status: int = 200, **data: object) -> Response:
        """A piece of a page for HTMX: a template that does not extend base.html."""
        return render.page(self._html(name, {**self._context(None), **data}), status=status)

    def go(self, path: str, say: str = "", *, bad: bool = False, **values: str | int) -> Response:
        """To another page of ours, which says a sentence once."""
        if "hx-request" in self.request.headers:
            answer = Response(status_code=204, headers={"HX-Redirect": path})
        else:
            answer = RedirectResponse(path, 303)
        if say:
            cookies.say_next(answer, self.home, say, values, bad=bad)
        return answer

    def preview(self, mail_html: str) -> Response:
        """A mail, for `<iframe sandbox src=...>` on a page that was made with `frames=True`."""
        return render.preview(mail_html)

    def wrong(self, error: PigeonryError, status: int) -> Response:
        """A page that says what is wrong and what to do."""
        if self.htmx:
            return self.part("wrong_part", status=status, error=error)
        return self.page("wrong", status=status, error=error, status_code=status)

    def audit(self, action: str, subject: str = "", **detail: str | int | bool) -> None:
        """Note what was done, ids and counts only. A service that notes it itself needs no second one."""
        audit.record(
            self.db,
            self.home,
            actor=self.actor,
            action=action,
            subject=subject,
            now=self.now,
            **detail,
        )

    def _html(self, name: str, data: Mapping[str, object]) -> str:
        zone = self.home.settings.web.time_zone
        return render.html(name, data, language=self.language, zone=zone)

    def _context(self, message: tuple[str, Mapping[str, Any], bool] | None) -> dict[str, Any]:
        other = Language.EN if self.language is Language.RO else Language.RO
        switch = self.request.url.include_query_params(lang=other.value)
        path = self.request.url.path
        return {
            "operator": self.who.operator if self.who else None,
            "may": self.may,
            "csrf": self.csrf,
            "path": path,
            "rooms": [
                (nav, path == nav.path or (nav.path != "/" and path.startswith(f"{nav.path}/")))
                for nav in getattr(self.request.app.state, "rooms", ())
                if self.may(nav.may)
            ],
            "other": other.value,
            "switch": f"{switch.path}?{switch.query}" if self.request.method == "GET" else "",
            "said": message and (self.t(message[0], **message[1]), message[2]),
        }


def csrf_of(token: str) -> str:
    return hmac.new(token.encode(), b"pigeonry form", "sha256").hexdigest()


def language_of(request: Request, home: Home) -> Language:
    """As switched, as chosen before, as the browser asks, as the setting says."""
    asked = request.query_params.get("lang", "")
    if asked in set(Language):
        return Language(asked)
    chosen = cookies.language(request, home)
    if chosen is not None:
        return chosen
    if "accept-language" in request.headers:
        return answers.language(request)
    return Language(home.settings.web.language)


def _visit(request: Request) -> Visit:
    found = request.state.visit
    assert isinstance(found, Visit)
    return found


TheVisit = Annotated[Visit, Depends(_visit)]
