import { expect, test } from "vitest";
import { problemOf } from "./api";

test("a refusal says what the server says", () => {
  const problem = problemOf(403, '{"title":"Forbidden","code":"room_locked","detail":"the room is locked"}');
  expect(problem).toMatchObject({ status: 403, code: "room_locked", message: "the room is locked" });
});

test("a validation error names the field", () => {
  const body = '{"detail":[{"loc":["body","password"],"msg":"too short"}]}';
  expect(problemOf(422, body).message).toBe("password: too short");
});

test("what is no JSON is named by its status", () => {
  expect(problemOf(502, "<html>").message).toBe("the server answered 502");
});
