import { expect, test } from "vitest";
import { type EncoderStream, type RoomStream, shown } from "./streams";

const ROOM: RoomStream = {
  name: "theatre",
  state: "paused",
  publishers: ["ann", "bob"],
  tracks: [{ codec: "avc1.42c01f", width: 640, height: 360 }],
  created_at: 5,
  webrtc_viewers: 1,
  hls_viewers: 2,
  warnings: {},
};
const ENCODER: EncoderStream = {
  name: "studio 1",
  protocol: "srt",
  remote: "192.0.2.7:4000",
  publishing: true,
  tracks: [{ codec: "opus", width: null, height: null }],
  started_at: 7,
  hls_viewers: 3,
  warnings: { "it is not in the room": 1 },
};

test("streams of rooms and of encoders are one list, by name", () => {
  const [encoder, room] = shown([ROOM], [ENCODER]);
  expect(encoder).toEqual({
    name: "studio 1",
    state: "live",
    from: "SRT 192.0.2.7:4000",
    tracks: ["opus"],
    hlsViewers: 3,
    webrtcViewers: 0,
    warnings: { "it is not in the room": 1 },
    since: 7,
    path: "/api/v1/ingests/studio%201",
  });
  expect(room).toMatchObject({ state: "paused", from: "ann, bob", tracks: ["avc1.42c01f 640×360"], path: "/api/v1/streams/theatre" });
});

test("an encoder's stream waits for keyframes, and for its encoder", () => {
  expect(shown([], [{ ...ENCODER, tracks: [] }])[0]?.state).toBe("starting");
  expect(shown([], [{ ...ENCODER, publishing: false }])[0]?.state).toBe("waiting");
});
