import { expect, test } from "vitest";
import { type ChatMessage, MAX_MESSAGES, withMessage } from "./messages";

const message = (id: number): ChatMessage => ({ id: String(id), from: "ada", text: "hello", at: id, mine: false });

test("a message that comes twice is shown once", () => {
  const once = withMessage([], message(1));
  expect(withMessage(once, message(1))).toBe(once);
});

test("the oldest go when there are too many", () => {
  let kept: readonly ChatMessage[] = [];
  for (let id = 0; id < MAX_MESSAGES + 5; id += 1) kept = withMessage(kept, message(id));
  expect(kept).toHaveLength(MAX_MESSAGES);
  expect(kept[0]?.id).toBe("5");
});
