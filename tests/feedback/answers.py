"""Mails as people and servers send them back, and the form in which SendGrid posts them."""

from __future__ import annotations

from email.message import EmailMessage

KEY = "0123456789abcdef0123456789abcdef"
RETURNED = f"Message-ID: <{KEY}@shop.example>\r\nX-Pigeonry-Key: {KEY}\r\nTo: ana@example.ro\r\n"


def mail(text: str = "", *, key: str = KEY, subject: str = "Re: Curs", **headers: str) -> bytes:
    message = EmailMessage()
    message["From"] = headers.pop("From", "Ana Pop <ana@example.ro>")
    message["To"] = "hello@shop.example"
    message["Subject"] = subject
    message["Message-ID"] = "<a1@mail.example.ro>"
    if key:
        message["In-Reply-To"] = f"<{key}@shop.example>"
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content(text)
    return message.as_bytes()


def bounce(action: str, status: str, diagnostic: str = "", returned: str = RETURNED) -> bytes:
    return (
        "From: MAILER-DAEMON@mx.example.ro\r\nTo: hello@shop.example\r\nSubject: Undelivered\r\n"
        "Return-Path: <>\r\nAuto-Submitted: auto-replied\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\n"
        "Reporting-MTA: dns; mx.example.ro\r\n\r\n"
        f"Final-Recipient: rfc822; ana@example.ro\r\nAction: {action}\r\nStatus: {status}\r\n"
        + (f"Diagnostic-Code: {diagnostic}\r\n" if diagnostic else "")
        + f"\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\n{returned}\r\n--b--\r\n"
    ).encode()


def form(**fields: str | bytes) -> bytes:
    body = b""
    for name, value in fields.items():
        raw = value if isinstance(value, bytes) else value.encode()
        body += b'--xYzZY\r\nContent-Disposition: form-data; name="' + name.encode() + b'"\r\n\r\n'
        body += raw + b"\r\n"
    return body + b"--xYzZY--\r\n"
