import { expect, it } from "vitest";
import { chosen, inWords } from "./dynacast";

const wanted = [
  { rid: "q", active: false, maxTemporalLayerId: null },
  { rid: "h", active: true, maxTemporalLayerId: 1 },
  { rid: "f", active: false, maxTemporalLayerId: null },
];

it("stops what nobody wants, but never the lowest", () => {
  expect(chosen(["q", "h", "f"], wanted)).toEqual([true, true, false]);
});

it("says what is wanted", () => {
  expect(inWords(wanted)).toBe("q: nobody, h: wanted to T1, f: nobody");
});
