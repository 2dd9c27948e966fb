import { expect, it } from "vitest";
import { bitrate, extend, KEPT, layerName, type LineSample } from "./line";

const section = { currentSpatialLayer: 0, targetSpatialLayer: 1, paused: null };

it("keeps two minutes of samples, the newest last", () => {
  let samples: LineSample[] = [];
  for (let second = 0; second < KEPT + 5; second += 1) {
    samples = extend(samples, { estimate: second, media: { 0: section } }, 7);
  }
  expect(samples).toHaveLength(KEPT);
  expect(samples.at(-1)).toEqual({ estimate: KEPT + 4, allocated: 0, arriving: 7, current: 0, target: 1 });
});

it("shows no layer while the line carries none", () => {
  const [sample] = extend([], { media: { 0: { ...section, paused: "bandwidth" } } }, 0);
  expect([sample?.current, sample?.target]).toEqual([null, null]);
});

it("names layers by their RID, else by their place", () => {
  const layers = [{ spatialLayerId: 0, rid: "q", active: true, bitrate: 1, sent: true }];
  expect(layerName(0, 1, layers)).toBe("q T1");
  expect(layerName(2, null, layers)).toBe("S2");
  expect(layerName(null, null, layers)).toBe("–");
});

it("writes bitrates with a unit that fits", () => {
  expect([bitrate(2_335_679), bitrate(148_652)]).toEqual(["2.34 Mbit/s", "149 kbit/s"]);
});
