import { expect, test } from "vitest";
import { gridOf } from "./grid";

test("two pictures stand beside each other on a desk and above each other on a phone", () => {
  expect(gridOf(2, 1280, 720)).toEqual({ columns: 2, rows: 1 });
  expect(gridOf(2, 390, 700)).toEqual({ columns: 1, rows: 2 });
});

test("many fill a square of places, all of them", () => {
  for (let count = 0; count < 30; count += 1) {
    const { columns, rows } = gridOf(count, 1600, 900);
    expect(columns * rows).toBeGreaterThanOrEqual(count);
  }
  expect(gridOf(9, 1600, 900)).toEqual({ columns: 3, rows: 3 });
});

test("a space of no size still has a place", () => {
  expect(gridOf(3, 0, 0)).toEqual({ columns: 3, rows: 1 });
});
