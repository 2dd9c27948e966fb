"""Streams that are fetched from other servers: where from, how often, and what is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from kept_in_memory import Targets

from roomtone.control.live import Ingests, PullRefusal, PullRefusedError, Pulls, PullState
from roomtone.control.live import pulls as module
from roomtone.control.live.pull_urls import PullWay, read_url, redirected
from roomtone.control.policy import KeyTable
from roomtone.media import Engine, FakeLink, Mailbox
from roomtone.media.values import (
    IngestProtocol,
    IngestTrust,
    RtmpPull,
    RtspPull,
    SrtPull,
    TrustAuthorities,
    TrustFingerprint,
    TrustUnchecked,
    pull_protocol,
)

URL = "rtmp://origin.example/live/studio?token=secret"


@dataclass
class Stage:
    link: FakeLink
    ingests: Ingests
    targets: Targets
    pulls: Pulls
    pauses: list[float]
    now: list[float]
    may_go_on: asyncio.Semaphore

    async def refused(self, name: str, url: str) -> PullRefusal:
        with pytest.raises(PullRefusedError) as caught:
            await self.pulls.open(name, url)
        return caught.value.refusal

    async def connected(self) -> int:
        """Wait for an attempt; the id by which the engine knows it."""
        await settled(lambda: self.pulls.by_name["studio"].listener)
        listener = self.pulls.by_name["studio"].listener
        assert listener is not None
        return listener.id


@pytest.fixture
async def stage(link: FakeLink, engine: Engine) -> AsyncIterator[Stage]:
    ingests = Ingests(engine, KeyTable({"key": "a secret that is long enough for everybody"}))
    pauses: list[float] = []
    now = [0.0]
    may_go_on = asyncio.Semaphore(0)

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        await may_go_on.acquire()

    targets = Targets()
    pulls = Pulls(engine, ingests, targets, clock=lambda: now[0], sleep=sleep)
    yield Stage(link, ingests, targets, pulls, pauses, now, may_go_on)
    await pulls.close_all()
    await ingests.close()


async def settled(look: object) -> None:
    async with asyncio.timeout(40):
        while not look():  # type: ignore[operator]  # noqa: ASYNC110 - a dictionary tells nobody
            await asyncio.sleep(0)


def test_a_url_says_where_and_what() -> None:
    srt = read_url(
        "srt://[2001:db8::1]:8890?streamid=%23!::r=studio,m=request&passphrase=long%20enough%20phrase&latency_ms=400"
    )
    assert (srt.host, srt.port) == ("2001:db8::1", 8890)
    assert srt.to("[2001:db8::1]:8890") == SrtPull(
        address="[2001:db8::1]:8890",
        stream_id="#!::r=studio,m=request",
        passphrase="long enough phrase",
        latency_ms=400,
    )
    rtmp = read_url(URL)
    assert (rtmp.host, rtmp.port) == ("origin.example", 1935)
    assert rtmp.to("203.0.113.7:1935") == RtmpPull(address="203.0.113.7:1935", url=URL)
    camera = "rtsp://me:word@camera.example/1"
    rtsp = read_url(camera, PullWay(datagrams=True))
    assert (rtsp.host, rtsp.port) == ("camera.example", 554)
    assert rtsp.to("203.0.113.7:554") == RtspPull(address="203.0.113.7:554", url=camera, datagrams=True)


@pytest.mark.parametrize(
    ("certificate", "trust"),
    [
        ("check", TrustAuthorities()),
        ("any", TrustUnchecked()),
        (f"sha256:{'0A' * 32}", TrustFingerprint(sha256=b"\n" * 32)),
    ],
)
def test_a_certificate_is_checked_unless_somebody_wishes_otherwise(certificate: str, trust: IngestTrust) -> None:
    url = "rtmps://origin.example/live/studio"
    target = read_url(url, PullWay(certificate=certificate))
    assert (target.host, target.port) == ("origin.example", 443)
    assert target.to is not None
    assert target.to("203.0.113.7:443") == RtmpPull(address="203.0.113.7:443", url=url, trust=trust)


def test_a_camera_behind_tls_is_asked_for_its_certificate_and_sends_in_its_connection() -> None:
    url = "rtsps://me:word@camera.example/1"
    target = read_url(url, PullWay(certificate="any"))
    assert (target.host, target.port) == ("camera.example", 322)
    assert target.to is not None
    assert target.to("203.0.113.7:322") == RtspPull(address="203.0.113.7:322", url=url, trust=TrustUnchecked())
    assert pull_protocol(target.to("203.0.113.7:322")) is IngestProtocol.RTSPS
    with pytest.raises(PullRefusedError, match="in its connection"):
        read_url(url, PullWay(datagrams=True))


def test_a_camera_that_sends_to_where_there_is_no_tls_is_not_followed() -> None:
    url, _ = redirected("rtsps://me:word@camera.example/1", "rtsps://camera.example/2")
    assert url == "rtsps://me:word@camera.example/2"
    with pytest.raises(PullRefusedError, match="no TLS"):
        redirected("rtsps://me:word@camera.example/1", "rtsp://camera.example:322/2")
    url, _ = redirected("rtsp://me:word@camera.example/1", "rtsps://camera.example/2")
    assert url == "rtsps://camera.example/2"


@pytest.mark.parametrize("certificate", ["", "sha1:00", "sha256:00", f"sha256:{'x' * 64}"])
def test_a_certificate_is_named_whole(certificate: str) -> None:
    with pytest.raises(PullRefusedError, match="64 digits"):
        read_url("rtmps://origin.example/live/studio", PullWay(certificate=certificate))


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("rtsp://camera.example/2", "rtsp://me:w%40rd@camera.example/2"),
        ("rtsp://camera.example:554/2", "rtsp://me:w%40rd@camera.example:554/2"),
        ("rtsp://other.example/2", "rtsp://other.example/2"),
        ("rtsp://camera.example:8554/2", "rtsp://camera.example:8554/2"),
        ("rtsp://you:key@camera.example/2", "rtsp://you:key@camera.example/2"),
    ],
)
def test_a_login_goes_along_to_the_same_place_only(location: str, expected: str) -> None:
    url, target = redirected("rtsp://me:w%40rd@camera.example/1", location)
    assert url == expected
    assert target.to is not None
    assert target.to("203.0.113.7:554") == RtspPull(address="203.0.113.7:554", url=expected)


@pytest.mark.parametrize(
    ("url", "refusal"),
    [
        ("rtspu://camera.example/1", PullRefusal.UNSUPPORTED),
        ("rtsp:///1", PullRefusal.BAD_URL),
        ("rtsp://camera.example/ä", PullRefusal.BAD_URL),
        ("https://origin.example/live/index.m3u8", PullRefusal.UNSUPPORTED),
        ("file:///etc/passwd", PullRefusal.UNSUPPORTED),
        ("rtmp://origin.example/studio", PullRefusal.BAD_URL),
        ("srt://origin.example", PullRefusal.BAD_URL),
        ("srt://origin.example:99999", PullRefusal.BAD_URL),
        ("srt://origin.example:8890?mode=listener", PullRefusal.BAD_URL),
        ("srt://origin.example:8890?passphrase=short", PullRefusal.BAD_URL),
        ("srt://origin.example:8890?latency_ms=soon", PullRefusal.BAD_URL),
        ("srt:///studio", PullRefusal.BAD_URL),
    ],
)
async def test_what_cannot_be_fetched_is_refused_at_once(stage: Stage, url: str, refusal: PullRefusal) -> None:
    assert await stage.refused("studio", url) is refusal
    assert stage.pulls.by_name == {}


async def test_an_address_that_is_private_is_refused_at_once_and_at_each_attempt(stage: Stage) -> None:
    stage.targets.refusal = PullRefusedError(PullRefusal.PRIVATE, "origin.example is 10.0.0.1")
    assert await stage.refused("studio", URL) is PullRefusal.PRIVATE
    stage.targets.refusal = None
    pull = await stage.pulls.open("studio", URL)
    stage.link.end_pull(await stage.connected(), "refused")
    await settled(lambda: pull.state is PullState.WAITING)
    stage.targets.refusal = PullRefusedError(PullRefusal.PRIVATE, "origin.example is 10.0.0.1")
    stage.may_go_on.release()
    await settled(lambda: "10.0.0.1" in pull.last_error)
    assert pull.listener is None


async def test_pauses_double_and_begin_anew_behind_a_stream_that_has_lasted(stage: Stage) -> None:
    pull = await stage.pulls.open("studio", URL)
    for _ in range(3):
        stage.link.end_pull(await stage.connected(), "refused: NetStream.Play.StreamNotFound")
        await settled(lambda: pull.state is PullState.WAITING)
        assert "StreamNotFound" in pull.last_error
        stage.may_go_on.release()
        await settled(lambda: pull.state is PullState.CONNECTING)
    assert stage.pauses == [1.0, 2.0, 4.0]
    id_ = await stage.connected()
    stage.link.begin_ingest(id_, "studio")
    await settled(lambda: pull.state is PullState.PUBLISHING)
    await settled(lambda: "studio" in stage.ingests.by_name)
    stage.now[0] += module.STEADY_S
    stage.link.end_pull(id_, "the stream has ended")
    await settled(lambda: pull.state is PullState.WAITING)
    assert stage.pauses[-1] == module.FIRST_PAUSE_S
    await settled(lambda: stage.ingests.by_name["studio"].ingest is None)
    assert pull.attempts == 4


async def test_a_host_that_is_not_found_is_looked_for_again(stage: Stage) -> None:
    stage.targets.found = []
    pull = await stage.pulls.open("studio", URL)
    await settled(lambda: pull.state is PullState.WAITING)
    assert "no such host" in pull.last_error
    stage.targets.found = ["203.0.113.7", "203.0.113.8"]
    stage.may_go_on.release()
    first = await stage.connected()
    stage.link.end_pull(first, "no route")
    await settled(lambda: pull.listener is not None and pull.listener.id != first)


async def test_a_name_is_fetched_once_and_no_more_when_that_is_said(stage: Stage) -> None:
    pull = await stage.pulls.open("studio", URL)
    assert await stage.refused("studio", URL) is PullRefusal.EXISTS
    stage.link.begin_ingest(await stage.connected(), "studio")
    await settled(lambda: "studio" in stage.ingests.by_name)
    await stage.pulls.close("studio")
    await settled(lambda: not stage.ingests.by_name)
    assert stage.pulls.by_name == {}
    assert pull.task is not None
    assert pull.task.done()


async def test_so_many_are_fetched_and_no_more(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PULLS", 1)
    await stage.pulls.open("studio", URL)
    assert await stage.refused("other", URL) is PullRefusal.TOO_MANY


async def test_secrets_of_a_url_are_not_shown(stage: Stage) -> None:
    pull = await stage.pulls.open("studio", "rtmp://me:word@origin.example:1936/live/studio?token=secret")
    assert pull.shown_url == "rtmp://origin.example:1936/live/studio"


async def test_an_attempt_whose_events_were_lost_is_closed_before_the_next(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailboxes: list[Mailbox] = []
    subscribe = Engine.subscribe

    def kept(engine: Engine, *ids: int) -> Mailbox:
        mailboxes.append(subscribe(engine, *ids))
        return mailboxes[-1]

    monkeypatch.setattr(Engine, "subscribe", kept)
    pull = await stage.pulls.open("studio", URL)
    first = await stage.connected()
    await settled(lambda: mailboxes and first in stage.link.objects)
    mailboxes[-1].close()
    await settled(lambda: pull.state is PullState.WAITING)
    assert pull.last_error == "what became of it is not known"
    assert first not in stage.link.objects
    stage.may_go_on.release()
    assert await stage.connected() != first


@dataclass
class Processes:
    """Those that fetch HLS: each runs until it is told to end."""

    why: str = ""
    secrets: list[str] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def why_not(self) -> str:
        return self.why

    async def fetch(self, _name: str, _url: str, secret: str) -> str:
        self.secrets.append(secret)
        await self.over.wait()
        self.over.clear()
        return "the stream has ended"


async def test_hls_is_fetched_by_a_process_that_alone_publishes_under_the_name(stage: Stage) -> None:
    listener = await stage.ingests.listen(IngestProtocol.RTMP, "127.0.0.1:0")
    processes = stage.pulls.fetchers = Processes(why="it needs PyAV")
    with pytest.raises(PullRefusedError, match="HLS cannot be fetched: it needs PyAV"):
        await stage.pulls.open("studio", "https://origin.example/index.m3u8")
    processes.why = ""
    pull = await stage.pulls.open("studio", "https://origin.example/index.m3u8")
    await settled(lambda: processes.secrets)
    assert stage.pulls.secret_of("studio") == processes.secrets[0]
    assert pull.state is PullState.CONNECTING
    stage.link.begin_ingest(listener.id, "studio")
    await settled(lambda: pull.state is PullState.PUBLISHING)
    processes.over.set()
    await settled(lambda: pull.state is PullState.WAITING)
    assert (pull.last_error, stage.pulls.secret_of("studio")) == ("the stream has ended", "")
    stage.may_go_on.release()
    await settled(lambda: len(processes.secrets) == 2)
    assert len(set(processes.secrets)) == 2
    await stage.pulls.close("studio")
    await settled(lambda: not stage.ingests.by_name)
    assert stage.pulls.secret_of("studio") == ""


CAMERA = "rtsp://me:word@camera.example/1"


async def test_who_sends_elsewhere_is_followed_to_addresses_that_are_judged(stage: Stage) -> None:
    pull = await stage.pulls.open("studio", CAMERA, way=PullWay(datagrams=True))
    first = await stage.connected()
    asked = stage.targets.asked
    stage.link.end_pull(first, "it sends elsewhere", "rtsp://other.example:8554/2")
    await settled(lambda: pull.listener is not None and pull.listener.id != first)
    assert stage.targets.asked == asked + 1
    assert (stage.targets.host, stage.pauses) == ("other.example", [])
    assert pull.listener is not None
    assert pull.listener.protocol is IngestProtocol.RTSP
    stage.targets.refusal = PullRefusedError(PullRefusal.PRIVATE, "inside.example is 10.0.0.1")
    stage.link.end_pull(pull.listener.id, "it sends elsewhere", "rtsp://inside.example/3")
    await settled(lambda: pull.state is PullState.WAITING)
    assert pull.last_error == "inside.example is 10.0.0.1"


@pytest.mark.parametrize("location", ["rtmp://other.example/live/a", "http://other.example/", "rtsp:///", "elsewhere"])
async def test_where_a_server_of_rtsp_sends_to_is_rtsp_too(stage: Stage, location: str) -> None:
    pull = await stage.pulls.open("studio", CAMERA)
    stage.link.end_pull(await stage.connected(), "it sends elsewhere", location)
    await settled(lambda: pull.state is PullState.WAITING)
    assert pull.last_error
    assert pull.last_error != "it sends elsewhere"


async def test_who_is_sent_around_stops_at_some_time(stage: Stage) -> None:
    pull = await stage.pulls.open("studio", CAMERA)
    for _ in range(module.MAX_REDIRECTS + 1):
        stage.link.end_pull(await stage.connected(), "it sends elsewhere", CAMERA)
        await settled(lambda: pull.listener is None)
    await settled(lambda: pull.state is PullState.WAITING)
    assert pull.last_error == f"it was sent elsewhere {module.MAX_REDIRECTS} times"
    assert pull.shown_url == "rtsp://camera.example/1"
