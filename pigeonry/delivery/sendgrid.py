"""The one door to SendGrid's client: one recipient a request, our own reading of what came back.

There is no idempotency key on this API, so only a definite refusal may ever lead to another request.
Custom arguments carry the send key and nothing about the person (SendGrid keeps them).
"""

from __future__ import annotations

import email.utils
import http.client
import io
import json
import time
import urllib.error
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pigeonry.config import SendgridSettings
from pigeonry.delivery.exchange import Connections, NeverLeft
from pigeonry.delivery.headers import safe, safe_address
from pigeonry.delivery.replies import without_addresses
from pigeonry.domain.message import HandOver, Outcome, OutgoingMessage
from pigeonry.errors import OutsideFailure

HOSTS = {"global": "https://api.sendgrid.com", "eu": "https://api.eu.sendgrid.com"}
_MOST_CATEGORIES = 10  # theirs
_LONGEST_WAIT = 3600.0
_WRITTEN_BY_THEM = frozenset({"date", "message-id"})
# Answers that are about this mail. Any other 4xx (the key, the path, the sender, the account) would come
# to everybody's; 408 says that they gave up waiting, not on what.
_THIS_MAIL = frozenset({400, 413, 422})


def api(settings: SendgridSettings, key: str) -> tuple[Any, Connections]:
    """Their client over connections of ours: its own opens one for each request, and waits for each byte
    anew."""
    from python_http_client import Client
    from python_http_client.exceptions import handle_error
    from sendgrid import SendGridAPIClient

    official = SendGridAPIClient(key, host=settings.host or HOSTS[settings.region])
    connections = Connections(official.host, settings.timeout_seconds)

    class Kept(Client):  # type: ignore[misc]
        def _build_client(self, name: str | None = None) -> Any:
            path = [*self._url_path, name] if name else self._url_path
            return Kept(self.host, self.request_headers, self._version, path)

        def _make_request(self, _opener: Any, request: Any, timeout: Any = None) -> Any:
            headers = dict(request.header_items())
            answer = connections.ask(
                request.get_method(), request.selector, headers, request.data or b""
            )
            # What both urllib's errors and its answers are made of.
            found = urllib.error.HTTPError(
                request.full_url,
                answer.status,
                answer.reason,
                answer.headers,
                io.BytesIO(answer.body),
            )
            if answer.status >= 300:
                raise handle_error(found)
            return found

    official.client = Kept(official.host, official.client.request_headers, 3)
    return official.client, connections


class SendGridSender:
    """Keeps connections; safe to use from several threads."""

    name = "sendgrid"

    def __init__(self, settings: SendgridSettings, key: str) -> None:
        self._settings = settings
        self._client, self._connections = api(settings, key)

    @property
    def max_seconds(self) -> float:
        return 3 * self._settings.timeout_seconds

    def hand_over(self, message: OutgoingMessage) -> HandOver:
        from python_http_client.exceptions import HTTPError

        body = request_body(message, self._settings)
        try:
            response = self._client.mail.send.post(request_body=body)
        except HTTPError as error:
            return _refused(error)
        except NeverLeft as error:
            return HandOver(Outcome.RETRY, reason=str(error)[:200], channel_down=True)
        except (OSError, http.client.HTTPException) as error:
            reason = f"no answer: {error or type(error).__name__}"[:200]
            return HandOver(Outcome.UNKNOWN, reason=reason)
        if response.status_code in (200, 202):
            number = response.headers.get("X-Message-Id", "") or ""
            return HandOver(Outcome.ACCEPTED, provider_id=number)
        return HandOver(Outcome.UNKNOWN, reason=f"unexpected answer {response.status_code}")

    def evidence(self, send_key: str) -> bool | None:
        """Only its event webhook can tell, and that is stored when it comes."""
        return None

    def close(self) -> None:
        self._connections.close()


def request_body(message: OutgoingMessage, settings: SendgridSettings) -> dict[str, Any]:
    """The v3 mail/send request of one mail. Raises UnsafeHeader like every channel."""
    to: dict[str, str] = {"email": safe_address("To", message.to_email)}
    if message.to_name:
        to["name"] = safe("To", message.to_name)
    body: dict[str, Any] = {
        "personalizations": [{"to": [to], "custom_args": {"send_key": message.send_key}}],
        "from": {
            "email": safe_address("From", message.from_email),
            "name": safe("From", message.from_name),
        },
        "subject": safe("Subject", message.subject),
        "content": [
            {"type": "text/plain", "value": message.text},
            {"type": "text/html", "value": message.html},
        ],
        "headers": {
            name: safe(name, value)
            for name, value in message.headers.items()
            if name.lower() not in _WRITTEN_BY_THEM
        },
        "categories": [
            f"campaign-{message.headers.get('X-Pigeonry-Campaign', '0')}",
            *settings.categories,
        ][:_MOST_CATEGORIES],
        "tracking_settings": {
            "click_tracking": {"enable": not message.tracked, "enable_text": False},
            "open_tracking": {"enable": not message.tracked},
            "subscription_tracking": {"enable": False},  # ours is in the mail already
        },
        "mail_settings": {"sandbox_mode": {"enable": settings.sandbox}},
    }
    if message.reply_to:
        body["reply_to"] = {"email": safe_address("Reply-To", message.reply_to)}
    if settings.asm_group:
        body["asm"] = {"group_id": settings.asm_group}
    return body


