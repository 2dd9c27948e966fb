"""Mail by SMTP (RFC 5321), sent in the background: who asks for it does not wait, nor learns how it went."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate, make_msgid, parseaddr
from typing import TYPE_CHECKING

import aiosmtplib

from roomtone.observe import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.control.accounts import Mail

_log = get_logger(__name__)

ATTEMPTS = 4
FIRST_PAUSE_S = 2.0
STARTTLS_PORT, TLS_PORT = 587, 465


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where mail is handed over, and as whom."""

    host: str
    sender: str
    port: int = 0
    starttls: bool = True
    tls: bool = False
    username: str = ""
    password: str = field(default="", repr=False)
    timeout_s: float = 30.0


class SmtpMailer:
    """Sends mails one after the other.

    Limits: ``most_waiting`` mails wait; one more is dropped. A mail is tried `ATTEMPTS` times with growing pauses,
    unless the server says that it will never take it (RFC 5321 section 4.2.1: 5yz). ``sent``, ``failed`` and
    ``dropped`` count.
    """

    def __init__(
        self, server: SmtpServer, *, most_waiting: int = 256, pause: Callable[[float], object] | None = None
    ) -> None:
        self.sent = 0
        self.failed = 0
        self.dropped = 0
        self._server = server
        self._waiting: asyncio.Queue[Mail] = asyncio.Queue(most_waiting)
        self._pause = pause
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to send."""
        self._task = asyncio.create_task(self._keep_sending(), name="mail")

    async def close(self) -> None:
        """End; what waits is not sent any more, and the log says how many mails that were."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if left := self._waiting.qsize():
            self.dropped += left
            _log.warning("mails were not sent before the end", mails=left)

    def send(self, mail: Mail) -> None:
        """Queue a mail."""
        try:
            self._waiting.put_nowait(mail)
        except asyncio.QueueFull:
            self.dropped += 1
            _log.error("a mail was dropped: too many wait", subject=mail.subject)

    async def drained(self) -> None:
        """Wait until all that was queued is sent or given up."""
        await self._waiting.join()

    async def _keep_sending(self) -> None:
        while True:
            mail = await self._waiting.get()
            try:
                await self._send(mail)
            finally:
                self._waiting.task_done()

    async def _send(self, mail: Mail) -> None:
        pause_s = FIRST_PAUSE_S
        for attempt in range(1, ATTEMPTS + 1):
            try:
                await self._hand_over(mail)
            except (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError) as error:
                if attempt == ATTEMPTS or _is_final(error):
                    self.failed += 1
                    _log.error("a mail was not sent", subject=mail.subject, attempts=attempt, reason=str(error))
                    return
                _log.warning("a mail was not sent yet", subject=mail.subject, reason=str(error), again_in_s=pause_s)
                await self._wait(pause_s)
                pause_s *= 4
            else:
                self.sent += 1
                return

    async def _wait(self, pause_s: float) -> None:
        if self._pause is None:
            await asyncio.sleep(pause_s)
        else:
            self._pause(pause_s)

    async def _hand_over(self, mail: Mail) -> None:
        server = self._server
        await aiosmtplib.send(
            self._message(mail),
            hostname=server.host,
            port=server.port or (TLS_PORT if server.tls else STARTTLS_PORT if server.starttls else 25),
            use_tls=server.tls,
            start_tls=server.starttls and not server.tls,
            username=server.username or None,
            password=server.password or None,
            timeout=server.timeout_s,
        )

    def _message(self, mail: Mail) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self._server.sender
        message["To"] = mail.to
        message["Subject"] = mail.subject
        message["Date"] = formatdate(localtime=False)
        domain = parseaddr(self._server.sender)[1].rpartition("@")[2]
        message["Message-ID"] = make_msgid(domain=domain or "localhost")
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday replies
        message.set_content(mail.text)
        return message


def _is_final(error: BaseException) -> bool:
    code = getattr(error, "code", None)
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return all(_is_final(one) for one in error.recipients)
    return isinstance(error, ValueError) or (isinstance(code, int) and 500 <= code < 600)  # noqa: PLR2004 - 5yz
