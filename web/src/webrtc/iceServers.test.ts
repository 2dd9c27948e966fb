import { expect, it } from "vitest";
import { readIceServers } from "./iceServers";

const STUN = '<stun:stun.example.org>; rel="ice-server"';
const TURN = '<turn:turn.example.org:3478?transport=udp>; rel="ice-server"';

it("reads servers with what is to be said to them, as the browser takes them", () => {
  const header = `${STUN}, ${TURN}; username="170:alice"; credential="a+b/c="; credential-type="password"`;
  expect(readIceServers(header)).toEqual([
    { urls: "stun:stun.example.org" },
    { urls: "turn:turn.example.org:3478?transport=udp", username: "170:alice", credential: "a+b/c=" },
  ]);
});

it("reads quoted marks, commas and semicolons as what they stand for", () => {
  const header = `${TURN}; username="a\\"b, <stun:x>; c\\\\"; credential="d;e,f", ${STUN}`;
  expect(readIceServers(header)).toEqual([
    { urls: "turn:turn.example.org:3478?transport=udp", username: 'a"b, <stun:x>; c\\', credential: "d;e,f" },
    { urls: "stun:stun.example.org" },
  ]);
});

it("leaves out other links, and relays that no browser would take", () => {
  expect(readIceServers('</whep/demo/1/sse>; rel="urn:x"; events="a,b", <stun:x.example>; rel="other"')).toEqual([]);
  expect(readIceServers(TURN)).toEqual([]);
  expect(readIceServers(null)).toEqual([]);
});
