import { expect, it } from "vitest";
import { Statistics } from "./statistics";

/** What a connection reports, as far as the table reads it. */
function reportOf(...entries: Record<string, unknown>[]): RTCStatsReport {
  return new Map(entries.map((entry, place) => [`${place}`, { id: `${place}`, timestamp: 1000, ...entry }]));
}

it("names the encodings from the first to the last, and gives none a size that has no pictures", () => {
  const video = { type: "outbound-rtp", kind: "video" };
  const lines = new Statistics().lines(
    reportOf(
      { ...video, rid: "f", encodingIndex: 2 },
      { type: "outbound-rtp", kind: "audio" },
      { ...video, rid: "q", encodingIndex: 0, frameWidth: 160, frameHeight: 90 },
      { ...video, rid: "h", encodingIndex: 1, frameWidth: 320, frameHeight: 180 },
    ),
  );
  const sizes = lines.filter(({ name }) => name.endsWith(" size")).map(({ name, value }) => `${name}: ${value}`);
  expect(sizes).toEqual(["video (q) size: 160x90", "video (h) size: 320x180", "video (f) size: –"]);
});

it("takes bitrates from one report to the next", () => {
  const statistics = new Statistics();
  const at = (timestamp: number, bytesReceived: number) =>
    statistics.lines(reportOf({ type: "inbound-rtp", kind: "audio", timestamp, bytesReceived })).find(({ name }) => name === "audio bitrate")?.value;
  expect([at(1000, 1000), at(2000, 6000)]).toEqual(["-", "40 kbit/s"]);
});
