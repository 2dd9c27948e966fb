import { expect, it } from "vitest";
import { encodings } from "./whip";

it("offers three encodings, lowest first, for simulcast", () => {
  const three = encodings({ codec: "VP8", simulcast: true, scalability: "L3T3", maxBitrate: 1_700_000 });
  expect(three.map((encoding) => encoding.rid)).toEqual(["q", "h", "f"]);
  expect(three.map((encoding) => encoding.scaleResolutionDownBy)).toEqual([4, 2, 1]);
});

it("offers one unnamed encoding otherwise", () => {
  expect(encodings({ codec: "", simulcast: false, scalability: "", maxBitrate: 500_000 })).toEqual([{ maxBitrate: 500_000 }]);
});

it("offers one scalable encoding when a mode is chosen", () => {
  const one = encodings({ codec: "VP9", simulcast: false, scalability: "L3T3_KEY", maxBitrate: 500_000 });
  expect(one).toEqual([{ maxBitrate: 500_000, scalabilityMode: "L3T3_KEY" }]);
});
