"""Mail handed over to a server that speaks SMTP on a real socket."""

from __future__ import annotations

import asyncio
import email
import email.policy
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from roomtone.clients.mail import SmtpMailer, SmtpServer
from roomtone.control.accounts import Mail

MAIL = Mail("ada@example.org", "Ein neues Paßwort", "Hier: https://meet.example/#token=" + "x" * 80 + "\n.\n🦆\n")


class Post:
    """A mail server that answers as it is told and keeps what it gets."""

    def __init__(self, refusals: list[bytes]) -> None:
        self.refusals = refusals
        self.mails: list[bytes] = []
        self.attempts = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 post\r\n")
        while line := await reader.readline():
            match line.split()[0].upper():
                case b"RCPT":
                    self.attempts += 1
                    writer.write(self.refusals.pop(0) if self.refusals else b"250 ok\r\n")
                case b"DATA":
                    writer.write(b"354 go\r\n")
                    self.mails.append((await reader.readuntil(b"\r\n.\r\n")).replace(b"\r\n..", b"\r\n."))
                    writer.write(b"250 ok\r\n")
                case b"QUIT":
                    writer.write(b"221 bye\r\n")
                    break
                case _:
                    writer.write(b"250 post\r\n")
        writer.close()


@asynccontextmanager
async def post(*refusals: bytes) -> AsyncIterator[Post]:
    made = Post(list(refusals))
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    async with server:
        yield made


def mailer(port: int, pause: Callable[[float], object] = lambda _: None, most_waiting: int = 9) -> SmtpMailer:
    server = SmtpServer("127.0.0.1", "Roomtone <rt@example.org>", port, starttls=False, timeout_s=20)
    return SmtpMailer(server, most_waiting=most_waiting, pause=pause)


async def test_a_mail_arrives_as_it_was_meant() -> None:
    async with post() as server:
        sender = mailer(server.port)
        sender.start()
        sender.send(MAIL)
        await sender.drained()
        await sender.close()
    message = email.message_from_bytes(server.mails[0], policy=email.policy.default)
    assert (message["To"], message["From"], message["Subject"]) == (MAIL.to, "Roomtone <rt@example.org>", MAIL.subject)
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"].endswith("@example.org>")
    body = message.get_body()
    assert body is not None
    assert MAIL.text.strip() in body.get_content().replace("\r\n", "\n")
    assert (sender.sent, sender.failed) == (1, 0)


async def test_a_server_that_is_busy_is_asked_again_with_growing_pauses() -> None:
    pauses: list[float] = []
    async with post(b"451 later\r\n", b"451 later\r\n") as server:
        sender = mailer(server.port, pauses.append)
        sender.start()
        sender.send(MAIL)
        await sender.drained()
        await sender.close()
    assert (server.attempts, len(server.mails), sender.sent) == (3, 1, 1)
    assert pauses == [2, 8]


async def test_a_mail_that_is_never_taken_is_given_up_at_once() -> None:
    async with post(b"550 no such box\r\n") as server:
        sender = mailer(server.port)
        sender.start()
        sender.send(MAIL)
        sender.send(MAIL)
        await sender.drained()
        await sender.close()
    assert (server.attempts, sender.failed, sender.sent) == (2, 1, 1)


async def test_without_a_server_a_mail_is_given_up_after_some_attempts() -> None:
    pauses: list[float] = []
    async with post() as server:
        port = server.port
    sender = mailer(port, pauses.append)
    sender.start()
    sender.send(MAIL)
    await sender.drained()
    await sender.close()
    assert (sender.failed, pauses) == (1, [2, 8, 32])


async def test_a_mail_too_many_is_dropped_and_counted_and_so_is_what_waits_at_the_end() -> None:
    sender = mailer(1, most_waiting=1)
    sender.send(MAIL)
    sender.send(MAIL)
    assert sender.dropped == 1
    await sender.close()
    assert sender.dropped == 2


def test_an_address_with_a_line_break_makes_no_second_header() -> None:
    sender = mailer(1)
    made = sender._message(Mail("ada@example.org", "x", "y"))
    assert made["To"] == "ada@example.org"
    try:
        sender._message(Mail("ada@example.org\r\nBcc: eve@example.org", "x", "y"))
    except ValueError:
        return
    raise AssertionError("a header was smuggled in")
