import { expect, test } from "vitest";
import { type ChatMessage, MAX_MESSAGES, shownTo, withHistory, withMessage } from "./messages";

const message = (id: number, changed: Partial<ChatMessage> = {}): ChatMessage => ({
  id: String(id),
  sender: "ada",
  from: "Ada",
  text: "hello",
  at: id,
  mine: false,
  edited: false,
  ...changed,
});
const ids = (messages: readonly ChatMessage[]) => messages.map(({ id }) => id);

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

test("another text of a message takes the place of the first, an empty one deletes it for good", () => {
  const edited = withMessage([message(1), message(2)], message(1, { text: "bye", at: 9 }));
  expect(edited).toEqual([message(1, { text: "bye", edited: true }), message(2)]);
  const deleted = withMessage(edited, message(1, { text: "" }));
  expect(deleted[0]?.text).toBe("");
  expect(withMessage(deleted, message(1))).toBe(deleted);
});

test("nobody else changes a message by its id, and the deletion of an unknown one is nothing", () => {
  const one = [message(1)];
  expect(withMessage(one, message(1, { sender: "mallory", text: "bye" }))).toBe(one);
  expect(withMessage(one, message(2, { text: "" }))).toBe(one);
});

test("history goes before what was heard meanwhile, each message once, as the server has it", () => {
  const heard = [message(3, { text: "helo" }), message(4)];
  const merged = withHistory(heard, [message(1), message(2), message(3, { edited: true })]);
  expect(ids(merged)).toEqual(["1", "2", "3", "4"]);
  expect(merged[2]).toEqual(message(3, { edited: true }));
  expect(withHistory(merged, [message(4)])).toEqual(merged);
});

test("what was deleted while history was on its way stays deleted", () => {
  expect(withHistory([message(1, { text: "" })], [message(1)])).toEqual([message(1, { text: "" })]);
});

test("history keeps to the bound", () => {
  const many = Array.from({ length: MAX_MESSAGES }, (_, id) => message(id));
  expect(withHistory([message(MAX_MESSAGES)], many)).toHaveLength(MAX_MESSAGES);
});

test("a kept message is shown by its author's name, and as one's own to its author", () => {
  const kept = { id: "a", sender: "ada", sender_name: "", text: "x", at: 2, edited_at: 3 };
  expect(shownTo("ada", kept)).toEqual({ id: "a", sender: "ada", from: "ada", text: "x", at: 2000, mine: true, edited: true });
  expect(shownTo("bob", { ...kept, sender_name: "Ada" })).toMatchObject({ from: "Ada", mine: false });
});
