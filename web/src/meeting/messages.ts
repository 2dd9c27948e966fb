export interface ChatMessage {
  readonly id: string;
  readonly from: string;
  readonly text: string;
  readonly at: number;
  readonly mine: boolean;
}

/** Messages that are kept; the oldest go. */
export const MAX_MESSAGES = 500;
/** Characters of one message. */
export const MAX_TEXT = 2000;

/** The messages with one more, once. */
export function withMessage(messages: readonly ChatMessage[], message: ChatMessage): readonly ChatMessage[] {
  if (messages.some(({ id }) => id === message.id)) return messages;
  return [...messages.slice(-(MAX_MESSAGES - 1)), message];
}
