"""Ingresses: who their sources are and in which room, how they are said to be, what opens and what ends them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest
from kept_in_memory import KeptIngresses, Targets, ingress_stage
from live_world import PEER, World, picture

from roomtone.control.live import (
    Ingests,
    Ingress,
    IngressBook,
    IngressChange,
    IngressError,
    Ingresses,
    IngressInput,
    IngressRefusal,
    IngressStatus,
    LiveStreams,
    PublishRights,
    PullRefusal,
    PullRefusedError,
    Pulls,
    TrackRule,
    new_id,
    new_key,
)
from roomtone.control.live import ingress_book as module
from roomtone.control.policy import AccessError, KeyTable
from roomtone.control.rooms import JoinRequest, Protocol, RoomOptions, Rooms, TrackSource
from roomtone.media import Engine, FakeLink, IngestListener
from roomtone.media.values import IngestProtocol, MediaKind, PackagerId, Question, TrackBar

H264, AAC, AAC_SAYS = "avc1.42c01f", "mp4a.40.2", "audio: WebRTC does not carry AAC; have the encoder send Opus"


@dataclass
class Stage(World):
    table: KeptIngresses
    ingests: Ingests
    listener: IngestListener
    rights: PublishRights
    ingresses: Ingresses
    pulls: Pulls
    targets: Targets
    pauses: asyncio.Semaphore
    told: list[IngressChange] = field(default_factory=list)

    async def make(self, input_: IngressInput = IngressInput.RTMP, **more: object) -> Ingress:
        id_ = new_id()
        url = "rtmp://origin.example/live/film" if input_ is IngressInput.URL else "rtmp://here/live"
        key = "" if input_ is IngressInput.URL else new_key()
        made = Ingress(id_, input_, "stage", "camera", url, key=key, participant_name="Camera 1", metadata="m")
        return await self.ingresses.create(replace(made, **more))  # type: ignore[arg-type]

    async def begin(self, ingress: Ingress) -> PackagerId:
        packager = self.link.begin_ingest(self.listener.id, ingress.id)
        await self.settle()
        return packager

    async def send(self, packager: PackagerId, kind: MediaKind, codec: str, bar: TrackBar | None = None) -> int:
        told = self.link.tell_track(packager, kind, codec, bar, None)
        await self.settle()
        return told

    def status(self, ingress: Ingress) -> IngressStatus:
        return self.ingresses.life(ingress.id).status

    def ends(self) -> list[str]:
        return ["started" if one.started else "ended" for one in self.told if one.started or one.ended]

    async def asks(self, name: str, credential: str | None) -> None:
        question = Question(
            id=1,
            deadline_ms=1000,
            topic="publish",
            subject=name,
            credential=credential,
            protocol=IngestProtocol.RTMP,
            remote="127.0.0.1:9",
        )
        await self.rights.require(question)


@pytest.fixture
async def stage(link: FakeLink, engine: Engine, rooms: Rooms) -> AsyncIterator[Stage]:
    live, pauses = LiveStreams(rooms), asyncio.Semaphore(0)

    async def sleep(_seconds: float) -> None:
        await pauses.acquire()

    async with ingress_stage(engine, rooms, lambda: 1000.0, KeyTable({}), open_to_loopback=True, sleep=sleep) as at:
        made = Stage(
            link,
            engine,
            rooms,
            live,
            at.table,
            at.ingests,
            at.listener,
            at.rights,
            at.ingresses,
            at.pulls,
            at.targets,
            pauses,
        )
        at.ingresses.when_changed.append(made.told.append)
        yield made
    await live.close()


async def test_an_encoder_joins_the_room_that_its_ingress_names_as_who_it_says(stage: Stage) -> None:
    screen = TrackRule("slides", TrackSource.SCREEN_SHARE)
    ingress = await stage.make(video=screen)
    assert stage.status(ingress) is IngressStatus.INACTIVE
    packager = await stage.begin(ingress)
    assert stage.status(ingress) is IngressStatus.BUFFERING
    await stage.send(packager, MediaKind.VIDEO, H264)
    assert stage.status(ingress) is IngressStatus.PUBLISHING
    assert stage.ingresses.count() == {"inactive": 0, "buffering": 0, "publishing": 1, "error": 0}
    participant = stage.rooms.by_name["stage"].participants["camera"]
    assert (participant.name, participant.metadata, participant.kind) == ("Camera 1", "m", "ingest")
    (track,) = participant.publications.values()
    assert (track.name, track.source) == ("slides", TrackSource.SCREEN_SHARE)
    assert ingress.id not in stage.rooms.by_name
    stage.link.lose_encoder(packager)
    await stage.settle()
    life = stage.ingresses.life(ingress.id)
    assert (life.status, life.error, life.started_at, life.ended_at) == (IngressStatus.INACTIVE, "", 1000.0, 1000.0)
    assert stage.ends() == ["started", "ended"]


async def test_several_lead_into_one_room(stage: Stage) -> None:
    first, second = await stage.make(), await stage.make(identity="other")
    for ingress in (first, second):
        await stage.send(await stage.begin(ingress), MediaKind.VIDEO, H264)
    assert set(stage.rooms.by_name["stage"].participants) == {"camera", "other"}
    await stage.ingresses.delete(first.id)
    await stage.settle()
    assert set(stage.rooms.by_name["stage"].participants) == {"other"}
    assert stage.ends() == ["started", "started", "ended"]
    with pytest.raises(IngressError) as caught:
        await stage.ingresses.delete(first.id)
    assert caught.value.refusal is IngressRefusal.NO_SUCH_INGRESS


async def test_what_the_room_cannot_be_given_is_said_beside_that_it_publishes(stage: Stage) -> None:
    ingress = await stage.make()
    packager = await stage.begin(ingress)
    await stage.send(packager, MediaKind.AUDIO, AAC, TrackBar.CODEC)
    life = stage.ingresses.life(ingress.id)
    assert (life.status, life.error) == (IngressStatus.BUFFERING, AAC_SAYS)
    await stage.send(packager, MediaKind.VIDEO, H264)
    life = stage.ingresses.life(ingress.id)
    assert (life.status, life.error) == (IngressStatus.PUBLISHING, AAC_SAYS)
    assert [track.codec for track in life.tracks] == [AAC, H264]


async def test_one_whom_the_room_refuses_or_sends_out_says_so(stage: Stage) -> None:
    ingress = await stage.make()
    await stage.rooms.create("stage", RoomOptions(max_participants=1))
    await stage.publish("alice", picture(), room="stage")
    await stage.begin(ingress)
    life = stage.ingresses.life(ingress.id)
    assert life.status is IngressStatus.ERROR
    assert "1" in life.error
    other = await stage.make(room="theatre")
    await stage.send(await stage.begin(other), MediaKind.VIDEO, H264)
    await stage.rooms.remove(stage.rooms.by_name["theatre"].participants["camera"])
    await stage.settle()
    assert stage.status(other) is IngressStatus.INACTIVE
    assert other.id not in stage.ingests.by_name


async def test_only_its_own_key_opens_it_and_not_when_it_is_disabled(stage: Stage) -> None:
    ingress, other = await stage.make(), await stage.make()
    by_whip, off = await stage.make(IngressInput.WHIP), await stage.make(enabled=False)
    await stage.asks(ingress.id, ingress.key)
    for name, shown, why in (
        (ingress.id, other.key, "stream key"),
        (ingress.id, None, "stream key"),
        (by_whip.id, by_whip.key, "fed by whip"),
        (off.id, off.key, "disabled"),
    ):
        with pytest.raises(AccessError, match=why):
            await stage.asks(name, shown)
    await stage.asks("no-ingress", None)  # this machine's programs need none elsewhere


async def test_it_is_changed_while_nobody_is_there_and_disabled_at_any_time(stage: Stage) -> None:
    ingress = await stage.make()
    ingress = await stage.ingresses.change(replace(ingress, room="theatre", identity="second"))
    packager = await stage.begin(ingress)
    await stage.send(packager, MediaKind.VIDEO, H264)
    assert set(stage.rooms.by_name["theatre"].participants) == {"second"}
    with pytest.raises(IngressError) as caught:
        await stage.ingresses.change(replace(ingress, room="stage"))
    assert caught.value.refusal is IngressRefusal.ACTIVE
    await stage.ingresses.change(replace(ingress, enabled=False))
    await stage.settle()
    assert stage.status(ingress) is IngressStatus.INACTIVE
    assert ingress.id not in stage.ingests.by_name


async def test_what_is_fetched_is_said_to_be_as_its_attempts_are(stage: Stage) -> None:
    ingress = await stage.make(IngressInput.URL)
    await stage.settle()
    pull = stage.pulls.by_name[ingress.id]
    assert pull.listener is not None
    assert stage.status(ingress) is IngressStatus.BUFFERING
    stage.link.end_pull(pull.listener.id, "refused: no such stream")
    await stage.settle()
    life = stage.ingresses.life(ingress.id)
    assert life.status is IngressStatus.ERROR
    assert "no such stream" in life.error
    stage.pauses.release()
    await stage.settle()
    assert pull.listener is not None
    packager = stage.link.begin_ingest(pull.listener.id, ingress.id)
    await stage.settle()
    await stage.send(packager, MediaKind.VIDEO, H264)
    assert stage.status(ingress) is IngressStatus.PUBLISHING
    assert "camera" in stage.rooms.by_name["stage"].participants
    with pytest.raises(IngressError) as caught:
        await stage.ingresses.change(replace(ingress, enabled=False))
    assert caught.value.refusal is IngressRefusal.NOT_REUSABLE
    await stage.ingresses.delete(ingress.id)
    await stage.settle()
    assert (stage.pulls.by_name, stage.ingests.by_name) == ({}, {})
    assert stage.ends() == ["started", "ended"]


async def test_a_url_that_is_not_fetched_leaves_no_ingress(stage: Stage) -> None:
    stage.targets.refusal = PullRefusedError(PullRefusal.PRIVATE, "origin.example is 10.0.0.1")
    with pytest.raises(PullRefusedError):
        await stage.make(IngressInput.URL)
    assert (stage.ingresses.book.list(), stage.table.rows) == ([], {})


async def test_who_comes_by_whip_publishes_once_it_is_connected(stage: Stage) -> None:
    ingress = await stage.make(IngressInput.WHIP)
    request = ingress.join_request(Protocol.WHIP)
    participant, connection = await stage.rooms.join_with_tracks("stage", request, PEER, [picture()])
    stage.ingresses.take_in(ingress, participant)
    assert stage.status(ingress) is IngressStatus.BUFFERING
    stage.link.connect_peer(connection.transport.id)
    await stage.settle()
    assert stage.status(ingress) is IngressStatus.PUBLISHING
    await stage.rooms.remove(participant)
    await stage.settle()
    assert stage.status(ingress) is IngressStatus.INACTIVE
    assert stage.ends() == ["started", "ended"]


async def test_they_are_there_after_a_restart_with_their_keys_sealed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = await stage.make(audio=TrackRule("tone", TrackSource.MICROPHONE), label="studio", enabled=False)
    assert kept.key not in str(stage.table.rows[kept.id].profile)
    again = IngressBook(stage.table, stage.table, lambda: 2000.0)
    await again.load()
    assert again.list() == [kept]
    fetched = await stage.make(IngressInput.URL)
    await stage.ingresses.book.delete(kept.id)
    await again.load()
    assert again.list() == [fetched]
    monkeypatch.setattr(module, "MAX_INGRESSES", 1)
    with pytest.raises(IngressError) as caught:
        await stage.make()
    assert caught.value.refusal is IngressRefusal.TOO_MANY


@pytest.mark.parametrize(
    "changes",
    [
        {"room": ""},
        {"room": "a/b"},
        {"identity": ""},
        {"identity": "x" * 257},
        {"label": "x" * 257},
        {"video": TrackRule(source=TrackSource.MICROPHONE)},
        {"audio": TrackRule(name="x" * 257)},
    ],
    ids=str,
)
async def test_what_cannot_be_is_refused(stage: Stage, changes: dict[str, object]) -> None:
    with pytest.raises(IngressError) as caught:
        await stage.make(**changes)
    assert caught.value.refusal is IngressRefusal.INVALID
    assert stage.table.rows == {}


async def test_somebody_else_of_its_identity_takes_its_place(stage: Stage) -> None:
    ingress = await stage.make()
    await stage.send(await stage.begin(ingress), MediaKind.VIDEO, H264)
    await stage.rooms.join_with_tracks("stage", JoinRequest("camera"), PEER, [picture()])
    await stage.settle()
    life = stage.ingresses.life(ingress.id)
    assert (life.status, life.error) == (IngressStatus.ERROR, "it is in the room no more: duplicate_identity")
