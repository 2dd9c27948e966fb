import { expect, it } from "vitest";
import { encodings } from "./whip";

it("offers three encodings, lowest first, for simulcast", () => {
  const three = encodings({ codec: "VP8", simulcast: true, maxBitrate: 1_700_000 });
  expect(three.map((encoding) => encoding.rid)).toEqual(["q", "h", "f"]);
  expect(three.map((encoding) => encoding.scaleResolutionDownBy)).toEqual([4, 2, 1]);
});

it("offers one unnamed encoding otherwise", () => {
  expect(encodings({ codec: "", simulcast: false, maxBitrate: 500_000 })).toEqual([{ maxBitrate: 500_000 }]);
});
