import { expect, test } from "vitest";
import { inOrder, onStage, type Placed } from "./order";

const one = (identity: string, joinedAt: number, more: Partial<Placed> = {}): Placed => ({
  identity,
  joinedAt,
  mine: false,
  hand: null,
  ...more,
});

test("hands come first, the longest up before others, and oneself last", () => {
  const people = [
    one("me", 0, { mine: true, hand: 1 }),
    one("late", 9),
    one("early", 2),
    one("second", 5, { hand: 20 }),
    one("first", 6, { hand: 10 }),
  ];
  expect(inOrder(people).map(({ identity }) => identity)).toEqual(["first", "second", "early", "late", "me"]);
});

test("on stage is who was chosen, then who spoke, then anybody else", () => {
  const people = [one("me", 0, { mine: true }), one("ada", 1), one("bob", 2)];
  expect(onStage(people, "bob", "ada")?.identity).toBe("bob");
  expect(onStage(people, "gone", "ada")?.identity).toBe("ada");
  expect(onStage(people, null, null)?.identity).toBe("ada");
  expect(onStage([one("me", 0, { mine: true })], null, null)?.identity).toBe("me");
  expect(onStage([], null, null)).toBeNull();
});
