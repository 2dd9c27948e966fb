import { expect, test } from "vitest";
import { decisionIn, entryOf } from "./access";

const token = (claims: object) => `e30.${btoa(JSON.stringify(claims)).replaceAll("=", "")}.x`;

test("a token says whether its bearer moderates", () => {
  expect(entryOf(token({ video: { roomAdmin: true } })).moderator).toBe(true);
  expect(entryOf(token({ video: { room: "a" } })).moderator).toBe(false);
});

test("the decision of a lobby is read once it is there as a whole", () => {
  const waiting = 'event: waiting\ndata: {"id": "K"}\n\n: still here\n\n';
  expect(decisionIn(waiting)).toBeNull();
  expect(decisionIn(`${waiting}event: decided\ndata: {"id": "K", "deci`)).toBeNull();
  expect(decisionIn(`${waiting}event: decided\ndata: {"id": "K", "decision": "admitted"}\n\n`)).toBe("admitted");
});
