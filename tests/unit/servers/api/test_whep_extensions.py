"""Events and layers of WHEP."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from api_world import SIMULCAST, ApiWorld

from roomtone.media.fake_objects import FakeConsumer, FakeProducer
from roomtone.media.values import (
    ConsumerId,
    ConsumerLayersChanged,
    DegradationReason,
    EncodingsWanted,
    ProducerId,
    QualityChanged,
    QualityLevel,
    QualitySubject,
    QualityTrend,
)
from roomtone.servers.api import event_streams
from roomtone.servers.api.resources import ResourceKind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def open_viewer(api: ApiWorld) -> str:
    response = await api.watch()
    assert response.status_code == 201
    return str(response.headers["location"])


async def events(api: ApiWorld, location: str, stream: str) -> AsyncIterator[str]:
    """Read below HTTP: the ASGI client would wait for the stream's end."""
    resource = api.context.resources.get(ResourceKind.WHEP, "demo", location.rsplit("/", 1)[1])
    assert resource is not None
    async for text in event_streams._send(resource, resource.streams[stream.rsplit("/", 1)[1]]):
        yield text


def parse(text: str) -> tuple[str, object]:
    name, data = text.strip().split("\n")
    return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


async def test_a_reader_hears_of_sources_layers_and_viewers(api: ApiWorld) -> None:
    published = await api.publish(SIMULCAST)
    location = await open_viewer(api)
    created = await api.http.post(f"{location}/sse", headers=api.headers(None))
    assert created.status_code == 201
    reading = events(api, location, created.headers["location"])
    first = [parse(await anext(reading)) for _ in range(3)]
    assert [name for name, _ in first] == ["active", "layers", "viewercount"]
    layers = first[1][1]
    assert isinstance(layers, dict)
    (section,) = layers.values()
    assert [layer["rid"] for layer in section] == ["q", "h", "f"]
    await api.watch()
    assert parse(await anext(reading)) == ("viewercount", {"viewercount": 2})
    await api.http.delete(published.headers["location"], headers=api.headers(None))
    assert parse(await anext(reading)) == ("inactive", {})
    await api.publish(SIMULCAST, identity="bob")
    assert parse(await anext(reading))[0] == "active"
    await reading.aclose()


async def test_only_wanted_events_are_sent_and_the_room_s_end_asks_to_reconnect(api: ApiWorld) -> None:
    await api.publish()
    location = await open_viewer(api)
    created = await api.http.post(f"{location}/sse", content='["reconnect"]', headers=api.headers("application/json"))
    reading = events(api, location, created.headers["location"])
    task = asyncio.ensure_future(anext(reading))
    await api.settle()
    await api.rooms.close_room(api.rooms.find("demo"))
    assert parse(await task) == ("reconnect", {})
    with pytest.raises(StopAsyncIteration):
        await anext(reading)


async def test_an_idle_stream_says_that_it_is_still_here(api: ApiWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_streams, "KEEP_ALIVE_S", 0.0)
    await api.publish()
    location = await open_viewer(api)
    created = await api.http.post(f"{location}/sse", content='["reconnect"]', headers=api.headers("application/json"))
    reading = events(api, location, created.headers["location"])
    assert (await anext(reading)).startswith(":")
    await reading.aclose()


@pytest.mark.parametrize("body", ['["nothing"]', '["scte35"]', "{}", "[1]", "nonsense"])
async def test_unknown_events_are_400(api: ApiWorld, body: str) -> None:
    await api.publish()
    location = await open_viewer(api)
    response = await api.http.post(f"{location}/sse", content=body, headers=api.headers("application/json"))
    assert response.status_code == 400


async def test_streams_end_by_delete_and_are_limited(api: ApiWorld) -> None:
    await api.publish()
    location = await open_viewer(api)
    streams = [await api.http.post(f"{location}/sse", headers=api.headers(None)) for _ in range(5)]
    assert [response.status_code for response in streams] == [201, 201, 201, 201, 503]
    url = streams[0].headers["location"]
    assert (await api.http.delete(url)).status_code == 200
    assert (await api.http.delete(url)).status_code == 404
    assert (await api.http.get(url)).status_code == 404
    assert (await api.http.post(f"{location}/sse", headers=api.headers(None))).status_code == 201
    assert (await api.http.post(f"{location}/sse")).status_code == 401


@pytest.mark.parametrize(
    ("body", "status", "chosen"),
    [
        ('{"mediaId":"0","rid":"h"}', 200, (1, None)),
        ('{"rid":"f","temporalLayerId":1}', 200, (2, 1)),
        ('{"encodingId":"q"}', 200, (0, None)),
        ('{"spatialLayerId":2}', 200, (2, None)),
        ('{"maxSpatialLayerId":1,"maxTemporalLayerId":0}', 200, (1, 0)),
        ("{}", 200, (None, None)),
        ('{"spatialLayerId":1,"maxBitrate":0}', 422, (None, None)),
        ('{"spatialLayerId":1,"maxWidth":99999}', 422, (None, None)),
        ('{"rid":"none"}', 422, (None, None)),
        ('{"spatialLayerId":9}', 422, (None, None)),
        ('{"mediaId":"7","rid":"h"}', 422, (None, None)),
        ('{"rid":5}', 400, (None, None)),
        ("nonsense", 400, (None, None)),
    ],
)
async def test_a_layer_is_chosen(api: ApiWorld, body: str, status: int, chosen: tuple[int | None, int | None]) -> None:
    await api.publish(SIMULCAST)
    location = await open_viewer(api)
    response = await api.http.post(f"{location}/layer", content=body, headers=api.headers("application/json"))
    assert response.status_code == status, response.text
    video = next(consumer for consumer in api.link.find(FakeConsumer) if consumer.kind == "video")
    assert (video.spatial, video.temporal) == chosen


