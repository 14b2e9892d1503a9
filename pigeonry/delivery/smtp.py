"""SMTP through the standard library, with our own reading of what each failure proves.

Every failure before the final dot has left is definite: the server has no mail. After the dot only a
reply counts; a lost connection or a silence there is UNKNOWN. RFC 5321 section 4.5.3.2.6 gives the server
ten minutes for that reply, and so do we (shorter limits make unknowns: RFC 1047).
"""

from __future__ import annotations

import contextlib
import re
import smtplib
import socket
import ssl
import threading
import time

from pigeonry.config import SmtpSettings
from pigeonry.delivery import wire
from pigeonry.delivery.dkim import Signer
from pigeonry.delivery.mime import to_bytes
from pigeonry.delivery.replies import LONGEST, accepted, one_line, refusal
from pigeonry.domain.failpoint import failpoint
from pigeonry.domain.message import HandOver, Outcome, OutgoingMessage

_PHASES = 3  # all that comes before the dot may take three times the limit of one phase
_PER_CONNECTION = 100  # mails; many servers close after that
_IDLE_SECONDS = 30.0  # a connection unused for longer is not trusted any more
_GOODBYE_SECONDS = 2.0
_GOOD = {"RSET": (250,), "MAIL": (250,), "RCPT": (250, 251), "DATA": (354,)}


class _Failure(Exception):
    """Definitely not accepted; carries what to conclude."""

    def __init__(self, result: HandOver) -> None:
        self.result = result
        super().__init__(result.reason)


class _Line(smtplib.SMTP):
    """A connection whose every wait ends with the deadline of the mail that uses it."""

    def __init__(
        self, settings: SmtpSettings, context: ssl.SSLContext | None, deadline: wire.Deadline
    ) -> None:
        self.deadline = deadline
        self.sent = 0
        self.dirty = False  # the last mail was refused: reset before the next
        self.used_at = 0.0
        self._implicit_tls = context if settings.security == "tls" else None
        name = socket.gethostname()
        super().__init__(
            settings.host, settings.port, local_hostname=name if "." in name else "[127.0.0.1]"
        )

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        found = wire.connect(host, port, self.deadline)
        if self._implicit_tls is None:
            return found
        found.settimeout(self.deadline.left())
        try:
            return self._implicit_tls.wrap_socket(found, server_hostname=host)
        except BaseException:
            found.close()
            raise

    def send(self, s: bytes | str) -> None:  # type: ignore[override]
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("the connection is closed")
        data = s.encode("ascii") if isinstance(s, str) else s
        wire.send(self.sock, data, lambda: self.deadline.left())

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None and self.sock is not None:
            # smtplib's own file would wait anew for each byte.
            self.file = wire.reader(self.sock, lambda: self.deadline.left())
        return super().getreply()

    def drop(self) -> None:
        """Close without waiting for anybody."""
        self.deadline = wire.Deadline(_GOODBYE_SECONDS)
        with contextlib.suppress(OSError, smtplib.SMTPException):
            self.putcmd("QUIT")
        self.close()


