export interface ChatMessage {
  readonly id: string;
  /** Identity of its author. */
  readonly sender: string;
  readonly from: string;
  /** Empty once it is deleted. */
  readonly text: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly mine: boolean;
  readonly edited: boolean;
}

/** A message as the server keeps it; times are seconds. */
export interface KeptMessage {
  readonly id: string;
  readonly sender: string;
  readonly sender_name: string;
  readonly text: string;
  readonly at: number;
  readonly edited_at: number | null;
}

/** Messages that are kept; the oldest go. */
export const MAX_MESSAGES = 500;
/** Characters of one message. */
export const MAX_TEXT = 2000;

/** The messages with one that was heard: new, or another text of one that is there; an empty text deletes. */
export function withMessage(messages: readonly ChatMessage[], heard: ChatMessage): readonly ChatMessage[] {
  const known = messages.find(({ id }) => id === heard.id);
  if (known === undefined) return heard.text === "" ? messages : newest([...messages, heard]);
  // An id is its author's: nobody else changes the message by it.
  if (known.sender !== heard.sender || known.text === heard.text || known.text === "") return messages;
  return messages.map((one) => (one === known ? { ...one, text: heard.text, edited: true } : one));
}

/** The messages with those that the server keeps, which know better but of what was deleted since; each once, by time. */
export function withHistory(messages: readonly ChatMessage[], kept: readonly ChatMessage[]): readonly ChatMessage[] {
  const deleted = new Set(messages.filter(({ text }) => text === "").map(({ id }) => id));
  const known = kept.map((one) => (deleted.has(one.id) ? { ...one, text: "" } : one));
  const ids = new Set(kept.map(({ id }) => id));
  return newest([...known, ...messages.filter(({ id }) => !ids.has(id))].sort((one, other) => one.at - other.at));
}

/** A kept message as the page shows it to `me`. */
export const shownTo = (me: string, kept: KeptMessage): ChatMessage => ({
  id: kept.id,
  sender: kept.sender,
  from: kept.sender_name === "" ? kept.sender : kept.sender_name,
  text: kept.text,
  at: kept.at * 1000,
  mine: kept.sender === me,
  edited: kept.edited_at !== null,
});

const newest = (messages: readonly ChatMessage[]) => messages.slice(-MAX_MESSAGES);