async def test_a_layer_needs_json_and_a_token(api: ApiWorld) -> None:
    await api.publish(SIMULCAST)
    location = await open_viewer(api)
    assert (
        await api.http.post(f"{location}/layer", content="{}", headers=api.headers("text/plain"))
    ).status_code == 415
    assert (await api.http.post(f"{location}/layer", content="{}")).status_code == 401


async def test_a_viewer_says_how_it_shows_the_track_and_pauses_it(api: ApiWorld) -> None:
    await api.publish(SIMULCAST)
    location = await open_viewer(api)
    body = '{"maxWidth":640,"maxHeight":360,"maxFramerate":15,"maxBitrate":500000,"paused":true}'
    response = await api.http.post(f"{location}/layer", content=body, headers=api.headers("application/json"))
    assert response.status_code == 200, response.text
    video = next(consumer for consumer in api.link.find(FakeConsumer) if consumer.kind == "video")
    assert video.paused
    assert video.limits is not None
    limits = video.limits
    assert (limits.max_width, limits.max_height, limits.max_fps, limits.max_bitrate) == (640, 360, 15, 500_000)
    await api.http.post(f"{location}/layer", content="{}", headers=api.headers("application/json"))
    assert (video.paused, video.limits.max_width) == (False, None)


async def test_figures_of_the_line_come_every_second_to_who_asks_by_name(
    api: ApiWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_streams, "TICK_S", 0.0)
    await api.publish(SIMULCAST)
    location = await open_viewer(api)
    created = await api.http.post(f"{location}/sse", content='["bandwidth"]', headers=api.headers("application/json"))
    assert created.status_code == 201
    reading = events(api, location, created.headers["location"])
    for _ in range(2):
        name, data = parse(await anext(reading))
        assert name == "bandwidth"
        assert isinstance(data, dict)
        assert {"estimate", "allocated", "wanted", "media"} <= set(data)
        (section,) = data["media"].values()
        assert {"currentSpatialLayer", "targetSpatialLayer", "paused"} <= set(section)
    await reading.aclose()


async def test_layers_say_what_is_sent(api: ApiWorld) -> None:
    await api.publish(SIMULCAST)
    location = await open_viewer(api)
    created = await api.http.post(f"{location}/sse", content='["layers"]', headers=api.headers("application/json"))
    reading = events(api, location, created.headers["location"])
    await anext(reading)
    video = next(consumer for consumer in api.link.find(FakeConsumer) if consumer.kind == "video")
    api.link.emit(ConsumerLayersChanged(consumer=ConsumerId(video.id), spatial=1, temporal=2))
    name, data = parse(await anext(reading))
    assert name == "layers"
    assert isinstance(data, dict)
    (section,) = data.values()
    assert [layer["sent"] for layer in section] == [False, True, False]
    assert all("bitrate" in layer for layer in section)
    await reading.aclose()


async def test_a_publisher_hears_what_nobody_wants_and_how_it_arrives(api: ApiWorld) -> None:
    published = await api.publish(SIMULCAST)
    location = published.headers["location"]
    links = [link for link in published.headers.get_list("link") if "server-sent-events" in link]
    assert links == [f'<{location}/sse>; rel="urn:x-roomtone:whip:ext:server-sent-events"; events="encodings,quality"']
    created = await api.http.post(f"{location}/sse", headers=api.headers(None))
    assert created.status_code == 201
    resource = api.context.resources.get(ResourceKind.WHIP, "demo", location.rsplit("/", 1)[1])
    assert resource is not None
    reading = event_streams._send(resource, resource.streams[created.headers["location"].rsplit("/", 1)[1]])
    video = next(producer for producer in api.link.find(FakeProducer) if producer.kind == "video")
    id_ = ProducerId(video.id)
    api.link.emit(EncodingsWanted(producer=id_, wanted=[7, 1, None]))
    name, data = parse(await anext(reading))
    assert name == "encodings"
    assert isinstance(data, dict)
    assert data["codec"] == "video/VP8"
    assert data["encodings"] == [
        {"rid": "q", "active": True, "maxTemporalLayerId": 7},
        {"rid": "h", "active": True, "maxTemporalLayerId": 1},
        {"rid": "f", "active": False, "maxTemporalLayerId": None},
    ]
    api.link.emit(
        QualityChanged(
            subject=QualitySubject.PRODUCER,
            id=id_,
            score=0.5,
            level=QualityLevel.GOOD,
            mos=None,
            trend=QualityTrend.STEADY,
            reason=DegradationReason.LOSS,
        )
    )
    name, data = parse(await anext(reading))
    assert name == "quality"
    assert isinstance(data, dict)
    assert (data["kind"], data["level"], data["score"], data["degradation"]) == ("video", "good", 0.5, "loss")
    await reading.aclose()
    refused = await api.http.post(f"{location}/sse", content='["layers"]', headers=api.headers("application/json"))
    assert refused.status_code == 400
