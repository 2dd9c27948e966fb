import { expect, it } from "vitest";
import { readLinks, VIEWER_EVENTS } from "./events";

it("finds the event stream among the links of a resource", () => {
  const header = `<stun:stun.example.org>; rel="ice-server", </whep/demo/1/sse>; rel="${VIEWER_EVENTS}"; events="active,layers"`;
  const links = readLinks(header, new URL("https://example.org/whep/demo"));
  expect(links.get(VIEWER_EVENTS)?.href).toBe("https://example.org/whep/demo/1/sse");
});

it("finds nothing where there are no links", () => {
  expect(readLinks(null, new URL("https://example.org/")).size).toBe(0);
});
