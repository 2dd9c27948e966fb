import { expect, test } from "vitest";
import { durationOf, timeOf } from "./format";

test("a moment of another day has its day", () => {
  const noon = new Date(2026, 10, 29, 12, 0, 0);
  const today = timeOf(noon.getTime() / 1000, noon);
  expect(timeOf(noon.getTime() / 1000, new Date(2026, 10, 30, 1, 0, 0))).toBe(`${noon.toLocaleDateString()} ${today}`);
});

test("a duration has its two largest units", () => {
  expect([-1, 7.4, 65, 3600, 7384].map(durationOf)).toEqual(["0 s", "7 s", "1 min 5 s", "1 h 0 min", "2 h 3 min"]);
});
