"""SMTP through the standard library, with our own reading of what each failure proves.

Every failure before the final dot is definite: the server has no mail. After the dot only a reply
counts; a lost connection or a silence there is UNKNOWN. RFC 5321 section 4.5.3.2.6 gives the server ten
minutes for that reply, and so do we (shorter limits make unknowns: RFC 1047).
"""

from __future__ import annotations

import contextlib
import re
import smtplib
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field

from pigeonry.config import SmtpSettings
from pigeonry.delivery.mime import to_bytes
from pigeonry.domain.message import HandOver, Outcome, OutgoingMessage

AFTER_DOT_SECONDS = 600.0
_PHASES = 3  # connect with greeting, transport with login, envelope with body
_PER_CONNECTION = 100  # mails; many servers close after that
_IDLE_SECONDS = 30.0  # a connection unused for longer is not trusted any more
_QUEUED = re.compile(r"queued (?:mail for delivery )?as ([\w.-]+)|\bid=([\w-]+)", re.IGNORECASE)


class _Failure(Exception):
    """Definitely not accepted; carries what to conclude."""

    def __init__(self, result: HandOver) -> None:
        self.result = result
        super().__init__(result.reason)


@dataclass
class _Line:
    """An open connection and how much it has carried."""

    smtp: smtplib.SMTP
    sent: int = 0
    dirty: bool = False  # the last mail was refused: reset before the next
    used_at: float = field(default_factory=time.monotonic)


