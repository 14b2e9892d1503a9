"""The one door to SendGrid's client: one recipient a request, our own reading of what came back.

There is no idempotency key on this API, so only a definite refusal may ever lead to another request.
Custom arguments carry the send key and nothing about the person (SendGrid keeps them).
"""

from __future__ import annotations

import errno
import socket
import ssl
import urllib.error
from typing import Any

from pigeonry.config import SendgridSettings
from pigeonry.delivery.headers import safe, safe_address
from pigeonry.domain.message import HandOver, Outcome, OutgoingMessage

HOSTS = {"global": "https://api.sendgrid.com", "eu": "https://api.eu.sendgrid.com"}
_TIMEOUT = 30.0  # seconds for each wait on the socket; the client's own default is none at all
_WRITTEN_BY_THEM = frozenset({"date", "message-id"})
_NEVER_LEFT = (ConnectionRefusedError, socket.gaierror, ssl.SSLError)
_NEVER_LEFT_ERRNO = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL})


class SendGridSender:
    """Stateless; safe to use from several threads."""

    name = "sendgrid"
    max_seconds = 3 * _TIMEOUT  # connect and TLS, request, answer

    def __init__(
        self, settings: SendgridSettings, key: str, *, timeout_seconds: float = _TIMEOUT
    ) -> None:
        from sendgrid import SendGridAPIClient

        self._sandbox = settings.sandbox
        self._client: Any = SendGridAPIClient(key, host=settings.host or HOSTS[settings.region])
        self._client.client.timeout = timeout_seconds
        self.max_seconds = 3 * timeout_seconds

    def hand_over(self, message: OutgoingMessage) -> HandOver:
        from python_http_client.exceptions import HTTPError

        body = request_body(message, sandbox=self._sandbox)
        try:
            response = self._client.client.mail.send.post(request_body=body)
        except HTTPError as error:
            return _refused(error)
        except urllib.error.URLError as error:
            reason = error.reason
            if isinstance(reason, _NEVER_LEFT) or (
                isinstance(reason, OSError) and reason.errno in _NEVER_LEFT_ERRNO
            ):
                return HandOver(
                    Outcome.RETRY, reason=f"cannot connect: {reason}", channel_down=True
                )
            return HandOver(Outcome.UNKNOWN, reason=f"the request broke off: {reason}")
        except (
            Exception
        ) as error:  # http.client and socket raise many kinds while an answer is read
            return HandOver(Outcome.UNKNOWN, reason=f"no answer: {error or type(error).__name__}")
        if response.status_code in (200, 202):
            return HandOver(
                Outcome.ACCEPTED, provider_id=response.headers.get("X-Message-Id", "") or ""
            )
        return HandOver(Outcome.UNKNOWN, reason=f"unexpected answer {response.status_code}")

    def evidence(self, send_key: str) -> bool | None:
        """Only its event webhook can tell, and that is stored when it comes."""
        return None


def request_body(message: OutgoingMessage, *, sandbox: bool = False) -> dict[str, Any]:
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
        "categories": [f"campaign-{message.headers.get('X-Pigeonry-Campaign', '0')}"],
        "tracking_settings": {
            "click_tracking": {"enable": not message.tracked, "enable_text": False},
            "open_tracking": {"enable": not message.tracked},
            "subscription_tracking": {"enable": False},  # ours is in the mail already
        },
        "mail_settings": {"sandbox_mode": {"enable": sandbox}},
    }
    if message.reply_to:
        body["reply_to"] = {"email": safe_address("Reply-To", message.reply_to)}
    return body


def _refused(error: Any) -> HandOver:
    """An answer with an error status: 4xx is definite, anything else may have been taken."""
    code = int(error.status_code)
    body = error.body.decode("utf-8", "replace") if isinstance(error.body, bytes) else ""
    reason = f"{code} {' '.join(body.split())}"[:200]
    if code == 429:
        return HandOver(
            Outcome.RETRY, reason=reason, retry_after=_retry_after(error.headers), channel_down=True
        )
    if code in (401, 403):
        # The key, not the lead: no message fails for it.
        return HandOver(Outcome.RETRY, reason=reason, channel_down=True)
    if 400 <= code < 500 and code != 408:
        return HandOver(Outcome.REFUSED, reason=reason)
    return HandOver(Outcome.UNKNOWN, reason=reason)


def _retry_after(headers: Any) -> float | None:
    text = (headers.get("Retry-After") if headers is not None else None) or ""
    try:
        return max(0.0, min(float(text), 3600.0))
    except ValueError:
        return None
