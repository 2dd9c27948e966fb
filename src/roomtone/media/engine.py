"""The façade's root: commands out, replies, events and questions in."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import msgspec

from roomtone.media.errors import EngineCommandError, QueueFull
from roomtone.media.link import Link, decode_outbound, encode
from roomtone.media.mailbox import DEFAULT_MAILBOX_LIMIT, Mailbox, MailboxDirectory
from roomtone.media.objects import Router
from roomtone.media.together import Together
from roomtone.media.values import (
    Answer,
    AnyCommand,
    AnyOutbound,
    ErrorCode,
    EventOut,
    Failed,
    GetEngineStats,
    OpenRouter,
    Question,
    Reply,
    Request,
    Result,
    RouterOpened,
    Stats,
)

if TYPE_CHECKING:
    from roomtone.media.shared_port import SharedTcpPort

R = TypeVar("R", bound=Result)
T = TypeVar("T")

Report = dict[str, int | float | str | bool | None]
QuestionHandler = Callable[[Question], Awaitable[Answer | bool]]

MAX_BATCH = 512
MIN_BATCH = 16
BATCH_BUDGET_S = 0.010
MAX_OPEN_QUESTIONS = 256


@dataclass(slots=True)
class EngineCounters:
    """What passed the boundary, counted on this side."""

    commands: int = 0
    replies: int = 0
    failures: int = 0
    events: int = 0
    events_missed: int = 0
    wakes: int = 0
    questions: int = 0
    questions_refused_unasked: int = 0
    undecodable: int = 0


class Asked(Generic[T]):
    """A command that was given, and its result once awaited: several can be on their way at once without a task."""

    __slots__ = ("_counters", "_expected", "_make", "_result")

    def __init__(
        self,
        counters: EngineCounters,
        result: asyncio.Future[Result],
        expected: type[Result],
        make: Callable[[Any], T] | None = None,
    ) -> None:
        self._counters = counters
        self._result = result
        self._expected = expected
        self._make = make

    def __await__(self) -> Generator[Any, None, T]:
        """Wait for the result; raise `EngineCommandError` when the command failed."""
        result = yield from self._result
        if isinstance(result, self._expected):
            return cast("T", result) if self._make is None else self._make(result)
        if isinstance(result, Failed):
            self._counters.failures += 1
            raise EngineCommandError(result.code, result.message)
        message = f"{self._expected.__name__} was expected, and {type(result).__name__} came"
        raise EngineCommandError(ErrorCode.INTERNAL, message)


class Engine:
    """A running media engine behind a `Link`.

    Order: a caller that awaited a command runs before any event that the engine made after the reply, so a
    subscription made right after opening an object misses nothing. Limits: at most ``MAX_BATCH`` values are
    handled a wake; the batch shrinks when handling one takes more than ``BATCH_BUDGET_S`` of the loop.
    """

    def __init__(self, link: Link, *, max_batch: int = MAX_BATCH) -> None:
        self.counters = EngineCounters()
        self.shared_tcp_ports: tuple[SharedTcpPort, ...] = ()
        """Ports of the front door that take media too; WebRTC peers are told of them from then on."""
        self._link = link
        self._max_batch = max_batch
        self._batch = max_batch
        self._loop: asyncio.AbstractEventLoop | None = None
        self._event_fd: int | None = None
        self._next_request = 1
        self._waiting: dict[int, asyncio.Future[Result]] = {}
        self._backlog: deque[AnyOutbound] = deque()
        self._mailboxes = MailboxDirectory()
        self._last_seq: int | None = None
        self._question_handler: QuestionHandler | None = None
        self._question_tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    # --- lifetime ---

    async def start(self) -> None:
        """Register with the running loop; commands can be given afterwards."""
        self._loop = asyncio.get_running_loop()
        self._event_fd = self._link.event_fd()
        self._loop.add_reader(self._event_fd, self._on_readable)

    async def close(self) -> None:
        """Stop the engine; commands still waiting fail with `ErrorCode.ENGINE_CLOSED`. May be called twice."""
        if self._closed:
            return
        self._closed = True
        if self._loop is not None and self._event_fd is not None:
            self._loop.remove_reader(self._event_fd)
        for task in self._question_tasks:
            task.cancel()
        await asyncio.to_thread(self._link.close)
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(EngineCommandError(ErrorCode.ENGINE_CLOSED, "the engine was closed"))
        self._waiting.clear()
        self._mailboxes.close()

    @property
    def closed(self) -> bool:
        """`close` was called."""
        return self._closed

    @property
    def pending_commands(self) -> int:
        """Commands that still wait for their reply."""
        return len(self._waiting)

    # --- commands ---

    async def open_router(self, shard: int | None = None) -> Router:
        """Open a forwarding domain; the engine chooses the least loaded shard unless told."""
        opened = await self.ask(OpenRouter(shard=shard), RouterOpened)
        return Router(self, opened.router, opened.shard)

    def together(self) -> Together:
        """Gather commands that are to be done in one turn."""
        return Together(self)

    async def stats(self) -> list[Report]:
        """Counters of all shards."""
        return (await self.ask(GetEngineStats(), Stats)).reports

    def ask(self, command: AnyCommand, expected: type[R]) -> Asked[R]:
        """Give a command, at once; its result is to be awaited, which raises `EngineCommandError` when it failed."""
        return Asked(self.counters, self._submit(command), expected)

    def ask_for(self, command: AnyCommand, expected: type[R], make: Callable[[R], T]) -> Asked[T]:
        """Give a command as `ask` does, and make something of its result."""
        return Asked(self.counters, self._submit(command), expected, make)

    def _submit(self, command: AnyCommand) -> asyncio.Future[Result]:
        if self._closed or self._loop is None:
            raise EngineCommandError(ErrorCode.ENGINE_CLOSED, "the engine is not running")
        request_id = self._next_request
        self._next_request += 1
        try:
            self._link.submit(encode(Request(id=request_id, command=command)))
        except QueueFull as error:
            raise EngineCommandError(ErrorCode.QUEUE_FULL, str(error)) from error
        self.counters.commands += 1
        waiting: asyncio.Future[Result] = self._loop.create_future()
        self._waiting[request_id] = waiting
        return waiting

    # --- events and questions ---

    def subscribe(self, *ids: int, limit: int = DEFAULT_MAILBOX_LIMIT) -> Mailbox:
        """Open a mailbox for events about these objects; close it when done."""
        if not ids:
            message = "subscribe() needs at least one id; events() gives all events"
            raise ValueError(message)
        return self._mailboxes.open(ids, limit)

    def events(self, limit: int = DEFAULT_MAILBOX_LIMIT) -> Mailbox:
        """Open a mailbox for all events."""
        return self._mailboxes.open((), limit)

    def answer_questions(self, handler: QuestionHandler | None) -> None:
        """Decide the engine's questions; without a handler, past the deadline or on an error: refusal."""
        self._question_handler = handler

    # --- the way in ---

    def _on_readable(self) -> None:
        if self._backlog:
            return
        loop = asyncio.get_running_loop()
        started = loop.time()
        drained = self._link.drain(self._batch)
        self.counters.wakes += 1
        for data in drained:
            try:
                self._backlog.append(decode_outbound(data))
            except msgspec.MsgspecError:
                self.counters.undecodable += 1
        self._handle_backlog()
        self._adapt_batch(len(drained), loop.time() - started)

    def _adapt_batch(self, taken: int, seconds: float) -> None:
        if seconds > BATCH_BUDGET_S:
            self._batch = max(MIN_BATCH, self._batch // 2)
        elif taken == self._batch:
            self._batch = min(self._max_batch, self._batch * 2)

    def _handle_backlog(self) -> None:
        """Handle what was drained; after replies, their callers run before the events that follow."""
        replied = False
        while self._backlog:
            if isinstance(self._backlog[0], Reply):
                replied = True
            elif replied:
                asyncio.get_running_loop().call_soon(self._handle_backlog)
                return
            self._handle(self._backlog.popleft())

    def _handle(self, outbound: AnyOutbound) -> None:
        match outbound:
            case Reply():
                self._handle_reply(outbound)
            case EventOut():
                self._handle_event(outbound)
            case Question():
                self._handle_question(outbound)

    def _handle_reply(self, reply: Reply) -> None:
        self.counters.replies += 1
        waiting = self._waiting.pop(reply.id, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(reply.result)

    def _handle_event(self, out: EventOut) -> None:
        self.counters.events += 1
        if self._last_seq is not None and out.seq > self._last_seq + 1:
            self.counters.events_missed += out.seq - self._last_seq - 1
        self._last_seq = out.seq
        self._mailboxes.deliver(out.event)

    def _handle_question(self, question: Question) -> None:
        self.counters.questions += 1
        handler = self._question_handler
        if handler is None or len(self._question_tasks) >= MAX_OPEN_QUESTIONS:
            self.counters.questions_refused_unasked += 1
            self._link.answer(encode(Answer(id=question.id, allowed=False, detail="nobody decides")))
            return
        task = asyncio.ensure_future(self._decide(question, handler))
        self._question_tasks.add(task)
        task.add_done_callback(self._question_tasks.discard)

    async def _decide(self, question: Question, handler: QuestionHandler) -> None:
        decision: Answer | bool
        try:
            async with asyncio.timeout(question.deadline_ms / 1000):
                decision = await handler(question)
        except TimeoutError:
            decision = Answer(id=question.id, allowed=False, detail="deadline passed")
        except Exception as error:  # noqa: BLE001 - a broken decision refuses, it does not take the engine along
            decision = Answer(id=question.id, allowed=False, detail=f"decision failed: {type(error).__name__}")
        if isinstance(decision, bool):
            decision = Answer(id=question.id, allowed=decision)
        if not self._closed:
            self._link.answer(encode(decision))
