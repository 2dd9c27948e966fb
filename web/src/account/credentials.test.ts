import { expect, test } from "vitest";
import { isFresh, nextPage } from "./credentials";

test("a token that ends within a minute is exchanged", () => {
  expect(isFresh(1000, 900)).toBe(true);
  expect(isFresh(1000, 950)).toBe(false);
});

test("after signing in one stays on this site", () => {
  const origin = "https://meet.example";
  expect(nextPage("?next=%2Froom%2F%3Froom%3Da", origin)).toBe("/room/?room=a");
  for (const elsewhere of ["https://evil.example/", "//evil.example/x", "javascript:alert(1)", "\\\\evil.example"]) {
    expect(nextPage(`?next=${encodeURIComponent(elsewhere)}`, origin)).toBe("/");
  }
  expect(nextPage("", origin)).toBe("/");
});
