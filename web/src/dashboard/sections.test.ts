import { expect, test } from "vitest";
import { hashOf, SECTIONS, sectionOf, sectionsOf } from "./sections";

test("an address names a part, and only one that is offered", () => {
  expect(SECTIONS.map((section) => sectionOf(hashOf(section), SECTIONS))).toEqual(SECTIONS);
  expect(sectionOf("#content", SECTIONS)).toBeNull();
  expect(sectionOf("#/keys", sectionsOf("moderator"))).toBeNull();
});
