import { expect, test } from "vitest";
import { guestIdentity } from "./choices";

test("a guest's identity is made of its name and something random", () => {
  expect(guestIdentity("Ada Lovelace", "0a1b2c3d")).toBe("ada-lovelace-0a1b2c");
  expect(guestIdentity("Zoë!", "0a1b2c3d")).toBe("zoe-0a1b2c");
  expect(guestIdentity("李", "0a1b2c3d")).toBe("guest-0a1b2c");
});