def _refused(error: Any) -> HandOver:
    """An answer with an error status: 4xx is definite, anything else may have been taken."""
    code = int(error.status_code)
    reason = without_addresses(f"{code} {_their_words(error.body)}")[:200]
    if code in _THIS_MAIL:
        return HandOver(Outcome.REFUSED, reason=reason)
    if code in (301, 302, 307, 308) or (400 <= code < 500 and code != 408):
        wait = _retry_after(error.headers) if code == 429 else None
        return HandOver(Outcome.RETRY, reason=reason, retry_after=wait, channel_down=True)
    return HandOver(Outcome.UNKNOWN, reason=reason)


def _their_words(body: object) -> str:
    """`field: message; ...` of their errors, else the answer as it is."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else ""
    try:
        errors = json.loads(text)["errors"]
        return "; ".join(
            ": ".join(str(error[part]) for part in ("field", "message") if error.get(part))
            for error in errors
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return " ".join(text.split())


def _retry_after(headers: Any) -> float | None:
    """Seconds, by their own clock where they tell a moment: ours may be wrong."""
    headers = headers or {}
    now = _moment(headers.get("Date")) or time.time()
    text = headers.get("Retry-After") or ""
    until = _moment(text) or _number(headers.get("X-RateLimit-Reset"))
    seconds = _number(text)
    if seconds is None:
        seconds = None if until is None else until - now
    return None if seconds is None else max(0.0, min(seconds, _LONGEST_WAIT))


def _moment(text: str | None) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(text or "").timestamp()
    except ValueError:
        return None


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None


STOP_LISTS = ("bounces", "blocks", "invalid_emails", "spam_reports", "unsubscribes")
_PAGE = 500  # their most
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Stop:
    """An entry of one of `STOP_LISTS`: whom SendGrid will not write to, since when."""

    kind: str
    address: str
    at: datetime
    reason: str = ""


def stops(
    settings: SendgridSettings, key: str, *, since: datetime | None, until: datetime
) -> Iterator[Sequence[Stop]]:
    """What was added to their lists in that time, a page at a time. Raises OutsideFailure."""
    client, connections = api(settings, key)
    try:
        for kind in STOP_LISTS:
            offset = 0
            while True:
                query = {"limit": _PAGE, "offset": offset, "end_time": int(until.timestamp())}
                if since is not None:
                    query["start_time"] = int(since.timestamp())
                rows = _asked(client.suppression._(kind).get, kind, query)
                if rows:
                    yield [_stop(kind, row) for row in rows]
                if len(rows) < _PAGE:
                    break
                offset += len(rows)
    finally:
        connections.close()


def _asked(get: Callable[..., Any], kind: str, query: Mapping[str, int]) -> list[dict[str, Any]]:
    from python_http_client.exceptions import HTTPError

    try:
        rows = json.loads(get(query_params=query).body)
        if isinstance(rows, list) and all(isinstance(row, dict) for row in rows):
            return rows
        words, transient = "an answer that is no list", False
    except HTTPError as error:
        words = without_addresses(f"{error.status_code} {_their_words(error.body)}")[:200]
        transient = error.status_code == 429 or error.status_code >= 500
    except (OSError, http.client.HTTPException, ValueError) as error:
        words, transient = str(error) or type(error).__name__, True
    raise OutsideFailure(
        f"SendGrid does not hand over its list of {kind}: {words}",
        where="sendgrid",
        fix="check that the key may read suppressions, and run it again: nothing is lost",
        transient=transient,
    )


def _stop(kind: str, row: Mapping[str, Any]) -> Stop:
    """Their rows have `created` in seconds and `email`; without a usable time it was always so."""
    try:
        at = max(_EARLIEST, datetime.fromtimestamp(int(row.get("created", 0)), UTC))
    except (TypeError, ValueError, OverflowError, OSError):
        at = _EARLIEST
    reason = without_addresses(str(row.get("reason", "")))
    return Stop(kind, str(row.get("email", "")), at, reason)
