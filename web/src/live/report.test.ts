import { expect, test } from "vitest";
import { text } from "../strings";
import { ahead, isBehind, isDenied, type LiveReport, sayTrouble, sayVariant, seconds } from "./report";

const report = (latency: number): LiveReport => ({ latency, target: 1, buffer: 1, variant: null, stalls: 0, subtitles: [] });

test("times are told with one digit, and not at all where they are unknown", () => {
  expect(seconds(1.26)).toBe("1.3 s");
  expect(seconds(Number.NaN)).toBe("");
  expect(seconds(0)).toBe("");
});

test("a variant is told by its size and rate", () => {
  expect(sayVariant({ width: 1280, height: 720, bitrate: 2_540_000, codecs: "avc1" })).toBe("1280×720, 2.5 Mbit/s");
  expect(sayVariant({ width: 0, height: 0, bitrate: 64_400, codecs: "opus" })).toBe("64 kbit/s");
  expect(sayVariant(null)).toBe("");
});

test("who is well behind the target can jump", () => {
  expect(isBehind(report(1.5))).toBe(false);
  expect(isBehind(report(4))).toBe(true);
});

test("the buffer is what follows without a hole", () => {
  const ranges = [[0, 2], [5, 9]] as const;
  const buffered = { length: 2, start: (at: number) => ranges[at]?.[0] ?? 0, end: (at: number) => ranges[at]?.[1] ?? 0 };
  expect(ahead(buffered, 6)).toBe(3);
  expect(ahead(buffered, 3)).toBe(0);
});

test("a stream that is not there, one that takes a token and one that fails are told apart", () => {
  expect([sayTrouble(404, "manifestLoadError"), sayTrouble(undefined, "")]).toEqual([text.play.nobody, text.play.nobody]);
  expect([sayTrouble(401, "manifestLoadError"), sayTrouble(403, "manifestLoadError")]).toEqual([text.play.denied, text.play.denied]);
  expect(sayTrouble(403, "levelLoadError")).toBe(text.play.over);
  expect(sayTrouble(500, "manifestLoadError")).toBe(text.play.trouble("manifestLoadError"));
  expect(sayTrouble(undefined, "manifestParsingError")).toBe(text.play.trouble("manifestParsingError"));
});

test("only who is refused where the token is shown is refused for good", () => {
  expect([isDenied(401, "manifestLoadError"), isDenied(403, "manifestLoadError")]).toEqual([true, true]);
  // A grant ends with the server that gave it, and what was loaded before is asked for under it.
  expect([isDenied(401, "levelLoadError"), isDenied(403, "fragLoadError")]).toEqual([false, false]);
  expect([isDenied(404, "manifestLoadError"), isDenied(undefined, "manifestLoadError")]).toEqual([false, false]);
});
