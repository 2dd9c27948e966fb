import { expect, test } from "vitest";
import { type EndedEntry, merge } from "./endings";

const entry = (number: number, at: number, room = "R"): EndedEntry => ({
  number,
  at,
  room,
  room_id: room,
  kind: "room",
  participant: null,
  name: "",
  viewer: null,
  reason: "room_closed",
  began_at: 0,
});

test("pages of the log become one, the newest first and each entry once", () => {
  const known = [entry(3, 30), entry(2, 20)];
  expect(merge(known, [entry(4, 40), entry(3, 30)]).map(({ number }) => number)).toEqual([4, 3, 2]);
  expect(merge(known, [entry(1, 20)]).map(({ number }) => number)).toEqual([3, 2, 1]);
});

test("what a server counts after a new start is not what it counted before", () => {
  expect(merge([entry(1, 10)], [entry(1, 50, "S")])).toHaveLength(2);
});
