"""`livekit-client` in a page of Chromium: the library as it is published, driven from here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
from conftest import PATIENCE_S, Server, sign, token, until
from playwright.sync_api import Page

LIBRARY = Path(__file__).resolve().parents[2] / "web/node_modules/livekit-client/dist/livekit-client.umd.js"
# What a test wants of the page: to join, to publish a drawn picture and a tone, to say what is seen and heard.
DRIVER = """
(() => {
  const { Room, RoomEvent, Track } = LivekitClient;
  window.heard = [];
  window.sockets = [];
  const Socket = window.WebSocket;
  window.WebSocket = class extends Socket {
    constructor(...given) { super(...given); window.sockets.push(this); }
  };
  const plain = what => what?.identity ?? what?.sid ?? what?.trackSid ?? (typeof what === "object" ? "" : what);
  window.enter = async (url, token, options, connecting) => {
    const room = new Room(options);
    window.room = room;
    for (const name of Object.values(RoomEvent)) {
      room.on(name, (...what) => window.heard.push({ name, what: what.map(plain) }));
    }
    room.on(RoomEvent.DataReceived, (payload, from, kind, topic) => {
      window.heard.push({ name: "data", text: new TextDecoder().decode(payload), from: from?.identity, topic, kind });
    });
    room.on(RoomEvent.TrackSubscribed, (track, publication) => {
      const element = track.attach();
      element.id = publication.trackSid;
      document.body.append(element);
    });
    room.on(RoomEvent.TrackUnsubscribed, (track, publication) => {
      track.detach().forEach(element => element.remove());
      document.getElementById(publication.trackSid)?.remove();  // detached before it was told
    });
    await room.connect(url, token, connecting);
    return room.localParticipant.sid;
  };
  window.draw = (width, height, colour) => {
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const context = canvas.getContext("2d");
    let count = 0;
    setInterval(() => {
      context.fillStyle = colour;
      context.fillRect(0, 0, width, height);
      context.fillStyle = "white";
      context.fillRect((count++ * 7) % width, 0, 20, 20);
    }, 66);
    return canvas.captureStream(15).getVideoTracks()[0];
  };
  // What compresses badly: so a track takes the bitrate it is allowed.
  window.noise = async (width, height, maxBitrate) => {
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const context = canvas.getContext("2d");
    const picture = context.createImageData(width, height);
    setInterval(() => {
      for (let at = 0; at < picture.data.length; at += 4) {
        picture.data[at] = picture.data[at + 1] = picture.data[at + 2] = Math.random() * 256;
        picture.data[at + 3] = 255;
      }
      context.putImageData(picture, 0, 0);
    }, 66);
    const track = canvas.captureStream(15).getVideoTracks()[0];
    const encoding = { simulcast: false, videoEncoding: { maxBitrate, maxFramerate: 15 } };
    return (await room.localParticipant.publishTrack(track, { source: "camera", ...encoding })).trackSid;
  };
  window.show = async (width, height, colour, options) => {
    const track = draw(width, height, colour);
    return (await room.localParticipant.publishTrack(track, { source: "camera", ...options })).trackSid;
  };
  window.sound = async (hertz, source) => {
    const audio = new AudioContext();
    const tone = new OscillatorNode(audio, { frequency: hertz });
    const out = audio.createMediaStreamDestination();
    tone.connect(out);
    tone.start();
    const [track] = out.stream.getAudioTracks();
    return (await room.localParticipant.publishTrack(track, { source })).trackSid;
  };
  const find = sid => [...room.remoteParticipants.values()]
    .map(one => one.getTrackPublications().find(track => track.trackSid === sid)).find(track => track);
  window.publicationOf = find;
  window.received = async sid => {
    const publication = find(sid);
    const report = await publication?.track?.receiver?.getStats();
    const inbound = report && [...report.values()].find(one => one.type === "inbound-rtp");
    const { framesDecoded = 0, frameWidth = 0, frameHeight = 0, totalAudioEnergy = 0, packetsReceived = 0 } =
      inbound ?? {};
    return { framesDecoded, frameWidth, frameHeight, totalAudioEnergy, packetsReceived, known: !!publication,
      state: publication?.track?.streamState ?? null };
  };
  window.colour = sid => {
    const video = document.getElementById(sid);
    if (!video?.videoWidth) return null;
    const canvas = Object.assign(document.createElement("canvas"), { width: 8, height: 8 });
    const context = canvas.getContext("2d");
    context.drawImage(video, 0, 0, 8, 8);
    return [...context.getImageData(4, 4, 1, 1).data].slice(0, 3);
  };
  window.sent = async sid => {
    const publication = room.localParticipant.getTrackPublications().find(track => track.trackSid === sid);
    const report = await publication.track.sender.getStats();
    return Object.fromEntries([...report.values()].filter(one => one.type === "outbound-rtp")
      .map(one => [one.rid ?? "", { active: one.active, frames: one.framesSent ?? 0, width: one.frameWidth ?? 0 }]));
  };
})();
"""


class LiveKitPage:
    """A participant in a page."""

    def __init__(self, page: Page, server: Server, room: str, identity: str, **options: Any) -> None:
        self.page = page
        page.add_script_tag(path=str(LIBRARY))
        page.evaluate(DRIVER)
        grants = options.pop("grants", {})
        connecting = options.pop("connecting", {})
        bearer = options.pop("bearer", None) or token(room, identity, **grants)
        self.sid = page.evaluate(
            "([url, token, options, connecting]) => enter(url, token, options, connecting)",
            [server.http.replace("http", "ws", 1), bearer, options, connecting],
        )

    def run(self, script: str, argument: Any = None) -> Any:
        """Evaluate a function in the page."""
        return self.page.evaluate(script, argument)

    def show(self, width: int, height: int, colour: str, **options: Any) -> str:
        """Publish a drawn picture; gives the track's id."""
        script = "([width, height, colour, options]) => show(width, height, colour, options)"
        return self.run(script, [width, height, colour, options])

    def sound(self, hertz: int = 440, source: str = "microphone") -> str:
        """Publish a tone; gives the track's id."""
        return self.run("([hertz, source]) => sound(hertz, source)", [hertz, source])

    def received(self, sid: str) -> dict[str, Any]:
        return self.run("sid => received(sid)", sid)

    def sent(self, sid: str) -> dict[str, dict[str, Any]]:
        """What is sent of a track, by RID."""
        return self.run("sid => sent(sid)", sid)

    def wait_frames(self, sid: str, more: int = 10, width: int | None = None) -> dict[str, Any]:
        """Wait for so many further decoded pictures, of a width if one is named."""
        before = self.received(sid)["framesDecoded"]

        def enough() -> Any:
            now = self.received(sid)
            fits = width is None or now["frameWidth"] == width
            return now if fits and now["framesDecoded"] >= before + more else None

        return until(enough, f"{more} pictures {width or ''} of {sid}: {self.received(sid)}", PATIENCE_S * 2)

    def wait_colour(self, sid: str, wanted: tuple[int, int, int]) -> None:
        """Wait until the picture shown has a colour."""

        def right() -> bool:
            seen = self.run("sid => colour(sid)", sid)
            return (
                seen is not None and max(abs(a - b) for a, b in zip(seen, wanted, strict=True)) < 60
            )  # BT.601 or BT.709

        until(right, f"the colour {wanted}")

    def wait_sound(self, sid: str) -> None:
        """Wait until a tone is heard."""
        until(lambda: self.received(sid)["totalAudioEnergy"] > 0.001, "a tone")

    def heard(self, name: str) -> list[dict[str, Any]]:
        """What happened of a name."""
        return self.run("name => heard.filter(one => one.name === name)", name)

    def wait_heard(self, name: str, **wanted: Any) -> dict[str, Any]:
        """Wait until something of a name happened, with these members."""

        def found() -> Any:
            return next((one for one in self.heard(name) if wanted.items() <= one.items()), None)

        return until(found, f"{name} {wanted}")

    def say(self, text: str, **options: Any) -> None:
        """Send data."""
        script = "([text, o]) => room.localParticipant.publishData(new TextEncoder().encode(text), o)"
        self.run(script, [text, {"reliable": True} | options])


def move_participant(server: Server, room: str, identity: str, to: str) -> None:
    """Move somebody as LiveKit's server API does."""
    bearer = sign("test", {"roomAdmin": True, "room": room, "destinationRoom": to})
    url = f"{server.http}/twirp/livekit.RoomService/MoveParticipant"
    content = {"room": room, "identity": identity, "destination_room": to}
    answer = httpx.post(url, json=content, headers={"Authorization": f"Bearer {bearer}"}, timeout=PATIENCE_S)
    assert answer.is_success, answer.text