class SmtpSender:
    """Pools connections: each hand-over takes one and puts it back; safe to use from several threads."""

    name = "smtp"

    def __init__(
        self,
        settings: SmtpSettings,
        password: str = "",
        *,
        after_dot_seconds: float = AFTER_DOT_SECONDS,
    ) -> None:
        self._settings = settings
        self._password = password
        self._after_dot = after_dot_seconds
        self._idle: list[_Line] = []
        self._lock = threading.Lock()

    @property
    def max_seconds(self) -> float:
        return _PHASES * self._settings.timeout_seconds + self._after_dot

    def hand_over(self, message: OutgoingMessage) -> HandOver:
        data = to_bytes(message)
        deadline = time.monotonic() + _PHASES * self._settings.timeout_seconds
        while True:
            line, fresh = None, True
            try:
                line, fresh = self._take(deadline)
                self._envelope(line, message, deadline)
                self._body(line.smtp, data, deadline)
            except _Failure as failure:
                if line is not None:
                    self._put_back(line, failure.result)
                return failure.result
            except (OSError, smtplib.SMTPException) as error:
                if line is not None:
                    _drop(line)
                if not fresh:
                    continue  # an old connection that the server had closed: once more on a new one
                return _definite(error)
            try:
                return self._dot(line)
            except (OSError, smtplib.SMTPException) as error:
                _drop(line)
                return HandOver(
                    Outcome.UNKNOWN, reason=f"no reply after the final dot: {_words(error)}"
                )

    def evidence(self, send_key: str) -> bool | None:
        """A relay gives no account of what it took."""
        return None

    def close(self) -> None:
        with self._lock:
            lines, self._idle = self._idle, []
        for line in lines:
            with contextlib.suppress(OSError, smtplib.SMTPException):
                line.smtp.quit()
            line.smtp.close()

    def _take(self, deadline: float) -> tuple[_Line, bool]:
        """A connection, and whether it is a new one."""
        with self._lock:
            line = self._idle.pop() if self._idle else None
        if line is not None:
            if time.monotonic() - line.used_at < _IDLE_SECONDS:
                return line, False
            _drop(line)
        return self._connect(deadline), True

    def _connect(self, deadline: float) -> _Line:
        settings = self._settings
        limit = min(settings.timeout_seconds, _left(deadline))
        name = socket.gethostname()
        name = name if "." in name else "[127.0.0.1]"
        try:
            if settings.security == "tls":
                smtp: smtplib.SMTP = smtplib.SMTP_SSL(
                    settings.host,
                    settings.port,
                    local_hostname=name,
                    timeout=limit,
                    context=ssl.create_default_context(),
                )
            else:
                smtp = smtplib.SMTP(
                    settings.host, settings.port, local_hostname=name, timeout=limit
                )
            try:
                self._log_in(smtp, deadline)
            except BaseException:
                smtp.close()
                raise
        except smtplib.SMTPResponseException as error:
            raise _Failure(
                HandOver(Outcome.RETRY, reason=_words(error), channel_down=True)
            ) from error
        return _Line(smtp)

    def _log_in(self, smtp: smtplib.SMTP, deadline: float) -> None:
        settings = self._settings
        if smtp.sock is not None:
            # The final dot is a packet of its own; without this it waits for an ACK.
            smtp.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _limit(smtp, settings.timeout_seconds, deadline)
        smtp.ehlo_or_helo_if_needed()
        if settings.security == "starttls":
            if not smtp.has_extn("starttls"):
                reason = "the server offers no STARTTLS, and smtp.security says it has to"
                raise _Failure(HandOver(Outcome.RETRY, reason=reason, channel_down=True))
            _limit(smtp, settings.timeout_seconds, deadline)
            smtp.starttls(context=ssl.create_default_context())
            smtp.ehlo()
        if settings.username:
            _limit(smtp, settings.timeout_seconds, deadline)
            smtp.login(settings.username, self._password)

    def _envelope(self, line: _Line, message: OutgoingMessage, deadline: float) -> None:
        smtp = line.smtp
        _limit(smtp, self._settings.timeout_seconds, deadline)
        if line.dirty:
            smtp.rset()
            line.dirty = False
        code, reply = smtp.mail(message.from_email)
        # A refused sender address is refused for every lead: nobody's message fails for it.
        _expect(code == 250, code, reply, "MAIL FROM", channel=code >= 500)
        code, reply = smtp.rcpt(message.to_email)
        _expect(code in (250, 251), code, reply, "RCPT TO")

    def _body(self, smtp: smtplib.SMTP, data: bytes, deadline: float) -> None:
        """Everything but the final dot."""
        _limit(smtp, self._settings.timeout_seconds, deadline)
        code, reply = smtp.docmd("DATA")
        _expect(code == 354, code, reply, "DATA")
        smtp.send(re.sub(rb"(?m)^\.", b"..", data))

    def _dot(self, line: _Line) -> HandOver:
        smtp = line.smtp
        if smtp.sock is not None:
            smtp.sock.settimeout(self._after_dot)
        smtp.send(b".\r\n")
        code, reply = smtp.getreply()
        text = _text(reply)
        if code == 250:
            found = _QUEUED.search(text)
            result = HandOver(
                Outcome.ACCEPTED,
                provider_id=(found[1] or found[2]) if found else "",
                reason=f"250 {text}"[:200],
            )
        elif 400 <= code < 600:
            result = _refusal(code, text, "final dot")
        else:
            _drop(line)
            return HandOver(Outcome.UNKNOWN, reason=f"after the final dot: {code} {text}"[:200])
        self._put_back(line, result)
        return result

    def _put_back(self, line: _Line, result: HandOver) -> None:
        line.sent += 1
        line.used_at = time.monotonic()
        line.dirty = result.outcome is not Outcome.ACCEPTED
        if result.channel_down or result.reason.startswith("421") or line.sent >= _PER_CONNECTION:
            _drop(line)
            return
        with self._lock:
            self._idle.append(line)


def _expect(good: bool, code: int, reply: bytes, phase: str, *, channel: bool = False) -> None:
    if not good:
        if code in (
            -1,
            421,
        ):  # closing: an old connection deserves a new one, a new one says "down"
            raise smtplib.SMTPServerDisconnected(f"{code} {_text(reply)} ({phase})")
        raise _Failure(_refusal(code, _text(reply), phase, channel=channel))


def _refusal(code: int, text: str, phase: str, *, channel: bool = False) -> HandOver:
    outcome = Outcome.REFUSED if code >= 500 and not channel else Outcome.RETRY
    return HandOver(outcome, reason=f"{code} {text} ({phase})"[:200], channel_down=channel)


def _definite(error: Exception) -> HandOver:
    """Trouble with the connection before the final dot, on a fresh connection."""
    return HandOver(Outcome.RETRY, reason=_words(error), channel_down=True)


def _words(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {_text(error.smtp_error)}"[:200]
    return (str(error) or type(error).__name__)[:200]


def _text(reply: bytes | str) -> str:
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    return " ".join(text.split())[:180]


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the time for this mail is over before the final dot")
    return left


def _limit(smtp: smtplib.SMTP, seconds: float, deadline: float) -> None:
    if smtp.sock is not None:
        smtp.sock.settimeout(min(seconds, _left(deadline)))


def _drop(line: _Line) -> None:
    line.smtp.close()
