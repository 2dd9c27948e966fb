import { expect, test } from "vitest";
import { extend, KEPT, layersSent, sampleOf } from "./reports";

const whole = (packetsReceived: number, packetsLost: number, bitrate = 9) => ({
  type: "inbound-rtp",
  packetsReceived,
  packetsLost,
  bitrate,
});

test("a sample has all encodings, the lowest first", () => {
  const reports = [
    whole(10, 0, 700),
    { type: "inbound-rtp", encoding: 1, bitrate: 500, jitter: 0.004 },
    { type: "inbound-rtp", encoding: 0, bitrate: 200, jitter: 0.002 },
    { type: "transport", bitrate: 5 },
  ];
  expect(sampleOf(reports)).toMatchObject({ bitrate: 700, encodings: [200, 500], jitter: 0.004, loss: null });
});

test("loss is that since the sample before", () => {
  const first = sampleOf([whole(100, 50)]);
  expect(sampleOf([whole(190, 60)], first).loss).toBeCloseTo(0.1);
  expect(sampleOf([whole(190, 40)], first).loss).toBe(0);
  expect(sampleOf([whole(100, 50)], first).loss).toBe(0);
});

test("two minutes are kept, and tracks that are gone go", () => {
  let history = extend({}, { a: [whole(0, 0)], b: [whole(0, 0)] });
  for (let count = 0; count < KEPT + 3; count += 1) history = extend(history, { a: [whole(count, 0)] });
  expect(Object.keys(history)).toEqual(["a"]);
  expect(history["a"]).toHaveLength(KEPT);
});

test("of each track the lowest and the highest layer that anybody gets", () => {
  const gets = (track: string | null, spatial: number | null, starved = false) => ({ track, current: { spatial }, starved });
  const sent = layersSent([gets("a", 1), gets("a", 0), gets("a", 2, true), gets("b", null), gets(null, 2), gets("c", 2)]);
  expect(sent).toEqual({ a: { lowest: 0, highest: 1 }, c: { lowest: 2, highest: 2 } });
  const history = extend({}, { a: [whole(0, 0)], b: [whole(0, 0)] }, sent);
  expect([history["a"]?.[0]?.sent, history["b"]?.[0]?.sent]).toEqual([{ lowest: 0, highest: 1 }, null]);
});
