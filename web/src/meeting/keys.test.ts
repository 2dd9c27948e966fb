import { expect, test } from "vitest";
import { actionOf, KEYS, type Stroke } from "./keys";

const stroke = (key: string, more: Partial<Stroke> = {}): Stroke => ({
  key,
  ctrlKey: false,
  altKey: false,
  metaKey: false,
  repeat: false,
  ...more,
});

test("a key does what the list says, in either case", () => {
  for (const [key, action] of KEYS) {
    expect(actionOf(stroke(key), false, true)).toBe(action);
    expect(actionOf(stroke(key.toUpperCase()), false, true)).toBe(action);
  }
  expect(new Set(KEYS.map(([key]) => key)).size).toBe(KEYS.length);
});

test("typing, modifiers and held keys do nothing", () => {
  expect(actionOf(stroke("m"), true, true)).toBeNull();
  expect(actionOf(stroke("m", { ctrlKey: true }), false, true)).toBeNull();
  expect(actionOf(stroke("m", { repeat: true }), false, true)).toBeNull();
});

test("single keys can be turned off; escape stays", () => {
  expect(actionOf(stroke("m"), false, false)).toBeNull();
  expect(actionOf(stroke("Escape"), true, false)).toBe("close");
});