class SmtpSender:
    """Pools connections: each hand-over takes one and puts it back; safe to use from several threads."""

    name = "smtp"

    def __init__(
        self, settings: SmtpSettings, password: str = "", *, signer: Signer | None = None
    ) -> None:
        self._settings = settings
        self._password = password
        self._signer = signer
        self._context = (
            None
            if settings.security == "none"
            else wire.tls(settings.ca_file, where="smtp.ca_file")
        )
        self._idle: list[_Line] = []
        self._lock = threading.Lock()

    @property
    def max_seconds(self) -> float:
        return _PHASES * self._settings.timeout_seconds + self._settings.after_dot_seconds

    def hand_over(self, message: OutgoingMessage) -> HandOver:
        data = to_bytes(message)
        if self._signer is not None:
            data = self._signer.signed(data)
        deadline = wire.Deadline(_PHASES * self._settings.timeout_seconds)
        while True:
            line, fresh = None, True
            try:
                line, fresh = self._take(deadline)
                self._up_to_the_dot(line, message, data)
            except _Failure as failure:
                if line is not None:
                    self._put_back(line, failure.result)
                return failure.result
            except (OSError, smtplib.SMTPException, ValueError) as error:  # ValueError: gibberish
                if line is not None:
                    line.close()
                if not fresh:
                    continue  # an old connection that the server had closed: once more on another
                return HandOver(Outcome.RETRY, reason=_in_words(error), channel_down=True)
            except BaseException:
                if line is not None:
                    line.close()
                raise
            result = self._after_the_dot(line)
            self._put_back(line, result)
            return result

    def evidence(self, send_key: str) -> bool | None:
        """A relay gives no account of what it took."""
        return None

    def close(self) -> None:
        with self._lock:
            lines, self._idle = self._idle, []
        for line in lines:
            line.drop()

    def _take(self, deadline: wire.Deadline) -> tuple[_Line, bool]:
        """A connection, and whether it is a new one."""
        while True:
            with self._lock:
                line = self._idle.pop() if self._idle else None
            if line is None:
                return self._connect(deadline), True
            if time.monotonic() - line.used_at < _IDLE_SECONDS and wire.is_quiet(line.sock):
                line.deadline = deadline
                return line, False
            line.drop()

    def _connect(self, deadline: wire.Deadline) -> _Line:
        deadline.phase(self._settings.timeout_seconds)
        line = _Line(self._settings, self._context, deadline)
        try:
            self._log_in(line, deadline)
        except BaseException:
            line.close()
            raise
        return line

    def _log_in(self, line: _Line, deadline: wire.Deadline) -> None:
        settings = self._settings
        line.ehlo_or_helo_if_needed()
        if settings.security == "starttls":
            if not line.has_extn("starttls"):
                reason = "the server offers no STARTTLS, and smtp.security says it has to"
                raise _Failure(HandOver(Outcome.RETRY, reason=reason, channel_down=True))
            deadline.phase(settings.timeout_seconds)
            assert line.sock is not None
            line.sock.settimeout(deadline.left())
            line.starttls(context=self._context)
            line.ehlo()
        if settings.username:
            deadline.phase(settings.timeout_seconds)
            line.login(settings.username, self._password)

    def _up_to_the_dot(self, line: _Line, message: OutgoingMessage, data: bytes) -> None:
        """All but the reply to the dot. Whatever is raised here, the server has no whole mail."""
        line.deadline.phase(self._settings.timeout_seconds)
        self._envelope(line, message)
        line.deadline.phase(self._settings.timeout_seconds)
        failpoint("smtp.before_body")
        line.send(re.sub(rb"(?m)^\.", b"..", data))
        failpoint("smtp.before_dot")
        # A write that fails has not been taken by the system either, so this one belongs here.
        line.send(b".\r\n")

    def _envelope(self, line: _Line, message: OutgoingMessage) -> None:
        """One write when the server offers PIPELINING (RFC 2920), else a round trip for each command."""
        commands = [
            *(["RSET"] if line.dirty else []),
            f"MAIL FROM:<{message.from_email}>",
            f"RCPT TO:<{message.to_email}>",
            "DATA",
        ]
        piped = line.has_extn("pipelining")
        if piped:
            line.send("".join(f"{command}\r\n" for command in commands))
        refused: HandOver | None = None
        for command in commands:
            if not piped:
                line.putcmd(command)
            try:
                code, reply = line.getreply()
            except (OSError, smtplib.SMTPException):
                if refused is None:
                    raise
                line.close()
                break
            verb = command[:4]
            if code in _GOOD[verb]:
                if refused is not None and verb == "DATA":
                    line.close()  # it would take a mail for nobody
                continue
            if code in (-1, 421) and refused is None:
                # Closing, or talking nonsense: an old connection deserves a new one.
                raise smtplib.SMTPServerDisconnected(f"{code} {reply!r} ({verb})")
            refused = refused or refusal(code, reply, verb)
            if not piped:
                break
        if refused is not None:
            raise _Failure(refused)
        line.dirty = False

    def _after_the_dot(self, line: _Line) -> HandOver:
        line.deadline = wire.Deadline(self._settings.after_dot_seconds)
        try:
            failpoint("smtp.after_dot")
            code, reply = line.getreply()
            failpoint("smtp.after_reply")
        except (OSError, smtplib.SMTPException) as error:
            line.close()
            reason = f"no reply after the final dot: {_in_words(error)}"
            return HandOver(Outcome.UNKNOWN, reason=reason)
        except BaseException:
            line.close()
            raise
        if code == 250:
            return accepted(reply)
        if 400 <= code < 600:
            return refusal(code, reply, "final dot")
        line.close()
        return HandOver(Outcome.UNKNOWN, reason=f"after the final dot: {code} {reply!r}"[:200])

    def _put_back(self, line: _Line, result: HandOver) -> None:
        line.sent += 1
        line.used_at = time.monotonic()
        line.dirty = result.outcome is not Outcome.ACCEPTED
        if line.sock is None or result.channel_down or line.sent >= _PER_CONNECTION:
            line.drop()
            return
        with self._lock:
            self._idle.append(line)


def _in_words(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {one_line(error.smtp_error)}"[:LONGEST]
    return (str(error) or type(error).__name__)[:LONGEST]
