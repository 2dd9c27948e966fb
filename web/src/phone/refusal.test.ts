import { expect, it } from "vitest";
import { sayRefusal } from "./refusal";

it("says in words that a user name or password is wrong", () => {
  for (const status of [401, 404, 407]) {
    expect(sayRefusal(status, `${String(status)} Unauthorized`)).toBe("The account was refused: the user name or the password is wrong.");
  }
});

it("says what else a server answered as it said it", () => {
  expect(sayRefusal(403, "403 Forbidden")).toBe("The account was refused: 403 Forbidden.");
  expect(sayRefusal(undefined, "Connection Error")).toBe("The account was refused: Connection Error.");
});
