"""A mailbox on loopback that speaks the few IMAP commands we use, and misbehaves on demand."""

from __future__ import annotations

import re
import socketserver
import threading
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Mailbox:
    """`mails` by UID. `on_fetch` is called before a mail leaves the server."""

    mails: dict[int, bytes] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)
    validity: int = 7
    password: str = "secret"
    folder: str = "INBOX"
    fetched: list[int] = field(default_factory=list)
    on_fetch: Callable[[int], None] = lambda _uid: None
    port: int = 0

    def add(self, body: bytes) -> int:
        uid = max(self.mails, default=0) + 1
        self.mails[uid] = body
        return uid


class _Session(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(b"* OK ready\r\n")
        while line := self.rfile.readline():
            tag, _, rest = line.decode().strip().partition(" ")
            try:
                answer = self._answer(rest)
            except ConnectionError:
                return
            self.wfile.write(f"{tag} {answer}\r\n".encode())
            if rest.upper().startswith("LOGOUT"):
                return

    def _answer(self, command: str) -> str:
        box: Mailbox = self.server.box  # type: ignore[attr-defined]
        word = command.upper()
        if word == "CAPABILITY":
            self.wfile.write(b"* CAPABILITY IMAP4rev1\r\n")
        elif word.startswith("LOGIN"):
            return "OK done" if f'"{box.password}"' in command else "NO wrong"
        elif word.startswith("SELECT"):
            if command.split(" ", 1)[1].strip('"') != box.folder:
                return "NO no such folder"
            self.wfile.write(f"* {len(box.mails)} EXISTS\r\n".encode())
            self.wfile.write(f"* OK [UIDVALIDITY {box.validity}] valid\r\n".encode())
        elif word.startswith("UID SEARCH"):
            first = int(re.findall(r"(\d+):\*", command)[0])
            last = max(box.mails, default=0)
            found = [uid for uid in sorted(box.mails) if uid >= min(first, last)]
            self.wfile.write(f"* SEARCH {' '.join(map(str, found))}\r\n".encode())
        elif word.startswith("UID FETCH"):
            uid, size = map(int, re.findall(r"FETCH (\d+) .*<0\.(\d+)>", word)[0])
            box.on_fetch(uid)
            if uid in box.mails:
                box.fetched.append(uid)
                body = box.mails[uid][:size]
                self.wfile.write(f"* 1 FETCH (UID {uid} BODY[]<0> {{{len(body)}}}\r\n".encode())
                self.wfile.write(body + b")\r\n")
        elif word.startswith("UID STORE"):
            box.seen |= set(map(int, re.findall(r"\d+", word.split("+FLAGS")[0])))
        elif word == "LOGOUT":
            self.wfile.write(b"* BYE\r\n")
        return "OK done"


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


def serve(box: Mailbox) -> _Server:
    """Start it; `box.port` says where. Call `shutdown` and `server_close` at the end."""
    server = _Server(("127.0.0.1", 0), _Session)
    server.box = box  # type: ignore[attr-defined]
    box.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
